"""Two hundred recordings dropped at once, while sweeps of the inbox run into each other."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.deployments.conftest import Note
from tests.deployments.served import PROJECT, Served
from tests.recordings import SYNTHETIC, beginning
from tests.sounds import RATE_HZ, write_sound

pytestmark = [pytest.mark.many, pytest.mark.timeout(5400)]

RECORDINGS = 200
SWEEPERS = 2  # besides the schedule's sweep every minute
PAUSE_S = 0.5
SECONDS_EACH = 4.0

# What the schedule does, again and again, in a process of its own and without settling down.
SWEEP = """
import sys, time
from contextlib import suppress
from prefect.exceptions import PrefectHTTPStatusError
from longscribe.flows.inbox import inbox
while True:
    # A sweep that SQLite keeps waiting for too long fails, or cannot even begin; the next one does
    # the rest.
    with suppress(PrefectHTTPStatusError):
        inbox(sys.argv[1], sys.argv[2], settle_minutes=0.05, return_state=True)
    time.sleep(float(sys.argv[3]))
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "served").mkdir()
    # Workers look for the next run every ten seconds, which is what most of the time would go to.
    served = Served(tmp_path / "served", PREFECT_WORKER_QUERY_SECONDS="2")
    served.start()
    yield served
    served.stop()


@contextmanager
def running(served: Served, name: str, *command: str) -> Iterator[None]:
    with (served.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=PROJECT,
            env=served.worker_environment(),
            stdout=log,
            stderr=log,
        )
        try:
            yield
            assert process.poll() is None, (served.folder / f"{name}.log").read_text()
        finally:
            process.terminate()
            process.wait(timeout=60)


def drop(inbox: Path, count: int) -> list[str]:
    """Recordings of a few seconds, no two alike; their names."""
    sound = beginning(SYNTHETIC, 200.0)
    length = round(SECONDS_EACH * RATE_HZ)
    ready = inbox.parent / "ready"
    ready.mkdir()
    names = []
    for number in range(count):
        start = number * (len(sound) - length) // count
        faint = np.random.default_rng(number).normal(0.0, 1e-4, length).astype(np.float32)
        name = f"many-{number:03}"
        write_sound(ready / f"{name}.flac", sound[start : start + length] + faint)
        names.append(name)
    for name in names:  # at once: nothing is written any more
        (ready / f"{name}.flac").rename(inbox / f"{name}.flac")
    return names


def test_each_is_transcribed_once(service: Served, note: Note) -> None:
    inbox, out = service.folder / "media" / "inbox", service.folder / "transcripts"
    sweep = ("-c", SWEEP, str(inbox), str(out), str(PAUSE_S))
    with (
        running(
            service,
            "worker",
            "-m",
            "longscribe.deployments.worker",
            "--name",
            "second",
            "--limit",
            "2",
        ),
        running(service, "sweeper-1", *sweep),
        running(service, "sweeper-2", *sweep),
    ):
        started_s = time.monotonic()
        names = drop(inbox, RECORDINGS)
        done = inbox / "done"
        while not done.exists() or len(list(done.iterdir())) < RECORDINGS:
            assert time.monotonic() - started_s < 5000
            time.sleep(2)
        seconds = time.monotonic() - started_s

    # What could not be started (run_count 0) is tried again as a run of its own.
    runs = [run for run in all_runs(service, "transcribe") if run["run_count"] > 0]
    assert Counter(Path(run["parameters"]["recording"]).stem for run in runs) == Counter(names)
    assert {(run["state_type"], run["run_count"]) for run in runs} == {("COMPLETED", 1)}
    assert sorted(path.stem for path in done.iterdir()) == names
    assert sorted(path.name for path in out.iterdir()) == names
    assert all((out / name / f"{name}.txt").exists() for name in names)
    assert [path for path in inbox.iterdir() if path.is_file()] == []

    sweeps = all_runs(service, "inbox")
    failed = sum(run["state_type"] == "FAILED" for run in sweeps)
    overlapping = sum(overlaps(sweeps))
    assert overlapping > 20
    locked = service.log.read_text().count("database is locked")
    note(
        f"{RECORDINGS} recordings",
        f"{seconds:.0f} s; {len(sweeps)} sweeps, {overlapping} begun while another ran, "
        f"{failed} failed; SQLite locked {locked} times",
    )


def all_runs(served: Served, flow: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := served.ask(
        "flow_runs/filter",
        flows={"name": {"any_": [flow]}},
        sort="EXPECTED_START_TIME_ASC",
        offset=len(found),
    ):
        found += page
    return found


def overlaps(runs: list[dict[str, Any]]) -> Iterator[bool]:
    """For each run that ended, whether it began before an earlier one had."""
    spans = sorted(
        (datetime.fromisoformat(run["start_time"]), datetime.fromisoformat(run["end_time"]))
        for run in runs
        if run["start_time"] and run["end_time"]
    )
    latest = None
    for start, end in spans:
        yield latest is not None and start < latest
        latest = end if latest is None else max(latest, end)
