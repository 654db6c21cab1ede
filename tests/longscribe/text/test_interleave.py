"""Transcripts of lanes on one timeline."""

import numpy as np

from longscribe.text.interleave import Spoken, interleaved, with_numbers_apart
from longscribe.transcript import Change, Segment, Stretch, Transcript, Turn, Word
from tests.segments import segment, transcript


def spoken(speaker: str, *segments: Segment, end_s: float = 20.0, **values: object) -> Spoken:
    said = transcript(*segments, **{"duration_s": end_s, **values})
    sound = np.asarray([[s.start, s.end] for s in segments]).reshape(-1, 2)
    return Spoken(said, speaker, sound)


def told(found: Transcript) -> list[tuple[str | None, str]]:
    return [(s.speaker, s.text.strip()) for s in found.segments]


def test_segments_are_in_the_order_in_which_they_are_said() -> None:
    ana = spoken("Ana", segment(0.0, 2.0, " How are you?"), segment(5.0, 6.0, " Good."))
    bo = spoken("Bo", segment(2.5, 4.0, " Fine, and you?"), end_s=30.0)
    found = interleaved([ana, bo])
    assert told(found) == [("Ana", "How are you?"), ("Bo", "Fine, and you?"), ("Ana", "Good.")]
    assert [s.id for s in found.segments] == [0, 1, 2]
    assert [s.overlap for s in found.segments] == [False, False, False]
    assert found.duration_s == 30.0
    assert found.turns == (Turn(0.0, 2.0, "Ana"), Turn(2.5, 4.0, "Bo"), Turn(5.0, 6.0, "Ana"))


def test_who_speaks_at_once_is_marked() -> None:
    words = (Word(" But", 4.0, 4.5, 0.9), Word(" no!", 7.0, 8.0, 0.9))
    found = interleaved(
        [
            spoken("Ana", segment(0.0, 5.0, " Long talk."), segment(5.0, 6.0, " Yes.")),
            spoken("Bo", segment(4.0, 8.0, " But no!", words=words)),
        ]
    )
    # Bo pauses for longer than a second, and Ana speaks meanwhile: two segments.
    assert [s.overlap for s in found.segments] == [True, True, True, False]
    first, last = (word for s in found.segments for word in s.words or ())
    assert (first.speaker, first.overlap, last.overlap) == ("Bo", True, False)


def test_a_sentence_across_anothers_turn_is_two() -> None:
    """The model leaves out the silence in which another one spoke."""
    words = (
        *(Word(" So", 0.0, 0.5, 0.9), Word(" yes,", 0.5, 1.0, 0.9)),
        *(Word(" and", 9.0, 9.4, 0.9), Word(" no.", 9.4, 10.0, 0.9)),
    )
    ana = spoken("Ana", segment(0.0, 10.0, " So yes, and No.", words=words))  # improved since
    bo = spoken("Bo", segment(2.0, 8.0, " Let me tell you."))
    found = interleaved([ana, bo])
    assert told(found) == [("Ana", "So yes,"), ("Bo", "Let me tell you."), ("Ana", "and No.")]
    first, _, last = found.segments
    assert (first.end, last.start) == (1.0, 9.0)
    assert [word.word for word in first.words or ()] == [" So", " yes,"]
    assert [word.word for word in last.words or ()] == [" and", " no."]
    assert first.text.startswith(" ")
    assert last.text.startswith(" ")
    alone = interleaved([ana, spoken("Bo", segment(12.0, 13.0, " Hm."))])
    assert told(alone)[0] == ("Ana", "So yes, and No.")


def test_every_second_is_accounted_for_and_no_gap_is_told_twice() -> None:
    lost = Stretch(10.0, 20.0, "gap", "chunk failed")
    ana = spoken("Ana", segment(0.0, 2.0, " One."), stretches=(lost,))
    bo = spoken(
        "Bo",
        segment(3.0, 4.0, " Two."),
        stretches=(Stretch(0.0, 2.0, "gap", "sound without text"),),
    )
    found = interleaved([ana, bo])
    assert found.stretches[0].start == 0.0
    assert found.stretches[-1].end == 20.0
    assert all(a.end == b.start for a, b in zip(found.stretches, found.stretches[1:], strict=False))
    assert found.gaps == (lost,)  # where one was not heard the other was


def test_changes_tell_which_segment_they_are_of() -> None:
    first = transcript(segment(0.0, 1.0, " a"), segment(1.0, 2.0, " b"))
    ana, bo = with_numbers_apart([first, transcript(segment(0.0, 1.0, " c"))])
    assert [s.id for s in (*ana.segments, *bo.segments)] == [0, 1, 2]
    change = Change("spacing_tidied", 2, 0.0, " c", "c")
    empty = np.empty((0, 2))
    found = interleaved(
        [
            Spoken(ana, "Ana", empty),
            Spoken(bo.model_copy(update={"changes": (change,)}), "Bo", empty),
        ]
    )
    assert found.changes == (change,)


def test_a_speaker_who_says_nothing() -> None:
    found = interleaved([spoken("Ana", language="en"), spoken("Bo", segment(0.0, 1.0, " Hm."))])
    assert told(found) == [("Bo", "Hm.")]
    assert found.language == "en"
    silent = interleaved([spoken("Ana"), spoken("Bo")])
    assert silent.segments == silent.turns == ()
