import os
from pathlib import Path

import psutil
import pytest

from longscribe.engine.mapped_weights import Stored, cache_file, mapped
from longscribe.engine.packed_linear import has_int8_products
from longscribe.errors import ResourceError
from longscribe.models.checkpoint import ModelDims
from longscribe.models.weights import ModelSpec
from longscribe.runtime import machine
from longscribe.runtime.machine import Demand, Machine, memory_demand, size_run, this_machine

GB = 10**9
LARGE_V3 = ModelDims(
    n_mels=128,
    n_audio_ctx=1500,
    n_audio_state=1280,
    n_audio_head=20,
    n_audio_layer=32,
    n_vocab=51866,
    n_text_ctx=448,
    n_text_state=1280,
    n_text_head=20,
    n_text_layer=32,
)
EIGHT_CORES = Machine(cores=8, available_bytes=64 * GB)


def test_parameters_of_large_v3() -> None:
    assert LARGE_V3.parameters == pytest.approx(1_550e6, rel=0.01)


def demand(worker_gb: float, window_gb: float = 0.0, shared_gb: float = 0.0) -> Demand:
    return Demand(
        shared_bytes=round(shared_gb * GB),
        worker_bytes=round(worker_gb * GB),
        window_bytes=round(window_gb * GB),
    )


def test_auto_takes_all_cores_one_thread_each() -> None:
    sizing = size_run(EIGHT_CORES, 20, demand(2))
    assert (sizing.workers, sizing.threads_per_worker, sizing.notes) == (8, 1, ())
    assert sizing.memory_per_worker_bytes == 2 * GB


def test_fewer_chunks_than_cores_get_more_threads() -> None:
    sizing = size_run(EIGHT_CORES, 3, demand(2))
    assert (sizing.workers, sizing.threads_per_worker) == (3, 2)


def test_the_mission_s_two_by_four() -> None:
    sizing = size_run(
        EIGHT_CORES,
        7,
        demand(10),
        workers=2,
        threads_per_worker=4,
        memory_per_worker_bytes=13 * GB,
    )
    assert (sizing.workers, sizing.threads_per_worker) == (2, 4)
    assert sizing.memory_per_worker_bytes == 13 * GB


def test_memory_limits_the_workers_and_says_so() -> None:
    sizing = size_run(Machine(cores=8, available_bytes=25 * GB), 7, demand(10), workers=4)
    assert (sizing.workers, sizing.threads_per_worker) == (2, 4)
    assert "4 workers asked, memory for 2 (10.0 GB each): using 2" in sizing.notes


def test_weights_count_once_for_all_workers() -> None:
    machine = Machine(cores=8, available_bytes=25 * GB)
    apart = size_run(machine, 20, demand(5))
    together = size_run(machine, 20, demand(2, shared_gb=3))
    assert (apart.workers, together.workers) == (4, 8)


def test_never_more_threads_than_cores() -> None:
    sizing = size_run(Machine(cores=2, available_bytes=64 * GB), 7, demand(1), workers=4)
    assert sizing.workers * sizing.threads_per_worker <= 2
    assert sizing.notes
    sizing = size_run(
        Machine(cores=2, available_bytes=64 * GB), 7, demand(1), threads_per_worker=16
    )
    assert (sizing.workers, sizing.threads_per_worker) == (1, 2)
    assert sizing.notes


def test_a_gpu_is_a_worker_s_own() -> None:
    machine = Machine(cores=8, available_bytes=64 * GB, gpus=2)
    sizing = size_run(machine, 20, demand(2))
    assert (sizing.workers, sizing.threads_per_worker) == (2, 4)
    assert size_run(machine, 20, demand(2), workers=8).notes == (
        "8 workers asked, 2 GPU(s): using 2",
    )


def test_on_a_gpu_a_worker_takes_no_memory_for_windows_and_weights() -> None:
    large, base = (
        memory_demand(dims, 600.0, 5, int8=False, batched=True, gpu=True)
        for dims in (LARGE_V3, LARGE_V3.model_copy(update={"n_text_layer": 6}))
    )
    assert large == base
    machine = Machine(cores=8, available_bytes=4 * GB, gpus=1)
    assert size_run(machine, 20, large).batch_size == 24
    assert 1.46 * GB < large.per_worker_bytes(24) < 2 * GB  # seen on an H200: 1.46


def test_a_batch_that_is_asked_for_is_used_and_counted() -> None:
    sizing = size_run(EIGHT_CORES, 20, demand(1, window_gb=0.5), batch_size=4)
    assert sizing.batch_size == 4
    assert sizing.memory_per_worker_bytes == 3 * GB


@pytest.mark.parametrize("window_gb", [0.0001, 0.01, 0.1, 1.0])
def test_workers_share_out_the_batch(window_gb: float) -> None:
    """More workers hold hardly more windows at once, and never batches too small to be worth it."""
    machine = Machine(cores=16, available_bytes=1000 * GB)
    batches = [
        size_run(machine, 100, demand(1, window_gb), workers=count).batch_size
        for count in (1, 2, 4, 16)
    ]
    assert batches == sorted(batches, reverse=True)
    assert batches[-1] >= 4
    larger = size_run(machine, 100, demand(1, 2 * window_gb), workers=2).batch_size
    assert larger <= batches[1]


def test_not_even_one_fits() -> None:
    machine = Machine(cores=8, available_bytes=4 * GB)
    with pytest.raises(ResourceError, match=r"needs about 10.0 GB, and 2.4 GB are free") as caught:
        size_run(machine, 7, demand(10, shared_gb=1))
    assert "weights' 1.0 GB" in str(caught.value)
    assert "--batch-size" in str(caught.value)


def test_less_memory_allowed_than_needed() -> None:
    with pytest.raises(ResourceError, match="--memory-per-worker"):
        size_run(EIGHT_CORES, 7, demand(10), memory_per_worker_bytes=2 * GB)


def test_float32_s_weights_are_four_bytes_and_int8_s_hardly_more_than_one() -> None:
    floats = memory_demand(LARGE_V3, 600.0, 5, int8=False, batched=True)
    integers = memory_demand(LARGE_V3, 600.0, 5, int8=True, batched=True)
    assert floats.shared_bytes == pytest.approx(4 * 1_550e6, rel=0.01)
    assert 1_550e6 < integers.shared_bytes < 2 * 1_550e6


@pytest.mark.parametrize("stored", ["float32", "int8"])
def test_weights_are_as_large_as_their_file(demo: ModelSpec, stored: Stored) -> None:
    if stored == "int8" and not has_int8_products():
        pytest.skip("no int8 products on this processor")
    mapped(demo, stored)
    found = memory_demand(demo.dims, 60.0, 5, int8=stored == "int8", batched=True)
    # What is float32 in both, biases and the like, is a larger part of a model so small.
    assert found.shared_bytes == pytest.approx(cache_file(demo, stored).stat().st_size, rel=0.15)


def test_a_window_s_keys_and_values_are_counted() -> None:
    """Of large, in float32, for 1500 positions of 32 layers alone: 0.49 GB; int8 is a quarter."""
    floats = memory_demand(LARGE_V3, 600.0, 1, int8=False, batched=True)
    integers = memory_demand(LARGE_V3, 600.0, 1, int8=True, batched=True)
    cross_bytes = 2 * 1500 * 1280 * 32 * 4
    assert floats.window_bytes > cross_bytes
    assert cross_bytes / 4 < integers.window_bytes < floats.window_bytes / 2
    assert floats.per_worker_bytes(8) == floats.worker_bytes + 8 * floats.window_bytes


def test_need_grows_with_model_chunk_and_candidates() -> None:
    sequential = memory_demand(LARGE_V3, 600.0, 5, int8=False, batched=False)
    alone_bytes = sequential.shared_bytes + sequential.per_worker_bytes(1)
    assert 9 * GB < alone_bytes < 14 * GB  # the mission's figure for large was 13 GB
    for batched in (True, False):
        plain = memory_demand(LARGE_V3, 600.0, 1, int8=False, batched=batched)
        longer = memory_demand(LARGE_V3, 3600.0, 1, int8=False, batched=batched)
        wider = memory_demand(LARGE_V3, 600.0, 5, int8=False, batched=batched)
        assert longer.per_worker_bytes(1) > plain.per_worker_bytes(1)
        assert wider.per_worker_bytes(1) > plain.per_worker_bytes(1)


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cgroup v2 tree where this process lives in /outer/inner."""
    read_text = Path.read_text
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda path, *a, **k: (
            "0::/outer/inner\n" if str(path) == "/proc/self/cgroup" else read_text(path, *a, **k)
        ),
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(machine, "_gpus", lambda: 0)
    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: type("memory", (), {"available": 64 * GB})
    )
    return tmp_path


def test_without_limits_the_host_s(cgroup: Path) -> None:
    assert this_machine(cgroup) == EIGHT_CORES


def test_limits_of_every_ancestor_apply(cgroup: Path) -> None:
    (cgroup / "outer" / "cpu.max").write_text("250000 100000\n")
    (cgroup / "outer" / "inner" / "cpu.max").write_text("max 100000\n")
    (cgroup / "outer" / "inner" / "memory.max").write_text(f"{6 * GB}\n")
    (cgroup / "outer" / "inner" / "memory.current").write_text(f"{2 * GB}\n")
    (cgroup / "outer" / "inner" / "memory.stat").write_text(f"anon 5\ninactive_file {GB}\n")
    found = this_machine(cgroup)
    assert found == Machine(cores=2, available_bytes=5 * GB)


def test_cgroup_v1(tmp_path: Path, cgroup: Path) -> None:
    (cgroup / "cpu.cfs_quota_us").write_text("400000\n")
    (cgroup / "cpu.cfs_period_us").write_text("100000\n")
    (cgroup / "memory.limit_in_bytes").write_text(f"{8 * GB}\n")
    (cgroup / "memory.usage_in_bytes").write_text(f"{GB}\n")
    assert this_machine(cgroup) == Machine(cores=4, available_bytes=7 * GB)


def test_this_machine_is_read() -> None:
    found = machine.this_machine()
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert 0 < found.available_bytes < psutil.virtual_memory().total


def test_after_kills_for_memory_fewer_workers_and_then_smaller_batches() -> None:
    sizing = size_run(EIGHT_CORES, 20, demand(2), batch_size=8)
    assert sizing.halved(0) == sizing
    halved = [sizing.halved(times) for times in (1, 3, 4, 9)]
    assert [(one.workers, one.threads_per_worker) for one in halved] == [
        (4, 2),
        (1, 8),
        (1, 8),
        (1, 8),
    ]
    assert [one.batch_size for one in halved] == [8, 8, 4, 1]
