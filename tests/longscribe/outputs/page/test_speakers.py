"""Who speaks, on the page: renamed everywhere at once, saved, searched, coloured, in Chromium."""

from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from longscribe.options import SubtitleRules
from longscribe.outputs.formats import render, write_transcript
from tests.longscribe.browser import conversation, needs_chromium, open_page, until, write_page
from tests.longscribe.outputs.page.test_saving import same_cues, save
from tests.segments import segment, talk, transcript, with_speakers

pytestmark = [needs_chromium, pytest.mark.timeout(120)]

SAID = with_speakers(conversation(40), ["Ana", "Ana", "Bo"])


@pytest.fixture(scope="module")
def talked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(SAID, tmp_path_factory.mktemp("talked"))


def names(page: Page) -> set[str]:
    return set(page.locator("#transcript .speaker").all_text_contents())


def rename(page: Page, old: str, new: str) -> None:
    page.locator("#transcript .speaker", has_text=old).nth(2).click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(new)
    page.keyboard.press("Enter")


def test_a_name_is_changed_everywhere_and_in_what_is_saved(
    browser: Browser, talked: Path, tmp_path: Path
) -> None:
    page = open_page(browser, talked)
    rename(page, "Ana", "Dr. <b>Lee")
    assert names(page) == {"Dr. <b>Lee", "Bo"}
    assert page.locator("#speakers .speaker").all_text_contents() == ["Dr. <b>Lee", "Bo"]
    text = save(page, "txt", tmp_path)
    assert text.name == "talk-edited.txt"
    assert text.read_text().startswith("Dr. <b>Lee: ")
    assert "Ana" not in text.read_text()
    assert "<v Dr. &lt;b&gt;Lee>" in save(page, "vtt", tmp_path).read_text()
    assert "Dr. <\u2060b>Lee: " in save(page, "srt", tmp_path).read_text()
    page.click("#save")
    page.click("#discard")
    assert names(page) == {"Ana", "Bo"}


def test_escape_and_an_empty_name_change_nothing(browser: Browser, talked: Path) -> None:
    page = open_page(browser, talked)
    page.locator("#speakers .speaker").first.focus()
    page.keyboard.press("Enter")
    page.keyboard.type("Nobody")
    page.keyboard.press("Escape")
    assert names(page) == {"Ana", "Bo"}
    rename(page, "Bo", " ")
    assert names(page) == {"Ana", "Bo"}
    assert page.locator("#discard").get_attribute("hidden") is not None


def test_a_search_goes_by_speaker(browser: Browser, talked: Path) -> None:
    page = open_page(browser, talked)
    word = SAID.segments[2].text.split()[0].lower().strip(".,")
    for query, by in ((f"Bo: {word}", "Bo"), (f"bo:{word}", "Bo"), (word, None)):
        page.fill("#query", query)
        count = sum(
            s.text.lower().count(word)
            for n, s in enumerate(SAID.segments)
            if by is None or n % 3 == 2
        )
        until(page, f"document.getElementById('found').textContent === '{count} found'")
    page.locator("#speakers .find").nth(1).click()
    until(page, "document.getElementById('found').textContent.startsWith('1 of 13')")
    assert page.input_value("#query") == "Bo: "
    rename(page, "Bo", "Cy")
    page.fill("#query", "cy: ")
    until(page, "document.getElementById('found').textContent === '13 found'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_can_be_read_and_reached_by_everyone(
    browser: Browser, talked: Path, scheme: Any
) -> None:
    page = open_page(browser, talked, color_scheme=scheme, reduced_motion="reduce")
    colours = page.eval_on_selector_all(
        "#speakers .speaker", "all => all.map(s => getComputedStyle(s).color)"
    )
    assert len(set(colours)) == 2
    for click in (False, True):
        if click:
            page.locator("#speakers .speaker").first.click()
        assert Axe().run(page).response["violations"] == []


def test_the_waveform_has_the_colour_of_who_speaks(browser: Browser, tmp_path: Path) -> None:
    plain = transcript(segment(0.0, 50.0, " One."), segment(50.0, 100.0, " Two."))
    page = open_page(browser, write_page(with_speakers(plain, ["Ana", "Bo"]), tmp_path))
    left, right = page.evaluate(
        """() => [0.25, 0.75].map((part) => {
          const canvas = document.querySelector("#wave canvas");
          const y = canvas.height - 6 * devicePixelRatio;
          const { data } = canvas.getContext("2d").getImageData(part * canvas.width, y, 1, 1);
          return [...data].join();
        })"""
    )
    assert left != right
    assert not left.endswith(",0")


@pytest.mark.parametrize(
    ("rules", "format_"),
    [
        (SubtitleRules(), "srt"),
        (SubtitleRules(speaker_marks="dashes"), "srt"),
        (SubtitleRules(speaker_marks="dashes", max_line_chars=24), "vtt"),
        (SubtitleRules(max_line_chars=0), "vtt"),
    ],
)
def test_the_page_saves_the_cues_that_are_in_the_files(
    browser: Browser, tmp_path: Path, rules: SubtitleRules, format_: Literal["srt", "vtt"]
) -> None:
    for seed in range(3):
        said = with_speakers(talk(seed), ["Ana", "Ana", "Bo <3", None, "Somebody with a long name"])
        folder = tmp_path / str(seed)
        [html] = write_transcript(said, folder, "talk", ["html"], rules)
        page = browser.new_page()
        page.goto(html.as_uri())
        saved = save(page, format_, folder).read_text(encoding="utf-8")
        same_cues(saved, "".join(render(said, format_, rules)), format_)
        text = save(page, "txt", folder).read_text(encoding="utf-8")
        assert text == "".join(render(said, "txt", rules))
        page.close()
