"""Bytes of large files, resumed where an earlier try broke off."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

OnProgress = Callable[[int, int], None]  # bytes so far, bytes in all (0 when unknown)
# Given headers, a response that is being streamed: of httpx, or of what huggingface_hub has.
Stream = Callable[[Mapping[str, str]], AbstractContextManager[Any]]

_PARTIAL_CONTENT: Final = 206
_RANGE_NOT_SATISFIABLE: Final = 416


def fetch_resuming(
    stream: Stream,
    part: Path,
    on_progress: OnProgress | None = None,
    *,
    broke_off: Callable[[Exception], bool],
    raise_for_status: Callable[[Any], object],
) -> None:
    """Fetch the rest of a file, and go on after every break for as long as each brings something.

    Args:
        stream: asks for the file.
        part: what is there of it; the rest is written behind it.
        on_progress: called as bytes arrive.
        broke_off: whether an exception means that the connection did.
        raise_for_status: raises what a bad answer means.
    """
    while True:
        before_bytes = size_bytes(part)
        try:
            return _fetch(stream, part, on_progress, raise_for_status)
        except Exception as error:
            if not broke_off(error) or size_bytes(part) <= before_bytes:
                raise


def size_bytes(part: Path) -> int:
    """What is there of a file, 0 if nothing."""
    return part.stat().st_size if part.is_file() else 0


def _fetch(
    stream: Stream,
    part: Path,
    on_progress: OnProgress | None,
    raise_for_status: Callable[[Any], object],
) -> None:
    have_bytes = size_bytes(part)
    headers = {"Accept-Encoding": "identity"}
    if have_bytes:
        headers["Range"] = f"bytes={have_bytes}-"
    with stream(headers) as response:
        if have_bytes and response.status_code == _RANGE_NOT_SATISFIABLE:
            return  # all of it was here already; the digest decides
        raise_for_status(response)
        resumed = response.status_code == _PARTIAL_CONTENT
        done_bytes = have_bytes if resumed else 0
        total_bytes = done_bytes + int(response.headers.get("Content-Length", 0))
        with part.open("ab" if resumed else "wb") as file:
            for block in response.iter_raw():
                file.write(block)
                done_bytes += len(block)
                if on_progress:
                    on_progress(done_bytes, total_bytes)
