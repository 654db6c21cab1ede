"""Whisper on a CPU with int8 linear layers and int8 cross-attention.

Products of activations and weights are int8 with a scale for each row of activations and each
output, as in CTranslate2. Attention within the encoder is bfloat16 where the processor has a matrix
unit for it, int8 where it adds up products of bytes in long vectors, pairs of 12 bits with AVX2,
and float32 elsewhere. Where no instruction adds up products of bytes, all products are of pairs,
with activations of 12 bits (pair_gemm.py). What was tried on the way is in benchmarks/NOTES.md.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from longscribe.engine import cross_attention, kernels
from longscribe.engine.amx_attention import MatrixUnitAttention
from longscribe.engine.cross_attention import BLOCK, CrossCache
from longscribe.engine.float_heads import FloatHeads
from longscribe.engine.int8_session import Int8Session, SelfCaches
from longscribe.engine.kernels import CONTEXT
from longscribe.engine.mapped_weights import PairLinear, TiledLinear, mapped
from longscribe.engine.network import HEAD_DIM, Attention, Heads, Session
from longscribe.engine.packed_linear import PackedLinear
from longscribe.engine.pair_attention import PairAttention
from longscribe.engine.processor import (
    has_bfloat16_products,
    has_byte_products,
    has_matrix_unit,
    has_vectors_of_pairs,
)
from longscribe.engine.vnni_attention import ByteAttention
from longscribe.models.checkpoint import ModelDims
from longscribe.models.weights import ModelSpec
from longscribe.runtime.worker_progress import advance

_Floats = npt.NDArray[np.float32]

# Positions that go through the encoder's linear layers together; a multiple of BLOCK.
_ENCODED_ROWS = 192

_NO_SCORE = np.float32(-1e30)  # of positions that were not encoded


class _Codes:
    """Rows quantized for the next linear layer: the tensor torch reads and the arrays we write."""

    def __init__(self, rows: int, width: int, kind: torch.dtype) -> None:
        self.tensor = torch.empty(rows, width, dtype=kind)
        self.array = self.tensor.numpy()
        self.scales = np.empty(rows, np.float32)


class _Linear:
    """A packed layer: `raw(codes)` is the product that `raw * scales + bias` completes."""

    def __init__(self, packed: PackedLinear | TiledLinear | PairLinear) -> None:
        self._packed = packed
        self.rows = packed.rows
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


class Int8Network:
    """A Whisper model whose weights are mapped from the machine's one int8 copy."""

    def __init__(self, spec: ModelSpec) -> None:
        """Map the weights.

        Raises:
            ModelError: they cannot be loaded or converted.
        """
        weights = mapped(spec, "int8")
        self.dims: ModelDims = spec.dims
        self.added_texts = tuple(token.text for token in spec.added_tokens)
        numbers = torch.bfloat16 if has_bfloat16_products() else torch.float32
        self._convolutions = [_Convolution(weights, f"encoder.conv{i}", i, numbers) for i in (1, 2)]
        self._attention = _attention(self.dims.n_audio_head)
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
        self._logits: PackedLinear | TiledLinear | PairLinear = weights["logits"]
        self._encoder_rows, self._decoder_rows = self._encoder[0].qkv.rows, self._logits.rows
        self._cross: list[CrossCache] = []
        self._lengths = np.zeros(0, np.int64)  # positions of the encoded windows

    def shallow(self) -> "Int8Network":
        """The first layers alone; see `Network.shallow`."""
        first = copy(self)
        first.dims = self.dims.shallow
        first._encoder, first._decoder, first._cross = self._encoder[:1], self._decoder[:1], []
        return first

    def encode(self, mels: Sequence[Tensor]) -> None:
        """Listen to windows; see `Network.encode`."""
        if not self._cross or len(self._cross[0].keys) < len(mels):
            heads = self.dims.n_text_head
            self._cross = []  # the old ones go before the new ones come
            self._cross = [CrossCache(len(mels), heads) for _ in self._decoder]
        self._lengths = np.array([mel.shape[1] // 2 for mel in mels], np.int64)
        for window, mel in enumerate(mels):
            self._encode(window, mel)

    def start(
        self, windows: Sequence[int], prompt: Sequence[int], start_at: int, rows_per_window: int
    ) -> Session:
        """Begin to decode; see `Network.start`."""
        return Int8Session(self, windows, prompt, start_at, rows_per_window)

    def attention(
        self, window: int, tokens: Sequence[int], heads: Heads, *, all_logits: bool = True
    ) -> tuple[Attention, Tensor]:
        """Cross-attention while a window is given a text; see `Network.attention`."""
        caches = SelfCaches(self.dims, 1, len(tokens))
        count = len(tokens)
        taken: Attention = np.full((len(heads), count, CONTEXT), _NO_SCORE)
        logits = self.forward(
            np.asarray(tokens),
            caches,
            slots=np.zeros(count, np.int64),
            positions=np.arange(count),
            windows=np.full(count, window),
            wanted=np.arange(0 if all_logits else count - 1, count),
            watched=(heads, taken),
        )
        return taken, logits

    def _encode(self, window: int, mel: Tensor) -> None:
        sound = mel.T
        for convolution in self._convolutions:
            sound = convolution(sound)
        x: _Floats = (sound.float() + self._audio_positions[: len(sound)]).numpy()
        attended: _Floats = np.empty_like(x)
        layers = len(self._encoder)
        for layer in range(-1, layers):
            advance()
            block = self._encoder[max(layer, 0)]
            after = self._encoder[layer + 1] if layer + 1 < layers else None
            if layer >= 0:
                self._attention.attend(attended)
            norm = after.attention_norm if after else self._encoder_norm
            # In parts whose intermediate results stay in the core's own cache.
            for first in range(0, len(x), _ENCODED_ROWS):
                part = x[first : first + _ENCODED_ROWS]
                codes = _Codes(len(part), x.shape[1], self._encoder_rows)
                wide = _Codes(len(part), 4 * x.shape[1], self._encoder_rows)
                if layer < 0:
                    kernels.norm_quantize(part, norm.weight, norm.bias, codes.array, codes.scales)
                else:
                    rows = attended[first : first + _ENCODED_ROWS]
                    kernels.quantize_rows(rows, codes.array, codes.scales)
                    _add(part, block.attention_out, codes, block.mlp_norm)
                    raw, bias = block.mlp_in.raw(codes), block.mlp_in.bias
                    kernels.gelu_quantize(raw, codes.scales, bias, wide.array, wide.scales)
                    _add(part, block.mlp_out, wide, norm, codes)
                if after:
                    self._attention.take(after.qkv.raw(codes), codes.scales, after.qkv.bias, first)
                else:
                    self._store(window, first // BLOCK, codes)

    def _store(self, window: int, first_block: int, codes: _Codes) -> None:
        for block, cross in zip(self._decoder, self._cross, strict=True):
            cross_attention.store_cross(
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
        caches: SelfCaches,
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
        kind = self._decoder_rows
        codes, wide = _Codes(count, d, kind), _Codes(count, 4 * d, kind)
        attended = np.empty_like(x)
        starts = np.flatnonzero(np.diff(windows, prepend=-1))
        read, firsts = windows[starts], np.append(starts, count)
        norm = self._decoder[0].attention_norm
        kernels.norm_quantize(x, norm.weight, norm.bias, codes.array, codes.scales)
        norms = [block.attention_norm for block in self._decoder[1:]] + [self._decoder_norm]
        for layer, (block, next_norm) in enumerate(zip(self._decoder, norms, strict=True)):
            advance()
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
                _watch(query, layer, cross, self._lengths, int(windows[0]), *watched)
            cross_attention.cross_attention(
                raw,
                codes.scales,
                block.cross_query.bias,
                cross.keys,
                cross.key_scales,
                cross.values,
                cross.value_scales,
                read,
                firsts,
                self._lengths,
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


def _attention(
    heads: int,
) -> "MatrixUnitAttention | ByteAttention | PairAttention | _Float32Attention":
    """The encoder's attention, as this processor does it fastest."""
    if has_matrix_unit():
        return MatrixUnitAttention(heads)
    if has_byte_products():
        return ByteAttention(heads)
    return PairAttention(heads) if has_vectors_of_pairs() else _Float32Attention(heads)


class _Float32Attention(FloatHeads):
    """The encoder's attention by torch: `take` all rows, then `attend`."""

    def attend(self, out: _Floats) -> None:
        q, k, v = (part[None, :, : len(out)] for part in torch.from_numpy(self._heads))
        attended = functional.scaled_dot_product_attention(q, k, v, scale=1.0)
        out[:] = attended[0].transpose(0, 1).reshape(out.shape).numpy()


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


def _watch(
    query: _Floats,
    layer: int,
    cross: CrossCache,
    lengths: npt.NDArray[np.int64],
    window: int,
    heads: Heads,
    taken: Attention,
) -> None:
    for place, (watched_layer, head) in enumerate(heads):
        if watched_layer == layer:
            part = query[:, head * HEAD_DIM : (head + 1) * HEAD_DIM]
            scores = cross.scores(part, window, head, int(lengths[window]))
            taken[place, :, : scores.shape[1]] = scores
