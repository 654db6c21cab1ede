"""The library over the whole service, as a user goes through it: five recordings, start to end."""

import json
import re
from collections.abc import Callable

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.deployments.served import CLIP, Served
from tests.longscribe.browser import chromium, needs_chromium, until

pytestmark = [pytest.mark.service, pytest.mark.timeout(600), needs_chromium]
_WITHIN_MS = 300_000


def accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert not serious, json.dumps([(one["id"], one["nodes"][0]["html"]) for one in serious])


def test_five_recordings_from_drop_to_deletion(
    served: Served, note: Callable[[str, str], None]
) -> None:
    name, password = served.web_login()
    sounds = []
    for number in range(5):
        sound = served.folder / f"Talk {number}.opus"
        sound.write_bytes(CLIP.read_bytes())
        sounds.append(sound)
    with chromium() as browser:
        context = browser.new_context(base_url=served.web)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto("/")
        page.keyboard.type(name)  # the field has the focus
        page.keyboard.press("Tab")
        page.keyboard.type(password)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Recordings", exact=True)).to_be_visible()
        accessible(page)

        context.set_offline(True)  # the connection comes back while uploads are tried again
        page.get_by_label("Drop recordings here").set_input_files(sounds)
        expect(page.locator("#uploads")).to_contain_text("no connection, trying again")
        context.set_offline(False)
        expect(page.locator("#recordings li")).to_have_count(5, timeout=_WITHIN_MS)
        expect(page.locator("#recordings .state-done")).to_have_count(5, timeout=_WITHIN_MS)

        job = page.request.get("/jobs").json()[0]["id"]
        text = page.request.get(f"/jobs/{job}/transcript?format=txt").text()
        word = max(re.findall(r"[a-z]+", text), key=len)
        for _ in range(30):
            page.goto(f"/?q={word}")
            if page.locator("mark").count() >= 5:
                break
            page.wait_for_timeout(1000)
        assert page.locator("mark").count() >= 5
        accessible(page)
        page.locator(".found li li a").first.click()
        page.wait_for_url("**/page#t=*")
        page.keyboard.press(" ")
        until(page, "!audio.paused && audio.currentTime > 0")
        page.keyboard.press(" ")
        page.keyboard.press("e")
        page.locator(".s").first.click()
        page.keyboard.press("Control+a")
        page.keyboard.type("Corrected by hand.")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_role("button", name="In the library").click()
        expect(page.locator("#save")).to_contain_text("Saved in the library")
        page.get_by_role("link", name="Back to the library").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="txt").click()
        assert "Corrected by hand." in download.value.path().read_text(encoding="utf-8")
        with page.expect_download() as download:
            page.get_by_role("link", name="docx").click()
        assert download.value.path().read_bytes()[:2] == b"PK"
        page.get_by_text("Delete for good").click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.locator("#recordings li")).to_have_count(4)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        cookies = {one["name"]: one["value"] for one in context.cookies()}
    assert httpx.get(f"{served.web}/jobs", cookies=cookies).status_code == 401
    note("five recordings", "dropped, found, heard, corrected, deleted")
