import os
import subprocess
import sys
import time

import pytest

from longscribe.monitoring.resources import ProcessSample, ResourceSample, Sampler, Samples


def sample(at_s: float, cpu: float = 100.0, memory: int = 5, pid: int = 1) -> ResourceSample:
    return ResourceSample(at_s, (ProcessSample(pid, cpu, memory),), cpu + 10.0, memory + 1)


def test_a_busy_process_is_seen_and_a_gone_one_is_left_out() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        sampler = Sampler()
        first = sampler.sample([busy.pid], time.monotonic())
        assert [worker.pid for worker in first.workers] == [busy.pid]
        deadline_s = time.monotonic() + 20.0
        cpu = 0.0
        while cpu < 5.0 and time.monotonic() < deadline_s:
            time.sleep(0.3)
            now = sampler.sample([busy.pid], time.monotonic())
            cpu = now.workers[0].cpu_percent
        assert cpu >= 5.0
        assert now.cpu_percent >= cpu
        assert now.workers[0].rss_bytes > 1_000_000
        # The tests' own process holds more than that child; pages shared by both count once.
        assert now.memory_bytes > now.workers[0].rss_bytes
    finally:
        busy.kill()
        busy.wait()
    assert sampler.sample([busy.pid], time.monotonic()).workers == ()
    assert sampler.sample([], time.monotonic()).cpu_percent >= 0.0


def test_this_process_is_counted() -> None:
    alone = Sampler().sample([], 0.0)
    assert alone.workers == ()
    assert alone.memory_bytes > 1_000_000
    assert os.getpid() not in [worker.pid for worker in alone.workers]


def test_ten_hours_of_samples_stay_few_and_keep_their_peak() -> None:
    samples = Samples(most=100)
    for second in range(36_000):
        samples.add(sample(float(second), cpu=50.0, memory=900 if second == 12_345 else 100))
    kept = samples.all()
    assert 40 <= len(kept) <= 101
    assert kept[-1].at_s == 35_999.0
    assert [one.at_s for one in kept] == sorted(one.at_s for one in kept)
    assert max(one.memory_bytes for one in kept) == 901
    assert all(one.cpu_percent == pytest.approx(60.0) for one in kept)


def test_joined_samples_know_all_workers() -> None:
    samples = Samples(most=1)
    samples.add(sample(0.0, cpu=20.0, pid=1))
    samples.add(sample(1.0, cpu=40.0, pid=2))
    [joined] = samples.all()
    assert {worker.pid: worker.cpu_percent for worker in joined.workers} == {1: 20.0, 2: 40.0}
    assert joined.cpu_percent == pytest.approx(40.0)
