"""Sweeps of an inbox against a real server: each recording gets one run, and ends somewhere."""

import hashlib
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments import run_deployment
from prefect.states import Cancelled, Completed, Crashed, Failed, Running, State

from longscribe.errors import OptionError
from longscribe.flows.inbox import inbox
from longscribe.tasks import start_runs


class Drop:
    """An inbox of one test, and its runs on the server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "inbox"
        self.out = folder / "out"
        self.folder.mkdir()

    def put(self, name: str, content: bytes | None = None) -> str:
        """Drop a recording; its tag."""
        content = str(self.folder / name).encode() if content is None else content
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)
        return f"recording:{hashlib.sha256(content).hexdigest()[:12]}"

    def sweep(self, **parameters: Any) -> None:
        inbox(folder=str(self.folder), output_dir=str(self.out), settle_minutes=0, **parameters)

    def files(self) -> list[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.folder)) for path in found)


@pytest.fixture
def drop(deployed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drop:
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path / "ledger"))
    return Drop(tmp_path)


def runs(*tags: str) -> list[FlowRun]:
    found: list[FlowRun] = []
    with get_client(sync_client=True) as client:
        while page := client.read_flow_runs(
            flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=list(tags))),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            offset=len(found),
        ):
            found += page
    return found


def ended(run: FlowRun, state: State[Any]) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, state, force=True)


def test_a_new_recording_is_transcribed_once_and_moved_when_it_is_done(drop: Drop) -> None:
    tag = drop.put("team/talk.mp3")
    drop.sweep(options={"language": "pt"})
    drop.sweep(options={"language": "pt"})
    (run,) = runs(tag)
    assert run.parameters["recording"] == str(drop.folder / "team/talk.mp3")
    assert run.parameters["output_dir"] == str(drop.out / "team")
    assert run.parameters["language"] == "pt"
    assert run.work_queue_name == "short"
    assert "inbox" in run.tags
    ended(run, Running())
    drop.sweep()
    assert drop.files() == ["team/talk.mp3"]
    ended(run, Completed())
    drop.sweep()
    assert drop.files() == ["done/team/talk.mp3"]
    assert len(runs(tag)) == 1


def test_a_failing_recording_is_tried_again_and_then_put_aside_with_its_reason(drop: Drop) -> None:
    tag = drop.put("noise.wav")
    for number, state in enumerate([Failed(message="broken"), Crashed(), Failed(message="broken")]):
        drop.sweep()
        attempts = runs(tag)
        assert len(attempts) == number + 1
        ended(attempts[-1], state)
    drop.sweep()
    assert drop.files() == ["failed/noise.wav", "failed/noise.wav.failed.txt"]
    note = (drop.folder / "failed/noise.wav.failed.txt").read_text(encoding="utf-8")
    assert note.startswith("broken\n")
    assert "attempt 3" in note
    # Put back by somebody, it is tried again.
    (drop.folder / "failed/noise.wav").rename(drop.folder / "noise.wav")
    drop.sweep()
    assert len(runs(tag)) == 4


def test_recordings_may_be_marked_and_left(drop: Drop) -> None:
    good, bad = drop.put("good.wav"), drop.put("bad.wav")
    drop.sweep(afterwards="mark", attempts=1)
    ended(runs(good)[0], Completed(name="Partial", message="5 of 6 chunks"))
    ended(runs(bad)[0], Cancelled(message="not this one"))
    drop.sweep(afterwards="mark", attempts=1)
    drop.sweep(afterwards="mark", attempts=1)
    assert drop.files() == [*("bad.wav", "bad.wav.failed.txt"), *("good.wav", "good.wav.done.txt")]
    assert "5 of 6 chunks" in (drop.folder / "good.wav.done.txt").read_text(encoding="utf-8")
    assert "not this one" in (drop.folder / "bad.wav.failed.txt").read_text(encoding="utf-8")
    assert len(runs(good) + runs(bad)) == 2


def test_the_same_recording_under_other_names_is_transcribed_once(drop: Drop) -> None:
    tag = drop.put("a.wav", b"the same")
    drop.put("b.wav", b"the same")
    drop.sweep()
    (run,) = runs(tag)
    ended(run, Completed())
    drop.put("later.wav", b"the same")
    drop.sweep()
    assert drop.files() == ["done/a.wav", "done/b.wav", "done/later.wav"]
    assert len(runs(tag)) == 1


def test_two_hundred_recordings_and_overlapping_sweeps(
    drop: Drop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[str, Any] = {}
    asked: list[str] = []

    def start(_: str, *, idempotency_key: str, parameters: Any, **rest: Any) -> SimpleNamespace:
        """As the server: the first request with a key decides, the others get the same run."""
        asked.append(idempotency_key)
        started.setdefault(idempotency_key, parameters)
        return SimpleNamespace(name="run")

    monkeypatch.setattr(start_runs, "run_deployment", start)
    failures: list[BaseException] = []

    def sweep() -> None:
        try:
            drop.sweep()
        except BaseException as error:
            failures.append(error)

    for number in range(200):
        drop.put(f"{number:03}.wav")
    sweeps = [threading.Thread(target=sweep) for _ in range(3)]
    for thread in sweeps:
        thread.start()
    for thread in sweeps:
        thread.join()
    assert failures == []
    # Another machine, or a ledger that was lost.
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path / "another"))
    drop.sweep()
    assert len(asked) == 800
    assert len(started) == 200
    recordings = [parameters["recording"] for parameters in started.values()]
    assert sorted(recordings) == [str(drop.folder / f"{number:03}.wav") for number in range(200)]
    assert {parameters["output_dir"] for parameters in started.values()} == {str(drop.out)}


def test_twenty_triggers_with_one_key_make_one_run(deployed: None, tmp_path: Path) -> None:
    found: list[Any] = []

    def trigger() -> None:
        found.append(
            run_deployment(
                "transcribe/transcribe",
                parameters={"recording": str(tmp_path / "a.wav")},
                idempotency_key=str(tmp_path),
                timeout=0,
            )
        )

    triggers = [threading.Thread(target=trigger) for _ in range(20)]
    for thread in triggers:
        thread.start()
    for thread in triggers:
        thread.join()
    assert len(found) == 20
    assert len({run.id for run in found}) == 1


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"options": {"speed": 9}}, "--speed"),
        ({"options": {"sped": 1.0}}, "--sped"),
        ({"folder": "https://example.org/inbox"}, "is a web address"),
        ({"folder": "/nowhere/at/all"}, "it does not exist"),
        ({"folder": "{folder}", "output_dir": "{folder}/out"}, "cannot go into the inbox"),
    ],
)
def test_bad_settings_fail_with_a_sentence(
    drop: Drop, parameters: dict[str, Any], words: str
) -> None:
    values = {"folder": str(drop.folder), "settle_minutes": 0} | {
        name: value.format(folder=drop.folder) if isinstance(value, str) else value
        for name, value in parameters.items()
    }
    with pytest.raises(OptionError, match=words):
        inbox(**values)


def test_media_roots_hold_for_the_inbox_too(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSCRIBE_MEDIA_ROOTS", str(drop.out))
    with pytest.raises(OptionError, match="outside the media roots"):
        drop.sweep()
