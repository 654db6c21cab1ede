"""Listening, finding a place and working by keyboard on the page, in Chromium."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.longscribe.browser import (
    SAID,
    conversation,
    needs_chromium,
    now,
    open_page,
    until,
    write_page,
)
from tests.segments import segment, transcript

pytestmark = [needs_chromium, pytest.mark.timeout(120)]


def test_a_click_on_the_50th_sentence_plays_it(page: Page) -> None:
    page.evaluate(
        """() => {
          const audio = document.getElementById("audio");
          audio.addEventListener("seeked", () => { window.soughtTo ??= audio.currentTime; });
        }"""
    )
    page.locator(".s").nth(49).click()
    until(page, "window.soughtTo !== undefined && !audio.paused")
    assert page.evaluate("window.soughtTo") == pytest.approx(SAID.segments[49].start, abs=0.2)
    assert now(page)["sentence"] == 49


def test_the_mark_follows_the_sound(page: Page) -> None:
    page.locator(".s").nth(5).click()
    seen = []
    for _ in range(12):
        page.wait_for_timeout(300)
        seen.append(now(page))
    assert seen[-1]["seconds"] > seen[0]["seconds"] + 2.0
    assert len({state["word"] for state in seen}) >= 6
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
    said = page.locator(".s").nth(2)
    said.click()
    page.wait_for_timeout(1000)
    assert now(page)["word"] in str(said.text_content()).split()


def test_search_finds_counts_and_steps(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("THE m")
    expected = sum(s.text.lower().count("the m") for s in SAID.segments)
    found = page.locator("#found")
    assert expected > 1
    until(page, "document.getElementById('found').textContent.includes('found')")
    assert found.text_content() == f"{expected} found"
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
    page.evaluate(f"location.hash = 't={moment_s:.1f}'")
    until(page, f"!audio.paused && Math.abs(audio.currentTime - {moment_s:.1f}) < 1")
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
    page.locator(".s").nth(2).click()
    until(page, "!audio.paused && audio.currentTime > 0")
    assert now(page)["sentence"] == 2


def test_a_recording_that_has_moved_can_be_chosen(browser: Browser, tmp_path: Path) -> None:
    file = write_page(conversation(4), tmp_path, "link")
    moved = (tmp_path / "original.wav").rename(tmp_path / "moved.wav")
    page = browser.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector("#lost-sound:not([hidden])")
    page.set_input_files("#chosen", moved)
    until(page, "audio.readyState > 0")
    assert not page.locator("#lost-sound").is_visible()
