"""The page as a file: what is in it, what is not, and what it plays."""

import base64
import errno
import hashlib
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from longscribe.audio import recording as audio
from longscribe.errors import ResourceError
from longscribe.outputs.formats import write_transcript
from longscribe.outputs.page.sound import Sound, encode_copy, link_to, loudness
from longscribe.transcript import SOUND_WITHOUT_TEXT, Change, Stretch, Transcript, Word
from tests.segments import segment, transcript, with_speakers
from tests.sounds import RATE_HZ, bursts, write_pcm, write_sound

HOSTILE = "</script><script>x()</script><!--<img src=x onerror=x()>'\"&{{7*7}}"


class Parsed(HTMLParser):
    """Every element with its attributes, and the text of each script and style."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style", "title", "h1"):
            self.texts.append((self._inside, data))

    def data(self) -> Any:
        return json.loads(next(text for tag, text in self.texts if tag == "script"))


def written(said: Transcript, folder: Path, sound: Sound | None = None) -> str:
    [file, *_] = write_transcript(said, folder, "talk", ["html"], sound=sound)
    return file.read_text(encoding="utf-8")


def test_one_file_without_anything_from_elsewhere(tmp_path: Path) -> None:
    html = written(transcript(segment(0.0, 1.0, " Hello.")), tmp_path)
    page = Parsed(html)
    assert not re.search(r"https?:|//[a-z]", re.sub(r"(?m)^\s*(//|/?\*).*$|\s// .*$", "", html))
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert (attributes.get("href") or "#").startswith("#")


def test_the_policy_lets_only_the_page_s_own_script_and_style_run(tmp_path: Path) -> None:
    page = Parsed(written(transcript(segment(0.0, 1.0, f" {HOSTILE}")), tmp_path))
    policy = next(
        str(attributes["content"])
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    scripts = [text for tag, text in page.texts if tag == "script"]
    [style] = [text for tag, text in page.texts if tag == "style"]
    assert len(scripts) == 2  # the transcript as JSON, and the script
    for text in (scripts[1], style):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_hostile_text_stays_text_wherever_it_comes_from(tmp_path: Path) -> None:
    said = transcript(
        replace(segment(0.0, 1.0, f" {HOSTILE}"), language=HOSTILE),
        recording=f"{HOSTILE}.wav",
        model=HOSTILE,
        language=HOSTILE,
        stretches=(Stretch(0.0, 1.0, "speech"), Stretch(1.0, 2.0, "gap", HOSTILE)),
        changes=(Change("glossary_applied", 0, 0.0, HOSTILE, HOSTILE),),
    )
    page = Parsed(written(said, tmp_path))
    plain = Parsed(written(transcript(segment(0.0, 1.0, " x")), tmp_path))
    # As many elements as without, but for rows of facts.
    for tag in ("script", "img", "style", "meta", "p", "svg"):
        assert [t for t, _ in page.elements].count(tag) == [t for t, _ in plain.elements].count(tag)
    assert page.data()["segments"][0][2] == f" {HOSTILE}"
    assert page.data()["gaps"] == [[1.0, 2.0, HOSTILE]]


def test_what_the_page_knows(tmp_path: Path) -> None:
    words = (Word(" 🎙", 0.1, 0.3, 0.9), Word(" hello", 0.4, 0.9, 0.25))
    said = transcript(
        segment(0.0, 1.0, " 🎙 hello", words=words, avg_logprob=-0.1),
        segment(9.0, 10.0, " Later."),
        seams_s=(5.0,),
        stretches=(
            Stretch(0.0, 1.0, "speech"),
            Stretch(1.0, 4.0, "silence"),
            Stretch(4.0, 9.0, "gap", SOUND_WITHOUT_TEXT),
            Stretch(9.0, 10.0, "speech"),
        ),
        duration_s=10.0,
    )
    data = Parsed(written(said, tmp_path)).data()
    # Lengths in UTF-16 units; milliseconds after the segment's start; per cent.
    assert data["segments"][0] == [0.0, 1.0, " 🎙 hello", 90, [2, 100, 200, 90, 6, 400, 500, 25]]
    assert data["segments"][1] == [9.0, 10.0, " Later.", 82]
    assert data["paragraphs"] == [
        {"count": 1},
        {"gap": [4.0, 9.0, SOUND_WITHOUT_TEXT]},
        {"count": 1},
    ]
    assert data["silences"] == [[1.0, 4.0]]
    assert data["seams"] == [5.0]
    assert data["lost"] == []
    assert (data["name"], data["duration"], data["sound"]) == ("talk", 10.0, None)


def test_speakers_are_known_where_segments_name_them(tmp_path: Path) -> None:
    plain = [segment(float(n), n + 1.0, f" {n}.") for n in range(4)]
    said = with_speakers(transcript(*plain), ["Ana", "Ana", "Bo", None])
    data = Parsed(written(said, tmp_path)).data()
    assert data["speakers"] == ["Ana", "Bo"]
    assert data["paragraphs"] == [
        {"count": 2, "speaker": "Ana"},
        {"count": 1, "speaker": "Bo"},
        {"count": 1},
    ]


def sound(path: Path, audio_: Any, levels: bytes = b"\x00\xff") -> Sound:
    return Sound(audio.probe(path), levels, 2.0, audio_)


@pytest.mark.parametrize(
    ("audio_", "files", "href"),
    [
        ("auto", ["talk.html"], "./../a%20%231%20%22x%22.wav"),
        ("link", ["talk.html"], "./../a%20%231%20%22x%22.wav"),
        ("copy", ["talk.html", "talk.page.m4a"], "./talk.page.m4a"),
        ("embed", ["talk.html"], None),
    ],
)
def test_where_the_sound_comes_from(
    audio_: Any, files: list[str], href: str | None, tmp_path: Path
) -> None:
    recording = write_sound(tmp_path / "plain.wav", bursts([(0.5, 1.0)], 2.0))
    recording = recording.rename(tmp_path / 'a #1 "x".wav')
    folder = tmp_path / "out"
    html = written(transcript(segment(0.5, 1.0, " Hi.")), folder, sound(recording, audio_))
    assert sorted(path.name for path in folder.iterdir()) == files
    page = Parsed(html)
    assert page.data()["sound"] == href
    assert base64.b64decode(page.data()["levels"]) == b"\x00\xff"
    embedded = re.search(r'id="embedded">([^<]*)<', html)
    assert bool(embedded) == (audio_ == "embed")
    if embedded:
        assert base64.b64decode(embedded[1], validate=True)[4:8] == b"ftyp"


def test_a_recording_in_the_output_folder_is_never_overwritten(tmp_path: Path) -> None:
    recording = write_sound(tmp_path / "talk.m4a", bursts([(0.5, 1.0)], 2.0), "aac")
    before = recording.read_bytes()
    written(transcript(segment(0.5, 1.0, " Hi.")), tmp_path, sound(recording, "copy"))
    assert recording.read_bytes() == before


def test_a_recording_that_has_gone_costs_only_the_sound(tmp_path: Path) -> None:
    recording = write_sound(tmp_path / "gone.aiff", bursts([], 2.0), "pcm_s16be")
    gone = sound(recording, "auto")
    recording.unlink()
    html = written(transcript(segment(0.5, 1.0, " Hi.")), tmp_path / "out", gone)
    assert Parsed(html).data()["sound"] == "./../gone.aiff"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["talk.html"]


def test_a_full_disk_leaves_no_copy_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = write_sound(tmp_path / "a.wav", bursts([(0.5, 1.0)], 2.0))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="is full"):
        written(transcript(), tmp_path / "out", sound(recording, "copy"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "codec", "way"),
    [
        ("a.mp3", "mp3", "link"),
        ("a.m4a", "aac", "link"),
        ("a.flac", "flac", "link"),
        ("a.ogg", "libopus", "link"),
        ("a.webm", "libopus", "link"),
        ("a.mka", "libopus", "copy"),
        ("a.aiff", "pcm_s16be", "copy"),
        ("a.au", "pcm_s16be", "copy"),
    ],
)
def test_what_browsers_do_not_play_is_copied(
    name: str, codec: str, way: str, tmp_path: Path
) -> None:
    recording = write_sound(tmp_path / name, bursts([], 1.0), codec, rate_hz=48_000)
    assert sound(recording, "auto").way == way


def test_a_copy_keeps_the_recording_s_times(tmp_path: Path) -> None:
    spans = [(5.0, 5.2), (61.0, 61.2)]
    recording = write_sound(tmp_path / "a.flac", bursts(spans, 70.0))
    encode_copy(audio.probe(recording), tmp_path / "copy.mp4")
    copy = audio.accelerate(audio.probe(tmp_path / "copy.mp4"), 1.0, tmp_path / "copy.pcm")
    assert copy.original_duration_s == pytest.approx(70.0, abs=0.1)
    samples = audio.to_float(audio.read_samples(copy.pcm_path, 0, copy.samples))
    for start_s, _ in spans:
        near = samples[round((start_s - 1) * RATE_HZ) : round((start_s + 1) * RATE_HZ)]
        first = int(np.argmax(np.abs(near) > 0.05)) / RATE_HZ
        assert first == pytest.approx(1.0, abs=0.05)
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    assert (tmp_path / "copy.mp4").stat().st_size < 70 * 40_000 / 8 * 1.5


def test_a_link_from_another_folder(tmp_path: Path) -> None:
    assert link_to(tmp_path / "a" / "b:c.wav", tmp_path / "x" / "y") == "./../../a/b%3Ac.wav"
    assert link_to(tmp_path / "javascript:x.wav", tmp_path) == "./javascript%3Ax.wav"


def accelerated(samples: np.ndarray, folder: Path) -> audio.AcceleratedAudio:
    path = write_pcm(folder / "a.pcm", samples.astype(np.float32))
    return audio.AcceleratedAudio(
        pcm_path=path, speed=1.0, original_samples=len(samples), samples=len(samples)
    )


def test_loudness_shows_where_there_is_sound(tmp_path: Path) -> None:
    levels = loudness([accelerated(bursts([(30.0, 60.0)], 120.0), tmp_path)])
    assert len(levels) == 4000
    values = np.frombuffer(levels, dtype=np.uint8)
    assert values[1010:1990].min() > 200
    assert values[:990].max() < 60


def test_loudness_of_the_longest_shortest_and_quietest(tmp_path: Path) -> None:
    long = accelerated(np.full(5_000_001, 0.1), tmp_path)  # many blocks that divide columns
    values = np.frombuffer(loudness([long]), dtype=np.uint8)
    assert set(values.tolist()) == {255}
    assert loudness([accelerated(np.zeros(0), tmp_path)]) == b""
    assert set(loudness([accelerated(np.zeros(16_000), tmp_path)])) == {0}
