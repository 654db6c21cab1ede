"""The generator of held-out recordings."""

from __future__ import annotations

import ctypes
import functools
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from demo import make_recording as of_recordings
from demo.make_recording import Request, make_recording, turns
from demo.voices import Speech


def _have(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(
    not (_have("libespeak-ng.so.1") and _have("libflite.so.1")),
    reason="needs espeak-ng and flite",
)


@functools.cache
def _synthesized(seed: int, language: str) -> list[tuple[of_recordings.Turn, Speech]]:
    request = Request(seed, 1.0, language, 1.0, Path("unused.wav"))
    return list(islice(_speech_of(request), 24))


_speech_of = of_recordings._spoken


@pytest.fixture
def _said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a seed's turns be synthesized once.

    flite and eSpeak NG give other samples in some processes than in others, some milliseconds of
    sound apart (6 of 24 fresh ones, with equal texts, environments and cores).
    """

    def spoken(request: Request) -> Iterator[tuple[of_recordings.Turn, Speech]]:
        yield from _synthesized(request.seed, request.language)

    monkeypatch.setattr(of_recordings, "_spoken", spoken)


def _samples(path: Path) -> NDArray[np.int16]:
    with av.open(str(path)) as container:
        return np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)])


def test_length_is_exact_and_reference_matches_the_sound(tmp_path: Path) -> None:
    path = tmp_path / "meeting.wav"
    reference = make_recording(Request(1, 0.70367, "en", 1.0, path))
    samples = _samples(path)
    assert len(samples) == round(0.70367 * 60 * 16000)
    assert reference == json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert len(reference) >= 3
    silent = np.ones(len(samples), bool)
    for before, row in zip([None, *reference], reference, strict=False):
        assert before is None or row["start"] > before["end"]
        inside = slice(int(row["start"] * 16000), int(row["end"] * 16000))
        assert np.abs(samples[inside].astype(int)).max() > 3000
        # Times are rounded to milliseconds: leave 10 ms out on either side.
        silent[max(inside.start - 160, 0) : inside.stop + 160] = False
    assert np.abs(samples[silent].astype(int)).max() < 300


@pytest.mark.usefixtures("_said_once")
def test_a_seed_gives_the_same_recording(tmp_path: Path) -> None:
    """Its turns, and with the same speech the same file."""
    requests = [
        Request(seed, 0.3, "pt", 1.0, tmp_path / f"{number}.wav")
        for number, seed in enumerate((8, 8, 9))
    ]
    first, again, other = (list(islice(turns(request), 8)) for request in requests)
    assert first == again
    assert [turn.text for turn in first] != [turn.text for turn in other]
    for request in requests:
        make_recording(request)
    files = [request.out.read_bytes() for request in requests]
    references = [request.out.with_suffix(".json").read_bytes() for request in requests]
    assert files[0] == files[1] != files[2]
    assert references[0] == references[1] != references[2]


@pytest.mark.usefixtures("_said_once")
def test_speed_moves_the_reference(tmp_path: Path) -> None:
    slow, fast = tmp_path / "slow.wav", tmp_path / "fast.wav"
    at_one = make_recording(Request(5, 0.6, "en", 1.0, slow))
    at_more = make_recording(Request(5, 0.5, "en", 1.2, fast))
    assert [row["text"] for row in at_more] == [row["text"] for row in at_one]
    assert len(_samples(fast)) == 0.5 * 60 * 16000
    for one, more in zip(at_one, at_more, strict=True):
        assert more["start"] == pytest.approx(one["start"] / 1.2, abs=0.002)


@pytest.mark.parametrize("suffix", ["flac", "mp3", "opus", "ogg", "m4a", "webm"])
def test_containers(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"meeting.{suffix}"
    make_recording(Request(2, 0.2, "en", 1.0, path))
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        length_s = sum(frame.samples for frame in container.decode(stream)) / stream.rate
    assert length_s == pytest.approx(12.0, abs=0.1)


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown suffix"):
        make_recording(Request(1, 0.1, "en", 1.0, tmp_path / "x.doc"))
    assert not list(tmp_path.iterdir())
