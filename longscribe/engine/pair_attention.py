"""The encoder's attention in pairs of 16 bits, for processors with AVX2 and no more.

As exact as float32 to what rounding to 12 bits leaves, in half the products' time (pair_gemm.py).
Queries and keys have a scale for each position, values one for each channel; weights are 14 bits
relative to the largest of their 256 positions. Scores never leave the core's cache: each part of
them is weighed and multiplied with the values before the next is computed (FlashAttention,
arXiv:2205.14135), for several groups of queries while a part's keys and values are near.
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
    LARGEST_PAIR_CODE,
    compiled,
    exp,
    inlined,
    largest_size,
    quantize_row,
)
from longscribe.engine.network import HEAD_DIM
from longscribe.engine.pair_gemm import PAIR, Rows, sums_of_pairs
from longscribe.engine.vectors import Vectors, size

_LANES = 8
_FLOATS = ir.VectorType(ir.FloatType(), _LANES)
_INTS = ir.VectorType(ir.IntType(32), _LANES)
_WORDS = ir.VectorType(ir.IntType(16), PAIR * _LANES)

_ROWS = 6  # queries worked on together: with two vectors of sums each, all but 4 registers
_ACROSS = 2
_TILE = _ACROSS * _LANES  # positions, or channels of values, whose sums are in registers
_GROUPS = 10  # of queries that take turns at a part's keys and values; 1500 / 6 is a multiple
_PART = 256  # positions whose scores are weighed together
_SUMMED = 64  # positions whose products fit into a sum: 64 * 16383 * 2047 < 2^31
POSITIONS = -(-CONTEXT // _PART) * _PART  # with those that fill up the last part

_LOG2_E = np.float32(1.4426950408889634)
_LN_2 = np.float32(0.6931471805599453)
_LOWEST = np.float32(-1e30)  # of positions that only fill up the last part
_LOG2_LARGEST_WEIGHT = 13.99991  # of 16383

# 2^x for -0.5 <= x <= 0.5, to 3e-6 relative.
_POWERS = (0.99999919, 0.69312196, 0.24024981, 0.05591708, 0.00956052)


def _power_of_two(vectors: Vectors, exponent: Any) -> Any:
    """2^exponent of a vector of floats from -30 on; lower ones count as -30."""
    builder = vectors.builder
    lowest = vectors.all(-30.0)
    above = builder.fcmp_ordered(">", exponent, lowest)
    exponent = builder.select(above, exponent, lowest)
    whole = vectors.call("rint.v8f32", _FLOATS, exponent)
    part = builder.fsub(exponent, whole)
    power = vectors.all(_POWERS[-1])
    for lower in reversed(_POWERS[:-1]):
        power = vectors.call("fma.v8f32", _FLOATS, power, part, vectors.all(lower))
    places = ir.Constant(_INTS, [23] * _LANES)
    shifted = builder.shl(vectors.call("x86.avx.cvt.ps2dq.256", _INTS, whole), places)
    return builder.bitcast(builder.add(builder.bitcast(power, _INTS), shifted), _FLOATS)


def _emit_scores(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    vectors = Vectors(context, builder, signature.args, values, _LANES)
    first_row, first_position = values[1], values[4]
    start = vectors.at(0, builder.mul(first_row, size(2 * HEAD_DIM)))
    rows = Rows(start, _ROWS, row_bytes=2 * HEAD_DIM, pair_bytes=2 * PAIR)
    best = [vectors.variable(vectors.all(-3.0e38)) for _ in range(_ROWS)]
    with cgutils.for_range_slice(builder, size(0), size(_PART), size(_TILE)) as (tile, _):
        position = builder.add(first_position, tile)
        columns = vectors.at(3, builder.mul(position, size(2 * HEAD_DIM)))
        sums = sums_of_pairs(
            vectors, rows, columns, size(HEAD_DIM // PAIR), _ACROSS, of_bytes=False
        )
        for i in range(_ROWS):
            row_bytes = builder.mul(builder.add(first_row, size(i)), size(4))
            scale = vectors.all(vectors.load(ir.FloatType(), vectors.at(2, row_bytes)))
            for j in range(_ACROSS):
                place_bytes = builder.mul(builder.add(position, size(j * _LANES)), size(4))
                key_scale, shift = (
                    vectors.load(_FLOATS, vectors.at(array, place_bytes)) for array in (5, 6)
                )
                number = builder.fmul(builder.sitofp(sums[i][j], _FLOATS), key_scale)
                score = vectors.call("fma.v8f32", _FLOATS, number, scale, shift)
                within_bytes = builder.mul(builder.add(tile, size(j * _LANES)), size(4))
                vectors.store(score, vectors.at(7, size(i * 4 * _PART), within_bytes))
                so_far = builder.load(best[i])
                higher = builder.fcmp_ordered(">", score, so_far)
                builder.store(builder.select(higher, score, so_far), best[i])
    for i in range(_ROWS):
        largest = vectors.call("vector.reduce.fmax.v8f32", ir.FloatType(), builder.load(best[i]))
        vectors.store(largest, vectors.at(8, size(4 * i)))
    return context.get_dummy_value()


def _emit_weights(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    vectors = Vectors(context, builder, signature.args, values, _LANES)
    order = ir.Constant(ir.VectorType(ir.IntType(32), 2 * _LANES), list(range(2 * _LANES)))
    for i in range(_ROWS):
        largest = vectors.load(ir.FloatType(), vectors.at(1, size(4 * i)))
        shift = vectors.all(builder.fsub(ir.FloatType()(_LOG2_LARGEST_WEIGHT), largest))
        totals = [vectors.variable(vectors.all(0.0)) for _ in range(2)]
        with cgutils.for_range_slice(builder, size(0), size(_PART), size(2 * _LANES)) as (place, _):
            codes = []
            for number, total in enumerate(totals):
                place_bytes = builder.mul(builder.add(place, size(number * _LANES)), size(4))
                score = vectors.load(_FLOATS, vectors.at(0, size(i * 4 * _PART), place_bytes))
                weight = _power_of_two(vectors, builder.fadd(score, shift))
                builder.store(builder.fadd(builder.load(total), weight), total)
                codes.append(vectors.call("x86.avx.cvt.ps2dq.256", _INTS, weight))
            words = builder.trunc(builder.shuffle_vector(*codes, order), _WORDS)
            vectors.store(words, vectors.at(2, size(i * 2 * _PART), builder.mul(place, size(2))))
        whole = vectors.call(
            *("vector.reduce.fadd.v8f32", ir.FloatType(), ir.FloatType()(-0.0)),
            builder.fadd(*(builder.load(total) for total in totals)),
        )
        vectors.store(whole, vectors.at(3, size(4 * i)))
    return context.get_dummy_value()


def _emit_values(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    vectors = Vectors(context, builder, signature.args, values, _LANES)
    now = [
        vectors.all(vectors.load(ir.FloatType(), vectors.at(3, size(4 * i)))) for i in range(_ROWS)
    ]
    with cgutils.for_range_slice(builder, size(0), size(_PART), size(_SUMMED)) as (place, _):
        position = builder.add(values[2], place)
        rows = Rows(
            vectors.at(0, builder.mul(place, size(2))),
            *(_ROWS, 2 * _PART, 2 * PAIR),
        )
        with cgutils.for_range_slice(builder, size(0), size(HEAD_DIM), size(_TILE)) as (channel, _):
            tile = builder.mul(channel, size(2 * POSITIONS))
            columns = vectors.at(1, tile, builder.mul(position, size(2 * _TILE)))
            sums = sums_of_pairs(
                vectors, rows, columns, size(_SUMMED // PAIR), _ACROSS, of_bytes=False
            )
            for i in range(_ROWS):
                for j in range(_ACROSS):
                    offset = builder.add(channel, size(i * HEAD_DIM + j * _LANES))
                    address = vectors.at(4, builder.mul(offset, size(4)))
                    number = builder.sitofp(sums[i][j], _FLOATS)
                    so_far = vectors.load(_FLOATS, address)
                    vectors.store(
                        vectors.call("fma.v8f32", _FLOATS, number, now[i], so_far), address
                    )
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
    shifts: Any,
    scores: Any,
    largest: Any,
) -> Any:
    """Scores of `_ROWS` queries and `_PART` keys in bits, and the largest of each query."""
    return types.void(
        *(queries, first_row, query_scales, keys, first_position),
        *(key_scales, shifts, scores, largest),
    ), _emit_scores


@intrinsic
def _weigh(typing: Any, scores: Any, largest: Any, codes: Any, totals: Any) -> Any:
    """Powers of two of scores, as 14 bits relative to the largest, and their sums."""
    return types.void(scores, largest, codes, totals), _emit_weights


@intrinsic
def _add_values(
    typing: Any, codes: Any, values: Any, first_position: Any, now: Any, results: Any
) -> Any:
    """Add the weighted sums of values times `now` to results."""
    return types.void(codes, values, first_position, now, results), _emit_values


@inlined
def _to_pair_code(x: Any) -> Any:
    return np.int16(np.int32(np.floor(x + np.float32(0.5))))


@inlined
def _pack_keys(length: Any, keys: Any, packed: Any, scales: Any, shifts: Any) -> None:
    """Keys as 16 bits, those of 16 positions side by side, and the scale of each."""
    for t in range(POSITIONS):
        tile, place = t // _TILE, t % _TILE
        if t >= length:
            scales[t], shifts[t] = np.float32(0.0), _LOWEST
            for j in range(HEAD_DIM):
                packed[tile, j // PAIR, place, j % PAIR] = 0
            continue
        largest = largest_size(keys[t])
        scales[t], shifts[t] = largest * np.float32(1.0 / LARGEST_PAIR_CODE), np.float32(0.0)
        inverse = np.float32(LARGEST_PAIR_CODE) / largest
        for j in range(HEAD_DIM):
            packed[tile, j // PAIR, place, j % PAIR] = _to_pair_code(keys[t, j] * inverse)


@inlined
def _pack_values(length: Any, values: Any, packed: Any, scales: Any) -> None:
    """Values as 16 bits, those of two positions side by side, and the scale of each channel."""
    inverses = np.empty(HEAD_DIM, np.float32)
    scales[:] = np.float32(1e-12)
    for t in range(length):
        for j in range(HEAD_DIM):
            scales[j] = max(scales[j], abs(values[t, j]))
    for j in range(HEAD_DIM):
        inverses[j] = np.float32(LARGEST_PAIR_CODE) / scales[j]
        scales[j] *= np.float32(1.0 / LARGEST_PAIR_CODE)
    for t in range(POSITIONS):
        for j in range(HEAD_DIM):
            code = np.int16(0)
            if t < length:
                code = _to_pair_code(values[t, j] * inverses[j])
            packed[j // _TILE, t // PAIR, j % _TILE, t % PAIR] = code


@compiled
def pair_attention(heads: Any, out: Any) -> None:
    """Attention of every position to every position, for all heads of a window.

    Args:
        heads: queries, keys, values, (3, H, 1500, 64) float32; queries already carry 1/8.
        out: written, (n, 64 H) float32, for the window's n positions, a multiple of 60.
    """
    length = out.shape[0]
    for h in prange(heads.shape[1]):
        queries = np.empty((CONTEXT, HEAD_DIM), np.int16)
        query_scales = np.empty(CONTEXT, np.float32)
        for t in range(length):
            query_scales[t] = quantize_row(heads[0, h, t], queries[t]) * _LOG2_E
        keys = np.empty((POSITIONS // _TILE, HEAD_DIM // PAIR, _TILE, PAIR), np.int16)
        key_scales, shifts = np.empty(POSITIONS, np.float32), np.empty(POSITIONS, np.float32)
        _pack_keys(length, heads[1, h], keys, key_scales, shifts)
        values = np.empty((HEAD_DIM // _TILE, POSITIONS // PAIR, _TILE, PAIR), np.int16)
        value_scales = np.empty(HEAD_DIM, np.float32)
        _pack_values(length, heads[2, h], values, value_scales)
        scores = np.empty((_ROWS, _PART), np.float32)
        codes = np.empty((_ROWS, _PART), np.int16)
        results = np.empty((_GROUPS, _ROWS, HEAD_DIM), np.float32)
        best = np.empty((_GROUPS, _ROWS), np.float32)
        totals = np.empty((_GROUPS, _ROWS), np.float32)
        largest, sums = np.empty(_ROWS, np.float32), np.empty(_ROWS, np.float32)
        now = np.empty(_ROWS, np.float32)
        for first in range(0, length, _GROUPS * _ROWS):
            results[:] = 0.0
            totals[:] = 0.0
            best[:] = -3e38
            for position in range(0, (length + _PART - 1) // _PART * _PART, _PART):
                for g in range(_GROUPS):
                    _score(  # type: ignore[call-arg]  # numba itself gives the typing context
                        queries,
                        first + g * _ROWS,
                        query_scales,
                        keys,
                        position,
                        key_scales,
                        shifts,
                        scores,
                        largest,
                    )
                    _weigh(scores, largest, codes, sums)
                    for i in range(_ROWS):
                        highest = max(best[g, i], largest[i])
                        before = exp((best[g, i] - highest) * _LN_2)
                        now[i] = exp((largest[i] - highest) * _LN_2)
                        best[g, i] = highest
                        totals[g, i] = totals[g, i] * before + sums[i] * now[i]
                        if before != np.float32(1.0):
                            for j in range(HEAD_DIM):
                                results[g, i, j] *= before
                    _add_values(codes, values, position, now, results[g])
            for g in range(_GROUPS):
                for i in range(_ROWS):
                    for j in range(HEAD_DIM):
                        result = results[g, i, j] * value_scales[j] / totals[g, i]
                        out[first + g * _ROWS + i, h * HEAD_DIM + j] = result


class PairAttention(FloatHeads):
    """The encoder's attention: `take` all rows, then `attend`."""

    def attend(self, out: npt.NDArray[np.float32]) -> None:
        """Write the attention's result for the window's n positions, (n, d)."""
        pair_attention(self._heads, out)
