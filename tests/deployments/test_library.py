"""The library over the whole service, as users go through it: five recordings, start to end."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.deployments.journey import Keyboard, Mouse, Touch
from tests.deployments.served import CLIP, Served
from tests.longscribe.browser import chromium, needs_chromium
from tests.recordings import beginning
from tests.sounds import write_stereo

pytestmark = [pytest.mark.service, pytest.mark.timeout(600), needs_chromium]
_WITHIN_MS = 300_000
# Where pictures of the way are left, if anywhere.
_PICTURES = os.environ.get("LIBRARY_PICTURES", "")


@pytest.mark.parametrize("way", [Mouse, Keyboard, Touch])
def test_five_recordings_from_drop_to_deletion(
    served: Served, tmp_path: Path, note: Callable[[str, str], None], way: type[Mouse]
) -> None:
    with chromium() as browser:
        context = browser.new_context(base_url=served.web, **way.options)
        page = context.new_page()
        page.set_default_timeout(60_000)
        log_in(page, *served.web_login())
        user = way(page)
        user.look()
        already = page.locator("#recordings li").count()
        bring_five(user, context, tmp_path)
        expect(page.locator("#recordings .state-done")).to_have_count(
            already + 5, timeout=_WITHIN_MS
        )
        user.look()
        picture(user, "library")

        find_a_word(user)
        page.wait_for_url("**/page#t=*")
        user.look()
        user.play()
        user.correct(page.locator(".s").first, "Corrected by hand.")
        save_in_the_library(user)
        user.go(page.get_by_role("link", name="Back to the library"))
        text = user.download(page.get_by_role("link", name="txt")).path()
        assert "Corrected by hand." in text.read_text(encoding="utf-8")

        page.goto("/")
        user.go(page.get_by_role("link", name="Call").first)
        user.go(page.get_by_role("link", name="Read, listen, correct"))
        user.rename(page.locator("#speakers .speaker").first, "Ana")
        picture(user, "page")
        save_in_the_library(user)
        user.go(page.get_by_role("link", name="Back to the library"))
        user.look()
        picture(user, "recording")
        text = user.download(page.get_by_role("link", name="txt")).path()
        assert "Ana: " in text.read_text(encoding="utf-8")
        assert user.download(page.get_by_role("link", name="docx")).path().read_bytes()[:2] == b"PK"

        user.press(page.get_by_text("Delete for good"))
        user.go(page.get_by_role("button", name="Delete it"))
        expect(page.locator("#recordings li")).to_have_count(already + 4)
        user.go(page.get_by_role("button", name="Log out"))
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        cookies = {one["name"]: one["value"] for one in context.cookies()}
    assert httpx.get(f"{served.web}/jobs", cookies=cookies).status_code == 401
    note(f"five recordings, {way.__name__}", "dropped, found, heard, corrected, deleted")


def log_in(page: Page, name: str, password: str) -> None:
    page.goto("/")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Recordings", exact=True)).to_be_visible()


def bring_five(user: Mouse, context: BrowserContext, folder: Path) -> None:
    """Four talks, the connection lost meanwhile, and a call whose sides have a channel each."""
    page = user.page
    before = page.locator("#recordings li").count()
    talks = [folder / f"Talk {number}.opus" for number in range(4)]
    for talk in talks:
        talk.write_bytes(CLIP.read_bytes())
    context.set_offline(True)  # the connection comes back while uploads are tried again
    user.bring(talks)
    expect(page.locator("#uploads")).to_contain_text("no connection, trying again")
    context.set_offline(False)
    expect(page.locator("#recordings li")).to_have_count(before + 4, timeout=_WITHIN_MS)

    speech = beginning(duration_s=20.0)
    half = len(speech) // 2
    silence = np.zeros(half, np.float32)
    left = np.concatenate([speech[:half], silence])
    right = np.concatenate([silence, speech[half : 2 * half]])
    call = write_stereo(folder / "Call.wav", left, right)
    user.choose(page.locator("#speakers"), "channels")
    user.bring([call])
    expect(page.locator("#recordings li")).to_have_count(before + 5, timeout=_WITHIN_MS)


def find_a_word(user: Mouse) -> None:
    """Search the longest word of a talk, and go to where it is said."""
    page = user.page
    talk = next(one for one in page.request.get("/jobs").json() if one["title"].startswith("Talk"))
    text = page.request.get(f"/jobs/{talk['id']}/transcript?format=txt").text()
    word = max(re.findall(r"[a-z]+", text), key=len)
    user.write(page.get_by_label("Search all transcripts"), word)
    for _ in range(30):  # the index follows within seconds
        user.go(page.get_by_role("button", name="Search"))
        if page.locator("mark").count() >= 4:
            break
        page.wait_for_timeout(1000)
    assert page.locator("mark").count() >= 4
    user.look()
    user.go(page.locator(".found li li a").first)


def save_in_the_library(user: Mouse) -> None:
    user.press(user.page.locator("#save"))
    user.press(user.page.get_by_role("button", name="In the library"))
    expect(user.page.locator("#save")).to_contain_text("Saved in the library")


def picture(user: Mouse, name: str) -> None:
    if _PICTURES:
        path = Path(_PICTURES) / f"{name}-{type(user).__name__.lower()}.png"
        user.page.screenshot(path=path)
