"""Chromium for tests of the page, where one is installed, and pages for it to open."""

import json
import math
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from longscribe.audio.recording import probe
from longscribe.options import PageAudio
from longscribe.outputs.formats import write_transcript
from longscribe.outputs.page.sound import Sound
from longscribe.transcript import Segment, Stretch, Transcript, Word
from tests.segments import segment, transcript
from tests.sounds import bursts, write_sound

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2> {\\an8} & -->"
)

_SWITCHES = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_TEXTS = [
    item["text"]
    for item in json.loads(
        (Path(__file__).resolve().parents[2] / "demo" / "synthetic.json").read_text(
            encoding="utf-8"
        )
    )
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium that talks to nobody."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_SWITCHES))
        yield browser
        browser.close()


def conversation(count: int, words: bool = True, **values: Any) -> Transcript:
    """A transcript of `count` sentences, in paragraphs, with words, seams and one gap."""
    chance = random.Random(0)
    segments: list[Segment] = []
    end_s = 0.5
    for number in range(count):
        text = chance.choice(_TEXTS)
        start_s, end_s = end_s, round(end_s + len(text) / 17, 3)
        probability = chance.uniform(0.4, 0.99)
        segments.append(
            segment(
                start_s,
                end_s,
                f" {text}",
                avg_logprob=math.log(probability),
                words=_words(text, start_s, end_s, probability) if words else None,
            )
        )
        end_s = round(end_s + (4.0 if number % 15 == 14 else 0.2), 3)
    gap = Stretch(end_s, end_s + 5.0, "gap", "chunk failed")
    speech = [Stretch(s.start, s.end, "speech") for s in segments]
    pauses = [
        Stretch(a.end, b.start, "silence")
        for a, b in zip(speech, [*speech[1:], gap], strict=True)
        if a.end < b.start
    ]
    stretches = sorted([*speech, *pauses, gap], key=lambda stretch: stretch.start)
    seams_s = tuple(float(s) for s in range(600, int(end_s), 600))
    return transcript(
        *segments,
        **{
            "stretches": tuple(stretches),
            "seams_s": seams_s,
            "duration_s": gap.end,
            "model": "demo",
            "recording": "Town hall.wav",
            **values,
        },
    )


def _words(text: str, start_s: float, end_s: float, probability: float) -> tuple[Word, ...]:
    step_s = (end_s - start_s) / len(text)
    words: list[Word] = []
    at = 0
    for word in text.split():
        from_s = start_s + at * step_s
        words.append(Word(f" {word}", from_s, from_s + len(word) * step_s, probability))
        at += len(word) + 1
    return tuple(words)


def write_page(said: Transcript, folder: Path, audio: PageAudio = "copy") -> Path:
    """The page of a transcript over noise where it speaks; at most ten minutes of sound."""
    duration_s = min(600.0, said.duration_s)
    spans = [(s.start, min(duration_s, s.end)) for s in said.segments if s.start < duration_s]
    folder.mkdir(parents=True, exist_ok=True)
    recording = write_sound(folder / "original.wav", bursts(spans, duration_s))
    levels = bytes(255 if n % 3 else 90 for n in range(2000))
    sound = Sound(probe(recording), levels, duration_s, audio)
    files = write_transcript(said, folder / "out", "talk", ["html"], sound=sound)
    return files[0]


def open_page(browser: Browser, file: Path, fragment: str = "", **options: Any) -> Page:
    """The page in a window of its own; anything its script complains of fails the test."""
    page = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}).new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page's script: {error}"))
    page.goto(file.as_uri() + fragment)
    until(page, "audio.readyState > 0")
    return page


def until(page: Page, condition: str) -> None:
    """Wait for a condition in JavaScript; Playwright's own way the page's policy forbids."""
    end_s = time.monotonic() + 30.0
    while not page.evaluate(condition):
        assert time.monotonic() < end_s, f"waited in vain for {condition}"
        page.wait_for_timeout(20)


_STATE = """() => {
  const range = [...CSS.highlights.get("spoken")][0];
  return {
    seconds: document.getElementById("audio").currentTime,
    paused: document.getElementById("audio").paused,
    sentence: Number(document.querySelector(".s.now")?.dataset.n ?? -1),
    word: range ? range.startContainer.data.slice(range.startOffset, range.endOffset) : "",
  };
}"""


def now(page: Page) -> dict[str, Any]:
    """Where the sound is, the sentence marked as spoken, and the word marked in it."""
    state: dict[str, Any] = page.evaluate(_STATE)
    return state


def listen(page: Page) -> None:
    """Keep in `heard` what `now` would tell in every frame while the sound plays, and in `soughtTo`
    the seconds it jumped to: on a busy machine a test may look seconds later.
    """
    page.evaluate(
        f"""() => {{
          const state = {_STATE};
          window.heard = [];
          window.soughtTo = [];
          audio.addEventListener("seeked", () => soughtTo.push(audio.currentTime));
          const look = () => {{
            if (audio.paused) return;
            heard.push(state());
            requestAnimationFrame(look);
          }};
          // Asked for after the page's own frame, so it sees what that has marked.
          audio.addEventListener("play", () => requestAnimationFrame(look));
        }}"""
    )


SAID = conversation(60)  # by the page that most tests open
