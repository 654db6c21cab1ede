"""Entries of an option that may be given in a text file, one a line."""

from contextlib import suppress
from pathlib import Path

from longscribe.errors import OptionError
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told


def is_file(entry: str) -> bool:
    """Whether an entry is meant as the path of a file: by its name, or because there is one."""
    path = Path(entry).expanduser()
    with suppress(OSError):  # of a name that is too long for one
        return path.suffix == ".txt" or path.is_file()
    return False


def lines_of(entry: str, option: str) -> list[str]:
    """The lines of an entry's file, without empty ones and those that start with #.

    Raises:
        OptionError: it cannot be read, or is no UTF-8 text.
    """
    path = Path(entry).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        not_text = translated("it is not UTF-8 text")
        reason = told(error) if isinstance(error, OSError) else not_text
        raise OptionError(
            translated("{option}: cannot read {path!r}: {reason}.").format(
                option=option, path=str(path), reason=reason
            )
        ) from None
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
