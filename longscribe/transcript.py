"""The transcript: segments, what became of every second, and what was changed.

What there are thousands of in ten hours are slotted dataclasses: a tenth of a pydantic model's
memory. Pydantic still checks them wherever they arrive inside a model.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from longscribe.wording.catalog import translatable

_FROZEN = ConfigDict(frozen=True, extra="forbid")

Kind = Literal["speech", "silence", "gap"]

# Why there is no text: kept in English, and translated where people see it.
SOUND_WITHOUT_TEXT = translatable("sound without text")  # music, noise, or what the model missed
MISSING_FROM_THE_FILE = translatable("missing from the file")
CHUNK_FAILED = translatable("chunk failed")  # often with the run's own words behind a colon


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its times, as `whisper.transcribe(word_timestamps=True)` gives it.

    `speaker` and `overlap` are ours: as in `Segment`.
    """

    word: str
    start: float
    end: float
    probability: float
    speaker: str | None = None
    overlap: bool | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment in openai-whisper's own schema (whisper/transcribe.py, `new_segment`).

    Times are seconds: of the accelerated chunk when a worker returns it, of the original recording
    after the merge. `seek` is in mel frames of 10 ms. `language` and how probable it is are ours:
    the probability is None where the run named the language. So are `speaker`, a name or
    SPEAKER_00 and so on, None where that is not known, and `overlap`, whether others speak at the
    same time, None where nobody asked.
    """

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: tuple[Word, ...] | None = None
    language: str = ""
    language_probability: float | None = None
    speaker: str | None = None
    overlap: bool | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody speaks without a pause, in seconds of the original recording; turns may overlap."""

    start_s: float
    end_s: float
    speaker: str


@dataclass(frozen=True, slots=True)
class Recognized:
    """A speaker whose voice is enrolled on this machine, and how probably it is theirs."""

    speaker: str
    probability: float


class ChunkTranscript(BaseModel):
    """What a worker returns for one chunk; times count accelerated seconds from its start.

    Attributes:
        windows: heard by the model, those decoded again included; 0 in sequential decoding.
        fallbacks: windows whose first text failed the quality rules.
        windows_again: windows heard at the recording's own tempo, as the model was unsure of what
            it heard faster.
        seconds: in all, `load_s` of them for torch and the model.
        ready_at_s: when that was done, on the machine's monotonic clock.
        attempts: how often the chunk was tried, this time included.
    """

    model_config = _FROZEN

    index: int
    language: str
    language_probability: float | None
    segments: tuple[Segment, ...]
    windows: int = 0
    fallbacks: int = 0
    windows_again: int = 0
    precision: str = ""
    seconds: float
    load_s: float = 0.0
    ready_at_s: float = 0.0
    attempts: int = 1
    cpu_percent: float
    peak_memory_bytes: int
    pid: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the recording and what became of it; the stretches of a transcript tile it."""

    start: float
    end: float
    kind: Kind
    reason: str = ""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Change:
    """One improvement that postprocessing made: the rule, and the text before and after."""

    rule: str
    segment: int
    start: float
    before: str
    after: str


class Transcript(BaseModel):
    """The whole recording's transcript, on its original timeline.

    `turns` are sorted by their start; empty where nobody asked who speaks.
    """

    model_config = _FROZEN

    recording: str
    duration_s: float
    language: str
    segments: tuple[Segment, ...]
    stretches: tuple[Stretch, ...] = ()
    changes: tuple[Change, ...] = ()
    seams_s: tuple[float, ...] = ()
    turns: tuple[Turn, ...] = ()
    recognized: tuple[Recognized, ...] = ()
    model: str = ""
    speed: float = 1.0

    @property
    def text(self) -> str:
        """The text of all segments, joined as openai-whisper joins them."""
        return "".join(segment.text for segment in self.segments)

    @property
    def languages(self) -> tuple[str, ...]:
        """Those of the segments, the one most is spoken in first; the main one without segments."""
        spoken_s: dict[str, float] = {}
        for segment in self.segments:
            if segment.language:
                duration_s = segment.end - segment.start
                spoken_s[segment.language] = spoken_s.get(segment.language, 0.0) + duration_s
        if not spoken_s:
            return (self.language,) if self.language else ()
        return tuple(sorted(spoken_s, key=lambda code: -spoken_s[code]))

    @property
    def gaps(self) -> tuple[Stretch, ...]:
        """The stretches that could not be transcribed."""
        return tuple(stretch for stretch in self.stretches if stretch.kind == "gap")

    @property
    def lost(self) -> tuple[Stretch, ...]:
        """The gaps that readers of the transcript must see: audio that was never recognized."""
        return tuple(gap for gap in self.gaps if gap.reason != SOUND_WITHOUT_TEXT)

    @property
    def improved_segments(self) -> int:
        """How many segments postprocessing changed, dropped or joined."""
        return len({change.segment for change in self.changes})


def format_time(seconds: float) -> str:
    """Seconds as `1:02:03`, for people."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
