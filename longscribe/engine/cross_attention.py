"""Cross-attention over int8 keys and values, where decoding spends most of its time.

Every decoded token reads all keys and values of its window, megabytes for each layer: what counts
is how many bytes that is, and that they are on their way before they are needed.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange, types
from numba.extending import intrinsic

from longscribe.engine.kernels import (
    CONTEXT,
    Kernel,
    compiled,
    exp,
    largest_of,
    largest_size,
    rounded,
)
from longscribe.engine.network import HEAD_DIM
from longscribe.engine.vectors import Vectors

BLOCK = 64  # positions whose keys lie together, transposed
BLOCKS = -(-CONTEXT // BLOCK)

# Values whose weight is below this fraction of the largest are left out: int8 values are themselves
# only good to 4e-3.
_NEGLIGIBLE = np.float32(1e-5)
_PREFETCH_BYTES = 2048  # how far ahead of the arithmetic keys and values are fetched


class CrossCache:
    """Keys and values of a decoder layer's cross-attention, for every encoded window.

    Attributes:
        keys: (windows, H, BLOCKS, 64, BLOCK) int8, channels before positions within a block.
        key_scales: (windows, H, BLOCKS, 64) float32.
        values: (windows, H, 1500, 64) int8.
        value_scales: (windows, H, 1500) float32.
    """

    def __init__(self, windows: int, heads: int) -> None:
        self.keys = np.empty((windows, heads, BLOCKS, HEAD_DIM, BLOCK), np.int8)
        self.key_scales = np.empty((windows, heads, BLOCKS, HEAD_DIM), np.float32)
        self.values = np.empty((windows, heads, CONTEXT, HEAD_DIM), np.int8)
        self.value_scales = np.empty((windows, heads, CONTEXT), np.float32)

    def scores(
        self, queries: npt.NDArray[np.float32], window: int, head: int, length: int
    ) -> npt.NDArray[np.float32]:
        """What queries (n, 64) of a head score at the window's positions, (n, length) float32."""
        blocks = -(-length // BLOCK)
        scaled = queries[None] * self.key_scales[window, head, :blocks, None, :]
        of_blocks = scaled @ self.keys[window, head, :blocks].astype(np.float32)
        scores: npt.NDArray[np.float32] = of_blocks.transpose(1, 0, 2).reshape(len(queries), -1)
        return scores[:, :length]


def _fetch_ahead(typing_context: Any, array: Any, offset_bytes: Any) -> Any:
    """Fetch a cache line of `array` ahead of its use; past the end it does nothing."""
    signature = types.void(array, offset_bytes)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = Vectors(context, builder, signature.args, arguments)
        vectors.fetch(vectors.at(0, arguments[1]))
        return context.get_dummy_value()

    return signature, generate


_prefetch: Kernel = intrinsic(_fetch_ahead)


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
                    codes[i, j] = rounded(part[i, j] * row[j])
            for j in range(HEAD_DIM):
                for i in range(BLOCK):
                    keys[h, block, j, i] = codes[i, j]
        start = (count + h) * HEAD_DIM
        for i in range(n):
            t = first_block * BLOCK + i
            for j in range(HEAD_DIM):
                row[j] = raw[i, start + j] * scale[i] + bias[start + j]
            largest = largest_size(row)
            value_scales[h, t] = largest * np.float32(1.0 / 127.0)
            inverse = np.float32(127.0) / largest
            for j in range(HEAD_DIM):
                values[h, t, j] = rounded(row[j] * inverse)


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
    lengths: Any,
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
        lengths: positions of every window that were encoded; others are not looked at.
        out: written, (n, d) float32.
    """
    count = keys.shape[1]
    for item in prange(windows.shape[0] * count):
        group, h = item // count, item % count
        window = windows[group]
        length = lengths[window]
        start = h * HEAD_DIM
        query, scaled = np.empty(HEAD_DIM, np.float32), np.empty(HEAD_DIM, np.float32)
        weights = np.empty(BLOCKS * BLOCK, np.float32)
        offset_bytes = (window * count + h) * BLOCKS * HEAD_DIM * BLOCK
        value_offset_bytes = (window * count + h) * CONTEXT * HEAD_DIM
        for i in range(firsts[group], firsts[group + 1]):
            for j in range(HEAD_DIM):
                query[j] = raw[i, start + j] * scale[i] + bias[start + j]
            for block in range((length + BLOCK - 1) // BLOCK):
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
            largest = largest_of(weights, length)
            total = np.float32(0.0)
            for t in range(length):
                weight = exp(weights[t] - largest)
                total += weight
                weights[t] = weight
            result = np.zeros(HEAD_DIM, np.float32)
            for t in range(0, length, 4):
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
