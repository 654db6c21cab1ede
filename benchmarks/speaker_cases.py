"""Recordings in which it is known who speaks when, for benchmarks.speakers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.calls import Said, call, utterances
from benchmarks.conversations import Samples, Spoken, conversation, loud_spans, voices
from benchmarks.real_recordings import MORE_SPEECH_FOLDER
from longscribe.audio.recording import SAMPLE_RATE_HZ, decode, probe

# people, minutes, seed
_CONVERSATIONS: Final = (
    *((1, 3, 21), (2, 2, 22), (2, 5, 23), (3, 2, 24), (3, 5, 25), (3, 10, 26)),
    *((5, 3, 27), (5, 5, 28), (5, 10, 29)),
)
_LONG: Final = ((2, 60, 30), (5, 60, 31))
_READ: Final = ((2, 3, 41), (2, 5, 42), (3, 3, 43), (3, 5, 44), (5, 4, 45), (5, 6, 46))
_AMI: Final = "ami_minutes"
_AMI_CLIP_S: Final = 30.0
_AMI_PAUSE_S: Final = 1.0  # half of it before the first clip


class Case(NamedTuple):
    """A recording and who speaks when in it.

    Attributes:
        kind: what it is counted with.
        name: of it within its kind.
        samples: at 16 kHz.
        spoken: who speaks when, without pauses.
        said: the words, where they are known.
    """

    kind: str
    name: str
    samples: Samples
    spoken: list[Spoken]
    said: tuple[Said, ...] = ()

    @property
    def people(self) -> int:
        """How many speak."""
        return len({one.voice for one in self.spoken})


def cases(more: Path = MORE_SPEECH_FOLDER, *, with_long: bool = False) -> Iterator[Case]:
    """All recordings: phrases of readers and speakers, readings with their words, and meetings.

    Args:
        more: folder of the minutes of AMI meetings; without them there are none.
        with_long: whether two are an hour long.
    """
    said = voices()
    for people, minutes, seed in (*_CONVERSATIONS, *(_LONG if with_long else ())):
        made = conversation(said, people, 60.0 * minutes, seed)
        yield Case("generated", f"{people} for {minutes} min", *made)
    yield from _read()
    if (more / f"{_AMI}.json").is_file():
        yield from _ami(more)


def _read() -> Iterator[Case]:
    """Readers who take turns, with every word they say; the calls' sides mixed to one."""
    readers = utterances()
    for people, minutes, seed in _READ:
        chosen = np.random.default_rng(seed).choice(len(readers), people, replace=False)
        made = call([readers[n] for n in chosen], 60.0 * minutes, 0.0, seed)
        spoken = [
            Spoken(one.start_s + first / SAMPLE_RATE_HZ, one.start_s + last / SAMPLE_RATE_HZ, side)
            for side, own in enumerate(made.clean)
            for one in made.said
            if one.side == side
            for first, last in loud_spans(
                own[round(one.start_s * SAMPLE_RATE_HZ) : round(one.end_s * SAMPLE_RATE_HZ)]
            )
        ]
        mixed = np.clip(made.clean.sum(axis=0), -1.0, 1.0)
        name = f"{people} readers for {minutes} min"
        yield Case("read", name, mixed, sorted(spoken), tuple(made.said))


def _ami(folder: Path) -> Iterator[Case]:
    """Half minutes of meetings, each a recording of its own."""
    samples = np.concatenate(list(decode(probe(folder / f"{_AMI}.opus"))))
    content = json.loads((folder / f"{_AMI}.json").read_text(encoding="utf-8"))
    marked = content["utterances"] if isinstance(content, dict) else content
    every_s = _AMI_CLIP_S + _AMI_PAUSE_S
    for file in dict.fromkeys(one["file"] for one in marked):
        ours = [one for one in marked if one["file"] == file]
        start_s = _AMI_PAUSE_S / 2 + every_s * (ours[0]["start"] // every_s)
        start = round(start_s * SAMPLE_RATE_HZ)
        part = samples[start : start + round(_AMI_CLIP_S * SAMPLE_RATE_HZ)]
        names = list(dict.fromkeys(one["speaker_or_class"] for one in ours))
        spoken = [
            Spoken(
                one["start"] - start_s, one["end"] - start_s, names.index(one["speaker_or_class"])
            )
            for one in ours
        ]
        yield Case("AMI", Path(file).stem, part, spoken)
