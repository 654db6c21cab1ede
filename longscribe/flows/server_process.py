"""`python -m longscribe.flows.server_process HOST PORT`: a command's embedded Prefect server.

As `prefect server start` does it in the foreground, whose own command line and collections of
garbage would take half a second more, twice that where the cores are shared.
"""

import sys

from longscribe.runtime.importing import without_collections


def main(host: str, port: int) -> None:
    """Serve Prefect's API and UI until a signal ends it."""
    with without_collections():
        import uvicorn
        from prefect.server.api.server import create_app
        from prefect.settings import (
            PREFECT_SERVER_API_KEEPALIVE_TIMEOUT,
            PREFECT_SERVER_LOGGING_LEVEL,
        )

        app = create_app(final=True)
    uvicorn.run(
        app,
        host=host,
        port=port,
        timeout_keep_alive=PREFECT_SERVER_API_KEEPALIVE_TIMEOUT.value(),
        log_level=PREFECT_SERVER_LOGGING_LEVEL.value().lower(),
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
