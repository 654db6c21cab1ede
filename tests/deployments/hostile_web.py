"""Requests of somebody who wants more of the web application than is theirs, and what each gets.

`tests/longscribe/web/test_hostile.py` sends them; `hostile_list.py` lists them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from tests.sounds import wav_bytes

BOUNDARY = "b"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
JSON = {"content-type": "application/json"}
TUS = {"tus-resumable": "1.0.0", "upload-length": "9", "upload-metadata": "filename YS53YXY="}
PATCH = {"tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream"}
NOBODYS = "0" * 32
SOUND = wav_bytes(0.2)


class WebRequest(NamedTuple):
    """One request.

    Attributes:
        what: in words.
        status: of the answer.
        words: in the answer.
        who: sends it: `nobody`, `ana` with a key for all that users may, `reader` with one for
            reading, `bob` with recordings of his own, `browser` with Ana's cookie.
        path: with {anas} for a job of Ana's, {delivery} for a message about it.
        body: as it is sent.
        headers: besides the key.
        method: of HTTP.
    """

    what: str
    status: int
    words: str
    who: str = "ana"
    path: str = "/jobs"
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})
    method: str = "POST"


def form(name: str = "a.wav", content: bytes = SOUND, field: str = "file", **fields: str) -> bytes:
    """The body of a form with a file."""
    parts = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{field}"; filename="{name}"'
    return b"".join(
        [*parts, f"{head}\r\n\r\n".encode(), content, f"\r\n--{BOUNDARY}--\r\n".encode()]
    )


def _upload(what: str, status: int, words: str, body: bytes, path: str = "/jobs") -> WebRequest:
    return WebRequest(what, status, words, path=path, body=body, headers=FORM)


def _read(what: str, status: int, words: str, path: str, who: str = "ana") -> WebRequest:
    return WebRequest(what, status, words, who=who, path=path, method="GET")


_V1 = "/v1/audio/transcriptions"
_BUCKET = b'{"url": "s3://user:secret@bucket/a.wav"}'

TO_THE_WEB_APPLICATION = [
    # Who may come in.
    WebRequest("no key", 401, "Send a key", who="nobody", body=form(), headers=FORM),
    WebRequest(
        "a key that is SQL",
        401,
        "unknown, expired or revoked",
        who="nobody",
        headers={"authorization": "Bearer ls-' OR '1'='1"},
        method="GET",
    ),
    WebRequest("a key in the address", 401, "Send a key", who="nobody", path="/jobs?key=ls-x"),
    WebRequest(
        "a cookie that somebody made up",
        401,
        "Send a key",
        who="nobody",
        headers={"cookie": "longscribe_session=admin"},
        method="GET",
    ),
    WebRequest("a key for reading brings", 403, "scope transcribe", "reader", _V1, form(), FORM),
    WebRequest(
        "a form of another site, with the cookie",
        403,
        "load the page again",
        "browser",
        body=form(),
        headers=FORM,
    ),
    WebRequest(
        "a login from another site",
        403,
        "not from this page",
        "nobody",
        "/login",
        b"name=ana&password=x",
        {"content-type": "application/x-www-form-urlencoded", "origin": "https://evil.example"},
    ),
    # What is another's.
    _read("another's job", 404, "no such recording", "/jobs/{anas}", "bob"),
    _read("another's transcript", 404, "no such recording", "/jobs/{anas}/transcript", "bob"),
    _read("another's events", 404, "no such recording", "/jobs/{anas}/events", "bob"),
    _read("another's callbacks", 404, "no such recording", "/jobs/{anas}/deliveries", "bob"),
    WebRequest("cancel another's", 404, "no such", "bob", "/jobs/{anas}/cancel"),
    WebRequest("delete another's", 404, "no such", "bob", "/jobs/{anas}", method="DELETE"),
    WebRequest(
        "send another's callback again", 404, "no such", "bob", "/jobs/{anas}/deliveries/{delivery}"
    ),
    _read("an identifier that is SQL", 404, "no such recording", "/jobs/' OR 1=1 --"),
    _read("a path for an identifier", 404, "nothing here", "/jobs/..%2f..%2fetc%2fpasswd"),
    _read("a state that is SQL", 200, "[]", "/jobs?state=done' OR '1'='1"),
    _read("files beside the static ones", 404, "nothing here", "/static/..%2f..%2fsettings.py"),
    # What is no recording.
    _upload("no recording at all", 400, "is not a recording", form("a.wav", b"hello" * 100)),
    _upload("an empty file", 400, "is empty", form("a.wav", b"")),
    _upload("a file in another field", 400, "it goes into 'file'", form(field="audio")),
    _upload("a form without a file", 400, "Send the recording", form()[:0] + b"--b--\r\n"),
    _upload("a form that ends in the middle", 400, "stopped", form()[:-20]),
    _upload("no form inside", 400, "cannot be read", b"\x00" * 100),
    _upload(
        "a list of files elsewhere",
        400,
        "is not a recording",
        form("a.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
    ),
    WebRequest("JSON of no kind", 400, "JSON", body=b"{", headers=JSON),
    WebRequest("a type that there is not", 415, "multipart/form-data", body=b"x"),
    WebRequest(
        "100 GB, as it says", 413, "larger than", headers={**FORM, "content-length": "100000000000"}
    ),
    _upload("2 MB of prompt", 413, "fields of the form", form(initial_prompt="x" * 2_000_000)),
    _upload("a thousand fields", 400, "too many fields", form(**{f"f{n}": "" for n in range(999)})),
    # What would have the worker do other things.
    _upload("a file of the worker's for a model", 400, "no model", form(model="/etc/passwd")),
    _upload("a file of the worker's for words", 400, "outside", form(hotwords="/etc/passwd")),
    _upload("another place for the transcript", 400, "no parameter", form(output_dir="/etc")),
    _upload("another recording", 400, "no parameter", form(recording="/etc/passwd")),
    _upload("a value out of its range", 400, "less than or equal", form(temperature="9")),
    WebRequest("a path for a URL", 400, "give a URL", body=b'{"url": "/etc/passwd"}', headers=JSON),
    WebRequest(
        "a scheme that reads files",
        400,
        "not a kind of URL",
        body=b'{"url": "file:///etc/passwd"}',
        headers=JSON,
    ),
    WebRequest("a password in a URL", 400, "password", body=_BUCKET, headers=JSON),
    _upload(
        "a callback into the worker's files",
        400,
        "callback_url",
        form(callback_url="file:///etc/passwd"),
    ),
    # OpenAI's API.
    _upload("a model that there is not", 404, "does not exist", form(model="gpt-9"), _V1),
    _upload("a field that there is not", 400, "no field", form(nonsense="1"), _V1),
    _upload("a form that there is not", 400, "choose from", form(response_format="exe"), _V1),
    # Uploads that are resumed.
    WebRequest(
        "bytes for an upload of nobody's",
        404,
        "",
        path=f"/uploads/{NOBODYS}",
        body=b"x",
        headers={**PATCH, "upload-offset": "0"},
        method="PATCH",
    ),
    WebRequest(
        "bytes before anybody says who",
        401,
        "Send a key",
        "nobody",
        f"/uploads/{NOBODYS}",
        b"x",
        {**PATCH, "upload-offset": "0"},
        "PATCH",
    ),
    WebRequest(
        "others' files joined to one",
        400,
        "not offered",
        path="/uploads",
        headers={**TUS, "upload-concat": f"final;/uploads/{NOBODYS}"},
    ),
    WebRequest(
        "100 TB that are to come",
        413,
        "larger than",
        path="/uploads",
        headers={**TUS, "upload-length": "100000000000000"},
    ),
]
