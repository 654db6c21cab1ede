"""Runs in processes that stay: warm after the first, and taken up when they are killed."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.deployments.served import Served, wait_for
from tests.recordings import SYNTHETIC

pytestmark = [pytest.mark.service, pytest.mark.timeout(400)]


def long_run(served: Served, name: str) -> str:
    """Start a run that takes some seconds, whatever others have left of the same recording."""
    recording = served.put(SYNTHETIC, name)
    return served.trigger(recording=recording, decoding="sequential", fresh=True)


def test_a_killed_run_goes_on_by_itself(served: Served) -> None:
    run_id = long_run(served, "killed.opus")
    for kills in (1, 2):
        wait_for(lambda: served.run(run_id)["state_type"] == "RUNNING", 120)
        time.sleep(2)
        os.kill(int(served.run(run_id)["infrastructure_pid"]), signal.SIGKILL)
        wait_for(lambda: served.run(run_id)["state_type"] != "RUNNING", 30)
        assert served.run(run_id)["labels"]["longscribe.kills"] == kills
    run = served.end_of(run_id, within_s=300)
    assert run["state_type"] == "COMPLETED", run["state"]
    assert run["labels"]["longscribe.memory-kills"] == 1
    assert "heavy report on Monday" in served.transcript(run_id)


def test_a_cancelled_run_is_not_taken_up(served: Served) -> None:
    run_id = long_run(served, "cancelled.opus")
    wait_for(lambda: served.run(run_id)["state_type"] == "RUNNING", 120)
    time.sleep(2)
    served.ask(f"flow_runs/{run_id}/set_state", state={"type": "CANCELLING"}, force=True)
    assert served.end_of(run_id)["state_type"] == "CANCELLED"
    time.sleep(5)
    assert served.run(run_id)["state_type"] == "CANCELLED"


def test_the_second_run_is_warm_and_clips_do_not_wait(
    served: Served, note: Callable[[str, str], None]
) -> None:
    served.end_of(served.clip("first.opus"))
    long_one = long_run(served, "long.opus")
    wait_for(lambda: served.run(long_one)["state_type"] == "RUNNING", 120)
    started_s = time.monotonic()
    clip = served.end_of(served.clip("second.opus"))
    note("a clip beside a long recording", f"{time.monotonic() - started_s:.1f} s")
    assert clip["state_type"] == "COMPLETED", clip["state"]
    assert served.run(long_one)["state_type"] == "RUNNING"
    assert served.end_of(long_one, within_s=300)["state_type"] == "COMPLETED"
