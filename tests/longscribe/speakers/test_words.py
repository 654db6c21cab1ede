import itertools
from typing import Any

from longscribe.speakers.words import with_speakers
from longscribe.transcript import Segment, Turn, Word
from tests.segments import segment, transcript

TURNS = [(0.0, 4.0, 1), (4.2, 8.0, 0), (9.0, 12.0, 1)]


def timed(start: float, end: float, text: str, *times: tuple[float, float]) -> Segment:
    words = tuple(
        Word(f" {word}", a, b, 0.9) for word, (a, b) in zip(text.split(), times, strict=True)
    )
    return segment(start, end, f" {text}", words=words)


def said(*segments: Segment, turns: Any = TURNS, names: tuple[str, ...] = ()) -> list[Segment]:
    return list(with_speakers(transcript(*segments), turns, names).segments)


def test_speakers_are_named_in_the_order_in_which_they_say_something() -> None:
    lines = [segment(4.3, 7.9, " Hello."), segment(9.0, 12.0, " Hi.")]
    assert [s.speaker for s in said(*lines)] == ["SPEAKER_00", "SPEAKER_01"]
    assert [s.speaker for s in said(*lines, names=("Ana",))] == ["Ana", "SPEAKER_01"]


def test_turns_have_the_same_names() -> None:
    found = with_speakers(transcript(segment(4.3, 7.9, " Hello.")), TURNS, ("Ana", "Rui"))
    assert found.turns == (Turn(0.0, 4.0, "Rui"), Turn(4.2, 8.0, "Ana"), Turn(9.0, 12.0, "Rui"))


def test_a_segment_is_split_where_the_words_change_hands() -> None:
    times = ((2.0, 2.5), (2.6, 3.9), (4.3, 5.0), (5.1, 6.0))
    first, second = said(timed(2.0, 6.0, "Are you? Yes indeed.", *times))
    assert (first.text, second.text) == (" Are you?", " Yes indeed.")
    assert (first.start, first.end, second.start, second.end) == (2.0, 3.9, 4.3, 6.0)
    assert (first.id, second.id) == (0, 1)
    assert [w.speaker for w in first.words or ()] == ["SPEAKER_00"] * 2
    assert [w.speaker for w in second.words or ()] == ["SPEAKER_01"] * 2


def test_without_times_of_words_a_change_is_at_the_end_of_a_sentence() -> None:
    line = segment(1.0, 7.5, " So that is what they said. I do not believe it at all, no.")
    assert [s.text for s in said(line)] == [
        " So that is what they said.",
        " I do not believe it at all, no.",
    ]


def test_a_short_word_of_another_within_a_sentence_is_the_speaker_s() -> None:
    turns = [(0.0, 2.0, 0), (2.0, 2.2, 1), (2.2, 5.0, 0)]
    times = ((0.5, 1.9), (2.0, 2.2), (2.3, 4.0))
    assert len(said(timed(0.5, 4.0, "one two three", *times), turns=turns)) == 1


def test_a_word_beside_a_turn_is_that_one_s_and_far_from_any_nobody_s() -> None:
    near, far = said(segment(12.2, 12.9, " Bye."), segment(30.0, 31.0, " Hm."))
    assert near.speaker == "SPEAKER_00"
    assert far.speaker is None


def test_overlapping_speech_is_marked() -> None:
    turns = [(0.0, 5.0, 0), (3.0, 6.0, 1)]
    times = ((1.0, 2.0), (3.2, 3.8))
    alone, both = said(
        timed(1.0, 2.0, "alone", times[0]), timed(3.2, 3.8, "together", times[1]), turns=turns
    )
    assert (alone.overlap, both.overlap) == (False, True)
    assert (both.words or ())[0].overlap


def test_the_text_stays_as_it_was() -> None:
    line = segment(0.0, 12.0, " One, two; three. Four? Five! Six seven eight nine ten eleven.")
    pieces = said(line)
    assert len(pieces) > 1
    assert "".join(piece.text for piece in pieces) == line.text
    assert all(a.end <= b.start for a, b in itertools.pairwise(pieces))


def test_without_turns_nobody_has_said_it() -> None:
    (only,) = said(segment(0.0, 2.0, " La la."), turns=[])
    assert only.speaker is None
