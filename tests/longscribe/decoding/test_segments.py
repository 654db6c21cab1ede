"""A window's text as segments: time stamps, pauses, and seams of pieces."""

from collections.abc import Sequence

import numpy as np
import pytest

from longscribe.decoding.search import Hypothesis
from longscribe.decoding.segments import has_inner_pause, segments_of
from longscribe.decoding.tokenizer import tokenizer_of
from longscribe.decoding.windows import Piece, Window
from longscribe.decoding.word_timestamps import TimedWord
from longscribe.models.weights import ModelSpec
from longscribe.transcript import Segment
from tests.longscribe.scripted import BEGIN, hypothesis, stamp


@pytest.fixture
def tokenizer(demo: ModelSpec):  # type: ignore[no-untyped-def]  # whisper has no types
    return tokenizer_of(demo.dims, (), "en", "transcribe")


# Somebody speaks for 4 s, pauses, and goes on for 4 s.
PAUSED = np.asarray([[0.0, 4.1], [4.5, 8.6]])
WINDOW = Window((Piece(0.0, 8.6),))


class Cutter:
    """Cuts one text, which is given by words and their times."""

    def __init__(self, tokenizer) -> None:  # type: ignore[no-untyped-def]
        self.tokenizer = tokenizer

    def text(self, *words: str, until_s: float = 8.6) -> tuple[Hypothesis, list[list[int]]]:
        tokens = [self.tokenizer.encode(word) for word in words]
        flat = [token for word in tokens for token in word]
        return hypothesis(BEGIN, *flat, stamp(until_s)), tokens

    def cut(
        self,
        words: Sequence[tuple[str, float, float]],
        *,
        sound: np.ndarray = PAUSED,
        window: Window = WINDOW,
        keep_words: bool = True,
    ) -> list[Segment]:
        said, tokens = self.text(*(word for word, _, _ in words), until_s=window.duration_s)
        timed = [
            TimedWord(word, start_s, end_s, 0.9, len(own))
            for (word, start_s, end_s), own in zip(words, tokens, strict=True)
        ]
        found, rest_s = segments_of(
            window, said, timed, self.tokenizer, sound, keep_words=keep_words
        )
        assert rest_s is None
        return found


@pytest.fixture
def cutter(tokenizer) -> Cutter:  # type: ignore[no-untyped-def]
    return Cutter(tokenizer)


WORDS = [(" One", 0.1, 1.0), (" two,", 1.0, 4.0), (" three", 4.6, 6.0), (" four.", 6.0, 8.4)]


def test_a_segment_is_cut_at_a_pause_between_two_words(cutter: Cutter) -> None:
    first, second = cutter.cut(WORDS)
    assert (first.text, first.start, first.end) == (" One two,", 0.0, pytest.approx(4.1))
    assert (second.text, second.start, second.end) == (" three four.", 4.5, pytest.approx(8.6))
    assert [word.word for word in first.words or ()] == [" One", " two,"]
    assert [word.word for word in second.words or ()] == [" three", " four."]
    # All tokens are in one or the other.
    eot = cutter.tokenizer.eot
    together = [token for part in (first, second) for token in part.tokens if token < eot]
    assert cutter.tokenizer.decode(together) == " One two, three four."


def test_words_are_kept_only_if_they_were_asked_for(cutter: Cutter) -> None:
    assert [one.words for one in cutter.cut(WORDS, keep_words=False)] == [None, None]


def test_words_whose_times_do_not_show_the_pause_are_not_cut(cutter: Cutter) -> None:
    """Aligned wrongly: no word ends near the pause."""
    words = [(" One", 0.1, 1.0), (" two,", 1.0, 2.0), (" three", 2.0, 7.0), (" four.", 7.0, 8.4)]
    assert [one.text for one in cutter.cut(words)] == [" One two, three four."]


def test_within_a_clause_only_a_longer_pause_counts(cutter: Cutter) -> None:
    words = [(" One", 0.1, 1.0), (" two", 1.0, 4.0), (" three", 4.3, 6.0), (" four.", 6.0, 8.4)]
    assert len(cutter.cut(words, sound=PAUSED)) == 1
    longer = np.asarray([[0.0, 3.8], [4.5, 8.6]])
    assert len(cutter.cut(words, sound=longer)) == 2


def test_a_clause_s_end_is_cut_at_where_another_word_is_a_little_nearer(cutter: Cutter) -> None:
    words = [(" One", 0.1, 3.0), (" two,", 3.0, 3.7), (" three", 3.7, 4.3), (" four.", 4.6, 8.4)]
    sound = np.asarray([[0.0, 3.8], [4.6, 8.6]])
    assert [one.text for one in cutter.cut(words, sound=sound)] == [" One two,", " three four."]


def test_no_part_is_shorter_than_a_second(cutter: Cutter) -> None:
    sound = np.asarray([[0.0, 0.6], [1.1, 8.6]])
    words = [(" One,", 0.1, 0.6), (" two", 1.1, 4.0), (" three", 4.3, 6.0), (" four.", 6.0, 8.4)]
    assert len(cutter.cut(words, sound=sound)) == 1


def test_several_pauses_make_several_parts(cutter: Cutter) -> None:
    sound = np.asarray([[0.0, 2.1], [2.5, 5.1], [5.5, 8.6]])
    words = [(" One,", 0.1, 2.0), (" two", 2.5, 4.0), (" three;", 4.0, 5.0), (" four.", 5.6, 8.4)]
    assert [one.text for one in cutter.cut(words, sound=sound)] == [
        " One,",
        " two three;",
        " four.",
    ]


def test_the_times_of_words_are_asked_for_where_somebody_pauses(cutter: Cutter) -> None:
    said, _ = cutter.text(*(word for word, _, _ in WORDS))
    assert has_inner_pause(WINDOW, said, cutter.tokenizer, PAUSED)
    assert not has_inner_pause(WINDOW, said, cutter.tokenizer, np.asarray([[0.0, 8.6]]))
    # Between two segments it needs none.
    stamped = hypothesis(BEGIN, 440, stamp(4.2), stamp(4.4), 441, stamp(8.6))
    assert not has_inner_pause(WINDOW, stamped, cutter.tokenizer, PAUSED)


SEAMED = Window((Piece(10.0, 13.6), Piece(49.5, 54.7)))
SPEECH = np.asarray([[10.0, 13.6], [49.5, 54.7]])


@pytest.mark.parametrize("stamp_s", [3.3, 3.5, 3.6, 3.9])
def test_a_time_just_beside_a_seam_is_the_seam(cutter: Cutter, stamp_s: float) -> None:
    """Else a text of the second piece would begin in the first, half a minute earlier."""
    said = hypothesis(BEGIN, 440, stamp(stamp_s), stamp(stamp_s), 441, stamp(5.2 + 3.6))
    found, _ = segments_of(SEAMED, said, None, cutter.tokenizer, SPEECH, keep_words=False)
    assert [(round(one.start, 2), round(one.end, 2)) for one in found] == [
        (10.0, min(13.6, 10.0 + round(stamp_s / 0.02) * 0.02)),
        (max(49.5, round(49.5 + stamp_s - 3.6, 2)), 54.7),
    ]


def test_a_text_over_a_seam_spans_both_pieces(cutter: Cutter) -> None:
    said = hypothesis(BEGIN, stamp(2.0), 440, stamp(6.0))
    [found], _ = segments_of(
        SEAMED, said, None, cutter.tokenizer, np.asarray([[10.0, 54.7]]), keep_words=False
    )
    assert (round(found.start, 2), round(found.end, 2)) == (12.0, 51.9)
