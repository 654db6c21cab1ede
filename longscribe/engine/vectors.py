"""Vectors given to LLVM; softmax's two loops by them, for processors with AVX-512.

numba compiles scalar code and LLVM makes vectors of it, but not for maxima of floats, and not with
the instruction that scales by powers of two (`vscalefps`, Intel's intrinsics guide, AVX512F). Given
to LLVM as vectors, they take 0.6 of the time.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from longscribe.engine.kernels import Kernel

LANES = 16
FLOATS = ir.VectorType(ir.FloatType(), LANES)
INTS = ir.VectorType(ir.IntType(32), LANES)
_WORDS = ir.VectorType(ir.IntType(16), 2 * LANES)
_UNROLLED = 2


class Vectors:
    """Writes vector instructions into a function that LLVM builds.

    Attributes:
        builder: of the function.
        values: its arguments.
        lanes: numbers of 32 bits in a vector.
    """

    def __init__(
        self, context: Any, builder: Any, kinds: Any, values: Any, lanes: int = LANES
    ) -> None:
        self._context, self.builder, self._kinds, self.values = context, builder, kinds, values
        self.lanes = lanes

    def call(self, name: str, result: Any, *arguments: Any) -> Any:
        """Call one of LLVM's intrinsics."""
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}")
        return self.builder.call(function, arguments)

    def at(self, array: int, *offsets_bytes: Any) -> Any:
        """The address of an argument's data, some bytes further."""
        make = self._context.make_array(self._kinds[array])
        data = make(self._context, self.builder, self.values[array]).data
        address = self.builder.bitcast(data, ir.IntType(8).as_pointer())
        for offset in offsets_bytes:
            address = self.builder.gep(address, [offset])
        return address

    def load(self, kind: Any, address: Any) -> Any:
        """What lies at an address, aligned or not."""
        pointer = self.builder.bitcast(address, kind.as_pointer())
        return self.builder.load(pointer, align=1)

    def store(self, value: Any, address: Any) -> None:
        """Put a value at an address, aligned or not."""
        pointer = self.builder.bitcast(address, value.type.as_pointer())
        self.builder.store(value, pointer, align=1)

    def fetch(self, address: Any) -> None:
        """Fetch a cache line ahead of its use; past the end of the memory it does nothing."""
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        read, keep_in_l2, data = number(0), number(2), number(1)
        self.builder.call(function, [address, read, keep_in_l2, data])

    def all(self, number: Any) -> Any:
        """A vector of one number; a Python float becomes a constant."""
        if isinstance(number, float):
            return ir.Constant(ir.VectorType(ir.FloatType(), self.lanes), [number] * self.lanes)
        empty = ir.Constant(ir.VectorType(number.type, self.lanes), ir.Undefined)
        one = self.builder.insert_element(empty, number, ir.IntType(32)(0))
        order = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, empty, order)

    def variable(self, value: Any) -> Any:
        """A vector that a loop changes; LLVM keeps it in a register."""
        place = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, place)
        return place


def size(number: int) -> Any:
    """A number that offsets are counted in."""
    return ir.IntType(64)(number)


def _emit_largest(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    vectors = Vectors(context, builder, signature.args, values)
    lowest = vectors.all(-3.0e38)
    places = [vectors.variable(lowest) for _ in range(_UNROLLED)]
    step_bytes = _UNROLLED * LANES * 4
    with cgutils.for_range_slice(builder, size(0), values[2], size(step_bytes)) as (offset, _):
        for number, place in enumerate(places):
            address = vectors.at(0, values[1], offset, size(number * LANES * 4))
            found, best = vectors.load(FLOATS, address), builder.load(place)
            builder.store(
                builder.select(builder.fcmp_ordered(">", found, best), found, best), place
            )
    best = builder.load(places[0])
    for place in places[1:]:
        found = builder.load(place)
        best = builder.select(builder.fcmp_ordered(">", found, best), found, best)
    return vectors.call("vector.reduce.fmax.v16f32", ir.FloatType(), best)


# 2^x for -0.5 <= x <= 0.5, to 1e-4 relative: what it is for is rounded to bfloat16, to 4e-3.
_POWERS = (0.99992456, 0.69313673, 0.24263948, 0.05583828)
_LOG2_E = 1.4426950408889634


def power_of_two(vectors: Vectors, exponent: Any) -> Any:
    """2^exponent of a vector of floats, to 1e-4 relative."""
    builder = vectors.builder
    whole = vectors.call("rint.v16f32", FLOATS, exponent)
    part = builder.fsub(exponent, whole)
    powers = [vectors.all(power) for power in _POWERS]
    power = powers[3]
    for lower in reversed(powers[:3]):
        power = vectors.call("fma.v16f32", FLOATS, power, part, lower)
    return vectors.call(
        "x86.avx512.mask.scalef.ps.512",
        *(FLOATS, power, whole, vectors.all(0.0)),
        *(ir.IntType(16)(-1), ir.IntType(32)(4)),
    )


def _emit_exponentials(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    vectors = Vectors(context, builder, signature.args, values)
    _, scores_bytes, largest, _, weights_bytes, row_bytes = values
    constant = builder.fmul(largest, ir.FloatType()(-_LOG2_E))
    shift, factor = vectors.all(constant), vectors.all(_LOG2_E)
    totals = [vectors.variable(vectors.all(0.0)) for _ in range(2)]
    half = vectors.all(ir.IntType(32)(0x8000))
    order = ir.Constant(
        ir.VectorType(ir.IntType(32), 2 * LANES), [2 * i + 1 for i in range(2 * LANES)]
    )
    step_bytes = 2 * LANES * 4
    with cgutils.for_range_slice(builder, size(0), row_bytes, size(step_bytes)) as (offset, _):
        rounded = []
        for number in range(2):
            address = vectors.at(0, scores_bytes, offset, size(number * LANES * 4))
            score = vectors.load(FLOATS, address)
            exponent = vectors.call("fma.v16f32", FLOATS, score, factor, shift)
            weight = power_of_two(vectors, exponent)
            builder.store(builder.fadd(builder.load(totals[number]), weight), totals[number])
            bits = builder.add(builder.bitcast(weight, INTS), half)
            rounded.append(builder.bitcast(bits, _WORDS))
        half_offset = builder.lshr(offset, size(1))
        vectors.store(
            builder.shuffle_vector(*rounded, order), vectors.at(3, weights_bytes, half_offset)
        )
    total = builder.fadd(*(builder.load(place) for place in totals))
    return vectors.call("vector.reduce.fadd.v16f32", ir.FloatType(), ir.FloatType()(0.0), total)


def _largest_float(typing: Any, rows: Any, offset_bytes: Any, row_bytes: Any) -> Any:
    """The largest of float32 numbers, `row_bytes` of them: a multiple of 128."""
    return types.float32(rows, offset_bytes, row_bytes), _emit_largest


def _exponentials(
    typing: Any,
    scores: Any,
    scores_bytes: Any,
    largest: Any,
    weights: Any,
    weights_bytes: Any,
    row_bytes: Any,
) -> Any:
    """Exp(score - largest) as bfloat16 in uint16; returns the sum of the exponentials."""
    signature = types.float32(scores, scores_bytes, largest, weights, weights_bytes, row_bytes)
    return signature, _emit_exponentials


largest_float: Kernel = intrinsic(_largest_float)
exponentials: Kernel = intrinsic(_exponentials)
