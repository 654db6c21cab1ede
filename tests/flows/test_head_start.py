"""What a command starts before it has read its options, and when it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from longscribe.flows.head_start import begins_run

SCRIPT = """
import sys
from longscribe import __main__
from longscribe.flows import head_start

def note(preload):
    print("slow:", [one for one in ("prefect", "torch", "pydantic", "av") if one in sys.modules])
    sys.exit(0)

head_start.start_fork_server = note
__main__.main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "line", ["a.wav", "a.wav b.wav --model tiny", "--model tiny -- -a.wav", "./cache"]
)
def test_recordings_are_seen_at_a_glance(line: str) -> None:
    assert begins_run(line.split())


@pytest.mark.parametrize(
    "line", ["", "--help", "a.wav -h", "-V", "cache", "cache --clean", "tune a"]
)
def test_what_transcribes_nothing_starts_nothing(line: str) -> None:
    assert not begins_run(line.split())


def test_the_fork_server_comes_before_all_slow_imports(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, "a.wav"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "slow: []\n"


def test_bad_input_leaves_no_process_behind(tmp_path: Path) -> None:
    """The fork server it began with holds the pipes open for as long as it lives."""
    ran = subprocess.run(
        [sys.executable, "-m", "longscribe", "missing.wav", "--model", "demo"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "missing.wav" in ran.stderr
