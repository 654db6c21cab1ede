"""What is found in an inbox, when it counts as complete, and where it goes."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from longscribe.errors import OptionError
from longscribe.inbox.folder import Attempt, Dropped, Fate, Inbox, fate, output_folder, settled
from longscribe.inbox.ledger import Ledger


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def inbox(folder: Path) -> Inbox:
    return Inbox(str(folder))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger", "inbox") as one:
        yield one


def names(found: tuple[list[Dropped], int]) -> list[str]:
    return [recording.name for recording in found[0]]


def test_recordings_are_found_and_nothing_else(folder: Path, inbox: Inbox) -> None:
    for name in (
        *("b.wav", "a talk.mp3", "team/c.ogg", ".hidden.wav", ".git/d.wav", "e.mp3.part"),
        *("done/f.wav", "failed/g.wav", "team/done/h.wav", "marked.wav", "marked.wav.done.txt"),
        *("bad.wav", "bad.wav.failed.txt"),
    ):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(b"sound")
    (folder / "link.wav").symlink_to("/etc/passwd")
    (folder / "etc").symlink_to("/etc")
    os.mkfifo(folder / "pipe.wav")
    found = [recording.name for recording in inbox.recordings()]
    assert found == ["a talk.mp3", "b.wav", "team/c.ogg", "team/done/h.wav"]


def test_an_inbox_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nowhere' cannot be read: it does not exist"):
        Inbox(str(tmp_path / "nowhere")).recordings()


def test_a_recording_waits_until_it_holds_still(folder: Path, inbox: Inbox, ledger: Ledger) -> None:
    (folder / "a.wav").write_bytes(b"half")
    assert settled(inbox, ledger, 60.0, now_s=0.0) == ([], 1)
    (folder / "a.wav").write_bytes(b"the whole")
    assert settled(inbox, ledger, 60.0, now_s=70.0) == ([], 1)
    assert settled(inbox, ledger, 60.0, now_s=129.0) == ([], 1)
    ((recording,), waiting) = settled(inbox, ledger, 60.0, now_s=131.0)
    assert (recording.digest, waiting) == (hashlib.sha256(b"the whole").hexdigest(), 0)


def test_a_time_of_change_set_by_the_sender_means_nothing(
    folder: Path, inbox: Inbox, ledger: Ledger
) -> None:
    (folder / "a.wav").write_bytes(b"half")
    os.utime(folder / "a.wav", (0, 0))
    assert settled(inbox, ledger, 60.0, now_s=1e9) == ([], 1)


def test_a_recording_is_read_once(
    folder: Path, inbox: Inbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.wav").write_bytes(b"one")
    (folder / "b.wav").write_bytes(b"one")
    first = settled(inbox, ledger, 0.0)
    assert first[0][0].digest == first[0][1].digest
    monkeypatch.setattr(inbox, "digest", None)
    assert settled(inbox, ledger, 0.0) == first


def test_a_recording_that_changes_while_it_is_read_waits(
    folder: Path, inbox: Inbox, ledger: Ledger
) -> None:
    (folder / "a.wav").write_bytes(b"one")
    (recording,) = inbox.recordings()
    (folder / "a.wav").write_bytes(b"another")
    assert inbox.digest(recording) == ""
    (folder / "a.wav").unlink()
    assert inbox.digest(recording) == ""


def test_ten_thousand_known_recordings_take_seconds(
    folder: Path, inbox: Inbox, ledger: Ledger
) -> None:
    for number in range(10_000):
        (folder / f"{number}.wav").write_bytes(b"%d" % number)
    assert len(settled(inbox, ledger, 0.0)[0]) == 10_000
    started_s = time.process_time()  # a clock also shows what else the machine is at
    assert len(settled(inbox, ledger, 0.0)[0]) == 10_000
    assert time.process_time() - started_s < 5.0


def test_a_done_recording_is_moved(folder: Path, inbox: Inbox) -> None:
    for number in (1, 2):
        (folder / "team").mkdir(exist_ok=True)
        (folder / "team" / "a.wav").write_bytes(b"%d" % number)
        (recording,) = inbox.recordings()
        inbox.put_away(recording._replace(digest="0123456789"), "move", "", failed=False)
        assert inbox.recordings() == []
    done = sorted(path.name for path in (folder / "done" / "team").iterdir())
    assert done == ["a-01234567.wav", "a.wav"]


def test_a_failed_recording_has_its_reason_beside_it(folder: Path, inbox: Inbox) -> None:
    (folder / "a.wav").write_bytes(b"noise")
    (recording,) = inbox.recordings()
    inbox.put_away(recording, "move", "it holds no sound\n", failed=True)
    assert inbox.recordings() == []
    assert (folder / "failed" / "a.wav").read_bytes() == b"noise"
    assert (folder / "failed" / "a.wav.failed.txt").read_text() == "it holds no sound\n"
    inbox.put_away(recording, "move", "it holds no sound\n", failed=True)  # an overlapping sweep


@pytest.mark.parametrize("failed", [True, False])
def test_a_recording_may_be_marked_instead(folder: Path, inbox: Inbox, failed: bool) -> None:
    (folder / "a.wav").write_bytes(b"noise")
    (recording,) = inbox.recordings()
    inbox.put_away(recording, "mark", "note\n", failed=failed)
    assert inbox.recordings() == []
    mark = folder / f"a.wav.{'failed' if failed else 'done'}.txt"
    assert mark.read_text() == "note\n"
    mark.unlink()
    assert inbox.recordings() == [recording]


@pytest.mark.parametrize("afterwards", ["move", "mark"])
def test_a_bucket_is_an_inbox_as_well(ledger: Ledger, afterwards: str) -> None:
    memory = fsspec.filesystem("memory")
    memory.rm("/drop", recursive=True) if memory.exists("/drop") else None
    memory.pipe_file("/drop/in/team/a.wav", b"sound")
    inbox = Inbox("memory://drop/in/")
    ((recording,), _) = settled(inbox, ledger, 0.0)
    assert inbox.place(recording) == "memory://drop/in/team/a.wav"
    assert recording.digest == hashlib.sha256(b"sound").hexdigest()
    inbox.put_away(recording, afterwards, "done\n", failed=False)
    assert inbox.recordings() == []
    kept = [path for path in memory.find("/drop") if memory.cat_file(path) == b"sound"]
    moved = {"move": "/drop/in/done/team/a.wav", "mark": "/drop/in/team/a.wav"}
    assert kept == [moved[afterwards]]


RUN = "run"


@pytest.mark.parametrize(
    ("states", "first", "expected"),
    [
        ({}, 1, ("start", 1)),
        ({1: "SCHEDULED"}, 1, ("wait", 1)),
        ({1: "RUNNING"}, 1, ("wait", 1)),
        ({1: "CANCELLING"}, 1, ("wait", 1)),
        ({1: "COMPLETED"}, 1, ("done", 1)),
        ({1: "FAILED"}, 1, ("start", 2)),
        ({1: "FAILED", 2: "CRASHED"}, 1, ("start", 3)),
        ({1: "FAILED", 2: "COMPLETED"}, 1, ("done", 2)),
        ({1: "FAILED", 2: "FAILED", 3: "FAILED"}, 1, ("failed", 3)),
        ({1: "CANCELLED"}, 1, ("failed", 1)),
        ({1: "FAILED", 2: "FAILED", 3: "FAILED"}, 4, ("start", 4)),
        ({3: "FAILED", 4: "FAILED"}, 4, ("start", 5)),
        ({3: "FAILED", 4: "FAILED", 5: "FAILED", 6: "FAILED"}, 4, ("failed", 6)),
        ({1: "COMPLETED"}, 2, ("done", 1)),
    ],
)
def test_the_runs_of_a_recording_decide_what_is_done(
    states: dict[int, str], first: int, expected: tuple[str, int]
) -> None:
    attempts = [Attempt(number, state, "because", RUN) for number, state in states.items()]
    assert fate(reversed(attempts), first, most=3)[:2] == expected


def test_a_reason_is_always_given() -> None:
    assert fate([Attempt(1, "FAILED", "", RUN)], 1, 1) == Fate(
        "failed", 1, "no reason was given", RUN
    )


def test_recordings_of_one_name_do_not_share_a_transcript(tmp_path: Path, ledger: Ledger) -> None:
    out = str(tmp_path / "out")
    (tmp_path / "out" / "old").mkdir(parents=True)
    mp3, wav = Dropped("talk.mp3", 1, "", "a" * 64), Dropped("talk.wav", 1, "", "b" * 64)
    old, team = Dropped("old.mp3", 1, "", "c" * 64), Dropped("team/talk.mp3", 1, "", "d" * 64)
    for _ in range(2):
        assert output_folder(mp3, out, "talk", ledger) == out
        assert output_folder(wav, out, "talk", ledger) == f"{out}/bbbbbbbb"
        assert output_folder(old, out, "old", ledger) == f"{out}/cccccccc"
        assert output_folder(team, out, "talk", ledger) == f"{out}/team"
        (tmp_path / "out" / "talk").mkdir(exist_ok=True)


def test_attempts_count_anew_after_a_recording_was_given_up(tmp_path: Path) -> None:
    with Ledger(tmp_path, "inbox") as ledger:
        assert ledger.first_attempts() == {}
        ledger.give_up("a", 3)
    with Ledger(tmp_path, "inbox") as ledger, Ledger(tmp_path, "another") as another:
        assert ledger.first_attempts() == {"a": 4}
        assert another.first_attempts() == {}
