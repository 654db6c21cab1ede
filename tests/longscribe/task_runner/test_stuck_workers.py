"""Workers that finish nothing are ended, however busy; those that do are not, however slow."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from longscribe.task_runner import Patience
from longscribe.tasks.chunk_runner import ChunkTraits
from tests.longscribe.task_runner.deeds import (
    COUNT,
    HANGS_S,
    PIECE_S,
    PIECES,
    attempts,
    run_pieces,
)

ALL = list(range(COUNT))
NEVER_S = 10 * HANGS_S


@contextmanager
def busy_programs() -> Iterator[None]:
    """Two for each core: four on two of them."""
    command = [sys.executable, "-S", "-c", "while True: pass"]
    programs = [subprocess.Popen(command) for _ in range(2 * len(os.sched_getaffinity(0)))]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def test_one_that_turns_in_circles_is_ended_and_runs_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    patience = Patience(computing_s=5.0, waiting_s=NEVER_S)
    ran = run_pieces(tmp_path, {2: ["turn"]}, limit_s=NEVER_S, patience=patience)
    assert sorted(ran.results) == ALL
    assert sorted(attempts(tmp_path)) == [0, 1, 2, 2, 3]
    said = capfd.readouterr().out
    assert "Piece 2 shows no progress for " in said
    assert "Piece 2 lost its worker (no progress): it runs again, alone" in said


def test_one_that_waits_for_ever_is_ended_and_runs_again(tmp_path: Path) -> None:
    started_s = time.monotonic()
    patience = Patience(computing_s=NEVER_S, waiting_s=3.0)
    ran = run_pieces(tmp_path, {2: ["hang"], 0: ["halt"]}, limit_s=NEVER_S, patience=patience)
    assert time.monotonic() - started_s < HANGS_S
    assert sorted(ran.results) == ALL
    assert sorted(attempts(tmp_path)) == [0, 0, 1, 2, 2, 3]


def test_one_that_gets_on_is_not_ended_on_a_loaded_machine_and_one_that_does_not_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """On two cores each worker has a third of one."""
    patience = Patience(computing_s=5.0, waiting_s=NEVER_S)
    assert patience.computing_s < PIECES * PIECE_S
    deeds = {0: ["labour"], 1: ["turn"]}
    with busy_programs():
        ran = run_pieces(tmp_path, deeds, limit_s=NEVER_S, patience=patience)
    assert sorted(ran.results) == ALL
    assert sorted(attempts(tmp_path)) == [0, 1, 1, 2, 3]
    assert "Piece 0" not in capfd.readouterr().out


@pytest.mark.service
@pytest.mark.parametrize("deed", ["turn", "hang", "halt"])
def test_by_the_limits_of_chunks_it_is_ended_within_two_minutes_of_a_loaded_machine(
    tmp_path: Path, deed: str
) -> None:
    assert ChunkTraits.patience is not None
    with busy_programs():
        started_s = time.monotonic()
        ran = run_pieces(tmp_path, {1: [deed]}, limit_s=NEVER_S, patience=ChunkTraits.patience)
        ended_s = time.monotonic() - started_s
    assert sorted(ran.results) == ALL
    assert sorted(attempts(tmp_path)) == [0, 1, 1, 2, 3]
    print(f"{deed}: ended and done again within {ended_s:.0f} s")
    assert ended_s < 120.0
