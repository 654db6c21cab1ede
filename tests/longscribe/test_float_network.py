"""The exact network: openai-whisper's own numbers, whatever becomes of the rows."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer

from longscribe.network import Network
from tests.longscribe.networks import compared, upstream_scores

CLOSE = 1e-3  # float32 products summed in another order; seen: 4e-5


@pytest.mark.parametrize("prompt_text", ["", " The camera in Berlin."])
def test_logits_are_upstream_s_while_rows_come_and_go(
    float32: Network,
    upstream: Whisper,
    tokenizer: Tokenizer,
    mels: Sequence[torch.Tensor],
    prompt_text: str,
) -> None:
    for step in compared(float32, upstream, tokenizer, mels, prompt_text):
        assert step.difference.max() < CLOSE


def test_some_of_the_windows_are_started(
    float32: Network, upstream: Whisper, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    float32.encode(mels)
    first = float32.start([0, 2], tokenizer.sot_sequence, 0, 1).first
    tokens = torch.tensor([tokenizer.sot_sequence] * 2)
    theirs = upstream.logits(tokens, upstream.embed_audio(torch.stack([mels[0], mels[2]])))
    assert (first.logits - theirs[:, -1]).abs().max() < CLOSE


def test_attention_is_upstream_s(
    float32: Network, upstream: Whisper, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    tokens = [*tokenizer.sot_sequence, tokenizer.no_timestamps, *tokenizer.encode(" We will")]
    float32.encode(mels)
    heads = ((2, 1), (0, 0), (1, 0))
    scores, logits = float32.attention(1, tokens, heads)
    their_scores, their_logits = upstream_scores(upstream, mels[1], tokens)
    assert (logits - their_logits).abs().max() < CLOSE
    for place, (layer, head) in enumerate(heads):
        assert np.abs(scores[place] - their_scores[layer][head].numpy()).max() < CLOSE
