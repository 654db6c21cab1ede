"""The wheel, installed as a user installs it, away from the source."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.recordings import beginning
from tests.sounds import write_sound

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, source = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("source")
    # A copy: building leaves folders behind.
    shutil.copytree(PROJECT / "longscribe", source / "longscribe")
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(PROJECT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", str(source)]
    subprocess.run([*command, "--wheel-dir", str(folder)], check=True)
    (built,) = folder.glob("longscribe-*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment with the wheel, and this environment's other packages."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    variables = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", vars=variables))
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(folder / "bin" / "python")]
    command = [*pip, "install", "--no-deps", str(wheel)]
    subprocess.run(command, check=True, env=environment(folder))
    # A folder that a .pth names is searched; its own .pth files, such as this project's, are not.
    # Only now: pip would find this project there, and install nothing.
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder of somebody who has packages of these names."""
    for name in ("flows", "tasks", "deployments", "page", "numbers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('foreign {name}')\n")
    write_sound(tmp_path / "talk.wav", beginning(duration_s=10.0))
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PREFECT_", "PYTHON"))}
    return {**kept, "HOME": str(home), "PREFECT_HOME": str(home / "prefect")}


def test_it_has_one_top_level_name(wheel: Path) -> None:
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"longscribe"}


def test_it_has_the_catalogs_of_messages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "longscribe/wording/locales/pt_BR/LC_MESSAGES/longscribe.mo" in names


def test_a_recording_is_transcribed_where_others_have_such_packages(
    scripts: Path, foreign: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ran = subprocess.run(
        [scripts / "longscribe", "talk.wav", "--model", "demo", "--language", "en"],
        cwd=foreign,
        env=environment(tmp_path_factory.mktemp("home")),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    assert len((foreign / "transcripts" / "talk" / "talk.txt").read_text().split()) > 10


@pytest.fixture
def served(
    scripts: Path, foreign: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """`longscribe serve` in a foreign folder: its API and its environment."""
    home = tmp_path_factory.mktemp("home")
    with (home / "serve.log").open("w+") as log:
        process = subprocess.Popen(
            [scripts / "longscribe", "serve", "--port", "0", "--folder", str(home / "served")],
            cwd=foreign,
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            url = ""
            for line in process.stdout:
                if line.startswith("Longscribe runs at "):
                    url = line.split()[3]
                    break
            log.seek(0)
            assert url, log.read()
            yield f"{url}/api", environment(home)
        finally:
            process.terminate()
            process.communicate(timeout=120)


@pytest.mark.service
def test_it_serves_and_registers(
    scripts: Path, served: tuple[str, Mapping[str, str]], foreign: Path
) -> None:
    api, variables = served
    for name in ("transcribe/transcribe", "inbox/inbox"):
        found = httpx.get(f"{api}/deployments/name/{name}").json()
        assert found["entrypoint"].startswith("longscribe.flows.")
    ran = subprocess.run(
        [scripts / "longscribe", "register"],
        cwd=foreign,
        env={**variables, "PREFECT_API_URL": api},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Registered" in ran.stdout
