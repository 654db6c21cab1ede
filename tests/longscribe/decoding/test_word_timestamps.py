"""Word times are openai-whisper's, over our own networks."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from whisper.model import Whisper
from whisper.timing import find_alignment, merge_punctuations
from whisper.tokenizer import Tokenizer

from longscribe.decoding.chunk import alignment_heads
from longscribe.decoding.word_timestamps import time_words
from longscribe.engine.network import Network
from longscribe.models.weights import ModelSpec

DURATION_S = 19.8  # of the first window
TEXT = (
    " We will paint the heavy report on Monday afternoon. Is the market in London open on Friday"
    " morning? The camera will cost twenty hundred dollars. Yesterday, Victor and Helen promised"
    " the report. We will build the small software on Monday."
)


@pytest.fixture(scope="module")
def theirs(upstream: Whisper, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]) -> list:
    timings = find_alignment(
        upstream, tokenizer, tokenizer.encode(TEXT), mels[0], round(100 * DURATION_S)
    )
    merge_punctuations(timings, "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、")
    return [timing for timing in timings if timing.word]


@pytest.mark.parametrize(("name", "near_s"), [("float32", 0.001), ("int8", 0.2)])
def test_words_have_upstream_s_times(
    request: pytest.FixtureRequest,
    demo: ModelSpec,
    tokenizer: Tokenizer,
    mels: Sequence[torch.Tensor],
    theirs: list,
    name: str,
    near_s: float,
) -> None:
    network: Network = request.getfixturevalue(name)
    network.encode(mels)
    tokens = tokenizer.encode(TEXT)
    ours = time_words(network, tokenizer, alignment_heads(demo), 0, tokens, DURATION_S)
    assert [word.word for word in ours] == [timing.word for timing in theirs]
    assert "".join(word.word for word in ours) == TEXT
    assert sum(word.tokens for word in ours) == len(tokens)
    for mine, their in zip(ours, theirs, strict=True):
        # A word beside a pause may have been cut (whisper, `add_word_timestamps`), never widened.
        assert mine.start_s >= their.start - near_s
        assert mine.end_s <= their.end + near_s
        assert mine.probability == pytest.approx(their.probability, abs=0.05)
    same = [
        abs(mine.start_s - their.start) <= near_s and abs(mine.end_s - their.end) <= near_s
        for mine, their in zip(ours, theirs, strict=True)
    ]
    assert np.mean(same) >= 0.8


def test_no_text_has_no_words(float32: Network, tokenizer: Tokenizer) -> None:
    assert time_words(float32, tokenizer, ((0, 0),), 0, [], 5.0) == []
