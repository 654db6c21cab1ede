"""The encoder's attention on Intel's matrix unit (AMX), in one kernel.

torch's attention passes over the scores of every head several times; here the scores of 32 rows
stay in the core's cache from their product to their softmax to the product with the values. numba
has no words for the unit, so its instructions are given to LLVM (Intel's intrinsics guide, AMX-TILE
and AMX-BF16).

A tile is 16 rows of 64 bytes. `tdpbf16ps` multiplies a tile of 16 x 32 bfloat16 by one of 32 x 16,
whose rows lie interleaved in pairs, and adds the product to a tile of 16 x 16 float32.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from longscribe.engine.kernels import CONTEXT, compiled, inlined, to_bfloat16
from longscribe.engine.network import HEAD_DIM
from longscribe.engine.vectors import exponentials, largest_float

_TILE = 16
_STRIP = 2 * _TILE  # rows that are worked on together
POSITIONS = -(-CONTEXT // _STRIP) * _STRIP  # with those that fill up the last strip

_TILE_BYTES = 1024
_HEAD_ROW_BYTES = 2 * HEAD_DIM
_SCORE_ROW_BYTES = 4 * POSITIONS
_WEIGHT_ROW_BYTES = 2 * POSITIONS
_RESULT_ROW_BYTES = 4 * HEAD_DIM
_NO_SCORE = np.float32(-3e38)  # of rows that only fill up the last strip


def tile_shapes() -> npt.NDArray[np.uint8]:
    """What `ldtilecfg` reads: all eight tiles 16 rows of 64 bytes."""
    shapes = np.zeros(64, np.uint8)
    shapes[0] = 1  # the palette
    shapes[16:32:2] = 64  # bytes of a row, two bytes for each tile
    shapes[48:56] = 16  # rows
    return shapes


class _Tiles:
    """Writes the unit's instructions into a function that LLVM builds."""

    def __init__(self, context: Any, builder: Any, kinds: Any, values: Any) -> None:
        self._context, self._builder, self._kinds, self._values = context, builder, kinds, values

    def call(self, name: str, *arguments: Any) -> None:
        kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self._builder.module, kind, f"llvm.x86.{name}")
        self._builder.call(function, arguments)

    def at(self, array: int, offset: int | None = None, more_bytes: int = 0) -> Any:
        """The address of an argument's data, `offset` naming the argument that says how far in."""
        make = self._context.make_array(self._kinds[array])
        data = make(self._context, self._builder, self._values[array]).data
        address = self._builder.bitcast(data, ir.IntType(8).as_pointer())
        if offset is not None:
            address = self._builder.gep(address, [self._values[offset]])
        return self._builder.gep(address, [ir.IntType(64)(more_bytes)])

    def load(self, tile: int, address: Any, row_bytes: int) -> None:
        self.call("tileloadd64", _tile(tile), address, ir.IntType(64)(row_bytes))

    def store(self, tile: int, address: Any, row_bytes: int) -> None:
        self.call("tilestored64", _tile(tile), address, ir.IntType(64)(row_bytes))

    def zero(self, tile: int) -> None:
        self.call("tilezero", _tile(tile))

    def multiply(self, result: int, left: int, right: int) -> None:
        self.call("tdpbf16ps", _tile(result), _tile(left), _tile(right))


def _tile(number: int) -> Any:
    return ir.IntType(8)(number)


# Tiles 0 to 3 hold results. While scores are made, 2 to 5 hold the strip's queries instead (rows
# 0-15 and 16-31, channels 0-31 and 32-63); 6 and 7 hold what is multiplied with.


def _emit_begin(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    tiles = _Tiles(context, builder, signature.args, values)
    tiles.call("ldtilecfg", tiles.at(0))
    return context.get_dummy_value()


def _emit_end(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    _Tiles(context, builder, signature.args, values).call("tilerelease")
    return context.get_dummy_value()


def _emit_queries(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    tiles = _Tiles(context, builder, signature.args, values)
    for tile, (half, part) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1)), start=2):
        start_bytes = half * _TILE * _HEAD_ROW_BYTES + part * 64
        tiles.load(tile, tiles.at(0, 1, start_bytes), _HEAD_ROW_BYTES)
    return context.get_dummy_value()


def _emit_scores(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    tiles = _Tiles(context, builder, signature.args, values)
    tiles.zero(0)
    tiles.zero(1)
    for part, right in ((0, 6), (1, 7)):
        tiles.load(right, tiles.at(0, 1, part * _TILE_BYTES), 64)
        tiles.multiply(0, 2 + part, right)
        tiles.multiply(1, 4 + part, right)
    for half in (0, 1):
        tiles.store(half, tiles.at(2, 3, half * _TILE * _SCORE_ROW_BYTES), _SCORE_ROW_BYTES)
    return context.get_dummy_value()


def _emit_clear(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    tiles = _Tiles(context, builder, signature.args, values)
    for tile in range(4):
        tiles.zero(tile)
    return context.get_dummy_value()


def _emit_values(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    tiles = _Tiles(context, builder, signature.args, values)
    tiles.load(4, tiles.at(0, 1), _WEIGHT_ROW_BYTES)
    tiles.load(5, tiles.at(0, 1, _TILE * _WEIGHT_ROW_BYTES), _WEIGHT_ROW_BYTES)
    for part, right in ((0, 6), (1, 7)):
        tiles.load(right, tiles.at(2, 3, part * _TILE_BYTES), 64)
        tiles.multiply(2 * part, 4, right)
        tiles.multiply(2 * part + 1, 5, right)
    return context.get_dummy_value()


def _emit_results(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    tiles = _Tiles(context, builder, signature.args, values)
    for part in (0, 1):
        for half in (0, 1):
            start_bytes = half * _TILE * _RESULT_ROW_BYTES + part * 64
            tiles.store(2 * part + half, tiles.at(0, 1, start_bytes), _RESULT_ROW_BYTES)
    return context.get_dummy_value()


@intrinsic
def _begin(typing: Any, shapes: Any) -> Any:
    return types.void(shapes), _emit_begin


@intrinsic
def _end(typing: Any) -> Any:
    return types.void(), _emit_end


@intrinsic
def _load_queries(typing: Any, queries: Any, offset_bytes: Any) -> Any:
    return types.void(queries, offset_bytes), _emit_queries


@intrinsic
def _score(typing: Any, keys: Any, key_bytes: Any, scores: Any, score_bytes: Any) -> Any:
    return types.void(keys, key_bytes, scores, score_bytes), _emit_scores


@intrinsic
def _clear(typing: Any) -> Any:
    return types.void(), _emit_clear


@intrinsic
def _add_values(typing: Any, weights: Any, weight_bytes: Any, values: Any, value_bytes: Any) -> Any:
    return types.void(weights, weight_bytes, values, value_bytes), _emit_values


@intrinsic
def _store_results(typing: Any, results: Any, offset_bytes: Any) -> Any:
    return types.void(results, offset_bytes), _emit_results


class MatrixUnitAttention:
    """The encoder's attention: `take` all rows, then `attend`."""

    def __init__(self, heads: int) -> None:
        torch.cpu._init_amx()  # asks the kernel to let this process use the tiles
        self._heads = np.zeros((3, heads, POSITIONS, HEAD_DIM), np.uint16)
        self._shapes = tile_shapes()

    def take(
        self,
        raw: npt.NDArray[np.float32],
        scales: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32],
        first: int,
    ) -> None:
        """Queries, keys and values (n, 3d) of positions from `first` on, as `raw` products."""
        split_heads(raw, scales, bias, self._heads, first)

    def attend(self, out: npt.NDArray[np.float32]) -> None:
        """Write the attention's result for the window's n positions, (n, d)."""
        attention(self._heads, self._shapes, out)


@inlined
def _pair(first: Any, second: Any) -> Any:
    return np.uint32(np.uint32(first) | np.uint32(np.uint32(second) << np.uint32(16)))


@compiled
def split_heads(raw: Any, scale: Any, bias: Any, heads: Any, first: Any) -> None:
    """`kernels.split_heads` into bfloat16, whose bits numba sees as uint16."""
    count = heads.shape[1]
    for i in prange(raw.shape[0]):
        for part in range(3):
            for h in range(count):
                start = (part * count + h) * HEAD_DIM
                for j in range(HEAD_DIM):
                    value = raw[i, start + j] * scale[i] + bias[start + j]
                    heads[part, h, first + i, j] = to_bfloat16(value)


@njit(fastmath=True, error_model="numpy")
def _softmax(scores: Any, length: Any, positions: Any, weights: Any, totals: Any) -> None:
    """Rows of scores into bfloat16 weights, up to a factor: 1 / totals."""
    row_bytes = 4 * positions
    for i in range(scores.shape[0]):
        for t in range(length, positions):
            scores[i, t] = _NO_SCORE
        first_bytes = i * _SCORE_ROW_BYTES
        largest = largest_float(scores, first_bytes, row_bytes)
        totals[i] = exponentials(
            scores, first_bytes, largest, weights, i * _WEIGHT_ROW_BYTES, row_bytes
        )


@compiled
def attention(heads: Any, shapes: Any, out: Any) -> None:
    """Attention of every position to every position, for all heads of a window.

    Args:
        heads: queries, keys, values, (3, H, POSITIONS, 64) bfloat16 as uint16; queries already
            carry 1/8; those past the window's are not looked at.
        shapes: `tile_shapes()`.
        out: written, (n, 64 H) float32, for the window's n positions.
    """
    length = out.shape[0]
    positions = (length + _STRIP - 1) // _STRIP * _STRIP
    for h in prange(heads.shape[1]):
        queries, keys, values = heads[0, h], heads[1, h], heads[2, h]
        # Right-hand tiles: two rows' numbers side by side. Keys are transposed: two channels.
        key_tiles = np.empty((POSITIONS // _TILE, HEAD_DIM // 2, _TILE), np.uint32)
        for tile in range(positions // _TILE):
            for pair in range(HEAD_DIM // 2):
                for i in range(_TILE):
                    row = keys[tile * _TILE + i]
                    key_tiles[tile, pair, i] = _pair(row[2 * pair], row[2 * pair + 1])
        value_tiles = np.empty((2, POSITIONS // 32, 2, _TILE, _TILE), np.uint32)
        for step in range(positions // 32):
            for pair in range(_TILE):
                row, below = values[step * 32 + 2 * pair], values[step * 32 + 2 * pair + 1]
                for part in range(4):
                    for i in range(_TILE):
                        j = part * _TILE + i
                        value_tiles[part // 2, step, part % 2, pair, i] = _pair(row[j], below[j])
        scores = np.empty((_STRIP, POSITIONS), np.float32)
        weights = np.zeros((_STRIP, POSITIONS), np.uint16)
        results = np.empty((_STRIP, HEAD_DIM), np.float32)
        totals = np.empty(_STRIP, np.float32)
        _begin(shapes)  # type: ignore[call-arg]  # numba itself gives the typing context
        for first in range(0, positions, _STRIP):
            _load_queries(queries, first * _HEAD_ROW_BYTES)
            for tile in range(positions // _TILE):
                _score(key_tiles, tile * 2 * _TILE_BYTES, scores, tile * 64)
            _softmax(scores, length, positions, weights, totals)
            for half in range(2):
                _clear()
                for step in range(positions // 32):
                    value_bytes = (half * (POSITIONS // 32) + step) * 2 * _TILE_BYTES
                    _add_values(weights, step * 64, value_tiles, value_bytes)
                _store_results(results, half * 128)
            for i in range(min(_STRIP, length - first)):
                for j in range(HEAD_DIM):
                    out[first + i, h * HEAD_DIM + j] = results[i, j] / totals[i]
        _end()
