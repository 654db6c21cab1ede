"""What several machines share: finished chunks, cuts and weights, in a folder or a bucket.

LONGSCRIBE_STORE names it. Each machine keeps its own cache folder in front of it, so an object is
read once. Objects are written whole or not at all, each behind the sha256 of its content: what is
there by halves, or was changed on its way, counts as not there.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Final

from longscribe.errors import OptionError, StoreError
from longscribe.storage.access import ROOTS_VARIABLE, Access
from longscribe.storage.uris import (
    absolute,
    check_url,
    child_of,
    is_url,
    is_web,
    open_folder,
    reason,
    scheme_of,
    shown,
)
from longscribe.wording.catalog import translated

if TYPE_CHECKING:  # only runs that have a store import it
    from fsspec import AbstractFileSystem

STORE_VARIABLE: Final = "LONGSCRIBE_STORE"

_DIGEST_CHARS: Final = 64
# Elsewhere an object appears when all of it has arrived.
_WRITES_IN_PLACE: Final = ("file", "sftp")


class SharedStore:
    """A folder or bucket that several machines read and write.

    Args:
        place: its path or URL.

    Raises:
        OptionError: nothing can open such a URL here.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._scheme = scheme_of(place) if is_url(place) else "file"
        self._system: AbstractFileSystem
        self._system, self._root = open_folder(place, STORE_VARIABLE)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "SharedStore | None":
        """The store that the environment names; None where it names none.

        Raises:
            OptionError: it cannot be used, or lies where runs may write what they like.
        """
        place = environment.get(STORE_VARIABLE, "").strip()
        if not place:
            return None
        if is_url(place):
            check_url(place, STORE_VARIABLE)
        if is_web(place):
            raise OptionError(
                translated("{option}: {url} is a web address; give a folder or a bucket.").format(
                    option=STORE_VARIABLE, url=shown(place)
                )
            )
        place = absolute(place)
        _refuse_media_root(place, Access.from_environment(environment))
        return cls(place)

    def get(self, name: str, not_before_s: float = 0.0) -> bytes | None:
        """The content of an object; None where there is none.

        Args:
            name: below the store, with slashes.
            not_before_s: one that was written before, in seconds since 1970, does not count.

        Raises:
            ValueError: it is there by halves, or damaged.
            StoreError: the store cannot be read.
        """
        path = self._path(name)
        try:
            if not_before_s and self._written_s(path) < not_before_s:
                return None
            found = bytes(self._system.cat_file(path))
        except FileNotFoundError:
            return None
        except Exception as error:  # every library has its own
            raise self._away(error) from None
        digest, content = found[:_DIGEST_CHARS], found[_DIGEST_CHARS:]
        if digest != _digest(content):
            raise ValueError(f"{name} in {shown(self.place)} is not what was written")
        return content

    def has(self, name: str) -> bool:
        """Whether there is an object, whole or not.

        Raises:
            StoreError: the store cannot be read.
        """
        try:
            return bool(self._system.exists(self._path(name)))
        except Exception as error:  # every library has its own
            raise self._away(error) from None

    def put(self, name: str, content: bytes) -> None:
        """Write an object, or replace it: others find the old one or the new one.

        Raises:
            StoreError: it could not be written.
        """

        def write(path: str) -> None:
            self._system.pipe_file(path, _digest(content) + content)

        self._write(name, write)

    def fetch_file(self, name: str, target: Path) -> bool:
        """Copy a file out of the store, without a look at what is in it; whether it was there.

        Raises:
            StoreError: the store cannot be read.
            OSError: the target cannot be written.
        """
        try:
            if not self._system.exists(self._path(name)):
                return False
            self._system.get_file(self._path(name), str(target))
        except OSError as error:
            if error.filename == str(target):
                raise
            raise self._away(error) from None
        except Exception as error:  # every library has its own
            raise self._away(error) from None
        return True

    def put_file(self, name: str, source: Path) -> None:
        """Copy a file into the store as it is.

        Raises:
            StoreError: it could not be written.
        """
        self._write(name, lambda path: self._system.put_file(str(source), path))

    def remove(self, name: str) -> None:
        """Remove an object, if it is there and can be removed."""
        with suppress(Exception):  # every library has its own
            self._system.rm_file(self._path(name))

    def _write(self, name: str, write: Callable[[str], None]) -> None:
        path = self._path(name)
        try:
            if self._scheme not in _WRITES_IN_PLACE:
                return write(path)
            folder, _, last = path.rpartition("/")
            if not self._system.isdir(self._root):
                # Not made: it may be a file system that is not mounted.
                raise FileNotFoundError(self._root)
            self._system.makedirs(folder, exist_ok=True)
            # Two machines may have a process of the same number.
            temporary = f"{folder}/.{last}.{uuid.uuid4().hex}.tmp"
            try:
                write(temporary)
                self._system.mv(temporary, path)
            except BaseException:
                with suppress(Exception):
                    self._system.rm_file(temporary)
                raise
        except Exception as error:  # every library has its own
            raise self._away(error) from None

    def _written_s(self, path: str) -> float:
        written = self._system.modified(path)
        return float((written if written.tzinfo else written.replace(tzinfo=UTC)).timestamp())

    def _path(self, name: str) -> str:
        return child_of(self._root, name)

    def _away(self, error: Exception) -> StoreError:
        return StoreError(
            translated("the shared store {place} cannot be used: {reason}").format(
                place=shown(self.place), reason=reason(error)
            )
        )


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _refuse_media_root(place: str, access: Access) -> None:
    """Who may start runs could otherwise write, and read, what others take for their own work."""
    if access.media_roots is None:
        return
    try:
        access.allowed(place, STORE_VARIABLE)
    except OptionError:
        return
    raise OptionError(
        translated(
            "{option}: {place} is inside the media roots ({variable}), where runs may write; "
            "give a place outside."
        ).format(option=STORE_VARIABLE, place=shown(place), variable=ROOTS_VARIABLE)
    )
