from dataclasses import replace

import numpy as np
import pytest

from longscribe.text.glossary import read_glossary
from longscribe.text.rules import improve
from longscribe.transcript import Segment, Transcript, Word
from tests.segments import segment, transcript

SOUND = np.array([[0.0, 1000.0]])


def improved(*segments: Segment, glossary: tuple[str, ...] = (), **values) -> Transcript:
    return improve(transcript(*segments, **values), SOUND, read_glossary(glossary))


def verbatim(*segments: Segment) -> Transcript:
    return improve(transcript(*segments), SOUND, verbatim=True)


def texts(result: Transcript) -> list[str]:
    return [s.text for s in result.segments]


def rules(result: Transcript) -> list[str]:
    return [change.rule for change in result.changes]


def test_good_text_is_left_alone() -> None:
    said = [
        " The meeting is at nine.",
        " No, no, no!",
        " Call 5 5 5 5 5 5 5 5.",
        " Very, very good.",
    ]
    result = improved(*(segment(i, i + 1.0, text) for i, text in enumerate(said)))
    assert texts(result) == said
    assert result.changes == ()
    assert result.improved_segments == 0


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        (" Thank you. Thank you. Thank you. Thank you. Thank you.", " Thank you."),
        (" So so so so so we went on.", " So we went on."),
        (" We went a b c a b c a b c a b c home.", " We went a b c home."),
    ],
)
def test_loops_within_a_segment(heard: str, kept: str) -> None:
    result = improved(segment(0.0, 5.0, heard))
    assert texts(result) == [kept]
    assert rules(result) == ["loops_collapsed"]
    assert (result.changes[0].before, result.changes[0].after) == (heard, kept)


def test_loops_over_segments() -> None:
    same = [segment(i, i + 1.0, " I am here.") for i in range(5)]
    result = improved(segment(0.0, 0.5, " Hello."), *same, segment(9.0, 10.0, " Goodbye."))
    assert texts(result) == [" Hello.", " I am here.", " Goodbye."]
    assert rules(result) == ["loops_collapsed"] * 4
    twice = improved(*same[:2])
    assert len(twice.segments) == 2


@pytest.mark.parametrize(
    "said",
    [
        " No, no, no, no, no!",
        " So so so so so we went.",
        " You know, you know, you know, you know.",
    ],
)
def test_what_people_repeat_is_kept_word_for_word(said: str) -> None:
    assert texts(verbatim(segment(0.0, 5.0, said))) == [said]
    assert texts(improved(segment(0.0, 5.0, said))) != [said]
    yeahs = [segment(i, i + 1.0, " Yeah.") for i in range(5)]
    assert texts(verbatim(*yeahs)) == [" Yeah."] * 5


@pytest.mark.parametrize(
    ("heard", "kept"),
    [(" No," * 8, " No,"), (" We went a b c a b c a b c a b c home.", " We went a b c home.")],
)
def test_the_decoder_s_loops_are_not_what_people_repeat(heard: str, kept: str) -> None:
    assert texts(verbatim(segment(0.0, 5.0, heard))) == [kept]
    for text, times in ((" I am here.", 3), (" Yeah.", 8)):
        same = [segment(i, i + 1.0, text) for i in range(times)]
        assert texts(verbatim(*same)) == [text]


def test_text_over_silence_is_dropped_and_recorded() -> None:
    sound = np.array([[0.0, 2.0], [20.0, 22.0]])
    said = transcript(
        segment(0.0, 2.0, " Hello."),
        segment(5.0, 10.0, " Thanks for watching!"),
        segment(15.0, 21.0, " And so on."),
    )
    result = improve(said, sound)
    assert texts(result) == [" Hello.", " And so on."]
    (change,) = result.changes
    assert change.rule == "silence_hallucinations_dropped"
    assert (change.segment, change.before, change.after) == (1, " Thanks for watching!", "")


def test_a_sentence_cut_at_a_seam_is_one_again() -> None:
    halves = segment(98.0, 99.8, " We meet on"), segment(100.2, 101.0, " monday at noon.")
    result = improved(*halves, seams_s=(100.0,))
    assert texts(result) == [" We meet on monday at noon."]
    assert (result.segments[0].start, result.segments[0].end) == (98.0, 101.0)
    assert rules(result) == ["seam_sentences_rejoined"]


@pytest.mark.parametrize(
    ("first", "second", "seams_s"),
    [
        (" We meet on", " monday.", ()),  # no seam there
        (" We meet.", " on monday.", (100.0,)),  # the sentence was over
        (" We meet on", " Monday.", (100.0,)),  # a new one may have begun
    ],
)
def test_other_neighbours_stay_apart(first: str, second: str, seams_s: tuple[float, ...]) -> None:
    result = improved(segment(98.0, 99.8, first), segment(100.2, 101.0, second), seams_s=seams_s)
    assert len(result.segments) == 2


def test_spacing() -> None:
    result = improved(segment(0.0, 1.0, " So ,  this   is it ."))
    assert texts(result) == [" So, this is it."]
    french = improved(segment(0.0, 1.0, " Quoi ?"), language="fr")
    assert texts(french) == [" Quoi ?"]
    among_others = improved(
        segment(0.0, 1.0, " What ?"), replace(segment(1.0, 2.0, " Quoi ?"), language="fr")
    )
    assert texts(among_others) == [" What?", " Quoi ?"]


def test_capitals_after_sentences_only() -> None:
    result = improved(
        segment(0.0, 1.0, " so it begins."),
        segment(1.0, 2.0, " then i went"),
        segment(2.0, 3.0, " home, and i'm glad."),
        segment(3.0, 4.0, " ótimo."),
    )
    assert texts(result) == [
        " So it begins.",
        " Then I went",
        " home, and I'm glad.",
        " Ótimo.",
    ]


def test_glossary_comes_last_and_is_counted() -> None:
    result = improved(
        segment(0.0, 1.0, " we use long scribe."), glossary=("Longscribe", "we use => We like")
    )
    assert texts(result) == [" We like Longscribe."]
    assert rules(result) == ["sentences_capitalized", "glossary_applied"]
    assert result.improved_segments == 1


def test_a_backslash_in_the_glossary_is_only_a_letter() -> None:
    assert texts(improved(segment(0, 1, " Go back."), glossary=(r"back => \1\n",))) == [
        r" Go \1\n."
    ]


def test_chinese_is_written_as_asked_and_nothing_else_is() -> None:
    words = tuple(Word(sign, n / 4, n / 4 + 0.2, 0.9) for n, sign in enumerate("头发"))
    said = transcript(
        segment(0.0, 1.0, "头发", language="zh", words=words),
        segment(1.0, 2.0, "国会", language="ja"),
        segment(2.0, 3.0, "头发", language="yue"),
        segment(3.0, 4.0, "今天", language="zh"),
    )
    result = improve(said, SOUND, scripts={"zh": "TW"})
    assert texts(result) == ["頭髮", "国会", "头发", "今天"]
    assert result.segments[0].words == tuple(
        replace(word, word=sign) for word, sign in zip(words, "頭髮", strict=True)
    )
    [change] = result.changes
    assert (change.rule, change.before, change.after) == (
        "chinese_script_converted",
        "头发",
        "頭髮",
    )
    assert texts(improve(said, SOUND)) == ["头发", "国会", "头发", "今天"]


PHANTOM = " Thanks for watching!"


@pytest.mark.parametrize(
    ("spoken_s", "logprob", "kept"),
    [
        ((1.0, 4.0), -0.2, True),  # plainly said
        ((2.2, 4.0), -0.2, True),
        ((3.0, 4.0), -0.2, False),  # a third of its span
        ((1.0, 1.3), -0.2, False),
        ((1.0, 4.0), -0.9, False),  # heard something, and was unsure
        ((0.5, 1.2), -1.5, False),
    ],
)
def test_known_phantoms_stand_only_where_they_were_plainly_said(
    spoken_s: tuple[float, float], logprob: float, kept: bool
) -> None:
    said = transcript(
        segment(1.0, 4.0, PHANTOM, avg_logprob=logprob),
        segment(1.0, 4.0, " Thanks for watching the door.", avg_logprob=logprob),
    )
    result = improve(said, np.array([spoken_s]))
    assert texts(result)[-1] == " Thanks for watching the door."
    assert (PHANTOM in texts(result)) == kept
    if not kept:
        [change] = result.changes
        assert (change.rule, change.before, change.after) == (
            "phantom_phrases_dropped",
            PHANTOM,
            "",
        )


@pytest.mark.parametrize(
    ("text", "start_s", "end_s", "logprob", "dropped"),
    [
        (" word" * 40, 0.0, 2.0, -1.2, True),
        (" word" * 40, 0.0, 2.0, -0.9, False),  # the model was sure enough
        (" of the families of these men", 0.0, 0.2, -1.2, False),  # its times are off
        (" Oh.", 0.0, 25.0, -1.2, True),
        (" Oh.", 0.0, 15.0, -1.2, False),
        (" Oh.", 0.0, 25.0, -0.9, False),
        (" We went home again.", 0.0, 25.0, -1.2, False),
    ],
)
def test_an_impossible_pace(
    text: str, start_s: float, end_s: float, logprob: float, dropped: bool
) -> None:
    numbered = " ".join(f"{word}{n}" for n, word in enumerate(text.split()))  # no loop
    result = improved(segment(start_s, end_s, f" {numbered}", avg_logprob=logprob))
    assert rules(result).count("impossible_paces_dropped") == dropped
    assert len(result.segments) == (not dropped)
