"""Jobs over HTTP, with a backend of the tests' own."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

from starlette.testclient import TestClient

from longscribe.web.settings import WebSettings
from tests.eventually import eventually
from tests.longscribe.web.fake_backend import FakeBackend
from tests.sounds import wav_bytes

Keys = Callable[..., dict[str, str]]
FILE = {"file": ("Monday talk.wav", wav_bytes(), "audio/wav")}


def test_a_recording_goes_in_and_its_transcript_comes_out(
    client: TestClient, key_of: Keys, backend: FakeBackend, settings: WebSettings
) -> None:
    key = key_of()
    answer = client.post("/jobs", headers=key, files=FILE, data={"language": "en", "beam_size": 2})
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert job["title"] == "Monday talk.wav"
    ((run_id, parameters),) = backend.started.items()
    assert (job["flow_run_id"], parameters["language"], parameters["beam_size"]) == (
        run_id,
        "en",
        2,
    )
    assert Path(parameters["recording"]).read_bytes() == FILE["file"][1]
    assert list((settings.uploads / "incoming").iterdir()) == []
    told = eventually(
        lambda: client.get(f"/jobs/{job['id']}", headers=key).json(),
        lambda told: told["state"] == "done",
    )
    assert (told["language"], told["duration_s"], told["percent"]) == ("en", 5.0, 100.0)
    assert told["chunks"] == [{"chunk": 1, "state": "done"}]
    for format_, words in (("txt", "Good morning"), ("srt", "00:00:02,500 -->"), ("json", "text")):
        url = f"/jobs/{job['id']}/transcript?format={format_}"
        assert words in client.get(url, headers=key).text
    assert [one["id"] for one in client.get("/jobs", headers=key).json()] == [job["id"]]


def test_the_same_idempotency_key_gives_the_same_job(
    client: TestClient, key_of: Keys, backend: FakeBackend, settings: WebSettings
) -> None:
    key = key_of() | {"idempotency-key": "a-1"}
    first, again = (client.post("/jobs", headers=key, files=FILE).json() for _ in range(2))
    assert first["id"] == again["id"]
    assert len(backend.started) == 1
    assert {path.name for path in settings.uploads.iterdir()} == {"incoming", first["id"]}


def test_events_tell_of_a_job_until_it_has_ended(
    client: TestClient, key_of: Keys, backend: FakeBackend
) -> None:
    backend.at_once = False
    key = key_of()
    job = client.post("/jobs", headers=key, files=FILE).json()
    backend.run(job["flow_run_id"])
    # The client gives an answer when it is whole: somebody else has to finish the run.
    threading.Timer(2.5, backend.finish, [job["flow_run_id"]]).start()
    answer = client.get(f"/jobs/{job['id']}/events", headers=key)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    states = [(one["state"], one["percent"], one["left_s"]) for one in told]
    assert ("running", 40.0, 12.5) in states
    assert states[-1] == ("done", 100.0, None)


def test_a_job_says_which_networks_tell_voices_apart_and_names_no_folder(
    client: TestClient, key_of: Keys, backend: FakeBackend
) -> None:
    key, asked = key_of(), {"speakers": "auto", "diarization_model": "community-1"}
    assert client.post("/jobs", headers=key, files=FILE, data=asked).status_code == 201
    ((_, parameters),) = backend.started.items()
    assert parameters["diarization_model"] == "community-1"
    asked["diarization_model"] = "/srv/models/copy"
    answer = client.post("/jobs", headers=key, files=FILE, data=asked)
    assert answer.status_code == 400
    assert "--diarization-model: a folder is code" in answer.text
    assert len(backend.started) == 1


def test_all_calls_are_described(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]
    assert "multipart/form-data" in str(described["/v1/audio/transcriptions"])
    assert "application/json" in str(described["/jobs"])
    page = client.get("/reference").text
    assert "POST /v1/audio/transcriptions" in page
    assert "https://" not in page  # nothing is fetched from elsewhere
