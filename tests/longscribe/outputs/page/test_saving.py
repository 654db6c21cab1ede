"""Correcting the text on the page and saving it, in Chromium."""

import sys
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pysubs2
import pytest
from playwright.sync_api import Browser, Page, Route
from rich.cells import cell_len

import longscribe.outputs.page as page_folder
from longscribe.options import SubtitleRules
from longscribe.outputs.formats import render, write_transcript
from tests.longscribe.browser import HOSTILE, SAID, needs_chromium, open_page, until
from tests.segments import LONG, SUBTITLE_RULES, segment, talk, transcript
from tests.sounds import bursts, write_sound

CUES_SCRIPT = Path(page_folder.__file__).with_name("cues.js")

pytestmark = [needs_chromium, pytest.mark.timeout(120)]


def save(page: Page, format_: str, to: Path) -> Path:
    page.click("#save")
    with page.expect_download() as download:
        page.click(f"[data-save={format_}]")
    file = to / download.value.suggested_filename
    download.value.save_as(file)
    return file


def test_edited_text_is_saved_as_valid_subtitles(page: Page, tmp_path: Path) -> None:
    page.keyboard.press("e")
    page.locator(".s").nth(2).click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Corrected <b>text</b> --> & more.")
    page.keyboard.press("Enter")  # on to the next sentence, which is emptied
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Delete")
    page.keyboard.press("Escape")
    for format_ in ("srt", "vtt", "txt"):
        file = save(page, format_, tmp_path)
        assert file.name == f"talk-edited.{format_}"
        text = file.read_text(encoding="utf-8")
        if format_ == "txt":
            assert text.splitlines()[2] == "Corrected <b>text</b> --> & more."
            assert len(text.splitlines()) == len(SAID.segments)  # one left out, one gap
            continue
        subtitles = pysubs2.SSAFile.from_string(text, format_)
        starts = [event.start for event in subtitles]
        assert starts == sorted(starts)
        assert all(event.start < event.end for event in subtitles)
        assert round(1000 * SAID.segments[3].start) not in starts
        corrected = [e for e in subtitles if e.start == round(1000 * SAID.segments[2].start)]
        assert "Corrected" in corrected[0].plaintext
        assert "[gap: chunk failed]" in subtitles[-1].plaintext
        assert all(len(line) <= 42 for e in subtitles for line in e.plaintext.split("\n"))
    page.click("#save")
    page.click("#discard")
    assert page.locator(".s").nth(2).text_content() == SAID.segments[2].text.strip()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_formats_open_below_the_tools(browser: Browser, file: Path, width: int) -> None:
    page = open_page(browser, file, viewport={"width": width, "height": 844})
    for scrolled in (0, 60, 2000):
        page.evaluate(f"scrollTo(0, {scrolled})")
        page.click("#save")
        tools = page.locator(".tools").bounding_box()
        formats = page.locator("#formats").bounding_box()
        assert tools is not None
        assert formats is not None
        assert 0 <= formats["y"] - (tools["y"] + tools["height"]) <= 8
        assert formats["x"] + formats["width"] <= width
        page.keyboard.press("Escape")


def test_the_text_is_corrected_and_saved_from_the_keyboard_alone(
    page: Page, tmp_path: Path
) -> None:
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Corrected.")
    page.keyboard.press("Escape")
    for _ in range(9):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.id") == "save":
            break
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "talk-edited.srt"
    assert pysubs2.load(str(file))[0].plaintext == "Corrected."


def same_cues(saved: str, written: str, format_: str) -> None:
    """The same cues to the millisecond that the page's times of words are rounded to."""
    ours = pysubs2.SSAFile.from_string(saved, format_)
    theirs = pysubs2.SSAFile.from_string(written, format_)
    assert [event.text for event in ours] == [event.text for event in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert abs(one.start - other.start) <= 1
        assert abs(one.end - other.end) <= 1


@pytest.mark.parametrize(
    ("rules", "format_"),
    [
        *((rules, "srt") for rules in SUBTITLE_RULES),
        (SubtitleRules(max_line_chars=0), "srt"),
        (SubtitleRules(), "vtt"),
    ],
)
def test_the_page_saves_the_cues_that_are_in_the_files(
    browser: Browser, tmp_path: Path, rules: SubtitleRules, format_: Literal["srt", "vtt"]
) -> None:
    for seed in range(8):
        said = talk(seed)
        folder = tmp_path / str(seed)
        [html] = write_transcript(said, folder, "talk", ["html"], rules)
        page = browser.new_page()
        page.goto(html.as_uri())
        saved = save(page, format_, folder).read_text(encoding="utf-8")
        same_cues(saved, "".join(render(said, format_, rules)), format_)
        page.close()


@pytest.mark.parametrize("text", [LONG, f" {HOSTILE} <b>3 < 4</b>, \\h"])
def test_a_corrected_sentence_is_cut_by_the_same_rules(
    page: Page, tmp_path: Path, text: str
) -> None:
    page.keyboard.press("e")
    page.locator(".s").nth(2).click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text.strip())
    page.keyboard.press("Escape")
    saved = save(page, "srt", tmp_path).read_text(encoding="utf-8")
    segments = list(SAID.segments)
    segments[2] = replace(segments[2], text=text, words=None)
    corrected = SAID.model_copy(update={"segments": tuple(segments)})
    same_cues(saved, "".join(render(corrected, "srt")), "srt")
    slow = SubtitleRules(max_chars_per_s=0.0, min_gap_s=0.0)
    # That it is the rules which make the difference, and not that there is none.
    assert "".join(render(corrected, "srt")) != "".join(render(corrected, "srt", slow))


def test_a_sign_is_as_wide_on_the_page_as_in_the_files(browser: Browser) -> None:
    page = browser.new_page()
    page.add_script_tag(content=CUES_SCRIPT.read_text(encoding="utf-8"))
    signs = [
        chr(code)
        for code in range(0x20, sys.maxunicode + 1)
        if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")
    ]
    signs += [
        "\u2764\ufe0f",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "1\ufe0f",
        "\u0e01\u0e47",
    ]
    widths = page.evaluate("signs => signs.map(columns)", signs)
    wrong = [s for s, wide in zip(signs, widths, strict=True) if wide != cell_len(s)]
    assert wrong == []


def test_the_browser_plays_vtt_cues_as_they_were_said(browser: Browser, tmp_path: Path) -> None:
    said = transcript(segment(0.0, 1.0, f" {HOSTILE}"), segment(1.0, 60.0, " <i>a</i> & b"))
    sound = write_sound(tmp_path / "talk.wav", bursts([(0.0, 60.0)], 60.0))
    served = {
        "page.html": ("text/html", "<video src=talk.wav><track default src=talk.vtt></video>"),
        "talk.vtt": ("text/vtt", "".join(render(said, "vtt"))),
        "talk.wav": ("audio/wav", sound.read_bytes()),
    }

    def serve(route: Route) -> None:
        kind, body = served[route.request.url.rpartition("/")[2]]
        route.fulfill(body=body, content_type=kind)

    page = browser.new_page()
    page.route("http://transcript.test/*", serve)
    page.goto("http://transcript.test/page.html")
    until(page, "document.querySelector('track').readyState === 2")
    cues = page.evaluate(
        "[...document.querySelector('track').track.cues]"
        ".map((cue) => [cue.startTime, cue.endTime, cue.getCueAsHTML().textContent])"
    )
    shown = "".join("".join(text for _, _, text in cues).split())
    assert shown == "".join(f"{HOSTILE.replace('-->', '->')}<i>a</i>&b".split())
    assert cues[0][0] == 0.0
    assert cues[-1][1] == 60.0
    page.evaluate("document.querySelector('video').play()")
    until(page, "document.querySelector('video').currentTime > 1.0")
    active = "[...document.querySelector('track').track.activeCues].map((cue) => cue.startTime)"
    until(page, f"String({active}) === '1'")


# Where the full stop is shown in a box that runs from left to right, in pixels from the left edge
# of the first letter: negative on its left.
_STOP_FROM_FIRST_LETTER = """text => {
  const box = document.createElement("pre");
  box.dir = "ltr";
  box.textContent = text;
  document.body.append(box);
  const left = (at) => {
    const range = document.createRange();
    range.setStart(box.firstChild, at);
    range.setEnd(box.firstChild, at + 1);
    return range.getBoundingClientRect().left;
  };
  return left(text.indexOf(".")) - left(text.search(/[\\p{L}]/u));
}"""


def test_a_full_stop_stands_at_the_left_end_of_text_from_right_to_left(
    browser: Browser, tmp_path: Path
) -> None:
    text = "קראתי על John Smith היום."
    said = transcript(segment(0.0, 1.0, f" {text}"), language="he")
    [html] = write_transcript(said, tmp_path, "talk", ["html"])
    page = browser.new_page()
    page.goto(html.as_uri())
    assert page.evaluate(_STOP_FROM_FIRST_LETTER, text) > 0  # wrong: nothing says how it runs
    saved = save(page, "srt", tmp_path).read_text(encoding="utf-8")
    assert page.evaluate(_STOP_FROM_FIRST_LETTER, saved.split("\n")[2]) < 0
    same_cues(saved, "".join(render(said, "srt")), "srt")
    assert page.locator("#transcript").get_attribute("dir") == "rtl"


def test_paragraphs_run_in_the_direction_of_most_of_their_letters(
    browser: Browser, tmp_path: Path
) -> None:
    said = transcript(
        segment(0.0, 1.0, " One two three four five."),
        segment(9.0, 10.0, " GitHub היא חברה גדולה."),
    )
    [html] = write_transcript(said, tmp_path, "talk", ["html"])
    page = browser.new_page()
    page.goto(html.as_uri())
    directions = [p.get_attribute("dir") for p in page.locator(".text").all()]
    assert directions == ["ltr", "rtl"]
    assert page.locator("#transcript").get_attribute("dir") == "ltr"


def test_a_corrected_sentence_without_spaces_is_cut_between_the_browsers_words(
    browser: Browser, tmp_path: Path
) -> None:
    said = transcript(segment(0.0, 9.0, "東京。"), language="ja")
    [html] = write_transcript(said, tmp_path, "talk", ["html"], SubtitleRules(max_line_chars=12))
    page = browser.new_page()
    page.goto(html.as_uri())
    page.keyboard.press("e")
    page.locator(".s").first.click()
    page.keyboard.press("ControlOrMeta+a")
    text = "東京大学「図書館」の前で会いました。"
    page.keyboard.insert_text(text)
    page.keyboard.press("Escape")
    [*cues] = pysubs2.load(str(save(page, "srt", tmp_path)))
    lines = [line for cue in cues for line in cue.plaintext.split("\n")]
    assert "".join(lines) == text
    assert not [line for line in lines if line[0] in "」。" or line[-1] == "「"]
    assert not [line for line in lines if line.endswith(("東", "図"))]
