"""Who speaks when, as rows of the picture of a run."""

from typing import Final, NamedTuple

from longscribe.outputs.rttm import turns_of
from longscribe.transcript import Transcript
from longscribe.wording.catalog import translated

_MOST_ROWS: Final = 12  # those who speak most; the others share a last row
_COLOURS: Final = 8  # in the template
_COLUMNS: Final = 872  # units of the picture: what lies closer is drawn as one
_LONGEST_LABEL: Final = 12


class SpeakerRow(NamedTuple):
    """One who speaks.

    Attributes:
        speaker: the name.
        spoken_s: seconds that are said.
        colour: its number in the template.
        drawn: (start, end) in seconds of what is drawn as one.
    """

    speaker: str
    spoken_s: float
    colour: int
    drawn: list[tuple[float, float]]

    @property
    def label(self) -> str:
        """The name, cut to what fits before the row."""
        name = self.speaker
        return name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"


def speaker_rows(transcript: Transcript) -> list[SpeakerRow]:
    """The rows in the order in which people first speak; none where that is not known."""
    turns: dict[str, list[tuple[float, float]]] = {}
    for start_s, end_s, speaker in turns_of(transcript):
        turns.setdefault(speaker, []).append((start_s, end_s))
    spoken_s = {one: sum(end - start for start, end in spans) for one, spans in turns.items()}
    colours = {one: number % _COLOURS for number, one in enumerate(turns)}
    most = sorted(turns, key=lambda one: -spoken_s[one])
    shown = set(most if len(most) <= _MOST_ROWS else most[: _MOST_ROWS - 1])
    unit_s = transcript.duration_s / _COLUMNS
    rows = [
        SpeakerRow(one, spoken_s[one], colours[one], _joined(turns[one], unit_s))
        for one in turns
        if one in shown
    ]
    others = [one for one in turns if one not in shown]
    if others:
        spans = sorted(span for one in others for span in turns[one])
        name = translated("{count} others").format(count=len(others))
        total_s = sum(spoken_s[one] for one in others)
        rows.append(SpeakerRow(name, total_s, _COLOURS, _joined(spans, unit_s)))
    return rows


def _joined(spans: list[tuple[float, float]], unit_s: float) -> list[tuple[float, float]]:
    """Spans as they are drawn, sorted: less apart than a unit of the picture they are one."""
    drawn: list[tuple[float, float]] = []
    for start_s, end_s in spans:
        if drawn and start_s - drawn[-1][1] < unit_s:
            drawn[-1] = (drawn[-1][0], max(drawn[-1][1], end_s))
        else:
            drawn.append((start_s, end_s))
    return drawn
