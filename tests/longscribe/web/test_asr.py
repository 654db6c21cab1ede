"""whisper-asr-webservice's dialect, as Bazarr sends it."""

from collections.abc import Callable
from pathlib import Path

from starlette.testclient import TestClient

from longscribe.audio.recording import probe
from tests.longscribe.web.fake_backend import FakeBackend
from tests.sounds import wav_bytes

Keys = Callable[..., dict[str, str]]


def test_bazarrs_calls(client: TestClient, key_of: Keys, backend: FakeBackend) -> None:
    """https://github.com/morpheus65535/bazarr, whisperai.py: raw samples, all in the address."""
    key = key_of()
    raw = {"audio_file": wav_bytes(3.0)[44:]}
    asked = {"output": "srt", "encode": "false", "task": "transcribe", "language": "en"}
    answer = client.post("/asr", params=asked, headers=key, files=raw)
    assert answer.status_code == 200, answer.text
    assert "00:00:02,500 --> " in answer.text
    (parameters,) = backend.started.values()
    assert (parameters["language"], parameters["task"]) == ("en", "transcribe")
    assert probe(Path(parameters["recording"])).declared_duration_s == 3.0

    detected = client.post(
        "/detect-language",
        params={"encode": "false", "detect_lang_length": 2, "detect_lang_offset": 0.5},
        headers=key,
        files=raw,
    )
    assert detected.json()["language_code"] == "en"
    assert detected.json()["detected_language"] == "english"
    _, parameters = backend.started.values()
    assert probe(Path(parameters["recording"])).declared_duration_s == 2.0


def test_recordings_in_containers(client: TestClient, key_of: Keys, backend: FakeBackend) -> None:
    key = key_of()
    file = {"audio_file": ("film.mkv.wav", wav_bytes(3.0), "video/x-matroska")}
    assert "Good morning" in client.post("/asr", headers=key, files=file).text
    client.post("/detect-language?detect_lang_length=1", headers=key, files=file)
    part = Path(list(backend.started.values())[-1]["recording"])
    assert probe(part).declared_duration_s == 1.0
    noise = {"audio_file": ("x.mp3", b"nothing to hear", "audio/mpeg")}
    refused = client.post("/detect-language", headers=key, files=noise)
    assert refused.status_code == 400
    assert "x.mp3" in refused.json()["detail"]


def test_what_there_is_not(client: TestClient, key_of: Keys) -> None:
    key = key_of()
    file = {"audio_file": ("a.wav", wav_bytes(), "audio/wav")}
    wrong = client.post("/asr?output=exe", headers=key, files=file)
    assert (wrong.status_code, wrong.json()["field"]) == (422, "output")
    language = client.post("/asr?language=klingon", headers=key, files=file)
    assert (language.status_code, language.json()["field"]) == (400, "language")
