"""The rules that improve a merged transcript, each with a name and each change on record.

Every rule takes and returns the list of segments; a rule that finds nothing returns it unchanged.
Order matters: what should not be there goes first, then joins, then the letters.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from longscribe.audio.voice_activity import Spans, overlap_s
from longscribe.languages import ChineseScript
from longscribe.text.chinese import in_script, words_in_script
from longscribe.text.glossary import Spelling
from longscribe.text.phantoms import is_phantom
from longscribe.text.words import letters_of
from longscribe.transcript import Change, Segment, Transcript

# Four times the same words in a row within a segment, or three segments alike, is a loop of the
# decoder, not speech: people repeat twice, rarely three times.
_LOOP_REPEATS = 4
_LOOP_WORDS = 12
_LOOP_SEGMENTS = 3

# Who wants every word keeps what a person may well have said: a word or two over and over, as in
# "no, no, no, no", or one "yeah" after the other. More often than this the decoder is at work.
_STAMMERED_WORDS = 2
_STAMMERED_TIMES = 7

# Text is dropped only this far from any sound: the model's times are a few tenths off.
_FROM_SOUND_S = 0.5

# A phrase that Whisper is known to invent stands where half of its span is speech, and as much as
# saying it takes, and the model was sure.
_LEAST_SPEECH_SHARE = 0.5
_FASTEST_LETTERS_PER_S = 25.0
_SURE_LOGPROB = -0.8

# Nobody says so much, or takes so long for so little. Times of short segments are off by a second,
# and the model fails its own check (`logprob_threshold`) before anything is dropped for its pace.
# Measured: people read and spoke up to 22 letters a second in segments of a second or longer.
_TOO_MANY_LETTERS_PER_S = 35.0
_LETTERS_TO_SPARE = 40
_TOO_SLOW_S, _TOO_FEW_LETTERS = 20.0, 10
_FAILED_LOGPROB = -1.0

_SEAM_REACH_S = 2.0  # how far from a seam a cut sentence's two halves may end and start

_SENTENCE_END = ".?!…。？！"
_NO_SPACE_BEFORE = re.compile(r"\s+([,.;:?!…%)\]])")
_SPACES = re.compile(r"\s+")


class Context(NamedTuple):
    """What rules may look at besides the segments; all times in original seconds.

    `sound` is what was heard: speech, if the detector tells it from other sound.
    """

    sound: Spans
    seams_s: tuple[float, ...]
    language: str
    glossary: tuple[Spelling, ...]
    scripts: Mapping[str, ChineseScript]  # by language
    verbatim: bool


class Result(NamedTuple):
    """A rule's segments and what it changed."""

    segments: list[Segment]
    changes: list[Change]


Rule = Callable[[list[Segment], Context], Result]


def loops_collapsed(segments: list[Segment], context: Context) -> Result:
    """Words repeated four times or more in a segment are kept once, and one of segments alike."""

    def is_said(phrase_words: int, times: int) -> bool:
        short = phrase_words <= _STAMMERED_WORDS and times <= _STAMMERED_TIMES
        return context.verbatim and short

    once = _each_text(segments, "loops_collapsed", lambda text: _without_loops(text, is_said))
    kept: list[Segment] = []
    changes = once.changes
    run: list[Segment] = []
    for segment in [*once.segments, None]:
        if run and segment is not None and letters_of(segment.text) == letters_of(run[0].text):
            run.append(segment)
            continue
        is_loop = len(run) >= _LOOP_SEGMENTS and not is_said(len(run[0].text.split()), len(run))
        keep = 1 if is_loop else len(run)
        kept += run[:keep]
        changes += [_change("loops_collapsed", dropped, "") for dropped in run[keep:]]
        run = [segment] if segment is not None else []
    return Result(kept, changes)


def silence_hallucinations_dropped(segments: list[Segment], context: Context) -> Result:
    """Text with silence all around it was invented: there was nothing to hear it in."""
    return _without(
        segments,
        "silence_hallucinations_dropped",
        lambda s: overlap_s(context.sound, s.start - _FROM_SOUND_S, s.end + _FROM_SOUND_S) == 0.0,
    )


def phantom_phrases_dropped(segments: list[Segment], context: Context) -> Result:
    """Phrases of subtitles that Whisper invents, but where they were plainly said."""

    def was_said(segment: Segment) -> bool:
        speech_s = overlap_s(context.sound, segment.start, segment.end)
        needed_s = len(letters_of(segment.text)) / _FASTEST_LETTERS_PER_S
        share_s = _LEAST_SPEECH_SHARE * (segment.end - segment.start)
        return speech_s >= max(needed_s, share_s) and segment.avg_logprob >= _SURE_LOGPROB

    return _without(
        segments,
        "phantom_phrases_dropped",
        lambda s: is_phantom(s.text, s.language or context.language) and not was_said(s),
    )


def impossible_paces_dropped(segments: list[Segment], context: Context) -> Result:
    """Text much too long or too short for its time, of which the model was unsure."""

    def is_impossible(segment: Segment) -> bool:
        duration_s, letters = segment.end - segment.start, len(letters_of(segment.text))
        too_fast = letters > _TOO_MANY_LETTERS_PER_S * duration_s + _LETTERS_TO_SPARE
        too_slow = letters < _TOO_FEW_LETTERS and duration_s >= _TOO_SLOW_S
        return segment.avg_logprob < _FAILED_LOGPROB and (too_fast or too_slow)

    return _without(segments, "impossible_paces_dropped", is_impossible)


def seam_sentences_rejoined(segments: list[Segment], context: Context) -> Result:
    """A sentence that a cut between chunks divided becomes one segment again."""
    result: list[Segment] = []
    changes: list[Change] = []
    for segment in segments:
        last = result[-1] if result else None
        if last is not None and _divided(last, segment, context.seams_s):
            joined = f"{last.text.rstrip()} {segment.text.lstrip()}"
            words = last.words + segment.words if last.words and segment.words else None
            result[-1] = replace(
                last,
                end=segment.end,
                text=joined,
                tokens=last.tokens + segment.tokens,
                words=words,
            )
            before = f"{last.text} |{segment.text}"
            changes.append(
                Change(
                    rule="seam_sentences_rejoined",
                    segment=last.id,
                    start=last.start,
                    before=before,
                    after=joined,
                )
            )
        else:
            result.append(segment)
    return Result(result, changes)


def spacing_tidied(segments: list[Segment], context: Context) -> Result:
    """One space between words, none before a punctuation mark; one in front, as upstream has it."""

    def tidy(text: str, language: str) -> str:
        inner = _SPACES.sub(" ", text.strip())
        if language != "fr":  # French sets a space before ; : ? !
            inner = _NO_SPACE_BEFORE.sub(r"\1", inner)
        return (" " if text[:1].isspace() else "") + inner

    changes: list[Change] = []
    tidied = [
        _retold(s, tidy(s.text, s.language or context.language), "spacing_tidied", changes)
        for s in segments
    ]
    return Result(tidied, changes)


def sentences_capitalized(segments: list[Segment], context: Context) -> Result:
    """A segment after the end of a sentence starts with a capital; so does the English I."""
    result: list[Segment] = []
    changes: list[Change] = []
    after_sentence = True
    for segment in segments:
        text = segment.text
        if after_sentence:
            text = re.sub(r"^(\W*)(\w)", lambda m: m.group(1) + m.group(2).upper(), text, count=1)
        if (segment.language or context.language) == "en":
            text = re.sub(r"\bi(?=\b(?:'|\s|$))", "I", text)
        result.append(_retold(segment, text, "sentences_capitalized", changes))
        after_sentence = text.rstrip(" \"'”’)").endswith(tuple(_SENTENCE_END))
    return Result(result, changes)


def chinese_script_converted(segments: list[Segment], context: Context) -> Result:
    """Chinese as it was asked to be written; the model mixes both scripts."""
    result: list[Segment] = []
    changes: list[Change] = []
    for segment in segments:
        script = context.scripts.get(segment.language or context.language)
        if script:
            if segment.words:
                segment = replace(segment, words=words_in_script(segment.words, script))
            text = in_script(segment.text, script)
            segment = _retold(segment, text, "chinese_script_converted", changes)
        result.append(segment)
    return Result(result, changes)


def glossary_applied(segments: list[Segment], context: Context) -> Result:
    """The user's own spellings."""
    patterns = [(spelling.pattern, spelling.wanted) for spelling in context.glossary]

    def respell(text: str) -> str:
        for pattern, wanted in patterns:
            text = pattern.sub(wanted.replace("\\", r"\\"), text)
        return text

    return _each_text(segments, "glossary_applied", respell)


RULES: tuple[Rule, ...] = (
    silence_hallucinations_dropped,
    phantom_phrases_dropped,
    loops_collapsed,
    impossible_paces_dropped,
    seam_sentences_rejoined,
    spacing_tidied,
    sentences_capitalized,
    chinese_script_converted,
    glossary_applied,
)


def improve(
    transcript: Transcript,
    sound: Spans,
    glossary: Sequence[Spelling] = (),
    scripts: Mapping[str, ChineseScript] = MappingProxyType({}),
    *,
    verbatim: bool = False,
) -> Transcript:
    """Apply all rules in order.

    Args:
        transcript: merged, on the original timeline.
        sound: stretches of sound in original seconds, shape (n, 2).
        glossary: the user's own spellings.
        scripts: how Chinese is to be written, by the language's code; as the model did without.
        verbatim: whether repetitions that people make stay.

    Returns:
        the transcript with its segments renumbered; `changes` name segments as numbered before.
    """
    given = (transcript.seams_s, transcript.language, tuple(glossary), scripts, verbatim)
    context = Context(sound, *given)
    segments = list(transcript.segments)
    changes = list(transcript.changes)
    for rule in RULES:
        segments, made = rule(segments, context)
        changes += made
    numbered = tuple(replace(segment, id=number) for number, segment in enumerate(segments))
    return transcript.model_copy(update={"segments": numbered, "changes": tuple(changes)})


def _without(segments: list[Segment], rule: str, drops: Callable[[Segment], bool]) -> Result:
    dropped = [segment for segment in segments if drops(segment)]
    gone = {id(segment) for segment in dropped}
    kept = [segment for segment in segments if id(segment) not in gone]
    return Result(kept, [_change(rule, segment, "") for segment in dropped])


def _each_text(segments: list[Segment], rule: str, retell: Callable[[str], str]) -> Result:
    changes: list[Change] = []
    return Result([_retold(s, retell(s.text), rule, changes) for s in segments], changes)


def _retold(segment: Segment, text: str, rule: str, changes: list[Change]) -> Segment:
    if text == segment.text:
        return segment
    changes.append(_change(rule, segment, text))
    return replace(segment, text=text)


def _change(rule: str, segment: Segment, after: str) -> Change:
    return Change(
        rule=rule, segment=segment.id, start=segment.start, before=segment.text, after=after
    )


def _without_loops(text: str, is_said: Callable[[int, int], bool]) -> str:
    words = text.split()
    kept: list[str] = []
    position = 0
    while position < len(words):
        width, repeats = _loop_at(words, position)
        told = repeats if is_said(width, repeats) else 1
        kept += words[position : position + width * told]
        position += width * repeats
    if len(kept) == len(words):
        return text
    return (" " if text[:1].isspace() else "") + " ".join(kept)


def _loop_at(words: list[str], position: int) -> tuple[int, int]:
    """(width, repeats) of the widest loop of words that starts here; (1, 1) if none does."""
    spoken = [letters_of(word) for word in words]
    for width in range(1, min(_LOOP_WORDS, (len(words) - position) // _LOOP_REPEATS) + 1):
        phrase = spoken[position : position + width]
        repeats = 1
        while spoken[position + repeats * width : position + (repeats + 1) * width] == phrase:
            repeats += 1
        # Numbers are read out digit by digit and may well repeat.
        if repeats >= _LOOP_REPEATS and not all(word.isdigit() for word in phrase):
            return width, repeats
    return 1, 1


def _divided(last: Segment, segment: Segment, seams_s: tuple[float, ...]) -> bool:
    if last.text.rstrip().endswith(tuple(_SENTENCE_END)) or not segment.text.strip()[:1].islower():
        return False
    return any(
        last.end - 0.5 <= seam_s <= segment.start + 0.5
        and seam_s - last.end <= _SEAM_REACH_S
        and segment.start - seam_s <= _SEAM_REACH_S
        for seam_s in seams_s
    )
