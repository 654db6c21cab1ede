"""The whole service as `make serve` starts it: three ways in, restarts, a password."""

import shutil
import time

import httpx
import pytest

from tests.deployments.form import Form, runs_of
from tests.deployments.served import Served, wait_for
from tests.longscribe.browser import chromium, needs_chromium
from tests.recordings import SYNTHETIC

pytestmark = [pytest.mark.service, pytest.mark.timeout(400)]


@needs_chromium
def test_three_ways_in_end_in_transcripts(served: Served) -> None:
    """Dropped into the inbox, started over HTTP, and by clicking through the form."""
    shutil.copy(SYNTHETIC, served.folder / "media" / "inbox" / "dropped.opus")

    over_the_api = served.end_of(served.trigger(recording=served.put(SYNTHETIC, "talk.opus")))
    assert over_the_api["state_type"] == "COMPLETED", over_the_api["state"]
    text = served.transcript(over_the_api["id"])
    assert "heavy report on Monday" in text
    written = served.folder / "transcripts" / "talk" / "talk.txt"
    assert text == written.read_text(encoding="utf-8")

    recording = served.put(SYNTHETIC, "clicked.opus")
    with chromium() as browser:
        form = Form(browser, served.url)
        form.fill("temperature", "9")
        form.fill("recording", recording)
        form.submit()
        assert "less than or equal to 1" in form.complaint("temperature")
        assert runs_of(served.url, recording) == []
        form.fill("temperature", "0")
        form.submit()
        clicked = form.run_of(recording)
        assert served.end_of(clicked["id"])["state_type"] == "COMPLETED"
        form.look_at(clicked["id"], "Completed")
    assert "heavy report on Monday" in served.transcript(clicked["id"])

    dropped = served.folder / "transcripts" / "dropped" / "dropped.txt"
    wait_for(dropped.exists, 360)
    wait_for((served.folder / "media" / "inbox" / "done" / "dropped.opus").exists, 200)
    assert dropped.read_text(encoding="utf-8") == text


def test_goes_on_after_a_restart_in_the_middle(served: Served) -> None:
    run_id = served.trigger(
        recording=served.put(SYNTHETIC, "restarted.opus"), decoding="sequential"
    )
    wait_for(lambda: served.run(run_id)["state_type"] == "RUNNING", 120)
    time.sleep(5)
    assert served.stop() < 45
    served.start()
    run = served.end_of(run_id, within_s=300)
    assert run["state_type"] == "COMPLETED", run["state"]
    assert run["run_count"] == 2
    assert (served.folder / "transcripts" / "restarted" / "restarted.txt").exists()


def test_no_secret_is_in_the_log(served: Served) -> None:
    assert "secret-path" not in served.log.read_text()


def test_nothing_is_left_after_ctrl_c(served: Served) -> None:
    served.stop()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{served.api}/health")
    served.start()


def test_exposed_server_asks_for_a_password(exposed: Served) -> None:
    login = exposed.folder / "prefect" / "api-login"
    assert login.stat().st_mode & 0o077 == 0
    user, password = login.read_text().split(":")
    url = f"{exposed.api}/flow_runs/count"
    assert httpx.post(url, json={}).status_code == 401
    assert httpx.post(url, json={}, auth=(user, password)).status_code == 200
    assert password not in exposed.log.read_text()
