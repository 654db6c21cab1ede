"""Where recordings come from and transcripts go: paths of this machine, and URLs.

`http://` and `https://` are for reading (`downloads`); the other kinds are file systems of
[fsspec](https://filesystem-spec.readthedocs.io), each with a library of its own.
"""

import re
import unicodedata
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from longscribe.errors import OptionError
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

if TYPE_CHECKING:  # only runs that need it import it
    from fsspec import AbstractFileSystem

WEB: Final = ("http", "https")
# Scheme -> the extra that brings its library. Only these: fsspec knows many more, among them some
# that read this machine's files under another name (`file`, `zip`, `reference`, `dir`).
FILE_SYSTEMS: Final = {"s3": "s3", "gs": "gs", "az": "az", "sftp": "sftp", "memory": ""}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)(?:::.*)?://")  # fsspec chains them with ::
_IPV6 = re.compile(r"(?<=//)\[[0-9A-Fa-f:.]+\]")  # its :: chains nothing
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
_LONGEST_NAME_BYTES = 200


def is_url(place: str) -> bool:
    """Whether a place is a URL and not a path of this machine."""
    return _SCHEME.match(place) is not None


def is_web(place: str) -> bool:
    """Whether a place is an `http://` or `https://` URL."""
    return is_url(place) and scheme_of(place) in WEB


def scheme_of(url: str) -> str:
    """The scheme of a URL, in lower case."""
    match = _SCHEME.match(url)
    assert match is not None
    return match.group(1).lower()


def name_of(place: str) -> str:
    """The file's own name: the last part of a path or of a URL's path, safe as a file name.

    Never raises: a run has its name before its parameters are looked at.
    """
    path = place
    if is_web(place):
        with suppress(ValueError):
            path = unquote(urlsplit(place).path)
    if is_url(path):
        path = path.partition("://")[2].partition("?")[0]
    name = PurePosixPath(path).name
    if not is_url(place):
        return name
    name = "".join("_" if unicodedata.category(c)[0] == "C" else c for c in name)
    suffix = PurePosixPath(name).suffix
    suffix = suffix if _SUFFIX.fullmatch(suffix) else ""
    stem = name.removesuffix(suffix).encode(errors="replace")[:_LONGEST_NAME_BYTES]
    return (stem.decode(errors="ignore").strip(". ") or "recording") + suffix


def shown(place: str) -> str:
    """The place in quotes, for a message: without what may be a secret in a URL."""
    if is_url(place):
        place = re.sub(r"://[^/@]*@", "://", place.partition("?")[0].partition("#")[0])
    return repr(place)


def absolute(place: str) -> str:
    """The place as another process would have to name it."""
    return place if is_url(place) else str(Path(place).expanduser().absolute())


def child_of(place: str, name: str) -> str:
    """A place inside a folder or bucket."""
    return f"{place.rstrip('/')}/{name}"


def check_url(url: str, option: str) -> None:
    """Refuse URLs that Longscribe cannot or will not open.

    Args:
        url: of a recording or a folder.
        option: that it was given for, as in messages.

    Raises:
        OptionError: unknown scheme, a chain of schemes, a secret in it, `..`, or no URL at all.
    """
    scheme = scheme_of(url)
    chained = "::" in _IPV6.sub("", url.partition("?")[0])
    if chained or scheme not in (*WEB, *FILE_SYSTEMS):
        known = ", ".join(f"{known}://" for known in (*WEB, *FILE_SYSTEMS) if known != "memory")
        raise OptionError(
            translated(
                "{option}: {url} is not a kind of URL that can be used; give a path, or a URL that "
                "starts with {known}."
            ).format(option=option, url=shown(url), known=known)
        )
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise OptionError(
            translated("{option}: {url} is not a valid URL.").format(option=option, url=shown(url))
        ) from None
    authority = url.partition("://")[2].partition("/")[0]
    if ":" in authority.rpartition("@")[0]:
        raise OptionError(
            translated(
                "{option}: there is a password in the URL {url}, and everything given to a run is "
                "kept in clear text; give the worker its credentials instead."
            ).format(option=option, url=shown(url))
        )
    if any(part in (".", "..") for part in re.split(r"[/\\]", unquote(url).partition("?")[0])):
        raise OptionError(
            translated("{option}: {url} has '..' in it; give the place itself.").format(
                option=option, url=shown(url)
            )
        )


def open_file_system(url: str, option: str) -> "tuple[AbstractFileSystem, str]":
    """The file system of a URL, and the path in it.

    Raises:
        OptionError: its library is not installed, or the URL is not complete.
    """
    scheme = scheme_of(url)
    url = f"{scheme}://{url.partition('://')[2]}"
    try:
        from fsspec.core import url_to_fs

        file_system, path = url_to_fs(url)
    except ImportError:
        raise OptionError(
            translated(
                "{option}: {scheme}:// needs a library that is not installed; "
                "pip install 'longscribe[{extra}]' where the run is carried out."
            ).format(option=option, scheme=scheme, extra=FILE_SYSTEMS[scheme])
        ) from None
    except Exception as error:  # each library raises its own
        raise OptionError(
            translated("{option}: {url} cannot be opened: {reason}.").format(
                option=option, url=shown(url), reason=reason(error)
            )
        ) from None
    return file_system, str(path)


def open_folder(place: str, option: str) -> "tuple[AbstractFileSystem, str]":
    """The file system of a folder, which may also be one of this machine, and the path in it.

    Raises:
        OptionError: as `open_file_system`.
    """
    if is_url(place):
        return open_file_system(place, option)
    from fsspec import filesystem

    return filesystem("file"), absolute(place)


def reason(error: BaseException) -> str:
    """What went wrong, in one line without a full stop."""
    if isinstance(error, FileNotFoundError):
        return translated("it does not exist")
    if isinstance(error, PermissionError):
        return translated("access is denied")
    said = told(error) if isinstance(error, OSError) else str(error)
    words = said or type(error).__name__
    return " ".join(words.split())[:300].rstrip(".")
