import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from longscribe.flows.command_line import main

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def server(prefect_server: None) -> None:
    """Every test here runs flows."""


@pytest.fixture(scope="session")
def deployed(server: None) -> None:
    """The work pool and all of prefect.yaml, on the tests' server."""
    from longscribe.flows.work_pool import prepare_work_pool

    prepare_work_pool()
    deploy()


def deploy(**environment: str) -> str:
    """Register prefect.yaml as its first lines say; what Prefect printed."""
    from prefect.settings import PREFECT_API_URL

    ran = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=PROJECT,
        env={**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value()), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


class Ran(NamedTuple):
    """What became of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def longscribe(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Runs the command in this process and an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        out, err = capfd.readouterr()
        assert isinstance(caught.value.code, int)
        return Ran(caught.value.code, out, err)

    return run
