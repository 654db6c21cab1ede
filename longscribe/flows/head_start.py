"""What a command starts before it has read its own options: what takes workers longest."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from longscribe.errors import OutputError
from longscribe.flows.prefect_home import check_prefect_home
from longscribe.runtime.fork_server import start_fork_server
from longscribe.tasks.preload import PRELOAD

# Prefect reads these when it is imported; what the user has set himself wins.
_PREFECT_DEFAULTS: Final = {
    "PREFECT_LOGGING_SETTINGS_PATH": str(Path(__file__).with_name("logging.yml")),
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # A server that restarts, or is unreachable for some minutes, must not end a run: each retry
    # waits twice as long as the one before, at first 2 s, in all eight minutes.
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    # What a server answers while its database restarts; by itself Prefect gives up at once.
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
}

_NO_RUN: Final = frozenset({"-h", "--help", "-V", "--version"})
_ELSEWHERE: Final = frozenset({"dask", "--runner=dask"})  # chunks need no fork server here
_OTHER_COMMANDS: Final = frozenset({"cache", "plan", "tune"})


def set_prefect_defaults() -> None:
    """In the environment of this process and of all that it starts."""
    for name, value in _PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)


def give_head_start(arguments: Sequence[str]) -> None:
    """Start the fork server where there seems to be something to transcribe.

    Its imports take it three seconds, and this process needs one of them to read its options, find
    the recordings and look into them. Where it turns out that nothing is to be done, the fork
    server ends with this process, or is ended.
    """
    if not begins_run(arguments):
        return
    set_prefect_defaults()
    with suppress(OutputError):  # the command says it, and Prefect would warn when it is imported
        check_prefect_home()
        start_fork_server(PRELOAD)


def begins_run(arguments: Sequence[str]) -> bool:
    """Whether a command line looks like that of a run, at a glance."""
    return (
        not _NO_RUN.intersection(arguments)
        and arguments[:1] != []
        and arguments[0] not in _OTHER_COMMANDS
        and not _ELSEWHERE.intersection(arguments)
        and any(not argument.startswith("-") for argument in arguments)
    )
