"""Whisper in floating point by torch alone: float32 on a CPU, float16 or bfloat16 on a GPU.

On a CPU it is the exact one that int8 is measured against; on a GPU it is the one there is.
"""

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from longscribe.engine.cuda_graphs import GpuSession, Steps
from longscribe.engine.mapped_weights import mapped
from longscribe.engine.network import HEAD_DIM, Attention, Caches, First, Heads, Session
from longscribe.models.checkpoint import ModelDims
from longscribe.models.weights import ModelSpec
from longscribe.runtime.worker_progress import advance

# Windows encoded side by side: a CPU is busy with one, a GPU wants several.
_ENCODED_AT_ONCE = {"cpu": 1, "cuda": 8}

# Windows that have ended stay in the batch, computed for nothing, until this share is left.
_COMPACT_BELOW = 0.75


class _Block:
    """One layer of the encoder or decoder, over the weights named `name.*`."""

    def __init__(self, weights: dict[str, Tensor], name: str, heads: int) -> None:
        self._weights = weights
        self._name = name
        self._heads = heads

    def norm(self, x: Tensor, which: str) -> Tensor:
        """LayerNorm."""
        return _norm(self._weights, f"{self._name}.{which}", x)

    def linear(self, x: Tensor, which: str) -> Tensor:
        """A linear layer."""
        name = f"{self._name}.{which}"
        return functional.linear(
            x, self._weights[f"{name}.weight"], self._weights.get(f"{name}.bias")
        )

    def heads(self, x: Tensor, which: str) -> Tensor:
        """A linear layer's output as heads: (n, length, d) to (n, H, length, 64)."""
        projected = self.linear(x, which)
        return projected.view(*projected.shape[:2], self._heads, -1).transpose(1, 2)

    def joined(self, heads: Tensor, which: str) -> Tensor:
        """Heads back into (n, length, d), through a linear layer."""
        return self.linear(heads.transpose(1, 2).flatten(2), which)

    def mlp(self, x: Tensor) -> Tensor:
        """The two layers with GELU between, added to x: the end of a block's work."""
        advance()
        inner = functional.gelu(self.linear(self.norm(x, "mlp_ln"), "mlp.0"))
        return x + self.linear(inner, "mlp.2")


class FloatNetwork:
    """A Whisper model in floating point; see `network.Network`."""

    def __init__(self, spec: ModelSpec, device: str, dtype: torch.dtype) -> None:
        """Map the weights, and copy them to the device where that is a GPU.

        Raises:
            ModelError: they cannot be loaded or converted.
        """
        self.dims: ModelDims = spec.dims
        self.added_texts = tuple(token.text for token in spec.added_tokens)
        self.device = torch.device(device)
        self.dtype = dtype
        self.weights: dict[str, Tensor] = {
            name: weight.to(self.device, dtype) for name, weight in mapped(spec, "float32").items()
        }
        dims = self.dims
        self._encoder = [
            _Block(self.weights, f"encoder.blocks.{i}", dims.n_audio_head)
            for i in range(dims.n_audio_layer)
        ]
        self.decoder = [
            _Block(self.weights, f"decoder.blocks.{i}", dims.n_text_head)
            for i in range(dims.n_text_layer)
        ]
        self.cross: Caches = []
        self._steps: dict[int, Steps] = {}  # by their width

    def shallow(self) -> "FloatNetwork":
        """The first layers alone; see `Network.shallow`."""
        first = copy(self)
        first.dims = self.dims.shallow
        first._encoder, first.decoder = self._encoder[:1], self.decoder[:1]
        first.cross, first._steps = [], {}
        return first

    def encode(self, mels: Sequence[Tensor]) -> None:
        """Listen to windows; see `Network.encode`."""
        self.cross = []  # the old ones go before the new ones come
        shape = (len(mels), self.dims.n_text_head, self.dims.n_audio_ctx, HEAD_DIM)
        # Filled in place: put together from parts, they would take twice the memory.
        cross = [
            (
                torch.empty(shape, device=self.device, dtype=self.dtype),
                torch.empty(shape, device=self.device, dtype=self.dtype),
            )
            for _ in self.decoder
        ]
        at_once = _ENCODED_AT_ONCE[self.device.type]
        for first in range(0, len(mels), at_once):
            whole = [
                _filled(mel, 2 * self.dims.n_audio_ctx) for mel in mels[first : first + at_once]
            ]
            batch = torch.stack(whole).to(self.device, self.dtype)
            sound = self._encode(batch)
            for block, (keys, values) in zip(self.decoder, cross, strict=True):
                keys[first : first + at_once] = block.heads(sound, "cross_attn.key")
                values[first : first + at_once] = block.heads(sound, "cross_attn.value")
        self.cross = cross

    def start(
        self, windows: Sequence[int], prompt: Sequence[int], start_at: int, rows_per_window: int
    ) -> Session:
        """Begin to decode; see `Network.start`."""
        if self.device.type == "cuda":
            return GpuSession(self, windows, prompt, start_at, rows_per_window)
        return _CpuSession(self, windows, prompt, start_at, rows_per_window)

    def steps(self, windows: int, width: int, capacity: int) -> Steps:
        """Steps with room for so many windows, rows of each and positions; there is one of a width.

        What recorded it took time, so it is kept for later sessions.
        """
        steps = self._steps.get(width)
        if steps is None or steps.windows < windows or steps.capacity < capacity:
            self._steps.pop(width, None)
            steps = self._steps[width] = Steps(self, windows, width, capacity)
        return steps

    def cross_of(self, windows: Sequence[int]) -> Caches:
        """Keys and values of cross-attention for these windows of the last `encode`."""
        if list(windows) == list(range(len(self.cross[0][0]))):
            return self.cross
        places = torch.tensor(list(windows), device=self.device)
        return [(keys[places], values[places]) for keys, values in self.cross]

    def hear(self, cross: Caches, prompt: Sequence[int], start_at: int) -> tuple[Caches, First]:
        """Give windows a prompt.

        Args:
            cross: of the windows.
            prompt: tokens, the same for all of them.
            start_at: place of `<|startoftranscript|>` in the prompt.

        Returns:
            the prompt's keys and values of self-attention, (windows, heads, tokens, 64); what comes
            next.
        """
        count = len(cross[0][0])
        x = self.embed(torch.tensor([list(prompt)], device=self.device).expand(count, -1), 0)
        heard: Caches = []
        for block, (keys, values) in zip(self.decoder, cross, strict=True):
            normed = block.norm(x, "attn_ln")
            q, k, v = (block.heads(normed, f"attn.{part}") for part in ("query", "key", "value"))
            heard.append((k, v))
            attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + block.joined(attended, "attn.out")
            query = block.heads(block.norm(x, "cross_attn_ln"), "cross_attn.query")
            attended = functional.scaled_dot_product_attention(query, keys, values)
            x = block.mlp(x + block.joined(attended, "cross_attn.out"))
        logits = self.logits(x[:, [-1, start_at]]).cpu()
        return heard, First(logits[:, 0].contiguous(), logits[:, 1].contiguous())

    def attention(
        self, window: int, tokens: Sequence[int], heads: Heads, *, all_logits: bool = True
    ) -> tuple[Attention, Tensor]:
        """Cross-attention while a window is given a text; see `Network.attention`."""
        x = self.embed(torch.tensor([list(tokens)], device=self.device), 0)
        taken: Attention = np.empty((len(heads), len(tokens), self.dims.n_audio_ctx), np.float32)
        for layer, block in enumerate(self.decoder):
            normed = block.norm(x, "attn_ln")
            q, k, v = (block.heads(normed, f"attn.{part}") for part in ("query", "key", "value"))
            attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + block.joined(attended, "attn.out")
            query = block.heads(block.norm(x, "cross_attn_ln"), "cross_attn.query")
            keys, values = (part[window : window + 1] for part in self.cross[layer])
            for place, (watched_layer, head) in enumerate(heads):
                if watched_layer == layer:
                    scores = (query[0, head] @ keys[0, head].T).float() / HEAD_DIM**0.5
                    taken[place] = scores.cpu().numpy()
            attended = functional.scaled_dot_product_attention(query, keys, values)
            x = block.mlp(x + block.joined(attended, "cross_attn.out"))
        return taken, self.logits(x if all_logits else x[:, -1:])[0].cpu()

    def embed(self, tokens: Tensor, position: int) -> Tensor:
        """Tokens (n, length) from a position on, as (n, length, d)."""
        length = tokens.shape[1]
        positions = self.weights["decoder.positional_embedding"][position : position + length]
        return self.weights["decoder.token_embedding.weight"][tokens] + positions

    def embed_at(self, tokens: Tensor, position: Tensor) -> Tensor:
        """Tokens (n, 1) at a position (1,) that is on the device, as (n, 1, d)."""
        places = self.weights["decoder.positional_embedding"][position]
        return self.weights["decoder.token_embedding.weight"][tokens] + places

    def logits(self, x: Tensor) -> Tensor:
        """The vocabulary's logits, float32 on the device."""
        normed = _norm(self.weights, "decoder.ln", x)
        return functional.linear(normed, self.weights["decoder.token_embedding.weight"]).float()

    def _encode(self, mels: Tensor) -> Tensor:
        weights = self.weights
        x = mels
        for name, stride in (("encoder.conv1", 1), ("encoder.conv2", 2)):
            weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
            x = functional.gelu(functional.conv1d(x, weight, bias, stride=stride, padding=1))
        x = x.transpose(1, 2) + weights["encoder.positional_embedding"]
        for block in self._encoder:
            normed = block.norm(x, "attn_ln")
            q, k, v = (block.heads(normed, f"attn.{part}") for part in ("query", "key", "value"))
            attended = functional.scaled_dot_product_attention(q, k, v)
            x = block.mlp(x + block.joined(attended, "attn.out"))
        return _norm(weights, "encoder.ln_post", x)


class _CpuSession:
    """Rows under way on a CPU; see `network.Session`."""

    def __init__(
        self,
        network: FloatNetwork,
        windows: Sequence[int],
        prompt: Sequence[int],
        start_at: int,
        rows_per_window: int,
    ) -> None:
        self._network = network
        self._length = len(prompt)
        count, dims = len(windows), network.dims
        # Whisper decodes at most half its context (whisper/decoding.py, `sample_len`).
        capacity = self._length + dims.n_text_ctx // 2 + 1
        shape = (count * rows_per_window, dims.n_text_head, capacity, HEAD_DIM)
        self._caches = [
            tuple(torch.empty(shape, dtype=network.dtype) for _ in range(2))
            for _ in network.decoder
        ]
        self._cross = network.cross_of(windows)
        self._held = count  # windows in self._cross
        self._places = torch.arange(count)  # each row's window, as its place in self._cross
        heard, self.first = network.hear(self._cross, prompt, start_at)
        for caches, parts in zip(self._caches, heard, strict=True):
            for cache, part in zip(caches, parts, strict=True):
                cache[:count, :, : self._length] = part

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows; see `Session.keep`."""
        kept = torch.tensor(list(rows))
        for caches in self._caches:
            for cache in caches:
                cache[: len(rows), :, : self._length] = cache[kept, :, : self._length]
        self._places = self._places[list(rows)]
        present = torch.unique(self._places)
        if len(present) <= _COMPACT_BELOW * self._held:
            self._cross = [(keys[present], values[present]) for keys, values in self._cross]
            self._places = torch.searchsorted(present, self._places)
            self._held = len(present)

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Give every row its next token; see `Session.step`."""
        network, count, length = self._network, len(tokens), self._length + 1
        x = network.embed(torch.tensor(tokens)[:, None], self._length)
        starts = torch.searchsorted(self._places, self._places)
        nth = torch.arange(count) - starts  # of its window's rows
        where = (self._places, nth)
        widest = int(nth.max()) + 1
        for layer, block in enumerate(network.decoder):
            normed = block.norm(x, "attn_ln")
            query = block.heads(normed, "attn.query")
            keys, values = (cache[:count, :, :length] for cache in self._caches[layer])
            keys[:, :, -1:] = block.heads(normed, "attn.key")
            values[:, :, -1:] = block.heads(normed, "attn.value")
            attended = functional.scaled_dot_product_attention(query, keys, values)
            x = x + block.joined(attended, "attn.out")
            query = block.heads(block.norm(x, "cross_attn_ln"), "cross_attn.query")
            # Rows of one window side by side: its keys and values are read once for all of them.
            grouped = query.new_zeros(self._held, widest, *query.shape[1::2])
            grouped[where] = query[:, :, 0]
            attended = functional.scaled_dot_product_attention(
                grouped.transpose(1, 2), *self._cross[layer]
            )
            rows = attended.transpose(1, 2)[where][:, :, None]
            x = block.mlp(x + block.joined(rows, "cross_attn.out"))
        self._length = length
        return network.logits(x)[:, 0]


def _filled(mel: Tensor, frames: int) -> Tensor:
    """A spectrogram with the silence that was left out at its end."""
    return torch.cat([mel, mel[:, -1:].expand(-1, frames - mel.shape[1])], dim=1)


def _norm(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    # In half precision too torch adds up in float32, as whisper/model.py wants it.
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return functional.layer_norm(x, x.shape[-1:], weight, bias)
