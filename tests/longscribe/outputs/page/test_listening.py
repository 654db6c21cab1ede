"""Listening, finding a place and working by keyboard on the page, in Chromium."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.longscribe.browser import (
    SAID,
    conversation,
    listen,
    needs_chromium,
    now,
    open_page,
    until,
    write_page,
)
from tests.segments import segment, transcript

pytestmark = [needs_chromium, pytest.mark.timeout(120)]


def test_a_click_on_the_50th_sentence_plays_it(page: Page) -> None:
    listen(page)
    page.locator(".s").nth(49).click()
    until(page, "soughtTo.length > 0 && heard.length > 0")
    assert page.evaluate("soughtTo[0]") == pytest.approx(SAID.segments[49].start, abs=0.2)
    assert page.evaluate("heard[0].sentence") == 49


def test_the_mark_follows_the_sound(page: Page) -> None:
    listen(page)
    page.locator(".s").nth(5).click()
    until(page, "new Set(heard.map((state) => state.word)).size >= 12")
    seen = page.evaluate("heard")
    assert seen[-1]["seconds"] > seen[0]["seconds"] + 2.0
    assert len({state["sentence"] for state in seen} - {-1}) >= 2
    for state in seen:
        if state["sentence"] < 0:
            continue  # a pause
        spoken = SAID.segments[state["sentence"]]
        assert spoken.start - 0.1 <= state["seconds"] <= spoken.end + 0.15
        assert spoken.words is not None
        near = [
            word.word.strip()
            for word in spoken.words
            if word.start - 0.3 <= state["seconds"] <= word.end + 0.3
        ]
        assert state["word"] in near


def test_words_are_estimated_where_they_were_not_timed(browser: Browser, tmp_path: Path) -> None:
    page = open_page(browser, write_page(conversation(5, words=False), tmp_path))
    listen(page)
    said = page.locator(".s").nth(2)
    said.click()
    in_it = "heard.filter((state) => state.sentence === 2).map((state) => state.word)"
    until(page, f"new Set({in_it}).size >= 3")
    assert set(page.evaluate(in_it)) <= set(str(said.text_content()).split())


def test_search_finds_counts_and_steps(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("THE m")
    expected = sum(s.text.lower().count("the m") for s in SAID.segments)
    found = page.locator("#found")
    assert expected > 1
    # A slow browser has searched for less, between two keys, and said so.
    until(page, f"document.getElementById('found').textContent === '{expected} found'")
    page.keyboard.press("Enter")
    assert found.text_content() == f"1 of {expected}"
    page.keyboard.press("Shift+Enter")
    assert found.text_content() == f"{expected} of {expected}"
    assert page.evaluate("CSS.highlights.get('found').size") == expected
    page.keyboard.press("Escape")
    assert page.evaluate("CSS.highlights.get('found').size") == 0


def test_accents_do_not_matter_to_search(browser: Browser, tmp_path: Path) -> None:
    said = transcript(segment(0.0, 2.0, " İstanbul, São Paulo e mañana."))
    page = open_page(browser, write_page(said, tmp_path))
    for query in ("sao paulo", "MANANA", "São"):
        page.fill("#query", query)
        until(page, "document.getElementById('found').textContent === '1 found'")
        marked = page.evaluate(
            "(([r]) => r.startContainer.data.slice(r.startOffset, r.endOffset))"
            "([...CSS.highlights.get('found')])"
        )
        assert len(marked) == len(query)
        page.fill("#query", "")
        until(page, "document.getElementById('found').textContent === ''")


def test_all_of_it_works_from_the_keyboard(page: Page) -> None:
    page.keyboard.press("j")
    page.keyboard.press("j")
    until(page, f"Math.abs(audio.currentTime - {SAID.segments[1].start}) < 0.05")
    assert page.evaluate("document.activeElement.dataset.n") == "1"
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    until(page, "!audio.paused")
    page.keyboard.press("Space")
    until(page, "audio.paused")
    before_s = now(page)["seconds"]
    page.keyboard.press("ArrowRight")
    until(page, f"Math.abs(audio.currentTime - {before_s + 5}) < 0.05")
    page.keyboard.press("ArrowLeft")
    until(page, f"Math.abs(audio.currentTime - {before_s}) < 0.05")
    page.keyboard.press(">")
    page.keyboard.press(">")
    assert page.evaluate("audio.playbackRate") == 1.5
    page.keyboard.press("<")
    assert page.evaluate("audio.playbackRate") == 1.25
    assert page.locator("#rate").input_value() == "1.25"
    page.keyboard.press("?")
    assert page.locator("#help-dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help-dialog").is_visible()
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.locator("#wave").focus()
    page.keyboard.press("End")
    until(page, "audio.currentTime > audio.duration - 1")
    page.keyboard.press("Home")
    until(page, "audio.currentTime === 0")
    assert page.locator("#wave").get_attribute("aria-valuenow") == "0"


def test_the_keyboard_skips_to_the_text_and_to_the_player(page: Page) -> None:
    """Ten hours have thousands of links to moments between the one and the other."""
    for target in ("transcript", "play"):
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        until(page, f"document.activeElement.id === '{target}'")
        if target == "transcript":
            page.evaluate("document.querySelector('.skip').focus()")
    page.keyboard.press("Space")
    until(page, "!audio.paused")


def test_single_keys_can_be_turned_off(page: Page) -> None:
    page.keyboard.press("?")
    page.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    assert not page.locator("#editing-hint").is_visible()


def test_an_address_leads_to_a_moment(browser: Browser, file: Path) -> None:
    moment_s = SAID.segments[40].start + 0.5
    page = open_page(browser, file, f"#t={moment_s:.1f}")
    until(page, f"Math.abs(audio.currentTime - {moment_s:.1f}) < 0.1")
    assert now(page)["sentence"] == 40
    assert page.evaluate("audio.paused")  # a page does not speak up by itself
    assert page.locator(".s.now").is_visible()
    page.locator(".time").nth(1).click()
    until(page, "!audio.paused")
    assert page.url.endswith(str(page.locator(".time").nth(1).get_attribute("href")))
    page.evaluate("audio.pause()")
    listen(page)
    page.evaluate(f"location.hash = 't={moment_s:.1f}'")
    until(page, "soughtTo.length > 0 && heard.length > 0")
    assert page.evaluate("soughtTo[0]") == pytest.approx(moment_s, abs=0.1)
    page.evaluate("audio.pause()")
    at_s = now(page)["seconds"]
    page.keyboard.press("c")
    assert float(page.url.partition("#t=")[2]) == pytest.approx(at_s, abs=0.1)


def test_a_click_in_the_waveform_seeks(page: Page) -> None:
    box = page.locator("#wave").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + 10)
    until(page, f"Math.abs(audio.currentTime - {SAID.duration_s / 4}) < 1")


@pytest.mark.parametrize("audio", ["link", "embed"])
def test_the_recording_itself_and_a_copy_inside_play_too(
    audio: Any, browser: Browser, tmp_path: Path
) -> None:
    file = write_page(conversation(4), tmp_path, audio)
    assert sorted(path.name for path in file.parent.iterdir()) == ["talk.html"]
    page = open_page(browser, file)
    listen(page)
    page.locator(".s").nth(2).click()
    until(page, "soughtTo.length > 0 && heard.length > 0")
    assert page.evaluate("heard[0].sentence") == 2


def test_a_recording_that_has_moved_can_be_chosen(browser: Browser, tmp_path: Path) -> None:
    file = write_page(conversation(4), tmp_path, "link")
    moved = (tmp_path / "original.wav").rename(tmp_path / "moved.wav")
    page = browser.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector("#lost-sound:not([hidden])")
    page.set_input_files("#chosen", moved)
    until(page, "audio.readyState > 0")
    assert not page.locator("#lost-sound").is_visible()
