"""`make serve`: server, workers and web application on this machine, with SQLite, until Ctrl-C.

The same as deploy.sh without Docker: one process each for the server, the worker, the one for
clips, the inbox and the web application.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final

import click
import httpx
from prefect.settings import PREFECT_HOME

from longscribe.flows.translated_command import TranslatedCommand
from longscribe.web.first_login import first_login
from longscribe.web.settings import WebSettings
from longscribe.wording.catalog import translatable, translated

_ANSWERS_WITHIN_S = 60.0
_STOP_WITHIN_S = 30.0  # workers, and then the server
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ENVIRONMENT = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_API_URL": "/api",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # Recordings that wait for their turn are not late; and Prefect marks all of them at once, each
    # in a transaction of its own: with two hundred, SQLite was locked so long that a start failed.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    # Workers look for runs as often, instead of every ten seconds: a short clip takes less.
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    # Each of a run's clients would ask for a token that this server does not want, and for its
    # version, which is this one's.
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
}
_HERE: Final = "longscribe.deployments"
_WEB: Final = "longscribe.web.server"


def api_login() -> str:
    """User and password of an exposed server, made once, in a file that only its owner reads."""
    file = Path(PREFECT_HOME.value()) / "api-login"
    try:
        # Never readable by others, not even for a moment; never written over.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text(encoding="utf-8")
    with os.fdopen(descriptor, "w", encoding="utf-8") as new:
        new.write(f"longscribe:{secrets.token_urlsafe(24)}")
    return file.read_text(encoding="utf-8")


class Service:
    """The processes, started one after the other and stopped in reverse."""

    def __init__(self, environment: dict[str, str]) -> None:
        """Nothing runs yet.

        Args:
            environment: of all the processes.
        """
        self._environment = environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *module: str) -> None:
        """Start `python -m module...` in a session of its own: Ctrl-C is for us to pass on."""
        self._processes[name] = subprocess.Popen(
            [sys.executable, "-P", "-m", *module],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self, *module: str) -> None:
        """Wait for `python -m module...`.

        Raises:
            click.ClickException: it failed; it said why.
        """
        done = subprocess.run(
            [sys.executable, "-P", "-m", *module], env=self._environment, check=False
        )
        if done.returncode:
            raise click.ClickException(
                translated("{module} failed; its message is above.").format(module=module[0])
            )

    def wait(self) -> None:
        """Return never, but raise when one of the processes ends.

        Raises:
            click.ClickException: names it.
        """
        while True:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    sentence = translated("the {name} ended with code {code}.")
                    raise click.ClickException(sentence.format(name=name, code=process.returncode))
            time.sleep(0.5)

    def stop(self) -> None:
        """End the workers, then the server: workers have their last words to say to it."""
        processes = list(self._processes.values())
        for group in (processes[1:], processes[:1]):  # workers at once: each takes its time
            for process in group:
                process.terminate()
            give_up_s = time.monotonic() + _STOP_WITHIN_S
            for process in group:
                try:
                    process.wait(max(0.0, give_up_s - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


def _wait_for(url: str) -> None:
    """Return when an address answers; after a while also when it does not: `wait` says why."""
    give_up_s = time.monotonic() + _ANSWERS_WITHIN_S
    while time.monotonic() < give_up_s:
        try:
            httpx.get(url, timeout=1.0)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@click.command(
    cls=TranslatedCommand,
    help=translatable(
        "Serve Longscribe from this machine until Ctrl-C: server, worker, inbox, web."
    ),
)
@click.option(
    "--host",
    default="127.0.0.1",
    help=translatable("Beyond it a password is asked.  [127.0.0.1]"),
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=4200,
    help=translatable("0: a free one.  [4200]"),
)
@click.option(
    "--web-port",
    type=click.IntRange(0, 65535),
    default=4201,
    help=translatable("Of the web application; 0: a free one.  [4201]"),
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("~/longscribe"),
    help=translatable("Has media, media/inbox and transcripts.  [~/longscribe]"),
)
def main(host: str, port: int, web_port: int, folder: Path) -> None:
    """Serve Longscribe from this machine until Ctrl-C: server, worker, inbox, web application."""
    signal.signal(signal.SIGTERM, _interrupt)
    port, web_port = port or _free_port(host), web_port or _free_port(host)
    folder = folder.expanduser().resolve()
    media, transcripts = folder / "media", folder / "transcripts"
    for made in (media / "inbox", transcripts):
        made.mkdir(parents=True, exist_ok=True)

    url, web_url = f"http://{host}:{port}", f"http://{host}:{web_port}"
    environment = {
        **_ENVIRONMENT,
        "LONGSCRIBE_MEDIA_ROOTS": f"{media}:{transcripts}",
        "LONGSCRIBE_INBOX": str(media / "inbox"),
        "LONGSCRIBE_TRANSCRIPTS": str(transcripts),
        "LONGSCRIBE_UPLOADS": str(media / "uploads"),
        "LONGSCRIBE_WEB_DATABASE": f"sqlite:///{folder / 'web.sqlite'}",
        "LONGSCRIBE_WEB_URL": web_url,
        **os.environ,
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_UI_URL": url,
    }
    if host not in _LOOPBACK:
        login = api_login()
        environment |= {"PREFECT_SERVER_API_AUTH_STRING": login, "PREFECT_API_AUTH_STRING": login}

    web_login = first_login(WebSettings.from_environment(environment), folder)
    service = Service(environment)
    try:
        click.echo(translated("Starting the server at {url} ...").format(url=url))
        service.start("server", f"{_HERE}.server", "--host", host, "--port", str(port))
        service.run(f"{_HERE}.register")
        service.start("worker", f"{_HERE}.worker")
        service.start("clips", f"{_HERE}.worker", "--queue", "clips")
        service.start("inbox", f"{_HERE}.worker", "--queue", "inbox")
        service.start("web", _WEB, "--host", host, "--port", str(web_port))
        _wait_for(f"{web_url}/health")
        click.echo(_how_to_use(url, media / "inbox", transcripts, host not in _LOOPBACK))
        click.echo(
            translated("The web application is at {url}; sign in with what is in {login}").format(
                url=web_url, login=web_login
            )
        )
        service.wait()
    except KeyboardInterrupt:
        click.echo(translated("Stopping; a recording that is not done goes on at the next start"))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        service.stop()


def _how_to_use(url: str, inbox: Path, transcripts: Path, asks: bool) -> str:
    lines = [
        translated("Longscribe runs at {url} (Ctrl-C stops it)"),
        translated("Drop recordings into {inbox}; transcripts are written to {transcripts}"),
        translated("Or start one: {url}/deployments > transcribe > Run"),
        translated("Or over the API: see {readme}"),
    ]
    if asks:
        lines.append(translated("Sign in with what is in {login}"))
    return "\n".join(lines).format(
        url=url,
        inbox=inbox,
        transcripts=transcripts,
        readme=Path(__file__).with_name("README.md"),
        login=Path(PREFECT_HOME.value()) / "api-login",
    )


if __name__ == "__main__":
    main()
