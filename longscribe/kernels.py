"""The decoder's and encoder's small steps on a CPU, fused and compiled by numba.

torch does the large matrix products; what lies between them (norms, quantization, attention over
caches) is memory traffic, and torch makes several passes where one is enough. The one that matters
most is cross-attention: every decoded token reads all keys and values of its window, so they are
kept as int8, a quarter of float32, and read once.

numba comes with openai-whisper, so no compiler is needed on the user's machine; compiled code is
cached beside this file, or in the user's cache folder where that cannot be written.

Everywhere below: n rows, d model width, H heads of `HEAD_DIM`, T = `CONTEXT` encoder positions;
`raw` is an int32 product already times the weights' scales, so that `raw * scale + bias` is the
linear layer's output, `scale` being the row's own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

HEAD_DIM = 64  # of every Whisper model
CONTEXT = 1500  # encoder positions of a 30 s window
BLOCK = 64  # positions whose keys lie together, transposed
BLOCKS = -(-CONTEXT // BLOCK)

# Values whose weight is below this fraction of the largest are left out of cross-attention: int8
# values are themselves only good to 4e-3.
_NEGLIGIBLE = np.float32(1e-5)
_PREFETCH_BYTES = 2048  # how far ahead of the arithmetic keys and values are fetched
_EPSILON = np.float32(1e-5)  # torch.nn.LayerNorm's

Kernel = Callable[..., Any]


def compiled(kernel: Kernel) -> Kernel:
    """A kernel compiled on its first call; its `prange` uses numba's threads."""
    return njit(parallel=True, fastmath=True, error_model="numpy", cache=True)(kernel)


def inlined(function: Kernel) -> Kernel:
    """A piece of kernels, compiled into each of them."""
    return njit(fastmath=True, error_model="numpy", inline="always")(function)


def _fetch_ahead(typing_context: Any, array: Any, offset_bytes: Any) -> Any:
    """Fetch a cache line of `array` ahead of its use; past the end it does nothing."""
    signature = types.void(array, offset_bytes)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        pointer = builder.gep(builder.bitcast(view.data, byte), [arguments[1]])
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, kind, "llvm.prefetch.p0"
        )
        read, keep_in_l2, data = number(0), number(2), number(1)
        builder.call(function, [pointer, read, keep_in_l2, data])
        return context.get_dummy_value()

    return signature, generate


_prefetch: Kernel = intrinsic(_fetch_ahead)


@inlined
def exp(x: Any) -> Any:
    """The exponential of x <= 0, to 1e-7 relative.

    A polynomial, because LLVM vectorizes no library call.
    """
    z = max(x * np.float32(1.4426950408889634), np.float32(-126.0))
    whole = np.floor(z + np.float32(0.5))
    part = z - whole
    p = np.float32(1.535336188319500e-4)
    p = p * part + np.float32(1.339887440266574e-3)
    p = p * part + np.float32(9.618437357674640e-3)
    p = p * part + np.float32(5.550332471162809e-2)
    p = p * part + np.float32(2.402264791363012e-1)
    p = p * part + np.float32(6.931472028550421e-1)
    p = p * part + np.float32(1.0)
    power = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23))  # numba widens to int64
    return p * power.view(np.float32)


@inlined
def _gelu(x: Any) -> Any:
    """GELU with erf by Abramowitz and Stegun 7.1.26 (absolute error 1.5e-7)."""
    a = abs(x) * np.float32(0.7071067811865476)
    t = np.float32(1.0) / (np.float32(1.0) + np.float32(0.3275911) * a)
    p = np.float32(1.061405429)
    p = p * t - np.float32(1.453152027)
    p = p * t + np.float32(1.421413741)
    p = p * t - np.float32(0.284496736)
    p = p * t + np.float32(0.254829592)
    tail = np.float32(0.5) * p * t * exp(-a * a)
    return x * (np.float32(1.0) - tail) if x > 0 else x * tail


@inlined
def _to_bfloat16(x: Any) -> Any:
    bits = np.float32(x).view(np.uint32)
    odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
    return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))


@inlined
def _from_bfloat16(x: Any) -> Any:
    return np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)


@inlined
def _rounded(x: Any) -> Any:
    return np.int8(np.int32(np.floor(x + np.float32(0.5))))


@inlined
def _quantize_row(row: Any, codes: Any) -> Any:
    """Write a row as int8 codes; its scale."""
    # As integers: LLVM vectorizes their maximum, not that of floats. Positive floats sort alike.
    bits = np.int32(0)
    for i in range(row.shape[0]):
        bits = max(bits, np.int32(np.float32(row[i]).view(np.int32) & np.int32(0x7FFFFFFF)))
    largest = max(np.int32(bits).view(np.float32), np.float32(1e-12))
    inverse = np.float32(127.0) / largest
    for i in range(row.shape[0]):
        codes[i] = _rounded(row[i] * inverse)
    return largest * np.float32(1.0 / 127.0)


@inlined
def largest_of(row: Any, count: Any) -> Any:
    """The maximum of the first `count` floats, as integers that sort like them."""
    best = np.int32(-2147483648)
    for i in range(count):
        bits = np.float32(row[i]).view(np.int32)
        best = max(best, np.int32(bits ^ (np.int32(bits >> 31) & np.int32(0x7FFFFFFF))))
    bits = np.int32(best)
    return np.int32(bits ^ (np.int32(bits >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)


@inlined
def _normalize_row(row: Any, weight: Any, bias: Any, result: Any) -> None:
    total = np.float32(0.0)
    for i in range(row.shape[0]):
        total += row[i]
    mean = total / np.float32(row.shape[0])
    squares = np.float32(0.0)
    for i in range(row.shape[0]):
        squares += (row[i] - mean) * (row[i] - mean)
    inverse = np.float32(1.0) / np.sqrt(squares / np.float32(row.shape[0]) + _EPSILON)
    for i in range(row.shape[0]):
        result[i] = (row[i] - mean) * inverse * weight[i] + bias[i]


@compiled
def norm_quantize(x: Any, weight: Any, bias: Any, codes: Any, scales: Any) -> None:
    """LayerNorm of x (n, d) float32, quantized into codes (n, d) int8 and scales (n,)."""
    for i in prange(x.shape[0]):
        normed = np.empty(x.shape[1], np.float32)
        _normalize_row(x[i], weight, bias, normed)
        scales[i] = _quantize_row(normed, codes[i])


@compiled
def add_norm_quantize(
    x: Any, raw: Any, scale: Any, add: Any, weight: Any, bias: Any, codes: Any, scales: Any
) -> None:
    """X += raw * scale + add, in place; then `norm_quantize` of it."""
    for i in prange(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] += raw[i, j] * scale[i] + add[j]
        normed = np.empty(x.shape[1], np.float32)
        _normalize_row(x[i], weight, bias, normed)
        scales[i] = _quantize_row(normed, codes[i])


@compiled
def gelu_quantize(raw: Any, scale: Any, bias: Any, codes: Any, scales: Any) -> None:
    """GELU of a linear layer's output (n, 4d), quantized."""
    for i in prange(raw.shape[0]):
        row = np.empty(raw.shape[1], np.float32)
        for j in range(raw.shape[1]):
            row[j] = _gelu(raw[i, j] * scale[i] + bias[j])
        scales[i] = _quantize_row(row, codes[i])


@compiled
def split_heads(raw: Any, scale: Any, bias: Any, heads: Any, first: Any) -> None:
    """Queries, keys, values of rows from `first` on, (n, 3d), into heads (3, H, T, 64) float32."""
    count = heads.shape[1]
    for i in prange(raw.shape[0]):
        for part in range(3):
            for h in range(count):
                start = (part * count + h) * HEAD_DIM
                for j in range(HEAD_DIM):
                    value = raw[i, start + j] * scale[i] + bias[start + j]
                    heads[part, h, first + i, j] = value


@compiled
def split_heads_bfloat16(raw: Any, scale: Any, bias: Any, heads: Any, first: Any) -> None:
    """`split_heads` into bfloat16, whose bits numba sees as uint16."""
    count = heads.shape[1]
    for i in prange(raw.shape[0]):
        for part in range(3):
            for h in range(count):
                start = (part * count + h) * HEAD_DIM
                for j in range(HEAD_DIM):
                    value = raw[i, start + j] * scale[i] + bias[start + j]
                    heads[part, h, first + i, j] = _to_bfloat16(value)


@compiled
def store_cross(
    raw: Any,
    scale: Any,
    bias: Any,
    keys: Any,
    key_scales: Any,
    values: Any,
    value_scales: Any,
    first_block: Any,
) -> None:
    """Cross-attention keys and values of a window's positions, as int8.

    Keys get a scale for each of the 64 channels of a block, values one for each position: outliers
    sit in channels of the keys and in positions of the values (KIVI, arXiv:2402.02750).

    Args:
        raw: the product of a linear layer, (n, 2d) float32, for positions from a block's first on.
        scale: of its rows.
        bias: of the layer, (2d,).
        keys: written, (H, BLOCKS, 64, BLOCK) int8, channels before positions within a block.
        key_scales: written, (H, BLOCKS, 64).
        values: written, (H, T, 64) int8.
        value_scales: written, (H, T).
        first_block: block of the first position.
    """
    count, n = keys.shape[0], raw.shape[0]
    for h in prange(count):
        part = np.empty((BLOCK, HEAD_DIM), np.float32)
        codes = np.empty((BLOCK, HEAD_DIM), np.int8)
        row = np.empty(HEAD_DIM, np.float32)
        start = h * HEAD_DIM
        for local in range((n + BLOCK - 1) // BLOCK):
            block = first_block + local
            for i in range(BLOCK):
                t = min(local * BLOCK + i, n - 1)  # the last block is filled up
                for j in range(HEAD_DIM):
                    part[i, j] = raw[t, start + j] * scale[t] + bias[start + j]
            for j in range(HEAD_DIM):
                row[j] = np.float32(1e-12)
            for i in range(BLOCK):
                for j in range(HEAD_DIM):
                    row[j] = max(row[j], abs(part[i, j]))
            for j in range(HEAD_DIM):
                key_scales[h, block, j] = row[j] * np.float32(1.0 / 127.0)
                row[j] = np.float32(127.0) / row[j]
            for i in range(BLOCK):
                for j in range(HEAD_DIM):
                    codes[i, j] = _rounded(part[i, j] * row[j])
            for j in range(HEAD_DIM):
                for i in range(BLOCK):
                    keys[h, block, j, i] = codes[i, j]
        start = (count + h) * HEAD_DIM
        for i in range(n):
            t = first_block * BLOCK + i
            for j in range(HEAD_DIM):
                row[j] = raw[i, start + j] * scale[i] + bias[start + j]
            value_scales[h, t] = _quantize_row(row, values[h, t])


@compiled
def self_attention(
    raw: Any, scale: Any, bias: Any, keys: Any, values: Any, slots: Any, positions: Any, out: Any
) -> None:
    """Causal attention of n new tokens over their rows' caches, which take the new ones up.

    Args:
        raw: queries, keys and values (n, 3d) of the new tokens; queries already carry 1/8.
        scale: of its rows.
        bias: (3d,).
        keys: the caches, (slots, H, capacity, 64) bfloat16 as uint16; values likewise.
        values: likewise.
        slots: cache of each token, (n,).
        positions: place of each token in it, (n,); all tokens up to it are attended to.
        out: written, (n, d) float32.
    """
    n, count = raw.shape[0], keys.shape[1]
    d = count * HEAD_DIM
    for i in prange(n):
        slot, position = slots[i], positions[i]
        for h in range(count):
            for j in range(HEAD_DIM):
                k, v = d + h * HEAD_DIM + j, 2 * d + h * HEAD_DIM + j
                keys[slot, h, position, j] = _to_bfloat16(raw[i, k] * scale[i] + bias[k])
                values[slot, h, position, j] = _to_bfloat16(raw[i, v] * scale[i] + bias[v])
    for item in prange(n * count):
        i, h = item // count, item % count
        slot, length = slots[i], positions[i] + 1
        start = h * HEAD_DIM
        query = np.empty(HEAD_DIM, np.float32)
        for j in range(HEAD_DIM):
            query[j] = raw[i, start + j] * scale[i] + bias[start + j]
        weights = np.empty(length, np.float32)
        for t in range(length):
            score = np.float32(0.0)
            for j in range(HEAD_DIM):
                score += query[j] * _from_bfloat16(keys[slot, h, t, j])
            weights[t] = score
        largest = largest_of(weights, length)
        result = np.zeros(HEAD_DIM, np.float32)
        total = np.float32(0.0)
        for t in range(length):
            weight = exp(weights[t] - largest)
            total += weight
            for j in range(HEAD_DIM):
                result[j] += weight * _from_bfloat16(values[slot, h, t, j])
        for j in range(HEAD_DIM):
            out[i, start + j] = result[j] / total


@compiled
def cross_attention(
    raw: Any,
    scale: Any,
    bias: Any,
    keys: Any,
    key_scales: Any,
    values: Any,
    value_scales: Any,
    windows: Any,
    firsts: Any,
    out: Any,
) -> None:
    """Attention of n tokens over their windows; tokens of one window share one reading of it.

    Args:
        raw: queries (n, d), sorted by window; they already carry 1/8.
        scale: of its rows.
        bias: (d,).
        keys: of all windows, as `store_cross` wrote them, with a first axis of windows.
        key_scales: likewise.
        values: likewise.
        value_scales: likewise.
        windows: the windows that are read, (g,).
        firsts: the first token of each, and n at the end, (g + 1,).
        out: written, (n, d) float32.
    """
    count = keys.shape[1]
    for item in prange(windows.shape[0] * count):
        group, h = item // count, item % count
        window = windows[group]
        start = h * HEAD_DIM
        query, scaled = np.empty(HEAD_DIM, np.float32), np.empty(HEAD_DIM, np.float32)
        weights = np.empty(BLOCKS * BLOCK, np.float32)
        offset_bytes = (window * count + h) * BLOCKS * HEAD_DIM * BLOCK
        value_offset_bytes = (window * count + h) * CONTEXT * HEAD_DIM
        for i in range(firsts[group], firsts[group + 1]):
            for j in range(HEAD_DIM):
                query[j] = raw[i, start + j] * scale[i] + bias[start + j]
            for block in range(BLOCKS):
                for j in range(HEAD_DIM):
                    scaled[j] = query[j] * key_scales[window, h, block, j]
                some = weights[block * BLOCK : (block + 1) * BLOCK]
                ahead = offset_bytes + block * HEAD_DIM * BLOCK + _PREFETCH_BYTES
                for t in range(BLOCK):
                    some[t] = np.float32(0.0)
                for j in range(0, HEAD_DIM, 8):
                    for line in range(8):
                        _prefetch(keys, ahead + (j + line) * BLOCK)
                    for t in range(BLOCK):
                        some[t] += (
                            scaled[j] * np.float32(keys[window, h, block, j, t])
                            + scaled[j + 1] * np.float32(keys[window, h, block, j + 1, t])
                            + scaled[j + 2] * np.float32(keys[window, h, block, j + 2, t])
                            + scaled[j + 3] * np.float32(keys[window, h, block, j + 3, t])
                            + scaled[j + 4] * np.float32(keys[window, h, block, j + 4, t])
                            + scaled[j + 5] * np.float32(keys[window, h, block, j + 5, t])
                            + scaled[j + 6] * np.float32(keys[window, h, block, j + 6, t])
                            + scaled[j + 7] * np.float32(keys[window, h, block, j + 7, t])
                        )
            largest = largest_of(weights, CONTEXT)
            total = np.float32(0.0)
            for t in range(CONTEXT):
                weight = exp(weights[t] - largest)
                total += weight
                weights[t] = weight
            result = np.zeros(HEAD_DIM, np.float32)
            for t in range(0, CONTEXT, 4):
                a, b, c, e = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
                if a + b + c + e < _NEGLIGIBLE:
                    continue
                for line in range(4):
                    _prefetch(values, value_offset_bytes + (t + line) * HEAD_DIM + _PREFETCH_BYTES)
                a *= value_scales[window, h, t]
                b *= value_scales[window, h, t + 1]
                c *= value_scales[window, h, t + 2]
                e *= value_scales[window, h, t + 3]
                for j in range(HEAD_DIM):
                    result[j] += (
                        a * np.float32(values[window, h, t, j])
                        + b * np.float32(values[window, h, t + 1, j])
                        + c * np.float32(values[window, h, t + 2, j])
                        + e * np.float32(values[window, h, t + 3, j])
                    )
            for j in range(HEAD_DIM):
                out[i, start + j] = result[j] / total


@compiled
def quantize_rows(x: Any, codes: Any, scales: Any) -> None:
    """Rows of x (n, d) float32 as int8 codes and a scale each."""
    for i in prange(x.shape[0]):
        scales[i] = _quantize_row(x[i], codes[i])


@compiled
def quantize_rows_bfloat16(x: Any, codes: Any, scales: Any) -> None:
    """`quantize_rows` from bfloat16, whose bits numba sees as uint16."""
    for i in prange(x.shape[0]):
        row = np.empty(x.shape[1], np.float32)
        for j in range(x.shape[1]):
            row[j] = _from_bfloat16(x[i, j])
        scales[i] = _quantize_row(row, codes[i])


@compiled
def copy_slots(caches: Any, sources: Any, targets: Any, length: Any) -> None:
    """Copy the first `length` positions of caches (layers, slots, H, capacity, 64)."""
    for item in prange(caches.shape[0] * sources.shape[0]):
        layer, i = item // sources.shape[0], item % sources.shape[0]
        for h in range(caches.shape[2]):
            for t in range(length):
                for j in range(HEAD_DIM):
                    caches[layer, targets[i], h, t, j] = caches[layer, sources[i], h, t, j]
