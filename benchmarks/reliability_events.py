"""What goes wrong while the command is at work, each as a function that does it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks import database
from benchmarks.disturbance import WITHIN_S, Bench, Event, until
from benchmarks.sandbox import Run

_OUTAGE_S = 30.0
_LINES_WITHIN_S = 1.0  # from a worker to the log
_DAY_S = 86_400
_HOUR_S = 3600
_BETWEEN_JUMPS_S = 10.0
# Not libfaketime: with its monotonic clock left alone, Python's sleep fails in Debian's version
# (https://github.com/wolfcw/libfaketime/issues/426).
_CLOCK = Path(__file__).with_name("clock.c")


def _send(how: signal.Signals) -> Callable[[Bench, Run], None]:
    return lambda _, run: run.process.send_signal(how)


def _send_to_worker(how: signal.Signals) -> Callable[[Bench, Run], None]:
    def provoke(_: Bench, run: Run) -> None:
        with suppress(psutil.NoSuchProcess):
            run.workers()[-1].send_signal(how)

    return provoke


def _stop_between_chunks(_: Bench, run: Run) -> None:
    """Stop a worker that has no chunk; beside it, it may hold the lock of the queue of chunks."""
    while run.is_alive:
        busy = set(run.pids_at_work().values())
        for worker in [one for one in run.workers() if one.pid not in busy]:
            with suppress(psutil.NoSuchProcess):
                worker.suspend()
                time.sleep(_LINES_WITHIN_S)
                if worker.pid not in run.pids_at_work().values():
                    return
                worker.resume()


def _stop_all(_: Bench, run: Run) -> None:
    """Ctrl-Z, and `fg` long after every chunk's limit."""
    os.killpg(run.process.pid, signal.SIGSTOP)
    time.sleep(_OUTAGE_S)
    os.killpg(run.process.pid, signal.SIGCONT)


def _poison(_: Bench, run: Run) -> None:
    """Whenever a worker has the chunk that is now under way, it is killed."""
    poisoned = next(iter(run.under_way(time.monotonic())))
    while run.is_alive:
        if poisoned in run.under_way(time.monotonic()):
            with suppress(psutil.NoSuchProcess):
                for worker in run.workers():
                    worker.kill()
        time.sleep(0.05)


def _kill_fork_server(_: Bench, run: Run) -> None:
    for server in run.fork_servers():
        server.kill()


def _kill_embedded(_: Bench, run: Run) -> None:
    for server in run.servers():
        server.kill()


def _outage(bench: Bench, _: Run) -> None:
    bench.server.kill()
    time.sleep(_OUTAGE_S)
    bench.server.start()


def _outage_and_death(bench: Bench, run: Run) -> None:
    """New workers have to start while nobody answers."""
    bench.server.kill()
    with suppress(psutil.NoSuchProcess):
        run.workers()[-1].kill()
    time.sleep(_OUTAGE_S)
    bench.server.start()


def _stop_alone(how: signal.Signals) -> Callable[[Bench, Run], None]:
    def provoke(bench: Bench, run: Run) -> None:
        bench.server.kill()
        time.sleep(5.0)
        run.process.send_signal(how)
        until(lambda: not run.is_alive)
        bench.server.start()

    return provoke


def _restart_database(bench: Bench, _: Run) -> None:
    assert bench.database is not None
    bench.database.restart()


def _clock(bench: Bench, offset_s: int) -> None:
    # Replaced, not written over: it may be read at any moment.
    draft = bench.sandbox.folder / "clock.new"
    draft.write_text(f"{offset_s:+d}\n")
    draft.replace(bench.sandbox.folder / "clock")


def _with_own_clock(bench: Bench) -> dict[str, str]:
    """Environment of a run whose time of day has an offset; its monotonic clock has none."""
    _clock(bench, 0)
    library = bench.sandbox.folder / "clock.so"
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(_CLOCK), "-ldl"]
    subprocess.run(command, check=True)
    return {
        "LD_PRELOAD": str(library),
        "CLOCK_OFFSET_FILE": str(bench.sandbox.folder / "clock"),
    }


def _jump(bench: Bench, run: Run) -> None:
    _clock(bench, _DAY_S)
    give_up_s = time.monotonic() + _BETWEEN_JUMPS_S
    until(lambda: not run.is_alive or time.monotonic() > give_up_s)
    _clock(bench, -_HOUR_S)


def _no_compiler() -> str:
    return "" if shutil.which("cc") else "needs a C compiler (`apt-get install gcc`)"


def _fill(bench: Bench, run: Run) -> None:
    """The folder of the results becomes a full file system."""
    folder = bench.sandbox.folder / "cache" / "results"
    options = ["mount", "-t", "tmpfs", "-o", "size=65536", "tmpfs", str(folder)]
    subprocess.run(options, check=True)
    try:
        with suppress(OSError), (folder / "filler").open("wb") as file:
            file.write(bytes(1 << 20))
        until(lambda: not run.is_alive)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _no_mount() -> str:
    return "" if os.geteuid() == 0 else "only root may mount a small disk"


def _block_outputs(bench: Bench, _: Run) -> None:
    shutil.rmtree(bench.output_folder, ignore_errors=True)
    bench.output_folder.parent.mkdir(exist_ok=True)
    bench.output_folder.write_text("a file where the folder should be")


def _unblock_outputs(bench: Bench) -> None:
    bench.output_folder.unlink(missing_ok=True)


def _delete_recording(bench: Bench, _: Run) -> None:
    bench.path.unlink()


def _change_recording(bench: Bench, _: Run) -> None:
    """Another recording under the same name, written over the first one's bytes."""
    sound = bench.path.read_bytes()
    bench.path.write_bytes(sound[: len(sound) // 2])


def _truncate_a_result(bench: Bench, run: Run) -> None:
    run.process.kill()
    path = bench.sandbox.results()[0]
    os.truncate(path, path.stat().st_size // 2)


def _second_run(bench: Bench, _: Run) -> None:
    other = bench.sandbox.start(bench.path, server_url=bench.server.url)
    if other.wait(WITHIN_S) != 0:
        raise RuntimeError("the second run failed")


EVENTS = [
    Event("a worker is killed (SIGKILL)", _send_to_worker(signal.SIGKILL)),
    Event("a worker crashes in native code (SIGSEGV)", _send_to_worker(signal.SIGSEGV)),
    Event(
        "a worker hangs (SIGSTOP; limit 24 s)",
        _send_to_worker(signal.SIGSTOP),
        ("--chunk-timeout-minutes", "0.4"),
    ),
    Event("a worker is stopped (SIGSTOP) between two chunks", _stop_between_chunks),
    Event(
        f"the whole run is stopped for {_OUTAGE_S:.0f} s (Ctrl-Z, `fg`; limit 24 s)",
        _stop_all,
        ("--chunk-timeout-minutes", "0.4"),
    ),
    Event("a chunk kills its worker each time", _poison),
    Event("the process that workers are forked from is killed", _kill_fork_server),
    Event("the command is killed (SIGKILL)", _send(signal.SIGKILL)),
    Event("the command is terminated (SIGTERM)", _send(signal.SIGTERM)),
    Event("Ctrl-C (SIGINT)", _send(signal.SIGINT)),
    Event(
        "the command is killed and a kept result truncated", _truncate_a_result, costs_finished=1
    ),
    Event("the embedded Prefect server is killed", _kill_embedded),
    Event(f"the Prefect server is away for {_OUTAGE_S:.0f} s", _outage, outside=True),
    Event("a worker is killed while the server is away", _outage_and_death, outside=True),
    Event(
        "the command is terminated while the server is away",
        _stop_alone(signal.SIGTERM),
        outside=True,
    ),
    Event("Ctrl-C while the server is away", _stop_alone(signal.SIGINT), outside=True),
    Event(
        "the Prefect server's database (PostgreSQL) restarts",
        _restart_database,
        outside=True,
        database=True,
        missing=database.missing,
    ),
    Event(
        "the clock jumps ahead a day, then back to an hour ago",
        _jump,
        environment=_with_own_clock,
        missing=_no_compiler,
    ),
    Event("the disk of the results is full", _fill, missing=_no_mount),
    Event("the output folder cannot be written at the end", _block_outputs, mend=_unblock_outputs),
    Event("the recording is deleted", _delete_recording, mend=Bench.restore_recording),
    Event("the recording is changed", _change_recording, mend=Bench.restore_recording),
    Event("a second run of the same recording beside it", _second_run, outside=True),
]
