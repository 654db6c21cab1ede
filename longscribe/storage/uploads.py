"""Where transcripts go: a folder of this machine, or a bucket."""

import uuid
from collections.abc import Sequence
from pathlib import Path

from longscribe.errors import OutputError
from longscribe.outputs.formats import check_writable
from longscribe.storage.uris import child_of, is_url, open_file_system, reason, scheme_of, shown
from longscribe.wording.catalog import translated

_OPTION = "--output-dir"
_WITH_FOLDERS = ("sftp", "memory")  # buckets have none, and makedirs would make a bucket


def check_destination(output_dir: str, name: str) -> None:
    """Try to write where a transcript will go, before hours of work; leaves nothing behind.

    Raises:
        OutputError, ResourceError: it cannot be written.
        OptionError: nothing can open such a URL here.
    """
    if not is_url(output_dir):
        return check_writable(Path(output_dir).expanduser() / name)
    url = child_of(output_dir, f".longscribe-{uuid.uuid4().hex}.tmp")
    file_system, path = open_file_system(url, _OPTION)
    try:
        if scheme_of(url) in _WITH_FOLDERS:
            file_system.makedirs(path.rpartition("/")[0], exist_ok=True)
        file_system.pipe_file(path, b"writable?")
        file_system.rm_file(path)
    except Exception as error:  # every library has its own
        raise _cannot_write(output_dir, error) from None


def writing_folder(output_dir: str, name: str, scratch: Path) -> Path:
    """The folder to write a transcript's files into: its own, or one to be delivered from."""
    if is_url(output_dir):
        return scratch / "transcript" / name
    return Path(output_dir).expanduser() / name


def deliver(files: Sequence[Path], output_dir: str, name: str) -> list[str]:
    """Copy a transcript's files to the URL of a folder, each of them whole.

    Returns:
        their URLs.

    Raises:
        OutputError: they cannot be written.
    """
    file_system, folder = open_file_system(child_of(output_dir, name), _OPTION)
    try:
        if scheme_of(output_dir) in _WITH_FOLDERS:
            file_system.makedirs(folder, exist_ok=True)
        for file in files:
            file_system.put_file(str(file), child_of(folder, file.name))
    except Exception as error:  # every library has its own
        raise _cannot_write(output_dir, error) from None
    return [child_of(child_of(output_dir, name), file.name) for file in files]


def _cannot_write(output_dir: str, error: Exception) -> OutputError:
    return OutputError(
        translated(
            "the output folder {folder} cannot be written: {reason}; choose another with {option}."
        ).format(folder=shown(output_dir), reason=reason(error), option=_OPTION)
    )
