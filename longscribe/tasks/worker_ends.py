"""How workers ended, for people."""

import signal

from longscribe.tasks.pool import FORK_SERVER_DIED
from longscribe.tasks.worker import GPU_LOST
from longscribe.wording.catalog import translated


def ends_shown(exit_codes: dict[int, int]) -> str:
    """How workers ended, by their exit codes: `killed by SIGKILL`."""
    if not exit_codes:
        return translated("no result came back")
    if set(exit_codes.values()) == {FORK_SERVER_DIED}:
        return translated("the process that workers are forked from died")
    return ", ".join(sorted({_end_shown(code) for code in exit_codes.values()}))


def _end_shown(exit_code: int) -> str:
    if exit_code == GPU_LOST:
        return translated("the GPU failed")
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return translated("killed by {signal}").format(signal=name)
    return translated("exit code {code}").format(code=exit_code)
