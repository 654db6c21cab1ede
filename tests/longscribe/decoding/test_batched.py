"""What becomes of a window: upstream's quality rules, each with a search that says what is asked.

The last tests listen with the demo model.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from longscribe.decoding.batched import Batched, transcribe_batched
from longscribe.decoding.chunk import alignment_heads
from longscribe.decoding.search import Hypothesis
from longscribe.engine.network import Network
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from tests.longscribe.scripted import (
    BEGIN,
    POOR,
    STRETCHES,
    WHOLE,
    WORDS,
    Deaf,
    Run,
    hypothesis,
    stamp,
)
from tests.recordings import SYNTHETIC_PT, beginning, sound_in, word_error_rate
from tests.sounds import RATE_HZ


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, demo: ModelSpec) -> Callable[..., Run]:
    return lambda says, **options: Run(monkeypatch, demo, says, **options)


def test_good_texts_are_decoded_once(run: Callable[..., Run]) -> None:
    ran = run(lambda start_s, temperature: WHOLE)
    assert ran.calls == [(0.0, [0.8, 32.8, 64.8])]
    assert (ran.result.windows, ran.result.fallbacks) == (3, 0)
    assert ran.texts == [(0.8, 29.2, 0.0), (32.8, 61.2, 0.0), (64.8, 93.2, 0.0)]


def test_a_text_that_goes_on_past_the_window_s_end_is_decoded_again(
    run: Callable[..., Run],
) -> None:
    """Said of half a sentence at a window's end, over and over: the stamp lay 22 s past it."""
    heard_s = 5.4  # with what is kept at the edges
    for end_s, temperatures in ((heard_s + 1.6, [0.0, 0.2]), (heard_s + 1.4, [0.0])):
        ends_s = {0.0: end_s, 0.2: 5.0}
        ran = run(
            lambda start_s, temperature, ends_s=ends_s: hypothesis(
                stamp(0.0), *WORDS[:10], stamp(ends_s[temperature])
            ),
            stretches=[(1.0, 6.0)],
        )
        assert [temperature for temperature, _ in ran.calls] == temperatures
        (only,) = ran.result.segments
        assert only.temperature == temperatures[-1]


def test_windows_come_in_batches_of_even_size(run: Callable[..., Run]) -> None:
    ran = run(lambda start_s, temperature: WHOLE, batch_size=2)
    assert ran.network.encoded == [2, 1]
    assert [len(names) for _, names in ran.calls] == [2, 1]


def test_windows_that_fail_are_decoded_again_together_and_then_their_pieces_alone(
    run: Callable[..., Run],
) -> None:
    def says(start_s: float, temperature: float) -> Hypothesis:
        fails_below = {32.8: 0.2, 64.8: 0.4}.get(start_s, 0.0)
        return WHOLE if temperature >= fails_below else POOR

    ran = run(says)
    first, second, *alone = ran.calls
    assert first == (0.0, [0.8, 32.8, 64.8])
    assert second == (0.2, [32.8, 64.8])
    # The last window's pieces, each in a window of its own; the first of them is stubborn there.
    assert alone[:2] == [(0.0, [64.8, 80.8]), (0.4, [64.8])]
    assert ran.result.fallbacks == 2
    assert [(s.start, s.temperature) for s in ran.result.segments] == [
        (pytest.approx(0.8), 0.0),
        (pytest.approx(32.8), 0.2),
        (pytest.approx(64.8), 0.4),
        (pytest.approx(80.8), 0.0),
    ]


FEW = hypothesis(BEGIN, *WORDS[:10])


@pytest.mark.parametrize("text", [FEW, hypothesis(BEGIN)])
def test_sound_without_words_is_heard_again_piece_by_piece(
    run: Callable[..., Run], text: Hypothesis
) -> None:
    texts = iter([WHOLE, text, WHOLE, WHOLE, WHOLE])
    ran = run(lambda start_s, _: next(texts))
    assert ran.calls == [(0.0, [0.8, 32.8, 64.8]), (0.0, [32.8, 48.8])]
    assert ran.result.fallbacks == 1
    assert len(ran.texts) == 4


def test_a_sentence_over_a_long_silence_is_heard_again(run: Callable[..., Run]) -> None:
    stretches = [(1.0, 13.0), (23.0, 35.0)]
    half = [BEGIN, *WORDS[:30], stamp(11.0), stamp(11.0)]
    leaping = hypothesis(*half, *WORDS[30:], stamp(22.0))
    texts = iter([leaping, WHOLE, WHOLE])
    ran = run(lambda *_: next(texts), stretches=stretches)
    assert [starts_s for _, starts_s in ran.calls] == [[0.8], [0.8, 22.8]]


def test_one_piece_without_words_is_halved_until_it_is_short(run: Callable[..., Run]) -> None:
    ran = run(lambda *_: hypothesis(BEGIN), stretches=[(1.0, 29.0)])
    starts_s = [starts for _, starts in ran.calls]
    assert starts_s == [[0.8], [0.8, 15.0], [0.8, 7.9, 15.0, 22.1]]
    assert ran.result.segments == ()


def test_doubts_do_not_end_in_circles(run: Callable[..., Run]) -> None:
    poor = FEW._replace(avg_logprob=-1.5)
    ran = run(lambda *_: poor, stretches=[(1.0, 29.0)])
    assert len(ran.calls) == 6  # a temperature each


ONE = [(1.0, 13.0)]


def test_a_window_of_one_piece_goes_through_all_temperatures_and_the_best_is_kept(
    run: Callable[..., Run],
) -> None:
    averages = {0.0: -2.0, 0.2: -1.8, 0.4: -1.2, 0.6: -1.7, 0.8: -1.6, 1.0: -3.0}
    ran = run(
        lambda _, temperature: WHOLE._replace(avg_logprob=averages[temperature]), stretches=ONE
    )
    assert [temperature for temperature, _ in ran.calls] == list(averages)
    assert ran.texts == [(0.8, 13.2, 0.4)]
    assert ran.result.fallbacks == 1


def test_of_texts_that_all_fail_one_that_repeats_is_the_last_choice(
    run: Callable[..., Run],
) -> None:
    again = hypothesis(BEGIN, *([440, 2425] * 40), avg_logprob=-0.1)
    stopped = WHOLE._replace(stopped=True, avg_logprob=-0.1)
    poor = WHOLE._replace(avg_logprob=-2.0)
    texts = {0.0: again, 0.2: stopped, 0.4: poor, 0.6: again, 0.8: stopped, 1.0: again}
    ran = run(lambda _, temperature: texts[temperature], stretches=ONE)
    assert ran.texts == [(0.8, 13.2, 0.4)]
    assert ran.result.segments[0].compression_ratio < 2.4


@pytest.mark.parametrize(
    ("bad", "options"),
    [
        (hypothesis(BEGIN, *([440, 2425] * 40)), {}),
        (WHOLE._replace(stopped=True), {}),
        (WHOLE._replace(avg_logprob=-1.01), {}),
        (WHOLE._replace(avg_logprob=-0.5), {"logprob_threshold": -0.4}),
        (WHOLE, {"compression_ratio_threshold": 0.1}),
    ],
)
def test_what_counts_as_failed(
    run: Callable[..., Run], bad: Hypothesis, options: dict[str, float]
) -> None:
    ran = run(lambda _, temperature: bad if temperature == 0.0 else WHOLE, stretches=ONE, **options)
    assert [temperature for temperature, _ in ran.calls][:2] == [0.0, 0.2]


def test_without_further_temperatures_the_first_text_stays(run: Callable[..., Run]) -> None:
    ran = run(lambda *_: POOR, temperature_increment_on_fallback=None)
    assert [temperature for temperature, _ in ran.calls if temperature > 0.0] == []
    assert ran.result.fallbacks == 0
    assert ran.result.segments


def test_silence_gives_no_segment_and_is_not_tried_again(run: Callable[..., Run]) -> None:
    silent = WHOLE._replace(no_speech_prob=0.9, avg_logprob=-1.5)
    ran = run(lambda start_s, _: silent if start_s == 32.8 else WHOLE)
    assert ran.calls == [(0.0, [0.8, 32.8, 64.8])]
    assert [s.start for s in ran.result.segments] == pytest.approx([0.8, 64.8])
    assert (ran.result.windows, ran.result.fallbacks) == (3, 0)


def test_a_text_that_is_believed_in_is_kept_whatever_the_silence(run: Callable[..., Run]) -> None:
    ran = run(lambda *_: WHOLE._replace(no_speech_prob=0.9, avg_logprob=-0.9), stretches=ONE)
    assert ran.texts == [(0.8, 13.2, 0.0)]


def test_text_over_silence_is_dropped(run: Callable[..., Run]) -> None:
    """A pause within a window is 1.4 s long at most, and that is where loops find room."""
    stretches = [(1.0, 6.0), (7.2, 13.0)]
    text = hypothesis(
        *(BEGIN, *WORDS[:3], stamp(5.2), stamp(5.3), *WORDS[3:5]),
        *(stamp(6.3), stamp(6.4), *WORDS[5:], stamp(12.4)),
    )
    ran = run(lambda *_: text, stretches=stretches)
    assert ran.texts == [(0.8, 6.0, 0.0), (7.2, 13.2, 0.0)]


def test_segments_are_where_their_pieces_are(run: Callable[..., Run]) -> None:
    """Two stretches a window: its times are mapped back piece by piece."""
    parts = (BEGIN, *WORDS[:3], stamp(12.2)), (stamp(12.6), *WORDS[3:], stamp(24.6))
    ran = run(lambda *_: hypothesis(*parts[0], *parts[1]))
    # The first of a window starts with its edge of 0.2 s, the others end with it or leave it out.
    assert ran.texts == [
        (start_s - 0.2 if number % 2 == 0 else start_s, end_s, 0.0)
        for number, (start_s, end_s) in enumerate(STRETCHES)
    ]
    assert [s.tokens for s in ran.result.segments] == [*parts] * 3


LONG = [(1.0, 25.0)]


def test_what_a_text_left_unsaid_is_decoded_again(run: Callable[..., Run]) -> None:
    def says(start_s: float, _: float) -> Hypothesis:
        if start_s == 0.8:
            return hypothesis(BEGIN, *WORDS, stamp(8.0), stamp(8.0))
        return WHOLE

    ran = run(says, stretches=LONG)
    assert ran.calls == [(0.0, [0.8]), (0.0, [8.8])]
    assert ran.texts == [(0.8, 8.8, 0.0), (8.8, 25.2, 0.0)]
    assert (ran.result.windows, ran.result.fallbacks) == (2, 0)


@pytest.mark.parametrize(
    ("ending", "again"),
    [
        ((stamp(21.0),), True),  # 3.2 s without a word about them
        ((stamp(22.0),), False),  # a little
        ((stamp(22.0), stamp(22.0)), True),  # but announced
        ((stamp(24.0), stamp(24.0)), False),  # announced, and nearly nothing
        ((stamp(24.4),), False),
        ((), False),  # an open end
    ],
)
def test_how_much_must_be_left_to_listen_again(
    run: Callable[..., Run], ending: tuple[int, ...], again: bool
) -> None:
    ran = run(
        lambda start_s, _: hypothesis(BEGIN, *WORDS, *ending) if start_s == 0.8 else WHOLE,
        stretches=LONG,
    )
    assert len(ran.calls) == 1 + again


def test_listening_again_comes_to_an_end(run: Callable[..., Run]) -> None:
    """A model that stops after every second would otherwise be asked 24 times."""
    ran = run(lambda *_: hypothesis(BEGIN, *WORDS, stamp(1.0), stamp(1.0)), stretches=LONG)
    assert len(ran.calls) == 3
    starts_s = [s.start for s in ran.result.segments]
    assert starts_s == sorted(starts_s)


def test_rests_of_several_windows_are_put_together(run: Callable[..., Run]) -> None:
    def says(start_s: float, _: float) -> Hypothesis:
        if start_s in (0.8, 32.8, 64.8):
            return hypothesis(BEGIN, *WORDS, stamp(20.0), stamp(20.0))
        return WHOLE

    ran = run(says)
    assert len(ran.calls) == 2
    assert len(ran.calls[1][1]) == 1  # three times 4.8 s
    assert ran.result.windows == 4


def test_silence_alone_is_no_transcript(demo: ModelSpec) -> None:
    result = transcribe_batched(
        *(Deaf(demo.dims), (), np.zeros(RATE_HZ, np.float32), np.empty((0, 2))),
        DecodingOptions(language="en"),
        batch_size=4,
        seed=0,
    )
    assert result.segments == ()


# With the demo model.


def heard(network: Network, recording: np.ndarray, heads: Any = (), **options: Any) -> Batched:
    return transcribe_batched(
        *(network, heads, recording, sound_in(recording), DecodingOptions(**options)),
        batch_size=8,
        seed=0,
    )


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_words_lie_in_their_segments_and_are_their_text(
    request: pytest.FixtureRequest, demo: ModelSpec, name: str
) -> None:
    network: Network = request.getfixturevalue(name)
    result = heard(network, beginning(), alignment_heads(demo), word_timestamps=True)
    assert word_error_rate(s.text for s in result.segments) <= 0.05
    starts_s = []
    for segment in result.segments:
        assert segment.words
        assert "".join(word.word for word in segment.words) == segment.text
        for word in segment.words:
            assert segment.start <= word.start <= word.end <= segment.end
            assert 0.0 <= word.probability <= 1.0
            starts_s.append(word.start)
    assert starts_s == sorted(starts_s)


def test_portuguese_is_heard(float32: Network) -> None:
    recording = beginning(SYNTHETIC_PT, 37.0)
    result = heard(float32, recording)
    assert result.language == "pt"
    assert result.language_probability is not None
    assert result.language_probability > 0.8
    assert word_error_rate((s.text for s in result.segments), SYNTHETIC_PT, 37.0) <= 0.15


@pytest.mark.parametrize("options", [{"initial_prompt": "Helen"}, {"task": "translate"}])
def test_prompt_and_translation_are_accepted(float32: Network, options: dict[str, str]) -> None:
    """The prompt's tokens are held against upstream's in test_search.py."""
    recording = beginning()[: 10 * RATE_HZ]
    assert heard(float32, recording, **options).segments
