"""A browser with the page open in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.longscribe.browser import SAID, chromium, open_page, write_page


@pytest.fixture(scope="module")
def running_chromium() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(running_chromium: Browser) -> Iterator[Browser]:
    """Without windows that an earlier test left open, so nothing plays on."""
    yield running_chromium
    for context in running_chromium.contexts:
        context.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(SAID, tmp_path_factory.mktemp("page"))


@pytest.fixture
def page(browser: Browser, file: Path) -> Page:
    return open_page(browser, file)
