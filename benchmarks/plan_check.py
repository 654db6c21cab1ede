"""What `longscribe plan` says of a load, and what two workers took for it.

`python -m benchmarks.plan_check --recordings 16 --minutes 6` has two workers on hosts of their own
(`cluster`) transcribe excerpts of real speech with base, and holds the plan's figures against what
that took: core-seconds for an hour of recording, and of the server, its requests and its database
for a run. By core-seconds, not by the clock: other programs may run meanwhile.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.cluster import Cluster, missing
from benchmarks.database import Database
from benchmarks.database import missing as missing_database
from benchmarks.many_runs import Batch, measure
from benchmarks.real_recordings import ENGLISH, SPEECH_FOLDER
from benchmarks.sounds import read_sound, write_wav
from longscribe.audio.recording import SAMPLE_RATE_HZ
from longscribe.capacity.load import Load
from longscribe.capacity.plan import Plan, plan_for

_HOSTS: Final = 2
_DAY_S: Final = 86_400.0
_AS_PLANNED: Final = {"PREFECT_WORKER_QUERY_SECONDS": "10"}  # Prefect's default


def main() -> None:
    """Measure, plan, and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--chunk-minutes", type=float, default=2.0)
    options = parser.parse_args()
    if lacks := missing() or missing_database():
        sys.exit(lacks)
    with (
        tempfile.TemporaryDirectory(prefix="plan-check-", dir="/var/tmp") as temporary,
        Database() as database,
        Cluster(Path(temporary), database, _AS_PLANNED) as cluster,
    ):
        for number in range(_HOSTS):
            cluster.start_host(f"host-{number}")
        asked = {"model": "base", "chunk_minutes": options.chunk_minutes, "workers": 1}
        media = cluster.folder / "media"
        # What is loaded and compiled once is no part of a day.
        measure(cluster, database, _excerpts(media, 2 * _HOSTS, 1.0), asked, 2 * _HOSTS)
        recordings = _excerpts(media, options.recordings, options.minutes)
        batch = measure(cluster, database, recordings, asked, options.recordings)
    hours = options.recordings * options.minutes / 60
    load = Load(
        hours_per_day=hours * _DAY_S / batch.seconds,
        model="base",
        recording_minutes=options.minutes,
        chunk_minutes=options.chunk_minutes,
        cores_per_machine=1,
        spare_percent=0.0,
    )
    _print(batch, plan_for(load), hours)


def _excerpts(folder: Path, count: int, minutes: float) -> list[Path]:
    """Recordings of real speech no two of which are alike."""
    sounds = [read_sound(SPEECH_FOLDER / f"{name}.opus") for name in ENGLISH]
    length = round(60 * minutes * SAMPLE_RATE_HZ)
    paths = []
    for number in range(count):
        sound = sounds[number % len(sounds)]
        start = number * (len(sound) - length) // count
        if start < 0:
            sys.exit(f"{ENGLISH[number % len(sounds)]} is shorter than --minutes {minutes:g}")
        faint = np.random.default_rng(number).integers(-2, 3, length)
        mixed = (sound[start : start + length].astype(np.int32) + faint).clip(-32_768, 32_767)
        path = folder / f"speech-{minutes:g}-{number:03d}.wav"
        paths.append(write_wav(path, mixed.astype(np.int16)))
    return paths


def _print(batch: Batch, made: Plan, hours: float) -> None:
    seconds = batch.seconds
    print(
        f"{batch.machine}; {batch.runs} recordings, {hours:.2f} hours, {batch.lost} lost, "
        f"in {seconds:.0f} s: {3600 * hours / seconds:.1f} audio hours per hour"
    )
    rows = {
        "core-seconds for an hour": (made.core_s_per_hour, batch.hosts_s / hours),
        "requests of a run": (made.requests_per_s * seconds / batch.runs, _each(batch, "requests")),
        "server's core-seconds of a run": (
            made.server_cores * seconds / batch.runs, _each(batch, "server_s"),
        ),
        "database's core-seconds of a run": (
            made.database_cores * seconds / batch.runs, _each(batch, "database_s"),
        ),
        "kB of a run": (
            made.database_bytes_per_day / made.runs_per_day / 1e3, _each(batch, "bytes") / 1e3,
        ),
    }  # fmt: skip
    for name, (planned, measured) in rows.items():
        off = 100 * (planned / measured - 1)
        print(f"{name:34} planned {planned:8.2f}  measured {measured:8.2f}  {off:+.0f} %")


def _each(batch: Batch, what: str) -> float:
    return float(getattr(batch, what)) / batch.runs


if __name__ == "__main__":
    main()
