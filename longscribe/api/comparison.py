"""The texts that settings gave, held against what was said."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from longscribe.api.settings import Setting
from longscribe.audio.excerpts import Excerpt
from longscribe.errors import OptionError, RecordingError
from longscribe.text.fitting import Part, fit
from longscribe.transcript import Transcript
from longscribe.wording.catalog import translated

if TYPE_CHECKING:
    from longscribe.text.word_errors import WordErrors

# Of the words heard, where an excerpt is looked for in a text that is not of it: three quarters.
_FOREIGN: Final = 0.65


class Comparison:
    """What was said in the excerpts, and what each setting heard.

    Of a reference the part of each excerpt is found by what was heard there. A setting that loses
    the words at an excerpt's edge finds a shorter part, so the edges are where most settings find
    them, and all are held against the same words.
    """

    def __init__(
        self, places: Sequence[Excerpt], shares: Sequence[float], reference: str | None
    ) -> None:
        """Wait for texts.

        Args:
            places: of the excerpts, in seconds of the sound that is heard.
            shares: of all speech, what is spoken until the end of each excerpt.
            reference: what is said in the whole recording; None to compare with the setting that is
                added first.
        """
        self._places = places
        self._shares = shares
        self._reference = reference
        self._said: list[str] = []
        self._heard: dict[Setting, list[str]] = {}
        self._parts: list[list[Part]] = []
        self.language = ""

    def add(self, setting: Setting, heard: Transcript) -> None:
        """Take what a setting heard; the first one's language is that of all.

        Raises:
            OptionError: the reference holds no words, or says something else.
            RecordingError: no word was heard.
        """
        # Only here: it imports torch.
        from longscribe.text.word_errors import words_of

        is_first = not self._heard
        if is_first:
            self.language = heard.languages[0] if heard.languages else ""
        words = words_of(heard.text, self.language)
        if is_first and self._reference is not None:
            self._said = words_of(self._reference, self.language)
            if not self._said:
                raise OptionError(
                    translated("--reference: there is no word in it; give what is said.")
                )
        elif is_first:
            self._said = words
        if is_first and not words:
            raise RecordingError(
                translated(
                    "no word is heard in {path}, so there is nothing to compare; "
                    "try another model, or name its --language."
                ).format(path=repr(heard.recording))
            )
        if self._is_found:
            parts = self._found(heard)
            edits = sum(part.edits for part in parts)
            if is_first and edits > _FOREIGN * len(words):
                raise OptionError(
                    translated(
                        "--reference: what is heard is not in it; "
                        "give the text of the whole recording."
                    )
                )
            self._parts.append(parts)
        self._heard[setting] = words

    def errors(self, setting: Setting) -> "WordErrors":
        """How far what a setting heard is from what was said, as far as that is known now."""
        from longscribe.text.word_errors import compared

        said = self._said
        if self._is_found:
            said = [
                word
                for parts in zip(*self._parts, strict=True)
                for word in said[slice(*_agreed(parts))]
            ]
        return compared(said, self._heard[setting])

    @property
    def _is_found(self) -> bool:
        """Whether excerpts are looked for in the reference."""
        return self._reference is not None and len(self._places) > 1

    def _found(self, heard: Transcript) -> list[Part]:
        from longscribe.text.word_errors import words_of

        parts = []
        for place, share in zip(self._places, self._shares, strict=True):
            text = "".join(
                segment.text
                for segment in heard.segments
                if place.start_s <= (segment.start + segment.end) / 2 < place.end_s
            )
            words = words_of(text, self.language)
            end = round(share * len(self._said))
            parts.append(fit(words, self._said, share) if words else Part(end, end, 0))
        return parts


def _agreed(parts: Sequence[Part]) -> tuple[int, int]:
    """Where most of them begin and end; where as many say otherwise, the wider."""
    starts, stops = Counter(part.start for part in parts), Counter(part.stop for part in parts)
    start = max(starts, key=lambda place: (starts[place], -place))
    return start, max(stops, key=lambda place: (stops[place], place))
