"""A network's logits beside openai-whisper's own, token by token."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer

from longscribe.engine.network import Network

# (rows of the step before to keep, whether they are in the middle of growing)
KEPT: tuple[tuple[int, ...], ...] = (
    (0, 0, 1, 1, 2, 2),  # copied
    (1, 0, 2, 2, 5),  # swapped, copied again, dropped
    (0, 1, 2, 3, 4),  # as they are
    (0, 1, 4),  # a window gone
    (2, 2),  # only one left, and copied once more
)


class Compared(NamedTuple):
    """Logits of all rows at one step."""

    ours: torch.Tensor
    theirs: torch.Tensor

    @property
    def difference(self) -> torch.Tensor:
        return (self.ours - self.theirs).abs()


def compared(
    network: Network,
    upstream: Whisper,
    tokenizer: Tokenizer,
    mels: Sequence[torch.Tensor],
    prompt_text: str = "",
) -> Iterator[Compared]:
    """Three windows decoded in rows that are copied, swapped and dropped."""
    before = [tokenizer.sot_prev, *tokenizer.encode(prompt_text)] if prompt_text else []
    prompt = [*before, *tokenizer.sot_sequence]
    network.encode(mels)
    session = network.start([0, 1, 2], prompt, len(before), 2)
    features = upstream.embed_audio(torch.stack(list(mels)))
    rows = [(window, list(prompt)) for window in range(3)]

    def theirs(place: int = -1) -> torch.Tensor:
        tokens = torch.tensor([row for _, row in rows])
        return upstream.logits(tokens, features[[window for window, _ in rows]])[:, place]

    yield Compared(session.first.logits, theirs())
    yield Compared(session.first.at_start, theirs(len(before)))
    likely = session.first.logits.topk(3).indices
    for step, kept in enumerate(KEPT):
        session.keep(kept)
        rows = [(rows[row][0], [*rows[row][1]]) for row in kept]
        likely = likely[list(kept)]
        # Every row goes on with another token than its siblings.
        tokens = [int(likely[row][(row + step) % 3]) for row in range(len(kept))]
        for (_, row), token in zip(rows, tokens, strict=True):
            row.append(token)
        logits = session.step(tokens)
        yield Compared(logits, theirs())
        likely = logits.topk(3).indices
    for _ in range(12):
        tokens = likely[:, 0].tolist()
        for (_, row), token in zip(rows, tokens, strict=True):
            row.append(token)
        logits = session.step(tokens)
        yield Compared(logits, theirs())
        likely = logits.topk(3).indices


def upstream_scores(
    upstream: Whisper, mel: torch.Tensor, tokens: Sequence[int]
) -> tuple[dict[int, torch.Tensor], torch.Tensor]:
    """Cross-attention before the softmax by layer, as whisper/timing.py takes it, and logits."""
    from whisper.model import disable_sdpa

    scores: dict[int, torch.Tensor] = {}
    hooks = [
        block.cross_attn.register_forward_hook(
            lambda _, __, outputs, layer=layer: scores.__setitem__(layer, outputs[-1][0])
        )
        for layer, block in enumerate(upstream.decoder.blocks)
    ]
    try:
        with disable_sdpa():
            logits = upstream(mel[None], torch.tensor([list(tokens)]))[0]
    finally:
        for hook in hooks:
            hook.remove()
    return scores, logits
