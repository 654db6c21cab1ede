"""Waiting for what the Prefect server takes in when it can: states of task runs are events."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], holds: Callable[[T], object], within_s: float = 15.0) -> T:
    """What is seen as soon as it holds; the last look, which does not, when it takes too long."""
    end_s = time.monotonic() + within_s
    while not holds(seen := look()) and time.monotonic() < end_s:
        time.sleep(0.2)
    return seen
