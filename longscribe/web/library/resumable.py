"""Uploads that go on after a lost connection: the tus protocol 1.0.0, its core and its creation.

The browser's side is tus-js-client. There is a server for FastAPI, tuspyserver 4.4; it writes what
comes to the disk before it asks who sends it, and lets whoever knows an upload's name write to it.
What is left of the protocol without its extensions is this file.
"""

import asyncio
import base64
import binascii
import contextlib
import errno
import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from longscribe.web.arrivals import job_of_upload
from longscribe.web.callers import Caller
from longscribe.web.files import safe_name
from longscribe.web.jobs import largest_bytes, too_large
from longscribe.web.problems import Problem
from longscribe.web.services import Services
from longscribe.web.tables import Recording, new_id
from longscribe.web.uploads import UploadedFile
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

VERSION: Final = "1.0.0"
_BLOCK_BYTES: Final = 1 << 20
_LARGEST_METADATA: Final = 8000  # characters of the header
_MOST_PER_USER: Final = 200
_ABANDONED_S: Final = 7 * 86_400.0


class Begun(BaseModel):
    """What is known of an upload that has begun, kept beside it.

    Attributes:
        name: that the sender gave the file, made safe.
        title: the name as it was given.
    """

    id: str
    user_id: str
    name: str
    title: str
    size_bytes: int
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Upload:
    """An upload on the disk."""

    begun: Begun
    folder: Path

    @property
    def path(self) -> Path:
        """The file that grows."""
        return self.folder / "sound" / self.begun.name

    @property
    def offset_bytes(self) -> int:
        """How much has come."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def is_complete(self) -> bool:
        """Whether all has come."""
        return self.offset_bytes == self.begun.size_bytes

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While the block lasts, no other request writes to it.

        Raises:
            Problem: 423, another does.
        """
        with (self.folder / "begun.json").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sentence = translated("Another request sends this recording.")
                raise Problem(423, sentence, code="locked") from None
            yield

    def remove(self) -> None:
        """Remove it from the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)


class ResumableUploads:
    """The uploads that have begun and are not recordings yet.

    Args:
        services: of the application.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._folder = services.settings.uploads / "resumable"

    def begin(self, caller: Caller, length: str | None, metadata: str) -> Upload:
        """Begin one.

        Args:
            caller: who sends it.
            length: the header Upload-Length.
            metadata: the header Upload-Metadata: `filename`, and `parameters` in JSON.

        Raises:
            Problem: a header is wrong, it is too large, or too many have begun.
        """
        if length is None or not length.isdecimal() or int(length) == 0:
            sentence = translated("Say how long the recording is (Upload-Length).")
            raise Problem(400, sentence, field="Upload-Length", code="invalid_value")
        largest = largest_bytes(self._services.settings, caller)
        if int(length) > largest:
            raise too_large(largest)
        given = _metadata(metadata)
        parameters = _parameters(given.get("parameters", ""))
        self._remove_abandoned()
        if sum(one.begun.user_id == caller.user.id for one in self._all()) >= _MOST_PER_USER:
            sentence = translated("Too many uploads have begun; finish some of them first.")
            raise Problem(429, sentence, code="too_many_uploads", headers={"retry-after": "60"})
        title = given.get("filename", "")
        begun = Begun(
            id=new_id(),
            user_id=caller.user.id,
            name=safe_name(title),
            title=title[:300],
            size_bytes=int(length),
            parameters=parameters,
        )
        upload = Upload(begun, self._folder / begun.id)
        try:
            upload.path.parent.mkdir(parents=True)
            upload.path.touch()
            (upload.folder / "begun.json").write_text(begun.model_dump_json(), encoding="utf-8")
        except OSError as error:
            raise _no_room(error) from None
        return upload

    def find(self, caller: Caller, upload_id: str) -> Upload:
        """One that the caller has begun.

        Raises:
            Problem: 404, there is none, or it is somebody else's.
        """
        found = self._read(self._folder / upload_id) if upload_id.isalnum() else None
        if found is None or found.begun.user_id != caller.user.id:
            raise Problem(404, translated("There is no such upload."), code="not_found")
        return found

    async def append(self, upload: Upload, offset: str, stream: AsyncIterator[bytes]) -> None:
        """Write what comes to the end; what came before a connection broke is kept.

        Raises:
            Problem: 409, the offset is another; 423, another request writes to it.
        """
        if offset != str(upload.offset_bytes):
            sentence = translated("{bytes} bytes of this recording have come so far.")
            raise Problem(409, sentence.format(bytes=upload.offset_bytes), code="offset")
        left = upload.begun.size_bytes - upload.offset_bytes
        pending = bytearray()
        try:
            with upload.alone(), upload.path.open("ab") as file:
                try:
                    async for block in stream:
                        left -= len(block)
                        if left < 0:
                            raise too_large(upload.begun.size_bytes)
                        pending += block
                        if len(pending) >= _BLOCK_BYTES:
                            await asyncio.to_thread(file.write, bytes(pending))
                            pending.clear()
                finally:
                    file.write(pending)
        except ClientDisconnect:
            raise Problem(400, translated("The upload stopped."), code="stopped") from None
        except OSError as error:
            raise _no_room(error) from None

    def finish(self, caller: Caller, upload: Upload) -> Recording:
        """Make a complete upload a recording, and start its run.

        Raises:
            Problem: it is no recording, or a limit; then it is gone.
        """
        with upload.alone():
            digest = hashlib.sha256()
            with upload.path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
            arrived = UploadedFile(
                upload.begun.id,
                upload.path,
                upload.begun.name,
                upload.begun.size_bytes,
                digest.hexdigest(),
            )
            try:
                return job_of_upload(
                    self._services,
                    caller,
                    arrived,
                    "file",
                    "page",
                    upload.begun.parameters,
                    title=upload.begun.title,
                )
            finally:
                upload.remove()

    def _all(self) -> list[Upload]:
        folders = self._folder.iterdir() if self._folder.is_dir() else ()
        return [upload for folder in folders if (upload := self._read(folder))]

    def _read(self, folder: Path) -> Upload | None:
        try:
            text = (folder / "begun.json").read_text(encoding="utf-8")
            return Upload(Begun.model_validate_json(text), folder)
        except (OSError, ValueError):
            return None

    def _remove_abandoned(self) -> None:
        before_s = time.time() - _ABANDONED_S
        for upload in self._all():
            with contextlib.suppress(OSError):
                if upload.path.stat().st_mtime < before_s:
                    upload.remove()


def _metadata(header: str) -> dict[str, str]:
    """The pairs of Upload-Metadata: names, and values in base64."""
    found: dict[str, str] = {}
    if len(header) > _LARGEST_METADATA:
        sentence = translated("The header Upload-Metadata is too long.")
        raise Problem(400, sentence, field="Upload-Metadata", code="invalid_value")
    for pair in header.split(","):
        name, _, value = pair.strip().partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode("utf-8", "replace")
        except binascii.Error:
            sentence = translated("The header Upload-Metadata cannot be read.")
            raise Problem(400, sentence, field="Upload-Metadata", code="invalid_value") from None
    return found


def _parameters(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text or "{}")
    except ValueError:
        given = None
    if not isinstance(given, dict):
        sentence = translated("parameters: give one JSON object.")
        raise Problem(400, sentence, field="parameters", code="invalid_value")
    return {str(name): value for name, value in given.items() if value not in ("", None)}


def _no_room(error: OSError) -> Problem:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        sentence = translated("There is no room for the recording; try again later.")
        return Problem(507, sentence, code="disk_full")
    sentence = translated("The recording cannot be kept: {why}.").format(why=told(error))
    return Problem(500, sentence, code="cannot_keep")
