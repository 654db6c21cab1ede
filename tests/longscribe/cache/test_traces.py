import os
from pathlib import Path

import pytest

from longscribe.cache.folder import CACHE_VARIABLE, plans_folder
from longscribe.cache.results import result_path
from longscribe.cache.traces import (
    Forgotten,
    Traces,
    leave_word,
    note_traces,
    noted_traces,
    read_word,
    remove_traces,
)

KEY, OTHER, PLAN = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def put(path: Path, used_s: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    os.utime(path, (used_s, used_s))
    return path


def test_several_runs_note_what_they_keep(tmp_path: Path) -> None:
    folder = tmp_path / "talk"
    note_traces(folder, [KEY], [plans_folder() / f"{PLAN}.json"])
    note_traces(folder, [KEY, OTHER])
    with (folder / ".traces.jsonl").open("a") as file:
        file.write('{"results": ["' + "d" * 30)  # the process was killed
    assert noted_traces(folder) == Traces(results=(KEY, OTHER), plans=(PLAN,))
    note_traces(None, [KEY])
    assert noted_traces(tmp_path / "nothing") == Traces()


def test_what_was_found_again_since_stays(tmp_path: Path) -> None:
    old, plan = put(result_path(KEY), 100.0), put(plans_folder() / f"{PLAN}.json", 100.0)
    used = put(result_path(OTHER), 300.0)
    forgotten = Forgotten(at_s=200.0, traces=Traces(results=(KEY, OTHER), plans=(PLAN,)))
    leave_word(tmp_path / "words", "one", forgotten)
    word = read_word(tmp_path / "words" / "one.json")
    assert word == forgotten
    assert remove_traces(forgotten) == 2
    assert (old.exists(), plan.exists(), used.exists()) == (False, False, True)
    assert remove_traces(forgotten) == 0


@pytest.mark.parametrize("name", ["../../secret", "a" * 63, "A" * 64, f"{KEY}/..", f"{KEY}\n"])
def test_a_word_that_names_a_path_says_nothing(tmp_path: Path, name: str) -> None:
    file = tmp_path / "word.json"
    valid = Forgotten(at_s=1.0, traces=Traces(results=(KEY,))).model_dump_json()
    assert KEY in valid
    file.write_text(valid.replace(KEY, name.replace("\n", "\\n")))
    assert read_word(file) is None
