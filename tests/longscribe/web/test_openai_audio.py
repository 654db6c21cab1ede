"""OpenAI's audio API: by its official client, and by requests as other programs send them."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from starlette.testclient import TestClient

from longscribe.outputs.partial_texts import PartialTexts
from longscribe.transcript import ChunkTranscript
from longscribe.web.settings import WebSettings
from tests.longscribe.web.fake_backend import FakeBackend, segment
from tests.sounds import wav_bytes

Keys = Callable[..., dict[str, str]]
TEXT = "Good morning to everybody. This is <b>the</b> report on Monday."
TALK = ("talk.wav", wav_bytes(), "audio/wav")


@pytest.fixture
def api(live: str, key_of: Keys) -> Iterator[openai.OpenAI]:
    secret = key_of()["authorization"].removeprefix("Bearer ")
    with openai.OpenAI(base_url=f"{live}/v1", api_key=secret, max_retries=0) as client:
        yield client


def test_the_official_client_gets_every_format(api: openai.OpenAI, backend: FakeBackend) -> None:
    audio = api.audio.transcriptions
    asked: dict[str, Any] = {"file": TALK, "model": "whisper-1"}
    assert audio.create(**asked).text == TEXT
    assert audio.create(**asked, response_format="text").strip() == TEXT
    assert "00:00:02,500 --> " in audio.create(**asked, response_format="srt")
    assert audio.create(**asked, response_format="vtt").startswith("WEBVTT\n")
    verbose = audio.create(
        **asked,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="en",
        prompt="Dr. Szczesny",
        temperature=0.2,
    )
    assert (verbose.language, verbose.duration) == ("english", 5.0)
    assert verbose.segments is not None
    assert [one.start for one in verbose.segments] == [0.0, 2.5]
    assert verbose.words is not None
    assert (verbose.words[0].word, verbose.words[0].start) == ("Good", 0.0)
    last = list(backend.started.values())[-1]
    assert last["initial_prompt"] == "Dr. Szczesny"
    assert (last["language"], last["temperature"]) == ("en", 0.2)
    assert (last["word_timestamps"], last["model"]) == (True, "demo")
    # The same sound with the same parameters: one run, whatever form is asked for.
    assert len(backend.started) == 2
    assert set(backend.queues.values()) == {"clips"}


def test_models_and_translations(api: openai.OpenAI, backend: FakeBackend) -> None:
    names = [model.id for model in api.models.list()]
    assert names[:2] == ["demo", "whisper-1"]
    assert api.models.retrieve("Systran/faster-whisper-base").id == "Systran/faster-whisper-base"
    with pytest.warns(DeprecationWarning, match="deprecated"):  # by the client itself
        english = api.audio.translations.create(file=TALK, model="whisper-small")
    assert english.text == TEXT
    (parameters,) = backend.started.values()
    assert (parameters["task"], parameters["model"]) == ("translate", "small")


def test_text_is_sent_as_chunks_finish(
    api: openai.OpenAI, backend: FakeBackend, settings: WebSettings
) -> None:
    backend.at_once = False

    def work() -> None:
        while not backend.started:
            time.sleep(0.01)
        ((run_id, parameters),) = backend.started.items()
        backend.run(run_id)
        partial = PartialTexts(Path(parameters["output_dir"]) / "talk")
        for index in (1, 0):
            partial.add(chunk(index, f" Chunk {index}."))
        first.wait(10)
        backend.finish(run_id)

    first = threading.Event()
    worker = threading.Thread(target=work)
    worker.start()
    events = []
    for event in api.audio.transcriptions.create(file=TALK, model="whisper-1", stream=True):
        events.append(event)
        if getattr(event, "delta", "") == " Chunk 1.":
            first.set()
    worker.join()
    assert [getattr(one, "delta", None) for one in events] == ["Chunk 0.", " Chunk 1.", None]
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == TEXT


def chunk(index: int, text: str) -> ChunkTranscript:
    return ChunkTranscript(
        index=index,
        language="en",
        language_probability=None,
        segments=(segment(0, 0.0, 1.0, text),),
        seconds=1.0,
        cpu_percent=0.0,
        peak_memory_bytes=0,
        pid=1,
    )


def test_errors_have_the_classes_of_the_client(api: openai.OpenAI, backend: FakeBackend) -> None:
    create = api.audio.transcriptions.create
    with pytest.raises(openai.NotFoundError) as unknown:
        create(file=TALK, model="gpt-5")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError, match="no 'yaml'"):
        create(file=TALK, model="whisper-1", response_format="yaml")  # type: ignore[call-overload]
    with pytest.raises(openai.BadRequestError, match=r"notes\.txt"):
        create(file=("notes.txt", b"no sound at all"), model="whisper-1")
    with pytest.raises(openai.BadRequestError, match="empty"):
        create(file=("empty.wav", b""), model="whisper-1")
    with pytest.raises(openai.AuthenticationError) as refused:
        api.with_options(api_key="ls-guess").models.list()
    assert refused.value.code == "invalid_api_key"
    assert backend.started == {}


def test_a_run_that_fails_says_why(live: str, key_of: Keys, backend: FakeBackend) -> None:
    backend.at_once = False

    def work() -> None:
        while not backend.started:
            time.sleep(0.01)
        (run_id,) = backend.started
        backend.finish(run_id, "failed", "talk.wav has no sound.")

    threading.Thread(target=work).start()
    answer = httpx.post(f"{live}/v1/audio/transcriptions", headers=key_of(), files={"file": TALK})
    assert answer.status_code == 500
    assert "has no sound" in answer.json()["error"]["message"]


def test_hand_made_requests(client: TestClient, key_of: Keys) -> None:
    """As n8n, Open WebUI and curl send them: other orders, no file name, quotes, no types."""
    key = key_of()
    body = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="response_format"\r\n\r\ntext\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="..\\\\..\\\\a\'b.wav"\r\n'
        b"\r\n" + wav_bytes() + b"\r\n--b--\r\n"
    )
    kind = {"content-type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/audio/transcriptions", headers=key | kind, content=body)
    assert answer.text.strip() == TEXT
    assert client.get("/jobs", headers=key).json()[0]["title"] == "a'b.wav"
    wrong = client.post("/v1/audio/transcriptions", headers=key, files={"audio": TALK})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "audio")
    torn = client.post("/v1/audio/transcriptions", headers=key | kind, content=body[:-40])
    assert (torn.status_code, torn.json()["error"]["code"]) == (400, "stopped")
