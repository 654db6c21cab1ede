"""How much faster two Dask workers of this machine decode one recording than one of them does.

    python -m benchmarks.dask_decoding --workers 1 2 --minutes 30

Scheduler, workers of one thread each and the run are processes of this machine; the model is base,
the speech real. The clock runs from the first worker that is ready to the last chunk that is
finished, in the second run of each worker: weights are loaded and kernels compiled then.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.real_recordings import ENGLISH, write_again_and_again
from benchmarks.surroundings import describe_machine

_STARTS_WITHIN_S: Final = 120.0


def main() -> None:
    """Measure with each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--chunk-minutes", type=float, default=1.0)
    parser.add_argument("--model", default="base")
    asked = parser.parse_args()
    print(describe_machine(), flush=True)
    took: dict[int, float] = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        path = Path(folder) / "speech.wav"
        recording = write_again_and_again(ENGLISH, 60 * asked.minutes, path)
        for workers in asked.workers:
            took[workers] = _measure(Path(folder), recording, workers, asked)
            line = f"{workers} worker(s): {took[workers]:.1f} s"
            if workers > 1 and 1 in took:
                line += f", {100 * took[1] / workers / took[workers]:.0f} % efficient"
            print(line, flush=True)


def _measure(folder: Path, recording: Path, workers: int, asked: argparse.Namespace) -> float:
    with _cluster(folder, workers) as address:
        given = ["--model", asked.model, "--chunk-minutes", str(asked.chunk_minutes), "--fresh"]
        given += ["--runner", "dask", "--address", address, "-o", str(folder / "out"), "-f", "txt"]
        command = [sys.executable, "-u", "-m", "longscribe", str(recording), *given]
        _run(command, workers)
        return _run(command, workers)


def _run(command: list[str], workers: int) -> float:
    """Seconds from the first worker that is ready to the last chunk."""
    began_s = ended_s = 0.0
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            now_s = time.monotonic()
            said.append(line)
            if "is ready: pid" in line:
                began_s = began_s or now_s
            elif "Finished chunk" in line:
                ended_s = now_s
    ready = sum("is ready: pid" in line for line in said)
    if process.returncode or ready != workers:
        sys.exit("".join(said))
    return ended_s - began_s


@contextmanager
def _cluster(folder: Path, workers: int) -> Iterator[str]:
    """A scheduler with so many workers of one thread; its address."""
    log = folder / "dask.log"
    processes = []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("w") as file:

        def start(*arguments: str) -> None:
            command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
            processes.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

        try:
            start("scheduler", "--host", "127.0.0.1", "--port", "0")
            address = _until(log, r"Scheduler at: +(\S+)", 1)
            for number in range(workers):
                place = ["--local-directory", str(folder / f"worker-{number}")]
                preload = ["--preload", "longscribe.tasks.cluster_site", "--no-nanny"]
                start("worker", address, "--nthreads", "1", *place, *preload)
            _until(log, r"(Register worker)", workers)
            yield address
        finally:
            for process in processes:
                process.kill()
                process.wait()


def _until(log: Path, pattern: str, times: int) -> str:
    give_up_s = time.monotonic() + _STARTS_WITHIN_S
    while len(found := re.findall(pattern, log.read_text())) < times:
        if time.monotonic() > give_up_s:
            sys.exit(log.read_text())
        time.sleep(0.2)
    return str(found[0])


if __name__ == "__main__":
    main()
