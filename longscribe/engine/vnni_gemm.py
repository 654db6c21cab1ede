"""Products of bytes by AVX-512 VNNI: the decoder's linear layers, a step at a time.

A step multiplies one row for each window under way, up to some 30, by all the decoder's weights:
it waits for memory. oneDNN, made for large products, reads them at 6 to 15 GB/s and takes 25 us for
each layer beside; a core reads twice that (benchmarks/NOTES.md). So the weights lie in the order in
which they are read, and a tile of them stays in the core's cache until all rows had it.

numba has no words for `vpdpbusd` (Intel's intrinsics guide, AVX512_VNNI), which adds products of
four unsigned and four signed bytes to each of 16 sums, so it is given to LLVM.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from longscribe.engine.kernels import ZERO_CODE, Kernel, compiled, inlined
from longscribe.engine.vectors import FLOATS, INTS, LANES, Vectors, size

GROUP = 4  # bytes that one instruction multiplies and adds up

_ROWS = 12  # worked on together: with two vectors of sums each, all but 8 registers
_ACROSS = 2
_TILE = _ACROSS * LANES  # outputs whose sums are in registers
_AHEAD_BYTES = 4096  # how far ahead of the arithmetic weights are fetched


class Rows(NamedTuple):
    """Where unsigned rows lie: the address of the first one's bytes, and the ways in bytes.

    Attributes:
        start: address.
        height: how many rows.
        row_bytes: from one row to the next.
        group_bytes: from one group of a row's bytes to the next.
    """

    start: Any
    height: int
    row_bytes: int
    group_bytes: int


def sums_of_products(
    vectors: Vectors, rows: Rows, columns: Any, groups: Any, across: int, ahead_bytes: int = 0
) -> list[list[Any]]:
    """Sums of products of unsigned rows and signed columns: `rows.height` x `across` vectors.

    Args:
        vectors: writes into the function.
        rows: where they lie.
        columns: address of the columns, group by group, a group's columns side by side.
        groups: how many of four bytes there are.
        across: vectors of columns.
        ahead_bytes: how far ahead the columns are fetched.
    """
    builder = vectors.builder
    zero = ir.Constant(INTS, [0] * LANES)
    sums = [[vectors.variable(zero) for _ in range(across)] for _ in range(rows.height)]
    vector_bytes = 4 * LANES
    with cgutils.for_range(builder, groups) as loop:
        column = builder.gep(columns, [builder.mul(loop.index, size(across * vector_bytes))])
        row = builder.gep(rows.start, [builder.mul(loop.index, size(rows.group_bytes))])
        places = [builder.gep(column, [size(vector_bytes * i)]) for i in range(across)]
        if ahead_bytes:
            for place in places:
                vectors.fetch(builder.gep(place, [size(ahead_bytes)]))
        right = [vectors.load(INTS, place) for place in places]
        for i in range(rows.height):
            word = builder.gep(row, [size(i * rows.row_bytes)])
            left = vectors.all(vectors.load(ir.IntType(32), word))
            for j in range(across):
                added = vectors.call(
                    "x86.avx512.vpdpbusd.512", INTS, builder.load(sums[i][j]), left, right[j]
                )
                builder.store(added, sums[i][j])
    return [[builder.load(place) for place in line] for line in sums]


def _products_of(count: int) -> Kernel:
    """A kernel's piece: the products of `count` rows and one tile."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vectors = Vectors(context, builder, signature.args, values)
        _, first_word, _, tile, groups, _, _, _, first_number, width = values
        start = vectors.at(0, builder.mul(first_word, size(GROUP)))
        rows = Rows(start, count, row_bytes=GROUP, group_bytes=GROUP * count)
        tile_bytes = builder.mul(groups, size(GROUP * _TILE))
        columns = vectors.at(2, builder.mul(tile, tile_bytes))
        sums = sums_of_products(vectors, rows, columns, groups, _ACROSS, _AHEAD_BYTES)
        first = builder.mul(tile, size(4 * _TILE))
        for j in range(_ACROSS):
            vector = size(4 * LANES * j)
            offset = vectors.load(INTS, vectors.at(5, first, vector))
            scale = vectors.load(FLOATS, vectors.at(6, first, vector))
            for i in range(count):
                number = builder.sitofp(builder.sub(sums[i][j], offset), FLOATS)
                row = builder.add(first_number, builder.mul(width, size(i)))
                place = vectors.at(7, builder.mul(row, size(4)), vector)
                vectors.store(builder.fmul(number, scale), place)
        return context.get_dummy_value()

    def typed(
        typing: Any,
        words: Any,
        first_word: Any,
        weights: Any,
        tile: Any,
        groups: Any,
        offsets: Any,
        scales: Any,
        target: Any,
        first_number: Any,
        width: Any,
    ) -> Any:
        return types.void(
            *(words, first_word, weights, tile, groups, offsets, scales),
            *(target, first_number, width),
        ), emit

    piece: Kernel = intrinsic(typed)
    return piece


_twelve, _eight, _four, _two, _one = (_products_of(count) for count in (_ROWS, 8, 4, 2, 1))


@inlined
def _together(left: Any) -> Any:
    """How many of the rows that are left are worked on together: there is a piece for each."""
    if left >= _ROWS:
        return _ROWS
    if left >= 8:
        return 8
    if left >= 4:
        return 4
    return 2 if left >= 2 else 1


@inlined
def _tile_of(
    joined: Any,
    row: Any,
    weights: Any,
    tile: Any,
    offsets: Any,
    scales: Any,
    together: Any,
    target: Any,
    first_number: Any,
    width: Any,
) -> None:
    """Products of `together` rows and a tile, into `target` from a number on, `width` a row."""
    groups = weights.shape[1]
    word = row * groups
    if together == _ROWS:
        _twelve(joined, word, weights, tile, groups, offsets, scales, target, first_number, width)
    elif together == 8:
        _eight(joined, word, weights, tile, groups, offsets, scales, target, first_number, width)
    elif together == 4:
        _four(joined, word, weights, tile, groups, offsets, scales, target, first_number, width)
    elif together == 2:
        _two(joined, word, weights, tile, groups, offsets, scales, target, first_number, width)
    else:
        _one(joined, word, weights, tile, groups, offsets, scales, target, first_number, width)


@compiled
def _multiply(words: Any, weights: Any, offsets: Any, scales: Any, out: Any) -> None:
    """Rows by weights.

    Args:
        words: the rows' codes around `ZERO_CODE`, four in each int32, (n, in / 4).
        weights: (tiles, in / 4, 32, 4) int8.
        offsets: what `ZERO_CODE` adds to each output, (32 tiles,) int32.
        scales: of the outputs, (32 tiles,) float32.
        out: written, (n, out) float32.
    """
    n, outputs = out.shape
    tiles, groups = weights.shape[0], weights.shape[1]
    # Those of rows that are worked on together side by side: one address leads to all of them.
    joined = np.empty(n * groups, np.int32)
    row = 0
    while row < n:
        together = _together(n - row)
        for g in range(groups):
            for i in range(together):
                joined[row * groups + g * together + i] = words[row + i, g]
        row += together
    whole = outputs // _TILE
    for tile in prange(whole):
        row = 0
        while row < n:
            together = _together(n - row)
            first = row * outputs + tile * _TILE
            _tile_of(joined, row, weights, tile, offsets, scales, together, out, first, outputs)
            row += together
    if whole < tiles:
        part = np.empty((_ROWS, _TILE), np.float32)
        row = 0
        while row < n:
            together = _together(n - row)
            _tile_of(joined, row, weights, whole, offsets, scales, together, part, 0, _TILE)
            for i in range(together):
                for j in range(outputs - whole * _TILE):
                    out[row + i, whole * _TILE + j] = part[i, j]
            row += together


class Tiles(NamedTuple):
    """Weights in the order in which they are read, and what completes their products.

    Attributes:
        weights: (tiles, in / 4, 32, 4) int8; outputs that fill up the last tile are zero.
        offsets: what rows' zeros, being `ZERO_CODE`, add to the outputs, (32 tiles,) int32.
        scales: of the outputs, (32 tiles,) float32.
    """

    weights: npt.NDArray[np.int8]
    offsets: npt.NDArray[np.int32]
    scales: npt.NDArray[np.float32]


def tiled(codes: npt.NDArray[np.int8], scales: npt.NDArray[np.float32]) -> Tiles:
    """Weights (out, in) and the scales of their outputs, (out,)."""
    outputs, inputs = codes.shape
    filling = -outputs % _TILE
    filled = np.pad(codes, ((0, filling), (0, 0)))
    ordered = filled.reshape(-1, _TILE, inputs // GROUP, GROUP).transpose(0, 2, 1, 3)
    offsets = ZERO_CODE * filled.sum(axis=1, dtype=np.int32)
    return Tiles(np.ascontiguousarray(ordered), offsets, np.pad(scales, (0, filling)))


def multiplied(codes: npt.NDArray[np.uint8], tiles: Tiles, outputs: int) -> npt.NDArray[np.float32]:
    """The product of rows (n, in) and weights, times the outputs' scales: (n, outputs)."""
    out = np.empty((len(codes), outputs), np.float32)
    _multiply(codes.view(np.int32), *tiles, out)
    return out
