"""`longscribe web` (`python -m longscribe.web.server`): the web application, in one process.

One: what follows the runs and sends the callbacks is in it, once.
"""

import ipaddress

import click
import uvicorn
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

from longscribe.errors import InputError, ServerError
from longscribe.flows.translated_command import TranslatedCommand
from longscribe.web.application import create_application
from longscribe.web.prefect_backend import PrefectBackend
from longscribe.web.settings import WebSettings
from longscribe.wording.catalog import translatable, translated

_GRACE_S = 10  # for answers under way when the process is told to end


def prefect_backend() -> PrefectBackend:
    """The Prefect server that is configured.

    Raises:
        ServerError: none is.
    """
    url = PREFECT_API_URL.value()
    if not url:
        raise ServerError(
            translated("no Prefect server is named; set PREFECT_API_URL to its /api address.")
        )
    return PrefectBackend(url, PREFECT_API_AUTH_STRING.value() or "")


@click.command(
    cls=TranslatedCommand,
    help=translatable("Serve the web application: pages, jobs, OpenAI's audio API."),
)
@click.option("--host", default="127.0.0.1", help=translatable("Where it listens.  [127.0.0.1]"))
@click.option("--port", type=click.IntRange(1, 65535), default=4201, help="[4201]")
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    default=("127.0.0.1", "::1"),
    help=translatable("Whose X-Forwarded headers are believed; repeatable.  [this machine]"),
)
def main(host: str, port: int, proxies: tuple[str, ...]) -> None:
    """Serve the web application: pages, jobs, OpenAI's audio API."""
    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            sentence = translated("--proxy: {proxy!r} is no address or network.")
            raise click.UsageError(sentence.format(proxy=proxy)) from None
    try:
        application = create_application(WebSettings.from_environment(), prefect_backend())
    except InputError as error:
        raise click.ClickException(str(error)) from None
    uvicorn.run(
        application,
        host=host,
        port=port,
        log_level="warning",
        proxy_headers=True,
        forwarded_allow_ips=list(proxies),
        timeout_graceful_shutdown=_GRACE_S,
    )


if __name__ == "__main__":
    main()
