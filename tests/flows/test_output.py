"""Lines of the command, whatever became of those who read them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from longscribe.flows.output import say

FULL = Path("/dev/full")


def test_a_line_goes_out_at_once_and_an_error_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    say("a line")
    say("an error", error=True)
    assert capfd.readouterr() == ("a line\n", "an error\n")


def test_a_reader_that_has_gone_ends_nothing_and_stderr_stays_empty() -> None:
    """As with `longscribe recording.mp3 | head -1`: the lines of the log and of the command."""
    script = """
import logging, sys
from longscribe.flows.console import Console
from longscribe.flows.output import say
sys.stdin.readline()  # until nobody reads
log = logging.getLogger("own")
log.addHandler(Console())
log.setLevel(logging.INFO)
for number in range(3):
    say(f"line {number}")
    log.info("record %d", number)
    log.error("error %d", number)
"""
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        os.close(write)
        os.close(read)
        _, errors = run.communicate("go on\n", timeout=200)
    assert run.returncode == 0
    assert [line.split()[1:] for line in errors.splitlines()] == [
        ["error", "0"],
        ["error", "1"],
        ["error", "2"],
    ]


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_log_on_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = os.open(FULL, os.O_WRONLY)
    monkeypatch.setattr(sys, "stdout", os.fdopen(descriptor, "w", closefd=False))
    say("one line")
    say("another")
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)  # what is kept goes when it is closed
