"""What is left of a recording that was deleted: nothing, as soon as its run has ended."""

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from longscribe.cache.traces import Traces, note_traces, read_word
from longscribe.web.deletions import finish_deletions
from longscribe.web.files import transcript_folder, upload_folder, words_folder
from longscribe.web.settings import WebSettings
from longscribe.web.tables import Deletion
from tests.eventually import eventually
from tests.longscribe.web.conftest import wav
from tests.longscribe.web.fake_backend import FakeBackend

KEY, LATE = "a" * 64, "b" * 64


def job(client: TestClient, headers: dict[str, str]) -> dict[str, str]:
    answer = client.post("/jobs", headers=headers, files={"file": ("talk.wav", wav(1.0))})
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


def left(application: FastAPI) -> int:
    with application.state.services.database.begin() as db:
        return db.query(Deletion).count()


def test_nothing_is_left_here_on_the_server_or_with_the_workers(
    application: FastAPI,
    client: TestClient,
    backend: FakeBackend,
    settings: WebSettings,
    key_of: Callable[..., dict[str, str]],
) -> None:
    headers = key_of()
    made = job(client, headers)
    note_traces(transcript_folder(settings, made["id"]) / "talk", [KEY])
    assert client.delete(f"/jobs/{made['id']}", headers=headers).status_code == 204
    assert eventually(lambda: left(application), lambda there: there == 0) == 0
    assert backend.forgotten == [made["flow_run_id"]]
    word = read_word(words_folder(settings.transcripts) / f"{made['id']}.json")
    assert word is not None
    assert word.traces == Traces(results=(KEY,))
    assert not upload_folder(settings, made["id"]).exists()
    assert not transcript_folder(settings, made["id"]).exists()


def test_what_a_run_writes_while_it_ends_goes_too(
    application: FastAPI,
    client: TestClient,
    settings: WebSettings,
    key_of: Callable[..., dict[str, str]],
) -> None:
    services = application.state.services
    backend = services.backend
    backend.at_once = False
    headers = key_of()
    made = job(client, headers)
    backend.run(made["flow_run_id"])
    backend.cancel = lambda run_id: None  # it takes its time
    folder = transcript_folder(settings, made["id"]) / "talk"
    note_traces(folder, [KEY])
    assert client.delete(f"/jobs/{made['id']}", headers=headers).status_code == 204
    assert client.get(f"/jobs/{made['id']}", headers=headers).status_code == 404
    assert not folder.exists()
    finish_deletions(services)
    assert left(application) == 1
    note_traces(folder, [LATE])
    (folder / ".partial.jsonl").write_text("what was said", encoding="utf-8")
    backend.finish(made["flow_run_id"], "cancelled")
    assert eventually(lambda: left(application), lambda there: there == 0) == 0
    word = read_word(words_folder(settings.transcripts) / f"{made['id']}.json")
    assert word is not None
    assert word.traces == Traces(results=(KEY, LATE))
    assert not folder.exists()


def test_a_server_that_is_away_gets_it_later(
    application: FastAPI,
    client: TestClient,
    backend: FakeBackend,
    settings: WebSettings,
    key_of: Callable[..., dict[str, str]],
) -> None:
    headers = key_of()
    made = job(client, headers)
    assert client.get(f"/jobs/{made['id']}", headers=headers).status_code == 200
    eventually(
        lambda: client.get(f"/jobs/{made['id']}", headers=headers).json()["state"],
        lambda state: state == "done",
    )
    backend.is_away = True
    assert client.delete(f"/jobs/{made['id']}", headers=headers).status_code == 204
    assert not Path(upload_folder(settings, made["id"])).exists()
    assert left(application) == 1
    backend.is_away = False
    assert eventually(lambda: left(application), lambda there: there == 0) == 0
    assert backend.forgotten == [made["flow_run_id"]]
