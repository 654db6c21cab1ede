"""A GPU's memory that a batch does not fit in, and errors after which it does nothing more."""

import os
import subprocess
import sys

import pytest
import torch

from longscribe.decoding import chunk as decoding
from longscribe.decoding.batched import transcribe_batched
from longscribe.decoding.chunk import Arithmetic
from longscribe.engine.float_network import FloatNetwork
from longscribe.engine.gpu_memory import BatchesOnGpu, is_lost
from longscribe.errors import ResourceError
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from tests.recordings import beginning, sound_in, word_error_rate

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Memory:
    """Work that fits with so many windows, and what it was asked for."""

    def __init__(self, holds: int, error: Exception = FULL) -> None:
        self.holds = holds
        self.error = error
        self.asked: list[int] = []
        self.forgotten = 0

    def forget(self) -> None:
        self.forgotten += 1

    def work(self, size: int) -> str:
        self.asked.append(size)
        if size > self.holds:
            raise self.error
        return f"{size} at once"


def test_a_batch_is_halved_until_it_fits_and_stays_so() -> None:
    memory, batches = Memory(holds=7), BatchesOnGpu()
    assert batches.within_memory(24, memory.work, memory.forget) == "6 at once"
    assert batches.within_memory(24, memory.work, memory.forget) == "6 at once"
    assert batches.within_memory(4, memory.work, memory.forget) == "4 at once"
    assert memory.asked == [24, 12, 6, 6, 4]
    assert memory.forgotten == 2


def hidden_by_a_recording() -> Exception:
    try:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
        finally:
            raise RuntimeError("CUDA error: operation failed due to a previous error")
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        hidden_by_a_recording(),
    ],
)
def test_memory_that_torch_s_allocator_did_not_miss_halves_the_batch_too(error: Exception) -> None:
    memory = Memory(holds=2, error=error)
    assert BatchesOnGpu().within_memory(8, memory.work, memory.forget) == "2 at once"


def test_where_not_even_one_window_fits_the_error_is_torch_s() -> None:
    memory = Memory(holds=0)
    with pytest.raises(torch.OutOfMemoryError):
        BatchesOnGpu().within_memory(5, memory.work, memory.forget)
    assert memory.asked == [5, 2, 1]


def test_another_error_of_the_work_is_not_tried_again() -> None:
    def fail(size: int) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        BatchesOnGpu().within_memory(8, fail, Memory(holds=8).forget)


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), False),
        (ValueError("CUDA error: said by something else"), False),
    ],
)
def test_errors_after_which_a_gpu_does_nothing_more(error: Exception, lost: bool) -> None:
    assert is_lost(error) == lost


def test_a_model_that_the_gpu_s_memory_does_not_hold_is_refused_in_a_sentence(
    demo: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(decoding, "FloatNetwork", full)
    chosen = list[str]()
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    decoding.load.cache_clear()
    with pytest.raises(ResourceError, match=r"GPU does not hold the model demo .*--device cpu\.$"):
        decoding.load(demo, Arithmetic("cuda:1", "float16"))
    assert chosen == ["cuda:1"]


@needs_gpu
def test_a_gpu_with_little_memory_understands_as_well(demo: ModelSpec) -> None:
    part = beginning()
    sound = sound_in(part)
    sizes, networks = [], list[FloatNetwork]()

    def work(size: int) -> float:
        sizes.append(size)
        networks[:] = networks or [FloatNetwork(demo, "cuda", torch.float16)]
        result = transcribe_batched(
            *(networks[0], (), part, sound, DecodingOptions()), batch_size=size, seed=0
        )
        return word_error_rate(segment.text for segment in result.segments)

    def peak_bytes(size: int) -> int:
        networks.clear()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        work(size)
        return torch.cuda.max_memory_reserved()

    limit_bytes = (peak_bytes(1) + peak_bytes(8)) // 2
    networks.clear()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(limit_bytes / torch.cuda.mem_get_info()[1])
    try:
        rate = BatchesOnGpu().within_memory(8, work, networks.clear)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert sizes[2] == 8
    assert sizes[-1] < 8
    assert rate <= 0.02


@needs_gpu
def test_what_a_failed_kernel_raises_is_known_and_stays() -> None:
    """In a process of its own, as nothing on the GPU works in it afterwards."""
    program = """
import torch
from longscribe.engine.gpu_memory import is_lost
for attempt in range(2):
    try:
        torch.zeros(3, device="cuda")[torch.tensor([7], device="cuda")].cpu()
    except Exception as error:
        print(type(error).__name__, is_lost(error))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ
    )
    assert done.stdout.split()[1::2] == ["True", "True"], done.stdout + done.stderr
