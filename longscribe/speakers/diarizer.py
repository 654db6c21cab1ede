"""What tells voices apart: which networks do is an option, and nothing else asks for it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from longscribe.audio.voice_activity import Spans
from longscribe.options import RunOptions
from longscribe.options.speakers import BUILT_IN
from longscribe.speakers import community_weights
from longscribe.speakers.built_in import BuiltIn
from longscribe.speakers.community import Community
from longscribe.speakers.diarization import Diarization
from longscribe.speakers.parts import Part
from longscribe.speakers.weights import check_installed, find_weights

P = TypeVar("P", bound=Part)


class Diarizer(Protocol[P]):
    """Hears a recording in parts, each in a worker, and then says who spoke when.

    It travels to workers: a description of weights, and not the networks.
    """

    @property
    def networks(self) -> str:
        """Their names, for the log."""

    def parts(self, pcm_path: Path, samples: int, spoken: Spans) -> Sequence[P]:
        """The parts of a recording; none where nobody may be speaking.

        Args:
            pcm_path: int16 samples at 16 kHz, at the recording's own tempo.
            samples: of the recording.
            spoken: where somebody may be speaking, in seconds, shape (n, 2).
        """

    def key(self, part: P) -> str:
        """The sha256 that names what is heard in a part: all that this depends on."""

    def limit_s(self, part: P) -> float:
        """How much of its worker's time a part may take, in seconds."""

    def hear(self, part: P, on_progress: Callable[[], None] = lambda: None) -> str:
        """Hear a part, in a worker; `on_progress` is called for every little piece of that.

        Returns:
            what is kept of it, as JSON.

        Raises:
            ModelError: a network cannot be used.
        """

    def check(self, heard: str) -> None:
        """See that something that was kept is whole.

        Raises:
            ValueError: it is not.
        """

    def diarization(
        self, heard: Sequence[tuple[P, str]], duration_s: float, spoken: Spans
    ) -> Diarization:
        """Who spoke when.

        Args:
            heard: the parts that were heard, in order, and what `hear` gave for each.
            duration_s: of the recording.
            spoken: as for `parts`.
        """


def check_diarizer(options: RunOptions) -> None:
    """Refuse networks that cannot be had, before anything slow is started.

    Raises:
        ModelError: says how to get them.
    """
    if options.voice_count is None:
        return
    if options.diarization_model == BUILT_IN:
        check_installed()
    else:
        community_weights.check_available(options.diarization_model)


def find_diarizer(options: RunOptions) -> Diarizer[Any]:
    """What tells the voices of a run apart; fetched where it is not here yet.

    Args:
        options: of a run that asks for voices.

    Raises:
        ModelError: an extra is not installed, or weights cannot be had.
    """
    assert options.voice_count is not None
    if options.diarization_model == BUILT_IN:
        return BuiltIn(find_weights(), options.voice_count)
    return Community(community_weights.find_weights(options.diarization_model), options.voice_count)
