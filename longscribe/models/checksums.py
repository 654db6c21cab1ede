"""The sha256 of files of weights, which take seconds to read: kept between runs.

A file counts as unchanged while its size, its place (device and inode) and its times of writing and
of any change are what they were, as for Git's index. The second of these times no program can set,
so a file that was replaced by one with the same date is told as well.
"""

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from longscribe.cache.atomic_file import replace_file
from longscribe.cache.folder import digests_folder, mark_used
from longscribe.models.checkpoint import sha256_of

# A file written to again in the same tick of the file system's clock would look unchanged (racy, as
# Git says): the digest of one that has just changed is not kept. Some file systems count in 2 s.
_SETTLED_AFTER_S: Final = 3.0


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)

    size_bytes: int
    device: int
    inode: int
    written_ns: int
    changed_ns: int
    sha256: str


def kept_sha256(path: Path, check: Callable[[Path], None] | None = None) -> str:
    """The sha256 of a file in hex, read again only when the file has changed.

    Args:
        path: of the file.
        check: is called before the file is read, not where its digest is known.

    Raises:
        OSError: the file cannot be read.
    """
    record = digests_folder() / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()}.json"
    before = path.stat()
    with suppress(OSError, ValidationError):
        kept = _Kept.model_validate_json(record.read_bytes())
        if kept == _kept(before, kept.sha256):
            mark_used(record)
            return kept.sha256
    if check is not None:
        check(path)
    sha256 = sha256_of(path)
    is_settled = time.time() - before.st_ctime > _SETTLED_AFTER_S
    if is_settled and _kept(before, sha256) == _kept(path.stat(), sha256):
        with suppress(OSError):
            record.parent.mkdir(parents=True, exist_ok=True)
            replace_file(record, _kept(before, sha256).model_dump_json().encode())
    return sha256


def _kept(status: os.stat_result, sha256: str) -> _Kept:
    return _Kept(
        size_bytes=status.st_size,
        device=status.st_dev,
        inode=status.st_ino,
        written_ns=status.st_mtime_ns,
        changed_ns=status.st_ctime_ns,
        sha256=sha256,
    )
