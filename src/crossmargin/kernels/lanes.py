"""Sixty-four values at a time: which of them are below a limit, as the bits of one number.

A processor compares a vector of values at once, but a compiled loop would unpack the result again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LANES", "at_most_bits", "below_bits", "bit_count", "lane_minima", "lowest_bit"]

# The checker would keep in an intrinsic's signature the typing context, which no caller passes.
_intrinsic: Callable[[Any], Any] = intrinsic
cgutils: Any = untyped_cgutils

LANES: Final = 64
_INT64: Final = ir.IntType(64)


def _splat(builder: Any, value: Any) -> Any:
    """Return a vector of equal numbers."""
    undefined = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, zeros)


def _vector_at(builder: Any, array: Any, index: Any, kind: Any) -> Any:
    """Return the address of a vector within an array."""
    return builder.bitcast(builder.gep(array.data, [index]), kind.as_pointer())


def _compare(operator: str, values: Any) -> Any:
    """Return signature and code of a comparison of 64 values with a limit."""

    def code(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        array = context.make_array(values)(context, builder, arguments[0])
        vector = ir.VectorType(context.get_data_type(values.dtype), LANES)
        block = builder.load(_vector_at(builder, array, arguments[1], vector), align=_alignment(values))
        return builder.bitcast(builder.fcmp_ordered(operator, block, _splat(builder, arguments[2])), _INT64)

    return types.uint64(values, types.int64, values.dtype), code


def _alignment(values: Any) -> int:
    return int(values.dtype.bitwidth) // 8


@_intrinsic
def at_most_bits(typing_context: Any, values: Any, start: Any, limit: Any) -> Any:
    """Return bit i set where ``values[start + i] <= limit``, for i from 0 to 63; bounds are not checked."""
    del typing_context, start, limit
    return _compare("<=", values)


@_intrinsic
def below_bits(typing_context: Any, values: Any, start: Any, limit: Any) -> Any:
    """Return bit i set where ``values[start + i] < limit``, for i from 0 to 63; bounds are not checked."""
    del typing_context, start, limit
    return _compare("<", values)


@_intrinsic
def lowest_bit(typing_context: Any, bits: Any) -> Any:
    """Return the number of the lowest set bit; ``bits`` is not 0."""
    del typing_context, bits

    def code(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_INT64, [_INT64, ir.IntType(1)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.cttz.i64")
        return builder.call(function, [arguments[0], ir.IntType(1)(1)])

    return types.int64(types.uint64), code


@_intrinsic
def bit_count(typing_context: Any, bits: Any) -> Any:
    """Return the number of set bits."""
    del typing_context, bits

    def code(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_INT64, [_INT64])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.ctpop.i64")
        return builder.call(function, [arguments[0]])

    return types.int64(types.uint64), code


@_intrinsic
def lane_minima(typing_context: Any, values: Any, start: Any, stop: Any, minima: Any) -> Any:
    """Fill the minimum of every 64th value from ``start`` up to ``stop``, at least 64 of them.

    Return as set bits the lanes where a value is NaN or infinite. Each value counts in one lane only: the
    last block begins early, and leaves out those that were in the block before.
    """
    del typing_context, start, stop

    def code(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        fold = _Fold(context, builder, values, arguments)
        return fold.code(context.make_array(minima)(context, builder, arguments[3]))

    return types.uint64(values, types.int64, types.int64, minima), code


class _Fold:
    """The minima of the lanes so far, and zero or NaN for each lane, in registers."""

    def __init__(self, context: Any, builder: Any, values: Any, arguments: Any) -> None:
        self.builder = builder
        self.array = context.make_array(values)(context, builder, arguments[0])
        self.start, self.stop = arguments[1], arguments[2]
        self.kind = ir.VectorType(context.get_data_type(values.dtype), LANES)
        self.align = _alignment(values)
        self.infinities = ir.Constant(self.kind, [float("inf")] * LANES)
        self.zeros = ir.Constant(self.kind, [0.0] * LANES)
        self.minima = cgutils.alloca_once(builder, self.kind)
        self.spoilt = cgutils.alloca_once(builder, self.kind)
        builder.store(self.infinities, self.minima)
        builder.store(self.zeros, self.spoilt)

    def code(self, minima: Any) -> Any:
        """Make the loop over whole blocks, the last block and the stores."""
        builder = self.builder
        whole = builder.and_(builder.sub(self.stop, self.start), _INT64(-LANES))
        end = builder.add(self.start, whole)
        with cgutils.for_range_slice(builder, self.start, end, _INT64(LANES), _INT64) as (first, _):
            block = builder.load(_vector_at(builder, self.array, first, self.kind), align=self.align)
            self.add(block, block)
        early = builder.sub(self.stop, _INT64(LANES))
        block = builder.load(_vector_at(builder, self.array, early, self.kind), align=self.align)
        numbers = ir.Constant(ir.VectorType(_INT64, LANES), list(range(LANES)))
        fresh = builder.icmp_signed(">=", numbers, _splat(builder, builder.sub(end, early)))
        self.add(builder.select(fresh, block, self.infinities), block)
        place = _vector_at(builder, minima, _INT64(0), self.kind)
        builder.store(builder.load(self.minima), place, align=self.align)
        return builder.bitcast(builder.fcmp_unordered("!=", builder.load(self.spoilt), self.zeros), _INT64)

    def add(self, candidates: Any, block: Any) -> None:
        """Take a block in: value − value is NaN where a value is not finite, and stays in the sum."""
        builder = self.builder
        minima = builder.load(self.minima)
        smaller = builder.fcmp_ordered("<", candidates, minima)
        builder.store(builder.select(smaller, candidates, minima), self.minima)
        builder.store(builder.fadd(builder.load(self.spoilt), builder.fsub(block, block)), self.spoilt)
