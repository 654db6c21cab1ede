"""The form of the deployment `transcribe` in the real Prefect UI, filled in and clicked."""

import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, expect

_WITHIN_MS = 90_000.0


class Form:
    """Reached as people reach it: Deployments > transcribe > Run > Custom run.

    Args:
        browser: to open it in.
        url: of the server.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self._url = url
        self.page: Page = browser.new_page(viewport={"width": 1300, "height": 1000})
        self.page.set_default_timeout(_WITHIN_MS)
        self.page.goto(f"{url}/v2/deployments", wait_until="domcontentloaded")
        self.page.get_by_role("link", name="transcribe", exact=True).first.click()
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_text("Custom run").first.click()
        self.page.get_by_label("recording").first.wait_for()

    def fill(self, parameter: str, value: str) -> None:
        self.page.get_by_label(parameter).first.fill(value)

    def submit(self) -> None:
        self.page.get_by_role("button", name="Submit").click()

    def complaint(self, parameter: str) -> str:
        """What the browser says about a value, and why it submits nothing."""
        field = self.page.get_by_label(parameter).first
        return str(field.evaluate("field => field.validationMessage"))

    def run_of(self, recording: str) -> dict[str, Any]:
        """The run that was made for a recording."""
        give_up_s = time.monotonic() + _WITHIN_MS / 1000
        while not (found := runs_of(self._url, recording)):
            assert time.monotonic() < give_up_s, self.page.inner_text("body")
            self.page.wait_for_timeout(200)
        (run,) = found
        return run

    def look_at(self, run_id: str, words: str, picture: Path | None = None) -> None:
        """Open a run's page, wait for words on it, and take its picture."""
        self.page.goto(f"{self._url}/v2/runs/flow-run/{run_id}", wait_until="domcontentloaded")
        expect(self.page.get_by_text(words).first).to_be_visible(timeout=_WITHIN_MS)
        if picture:
            self.page.wait_for_timeout(3000)  # the timeline is drawn with a movement
            self.page.screenshot(path=picture)


def runs_of(url: str, recording: str) -> list[dict[str, Any]]:
    """The runs of `transcribe` whose parameter is this recording."""
    found = httpx.post(
        f"{url}/api/flow_runs/filter",
        json={"flows": {"name": {"any_": ["transcribe"]}}, "sort": "START_TIME_DESC"},
        timeout=30.0,
    ).json()
    return [run for run in found if run["parameters"].get("recording") == recording]
