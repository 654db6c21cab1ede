"""The library as people use it, in Chromium, with a backend that is done at once."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from longscribe.web.users import add_user
from tests.longscribe.browser import chromium, needs_chromium
from tests.longscribe.web.conftest import PASSWORD, wav
from tests.longscribe.web.fake_backend import FakeBackend

pytestmark = needs_chromium
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(application: FastAPI, live: str, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the library for a user who logs in; what its script complains of fails the test."""
    with application.state.services.database.begin() as db:
        add_user(db, "ana", PASSWORD)
    contexts = []

    def open_library(**options: object) -> Page:
        context = browser.new_context(base_url=live, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: pytest.fail(f"the page's script: {error}"))
        page.goto("/")
        page.get_by_label("Name").fill("ana")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Recordings", exact=True)).to_be_visible()
        return page

    yield open_library
    for context in contexts:
        context.close()


def files(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_bytes(wav())
    return [folder / name for name in names]


def accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert not serious, json.dumps([(one["id"], one["nodes"][0]["html"]) for one in serious])


def test_from_drop_to_deletion(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened()
    accessible(page)
    page.get_by_label("Drop recordings here").set_input_files(
        files(tmp_path, "One.wav", "<img src=x onerror=alert(1)>.wav")
    )
    expect(page.locator("#recordings li")).to_have_count(2)
    expect(page.locator(".state-done")).to_have_count(2)
    accessible(page)

    page.get_by_label("Search all transcripts").fill("report")
    until_found(page)
    accessible(page)
    page.get_by_role("link", name="0:00:00").first.click()
    page.wait_for_url("**/page#t=0.0")
    correct(page, "Good evening, everybody.")
    page.reload()
    expect(page.locator(".s").first).to_have_text("Good evening, everybody.")

    page.get_by_role("link", name="Back to the library").click()
    accessible(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="docx").click()
    assert download.value.path().read_bytes()[:2] == b"PK"
    page.get_by_label("Title", exact=True).fill("Evening")
    page.get_by_label("Tags, with commas").fill("board")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Evening")
    page.get_by_role("button", name="Restore the first text").click()
    expect(page.get_by_text("Version 2")).to_be_visible()

    page.get_by_text("Delete for good").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.locator("#recordings li[data-id] a")).to_have_count(1)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def until_found(page: Page) -> None:
    """The index follows within seconds."""
    for _ in range(20):
        page.get_by_role("button", name="Search").click()
        if page.locator("mark").count():
            return
        page.wait_for_timeout(500)
    raise AssertionError("nothing is found")


def correct(page: Page, text: str) -> None:
    page.keyboard.press("e")
    page.locator(".s").first.click()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="In the library").click()
    expect(page.locator("#save")).to_contain_text("Saved in the library")


def test_on_a_phone_by_keyboard_and_dark(
    opened: Callable[..., Page], backend: FakeBackend, tmp_path: Path
) -> None:
    backend.at_once = False
    page = opened(color_scheme="dark", **PHONE)
    page.get_by_label("Language").first.select_option("pt")
    page.get_by_label("Who speaks").select_option("auto")
    page.get_by_label("Drop recordings here").set_input_files(files(tmp_path, "Long name " * 8))
    expect(page.locator(".state-queued")).to_have_count(1)
    ((run_id, parameters),) = backend.started.items()
    assert (parameters["language"], parameters["speakers"]) == ("pt", "auto")
    backend.run(run_id)
    expect(page.locator("#recordings .state")).to_contain_text("running, 40 %, 0:00:12 left")
    backend.finish(run_id)
    expect(page.locator(".state-done")).to_have_count(1)
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#recordings a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/recordings/*")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    accessible(page)
