"""The units: read by systemd itself where it is, and hardened."""

import shutil
import subprocess
from pathlib import Path

import pytest

from longscribe import deployments

UNITS = sorted((Path(deployments.__file__).parent / "systemd").glob("*.service"))
HARDENING = (
    "NoNewPrivileges=true",
    "ProtectSystem=strict",
    "ProtectHome=true",
    "PrivateTmp=true",
    "RestrictNamespaces=true",
    "CapabilityBoundingSet=\n",
    "SystemCallFilter=@system-service",
    "User=longscribe",
)


def test_all_are_there() -> None:
    assert [unit.name for unit in UNITS] == [
        "longscribe-server.service",
        "longscribe-web.service",
        "longscribe-worker@.service",
    ]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_hardened_restarted_and_without_secrets(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    for line in (*HARDENING, "Restart=always"):
        assert line in text
    assert "AUTH_STRING" not in text


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_all_of_it(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name.replace("@", "@inbox")
    text = unit.read_text(encoding="utf-8").replace("/opt/longscribe/.venv/bin/python", "/bin/sh")
    copy.write_text(text, encoding="utf-8")
    said = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert copy.name not in said.stderr
    assert said.returncode == 0, said.stderr
