"""compose.yaml, read as Compose reads it: every container limited, watched, unprivileged."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from longscribe import deployments

FOLDER = Path(deployments.__file__).parent
TEXT = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def test_all_parts_are_there() -> None:
    names = {"postgres", "redis", "server", "worker", "clips", "inbox", "web", "register"}
    assert set(SERVICES) == names


@each_service
def test_service_is_limited_and_unprivileged(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+[mg]|\$\{LONGSCRIBE_WORKER_MEMORY:-8g\}", service["mem_limit"])
    assert service["cpus"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "${LONGSCRIBE_UID:-10001}:${LONGSCRIBE_GID:-10001}"
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"register"}))
def test_service_is_watched_and_restarted(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["stop_grace_period"]
    assert service["init"] is True


@each_service
def test_images_are_pinned(service: dict[str, Any]) -> None:
    name, tag = service["image"].split(":", 1)
    assert name == "longscribe" or re.fullmatch(r"\d+\.\d+\.\d+-bookworm|\d+\.\d+-bookworm", tag)


@each_service
def test_no_secret_is_in_the_environment(service: dict[str, Any]) -> None:
    for name, value in service.get("environment", {}).items():
        if re.search("PASSWORD|AUTH|SECRET|KEY", name):
            assert name.endswith("_FILE"), name
            assert str(value).startswith("/run/secrets/")


def test_only_two_listen_and_on_loopback_by_default() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["server", "web"]
    assert SERVICES["web"]["ports"] == [
        "${LONGSCRIBE_LISTEN:-127.0.0.1}:${LONGSCRIBE_WEB_PORT:-4201}:4201"
    ]
    assert SERVICES["server"]["ports"] == [
        "${LONGSCRIBE_LISTEN:-127.0.0.1}:${LONGSCRIBE_PORT:-4200}:4200"
    ]


def test_workers_do_not_reach_the_database() -> None:
    assert yaml.safe_load(TEXT)["networks"]["back"] == {"internal": True}
    reach = {name for name, service in SERVICES.items() if "back" in service["networks"]}
    assert reach == {"postgres", "redis", "server"}
    for name in ("worker", "clips", "inbox", "web", "register"):
        assert not [volume for volume in SERVICES[name]["volumes"] if "postgres" in volume]
        assert "LONGSCRIBE_MEDIA_ROOTS" in SERVICES[name]["environment"]


def test_image_is_pinned_and_not_root() -> None:
    dockerfile = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-bookworm$", dockerfile, re.M)
    assert dockerfile.rstrip().endswith("USER 10001:10001")
    assert "PREFECT_SERVER_ANALYTICS_ENABLED=false" in dockerfile
    assert "DO_NOT_TRACK=1" in dockerfile
    pins = (FOLDER / "constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"^prefect==", pins, re.M)
    assert not re.search(r"^torch==", pins, re.M)  # one place says it: constraints.txt at the top


def test_deploy_refuses_what_it_does_not_know() -> None:
    ran = subprocess.run(
        [FOLDER / "deploy.sh", "--folow"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "--folow" in ran.stderr


class Recorded:
    """deploy.sh against a docker that writes down what it is told."""

    def __init__(self, folder: Path, **settings: str) -> None:
        programs = folder / "bin"
        programs.mkdir(exist_ok=True)
        docker = programs / "docker"
        docker.write_text(
            "#!/bin/sh\n"
            f'echo "$*" >> {folder}/calls\n'
            'case "$*" in *inspect*) echo healthy ;; esac\n'
        )
        docker.chmod(0o755)
        self.home = folder / "home"
        self._environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LONGSCRIBE_HOME": str(self.home),
            **settings,
        }

    def run(self) -> str:
        return subprocess.run(
            [FOLDER / "deploy.sh", "--no-follow"],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def secret(self, name: str) -> str:
        file = self.home / "secrets" / name
        assert file.stat().st_mode & 0o077 == 0
        return file.read_text(encoding="utf-8")


def test_deploy_on_loopback_asks_for_no_password(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path)
    said = recorded.run()
    assert "http://127.0.0.1:4200" in said
    assert "AUTH_STRING" not in recorded.secret("server.toml")
    calls = (tmp_path / "calls").read_text().splitlines()
    order = [calls.index(f"compose {call}") for call in ("build server", "up -d server")]
    order.append(calls.index("compose run --rm -T register"))
    order.append(calls.index("compose up -d --remove-orphans"))
    assert order == sorted(order)


def test_exposed_server_asks_for_a_password_kept_over_upgrades(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, LONGSCRIBE_LISTEN="0.0.0.0")
    said = recorded.run()
    password = recorded.secret("api-password")
    database = recorded.secret("postgres-password")
    assert len(password) >= 32
    assert f'PREFECT_SERVER_API_AUTH_STRING = "longscribe:{password}"' in recorded.secret(
        "server.toml"
    )
    client = recorded.secret("client.toml")
    assert f'PREFECT_API_AUTH_STRING = "longscribe:{password}"' in client
    assert "SERVER" not in client
    assert database not in client
    assert password not in said
    recorded.run()
    assert recorded.secret("api-password") == password
    assert recorded.secret("postgres-password") == database


def test_settings_file_is_kept_and_the_environment_wins(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path)
    recorded.run()
    settings = recorded.home / "settings.env"
    settings.write_text(settings.read_text().replace("PORT=4200", "PORT=4300"))
    assert "http://127.0.0.1:4300" in recorded.run()
    assert "http://127.0.0.1:4400" in Recorded(tmp_path, LONGSCRIBE_PORT="4400").run()
