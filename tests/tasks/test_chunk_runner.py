"""Workers of a run keep to their threads."""

import os

import pytest
from prefect import flow, task

from longscribe.audio.chunks import Chunk
from longscribe.models.weights import resolve_model
from longscribe.options import DecodingOptions
from longscribe.runtime.machine import Sizing
from longscribe.tasks.chunk_runner import chunk_runner
from tests.chunks import chunk


def sizing(workers: int, threads: int) -> Sizing:
    return Sizing(
        workers=workers, threads_per_worker=threads, memory_per_worker_bytes=1, batch_size=8
    )


@task
def threads_in_use(chunk: Chunk) -> tuple[int, int, int, list[int]]:
    del chunk
    import numba
    import torch
    from threadpoolctl import threadpool_info

    pools = [pool["num_threads"] for pool in threadpool_info()]
    return torch.get_num_threads(), torch.get_num_interop_threads(), numba.get_num_threads(), pools


@pytest.mark.parametrize("threads", [1, 2])
def test_torch_numba_and_every_other_thread_pool_are_capped(threads: int) -> None:
    @flow(persist_result=False)
    def ask() -> tuple[int, int, int, list[int]]:
        with chunk_runner(sizing(1, threads), resolve_model("demo"), DecodingOptions()):
            return threads_in_use.submit(chunk()).result()

    before = os.environ.get("OMP_NUM_THREADS")
    torch_threads, interop_threads, numba_threads, others = ask()
    assert (torch_threads, interop_threads, numba_threads) == (threads, 1, threads)
    assert set(others) == {threads}
    assert os.environ.get("OMP_NUM_THREADS") == before
