"""Recordings that come as a form, written to their place on the disk as they arrive.

Starlette's own parser spools a file in the temporary folder first, to be copied from there: hours
of recording would be written twice, on a disk that may be small.
"""

import asyncio
import contextlib
import errno
import hashlib
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from longscribe.web.files import safe_name, upload_folder
from longscribe.web.jobs import too_large
from longscribe.web.problems import Problem
from longscribe.web.settings import WebSettings
from longscribe.web.tables import new_id
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

_BLOCK_BYTES: Final = 1 << 20
_MOST_FIELDS: Final = 200
_LARGEST_FIELDS_BYTES: Final = 1 << 20  # all of them together
_AROUND_BYTES: Final = 2 * _LARGEST_FIELDS_BYTES  # of a form, besides its file
# Below this for a minute nobody is sending, somebody is holding a connection.
_SLOWEST_BYTES_PER_S: Final = 1000.0
_SLOW_AFTER_S: Final = 60.0


class UploadedFile(NamedTuple):
    """A file that has arrived whole.

    Attributes:
        recording_id: under which it is kept, in `files.upload_folder` once it is `placed`.
        path: where it is.
        name: that the sender gave it, made safe.
        digest: SHA-256 of what is in it.
    """

    recording_id: str
    path: Path
    name: str
    size_bytes: int
    digest: str


class Form(NamedTuple):
    """A form: its fields, and its file if there was one."""

    fields: dict[str, list[str]]
    file: UploadedFile | None

    def first(self, name: str, default: str = "") -> str:
        """The value of a field; the first of several."""
        return self.fields.get(name, [default])[0]

    def needed_file(self, field: str) -> UploadedFile:
        """The file.

        Raises:
            Problem: 400, there is none, or nothing is in it.
        """
        if self.file is None:
            sentence = translated("Send the recording in the field {field!r} of a form.")
            raise Problem(400, sentence.format(field=field), field=field, code="missing_file")
        if self.file.size_bytes == 0:
            sentence = translated("The recording is empty.")
            raise Problem(400, sentence, field=field, code="empty_file")
        return self.file


@contextlib.asynccontextmanager
async def receiving(
    request: Request, settings: WebSettings, field: str, largest_bytes: int
) -> AsyncIterator[Form]:
    """The form of a request; its file is gone when the block ends, if it was not `placed`.

    Args:
        request: with a body of type multipart/form-data.
        settings: of the application.
        field: in which the file comes; one in another is refused.
        largest_bytes: of the file.

    Raises:
        Problem: it is no such form, too large, too slow, stopped, or there is no room for it.
    """
    boundary = _boundary(request)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > largest_bytes + _AROUND_BYTES:
        raise too_large(largest_bytes)
    incoming = settings.uploads / "incoming" / new_id()
    reader = _FormReader(incoming, field, largest_bytes)
    try:
        await _read(request, reader, MultipartParser(boundary, reader.callbacks()), settings.idle_s)
        yield reader.form()
    finally:
        reader.close()
        shutil.rmtree(incoming, ignore_errors=True)


def placed(settings: WebSettings, file: UploadedFile) -> Path:
    """Give a file that arrived its place for good; the path there."""
    folder = upload_folder(settings, file.recording_id)
    folder.parent.mkdir(parents=True, exist_ok=True)
    file.path.parent.replace(folder)
    return folder / file.path.name


async def _read(
    request: Request, reader: "_FormReader", parser: MultipartParser, idle_s: float
) -> None:
    started_s, received = time.monotonic(), 0
    stream = request.stream()
    try:
        while True:
            try:
                block = await asyncio.wait_for(anext(stream), idle_s)
            except StopAsyncIteration:
                break
            received += len(block)
            elapsed_s = time.monotonic() - started_s
            if elapsed_s > _SLOW_AFTER_S and received < elapsed_s * _SLOWEST_BYTES_PER_S:
                raise TimeoutError
            parser.write(block)
            await reader.write_out(_BLOCK_BYTES)
        parser.finalize()
        await reader.write_out(1)
    except TimeoutError:
        sentence = translated("The upload came too slowly; send it again.")
        raise Problem(408, sentence, code="too_slow", headers={"connection": "close"}) from None
    except ClientDisconnect:
        raise Problem(400, translated("The upload stopped."), code="stopped") from None
    except FormParserError as error:
        sentence = translated("The form cannot be read: {why}.").format(
            why=str(error).rstrip(".")[:200]
        )
        raise Problem(400, sentence, code="invalid_form") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sentence = translated("There is no room for the recording; try again later.")
            raise Problem(507, sentence, code="disk_full") from None
        sentence = translated("The recording cannot be kept: {why}.").format(why=told(error))
        raise Problem(500, sentence, code="cannot_keep") from None
    if not reader.is_complete:
        raise Problem(400, translated("The upload stopped."), code="stopped")


class _FormReader:
    """Takes what the parser finds: fields into memory, the file onto the disk."""

    def __init__(self, folder: Path, field: str, largest_bytes: int) -> None:
        self.is_complete = False
        self._folder = folder
        self._field = field
        self._largest_bytes = largest_bytes
        self._fields: dict[str, list[str]] = {}
        self._fields_bytes = 0
        self._header = self._value = b""
        self._disposition = b""
        self._part = ""
        self._text = bytearray()
        self._file: IO[bytes] | None = None
        self._in_file = False
        self._path = Path()
        self._name = ""
        self._size_bytes = 0
        self._digest = hashlib.sha256()
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_end": self._end,
        }

    def form(self) -> Form:
        file = None
        if self._file is not None:
            self._file.close()
            file = UploadedFile(
                self._folder.name,
                self._path,
                self._name,
                self._size_bytes,
                self._digest.hexdigest(),
            )
        return Form(self._fields, file)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    async def write_out(self, at_least_bytes: int) -> None:
        """Write what has come, if it is as much as this."""
        if self._pending_bytes >= at_least_bytes:
            pending, self._pending, self._pending_bytes = self._pending, [], 0
            await asyncio.to_thread(self._write, b"".join(pending))

    def _write(self, block: bytes) -> None:
        assert self._file is not None
        self._digest.update(block)
        self._file.write(block)

    def _begin(self) -> None:
        self._header = self._value = self._disposition = b""
        self._text.clear()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._part = options.get(b"name", b"").decode(errors="replace")
        self._in_file = b"filename" in options
        if not self._in_file:
            return
        if self._part != self._field:
            sentence = translated("There is a file in the field {given!r}; it goes into {field!r}.")
            raise Problem(
                400,
                sentence.format(given=self._part[:80], field=self._field),
                field=self._part[:80],
                code="wrong_field",
            )
        if self._file is not None:
            sentence = translated("Send one recording at a time.")
            raise Problem(400, sentence, field=self._field, code="several_files")
        self._name = safe_name(options[b"filename"].decode(errors="replace"))
        self._folder.mkdir(parents=True)
        self._path = self._folder / self._name
        self._file = self._path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        block = data[start:end]
        if self._in_file:
            self._size_bytes += len(block)
            if self._size_bytes > self._largest_bytes:
                raise too_large(self._largest_bytes)
            self._pending.append(block)
            self._pending_bytes += len(block)
            return
        self._fields_bytes += len(block)
        if self._fields_bytes > _LARGEST_FIELDS_BYTES:
            sentence = translated("The fields of the form are too large.")
            raise Problem(413, sentence, field=self._part[:80], code="fields_too_large")
        self._text += block

    def _end_part(self) -> None:
        if self._in_file:
            return
        if sum(map(len, self._fields.values())) >= _MOST_FIELDS:
            raise Problem(400, translated("The form has too many fields."), code="too_many_fields")
        self._fields.setdefault(self._part, []).append(self._text.decode(errors="replace"))

    def _end(self) -> None:
        self.is_complete = True


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        sentence = translated("Send a form of the type multipart/form-data.")
        raise Problem(415, sentence, code="unsupported_media_type")
    return boundary
