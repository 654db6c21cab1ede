"""Recordings that are not on this machine, streamed to its disk."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx

from longscribe.errors import InputError, RecordingError, ResourceError
from longscribe.storage.access import Access
from longscribe.storage.ssrf_guard import PublicOnly
from longscribe.storage.uris import is_web, name_of, open_file_system, reason, shown
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

OnProgress = Callable[[int, int], None]  # bytes so far, bytes in all (0 when unknown)

_MOST_REDIRECTS: Final = 5
_TIMEOUT_S: Final = 30.0
# In a row and without a new byte; what broke off goes on from where it was.
_MOST_TRIES: Final = 4
_FIRST_PAUSE_S: Final = 1.0
# Below this for a minute a server is not sending, it is holding the worker.
_SLOWEST_BYTES_PER_S: Final = 1000.0
_SLOW_AFTER_S: Final = 60.0
_BLOCK_BYTES: Final = 1 << 20


def fetch(url: str, folder: Path, access: Access, on_progress: OnProgress | None = None) -> Path:
    """Bring the recording of a URL to this machine.

    Args:
        url: checked by `Access.allowed`.
        folder: to put it in, under its own name; made where it is missing, and nothing else's.
        access: how large it may be, and what may be reached.
        on_progress: called as it comes in.

    Raises:
        RecordingError: it does not exist, is too large, or cannot be reached.
        ResourceError: the disk is too full.
    """
    folder.mkdir(exist_ok=True)
    target = folder / name_of(url)
    transfer = _Transfer(url, target, access.largest_download_bytes, on_progress)
    if is_web(url):
        _download(url, transfer, access)
    else:
        _copy(url, transfer)
    return target


class _Transfer:
    """A file on its way: what every block of it has to pass."""

    def __init__(
        self, url: str, target: Path, largest_bytes: int, on_progress: OnProgress | None
    ) -> None:
        self.url = url
        self.target = target
        self._largest_bytes = largest_bytes
        self._on_progress = on_progress
        self._started_s = time.monotonic()

    @property
    def size_bytes(self) -> int:
        """What is here already."""
        return self.target.stat().st_size if self.target.exists() else 0

    def expect(self, total_bytes: int) -> None:
        """Refuse before the first byte what is too large for us or for the disk."""
        self._check_size(total_bytes)
        free_bytes = shutil.disk_usage(self.target.parent).free
        if total_bytes - self.size_bytes > free_bytes:
            raise ResourceError(
                translated(
                    "{url} has {size:.0f} MB and the disk of {folder} {free:.0f} MB free; "
                    "make room or set TMPDIR to another disk."
                ).format(
                    url=shown(self.url),
                    size=total_bytes / 1e6,
                    folder=self.target.parent,
                    free=free_bytes / 1e6,
                )
            )

    def write(self, file: Any, block: bytes, done_bytes: int, total_bytes: int) -> int:
        """Write one block; the bytes done with it."""
        done_bytes += len(block)
        self._check_size(done_bytes)  # whatever was said before
        elapsed_s = time.monotonic() - self._started_s
        if elapsed_s > _SLOW_AFTER_S and done_bytes < elapsed_s * _SLOWEST_BYTES_PER_S:
            raise RecordingError(
                translated("{url} comes too slowly to ever arrive; given up.").format(
                    url=shown(self.url)
                )
            )
        try:
            file.write(block)
        except OSError as error:
            raise ResourceError(
                translated(
                    "{url} cannot be kept in {folder}: {reason}; "
                    "make room or set TMPDIR to another disk."
                ).format(url=shown(self.url), folder=self.target.parent, reason=told(error))
            ) from None
        if self._on_progress:
            self._on_progress(done_bytes, total_bytes)
        return done_bytes

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._largest_bytes:
            raise RecordingError(
                translated(
                    "{url} is larger than the {largest:g} MB that are allowed; "
                    "set LONGSCRIBE_LARGEST_DOWNLOAD to allow more."
                ).format(url=shown(self.url), largest=self._largest_bytes / 1e6)
            )


def _download(url: str, transfer: _Transfer, access: Access) -> None:
    with httpx.Client(
        transport=PublicOnly(access.private_hosts),
        follow_redirects=True,
        max_redirects=_MOST_REDIRECTS,
        timeout=_TIMEOUT_S,
        headers={"Accept-Encoding": "identity", "User-Agent": "longscribe"},
        trust_env=False,  # no .netrc: the worker's passwords are not the caller's
    ) as client:
        download = _Download(client, url, transfer)
        most_bytes = tries = 0
        while True:
            try:
                return download.go_on()
            except (httpx.TransportError, _TryAgain) as error:
                tries = 1 if transfer.size_bytes > most_bytes else tries + 1
                most_bytes = max(most_bytes, transfer.size_bytes)
                if tries >= _MOST_TRIES:
                    raise RecordingError(_unreachable(url, error)) from None
                time.sleep(_FIRST_PAUSE_S * 2 ** (tries - 1))
            except (httpx.TooManyRedirects, httpx.InvalidURL, httpx.DecodingError) as error:
                raise RecordingError(_unreachable(url, error)) from None


class _TryAgain(Exception):
    """The server asks for patience."""


class _Download:
    """One file over HTTP: each request goes on from where the one before broke off."""

    def __init__(self, client: httpx.Client, url: str, transfer: _Transfer) -> None:
        self._client = client
        self._url = url
        self._transfer = transfer
        self._version = ""  # its ETag: another file under the same URL must not be mixed in

    def go_on(self) -> None:
        have_bytes = self._transfer.size_bytes if self._version else 0
        headers = {"Range": f"bytes={have_bytes}-", "If-Range": self._version} if have_bytes else {}
        with self._client.stream("GET", self._url, headers=headers) as response:
            self._check_status(response)
            resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
            if resumed and not response.headers.get("Content-Range", "").startswith(
                f"bytes {have_bytes}-"
            ):
                raise RecordingError(
                    translated(
                        "{url}: the server sent another part of the file than asked for."
                    ).format(url=shown(self._url))
                )
            self._version = _version(response)
            done_bytes = have_bytes if resumed else 0
            length = response.headers.get("Content-Length", "")
            total_bytes = done_bytes + int(length) if length.isdecimal() else 0
            self._transfer.expect(total_bytes)
            with self._transfer.target.open("ab" if resumed else "wb") as file:
                for block in response.iter_bytes():
                    done_bytes = self._transfer.write(file, block, done_bytes, total_bytes)

    def _check_status(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            return
        if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._version = ""  # from the start
        if status >= 500 or status in (408, 416, 429):
            raise _TryAgain(translated("the server answered {status}").format(status=status))
        raise RecordingError(
            translated(
                "{url} cannot be fetched: the server answered {status}; check the URL."
            ).format(url=shown(self._url), status=f"{status} {response.reason_phrase}".rstrip())
        )


def _version(response: httpx.Response) -> str:
    etag: str = response.headers.get("ETag", "")
    # RFC 9110, 13.1.5: a weak one does not promise the same bytes.
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _unreachable(url: str, error: Exception) -> str:
    if isinstance(error, httpx.TooManyRedirects):
        why = translated("more than {most} redirects").format(most=_MOST_REDIRECTS)
    elif isinstance(error, httpx.ConnectError):
        why = translated("no connection")
    elif isinstance(error, httpx.TimeoutException):
        why = translated("the server does not answer")
    elif isinstance(error, _TryAgain):
        why = str(error)
    else:
        why = translated("the connection broke off again and again")
    return translated("{url} cannot be fetched: {why}; check the URL or try later.").format(
        url=shown(url), why=why
    )


def _copy(url: str, transfer: _Transfer) -> None:
    file_system, path = open_file_system(url, "--recording")
    try:
        described = file_system.info(path)
        if described["type"] != "file":
            raise RecordingError(
                translated("{path} is a folder; name the recordings inside it.").format(
                    path=shown(url)
                )
            )
        total_bytes = int(described.get("size") or 0)
        transfer.expect(total_bytes)
        done_bytes = 0
        with file_system.open(path, "rb") as source, transfer.target.open("wb") as file:
            while block := source.read(_BLOCK_BYTES):
                done_bytes = transfer.write(file, block, done_bytes, total_bytes)
    except InputError:
        raise
    except Exception as error:  # every library has its own
        raise RecordingError(
            translated("{path} cannot be read: {reason}.").format(
                path=shown(url), reason=reason(error)
            )
        ) from None
