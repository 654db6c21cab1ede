"""Two workers on two hosts clear a hundred recordings; one host dies in the middle.

`python -m benchmarks.many_hosts --recordings 100` says whether each recording was done once, what
the host that died had finished of its recording and whether that was done again, how long it took
until its run went on elsewhere, and the throughput. Every tenth recording has several chunks; the
host dies when it has finished one of them.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.cluster import ENDED, Cluster, Host, missing, until
from benchmarks.database import Database
from benchmarks.database import missing as missing_database
from benchmarks.sounds import read_sound, write_wav
from benchmarks.surroundings import describe_machine
from longscribe.audio.recording import SAMPLE_RATE_HZ, probe

_SAMPLE: Final = Path(__file__).resolve().parents[1] / "demo" / "synthetic.opus"
_SHORT_S, _LONG_S = 8.0, 150.0
_LONG_EVERY: Final = 10
_WITHIN_S: Final = 7200.0
# Sooner than by Prefect's defaults, where a worker counts as Offline after 90 s.
_SETTINGS: Final = {"PREFECT_WORKER_HEARTBEAT_SECONDS": "5"}


def write_recordings(
    folder: Path, count: int, length_s: float | None = None, seed: int = 0
) -> list[Path]:
    """Recordings no two of which are alike.

    Args:
        folder: to write them into.
        count: how many.
        length_s: of each; by default every tenth is long.
        seed: another one, other recordings.
    """
    sound = read_sound(_SAMPLE)
    paths = []
    for number in range(count):
        usual_s = _LONG_S if number % _LONG_EVERY == 0 else _SHORT_S
        length = round((length_s or usual_s) * SAMPLE_RATE_HZ)
        start = number * (len(sound) - length) // max(1, count)
        faint = np.random.default_rng([seed, number]).integers(-3, 4, length)
        mixed = (sound[start : start + length] + faint).astype(np.int16)
        paths.append(write_wav(folder / f"recording-{number:05d}.wav", mixed))
    return paths


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=100)
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    parser.add_argument("--folder", type=Path, help="for all that is kept; a temporary one")
    options = parser.parse_args()
    if lacks := missing() or (options.postgres and missing_database()):
        sys.exit(lacks)
    with tempfile.TemporaryDirectory(prefix="many-hosts-", dir="/tmp") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        print(describe_machine(), flush=True)
        if options.postgres:
            with Database() as database:
                measure(folder, options.recordings, database)
        else:
            measure(folder, options.recordings, None)


def measure(folder: Path, count: int, database: Database | None) -> None:
    """One measurement.

    Raises:
        SystemExit: a recording was lost, or done twice.
    """
    with Cluster(folder, database, _SETTINGS) as cluster:
        recordings = write_recordings(folder / "media", count)
        for number, path in enumerate(recordings):
            queue = "default" if number % _LONG_EVERY == 0 else "short"
            cluster.start_run(path, str(number), queue, chunk_minutes=0.5, workers=1)
        began_s = time.monotonic()
        hosts = [cluster.start_host(name) for name in ("host-a", "host-b")]
        dying = hosts[0]
        lost, finished = _until_in_the_middle(cluster, dying, count)
        dying.die()
        died_s = time.monotonic()
        print(f"{dying.name} died with run {lost} and {len(finished)} chunk(s) of it finished")
        until(lambda: _worker_of(cluster, lost) not in ("", f"{dying.name}-default-short"), 600.0)
        print(f"its run went on elsewhere after {time.monotonic() - died_s:.0f} s", flush=True)
        until(lambda: _ended(cluster) == count, _WITHIN_S, 2.0)
        seconds = time.monotonic() - began_s
        _tell(cluster, recordings, lost, finished, seconds)


def _until_in_the_middle(cluster: Cluster, dying: Host, count: int) -> tuple[str, set[str]]:
    """Wait until a host is at a long recording and has finished a chunk of it.

    Returns:
        the run's id, and the names of its finished chunks.
    """
    give_up_s = time.monotonic() + _WITHIN_S
    while time.monotonic() < give_up_s:
        runs = cluster.runs()
        done = sum(run["state_type"] in ENDED for run in runs)
        for run in runs:
            is_its = run["labels"].get("prefect.worker.name", "").startswith(dying.name)
            if run["state_type"] == "RUNNING" and is_its:
                tasks = cluster.tasks("chunk ", [run["id"]])
                finished = {task["name"] for task in tasks if task["state_type"] == "COMPLETED"}
                if finished and len(finished) < int(tasks[0]["name"].split()[3].rstrip(",")):
                    return run["id"], finished
        if done == count:
            raise RuntimeError("all recordings were done before a host could die in the middle")
        time.sleep(0.2)
    raise TimeoutError


def _worker_of(cluster: Cluster, run_id: str) -> str:
    run = cluster.ask_get(f"flow_runs/{run_id}")
    at_work = run["state_type"] in ("RUNNING", *ENDED)
    return str(run["labels"].get("prefect.worker.name", "")) if at_work else ""


def _ended(cluster: Cluster) -> int:
    return sum(run["state_type"] in ENDED for run in cluster.runs())


def _tell(
    cluster: Cluster, recordings: list[Path], lost: str, finished: set[str], seconds: float
) -> None:
    runs = cluster.runs()
    states = Counter(run["state_name"] for run in runs)
    workers = Counter(str(run["labels"].get("prefect.worker.name")) for run in runs)
    starts = Counter(run["run_count"] for run in runs)
    tasks: list[dict[str, Any]] = cluster.tasks("chunk ")
    decoded = Counter(
        (task["flow_run_id"], task["name"]) for task in tasks if task["state_name"] == "Completed"
    )
    cached = {
        task["name"]
        for task in tasks
        if task["flow_run_id"] == lost and task["state_name"] == "Cached"
    }
    twice = [name for name, times in decoded.items() if times > 1]
    audio_s = sum(probe(path).declared_duration_s or 0.0 for path in recordings)
    written = list((cluster.folder / "transcripts").rglob("*.json"))
    print(f"{len(runs)} runs: {dict(states)}; starts {dict(starts)}; last workers {dict(workers)}")
    print(f"{len(decoded)} chunks decoded, {len(twice)} of them twice")
    print(f"of the {len(finished)} finished before: {len(finished & cached)} taken over")
    print(f"{len(written)} transcripts of {len(recordings)}")
    print(
        f"{audio_s / 3600:.2f} hours of recording in {seconds:.0f} s: "
        f"{audio_s / seconds:.1f} audio hours per hour"
    )
    if states != {"Completed": len(recordings)} or twice or not finished <= cached:
        sys.exit("not all was done, or something was done twice")


if __name__ == "__main__":
    main()
