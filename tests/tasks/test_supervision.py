"""Workers that die, hang or ask to exit: what was lost runs again, and only that."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client

from longscribe.chunks import Chunk
from longscribe.deadlines import Deadlines
from longscribe.machine import Sizing
from longscribe.transcript import ChunkTranscript
from tasks import supervision
from tasks.crashed_runs import settle_rows
from tasks.pool import Workers
from tasks.supervision import Done, Supervisor
from tasks.whereabouts import at_work

SIZING = Sizing(workers=2, threads_per_worker=1, memory_per_worker_bytes=1, batch_size=8)


def chunk(index: int, count: int = 4) -> Chunk:
    return Chunk(
        index=index,
        count=count,
        pcm_path=Path("none.pcm"),
        start_sample=0,
        stop_sample=16_000,
        original_start_s=float(index),
        original_end_s=index + 1.0,
        sha256="ab" * 32,
        cut_in_pause=True,
        sound=((0.0, 1.0),),
    )


def transcript(index: int) -> ChunkTranscript:
    return ChunkTranscript(
        index=index,
        language="en",
        language_probability=None,
        segments=(),
        seconds=0.1,
        cpu_percent=0.0,
        peak_memory_bytes=0,
        pid=os.getpid(),
    )


@task(task_run_name="{label}")
def pretend(label: str, index: int, folder: Path, deeds: dict[int, list[str]]) -> str:
    """What `transcribe_chunk` does for its supervisor; each attempt does the chunk's next deed."""
    with at_work(folder / "at-work", index):
        with (folder / "attempts").open("a") as attempts:
            attempts.write(f"{index}\n")
        before = (folder / "attempts").read_text().split().count(str(index))
        deed = ([*deeds.get(index, []), *["work"] * before])[before - 1]
        time.sleep(0.3)
        if deed == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif deed == "orphan":
            os.kill(os.getppid(), signal.SIGKILL)  # of the fork server
        elif deed == "hang":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            time.sleep(120)
        elif deed == "fail":
            raise ValueError("broken\tand\nbent")
    if deed == "leave":  # what Prefect makes of an error outside a task's body
        raise SystemExit(3)
    return transcript(index).model_dump_json()


def supervised(
    folder: Path,
    deeds: dict[int, list[str]],
    find_result: Callable[[Chunk], ChunkTranscript | None] = lambda _: None,
    timeout_s: float = 60.0,
    sizing: Sizing = SIZING,
) -> tuple[list[Done], Sizing]:
    def submit(pool: Any, chunk: Chunk, batch_size: int) -> Any:
        return pool.submit(
            pretend,
            {"label": chunk.label, "index": chunk.index, "folder": folder, "deeds": deeds},
        )

    @flow
    def run() -> Any:
        with Workers(sizing) as workers:
            supervisor = Supervisor(
                workers,
                folder / "at-work",
                [chunk(index) for index in range(4)],
                submit,
                find_result,
                Deadlines(1, timeout_s),
            )
            done = list(supervisor.done())
            settle_rows([one.chunk.label for one in done if one.transcript is None])
            return done, workers.sizing

    return run()


def attempts(folder: Path) -> list[int]:
    return [int(index) for index in (folder / "attempts").read_text().split()]


def states(label: str) -> list[str]:
    with get_client(sync_client=True) as client:
        runs = client.read_task_runs(limit=200)
    return sorted(str(run.state_name) for run in runs if run.name == label)


def unfinished() -> list[str]:
    with get_client(sync_client=True) as client:
        runs = client.read_task_runs(limit=200)
    # Tests of the pool and of crashed runs leave tasks of their own behind.
    ours = [run for run in runs if run.name.startswith("chunk ")]
    return [run.name for run in ours if run.state is None or not run.state.is_final()]


def test_a_killed_worker_costs_its_pool_s_chunks_only(tmp_path: Path) -> None:
    done, sizing = supervised(tmp_path, {1: ["die"]})
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]
    assert attempts(tmp_path)[-1] == 1  # the suspect runs when all others are done
    assert attempts(tmp_path).count(1) == 2
    assert len(attempts(tmp_path)) <= 6
    assert sizing == SIZING
    assert "Crashed" in states(chunk(1).label)
    assert not unfinished()


def test_a_chunk_that_kills_every_worker_becomes_a_gap(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    done, _ = supervised(tmp_path, {0: ["die"] * 9})
    given_up = [one for one in done if one.transcript is None]
    assert [one.chunk.index for one in given_up] == [0]
    assert given_up[0].reason == "its worker died 3 times (killed by SIGKILL)"
    assert len(done) == 4
    assert attempts(tmp_path).count(0) == 3
    assert "0:00:00-0:00:01 is left out" in capfd.readouterr().err
    assert not unfinished()


def test_no_chunk_is_blamed_for_the_death_of_the_fork_server(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    done, _ = supervised(tmp_path, {1: ["orphan"] * 3})
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]
    out, err = capfd.readouterr()
    assert "the process that workers are forked from died" in out
    assert "lost its worker" not in out
    assert err == ""


def test_a_chunk_past_its_deadline_is_ended_and_runs_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    started_s = time.monotonic()
    done, _ = supervised(tmp_path, {2: ["hang"]}, timeout_s=3.0)
    assert time.monotonic() - started_s < 60
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]
    assert attempts(tmp_path).count(2) == 2
    assert "Chunk 3 of 4 is past its deadline of 0:00:03" in capfd.readouterr().out
    assert not unfinished()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_exit_that_the_executor_cannot_take_does_not_hang_the_run(tmp_path: Path) -> None:
    done, _ = supervised(tmp_path, {3: ["leave"]})
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]


def test_a_chunk_that_fails_is_given_up_in_one_line(tmp_path: Path) -> None:
    done, _ = supervised(tmp_path, {1: ["fail"]})
    assert [one.reason for one in done if one.transcript is None] == ["ValueError: broken and bent"]
    assert len(done) == 4


def test_what_a_lost_chunk_left_behind_is_taken(tmp_path: Path) -> None:
    done, _ = supervised(
        tmp_path, {0: ["die"]}, lambda lost: transcript(0) if lost.index == 0 else None
    )
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]
    assert attempts(tmp_path).count(0) == 1


def test_memory_that_ran_out_means_fewer_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter([0, *[1] * 99])
    monkeypatch.setattr(supervision, "out_of_memory_kills", lambda: next(kills))
    done, sizing = supervised(tmp_path, {0: ["die"]})
    assert len([one for one in done if one.transcript]) == 4
    assert (sizing.workers, sizing.batch_size) == (1, 8)


def test_the_last_worker_gets_smaller_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter([0, *[1] * 99])
    monkeypatch.setattr(supervision, "out_of_memory_kills", lambda: next(kills))
    _, sizing = supervised(tmp_path, {0: ["die"]}, sizing=SIZING.model_copy(update={"workers": 1}))
    assert (sizing.workers, sizing.batch_size) == (1, 4)


def test_workers_that_never_start_end_the_run_s_hope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_LOSSES_IN_A_ROW", 2)
    monkeypatch.setattr("tasks.pool.start_worker", sys.exit)
    done, _ = supervised(tmp_path, {})
    assert [one.transcript for one in done] == [None] * 4
    assert "workers do not stay alive" in done[0].reason
