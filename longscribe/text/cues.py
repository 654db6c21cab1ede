"""Segments as subtitle cues that a viewer can read: short lines, enough time, a gap between.

The rules are those of subtitling style guides (42 characters, two lines, about 20 characters a
second); in scripts without spaces lines break between phrases. Own code because it cuts at the
words' times; where words were not timed, at times in proportion to the text.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from rich.cells import cell_len, chop_cells

from longscribe.options import SubtitleRules
from longscribe.text.paragraphs import speaker_of
from longscribe.text.phrases import Phrase, phrases
from longscribe.text.words import SpokenWord, one_line, spoken_words
from longscribe.transcript import CHUNK_FAILED, Segment, Stretch, Transcript
from longscribe.wording.catalog import translated

Line = tuple[SpokenWord, ...]

_SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")
_CLAUSE_ENDS = (",", ";", ":", "–", "—", "、", "，", "；", "：")
_CLOSING = "\"'”’)]»」』）"
_PAUSE_S = 0.25

# What a cut costs, in cues: one more cue costs 1, so a sentence's end is worth a short cue.
_CUT_AT_SENTENCE, _CUT_AT_CLAUSE, _CUT_AT_PAUSE, _CUT_ELSEWHERE = 0.0, 0.25, 0.3, 0.6
_SHORT_CUE = 0.8  # for a cue of nothing; less in proportion up to a full line

# Two people are shown at once where they speak at once, and with dashes also where one follows the
# other this soon; never longer than a subtitle may stand.
_ANSWERS_WITHIN_S = 0.5
_LONGEST_DIALOGUE_S = 7.0


class _Block(NamedTuple):
    """Words that no line parts; `text` has the space before the first."""

    text: str
    start_s: float
    end_s: float
    words: Phrase


_Blocks = tuple[_Block, ...]


class Cue(NamedTuple):
    """What is shown at once. A gap's cue is one line that says why there is no text.

    `speakers` has who says each line; it is empty where that is not known.
    """

    start_s: float
    end_s: float
    lines: tuple[Line, ...]
    speakers: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The lines as they are shown, divided by line feeds."""
        return "\n".join(line_text(line) for line in self.lines)


def line_text(line: Line) -> str:
    """The words of a line, without the space before the first."""
    return "".join(word.text for word in line).strip()


def cues(transcript: Transcript, rules: SubtitleRules) -> list[Cue]:
    """The transcript's cues in order, lost audio among them; no two overlap if no segments do.

    Lines never exceed the rules. A cue is shown longer than it is spoken where reading it takes
    longer and nothing else is said; where there is no time for that, what was said goes first.
    Two people share a cue only with a line each, which says so.
    """
    made: list[Cue] = []
    before: str | None = None
    for segment in transcript.segments:
        speaker = speaker_of(segment)
        mark = _mark(speaker, rules) if speaker != before else ()
        made += _cut(segment, segment.language or transcript.language, rules, mark)
        before = speaker
    made += [_gap_cue(gap) for gap in transcript.lost]
    made.sort(key=lambda cue: (cue.start_s, cue.end_s))
    if rules.max_line_chars:
        made = list(_with_reading_time(_dialogues(made, rules), rules, transcript.duration_s))
    return made


def gap_text(gap: Stretch) -> str:
    """How lost audio is marked for people."""
    return translated("[gap: {reason}]").format(reason=reason_shown(gap))


def reason_shown(gap: Stretch) -> str:
    """Why there is no text, in the reader's language; a transcript keeps it in English."""
    failed, is_failure, why = gap.reason.partition(": ")
    if is_failure and failed == CHUNK_FAILED:
        return f"{translated(failed)}: {why}"
    return translated(gap.reason)


def _gap_cue(gap: Stretch) -> Cue:
    return Cue(gap.start, gap.end, ((SpokenWord(gap_text(gap), gap.start, gap.end, None),),))


def _mark(speaker: str | None, rules: SubtitleRules) -> Line:
    """What stands before the first words of a turn; its words take no time."""
    if speaker is None or rules.speaker_marks == "none":
        return ()
    text = "-" if rules.speaker_marks == "dashes" else f"{one_line(speaker)}:"
    words = text.split()
    return tuple(SpokenWord(" " * (n > 0) + word, 0, 0, None) for n, word in enumerate(words))


def _marked(mark: Line, words: Line, start_s: float) -> Line:
    """The words with a mark before them."""
    if not mark or not words:
        return words
    first = words[0]._replace(text=f" {words[0].text.lstrip()}")
    timed = (word._replace(start_s=start_s, end_s=start_s) for word in mark)
    return (*timed, first, *words[1:])


def _dialogues(made: Sequence[Cue], rules: SubtitleRules) -> Iterator[Cue]:
    """The cues, two of them as one where two people say a line each at once or soon after."""
    held: Cue | None = None
    for cue in made:
        both = _together(held, cue, rules) if held is not None else None
        if both is not None:
            yield both
            held = None
            continue
        if held is not None:
            yield held
        held = cue
    if held is not None:
        yield held


def _together(first: Cue, second: Cue, rules: SubtitleRules) -> Cue | None:
    if rules.max_lines < 2 or rules.speaker_marks == "none":
        return None
    if (len(first.speakers), len(second.speakers)) != (1, 1) or first.speakers == second.speakers:
        return None
    end_s = max(first.end_s, second.end_s)
    within_s = _ANSWERS_WITHIN_S if rules.speaker_marks == "dashes" else 0.0
    soon = second.start_s - first.end_s < within_s
    if not soon or end_s - first.start_s > _LONGEST_DIALOGUE_S:
        return None
    lines = []
    for cue in (first, second):
        mark = _mark(cue.speakers[0], rules)
        line = cue.lines[0]
        is_marked = line_text(line[: len(mark)]) == line_text(mark)
        lines.append(line if is_marked else _marked(mark, line, cue.start_s))
        if cell_len(line_text(lines[-1])) > rules.max_line_chars:
            return None
    return Cue(first.start_s, end_s, tuple(lines), (*first.speakers, *second.speakers))


def _cut(segment: Segment, language: str, rules: SubtitleRules, mark: Line) -> Iterator[Cue]:
    """The cues of one segment: as few as the rules allow, cut where the sentence does."""
    words = spoken_words(segment)
    limit = rules.max_line_chars
    if not words:
        return
    speaker = speaker_of(segment)

    def cue(start_s: float, end_s: float, lines: Iterable[Line]) -> Cue:
        shown = tuple(lines)
        return Cue(start_s, end_s, shown, (speaker,) * len(shown) if speaker else ())

    if not limit:
        yield cue(segment.start, segment.end, (_marked(mark, words, segment.start),))
        return
    said = phrases(words, language)
    if mark and said:
        said = [_marked(mark, said[0], segment.start), *said[1:]]
    blocks = tuple(b for phrase in said for b in _fitting(phrase, limit))
    widths = [cell_len(block.text) for block in blocks]
    if _line_count(blocks, widths, limit) <= rules.max_lines:  # most segments
        yield cue(segment.start, segment.end, _lines(blocks, widths, limit))
        return
    best: list[tuple[float, int]] = [
        (0.0, 0)
    ]  # for the first n blocks: cost, where the last cue starts
    for stop in range(1, len(blocks) + 1):
        choices = []
        for start in range(stop - 1, -1, -1):
            if _line_count(blocks[start:stop], widths[start:stop], limit) > rules.max_lines:
                break
            width = min(limit, sum(widths[start:stop]))
            short = _SHORT_CUE * (1.0 - width / limit) if start or stop < len(blocks) else 0.0
            choices.append((best[start][0] + 1.0 + short + _cut_cost(blocks, stop), start))
        best.append(min(choices))
    bounds = [len(blocks)]
    while bounds[-1]:
        bounds.append(best[bounds[-1]][1])
    for start, stop in pairwise(reversed(bounds)):
        part = blocks[start:stop]
        yield cue(
            part[0].start_s if start else segment.start,
            part[-1].end_s if stop < len(blocks) else segment.end,
            _lines(part, widths[start:stop], limit),
        )


def _cut_cost(blocks: _Blocks, stop: int) -> float:
    if stop == len(blocks):
        return 0.0
    ending = blocks[stop - 1].text.rstrip(_CLOSING)
    if ending.endswith(_SENTENCE_ENDS):
        return _CUT_AT_SENTENCE
    if ending.endswith(_CLAUSE_ENDS):
        return _CUT_AT_CLAUSE
    if blocks[stop].start_s - blocks[stop - 1].end_s >= _PAUSE_S:
        return _CUT_AT_PAUSE
    return _CUT_ELSEWHERE


def _fitting(phrase: Phrase, limit: int) -> Iterator[_Block]:
    """The phrase, word by word where it is longer than a line."""
    text = "".join(word.text for word in phrase)
    if cell_len(text.strip()) <= limit:
        yield _Block(text, phrase[0].start_s, phrase[-1].end_s, phrase)
        return
    for word in phrase:
        for part in _chopped(word, limit):
            yield _Block(part.text, part.start_s, part.end_s, (part,))


def _chopped(word: SpokenWord, limit: int) -> Iterator[SpokenWord]:
    """The word, in pieces where it is longer than a whole line (an address, a long number)."""
    if cell_len(word.text.strip()) <= limit:
        yield word
        return
    pieces = chop_cells(word.text.strip(), limit)
    start_s = word.start_s
    step_s = (word.end_s - word.start_s) / len(pieces)
    for number, piece in enumerate(pieces):
        text = (" " if number == 0 and word.text[:1].isspace() else "") + piece
        yield word._replace(text=text, start_s=start_s, end_s=start_s + step_s)
        start_s += step_s


def _line_count(blocks: _Blocks, widths: Sequence[int], limit: int) -> int:
    count, used = 0, limit + 1
    for block, width in zip(blocks, widths, strict=True):
        if used + width > limit:
            count += 1
            used = width - (len(block.text) - len(block.text.lstrip()))
        else:
            used += width
    return count


def _lines(blocks: _Blocks, widths: Sequence[int], limit: int) -> list[Line]:
    """The blocks on as few lines as hold them, about equally long, broken where the clause is."""
    count = _line_count(blocks, widths, limit)
    if count == 1:
        return [_words(blocks)]
    total = sum(widths)
    cut_costs = [0.0, *(0.3 * _cut_cost(blocks, stop) for stop in range(1, len(blocks) + 1))]
    # best[n][k]: the first n blocks on k lines.
    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
    for stop in range(1, len(blocks) + 1):
        row: dict[int, tuple[float, int]] = {}
        for start in range(stop - 1, -1, -1):
            width = (
                sum(widths[start:stop]) - len(blocks[start].text) + len(blocks[start].text.lstrip())
            )
            if width > limit:
                break
            uneven = (width / limit - total / count / limit) ** 2
            cost = uneven + cut_costs[stop]
            for k, (before, _) in best[start].items():
                if k < count and (k + 1 not in row or before + cost < row[k + 1][0]):
                    row[k + 1] = (before + cost, start)
        best.append(row)
    lines: list[Line] = []
    stop, k = len(blocks), count
    while stop:
        start = best[stop][k][1]
        lines.append(_words(blocks[start:stop]))
        stop, k = start, k - 1
    return lines[::-1]


def _words(blocks: _Blocks) -> Line:
    return tuple(word for block in blocks for word in block.words)


def _with_reading_time(made: Iterable[Cue], rules: SubtitleRules, end_s: float) -> Iterator[Cue]:
    shown = list(made)
    for number, cue in enumerate(shown):
        wanted_s = cue.end_s
        if rules.max_chars_per_s:
            chars = sum(cell_len(line_text(line)) for line in cue.lines)
            wanted_s = max(wanted_s, cue.start_s + chars / rules.max_chars_per_s)
        after = _next_to(cue, shown, number + 1)
        if after is None:
            yield cue._replace(end_s=min(wanted_s, max(end_s, cue.end_s)))
            continue
        # A cue of a fraction of a second keeps half of it, gap or not.
        room_s = max(0.0, after.start_s - cue.start_s)
        yield cue._replace(
            end_s=cue.start_s
            + min(wanted_s - cue.start_s, max(room_s - rules.min_gap_s, room_s / 2))
        )


def _next_to(cue: Cue, shown: Sequence[Cue], number: int) -> Cue | None:
    """The cue before which this one has to go: not another person's who speaks at the same time."""
    while number < len(shown):
        after = shown[number]
        at_once = after.start_s < cue.end_s and cue.speakers and after.speakers
        if not at_once or after.speakers[0] == cue.speakers[-1]:
            return after
        number += 1
    return None
