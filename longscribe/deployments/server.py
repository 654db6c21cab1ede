"""`python -m longscribe.deployments.server`: the Prefect server, UI and services.

Behind our own `RequestFilter`. As `prefect server start` does it in the foreground, which leaves
no room for anything in front.
"""

import click
import uvicorn
from prefect.server.api.server import create_app
from prefect.settings import (
    PREFECT_SERVER_API_AUTH_STRING,
    PREFECT_SERVER_API_KEEPALIVE_TIMEOUT,
    PREFECT_SERVER_LOGGING_LEVEL,
    PREFECT_UI_URL,
)

from longscribe.deployments.request_filter import RequestFilter
from longscribe.deployments.retention import keep_runs_days, keeping_runs
from longscribe.errors import OptionError
from longscribe.flows.sqlite_writer import one_writer_at_a_time


@click.command()
@click.option("--host", default="127.0.0.1", help="Where it listens.  [127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), default=4200, help="[4200]")
def main(host: str, port: int) -> None:
    """Start the Prefect server."""
    try:
        days = keep_runs_days()
    except OptionError as error:
        raise click.ClickException(str(error)) from None
    with keeping_runs(days), one_writer_at_a_time():
        uvicorn.run(
            RequestFilter(
                create_app(final=True),
                own_url=PREFECT_UI_URL.value() or f"http://{host}:{port}",
                asks=bool(PREFECT_SERVER_API_AUTH_STRING.value()),
            ),
            host=host,
            port=port,
            timeout_keep_alive=PREFECT_SERVER_API_KEEPALIVE_TIMEOUT.value(),
            log_level=PREFECT_SERVER_LOGGING_LEVEL.value().lower(),
        )


if __name__ == "__main__":
    main()
