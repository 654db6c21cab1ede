"""What runs in the process of a command's embedded Prefect server.

As `prefect server start` does it in the foreground, without its own command line and collections of
garbage, which would take half a second more, twice that where the cores are shared.
"""

import os
import signal
from collections.abc import Mapping

from longscribe.runtime.importing import without_collections
from longscribe.runtime.lifetime import end_with_parent, show_as

SHOWN_AS = "prefect-server"  # in `ps` and `top`, where it would look like the command's double


def serve(host: str, port: int, environment: Mapping[str, str], parent_pid: int) -> None:
    """Serve Prefect's API and UI until a signal ends it, or its parent is gone.

    Args:
        host: of the address.
        port: of the address.
        environment: of this process, Prefect's settings in it.
        parent_pid: of the command.
    """
    # A SIGKILL of the command would leave it behind for ever.
    end_with_parent(parent_pid)
    show_as(SHOWN_AS)
    # Ctrl-C reaches the whole process group; the run still has its end to report.
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not the command's, until uvicorn sets its own
    _say_nothing()
    os.environ.clear()
    os.environ.update(environment)
    with without_collections():
        import uvicorn
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()  # where it was imported before the fork
        from prefect.server.api.server import create_app
        from prefect.settings import (
            PREFECT_SERVER_API_KEEPALIVE_TIMEOUT,
            PREFECT_SERVER_LOGGING_LEVEL,
        )

        from longscribe.flows.sqlite_writer import one_writer_at_a_time

        # Not `final`, whose collection of garbage is half of the time that this takes.
        app = create_app()
    with one_writer_at_a_time():
        uvicorn.run(
            app,
            host=host,
            port=port,
            timeout_keep_alive=PREFECT_SERVER_API_KEEPALIVE_TIMEOUT.value(),
            log_level=PREFECT_SERVER_LOGGING_LEVEL.value().lower(),
        )


def _say_nothing() -> None:
    """Keep off the terminal, and off a pipe that whoever reads the command waits for."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
