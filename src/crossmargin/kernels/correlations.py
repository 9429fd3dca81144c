"""Correlation of two vectors in the first cache, in one pass, the same to the bit on any processor.

Both are shifted by their first value, so that a vector that never changes has no variance at all, and sums
of values, squares and products run in ``LANES`` lanes of float64 each. A compiled loop may not spread a sum
over lanes, since that changes its rounding; here the lanes are part of the definition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Float, Float64
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LANES", "MOMENTS", "correlation", "correlation_numpy"]

# The checker would keep in an intrinsic's signature the typing context, which no caller passes.
_intrinsic: Callable[[Any], Any] = intrinsic
cgutils: Any = untyped_cgutils

LANES: Final = 16
MOMENTS: Final = 5
"""Sums of a, b, a², b² and a × b."""
NO_SPREAD: Final = 1e-12
"""A variance of so small a share of the mean square about the first value may be all rounding."""

_INT64: Final = ir.IntType(64)
_WIDE: Final = ir.VectorType(ir.DoubleType(), LANES)


class _Moments:
    """The loop over whole blocks of two vectors, as code that is being made."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.builder = builder
        self.start = arguments[2]
        self.sides = [
            (context.make_array(kind)(context, builder, value), context.get_data_type(kind.dtype))
            for kind, value in zip(signature.args[:2], arguments[:2], strict=True)
        ]
        self.shifts = [self._splat(self._load(side, self.start, 1)) for side in range(2)]
        self.sums = [cgutils.alloca_once(builder, _WIDE) for _ in range(MOMENTS)]
        for total in self.sums:
            builder.store(ir.Constant(_WIDE, [0.0] * LANES), total)

    def _load(self, side: int, index: Any, count: int) -> Any:
        """Load values as a vector of float64."""
        array, element = self.sides[side]
        kind, wide = ir.VectorType(element, count), ir.VectorType(ir.DoubleType(), count)
        place = self.builder.bitcast(self.builder.gep(array.data, [index]), kind.as_pointer())
        values = self.builder.load(place, align=8 if element == ir.DoubleType() else 4)
        return values if element == ir.DoubleType() else self.builder.fpext(values, wide)

    def _splat(self, one: Any) -> Any:
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(one, ir.Constant(one.type, ir.Undefined), zeros)

    def make(self, stop: Any, lanes: Any) -> None:
        """Make the loop from ``start`` up to ``stop``, whole blocks, and the store of the lanes."""
        builder = self.builder
        with cgutils.for_range_slice(builder, self.start, stop, _INT64(LANES), _INT64) as (first, _):
            a, b = (builder.fsub(self._load(side, first, LANES), self.shifts[side]) for side in range(2))
            terms = (a, b, builder.fmul(a, a), builder.fmul(b, b), builder.fmul(a, b))
            for total, term in zip(self.sums, terms, strict=True):
                builder.store(builder.fadd(builder.load(total), term), total)
        for number, total in enumerate(self.sums):
            place = builder.gep(lanes.data, [_INT64(number * LANES)])
            builder.store(builder.load(total), builder.bitcast(place, _WIDE.as_pointer()), align=8)


@_intrinsic
def _moment_lanes(typing_context: Any, a: Any, b: Any, start: Any, stop: Any, lanes: Any) -> Any:
    """Fill ``MOMENTS`` × ``LANES`` sums over the columns from ``start`` up to ``stop``, whole blocks of ``LANES``.

    ``a`` and ``b`` are contiguous vectors of float32 or float64, ``lanes`` is a contiguous matrix of float64;
    neither that nor the bounds are checked.
    """
    del typing_context, start, stop
    signature = types.void(a, b, types.int64, types.int64, lanes)

    def code(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        target = context.make_array(lanes)(context, builder, arguments[4])
        _Moments(context, builder, signature, arguments).make(arguments[3], target)
        return context.get_dummy_value()

    return signature, code


@njit(cache=True, error_model="numpy")
def correlation(
    a: Float[np.ndarray, " columns"],
    b: Float[np.ndarray, " columns"],
    start: int,
    stop: int,
    lanes: Float64[np.ndarray, "5 16"],
) -> float:
    """Return the correlation of two vectors over the columns from ``start`` up to ``stop``.

    Parameters
    ----------
    a, b : ndarray of float32 or float64, shape (columns,)
        Contiguous and finite.
    start, stop : int
        At least one column.
    lanes : ndarray of float64, shape (5, 16)
        Memory that is overwritten.

    Returns
    -------
    float
        From −1 to 1; NaN where one of the two is always the same.
    """
    whole = stop - (stop - start) % LANES
    _moment_lanes(a, b, start, whole, lanes)
    for column in range(whole, stop):
        x = np.float64(a[column]) - np.float64(a[start])
        y = np.float64(b[column]) - np.float64(b[start])
        lane = column - whole
        lanes[0, lane] += x
        lanes[1, lane] += y
        lanes[2, lane] += x * x
        lanes[3, lane] += y * y
        lanes[4, lane] += x * y
    return _of_moments(lanes, stop - start)


@njit(cache=True, error_model="numpy")
def _of_moments(lanes: Float64[np.ndarray, "5 16"], count: int) -> float:
    totals = np.zeros(MOMENTS)
    for moment in range(MOMENTS):
        for value in lanes[moment]:
            totals[moment] += value
    mean_a, mean_b = totals[0] / count, totals[1] / count
    squares_a, squares_b = totals[2] / count, totals[3] / count
    variance_a, variance_b = squares_a - mean_a * mean_a, squares_b - mean_b * mean_b
    if variance_a <= NO_SPREAD * squares_a or variance_b <= NO_SPREAD * squares_b:
        return np.nan
    covariance = totals[4] / count - mean_a * mean_b
    return min(max(covariance / (np.sqrt(variance_a) * np.sqrt(variance_b)), -1.0), 1.0)


def correlation_numpy(a: Float[np.ndarray, " scenarios"], b: Float[np.ndarray, " scenarios"]) -> float:
    """Do what ``correlation`` does over whole vectors, readably, in another order: the reference in tests."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    x, y = (values.astype(np.float64) - values.mean(dtype=np.float64) for values in (a, b))
    spreads = np.sqrt(np.mean(x * x)) * np.sqrt(np.mean(y * y))
    return float(np.clip(np.mean(x * y) / spreads, -1.0, 1.0))
