"""The exact network: openai-whisper's own numbers, whatever becomes of the rows."""

import gc
import weakref
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer

from longscribe.engine.cuda_graphs import GpuSession
from longscribe.engine.float_network import FloatNetwork
from longscribe.engine.network import Network, Session
from longscribe.models.weights import ModelSpec
from tests.longscribe.networks import compared, upstream_scores

CLOSE = 1e-3  # float32 products summed in another order; seen: 4e-5


class WithSlots(FloatNetwork):
    """Decodes as on a GPU, but step by step."""

    def start(
        self, windows: Sequence[int], prompt: Sequence[int], start_at: int, rows_per_window: int
    ) -> Session:
        return GpuSession(self, windows, prompt, start_at, rows_per_window)


@pytest.fixture(scope="module")
def with_slots(demo: ModelSpec) -> WithSlots:
    return WithSlots(demo, "cpu", torch.float32)


@pytest.mark.parametrize("network", ["float32", "with_slots"])
@pytest.mark.parametrize("prompt_text", ["", " The camera in Berlin."])
def test_logits_are_upstream_s_while_rows_come_and_go(
    network: str,
    request: pytest.FixtureRequest,
    upstream: Whisper,
    tokenizer: Tokenizer,
    mels: Sequence[torch.Tensor],
    prompt_text: str,
) -> None:
    tested = request.getfixturevalue(network)
    for step in compared(tested, upstream, tokenizer, mels, prompt_text):
        assert step.difference.max() < CLOSE


def test_sessions_take_the_same_slots_one_after_the_other(
    with_slots: WithSlots, upstream: Whisper, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    """What an earlier session left in them, be it no number at all, changes nothing."""
    for _ in compared(with_slots, upstream, tokenizer, mels):
        pass
    before = dict(with_slots._steps)
    for steps in before.values():
        for keys, values in steps.caches:
            keys.fill_(torch.nan), values.fill_(torch.inf)
    for step in compared(with_slots, upstream, tokenizer, mels):
        assert step.difference.max() < CLOSE
    assert with_slots._steps == before


def test_a_network_that_is_given_up_leaves_no_memory_taken(
    demo: ModelSpec, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    """At once, not when Python happens to look for circles: a GPU's memory is wanted again."""
    network = WithSlots(demo, "cpu", torch.float32)
    network.encode(mels[:1])
    network.start([0], tokenizer.sot_sequence, 0, 1).step([tokenizer.no_timestamps])
    keys = weakref.ref(network.steps(1, 1, 1).caches[0][0])
    assert keys() is not None
    gc.disable()
    try:
        del network
        assert keys() is None
    finally:
        gc.enable()


def test_a_window_takes_more_rows_than_it_had_and_another_prompt_more_places(
    with_slots: WithSlots, upstream: Whisper, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    longer = [tokenizer.sot_prev, *tokenizer.encode(" camera") * 100, *tokenizer.sot_sequence]
    for prompt, rows in [(tokenizer.sot_sequence, 1), (longer, 1), (tokenizer.sot_sequence, 5)]:
        with_slots.encode(mels[:2])
        session = with_slots.start([0, 1], prompt, len(prompt) - 1, rows)
        session.keep([0] * rows + [1] * rows)
        logits = session.step([tokenizer.no_timestamps] * 2 * rows)
        sound = upstream.embed_audio(torch.stack(list(mels[:2])))
        theirs = upstream.logits(torch.tensor([[*prompt, tokenizer.no_timestamps]] * 2), sound)
        difference = logits - theirs[:, -1].repeat_interleave(rows, dim=0)
        assert difference.abs().max() < CLOSE


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    ("dtype", "close"), [(torch.float32, 1e-2), (torch.float16, 0.1), (torch.bfloat16, 0.8)]
)
def test_logits_of_recorded_steps_are_upstream_s(
    demo: ModelSpec,
    upstream: Whisper,
    tokenizer: Tokenizer,
    mels: Sequence[torch.Tensor],
    dtype: torch.dtype,
    close: float,
) -> None:
    network = FloatNetwork(demo, "cuda", dtype)
    for _ in range(2):  # the second replays what the first recorded
        for step in compared(network, upstream, tokenizer, mels):
            assert step.difference.max() < close
