"""`python -m longscribe.deployments.register`: tell the server what Longscribe has.

The work pool, the deployments, the automations. As often as you like: what is there already is
brought up to date.
"""

import subprocess
import sys
import time
from pathlib import Path

import click
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.settings import PREFECT_API_URL

from longscribe.deployments import orphaned_runs
from longscribe.deployments.automations import apply_automations
from longscribe.errors import ServerError
from longscribe.flows.translated_command import TranslatedCommand
from longscribe.flows.work_pool import WORK_POOL, prepare_work_pool, work_pool_name
from longscribe.wording.catalog import translatable, translated

_FOLDER = Path(__file__).parent  # of prefect.yaml
_ANSWERS_WITHIN_S = 300.0  # the first start makes the database
_DEPLOYMENTS = ("transcribe/transcribe", "inbox/inbox")


def wait_for_server(within_s: float = _ANSWERS_WITHIN_S) -> None:
    """Return as soon as the configured server and its database answer.

    Args:
        within_s: how long to wait, in seconds.

    Raises:
        ServerError: none is configured, or it does not answer in time.
    """
    url = PREFECT_API_URL.value()
    if not url:
        raise ServerError(
            translated("no Prefect server is named; set PREFECT_API_URL to its /api address.")
        )
    give_up_s = time.monotonic() + within_s
    while True:
        with get_client(sync_client=True) as client:
            failure = client.api_healthcheck()
        if failure is None:
            return
        if time.monotonic() >= give_up_s:
            sentence = translated("the Prefect server at {url} does not answer: {failure}")
            raise ServerError(sentence.format(url=url, failure=failure))
        time.sleep(1.0)


def register() -> None:
    """Bring the server up to date with this installation.

    Raises:
        ServerError: `prefect deploy` refused; it said why.
    """
    prepare_work_pool()
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    deployed = subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True, check=False)
    if deployed.returncode:
        sentence = translated("prefect deploy failed:\n{output}")
        raise ServerError(sentence.format(output=deployed.stdout + deployed.stderr))
    use_pool()
    refuse_unknown_parameters()
    apply_automations()
    orphaned_runs.create()


def use_pool() -> None:
    """Move the deployments to the pool of LONGSCRIBE_POOL: prefect.yaml takes no name from outside.

    Their queues have the same names there.
    """
    name = work_pool_name()
    if name == WORK_POOL:
        return
    with get_client(sync_client=True) as client:
        for deployed in _DEPLOYMENTS:
            deployment = client.read_deployment_by_name(deployed)
            client.update_deployment(
                deployment.id,
                DeploymentUpdate(work_pool_name=name, work_queue_name=deployment.work_queue_name),
            )


def refuse_unknown_parameters() -> None:
    """Have the server refuse parameters that there are not.

    Prefect's schema leaves them to the run, which then crashes without a sentence.
    """
    with get_client(sync_client=True) as client:
        for name in _DEPLOYMENTS:
            deployment = client.read_deployment_by_name(name)
            schema = {**(deployment.parameter_openapi_schema or {}), "additionalProperties": False}
            client.update_deployment(
                deployment.id, DeploymentUpdate(parameter_openapi_schema=schema)
            )


@click.command(
    cls=TranslatedCommand,
    help=translatable("Wait for the Prefect server, then register everything with it."),
)
def main() -> None:
    """Wait for the Prefect server, then register everything with it."""
    try:
        wait_for_server()
        register()
    except ServerError as error:
        raise click.ClickException(str(error)) from None
    click.echo(translated("Registered: work pool longscribe, deployments transcribe and inbox"))


if __name__ == "__main__":
    main()
