"""The decoder's and encoder's small steps on a CPU, fused and compiled by numba.

torch does the large matrix products; what lies between them (norms, quantization, attention over
caches) is memory traffic, and torch makes several passes where one is enough.

numba comes with openai-whisper, so no compiler is needed on the user's machine; compiled code is
cached beside this file, or in the user's cache folder where that cannot be written.

Everywhere below: n rows, d model width, H heads of `HEAD_DIM`; `raw` is an int8 product times the
weights' scales, so that `raw * scale + bias` is a linear layer's output, `scale` being the row's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, prange

from longscribe.engine.network import HEAD_DIM

CONTEXT = 1500  # encoder positions of a 30 s window
_EPSILON = np.float32(1e-5)  # torch.nn.LayerNorm's

# Activations are codes of 1 to 255 around this. Without a matrix unit processors multiply unsigned
# bytes by signed ones, and oneDNN, given signed activations there, falls back to a reference loop
# that takes 4000 times as long (its "Nuances of int8 computations"; seen with torch 2.13).
ZERO_CODE = 128
LARGEST_PAIR_CODE = 2047  # of activations that are multiplied in pairs (pair_gemm.py)
_HALF_ABOVE_ZERO_CODE = np.float32(ZERO_CODE + 0.5)

Kernel = Callable[..., Any]


def compiled(kernel: Kernel) -> Kernel:
    """A kernel compiled on its first call; its `prange` uses numba's threads."""
    return njit(parallel=True, fastmath=True, error_model="numpy", cache=True)(kernel)


def compiled_in_order(kernel: Kernel) -> Kernel:
    """A kernel whose steps follow from each other, so that it has one thread; infinities count."""
    return njit(error_model="numpy", cache=True)(kernel)


def inlined(function: Kernel) -> Kernel:
    """A piece of kernels, compiled into each of them."""
    return njit(fastmath=True, error_model="numpy", inline="always")(function)


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
    """GELU to 1.3e-4: its result is rounded to a byte.

    erf(x / sqrt 2) as an odd polynomial up to 4, fitted for the least largest error; an exponential
    and a division, as in Abramowitz and Stegun's 7.1.26, take more than twice as long.
    """
    near = min(max(x, np.float32(-4.0)), np.float32(4.0))
    u = near * near
    p = np.float32(-8.75076953e-10)
    p = p * u + np.float32(1.00998541e-07)
    p = p * u - np.float32(4.61861266e-06)
    p = p * u + np.float32(1.14780557e-04)
    p = p * u - np.float32(1.76549089e-03)
    p = p * u + np.float32(1.80791143e-02)
    p = p * u - np.float32(1.30127503e-01)
    p = p * u + np.float32(7.96372687e-01)
    return np.float32(0.5) * x * (np.float32(1.0) + near * p)


@inlined
def to_bfloat16(x: Any) -> Any:
    """A float32 as the bits of a bfloat16, rounded to even."""
    bits = np.float32(x).view(np.uint32)
    odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
    return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))


@inlined
def _from_bfloat16(x: Any) -> Any:
    return np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)


@inlined
def rounded(x: Any) -> Any:
    """The nearest int8."""
    return np.int8(np.int32(np.floor(x + np.float32(0.5))))


@inlined
def largest_size(row: Any) -> Any:
    """The largest absolute value of a row, at least 1e-12."""
    # As integers: LLVM vectorizes their maximum, not that of floats. Positive floats sort alike.
    bits = np.int32(0)
    for i in range(row.shape[0]):
        bits = max(bits, np.int32(np.float32(row[i]).view(np.int32) & np.int32(0x7FFFFFFF)))
    return max(np.int32(bits).view(np.float32), np.float32(1e-12))


@inlined
def quantize_row(row: Any, codes: Any) -> Any:
    """Write a row as codes, bytes around `ZERO_CODE` or 12 bits; its scale."""
    largest = largest_size(row)
    if codes.itemsize == 2:
        inverse = np.float32(LARGEST_PAIR_CODE) / largest
        for i in range(row.shape[0]):
            codes[i] = np.int16(np.int32(np.floor(row[i] * inverse + np.float32(0.5))))
        return largest * np.float32(1.0 / LARGEST_PAIR_CODE)
    inverse = np.float32(127.0) / largest
    for i in range(row.shape[0]):
        codes[i] = np.uint8(np.int32(np.floor(row[i] * inverse + _HALF_ABOVE_ZERO_CODE)))
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
    """LayerNorm of x (n, d) float32, quantized into codes (n, d) uint8 or int16, scales (n,)."""
    for i in prange(x.shape[0]):
        normed = np.empty(x.shape[1], np.float32)
        _normalize_row(x[i], weight, bias, normed)
        scales[i] = quantize_row(normed, codes[i])


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
        scales[i] = quantize_row(normed, codes[i])


@compiled
def gelu_quantize(raw: Any, scale: Any, bias: Any, codes: Any, scales: Any) -> None:
    """GELU of a linear layer's output (n, 4d), quantized."""
    for i in prange(raw.shape[0]):
        row = np.empty(raw.shape[1], np.float32)
        for j in range(raw.shape[1]):
            row[j] = _gelu(raw[i, j] * scale[i] + bias[j])
        scales[i] = quantize_row(row, codes[i])


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
                keys[slot, h, position, j] = to_bfloat16(raw[i, k] * scale[i] + bias[k])
                values[slot, h, position, j] = to_bfloat16(raw[i, v] * scale[i] + bias[v])
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
def quantize_rows(x: Any, codes: Any, scales: Any) -> None:
    """Rows of x (n, d) float32 as uint8 or int16 codes and a scale each."""
    for i in prange(x.shape[0]):
        scales[i] = quantize_row(x[i], codes[i])


@compiled
def copy_slots(caches: Any, sources: Any, targets: Any, length: Any) -> None:
    """Copy the first `length` positions of caches (layers, slots, H, capacity, 64)."""
    for item in prange(caches.shape[0] * sources.shape[0]):
        layer, i = item // sources.shape[0], item % sources.shape[0]
        for h in range(caches.shape[2]):
            for t in range(length):
                for j in range(HEAD_DIM):
                    caches[layer, targets[i], h, t, j] = caches[layer, sources[i], h, t, j]
