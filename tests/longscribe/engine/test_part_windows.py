"""Windows without the silence they would be filled up with: less is computed, and rightly."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch.nn import functional
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer

from longscribe.engine.amx_attention import MatrixUnitAttention
from longscribe.engine.kernels import CONTEXT
from longscribe.engine.network import FRAMES_STEP, HEAD_DIM, Network
from longscribe.engine.pair_attention import PairAttention
from longscribe.engine.processor import (
    has_byte_products,
    has_matrix_unit,
    has_vectors_of_pairs,
)
from longscribe.engine.vnni_attention import ByteAttention
from tests.longscribe.engine.test_int8_network import MEAN_CLOSE, STEP_CLOSE

HEADS = 3
WIDTH = HEADS * HEAD_DIM

WAYS = [
    pytest.param(way, marks=pytest.mark.skipif(not there(), reason="not on this processor"))
    for way, there in (
        (MatrixUnitAttention, has_matrix_unit),
        (ByteAttention, has_byte_products),
        (PairAttention, has_vectors_of_pairs),
    )
]


@pytest.mark.parametrize("count", [60, 240, 780, 1260, 1440])
@pytest.mark.parametrize("way", WAYS)
def test_attention_is_that_of_the_positions_there_are(
    way: type[MatrixUnitAttention | ByteAttention | PairAttention], count: int
) -> None:
    chance = np.random.default_rng(0)
    attention = way(HEADS)
    scales, bias = np.ones(192, np.float32), np.zeros(3 * WIDTH, np.float32)
    for length in (CONTEXT, count):  # the second window finds nothing of the first
        output = chance.normal(0.0, 1.0, (length, 3 * WIDTH)).astype(np.float32)
        for first in range(0, length, 192):
            rows = output[first : first + 192]
            attention.take(rows, scales[: len(rows)], bias, first)
        out = np.full((length, WIDTH), np.nan, np.float32)
        attention.attend(out)
    heads = torch.from_numpy(output).view(count, 3, HEADS, HEAD_DIM).permute(1, 2, 0, 3)
    expected = functional.scaled_dot_product_attention(*heads, scale=1.0)
    wanted = expected.transpose(0, 1).reshape(count, WIDTH)
    assert (torch.from_numpy(out) - wanted).norm() <= 0.03 * wanted.norm()


def heard_in_part(upstream: Whisper, mel: torch.Tensor) -> torch.Tensor:
    """What upstream's encoder makes of fewer frames than it insists on, (1, n / 2, d)."""
    encoder = upstream.encoder
    x = functional.gelu(encoder.conv1(mel[None]))
    x = functional.gelu(encoder.conv2(x)).permute(0, 2, 1)
    x = x + encoder.positional_embedding[: x.shape[1]]
    for block in encoder.blocks:
        x = block(x)
    return encoder.ln_post(x)


def test_logits_of_windows_of_all_lengths_are_near_upstream_s(
    int8: Network, upstream: Whisper, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    lengths = (10 * FRAMES_STEP, 3000, 3 * FRAMES_STEP)
    parts = [mel[:, :length] for mel, length in zip(mels, lengths, strict=True)]
    rows = [list(tokenizer.sot_sequence) for _ in parts]
    int8.encode(parts)
    session = int8.start([0, 1, 2], tokenizer.sot_sequence, 0, 1)
    features = [heard_in_part(upstream, part) for part in parts]

    def off(logits: torch.Tensor) -> list[float]:
        wanted = [
            upstream.logits(torch.tensor([row]), sound)[0, -1]
            for row, sound in zip(rows, features, strict=True)
        ]
        return [
            float((ours - theirs).abs().mean()) for ours, theirs in zip(logits, wanted, strict=True)
        ]

    seen = off(session.first.logits)
    logits = session.first.logits
    for _ in range(6):
        tokens = logits.argmax(dim=-1).tolist()
        for row, token in zip(rows, tokens, strict=True):
            row.append(token)
        logits = session.step(tokens)
        seen += off(logits)
    assert np.mean(seen) < MEAN_CLOSE
    assert max(seen) < STEP_CLOSE


def test_words_are_found_in_what_was_heard_alone(
    int8: Network, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    tokens = [*tokenizer.sot_sequence, *tokenizer.encode(" We will")]
    int8.encode([mels[0], mels[1][:, : 5 * FRAMES_STEP]])
    scores, _ = int8.attention(1, tokens, ((1, 0), (2, 1)))
    positions = 5 * FRAMES_STEP // 2
    assert scores.shape == (2, len(tokens), CONTEXT)
    assert np.abs(scores[:, :, :positions]).max() < 1e3
    assert (scores[:, :, positions:] < -1e29).all()


def test_float32_hears_the_silence_all_the_same(
    float32: Network, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    silent_from = 2400
    mel = mels[0].clone()
    mel[:, silent_from:] = mel.min()
    float32.encode([mel])
    whole = float32.start([0], tokenizer.sot_sequence, 0, 1).first.logits
    float32.encode([mel[:, : silent_from + FRAMES_STEP]])
    assert torch.equal(float32.start([0], tokenizer.sot_sequence, 0, 1).first.logits, whole)
