"""The networks that Longscribe runs itself: segmentation-3.0 and CAM++, ten minutes at a time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from longscribe.audio.voice_activity import Spans
from longscribe.options.speakers import VoiceCount
from longscribe.speakers.diarization import Diarization, diarize, spans_of
from longscribe.speakers.spans import Span, SpanVoices
from longscribe.speakers.weights import SpeakerWeights

_LIMIT_S: Final = 900.0  # some twenty seconds of a core are what ten minutes of voices take


class BuiltIn(NamedTuple):
    """A `Diarizer`: what is kept of a part is a `SpanVoices`.

    Attributes:
        weights: of both networks.
        voices: how many there may be; asked for only after all is heard.
    """

    weights: SpeakerWeights
    voices: VoiceCount

    @property
    def networks(self) -> str:
        """Their names."""
        return "segmentation-3.0, CAM++"

    def parts(self, pcm_path: Path, samples: int, spoken: Spans) -> list[Span]:
        """Ten minutes each; windows without talk are in none."""
        return spans_of(pcm_path, samples, spoken)

    def key(self, part: Span) -> str:
        """The sha256 that names what is heard in it."""
        return part.key(self.weights.sha256)

    def limit_s(self, part: Span) -> float:
        """How much of its worker's time it may take, in seconds."""
        return _LIMIT_S

    def hear(self, part: Span, on_progress: Callable[[], None] = lambda: None) -> str:
        """Hear a part's voices; a `SpanVoices` as JSON.

        Raises:
            ModelError: a checkpoint is damaged.
        """
        # Here, not above: it brings torch.
        from longscribe.speakers.listening import listener

        return listener(self.weights).listen(part, on_progress).model_dump_json()

    def check(self, heard: str) -> None:
        """See that something that was kept is whole.

        Raises:
            ValueError: it is not.
        """
        SpanVoices.model_validate_json(heard)

    def diarization(
        self, heard: Sequence[tuple[Span, str]], duration_s: float, spoken: Spans
    ) -> Diarization:
        """Who spoke when, by all that was heard."""
        found = [(part, SpanVoices.model_validate_json(content)) for part, content in heard]
        return diarize(found, duration_s, spoken, self.voices)
