"""What happens on a GPU alone: a batch that its memory does not hold, a context that is lost."""

from collections.abc import Callable
from typing import TypeVar

import torch

_Result = TypeVar("_Result")

# How torch's messages begin when a call on the device failed. Most such errors stay: every later
# call of the process returns them too (CUDA's runtime API, cudaErrorIllegalAddress and others: "the
# process must be terminated and relaunched").
_FAILURES = ("CUDA error", "CUDA driver error", "cuDNN error")

# Memory that is wanted past torch's own allocator, for a recorded step or for cuBLAS: the process
# can go on.
_NO_MEMORY = ("CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED")


class BatchesOnGpu:
    """How many windows a process's GPU holds side by side, learned from those that it did not.

    What else runs on the GPU, and how much each window needs when it falls back, cannot be known
    beforehand; that a batch did not fit is found out within a second.
    """

    def __init__(self) -> None:
        self._most: int | None = None

    def within_memory(
        self, batch_size: int, work: Callable[[int], _Result], forget: Callable[[], None]
    ) -> _Result:
        """Do some work with so many windows side by side, or with half as many until they fit.

        Args:
            batch_size: to begin with, unless fewer did not fit before.
            work: given how many; it begins anew each time.
            forget: gives up what the work has left on the GPU.

        Raises:
            RuntimeError: not even one window fits; mostly torch.OutOfMemoryError.
        """
        size = min(batch_size, self._most or batch_size)
        while True:
            try:
                return work(size)
            except RuntimeError as error:
                if size == 1 or not _lacks_memory(error):
                    raise
            # Out here: the error's frames hold on to the tensors of the batch.
            self._most = size = size // 2
            forget()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def is_lost(error: BaseException) -> bool:
    """Whether an error says that the GPU can do nothing more for this process."""
    return isinstance(error, RuntimeError) and str(error).startswith(_FAILURES)


def _lacks_memory(error: BaseException | None) -> bool:
    """Whether it was memory, also where that ended a recording, whose own error then hides it."""
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError) or str(error).startswith(_NO_MEMORY):
            return True
        error = error.__context__
    return False
