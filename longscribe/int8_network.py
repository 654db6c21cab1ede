"""Whisper on a CPU with int8 linear layers and int8 cross-attention.

Products of activations and weights are int8 with a scale for each row of activations and each
output, as in CTranslate2; attention within the encoder is bfloat16 where the processor has a matrix
unit for it and float32 elsewhere. What was tried on the way is in benchmarks/NOTES.md.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from longscribe import kernels
from longscribe.checkpoint import ModelDims
from longscribe.kernels import BLOCK, BLOCKS, CONTEXT, HEAD_DIM
from longscribe.mapped_weights import PackedLinear, mapped
from longscribe.network import Attention, First, Heads, Session
from longscribe.processor import has_matrix_unit
from longscribe.weights import ModelSpec

_Floats = npt.NDArray[np.float32]

# Positions that go through the encoder's linear layers together; a multiple of BLOCK.
_ENCODED_ROWS = 192


class _Codes:
    """Rows quantized for the next linear layer: the tensor torch reads and the arrays we write."""

    def __init__(self, rows: int, width: int) -> None:
        self.tensor = torch.empty(rows, width, dtype=torch.int8)
        self.array = self.tensor.numpy()
        self.scales = np.empty(rows, np.float32)


class _Linear:
    """A packed layer: `raw(codes)` is the product that `raw * scales + bias` completes."""

    def __init__(self, packed: PackedLinear) -> None:
        self._packed = packed
        self.bias: _Floats = packed.bias.numpy()

    def raw(self, codes: _Codes) -> _Floats:
        product: _Floats = self._packed.product(codes.tensor).numpy()
        return product


class _Norm:
    def __init__(self, weights: dict[str, Any], name: str) -> None:
        self.weight: _Floats = weights[f"{name}.weight"].numpy()
        self.bias: _Floats = weights[f"{name}.bias"].numpy()


class _Block:
    """One layer of the encoder or decoder."""

    def __init__(self, weights: dict[str, Any], name: str, crossed: bool) -> None:
        self.attention_norm = _Norm(weights, f"{name}.attn_ln")
        self.qkv = _Linear(weights[f"{name}.attn.qkv"])
        self.attention_out = _Linear(weights[f"{name}.attn.out"])
        self.mlp_norm = _Norm(weights, f"{name}.mlp_ln")
        self.mlp_in = _Linear(weights[f"{name}.mlp.0"])
        self.mlp_out = _Linear(weights[f"{name}.mlp.2"])
        if crossed:
            self.cross_norm = _Norm(weights, f"{name}.cross_attn_ln")
            self.cross_query = _Linear(weights[f"{name}.cross_attn.query"])
            self.cross_kv = _Linear(weights[f"{name}.cross_attn.kv"])
            self.cross_out = _Linear(weights[f"{name}.cross_attn.out"])


class _Cross:
    """Keys and values of a decoder layer's cross-attention, for every encoded window."""

    def __init__(self, windows: int, heads: int) -> None:
        self.keys = np.empty((windows, heads, BLOCKS, HEAD_DIM, BLOCK), np.int8)
        self.key_scales = np.empty((windows, heads, BLOCKS, HEAD_DIM), np.float32)
        self.values = np.empty((windows, heads, CONTEXT, HEAD_DIM), np.int8)
        self.value_scales = np.empty((windows, heads, CONTEXT), np.float32)

    def dequantized_keys(self, window: int, head: int) -> _Floats:
        """Shape (1500, 64)."""
        scaled = self.keys[window, head] * self.key_scales[window, head, :, :, None]
        keys: _Floats = scaled.transpose(0, 2, 1).reshape(-1, HEAD_DIM)[:CONTEXT]
        return keys


class Int8Network:
    """A Whisper model whose weights are mapped from the machine's one int8 copy."""

    def __init__(self, spec: ModelSpec) -> None:
        """Map the weights.

        Raises:
            ModelError: they cannot be loaded or converted.
        """
        weights = mapped(spec, "int8")
        self.dims: ModelDims = spec.dims
        self._attention_dtype = torch.bfloat16 if has_matrix_unit() else torch.float32
        self._convolutions = [
            _Convolution(weights, f"encoder.conv{i}", stride, self._attention_dtype)
            for i, stride in ((1, 1), (2, 2))
        ]
        self._audio_positions: Tensor = weights["encoder.positional_embedding"]
        self._encoder = [
            _Block(weights, f"encoder.blocks.{i}", crossed=False)
            for i in range(self.dims.n_audio_layer)
        ]
        self._encoder_norm = _Norm(weights, "encoder.ln_post")
        self._embedding: npt.NDArray[np.float16] = weights["decoder.token_embedding.weight"].numpy()
        self._positions: _Floats = weights["decoder.positional_embedding"].numpy()
        self._decoder = [
            _Block(weights, f"decoder.blocks.{i}", crossed=True)
            for i in range(self.dims.n_text_layer)
        ]
        self._decoder_norm = _Norm(weights, "decoder.ln")
        self._logits: PackedLinear = weights["logits"]
        self._cross: list[_Cross] = []

    def encode(self, mels: Sequence[Tensor]) -> None:
        """Listen to windows; see `Network.encode`."""
        if not self._cross or len(self._cross[0].keys) < len(mels):
            heads = self.dims.n_text_head
            self._cross = []  # the old ones go before the new ones come
            self._cross = [_Cross(len(mels), heads) for _ in self._decoder]
        for window, mel in enumerate(mels):
            self._encode(window, mel)

    def start(
        self, windows: Sequence[int], prompt: Sequence[int], start_at: int, rows_per_window: int
    ) -> Session:
        """Begin to decode; see `Network.start`."""
        return _Int8Session(self, windows, prompt, start_at, rows_per_window)

    def attention(
        self, window: int, tokens: Sequence[int], heads: Heads
    ) -> tuple[Attention, Tensor]:
        """Cross-attention while a window is given a text; see `Network.attention`."""
        caches = _Caches(self.dims, 1, len(tokens))
        count = len(tokens)
        taken: Attention = np.empty((len(heads), count, CONTEXT), np.float32)
        logits = self.forward(
            np.asarray(tokens),
            caches,
            slots=np.zeros(count, np.int64),
            positions=np.arange(count),
            windows=np.full(count, window),
            wanted=np.arange(count),
            watched=(heads, taken),
        )
        return taken, logits

    def _encode(self, window: int, mel: Tensor) -> None:
        sound = mel.T
        for convolution in self._convolutions:
            sound = convolution(sound)
        x: _Floats = (sound.float() + self._audio_positions).numpy()
        heads_shape = (3, self.dims.n_audio_head, CONTEXT, HEAD_DIM)
        heads = torch.empty(heads_shape, dtype=self._attention_dtype)
        half = self._attention_dtype == torch.bfloat16
        split = kernels.split_heads_bfloat16 if half else kernels.split_heads
        quantize = kernels.quantize_rows_bfloat16 if half else kernels.quantize_rows
        layers = len(self._encoder)
        for layer in range(-1, layers):
            block = self._encoder[max(layer, 0)]
            after = self._encoder[layer + 1] if layer + 1 < layers else None
            if layer >= 0:
                q, k, v = (part[None] for part in heads)
                attended = functional.scaled_dot_product_attention(q, k, v, scale=1.0)
                rows = _bits(attended[0].transpose(0, 1).reshape(CONTEXT, -1))
            norm = after.attention_norm if after else self._encoder_norm
            # In parts whose intermediate results stay in the core's own cache.
            for first in range(0, CONTEXT, _ENCODED_ROWS):
                part = x[first : first + _ENCODED_ROWS]
                codes, wide = _Codes(len(part), x.shape[1]), _Codes(len(part), 4 * x.shape[1])
                if layer < 0:
                    kernels.norm_quantize(part, norm.weight, norm.bias, codes.array, codes.scales)
                else:
                    quantize(rows[first : first + _ENCODED_ROWS], codes.array, codes.scales)
                    _add(part, block.attention_out, codes, block.mlp_norm)
                    raw, bias = block.mlp_in.raw(codes), block.mlp_in.bias
                    kernels.gelu_quantize(raw, codes.scales, bias, wide.array, wide.scales)
                    _add(part, block.mlp_out, wide, norm, codes)
                if after:
                    raw = after.qkv.raw(codes)
                    split(raw, codes.scales, after.qkv.bias, _bits(heads), first)
                else:
                    self._store(window, first // BLOCK, codes)

    def _store(self, window: int, first_block: int, codes: _Codes) -> None:
        for block, cross in zip(self._decoder, self._cross, strict=True):
            kernels.store_cross(
                block.cross_kv.raw(codes),
                codes.scales,
                block.cross_kv.bias,
                cross.keys[window],
                cross.key_scales[window],
                cross.values[window],
                cross.value_scales[window],
                first_block,
            )

    def forward(
        self,
        tokens: npt.NDArray[np.int64],
        caches: "_Caches",
        *,
        slots: npt.NDArray[np.int64],
        positions: npt.NDArray[np.int64],
        windows: npt.NDArray[np.int64],
        wanted: npt.NDArray[np.int64] | None = None,
        watched: tuple[Heads, Attention] | None = None,
    ) -> Tensor:
        """The decoder on n tokens, whichever rows and positions they have.

        Args:
            tokens: (n,).
            caches: what the rows' earlier tokens left; takes these tokens up.
            slots: the cache of each token's row.
            positions: place of each token in its row.
            windows: window of each token's row, sorted.
            wanted: the tokens whose logits are wanted; None for all.
            watched: heads, and an array that takes their scores over the window.

        Returns:
            (wanted, vocabulary) float32.
        """
        x: _Floats = self._embedding[tokens].astype(np.float32) + self._positions[positions]
        count, d = x.shape
        codes, wide, attended = _Codes(count, d), _Codes(count, 4 * d), np.empty_like(x)
        starts = np.flatnonzero(np.diff(windows, prepend=-1))
        read, firsts = windows[starts], np.append(starts, count)
        norm = self._decoder[0].attention_norm
        kernels.norm_quantize(x, norm.weight, norm.bias, codes.array, codes.scales)
        norms = [block.attention_norm for block in self._decoder[1:]] + [self._decoder_norm]
        for layer, (block, next_norm) in enumerate(zip(self._decoder, norms, strict=True)):
            raw = block.qkv.raw(codes)
            keys, values = caches.keys[layer], caches.values[layer]
            kernels.self_attention(
                raw, codes.scales, block.qkv.bias, keys, values, slots, positions, attended
            )
            kernels.quantize_rows(attended, codes.array, codes.scales)
            _add(x, block.attention_out, codes, block.cross_norm)
            raw, cross = block.cross_query.raw(codes), self._cross[layer]
            if watched is not None:
                query = raw * codes.scales[:, None] + block.cross_query.bias
                _watch(query, layer, cross, int(windows[0]), *watched)
            kernels.cross_attention(
                raw,
                codes.scales,
                block.cross_query.bias,
                cross.keys,
                cross.key_scales,
                cross.values,
                cross.value_scales,
                read,
                firsts,
                attended,
            )
            kernels.quantize_rows(attended, codes.array, codes.scales)
            _add(x, block.cross_out, codes, block.mlp_norm)
            raw = block.mlp_in.raw(codes)
            kernels.gelu_quantize(raw, codes.scales, block.mlp_in.bias, wide.array, wide.scales)
            _add(x, block.mlp_out, wide, next_norm, codes)
        rows, scales = codes.tensor, torch.from_numpy(codes.scales)
        if wanted is not None:
            rows, scales = rows[wanted], scales[wanted]
        return self._logits.product(rows).mul_(scales[:, None])


class _Caches:
    """Self-attention's keys and values, bfloat16 as uint16, a slot for every row.

    The memory is taken from the system only as far as tokens reach, page by page.
    """

    def __init__(self, dims: ModelDims, slots: int, capacity: int) -> None:
        shape = (dims.n_text_layer, slots, dims.n_text_head, capacity, HEAD_DIM)
        self.keys = np.empty(shape, np.uint16)
        self.values = np.empty(shape, np.uint16)


class _Int8Session:
    """Rows under way; see `network.Session`."""

    def __init__(
        self,
        network: Int8Network,
        windows: Sequence[int],
        prompt: Sequence[int],
        start_at: int,
        rows_per_window: int,
    ) -> None:
        self._network = network
        count, length = len(windows), len(prompt)
        # Whisper decodes at most half its context (whisper/decoding.py, `sample_len`).
        capacity = length + network.dims.n_text_ctx // 2 + 1
        self._caches = _Caches(network.dims, count * rows_per_window, capacity)
        self._free = list(range(count, count * rows_per_window))
        self._slots = np.arange(count)
        self._windows = np.asarray(windows, dtype=np.int64)
        self._length = length
        last = np.arange(count) * length + length - 1
        logits = network.forward(
            np.tile(np.asarray(prompt), count),
            self._caches,
            slots=np.repeat(self._slots, length),
            positions=np.tile(np.arange(length), count),
            windows=np.repeat(self._windows, length),
            wanted=np.concatenate((last, last - (length - 1 - start_at))),
        )
        self.first = First(logits[:count], logits[count:])

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows; see `Session.keep`."""
        kept = set(rows)
        self._free += [int(slot) for row, slot in enumerate(self._slots) if row not in kept]
        slots, sources, targets = [], [], []
        used: set[int] = set()
        for row in rows:
            slot = int(self._slots[row])
            if row in used:
                sources.append(slot)
                slot = self._free.pop()
                targets.append(slot)
            used.add(row)
            slots.append(slot)
        if sources:
            copied = np.asarray(sources), np.asarray(targets)
            kernels.copy_slots(self._caches.keys, *copied, self._length)
            kernels.copy_slots(self._caches.values, *copied, self._length)
        self._windows = self._windows[list(rows)]
        self._slots = np.asarray(slots, dtype=np.int64)

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Give every row its next token; see `Session.step`."""
        positions = np.full(len(tokens), self._length)
        self._length += 1
        return self._network.forward(
            np.asarray(tokens),
            self._caches,
            slots=self._slots,
            positions=positions,
            windows=self._windows,
        )


class _Convolution:
    """A convolution over 3 positions, then GELU, as one matrix product; half the time of conv1d."""

    def __init__(self, weights: dict[str, Any], name: str, stride: int, dtype: torch.dtype) -> None:
        weight: Tensor = weights[f"{name}.weight"]  # (out, in, 3)
        self._weight = weight.permute(0, 2, 1).reshape(len(weight), -1).to(dtype)
        self._bias: Tensor = weights[f"{name}.bias"].to(dtype)
        self._stride = stride

    def __call__(self, x: Tensor) -> Tensor:
        """From (n, in) to (n / stride, out)."""
        length, width = x.shape
        padded = torch.zeros(length + 2, width, dtype=self._weight.dtype)
        padded[1:-1] = x
        rows = padded.as_strided((length // self._stride, 3 * width), (self._stride * width, 1))
        return functional.gelu(functional.linear(rows, self._weight, self._bias))


def _add(
    x: _Floats, layer: _Linear, codes: _Codes, norm: _Norm, result: _Codes | None = None
) -> None:
    """Add a layer's output to x; then the norm of it, quantized for the next layer."""
    result = result or codes
    kernels.add_norm_quantize(
        x,
        layer.raw(codes),
        codes.scales,
        layer.bias,
        norm.weight,
        norm.bias,
        result.array,
        result.scales,
    )


def _bits(heads: Tensor) -> npt.NDArray[Any]:
    """The tensor as numba can see it: bfloat16 as uint16."""
    if heads.dtype == torch.bfloat16:
        bits: npt.NDArray[Any] = heads.view(torch.int16).numpy().view(np.uint16)
        return bits
    return heads.numpy()


def _watch(
    query: _Floats, layer: int, cross: _Cross, window: int, heads: Heads, taken: Attention
) -> None:
    for place, (watched_layer, head) in enumerate(heads):
        if watched_layer == layer:
            part = query[:, head * HEAD_DIM : (head + 1) * HEAD_DIM]
            taken[place] = part @ cross.dequantized_keys(window, head).T
