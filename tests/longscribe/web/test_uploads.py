"""Uploads that go on after a lost connection, and what is in front of the library for them."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from longscribe.web.routes.uploads import OneAtATime
from longscribe.web.settings import WebSettings
from tests.eventually import eventually
from tests.longscribe.web.fake_backend import FakeBackend
from tests.sounds import wav_bytes

Keys = Callable[..., dict[str, str]]
TUS = {"tus-resumable": "1.0.0"}
PART = {**TUS, "content-type": "application/offset+octet-stream"}
SOUND = wav_bytes(3.0)


def metadata(**pairs: str) -> dict[str, str]:
    said = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in pairs.items())
    return {**TUS, "upload-metadata": said, "upload-length": str(len(SOUND))}


def test_an_upload_goes_on_where_it_stopped(
    client: TestClient, key_of: Keys, backend: FakeBackend, settings: WebSettings
) -> None:
    key = key_of()
    asked = metadata(filename="../../Talk <b>.wav", parameters=json.dumps({"language": "en"}))
    made = client.post("/uploads", headers=key | asked)
    assert made.status_code == 201, made.text
    place = httpx.URL(made.headers["location"]).path
    client.patch(place, headers=key | PART | {"upload-offset": "0"}, content=SOUND[:1000])
    there = client.head(place, headers=key | TUS)
    assert there.headers["upload-offset"] == "1000"
    torn = client.patch(place, headers=key | PART | {"upload-offset": "500"}, content=SOUND[500:])
    assert torn.status_code == 409
    assert backend.started == {}
    rest = key | PART | {"upload-offset": "1000"}
    assert client.patch(place, headers=rest, content=SOUND[1000:]).status_code == 204
    job = place.rpartition("/")[2]
    told = client.get(f"/jobs/{job}", headers=key).json()
    assert (told["title"], told["parameters"]["language"]) == ("Talk <b>.wav", "en")
    (parameters,) = backend.started.values()
    assert Path(parameters["recording"]).read_bytes() == SOUND
    assert Path(parameters["recording"]).parent == settings.uploads / job
    # The answer to the last part was lost: the client asks, and may send nothing again.
    there = client.head(place, headers=key | TUS)
    assert there.headers["upload-offset"] == str(len(SOUND))
    last = key | PART | {"upload-offset": str(len(SOUND))}
    assert client.patch(place, headers=last, content=b"").status_code == 204
    assert len(backend.started) == 1
    eventually(
        lambda: client.get(f"/jobs/{job}", headers=key).json(), lambda seen: seen["state"] == "done"
    )
    client.delete(f"/jobs/{job}", headers=key)
    assert not [path for path in settings.uploads.rglob("*") if path.is_file() and job in str(path)]


def test_what_is_no_recording_is_gone(
    client: TestClient, key_of: Keys, settings: WebSettings
) -> None:
    key = key_of()
    asked = metadata(filename="notes.wav") | {"upload-length": "5"}
    place = httpx.URL(client.post("/uploads", headers=key | asked).headers["location"]).path
    answer = client.patch(place, headers=key | PART | {"upload-offset": "0"}, content=b"hello")
    assert answer.status_code == 400
    assert "notes.wav" in answer.json()["detail"]
    assert client.head(place, headers=key | TUS).status_code == 404


def test_nothing_is_written_for_who_may_not(
    client: TestClient, key_of: Keys, settings: WebSettings
) -> None:
    ana, bob = key_of("ana"), key_of("bob")
    place = httpx.URL(
        client.post("/uploads", headers=ana | metadata(filename="a.wav")).headers["location"]
    ).path
    part: dict[str, Any] = {"content": SOUND}
    for who in ({}, bob, key_of("carl", "read")):
        answer = client.patch(place, headers={**who, **PART, "upload-offset": "0"}, **part)
        assert answer.status_code in (401, 403, 404)
        assert client.delete(place, headers={**who, **TUS}).status_code in (401, 403, 404)
    assert client.head(place, headers=ana | TUS).headers["upload-offset"] == "0"


@pytest.mark.parametrize(
    ("changed", "content", "status"),
    [
        ({"upload-length": "0"}, b"", 400),
        ({"upload-length": "99999999999999"}, b"", 413),
        ({"upload-concat": "final;../../etc/passwd"}, b"", 400),
        ({"x-http-method-override": "PATCH"}, b"", 405),
        ({"upload-defer-length": "1"}, b"", 400),
        ({}, b"with the first request", 400),
        ({"upload-metadata": ""}, b"", 400),
        ({"upload-metadata": "filename YS53YXY=,parameters eyJtb2RlbCI6ICIvZXRjIn0="}, b"", 400),
        ({"tus-resumable": "0.2"}, b"", 412),
    ],
)
def test_what_is_refused_before_a_byte_comes(
    client: TestClient, key_of: Keys, changed: dict[str, str], content: bytes, status: int
) -> None:
    headers = key_of() | metadata(filename="a.wav") | changed
    answer = client.post("/uploads", headers=headers, content=content)
    assert answer.status_code == status, answer.text
    assert (
        client.head("/uploads/..%2f..%2fweb.sqlite", headers=key_of("x") | TUS).status_code == 404
    )


def test_a_later_request_takes_over_from_one_that_hangs() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((await receive())["type"])

    async def silent() -> Any:
        await asyncio.Event().wait()

    async def speaks() -> Any:
        return {"type": "http.request"}

    async def both() -> None:
        guarded = OneAtATime(app, idle_s=30)
        scope = {"type": "http", "path": f"/uploads/{'0' * 32}"}
        hangs = asyncio.create_task(guarded(scope, silent, None))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        await guarded(scope, speaks, None)  # type: ignore[arg-type]
        await hangs
        await OneAtATime(app, idle_s=0.05)(scope, silent, None)  # type: ignore[arg-type]

    asyncio.run(both())
    assert seen == ["http.disconnect", "http.request", "http.disconnect"]


def test_a_connection_that_is_cut_keeps_what_came(live: str, key_of: Keys) -> None:
    key = key_of()
    made = httpx.post(f"{live}/uploads", headers=key | metadata(filename="a.wav"))
    place = made.headers["location"]

    def parts() -> Any:
        yield SOUND[:2000]
        time.sleep(0.2)
        raise ConnectionResetError

    headers = key | PART | {"upload-offset": "0", "content-length": str(len(SOUND))}
    with pytest.raises(ConnectionResetError):
        httpx.patch(place, headers=headers, content=parts())
    offset = eventually(
        lambda: int(httpx.head(place, headers=key | TUS).headers["upload-offset"]),
        lambda seen: seen > 0,
    )
    assert offset == 2000
    rest = key | PART | {"upload-offset": "2000"}
    assert httpx.patch(place, headers=rest, content=SOUND[2000:]).status_code == 204
