import os
import subprocess
import sys
from pathlib import Path

import pytest

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
