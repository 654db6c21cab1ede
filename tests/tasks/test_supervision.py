"""Workers that die, hang or ask to exit: what was lost runs again, and only that."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from prefect import flow, task
from prefect.futures import PrefectConcurrentFuture
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_URL

from longscribe.audio.chunks import Chunk
from longscribe.monitoring.deadlines import Deadlines
from longscribe.runtime.machine import Sizing
from longscribe.tasks import supervision
from longscribe.tasks.heartbeats import at_work
from longscribe.tasks.orphaned_runs import settle_rows
from longscribe.tasks.pool import CHUNK_LOGGER, Workers
from longscribe.tasks.supervision import Done, Supervisor
from longscribe.tasks.worker import GPU_LOST, leave_pool
from longscribe.transcript import ChunkTranscript
from tests.eventually import eventually
from tests.tasks.chunk_rows import states, unfinished, wait_for_own_row

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
        if deed == "die known":
            wait_for_own_row()
        if deed.startswith("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        elif deed == "orphan":
            os.kill(os.getppid(), signal.SIGKILL)  # of the fork server
        elif deed == "halt server":
            os.kill(os.getppid(), signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGKILL)
        elif deed == "halt idle":
            halt_idle_workers(folder / "halted")
        elif deed == "slow":
            for _ in range(30):  # not at once: a process that is stopped sleeps on
                time.sleep(0.1)
        elif deed == "hang":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            time.sleep(120)
        elif deed == "lose gpu":
            get_run_logger().getChild(CHUNK_LOGGER).warning("Chunk %d lost its GPU", index)
            leave_pool(GPU_LOST)
        elif deed == "fail":
            raise ValueError("broken\tand\nbent")
    if deed == "halt":
        os.kill(os.getpid(), signal.SIGSTOP)
    if deed == "leave":  # what Prefect makes of an error outside a task's body
        raise SystemExit(3)
    return transcript(index).model_dump_json()


def halt_idle_workers(once: Path) -> None:
    """In a worker that has the only chunk: the others wait for one, under the queue's lock."""
    if once.exists():
        return
    once.touch()
    others = [one for one in psutil.Process().parent().children() if one.pid != os.getpid()]
    used = None
    while used != (used := [one.cpu_times() for one in others]):
        time.sleep(1.0)
    for one in others:
        one.suspend()


def supervised(
    folder: Path,
    deeds: dict[int, list[str]],
    find_result: Callable[[Chunk], ChunkTranscript | None] = lambda _: None,
    timeout_s: float = 60.0,
    sizing: Sizing = SIZING,
    instead: Callable[[Chunk], Any] = lambda _: None,
) -> tuple[list[Done], Sizing]:
    def submit(pool: Any, chunk: Chunk, batch_size: int) -> Any:
        return instead(chunk) or pool.submit(
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


def test_a_killed_worker_costs_its_pool_s_chunks_only(tmp_path: Path) -> None:
    done, sizing = supervised(tmp_path, {1: ["die known"]})
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]
    assert attempts(tmp_path)[-1] == 1  # the suspect runs when all others are done
    assert attempts(tmp_path).count(1) == 2
    assert len(attempts(tmp_path)) <= 6
    assert sizing == SIZING
    assert "Crashed" in eventually(lambda: states(chunk(1).label), lambda seen: "Crashed" in seen)
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


def test_a_worker_stopped_while_it_waits_costs_no_chunk_its_good_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervision, "_DEATHS_OF_A_CHUNK", 2)
    # Both are suspects, which run alone: while one does, the other worker is idle.
    done, _ = supervised(tmp_path, {0: ["die", "halt idle"], 1: ["die", "halt idle"]})
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]
    assert sorted(attempts(tmp_path))[:4] == [0, 0, 1, 1]
    assert "is stopped while it is needed: it is ended" in capfd.readouterr().out
    assert not unfinished()


def test_one_stopped_while_it_returns_its_result_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervision, "_DEATHS_OF_A_CHUNK", 1)
    started_s = time.monotonic()
    done, _ = supervised(tmp_path, {0: ["halt"], 3: ["halt"]})
    assert time.monotonic() - started_s < 60
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]
    assert "lost its worker" not in capfd.readouterr().out
    assert not unfinished()


def test_a_stopped_fork_server_does_not_keep_new_workers_away(tmp_path: Path) -> None:
    started_s = time.monotonic()
    done, _ = supervised(tmp_path, {1: ["halt server"]})
    assert time.monotonic() - started_s < 60
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]


def test_workers_that_have_their_model_are_not_silent_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervision, "_STOPPED_S", 600.0)
    monkeypatch.setattr(supervision, "_SILENT_WITH_MODEL_S", 3.0)
    done, _ = supervised(tmp_path, {0: ["halt"]})
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]
    assert "started again: no result came back" in capfd.readouterr().out


SCRIPT = """
import sys
from pathlib import Path
from tests.tasks.test_supervision import supervised

if __name__ == "__main__":
    slow = {index: ["slow"] for index in range(4)}
    done, _ = supervised(Path(sys.argv[1]), slow, timeout_s=8.0)
    print(sorted(one.chunk.index for one in done if one.transcript))
"""


def test_a_run_that_was_stopped_as_a_whole_goes_on_with_its_workers(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        try:
            give_up_s = time.monotonic() + 60
            while not (tmp_path / "attempts").exists():
                assert time.monotonic() < give_up_s
                time.sleep(0.1)
            for _ in range(2):  # Ctrl-Z, then `fg`
                os.killpg(run.pid, signal.SIGSTOP)
                time.sleep(9)
                os.killpg(run.pid, signal.SIGCONT)
                time.sleep(1)
            said, _ = run.communicate(timeout=60)
        finally:
            os.killpg(run.pid, signal.SIGKILL)
    assert "[0, 1, 2, 3]" in said
    assert "ended" not in said
    assert sorted(attempts(tmp_path)) == [0, 1, 2, 3]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_exit_that_the_executor_cannot_take_does_not_hang_the_run(tmp_path: Path) -> None:
    done, _ = supervised(tmp_path, {3: ["leave"]})
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]


def test_a_worker_that_lost_its_gpu_is_replaced_and_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    done, _ = supervised(tmp_path, {1: ["lose gpu"]})
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]
    said = capfd.readouterr().out
    assert "Chunk 1 lost its GPU" in said
    assert "lost its worker (the GPU failed): it runs again" in said


class NotSent(PrefectConcurrentFuture[Any]):
    """Prefect's future of a chunk that its thread has not handed to the pool yet."""

    def __init__(self) -> None:
        super().__init__(uuid4(), Future())

    def __reduce__(self) -> Any:  # a flow is pickled with its chunks, and all that it refers to
        return NotSent, ()


def test_a_chunk_that_found_its_pool_gone_runs_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    future, stop = NotSent(), Workers.stop

    def stop_and_tell(workers: Workers, *, at_once: bool) -> None:
        stop(workers, at_once=at_once)
        if not future.wrapped_future.done():
            gone = AttributeError("'NoneType' object has no attribute 'submit'")
            future.wrapped_future.set_exception(gone)

    monkeypatch.setattr(Workers, "stop", stop_and_tell)
    late = {2: future}
    done, _ = supervised(tmp_path, {0: ["die"]}, instead=lambda lost: late.pop(lost.index, None))
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]


def test_a_chunk_that_no_worker_could_be_given_runs_in_the_next_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No chunk is to blame, neither the one nor those that were under way."""
    monkeypatch.setattr(supervision, "_DEATHS_OF_A_CHUNK", 1)
    future = NotSent()
    future.wrapped_future.set_exception(OSError("handle is closed"))
    refused = {1: future}
    done, _ = supervised(
        tmp_path, {0: ["slow"]}, instead=lambda lost: refused.pop(lost.index, None)
    )
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 1, 2, 3]
    out, err = capfd.readouterr()
    assert "Workers are started again: OSError: handle is closed;" in out
    assert err == ""


def test_a_chunk_that_no_pool_takes_is_given_up_and_the_others_are_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    future = NotSent()
    future.wrapped_future.set_exception(TypeError("cannot pickle it"))
    done, _ = supervised(tmp_path, {}, instead=lambda lost: future if lost.index == 1 else None)
    assert [one.reason for one in done if one.transcript is None] == ["TypeError: cannot pickle it"]
    assert sorted(one.chunk.index for one in done if one.transcript) == [0, 2, 3]
    assert capfd.readouterr().out.count("Workers are started again") == 2


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


@pytest.mark.parametrize("how", ["die", "orphan"])
def test_memory_that_ran_out_means_fewer_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Whether the kernel took a worker, or the process that it was forked from."""
    kills = iter([0, *[1] * 99])
    monkeypatch.setattr(supervision, "out_of_memory_kills", lambda: next(kills))
    done, sizing = supervised(tmp_path, {0: [how]})
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
    monkeypatch.setattr("longscribe.tasks.pool.start_worker", sys.exit)
    done, _ = supervised(tmp_path, {})
    assert [one.transcript for one in done] == [None] * 4
    assert "workers do not stay alive" in done[0].reason
