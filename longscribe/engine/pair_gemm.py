"""Products of pairs by AVX2, for processors that have no instruction for sums of byte products.

There `vpmaddubsw`, which adds two products of bytes in 16 bits, overflows unless weights are cut to
6 bits, and costs words. `vpmaddwd` (Intel's intrinsics guide, AVX2) multiplies pairs of 16 bits and
adds them in 32: with the addition after it two instructions for 16 products, where bytes take three
for 32 and float32 takes two. Nothing overflows: weights have 8 bits, rows 12, so that up to 8260
inputs fit (large has 5120).

numba has no words for it, so it is given to LLVM.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from longscribe.engine.kernels import Kernel, compiled, inlined
from longscribe.engine.processor import has_short_vnni
from longscribe.engine.vectors import Vectors, size

PAIR = 2  # numbers of 16 bits that one instruction multiplies and adds up
LANES = 8
FLOATS = ir.VectorType(ir.FloatType(), LANES)
INTS = ir.VectorType(ir.IntType(32), LANES)
WORDS = ir.VectorType(ir.IntType(16), PAIR * LANES)
_BYTES = ir.VectorType(ir.IntType(8), PAIR * LANES)

ROWS = 6  # worked on together: with two vectors of sums each, all but 4 registers
_ACROSS = 2
TILE = _ACROSS * LANES  # outputs whose sums are in registers


class Rows(NamedTuple):
    """Where rows of 16 bits lie: the address of the first pair, and the ways in bytes.

    Attributes:
        start: address.
        height: how many rows.
        row_bytes: from one row to the next.
        pair_bytes: from one pair of a row to the next.
    """

    start: Any
    height: int
    row_bytes: int
    pair_bytes: int


def sums_of_pairs(
    vectors: Vectors, rows: Rows, columns: Any, pairs: Any, *, of_bytes: bool
) -> list[list[Any]]:
    """Sums of products of rows and a tile's columns: `rows.height` x 2 vectors of 8 sums.

    Args:
        vectors: writes into the function.
        rows: where they lie.
        columns: address of the columns, pair by pair, a pair's columns side by side.
        pairs: how many there are.
        of_bytes: columns are bytes, widened on the way; 16 bits else.
    """
    builder = vectors.builder
    zero = ir.Constant(INTS, [0] * LANES)
    sums = [[vectors.variable(zero) for _ in range(_ACROSS)] for _ in range(rows.height)]
    vector_bytes = PAIR * LANES * (1 if of_bytes else 2)

    def added(so_far: Any, left: Any, right: Any) -> Any:
        if has_short_vnni():  # vpdpwssd: both in one
            both = (builder.bitcast(left, INTS), builder.bitcast(right, INTS))
            return vectors.call("x86.avx512.vpdpwssd.256", INTS, so_far, *both)
        return builder.add(so_far, vectors.call("x86.avx2.pmadd.wd", INTS, left, right))

    with cgutils.for_range(builder, pairs) as loop:
        column = builder.gep(columns, [builder.mul(loop.index, size(_ACROSS * vector_bytes))])
        row = builder.gep(rows.start, [builder.mul(loop.index, size(rows.pair_bytes))])
        right = []
        for j in range(_ACROSS):
            place = builder.gep(column, [size(vector_bytes * j)])
            if of_bytes:
                right.append(builder.sext(vectors.load(_BYTES, place), WORDS))
            else:
                right.append(vectors.load(WORDS, place))
        for i in range(rows.height):
            pair = builder.gep(row, [size(i * rows.row_bytes)])
            left = builder.bitcast(vectors.all(vectors.load(ir.IntType(32), pair)), WORDS)
            for j in range(_ACROSS):
                builder.store(added(builder.load(sums[i][j]), left, right[j]), sums[i][j])
    return [[builder.load(place) for place in line] for line in sums]


def _products_of(count: int) -> Kernel:
    """A kernel's piece: the products of `count` rows and one tile."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vectors = Vectors(context, builder, signature.args, values, LANES)
        _, first_pair, _, tile, pairs, _, _, first_number, width = values
        start = vectors.at(0, builder.mul(first_pair, size(2 * PAIR)))
        rows = Rows(start, count, row_bytes=2 * PAIR, pair_bytes=2 * PAIR * count)
        columns = vectors.at(2, builder.mul(tile, builder.mul(pairs, size(PAIR * TILE))))
        sums = sums_of_pairs(vectors, rows, columns, pairs, of_bytes=True)
        first = builder.mul(tile, size(4 * TILE))
        for j in range(_ACROSS):
            vector = size(4 * LANES * j)
            scale = vectors.load(FLOATS, vectors.at(5, first, vector))
            for i in range(count):
                row = builder.add(first_number, builder.mul(width, size(i)))
                place = vectors.at(6, builder.mul(row, size(4)), vector)
                vectors.store(builder.fmul(builder.sitofp(sums[i][j], FLOATS), scale), place)
        return context.get_dummy_value()

    def typed(
        typing: Any,
        pairs_of_rows: Any,
        first_pair: Any,
        weights: Any,
        tile: Any,
        pairs: Any,
        scales: Any,
        target: Any,
        first_number: Any,
        width: Any,
    ) -> Any:
        return types.void(
            *(pairs_of_rows, first_pair, weights, tile, pairs, scales),
            *(target, first_number, width),
        ), emit

    piece: Kernel = intrinsic(typed)
    return piece


_six, _four, _two, _one = (_products_of(count) for count in (ROWS, 4, 2, 1))


@inlined
def _together(left: Any) -> Any:
    """How many of the rows that are left are worked on together: there is a piece for each."""
    if left >= ROWS:
        return ROWS
    if left >= 4:
        return 4
    return 2 if left >= 2 else 1


@inlined
def _tile_of(
    joined: Any,
    row: Any,
    weights: Any,
    tile: Any,
    scales: Any,
    together: Any,
    target: Any,
    first_number: Any,
    width: Any,
) -> None:
    """Products of `together` rows and a tile, into `target` from a number on, `width` a row."""
    pairs = weights.shape[1]
    first = row * pairs
    if together == ROWS:
        _six(joined, first, weights, tile, pairs, scales, target, first_number, width)
    elif together == 4:
        _four(joined, first, weights, tile, pairs, scales, target, first_number, width)
    elif together == 2:
        _two(joined, first, weights, tile, pairs, scales, target, first_number, width)
    else:
        _one(joined, first, weights, tile, pairs, scales, target, first_number, width)


@compiled
def _multiply(pairs_of_rows: Any, weights: Any, scales: Any, out: Any) -> None:
    """Rows by weights.

    Args:
        pairs_of_rows: the rows' codes, two in each int32, (n, in / 2).
        weights: (tiles, in / 2, 16, 2) int8.
        scales: of the outputs, (16 tiles,) float32.
        out: written, (n, out) float32.
    """
    n, outputs = out.shape
    tiles, pairs = weights.shape[0], weights.shape[1]
    # Those of rows that are worked on together side by side: one address leads to all of them.
    joined = np.empty(n * pairs, np.int32)
    row = 0
    while row < n:
        together = _together(n - row)
        for p in range(pairs):
            for i in range(together):
                joined[row * pairs + p * together + i] = pairs_of_rows[row + i, p]
        row += together
    whole = outputs // TILE
    for tile in prange(whole):
        row = 0
        while row < n:
            together = _together(n - row)
            first = row * outputs + tile * TILE
            _tile_of(joined, row, weights, tile, scales, together, out, first, outputs)
            row += together
    if whole < tiles:
        part = np.empty((ROWS, TILE), np.float32)
        row = 0
        while row < n:
            together = _together(n - row)
            _tile_of(joined, row, weights, whole, scales, together, part, 0, TILE)
            for i in range(together):
                for j in range(outputs - whole * TILE):
                    out[row + i, whole * TILE + j] = part[i, j]
            row += together


class PairTiles(NamedTuple):
    """Weights in the order in which they are read.

    Attributes:
        weights: (tiles, in / 2, 16, 2) int8; outputs that fill up the last tile are zero.
        scales: of the outputs, (16 tiles,) float32.
    """

    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]


def pair_tiled(codes: npt.NDArray[np.int8], scales: npt.NDArray[np.float32]) -> PairTiles:
    """Weights (out, in) and the scales of their outputs, (out,)."""
    outputs, inputs = codes.shape
    filling = -outputs % TILE
    filled = np.pad(codes, ((0, filling), (0, 0)))
    ordered = filled.reshape(-1, TILE, inputs // PAIR, PAIR).transpose(0, 2, 1, 3)
    return PairTiles(np.ascontiguousarray(ordered), np.pad(scales, (0, filling)))


def multiplied_in_pairs(
    codes: npt.NDArray[np.int16], tiles: PairTiles, outputs: int
) -> npt.NDArray[np.float32]:
    """The product of rows (n, in) and weights, times the outputs' scales: (n, outputs)."""
    out = np.empty((len(codes), outputs), np.float32)
    _multiply(codes.view(np.int32), *tiles, out)
    return out
