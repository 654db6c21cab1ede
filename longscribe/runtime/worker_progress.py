"""What a worker has got done, counted where the run's own process can read it.

On a loaded machine a worker is slow, and one that turns in circles is busy: only what it finishes
tells them apart. So it counts small pieces of its work, each a second or less of a core: a layer of
a network for a window or a token, a matrix that is converted, a pass of a kernel's compiler.
"""

from ctypes import c_uint64

_count = c_uint64()  # outside of a worker nobody reads it


def count_in(count: c_uint64) -> None:
    """In a worker: count from now on in memory that the run's process shares."""
    global _count
    _count = count


def advance() -> None:
    """A piece of the work is done."""
    _count.value += 1
