"""A Prefect server of a test's own, and its UI in Chromium."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from longscribe.flows.embedded_server import EmbeddedServer
from tests.longscribe.browser import chromium
from tests.made_once import wait_for_server
from tests.recordings import SYNTHETIC

WITHIN_S = 120.0


class UI(NamedTuple):
    """A server with its UI, and a browser to look at it."""

    url: str
    browser: Browser
    context: BrowserContext  # one for all pages: each would fetch and compile the UI's scripts anew

    @property
    def environment(self) -> dict[str, str]:
        """In which a command's runs go to this server."""
        return {
            **os.environ,
            "PREFECT_API_URL": f"{self.url}/api",
            "PYTHONPATH": str(SYNTHETIC.parent.parent),
        }

    def find(self, what: str, **limits: Any) -> Any:
        return httpx.post(f"{self.url}/api/{what}/filter", json=limits, timeout=30.0).json()

    def graph(self, flow_run_id: str) -> Any:
        """What the timeline of a run is drawn from, as it is a canvas itself."""
        url = f"{self.url}/api/flow_runs/{flow_run_id}/graph-v2"
        return httpx.get(url, timeout=30.0).json()

    def open(self, path: str, *wanted: str) -> Page:
        """A page of the UI as soon as its text holds all that is wanted."""
        page: Page = self.context.new_page()
        page.goto(f"{self.url}{path}", wait_until="domcontentloaded")

        def missing() -> list[str]:
            text = page.inner_text("body")
            return [words for words in wanted if words not in text]

        end_s = time.monotonic() + WITHIN_S
        while still := missing():
            text = page.inner_text("body")
            assert time.monotonic() < end_s, f"{still} not on {path}: {text[:2000]}"
            page.wait_for_timeout(200)
        return page

    def text(self, path: str, *wanted: str) -> str:
        """The text of a page as soon as it holds all that is wanted."""
        page = self.open(path, *wanted)
        text = page.inner_text("body")
        page.close()
        return text


def wait_for(look: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
    """The first truthy answer."""
    end_s = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < end_s, f"waited in vain for {what}"
        time.sleep(0.2)
    return found


@contextmanager
def prefect_ui(folder: Path) -> Iterator[UI]:
    """A server whose database is in a folder, and Chromium."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_HOME", str(folder / "home"))
        environment.delenv("PREFECT_API_URL", raising=False)
        server = EmbeddedServer()
        try:
            wait_for_server(server.url)
            with chromium() as browser:
                context = browser.new_context(viewport={"width": 1280, "height": 1000})
                yield UI(server.url, browser, context)
        finally:
            server.stop()
