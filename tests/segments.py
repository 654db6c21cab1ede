"""Segments made for tests."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from longscribe.options import SubtitleRules
from longscribe.transcript import Segment, Stretch, Transcript, Word

LONG = (
    " The committee met on Monday, and it heard three witnesses before noon. Nobody objected to "
    "the minutes, which had been sent round a week before. Then the chair asked for questions."
)
SUBTITLE_RULES = (
    SubtitleRules(),
    SubtitleRules(max_line_chars=20, max_lines=3, max_chars_per_s=12.0, min_gap_s=0.2),
    SubtitleRules(max_line_chars=60, max_lines=1, max_chars_per_s=0.0, min_gap_s=0.0),
)


def segment(start: float, end: float, text: str, **values: Any) -> Segment:
    return Segment(
        **{
            "id": 0,
            "seek": 0,
            "start": start,
            "end": end,
            "text": text,
            "tokens": (50364, 2425, 50464),
            "temperature": 0.0,
            "avg_logprob": -0.2,
            "compression_ratio": 1.1,
            "no_speech_prob": 0.01,
            **values,
        }
    )


def with_speakers(said: Transcript, names: Sequence[str | None]) -> Transcript:
    """The transcript with its segments spoken by the names in turn."""
    spoken = tuple(replace(s, speaker=names[n % len(names)]) for n, s in enumerate(said.segments))
    return said.model_copy(update={"segments": spoken})


def transcript(*segments: Segment, **values: Any) -> Transcript:
    numbered = tuple(replace(s, id=number) for number, s in enumerate(segments))
    end_s = max((s.end for s in segments), default=0.0)
    return Transcript(
        **{
            "recording": "a.wav",
            "duration_s": end_s,
            "language": "en",
            "segments": numbered,
            **values,
        }
    )


def talk(seed: int) -> Transcript:
    """Segments of all lengths, some timed by word, some in scripts without spaces, and a gap."""
    chance = random.Random(seed)
    segments: list[Segment] = []
    position_s = 0.0
    for _ in range(40):
        position_s += chance.choice([0.0, 0.0, 0.05, 0.3, 4.0])
        words = [
            "x" * chance.choice([1, 3, 5, 9, 14, 60]) + chance.choice(["", "", "", ",", ".", "?"])
            for _ in range(chance.choice([1, 4, 12, 60]))
        ]
        text, language = " " + " ".join(words), ""
        if chance.random() < 0.2:
            language, said = chance.choice(
                [
                    ("ja", "「会議は、月曜日に開かれました」と聞いた。"),
                    ("zh", "世界你好，他说：“2025年（五月）我们一起去。”"),
                    ("yue", "佢哋話今日好開心，"),
                    ("th", "ก็ไปไหนกันดีคณะกรรมการ "),
                    ("km", "គណៈកម្មាធិការបានប្រជុំ។"),
                    ("my", "ကော်မတီသည်တနင်္လာနေ့တွင်တွေ့ဆုံခဲ့သည်။"),
                ]
            )
            text = said * chance.randint(1, 9)
        end_s = round(position_s + chance.choice([0.02, 0.5, 3.0, 25.0]), 3)
        timed = None
        if chance.random() < 0.5:
            step_s = (end_s - position_s) / len(words)
            timed = tuple(
                Word(f" {w}", position_s + n * step_s, position_s + (n + 0.8) * step_s, 0.5)
                for n, w in enumerate(words)
            )
        segments.append(segment(position_s, end_s, text, words=timed, language=language))
        position_s = end_s
    gap = Stretch(position_s, position_s + 9.0, "gap", "chunk failed")
    return transcript(*segments, stretches=(gap,), duration_s=gap.end)
