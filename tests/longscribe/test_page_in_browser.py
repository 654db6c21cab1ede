"""The page as people use it, in Chromium."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pysubs2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from longscribe.formats import render
from longscribe.transcript import Change, Stretch
from tests.longscribe.browser import (
    chromium,
    conversation,
    needs_chromium,
    open_page,
    until,
    write_page,
)
from tests.segments import segment, transcript, with_speakers

pytestmark = [needs_chromium, pytest.mark.timeout(120)]

SAID = conversation(60)
HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2> {\\an8} & -->"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(SAID, tmp_path_factory.mktemp("page"))


@pytest.fixture
def page(browser: Browser, file: Path) -> Page:
    return open_page(browser, file)


@pytest.fixture(autouse=True)
def nothing_plays_on(browser: Browser) -> Iterator[None]:
    yield
    for context in browser.contexts:
        context.close()


def now(page: Page) -> dict[str, Any]:
    """Where the sound is, the sentence marked as spoken, and the word marked in it."""
    state: dict[str, Any] = page.evaluate(
        """() => {
          const range = [...CSS.highlights.get("spoken")][0];
          return {
            seconds: document.getElementById("audio").currentTime,
            paused: document.getElementById("audio").paused,
            sentence: Number(document.querySelector(".s.now")?.dataset.n ?? -1),
            word: range ? range.startContainer.data.slice(range.startOffset, range.endOffset) : "",
          };
        }"""
    )
    return state


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


def processor_time_s() -> float:
    """Processor time of the browser so far, all of its processes together."""
    spent = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            times = process.cpu_times()
            spent += times.user + times.system
    return spent


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


def test_unedited_the_same_words_are_saved_as_were_written(page: Page, tmp_path: Path) -> None:
    saved = pysubs2.SSAFile.from_string(save(page, "srt", tmp_path).read_text(encoding="utf-8"))
    written = pysubs2.SSAFile.from_string("".join(render(SAID, "srt")))
    assert [w for e in saved for w in e.plaintext.split()] == [
        w for e in written for w in e.plaintext.split()
    ]


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(browser: Browser, file: Path, scheme: Any, width: int) -> None:
    page = open_page(browser, file, color_scheme=scheme, viewport={"width": width, "height": 844})
    for prepare in ("", "?", "Escape", "e"):
        if prepare:
            page.keyboard.press(prepare)
        if prepare == "e":
            page.locator(".s").nth(3).click()
        page.wait_for_timeout(200)
        violations = Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in violations] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_speakers_have_colours_of_their_own_that_can_be_read(
    browser: Browser, tmp_path: Path, scheme: Any
) -> None:
    said = with_speakers(conversation(16), [f"Speaker {n}" for n in range(8)])
    page = open_page(browser, write_page(said, tmp_path), color_scheme=scheme)
    colours = page.eval_on_selector_all(
        ".speaker", "all => all.map(s => getComputedStyle(s).color)"
    )
    assert len(set(colours)) == 8
    assert Axe().run(page).response["violations"] == []


@pytest.mark.parametrize("width", [320, 390, 800])
def test_nothing_is_cut_off_on_a_small_screen(browser: Browser, file: Path, width: int) -> None:
    page = open_page(browser, file, viewport={"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for control in page.locator(".tools .buttons button, .dock button, #rate").all():
        box = control.bounding_box()
        assert box is None or box["x"] + box["width"] <= width


def test_hostile_text_is_inert_and_nothing_is_fetched(browser: Browser, tmp_path: Path) -> None:
    said = transcript(
        segment(0.0, 2.0, f" {HOSTILE}"),
        recording=f"{HOSTILE[:60]}.wav",
        stretches=(Stretch(2.0, 4.0, "gap", HOSTILE),),
        changes=(Change("glossary_applied", 0, 0.0, "x", HOSTILE),),
        duration_s=4.0,
        model=HOSTILE,
        language="en",
    )
    file = write_page(said, tmp_path)
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    until(page, "audio.readyState > 0")
    assert page.evaluate("window.hacked") is None
    assert page.locator(".s").text_content() == HOSTILE
    assert page.locator("main img, main script, .facts img").count() == 0
    folder = file.parent.as_uri()
    assert {url.removeprefix(folder) for url in asked} == {"/talk.html", "/talk.page.m4a"}


def test_the_browser_shows_vtt_cues_as_they_were_said(browser: Browser) -> None:
    said = transcript(segment(0.0, 2.0, f" {HOSTILE}"), segment(2.0, 4.0, " <i>a</i> & b"))
    page = browser.new_page()
    page.route(
        "http://transcript.test/*",
        lambda route: route.fulfill(
            body="".join(render(said, "vtt"))
            if route.request.url.endswith("vtt")
            else "<video><track default src=talk.vtt></video>",
            content_type="text/vtt" if route.request.url.endswith("vtt") else "text/html",
        ),
    )
    page.goto("http://transcript.test/page.html")
    until(page, "document.querySelector('track').readyState === 2")
    cues = page.evaluate(
        "[...document.querySelector('track').track.cues]"
        ".map((cue) => [cue.startTime, cue.endTime, cue.getCueAsHTML().textContent])"
    )
    shown = "".join("".join(text for _, _, text in cues).split())
    assert shown == "".join(f"{HOSTILE.replace('-->', '->')}<i>a</i>&b".split())
    assert cues[0][0] == 0.0
    assert cues[-1][1] == 4.0


def test_ten_hours_load_quickly_and_scroll_smoothly(browser: Browser, tmp_path: Path) -> None:
    said = conversation(12_000)
    assert said.duration_s > 36_000
    file = write_page(said, tmp_path)
    # In processor time, of all of Chromium's processes: a clock also shows what else runs.
    start_s = processor_time_s()
    page = open_page(browser, file)
    before_s = processor_time_s()
    assert before_s - start_s < 3.0
    loaded_s = page.evaluate("performance.getEntriesByType('navigation')[0].duration / 1000")
    frames: list[float] = page.evaluate(
        """async () => {
          const times = [];
          let last = performance.now();
          const end = last + 4000;
          while (last < end) {
            scrollBy(0, 60);
            await new Promise(requestAnimationFrame);
            times.push(performance.now() - last);
            last = performance.now();
          }
          return times;
        }"""
    )
    busy_s = (processor_time_s() - before_s) / len(frames)
    per_second = 1000.0 * len(frames) / sum(frames)
    print(f"{loaded_s:.2f} s, {per_second:.0f} frames/s, {1000 * busy_s:.0f} ms of processor each")
    assert 1.0 / busy_s >= 30.0
    page.fill("#query", "museum")
    until(page, "document.getElementById('found').textContent.includes('found')")
    page.keyboard.press("Enter")
    page.evaluate("document.querySelectorAll('.s')[11000].scrollIntoView()")
    page.locator(".s").nth(11_000).click()
    assert page.evaluate("document.activeElement.dataset.n") == "11000"
