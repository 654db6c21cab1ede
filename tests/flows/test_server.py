"""The embedded server: back when it died, gone when the command is."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from tests.eventually import eventually

SCRIPT = """
import os, time
from prefect.settings import get_current_settings
from longscribe.flows.server import connected, started_server
with connected(started_server()):
    print("heartbeat", get_current_settings().flows.heartbeat_frequency, flush=True)
    print(os.environ["PREFECT_API_URL"], flush=True)
    time.sleep(300)
"""


def test_it_comes_back_and_does_not_outlive_a_killed_command(
    tmp_path: Path, prefect_home: Callable[[Path], Path]
) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "PREFECT_API_URL"}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env={
            **environment,
            "PREFECT_HOME": str(prefect_home(tmp_path / "prefect")),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        try:
            assert command.stdout is not None
            said = iter(command.stdout)
            # Its thread would hold up every run's end for up to a second.
            assert next(line for line in said if line.startswith("heartbeat")).split()[1] == "None"
            url = next(line for line in said if line.startswith("http"))
            (server,) = psutil.Process(command.pid).children()
            server.kill()
            server.wait(10)
            assert eventually(lambda: answers(url.strip()), bool, within_s=120.0)
            servers = psutil.Process(command.pid).children(recursive=True)
            assert servers
            command.send_signal(signal.SIGKILL)
            _, alive = psutil.wait_procs(servers, timeout=60)
            assert not alive
        finally:
            command.kill()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5.0).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
