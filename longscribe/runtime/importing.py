"""Importing large libraries sooner."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """Let no garbage collection look through what is imported within, then or ever.

    Classes and functions by the hundred thousand come into being while Prefect or torch are
    imported, and live as long as the process; collections that look for garbage among them take a
    tenth to a quarter of the time (measured in benchmarks/NOTES.md).
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
