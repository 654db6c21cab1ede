"""Products of pairs by AVX2 or AVX-512, where no instruction adds up products of bytes.

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
from longscribe.engine.processor import has_long_vectors, has_short_vnni
from longscribe.engine.vectors import Vectors, size

PAIR = 2  # numbers of 16 bits that one instruction multiplies and adds up

_LANES = 16 if has_long_vectors() else 8
_ROWS = 12 if has_long_vectors() else 6  # worked on together: their sums fill the registers
_ACROSS = 2
_TILE = _ACROSS * _LANES  # outputs whose sums are in registers
_FLOATS = ir.VectorType(ir.FloatType(), _LANES)


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
    vectors: Vectors, rows: Rows, columns: Any, pairs: Any, across: int, *, of_bytes: bool
) -> list[list[Any]]:
    """Sums of products of rows and a tile's columns: `rows.height` x `across` vectors.

    Args:
        vectors: writes into the function, vectors of 8 or 16 sums.
        rows: where they lie.
        columns: address of the columns, pair by pair, a pair's columns side by side.
        pairs: how many there are.
        across: vectors of columns.
        of_bytes: columns are bytes, widened on the way; 16 bits else.
    """
    builder, lanes = vectors.builder, vectors.lanes
    ints = ir.VectorType(ir.IntType(32), lanes)
    words = ir.VectorType(ir.IntType(16), PAIR * lanes)
    stored = ir.VectorType(ir.IntType(8), PAIR * lanes) if of_bytes else words
    zero = ir.Constant(ints, [0] * lanes)
    sums = [[vectors.variable(zero) for _ in range(across)] for _ in range(rows.height)]
    vector_bytes = PAIR * lanes * (1 if of_bytes else 2)
    product = "x86.avx2.pmadd.wd" if lanes == 8 else "x86.avx512.pmaddw.d.512"

    def added(so_far: Any, left: Any, right: Any) -> Any:
        if has_short_vnni() and lanes == 8:  # vpdpwssd: both in one
            both = (builder.bitcast(left, ints), builder.bitcast(right, ints))
            return vectors.call("x86.avx512.vpdpwssd.256", ints, so_far, *both)
        return builder.add(so_far, vectors.call(product, ints, left, right))

    with cgutils.for_range(builder, pairs) as loop:
        column = builder.gep(columns, [builder.mul(loop.index, size(across * vector_bytes))])
        row = builder.gep(rows.start, [builder.mul(loop.index, size(rows.pair_bytes))])
        right = []
        for j in range(across):
            place = builder.gep(column, [size(vector_bytes * j)])
            taken = vectors.load(stored, place)
            right.append(builder.sext(taken, words) if of_bytes else taken)
        for i in range(rows.height):
            pair = builder.gep(row, [size(i * rows.row_bytes)])
            left = builder.bitcast(vectors.all(vectors.load(ir.IntType(32), pair)), words)
            for j in range(across):
                builder.store(added(builder.load(sums[i][j]), left, right[j]), sums[i][j])
    return [[builder.load(place) for place in line] for line in sums]


def _products_of(count: int) -> Kernel:
    """A kernel's piece: the products of `count` rows and one tile."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vectors = Vectors(context, builder, signature.args, values, _LANES)
        _, first_pair, _, tile, pairs, _, _, first_number, width = values
        start = vectors.at(0, builder.mul(first_pair, size(2 * PAIR)))
        rows = Rows(start, count, row_bytes=2 * PAIR, pair_bytes=2 * PAIR * count)
        columns = vectors.at(2, builder.mul(tile, builder.mul(pairs, size(PAIR * _TILE))))
        sums = sums_of_pairs(vectors, rows, columns, pairs, _ACROSS, of_bytes=True)
        first = builder.mul(tile, size(4 * _TILE))
        for j in range(_ACROSS):
            vector = size(4 * _LANES * j)
            scale = vectors.load(_FLOATS, vectors.at(5, first, vector))
            for i in range(count):
                row = builder.add(first_number, builder.mul(width, size(i)))
                place = vectors.at(6, builder.mul(row, size(4)), vector)
                vectors.store(builder.fmul(builder.sitofp(sums[i][j], _FLOATS), scale), place)
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


_most, _four, _two, _one = (_products_of(count) for count in (_ROWS, 4, 2, 1))


@inlined
def _together(left: Any) -> Any:
    """How many of the rows that are left are worked on together: there is a piece for each."""
    if left >= _ROWS:
        return _ROWS
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
    if together == _ROWS:
        _most(joined, first, weights, tile, pairs, scales, target, first_number, width)
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
        weights: (tiles, in / 2, 16 or 32, 2) int8.
        scales: of the outputs, float32, those that fill up the last tile included.
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
    whole = outputs // _TILE
    for tile in prange(whole):
        row = 0
        while row < n:
            together = _together(n - row)
            first = row * outputs + tile * _TILE
            _tile_of(joined, row, weights, tile, scales, together, out, first, outputs)
            row += together
    if whole < tiles:
        part = np.empty((_ROWS, _TILE), np.float32)
        row = 0
        while row < n:
            together = _together(n - row)
            _tile_of(joined, row, weights, whole, scales, together, part, 0, _TILE)
            for i in range(together):
                for j in range(outputs - whole * _TILE):
                    out[row + i, whole * _TILE + j] = part[i, j]
            row += together


class PairTiles(NamedTuple):
    """Weights in the order in which they are read.

    Attributes:
        weights: (tiles, in / 2, 16 or 32, 2) int8; outputs that fill up the last tile are zero.
        scales: of the outputs, float32, with those.
    """

    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]


def pair_tiled(codes: npt.NDArray[np.int8], scales: npt.NDArray[np.float32]) -> PairTiles:
    """Weights (out, in) and the scales of their outputs, (out,)."""
    outputs, inputs = codes.shape
    filling = -outputs % _TILE
    filled = np.pad(codes, ((0, filling), (0, 0)))
    ordered = filled.reshape(-1, _TILE, inputs // PAIR, PAIR).transpose(0, 2, 1, 3)
    return PairTiles(np.ascontiguousarray(ordered), np.pad(scales, (0, filling)))


def multiplied_in_pairs(
    codes: npt.NDArray[np.int16], tiles: PairTiles, outputs: int
) -> npt.NDArray[np.float32]:
    """The product of rows (n, in) and weights, times the outputs' scales: (n, outputs)."""
    out = np.empty((len(codes), outputs), np.float32)
    _multiply(codes.view(np.int32), *tiles, out)
    return out
