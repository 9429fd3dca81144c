"""Weighted sums of rows that stay in vector registers, for kernels that are bound by memory.

A compiled loop over rows would keep its sums in the first cache, since a compiler cannot prove that they
do not overlap the rows; and no loop of numba can ask for memory ahead of its use. So this one loop is made
of vector instructions here. A tile of columns is summed over all rows before it is stored: per position
one load, one multiplication and one addition a vector. Product and sum are rounded separately, in the
order of the positions, so that the result is that of the plain loop on any processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LINE_BYTES", "SCALE_COLUMNS", "TILE_BYTES", "aligned_zeros", "sum_tile", "take_ticket"]

# The checker would keep in an intrinsic's signature the typing context, which no caller passes.
_intrinsic: Callable[[Any], Any] = intrinsic
cgutils: Any = untyped_cgutils

VECTOR_BYTES: Final = 64
LINE_BYTES: Final = 64
TILE_BYTES: Final = 1024
"""Bytes of sums in a tile: 256 columns of float32, sixteen vector registers of 64 bytes."""
SCALE_COLUMNS: Final = 64
"""Columns of a quantised row that share a scale."""
AHEAD: Final = 8
"""Positions between the row that is asked for and the row that is added; 4 to 32 were measured alike."""

_INT64: Final = ir.IntType(64)
_INT32: Final = ir.IntType(32)
_BYTE: Final = ir.IntType(8)
SCALE_SHIFT: Final = _INT64(SCALE_COLUMNS.bit_length() - 1)


class _Tile:
    """What the loop of one call needs, as values of the code that is being made."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        names = ("pnl", "cube", "scales", "rows", "quantities")
        self.builder = builder
        self.arrays = {
            name: context.make_array(kind)(context, builder, value)
            for name, kind, value in zip(names, signature.args[:5], arguments[:5], strict=True)
        }
        self.column, self.begin, self.end, self.later_shift, self.later_column = arguments[5:]
        self.stride = cgutils.unpack_tuple(builder, self.arrays["cube"].shape)[1]
        self.last = builder.sub(cgutils.unpack_tuple(builder, self.arrays["rows"].shape)[0], _INT64(1))
        self.element = context.get_data_type(signature.args[0].dtype)
        self.stored = context.get_data_type(signature.args[1].dtype)
        self.lanes = VECTOR_BYTES // (signature.args[0].dtype.bitwidth // 8)
        self.stored_bytes = signature.args[1].dtype.bitwidth // 8
        self.vectors = TILE_BYTES // VECTOR_BYTES
        self.vector = ir.VectorType(self.element, self.lanes)

    def at(self, name: str, kind: Any, index: Any) -> Any:
        """Return the address of an element, as that of a number or vector of the kind given."""
        return self.builder.bitcast(self.builder.gep(self.arrays[name].data, [index]), kind.as_pointer())

    def row_start(self, position: Any) -> Any:
        """Return the index of the first element of a position's row."""
        row = self.builder.load(self.at("rows", _INT32, position))
        return self.builder.mul(self.builder.sext(row, _INT64), self.stride)

    def splat(self, value: Any) -> Any:
        """Return a vector of equal numbers."""
        one = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), value, _INT32(0))
        lanes = ir.Constant(ir.VectorType(_INT32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, ir.Constant(self.vector, ir.Undefined), lanes)

    def row_vector(self, start: Any, number: int) -> Any:
        """Load one vector of the tile of a row as it is stored."""
        place = self.builder.add(start, _INT64(number * self.lanes))
        kind = ir.VectorType(self.stored, self.lanes)
        return self.builder.load(self.at("cube", kind, place), align=self.stored_bytes)

    def later_start(self, position: Any) -> Any:
        """Return where the tile begins that is ``AHEAD`` positions on, or among the first of the next tile."""
        builder = self.builder
        later = builder.add(position, _INT64(AHEAD))
        here = builder.icmp_signed("<", later, self.end)
        later = builder.select(here, later, builder.sub(later, self.later_shift))
        later = builder.select(builder.icmp_signed("<", later, self.last), later, self.last)
        return builder.add(self.row_start(later), builder.select(here, self.column, self.later_column))

    def prefetch(self, position: Any) -> None:
        """Ask for the later tile, and for its scales where there are any."""
        start = self.later_start(position)
        per_line = LINE_BYTES // self.stored_bytes
        for offset in range(0, self.vectors * self.lanes, per_line):
            self.ask_for(self.at("cube", _BYTE, self.builder.add(start, _INT64(offset))))
        if self.stored != self.element:
            self.ask_for(self.at("scales", _BYTE, self.builder.ashr(start, SCALE_SHIFT)))

    def ask_for(self, address: Any) -> None:
        """Fetch a line into the second cache: for reading, into all but the first level."""
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _INT32, _INT32, _INT32])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        self.builder.call(function, [address, _INT32(0), _INT32(2), _INT32(1)])

    def make(self, products: Callable[[_Tile, Any, Any], Iterator[Any]]) -> None:
        """Make the loop over the positions and the store of the sums."""
        builder = self.builder
        sums = [cgutils.alloca_once(builder, self.vector) for _ in range(self.vectors)]
        for total in sums:
            builder.store(ir.Constant(self.vector, [0.0] * self.lanes), total)
        with cgutils.for_range_slice(builder, self.begin, self.end, _INT64(1), _INT64) as (position, _):
            self.prefetch(position)
            start = builder.add(self.row_start(position), self.column)
            for total, term in zip(sums, products(self, position, start), strict=True):
                builder.store(builder.fadd(builder.load(total), term), total)
        for number, total in enumerate(sums):
            index = builder.add(self.column, _INT64(number * self.lanes))
            place = self.at("pnl", self.vector, index)
            builder.store(builder.load(total), place, align=VECTOR_BYTES // self.lanes)


def _plain_products(tile: _Tile, position: Any, start: Any) -> Iterator[Any]:
    """Yield quantity × row, a vector at a time."""
    quantity = tile.splat(tile.builder.load(tile.at("quantities", tile.element, position)))
    for number in range(tile.vectors):
        yield tile.builder.fmul(quantity, tile.row_vector(start, number))


def _quantised_products(tile: _Tile, position: Any, start: Any) -> Iterator[Any]:
    """Yield (quantity × scale) × the integers, each step rounded to float32, a vector at a time."""
    builder = tile.builder
    quantity = builder.load(tile.at("quantities", tile.element, position))
    # The scales of a row stand side by side, and rows and tiles are whole spans of a scale.
    first_scale = builder.ashr(start, SCALE_SHIFT)
    for span in range(tile.vectors * tile.lanes // SCALE_COLUMNS):
        scale = builder.load(tile.at("scales", tile.element, builder.add(first_scale, _INT64(span))))
        weight = tile.splat(builder.fmul(quantity, scale))
        in_span = SCALE_COLUMNS // tile.lanes
        for number in range(span * in_span, (span + 1) * in_span):
            wide = builder.sext(tile.row_vector(start, number), ir.VectorType(_INT32, tile.lanes))
            yield builder.fmul(weight, builder.sitofp(wide, tile.vector))


@_intrinsic
def sum_tile(
    typing_context: Any,
    pnl: Any,
    cube: Any,
    scales: Any,
    rows: Any,
    quantities: Any,
    column: Any,
    begin: Any,
    end: Any,
    later_shift: Any,
    later_column: Any,
) -> Any:
    """Fill ``TILE_BYTES`` of ``pnl`` from ``column`` with the sum of quantity × row of positions begin to end.

    ``pnl`` and ``quantities`` are contiguous and of one type, float32 or float64; the contiguous ``cube`` is
    of the same type, or int16 with a float32 scale in ``scales`` per ``SCALE_COLUMNS`` columns, of which then
    ``column`` and the length of a row are multiples. The tile lies within the row. None of this is checked.
    ``later_column`` is the column of the tile to be summed next, and ``later_shift`` is 0, or end − begin
    where that tile is of the same positions: both only say which memory to ask for.
    """
    del typing_context, column, begin, end, later_shift, later_column
    products = _quantised_products if isinstance(cube.dtype, types.Integer) else _plain_products
    signature = types.void(pnl, cube, scales, rows, quantities, *(types.int64,) * 5)

    def code(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        _Tile(context, builder, signature, arguments).make(products)
        return context.get_dummy_value()

    return signature, code


@_intrinsic
def take_ticket(typing_context: Any, counter: Any) -> Any:
    """Return ``counter[0]`` and add one to it as one step, so that each number goes to one thread."""
    del typing_context

    def code(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        array = context.make_array(counter)(context, builder, arguments[0])
        return builder.atomic_rmw("add", array.data, _INT64(1), "monotonic")

    return types.int64(counter), code


def aligned_zeros(shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """Return zeros that begin at a line of the cache: a row of whole lines then takes no more lines than it fills.

    NumPy's own arrays begin sixteen bytes after one, and each vector read from them touches two lines.
    """
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(count + LINE_BYTES, np.uint8)
    first = -memory.ctypes.data % LINE_BYTES
    return memory[first : first + count].view(dtype).reshape(shape)
