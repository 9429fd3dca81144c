"""Exponential function and Mills' ratio as short polynomials, which LLVM turns into vector code.

Cost: 6 multiply-adds for ``exp32``, 7 and a division for ``mills32``; 11 and 15 for the 64-bit ones. A call of
the C library stands in the way of vector code; these are inlined where they are called, hold no branch and
no table, and take and return one number of their own width.

Mills' ratio is R(x) = N(−x) / φ(x), the tail of the standard normal distribution over its density. Since
S·φ(d₁) = K·φ(d₂), one exponential and two of these ratios give both prices of a strike.

``exp_of``, ``power_of_two`` and ``mills_parts`` choose the width by the type of their argument, inside
compiled code only. Coefficients: ``tools/fit_polynomials.py``, which derives them anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numba import njit, types
from numba.extending import overload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "FARTHEST_32",
    "FARTHEST_64",
    "MILLS_SCALE_32",
    "MILLS_SCALE_64",
    "exp32",
    "exp64",
    "exp_of",
    "mills32",
    "mills64",
    "mills_parts",
    "mills_parts32",
    "mills_parts64",
    "power_of_two",
    "power_of_two32",
    "power_of_two64",
]

# One number of either width: a float in compiled code, a NumPy scalar or a float outside it.
Real: TypeAlias = Any

LOG2_E_32, LOG2_E_64 = np.float32(1.4426950408889634), 1.4426950408889634
LEAST_32, LEAST_64 = np.float32(-87.0), -708.0
# Beyond, N(−x) is below 1e-27 and 1e-267; nearer, no product of a price has too small an exponent.
FARTHEST_32, FARTHEST_64 = np.float32(11.0), 35.0
BIAS_32, BITS_32 = np.int32(127), np.int32(23)
BIAS_64, BITS_64 = np.int64(1023), np.int64(52)
POWER_32 = tuple(
    np.float32(c)
    for c in (
        1.0000000716527009,
        0.6931469671300656,
        0.2402211973260444,
        0.05550713148440559,
        0.009675541099943468,
        0.0013276512128844594,
    )
)
POWER_64 = (
    1.0,
    0.6931471805599497,
    0.24022650695908768,
    0.05550410866445886,
    0.009618129108034203,
    0.0013333558228557257,
    0.0001540352996160167,
    1.5252658118919669e-05,
    1.3215662606320814e-06,
    1.0208537472273527e-07,
    7.037317211486278e-09,
)
MILLS_ABOVE_32 = tuple(np.float32(c) for c in (36.532483248316886, 24.54773304947313, 7.668684081452938))
MILLS_BELOW_32 = tuple(
    np.float32(c) for c in (29.13516524030709, 42.82359638102119, 25.71726430132484, 7.651072425335452)
)
MILLS_SCALE_32 = np.float32(0.9995354855467656)
MILLS_ABOVE_64 = (
    14971.254829935335,
    19037.433703821993,
    11945.019110946032,
    4627.434140437331,
    1181.4707732499548,
    198.3000512293042,
    20.35625046778451,
)
MILLS_BELOW_64 = (
    11945.333027416353,
    24720.671153021045,
    23282.321613748267,
    13085.426546383627,
    4823.756964173012,
    1201.8259557673864,
    199.30008326736535,
    20.35624976860906,
)
MILLS_SCALE_64 = 0.9999999952086356


@njit(inline="always", fastmath=True, error_model="numpy")
def power_of_two32(x: Real) -> Real:
    """Return 2**x for a float32 from −126 to 127.

    The relative error is below 2.2e-7.
    """
    whole = np.rint(x)
    r = x - whole
    c = POWER_32
    part = ((((c[5] * r + c[4]) * r + c[3]) * r + c[2]) * r + c[1]) * r + c[0]
    return part * np.int32((np.int32(whole) + BIAS_32) << BITS_32).view(np.float32)


@njit(inline="always", fastmath=True, error_model="numpy")
def power_of_two64(x: Real) -> Real:
    """Return 2**x for a float64 from −1022 to 1023.

    The relative error is below 5e-16.
    """
    whole = np.rint(x)
    r = x - whole
    c = POWER_64
    part = (((c[10] * r + c[9]) * r + c[8]) * r + c[7]) * r + c[6]
    part = (((((part * r + c[5]) * r + c[4]) * r + c[3]) * r + c[2]) * r + c[1]) * r + c[0]
    return part * np.int64((np.int64(whole) + BIAS_64) << BITS_64).view(np.float64)


@njit(inline="always", fastmath=True, error_model="numpy")
def exp32(x: Real) -> Real:
    """Return e**x for a float32 up to 88; below −87 that of −87, which is 1.6e-38.

    The relative error is below 2e-7 + 1.2e-7 |x|: near the last digit of x itself.
    """
    return power_of_two32(max(x, LEAST_32) * LOG2_E_32)


@njit(inline="always", fastmath=True, error_model="numpy")
def exp64(x: Real) -> Real:
    """Return e**x for a float64 up to 709; below −708 that of −708, which is 3.3e-308.

    The relative error is below 5e-16 + 2.2e-16 |x|: near the last digit of x itself.
    """
    return power_of_two64(max(x, LEAST_64) * LOG2_E_64)


@njit(inline="always", fastmath=True, error_model="numpy")
def mills_parts32(x: Real) -> tuple[Real, Real]:
    """Return two positive float32 whose quotient × ``MILLS_SCALE_32`` is Mills' ratio at x.

    x is from 0 to ``FARTHEST_32``. The relative error of the ratio is below 4e-8 (1 + x²), and 2e-7 from
    rounding. Who needs two ratios divides once: a/b and c/d are a·d and c·b, each times 1/(b·d).
    """
    a, b = MILLS_ABOVE_32, MILLS_BELOW_32
    above = ((x + a[2]) * x + a[1]) * x + a[0]
    below = (((x + b[3]) * x + b[2]) * x + b[1]) * x + b[0]
    return above, below


@njit(inline="always", fastmath=True, error_model="numpy")
def mills_parts64(x: Real) -> tuple[Real, Real]:
    """Return two positive float64 whose quotient × ``MILLS_SCALE_64`` is Mills' ratio at x.

    x is from 0 to ``FARTHEST_64``. The relative error of the ratio is below 8e-15 (1 + x²); see
    ``mills_parts32``.
    """
    a, b = MILLS_ABOVE_64, MILLS_BELOW_64
    above = ((x + a[6]) * x + a[5]) * x + a[4]
    above = (((above * x + a[3]) * x + a[2]) * x + a[1]) * x + a[0]
    below = (((x + b[7]) * x + b[6]) * x + b[5]) * x + b[4]
    below = (((below * x + b[3]) * x + b[2]) * x + b[1]) * x + b[0]
    return above, below


@njit(inline="always", fastmath=True, error_model="numpy")
def mills32(x: Real) -> Real:
    """Return Mills' ratio at a float32 of 0 or more; beyond ``FARTHEST_32`` that of ``FARTHEST_32``."""
    above, below = mills_parts32(min(x, FARTHEST_32))
    return MILLS_SCALE_32 * above / below


@njit(inline="always", fastmath=True, error_model="numpy")
def mills64(x: Real) -> Real:
    """Return Mills' ratio at a float64 of 0 or more; beyond ``FARTHEST_64`` that of ``FARTHEST_64``."""
    above, below = mills_parts64(min(x, FARTHEST_64))
    return MILLS_SCALE_64 * above / below


def exp_of(x: Real) -> Real:
    """Return e**x in the width of x: ``exp32`` or ``exp64``."""
    return exp32.py_func(x) if isinstance(x, np.float32) else exp64.py_func(x)


def power_of_two(x: Real) -> Real:
    """Return 2**x in the width of x: ``power_of_two32`` or ``power_of_two64``."""
    return power_of_two32.py_func(x) if isinstance(x, np.float32) else power_of_two64.py_func(x)


def mills_parts(x: Real) -> tuple[Real, Real]:
    """Return the parts of Mills' ratio in the width of x: ``mills_parts32`` or ``mills_parts64``."""
    return mills_parts32.py_func(x) if isinstance(x, np.float32) else mills_parts64.py_func(x)


# numba hands over the type of the argument; it wants the annotation to be that of what is returned
@overload(exp_of, inline="always")
def _exp_of(x: Real) -> Callable[[Real], Real]:
    return exp32.py_func if x == types.float32 else exp64.py_func


@overload(power_of_two, inline="always")
def _power_of_two(x: Real) -> Callable[[Real], Real]:
    return power_of_two32.py_func if x == types.float32 else power_of_two64.py_func


@overload(mills_parts, inline="always")
def _mills_parts(x: Real) -> Callable[[Real], tuple[Real, Real]]:
    return mills_parts32.py_func if x == types.float32 else mills_parts64.py_func
