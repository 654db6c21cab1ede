from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from longscribe.audio.chunks import Chunk
from longscribe.audio.timeline import Timeline
from longscribe.options import Format
from longscribe.outputs.formats import render
from longscribe.text.merge import account, merge
from longscribe.transcript import (
    SOUND_WITHOUT_TEXT,
    ChunkTranscript,
    Segment,
    Stretch,
    Transcript,
    Word,
)
from tests.chunks import chunk
from tests.segments import segment

RATE_HZ = 16_000
SPEED = 1.25
TIMELINE = Timeline(original_samples=250 * RATE_HZ, accelerated_samples=200 * RATE_HZ)
SOUND = np.array([[0.0, 200.0]])


def between(index: int, start_s: float, stop_s: float, count: int = 2) -> Chunk:
    return chunk(
        index,
        count=count,
        start_sample=round(start_s * RATE_HZ),
        stop_sample=round(stop_s * RATE_HZ),
        original_start_s=start_s * SPEED,
        original_end_s=stop_s * SPEED,
        sound=((0.0, stop_s - start_s),),
    )


CHUNKS = [between(0, 0.0, 120.0), between(1, 120.0, 200.0)]


def done(index: int, *segments: Segment, language: str = "en") -> ChunkTranscript:
    return ChunkTranscript(
        index=index,
        language=language,
        language_probability=None,
        segments=segments,
        seconds=1.0,
        cpu_percent=100.0,
        peak_memory_bytes=1,
        pid=1,
    )


def merged(
    *transcripts: ChunkTranscript,
    missing_s: float = 0.0,
    failures: Mapping[int, str] | None = None,
) -> Transcript:
    result = merge("a.wav", CHUNKS, transcripts, TIMELINE, SOUND, missing_s, failures)
    tiles = result.stretches
    assert tiles[0].start == 0.0
    assert tiles[-1].end == pytest.approx(result.duration_s)
    assert all(a.end == b.start for a, b in pairwise(tiles))
    assert all(a.start <= b.start and a.end <= b.start for a, b in pairwise(result.segments))
    assert [s.id for s in result.segments] == list(range(len(result.segments)))
    return result


def test_times_are_the_recording_s_and_sorted_whatever_the_order_of_arrival() -> None:
    result = merged(
        done(1, segment(0.0, 80.0, " last.", seek=100)), done(0, segment(4.0, 100.0, " first."))
    )
    assert [(s.start, s.end) for s in result.segments] == [(5.0, 125.0), (150.0, 250.0)]
    assert result.segments[1].seek == 15_125
    assert result.text == " first. last."
    assert result.seams_s == (150.0,)


def test_a_segment_past_its_chunk_is_cut_back() -> None:
    result = merged(done(0, segment(100.0, 130.0, " a")), done(1, segment(0.0, 10.0, " b")))
    assert result.segments[0].end == result.segments[1].start == 150.0


def test_overlaps_meet_in_the_middle() -> None:
    result = merged(done(0, segment(0.0, 12.0, " a"), segment(8.0, 20.0, " b")), done(1))
    assert result.segments[0].end == result.segments[1].start == 12.5


def test_words_move_along() -> None:
    word = Word(word=" a", start=0.0, end=8.0, probability=0.9)
    result = merged(done(0), done(1, segment(0.0, 8.0, " a", words=(word,))))
    assert result.segments[0].words == (replace(word, start=150.0, end=160.0),)


def test_a_failed_chunk_is_a_gap() -> None:
    result = merged(done(0, segment(0.0, 120.0, " a")))
    assert result.gaps == (Stretch(start=150.0, end=250.0, kind="gap", reason="chunk failed"),)
    assert result.lost == result.gaps


_TEXTS: tuple[Format, ...] = ("txt", "srt", "vtt", "tsv", "json", "words", "ass", "lrc", "md")


def test_why_a_chunk_failed_is_said_in_every_format() -> None:
    result = merged(done(0, segment(0.0, 120.0, " a")), failures={1: "its worker died 3 times"})
    for format_ in _TEXTS:
        written = "".join(render(result, format_))
        assert "chunk failed: its worker died 3 times" in written


def test_what_is_missing_from_the_file_is_a_gap() -> None:
    whole = done(0, segment(0.0, 120.0, " a")), done(1, segment(0.0, 80.0, " b"))
    result = merged(*whole, missing_s=50.0)
    assert result.duration_s == 300.0
    assert result.gaps[-1].end == 300.0


def test_sound_without_text_is_reported_pauses_are_not() -> None:
    sound = np.array([[0.0, 10.0], [12.0, 13.0], [20.0, 40.0], [50.0, 60.0]])
    tiles = account([segment(0.0, 10.0, " a"), segment(50.0, 60.0, " b")], [], sound, 60.0)
    assert [(t.start, t.end, t.kind, t.reason) for t in tiles] == [
        (0.0, 10.0, "speech", ""),
        (10.0, 20.0, "silence", ""),
        (20.0, 40.0, "gap", SOUND_WITHOUT_TEXT),
        (40.0, 50.0, "silence", ""),
        (50.0, 60.0, "speech", ""),
    ]


def test_silent_recording() -> None:
    assert account([], [], np.empty((0, 2)), 5.0) == [Stretch(start=0.0, end=5.0, kind="silence")]


def test_the_main_language_is_the_one_most_is_spoken_in() -> None:
    said = [replace(segment(0.0, 10.0, " a"), language="en")]
    more = [replace(segment(0.0, 30.0, " b"), language="pt")]
    result = merged(done(0, *said, language="en"), done(1, *more, language="pt"))
    assert result.language == "pt"
    assert result.languages == ("pt", "en")


def test_without_segments_it_is_the_first_chunk_s() -> None:
    result = merged(done(0, language="pt"), done(1, language="en"))
    assert (result.language, result.languages) == ("pt", ("pt",))
