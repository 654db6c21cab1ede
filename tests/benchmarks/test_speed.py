from pathlib import Path

import pytest

from benchmarks.contestants import DEFAULT_NAMES, contestant_named
from benchmarks.speed import plan
from benchmarks.speed_results import (
    Result,
    Trial,
    append_result,
    draw,
    markdown_table,
    read_results,
    reference_row,
    rows_of,
    still_to_run,
)

RIVAL = "faster-whisper batched 8 int8, beam 1"
SLOW = "openai-whisper, greedy"


def result(name: str, transcribe_s: float, number: int = 1, minutes: float = 10.0) -> Result:
    trial = Trial(name, "base", number, minutes, 1)
    wall_s = transcribe_s + 2.0
    return Result(trial, wall_s, 1.0, transcribe_s, 0.0123, 9, 500_000_000, 1.5 * wall_s, "")


RESULTS = [
    result("longscribe", 9.0, 1),
    result("longscribe", 10.0, 2),
    result("longscribe", 60.0, 3),
    result(RIVAL, 20.0),
    result(SLOW, 30.0, minutes=5.0),
]


def test_rows_are_medians_the_fastest_first() -> None:
    rows = rows_of(RESULTS, "base")
    assert [(row.contestant, row.rounds, row.pace) for row in rows] == [
        ("longscribe", 3, 60.0),
        (RIVAL, 1, 30.0),
        (SLOW, 1, 10.0),
    ]
    assert rows_of(RESULTS, "small") == []


def test_the_table_compares_paces() -> None:
    lines = markdown_table(rows_of(RESULTS, "base")).splitlines()
    # 2 s of loading each; the slow one's are counted for 10 minutes too
    assert lines[2].startswith("| **longscribe** | 10 | 3 | 10.0 | 60.0 | 1.00 | 50.0 | 1.00 |")
    assert lines[3].startswith(f"| {RIVAL} | 10 | 1 | 20.0 | 30.0 | 2.00 | 27.3 | 1.83 |")
    assert lines[4].startswith(f"| {SLOW} | 5 | 1 | 30.0 | 10.0 | 6.00 | 9.7 | 5.17 |")


def test_others_are_compared_with_the_plain_command() -> None:
    rows = rows_of([*RESULTS, result("longscribe --speed 1.0", 5.0)], "base")
    reference = reference_row(rows)
    assert rows[0].contestant == "longscribe --speed 1.0"
    assert reference is not None
    assert reference.contestant == "longscribe"
    assert reference_row(rows_of([result(RIVAL, 1.0)], "base")) is None


def test_what_has_a_result_is_not_run_again(tmp_path: Path) -> None:
    path = tmp_path / "speed.jsonl"
    planned = plan(["longscribe", SLOW], ["tiny", "base"], 2, 10.0, 5.0, seed=1)
    assert still_to_run(planned, read_results(path)) == planned
    for trial in planned[:3]:
        append_result(path, result("", 1.0)._replace(trial=trial))
    assert still_to_run(planned, read_results(path)) == planned[3:]


def test_a_line_cut_off_is_run_again(tmp_path: Path) -> None:
    path = tmp_path / "speed.jsonl"
    append_result(path, RESULTS[0])
    append_result(path, RESULTS[1])
    path.write_bytes(path.read_bytes()[:-20])
    assert read_results(path) == RESULTS[:1]
    append_result(path, RESULTS[2])
    assert read_results(path) == [RESULTS[0], RESULTS[2]]


def test_rounds_rotate_and_slow_ones_get_less() -> None:
    planned = plan(["longscribe", SLOW], ["tiny", "base"], 2, 10.0, 5.0, seed=1)
    assert [
        (trial.size, trial.round, trial.contestant, trial.minutes) for trial in planned[:4]
    ] == [
        ("tiny", 1, "longscribe", 10.0),
        ("tiny", 1, SLOW, 5.0),
        ("tiny", 2, "longscribe", 10.0),
        ("tiny", 2, SLOW, 5.0),
    ]
    assert len(planned) == 8


def test_contestants_are_found_by_name() -> None:
    assert len(set(DEFAULT_NAMES)) == len(DEFAULT_NAMES)
    assert [contestant_named(name).name for name in DEFAULT_NAMES] == list(DEFAULT_NAMES)
    assert contestant_named("longscribe --precision int8").arguments == ("--precision", "int8")
    with pytest.raises(ValueError, match="there are: longscribe"):
        contestant_named("nobody")


def test_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = rows_of(RESULTS, "base")
    draw({"base": rows, "small": rows[:1]}, "here", tmp_path / "speed.png")
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
