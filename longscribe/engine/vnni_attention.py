"""The encoder's attention in products of bytes, for processors with AVX-512 VNNI.

Four times the products of float32 in the same time. What keeps it exact enough: each query, key and
value has a scale of its own, keys are taken relative to their mean (which no softmax sees:
SageAttention, arXiv:2410.02367), weights are bytes relative to the largest of their 256 positions,
and their sum is taken before they are rounded. Scores never leave the core's first cache: each part
of them is weighed and multiplied with the values before the next is computed (FlashAttention,
arXiv:2205.14135).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from longscribe.engine.float_heads import FloatHeads
from longscribe.engine.kernels import (
    CONTEXT,
    ZERO_CODE,
    compiled,
    exp,
    inlined,
    largest_size,
    quantize_row,
    rounded,
)
from longscribe.engine.network import HEAD_DIM
from longscribe.engine.vectors import FLOATS, INTS, LANES, Vectors, power_of_two, size
from longscribe.engine.vnni_gemm import GROUP, Rows, sums_of_products

_ROWS = 6  # queries worked on together: with four vectors of sums each, all but 8 registers
_ACROSS = 4
_TILE = _ACROSS * LANES  # positions, or channels of values, whose sums are in registers
_PART = 256  # positions whose scores are weighed together
POSITIONS = -(-CONTEXT // _PART) * _PART  # with those that fill up the last part

_LOG2_E = np.float32(1.4426950408889634)
_LN_2 = np.float32(0.6931471805599453)
_LOWEST = np.float32(-1e30)  # of positions that only fill up the last part
_LARGEST_CODE = 255.0
_LOG2_LARGEST_CODE = 7.994353436858858


def _emit_scores(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    vectors = Vectors(context, builder, signature.args, values)
    first_row, first_position = values[1], values[4]
    start = vectors.at(0, builder.mul(first_row, size(HEAD_DIM)))
    rows = Rows(start, _ROWS, row_bytes=HEAD_DIM, group_bytes=GROUP)
    scales = [
        vectors.all(vectors.load(ir.FloatType(), vectors.at(2, offset)))
        for offset in (builder.mul(builder.add(first_row, size(i)), size(4)) for i in range(_ROWS))
    ]
    best = [vectors.variable(vectors.all(-3.0e38)) for _ in range(_ROWS)]
    with cgutils.for_range_slice(builder, size(0), size(_PART), size(_TILE)) as (tile, _):
        position = builder.add(first_position, tile)
        columns = vectors.at(3, builder.mul(position, size(HEAD_DIM)))
        sums = sums_of_products(vectors, rows, columns, size(HEAD_DIM // GROUP), _ACROSS)
        for j in range(_ACROSS):
            place_bytes = builder.mul(builder.add(position, size(j * LANES)), size(4))
            key_scale, key_start, value_log2 = (
                vectors.load(FLOATS, vectors.at(array, place_bytes)) for array in (5, 6, 7)
            )
            within_bytes = builder.mul(builder.add(tile, size(j * LANES)), size(4))
            for i in range(_ROWS):
                number = builder.sitofp(sums[i][j], FLOATS)
                score = vectors.call("fma.v16f32", FLOATS, number, key_scale, key_start)
                score = vectors.call("fma.v16f32", FLOATS, score, scales[i], value_log2)
                vectors.store(score, vectors.at(8, size(i * 4 * _PART), within_bytes))
                so_far = builder.load(best[i])
                higher = builder.fcmp_ordered(">", score, so_far)
                builder.store(builder.select(higher, score, so_far), best[i])
    for i in range(_ROWS):
        largest = vectors.call("vector.reduce.fmax.v16f32", ir.FloatType(), builder.load(best[i]))
        vectors.store(largest, vectors.at(9, size(4 * i)))
    return context.get_dummy_value()


def _emit_weights(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    vectors = Vectors(context, builder, signature.args, values)
    first_position, byte = values[3], ir.VectorType(ir.IntType(8), LANES)
    for i in range(_ROWS):
        largest = vectors.load(ir.FloatType(), vectors.at(1, size(4 * i)))
        shift = vectors.all(builder.fsub(ir.FloatType()(_LOG2_LARGEST_CODE), largest))
        total = vectors.variable(vectors.all(0.0))
        with cgutils.for_range_slice(builder, size(0), size(_PART), size(LANES)) as (place, _):
            place_bytes = builder.mul(place, size(4))
            score = vectors.load(FLOATS, vectors.at(0, size(i * 4 * _PART), place_bytes))
            weight = power_of_two(vectors, builder.fadd(score, shift))
            position_bytes = builder.mul(builder.add(first_position, place), size(4))
            inverse = vectors.load(FLOATS, vectors.at(2, position_bytes))
            added = vectors.call("fma.v16f32", FLOATS, weight, inverse, builder.load(total))
            builder.store(added, total)
            code = builder.fptoui(builder.fadd(weight, vectors.all(0.5)), INTS)
            vectors.store(builder.trunc(code, byte), vectors.at(4, size(i * _PART), place))
        whole = vectors.call(
            *("vector.reduce.fadd.v16f32", ir.FloatType()),
            *(ir.FloatType()(0.0), builder.load(total)),
        )
        vectors.store(whole, vectors.at(5, size(4 * i)))
    return context.get_dummy_value()


def _emit_values(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    vectors = Vectors(context, builder, signature.args, values)
    columns = vectors.at(1, builder.mul(values[2], size(HEAD_DIM)))
    rows = Rows(vectors.at(0), _ROWS, row_bytes=_PART, group_bytes=GROUP)
    sums = sums_of_products(vectors, rows, columns, size(_PART // GROUP), _ACROSS)
    for i in range(_ROWS):
        before, now = (
            vectors.all(vectors.load(ir.FloatType(), vectors.at(array, size(4 * i))))
            for array in (3, 4)
        )
        for j in range(_ACROSS):
            address = vectors.at(5, size(4 * (i * HEAD_DIM + j * LANES)))
            number = builder.fmul(builder.sitofp(sums[i][j], FLOATS), now)
            result = vectors.call(
                "fma.v16f32", FLOATS, vectors.load(FLOATS, address), before, number
            )
            vectors.store(result, address)
    return context.get_dummy_value()


@intrinsic
def _score(
    typing: Any,
    queries: Any,
    first_row: Any,
    query_scales: Any,
    keys: Any,
    first_position: Any,
    key_scales: Any,
    key_starts: Any,
    value_log2s: Any,
    scores: Any,
    largest: Any,
) -> Any:
    """Scores of `_ROWS` queries and `_PART` keys in bits, and the largest of each query."""
    return types.void(
        *(queries, first_row, query_scales, keys, first_position),
        *(key_scales, key_starts, value_log2s, scores, largest),
    ), _emit_scores


@intrinsic
def _weigh(
    typing: Any,
    scores: Any,
    largest: Any,
    value_inverses: Any,
    first_position: Any,
    codes: Any,
    totals: Any,
) -> Any:
    """Powers of two of scores, as bytes relative to the largest; their sums without values."""
    return types.void(scores, largest, value_inverses, first_position, codes, totals), _emit_weights


@intrinsic
def _add_values(
    typing: Any, codes: Any, values: Any, first_position: Any, before: Any, now: Any, results: Any
) -> Any:
    """Results times `before`, plus the weighted sums of values times `now`."""
    return types.void(codes, values, first_position, before, now, results), _emit_values


@inlined
def _pack_keys(length: Any, keys: Any, mean: Any, packed: Any, scales: Any, starts: Any) -> None:
    """Keys less their mean as signed bytes, those of 64 positions side by side."""
    row = np.empty(HEAD_DIM, np.float32)
    for t in range(POSITIONS):
        tile, place = t // _TILE, t % _TILE
        if t >= length:
            scales[t] = starts[t] = np.float32(0.0)
            for j in range(HEAD_DIM):
                packed[tile, j // GROUP, place, j % GROUP] = 0
            continue
        for j in range(HEAD_DIM):
            row[j] = keys[t, j] - mean[j]
        largest = largest_size(row)
        scales[t] = largest * np.float32(1.0 / 127.0)
        inverse = np.float32(127.0) / largest
        total = np.int32(0)
        for j in range(HEAD_DIM):
            code = rounded(row[j] * inverse)
            total += np.int32(code)
            packed[tile, j // GROUP, place, j % GROUP] = code
        # The queries' codes stand around ZERO_CODE.
        starts[t] = -np.float32(ZERO_CODE) * np.float32(total) * scales[t]


@inlined
def _pack_values(length: Any, values: Any, packed: Any, log2s: Any, inverses: Any) -> None:
    """Values as signed bytes, those of four positions side by side, and their scales."""
    for t in range(POSITIONS):
        group, place = t // GROUP, t % GROUP
        if t >= length:
            log2s[t], inverses[t] = _LOWEST, np.float32(0.0)
            for j in range(HEAD_DIM):
                packed[group, j, place] = 0
            continue
        largest = largest_size(values[t])
        log2s[t] = np.log2(largest * np.float32(1.0 / 127.0))
        inverse = np.float32(127.0) / largest
        inverses[t] = inverse
        for j in range(HEAD_DIM):
            packed[group, j, place] = rounded(values[t, j] * inverse)


@compiled
def attention(heads: Any, out: Any) -> None:
    """Attention of every position to every position, for all heads of a window.

    Args:
        heads: queries, keys, values, (3, H, 1500, 64) float32; queries already carry 1/8.
        out: written, (n, 64 H) float32, for the window's n positions, a multiple of 6.
    """
    length = out.shape[0]
    positions = (length + _PART - 1) // _PART * _PART
    for h in prange(heads.shape[1]):
        queries = np.empty((CONTEXT, HEAD_DIM), np.uint8)
        query_scales = np.empty(CONTEXT, np.float32)
        mean = np.zeros(HEAD_DIM, np.float32)
        for t in range(length):
            query_scales[t] = quantize_row(heads[0, h, t], queries[t]) * _LOG2_E
            for j in range(HEAD_DIM):
                mean[j] += heads[1, h, t, j]
        for j in range(HEAD_DIM):
            mean[j] /= np.float32(length)
        keys = np.empty((POSITIONS // _TILE, HEAD_DIM // GROUP, _TILE, GROUP), np.int8)
        key_scales, key_starts = np.empty(POSITIONS, np.float32), np.empty(POSITIONS, np.float32)
        _pack_keys(length, heads[1, h], mean, keys, key_scales, key_starts)
        values = np.empty((POSITIONS // GROUP, HEAD_DIM, GROUP), np.int8)
        value_log2s = np.empty(POSITIONS, np.float32)
        value_inverses = np.empty(POSITIONS, np.float32)
        _pack_values(length, heads[2, h], values, value_log2s, value_inverses)
        scores = np.empty((_ROWS, _PART), np.float32)
        codes = np.empty((_ROWS, _PART), np.uint8)
        results = np.empty((_ROWS, HEAD_DIM), np.float32)
        largest, best = np.empty(_ROWS, np.float32), np.empty(_ROWS, np.float32)
        sums, totals = np.empty(_ROWS, np.float32), np.empty(_ROWS, np.float32)
        before, now = np.empty(_ROWS, np.float32), np.empty(_ROWS, np.float32)
        for first in range(0, length, _ROWS):
            results[:] = 0.0
            totals[:] = 0.0
            best[:] = -3e38
            for position in range(0, positions, _PART):
                _score(  # type: ignore[call-arg]  # numba itself gives the typing context
                    queries,
                    first,
                    query_scales,
                    keys,
                    position,
                    key_scales,
                    key_starts,
                    value_log2s,
                    scores,
                    largest,
                )
                _weigh(scores, largest, value_inverses, position, codes, sums)
                for i in range(_ROWS):
                    highest = max(best[i], largest[i])
                    before[i] = exp((best[i] - highest) * _LN_2)
                    now[i] = exp((largest[i] - highest) * _LN_2)
                    best[i] = highest
                    totals[i] = totals[i] * before[i] + sums[i] * now[i]
                _add_values(codes, values, position, before, now, results)
            for i in range(_ROWS):
                for j in range(HEAD_DIM):
                    out[first + i, h * HEAD_DIM + j] = results[i, j] / totals[i]


class ByteAttention(FloatHeads):
    """The encoder's attention: `take` all rows, then `attend`."""

    def attend(self, out: npt.NDArray[np.float32]) -> None:
        """Write the attention's result for the window's n positions, (n, d)."""
        attention(self._heads, out)
