"""What int8 costs, measured: against openai-whisper's logits, and in words."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer

from longscribe.decoding.batched import transcribe_batched
from longscribe.engine.network import Network
from longscribe.options import DecodingOptions
from tests.longscribe.networks import compared, upstream_scores
from tests.recordings import beginning, sound_in, word_error_rate

# The mean difference of logits whose own deviation is 2.2: 0.08 seen over all steps, 0.25 at the
# worst one of a row.
MEAN_CLOSE = 0.22
STEP_CLOSE = 0.6


def test_logits_are_near_upstream_s_while_rows_come_and_go(
    int8: Network, upstream: Whisper, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    steps = list(compared(int8, upstream, tokenizer, mels, " The camera in Berlin."))
    means = [float(step.difference.mean()) for step in steps]
    assert np.mean(means) < MEAN_CLOSE
    # A row that went on with another row's past would be far off at its step.
    assert max(float(step.difference.mean(dim=-1).max()) for step in steps) < STEP_CLOSE


def test_the_first_layers_alone_leave_the_whole_as_it_was(
    int8: Network, float32: Network, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    """What workers try the kernels with before their first chunk."""
    for network in (int8, float32):
        network.encode(mels[:2])
        before = network.start([1], tokenizer.sot_sequence, 0, 1).first.logits
        shallow = network.shallow()
        shallow.encode(mels[2:])
        alone = shallow.start([0], tokenizer.sot_sequence, 0, 1).first.logits
        assert alone.shape == before.shape
        assert torch.isfinite(alone).all()
        assert (shallow.dims.n_audio_layer, shallow.dims.n_text_layer) == (1, 1)
        assert network.dims.n_text_layer > 1
        again = network.start([1], tokenizer.sot_sequence, 0, 1).first.logits
        assert torch.equal(again, before)
        assert not torch.allclose(alone, before, atol=0.1)


def test_fewer_windows_after_more(
    int8: Network, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    """Memory of the batch before is used again; nothing of what was in it is heard."""
    int8.encode(mels)
    together = int8.start([2], tokenizer.sot_sequence, 0, 1).first.logits
    int8.encode([mels[2], mels[0]])
    again = int8.start([0], tokenizer.sot_sequence, 0, 1).first.logits
    assert torch.allclose(together, again, atol=1e-4)


def test_attention_is_near_upstream_s(
    int8: Network, upstream: Whisper, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    tokens = [*tokenizer.sot_sequence, tokenizer.no_timestamps, *tokenizer.encode(" We will")]
    int8.encode(mels)
    heads = ((2, 1), (0, 0), (1, 0))
    scores, logits = int8.attention(1, tokens, heads)
    their_scores, their_logits = upstream_scores(upstream, mels[1], tokens)
    assert (logits - their_logits).abs().mean() < STEP_CLOSE
    for place, (layer, head) in enumerate(heads):
        wanted = their_scores[layer][head].numpy()
        assert np.abs(scores[place] - wanted).mean() < 0.1 * wanted.std()


def test_int8_understands_as_well_as_float32(int8: Network, float32: Network) -> None:
    """The tables of int8 that this rests on are in benchmarks/NOTES.md; this keeps them true."""
    part = beginning()
    results = {
        name: transcribe_batched(
            *(network, (), part, sound_in(part), DecodingOptions()), batch_size=8, seed=0
        )
        for name, network in (("int8", int8), ("float32", float32))
    }
    rates = {
        name: word_error_rate(segment.text for segment in result.segments)
        for name, result in results.items()
    }
    assert rates["float32"] <= 0.05
    assert rates["int8"] <= rates["float32"] + 0.01
    sure = {
        name: float(np.mean([segment.avg_logprob for segment in result.segments]))
        for name, result in results.items()
    }
    assert sure["int8"] == pytest.approx(sure["float32"], abs=0.05)
