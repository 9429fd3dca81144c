"""Filtered historical simulation: a past return, scaled to today's volatility.

r_t becomes r_t × min(ratio_max, max(ratio_min, σ_T ÷ σ_t)). σ_t is the exponentially weighted volatility
known before day t, so that a return does not scale itself; σ_T is the one for the day after the as-of day
(Barone-Adesi, Giannopoulos and Vosper, Journal of Futures Markets 19, 1999; Hull and White, Journal of
Risk 1, 1998).

A suspended or untraded name is not a calm one: days without a price, and those of a long run of unchanged
prices, count neither for σ nor for its floor (``Histories.counted``), so that σ_T after them is what it
was before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.core.columns import require_within
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.ewma import ewma_variances

if TYPE_CHECKING:
    from crossmargin.models.scenarios.histories import Histories

__all__ = ["FilteredHistorical", "filtered_returns", "floor_days_available", "long_run_variances"]

RANGES: Final = {
    "decay": (0.0, 1.0),
    "warm_up_days": (1, 100_000),
    "ratio_min": (0.0, 1.0),
    "ratio_max": (1.0, 1000.0),
    "floor_days": (0, 100_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredHistorical:
    """How returns are scaled to today's volatility.

    Parameters
    ----------
    decay : float
        λ, weight of the past in the exponentially weighted variance, above 0 and below 1.
    warm_up_days : int
        Returns that count before the first scenario; their mean square starts the variance.
    ratio_min, ratio_max : float
        Bounds of σ_T ÷ σ_t; 1 for ``ratio_min`` never scales a return down.
    floor_days : int
        σ_T is at least the root mean square of so many last returns that count (2,500 are ten years); of
        all there are, where there are fewer; 0 for no floor.

    Raises
    ------
    InputError
        Listing every value out of range.
    """

    decay: float = 0.97
    warm_up_days: int = 250
    ratio_min: float = 0.25
    ratio_max: float = 4.0
    floor_days: int = 0

    def __post_init__(self) -> None:
        require_within(self, RANGES)
        if self.decay in {0, 1}:
            rule = "above 0 and below 1"
            record = BadRecord(
                file=type(self).__name__, line=0, field="decay", value=str(self.decay), rule=rule
            )
            raise InputError([record])


def filtered_returns(
    histories: Histories, filtering: FilteredHistorical
) -> Float64[np.ndarray, "days factors"]:
    """Return every return scaled to the volatility expected after the last day; invalid ones stay 0.

    Where σ_t is 0, nothing has ever moved before that day and the return stays as it is.
    """
    variances = ewma_variances(histories.returns, histories.counted, filtering.decay, filtering.warm_up_days)
    known, last = variances[:-1], variances[-1]
    if filtering.floor_days:
        last = np.maximum(last, long_run_variances(histories, filtering.floor_days))
    ratio = np.ones(known.shape)
    np.divide(last, known, out=ratio, where=known > 0)
    np.sqrt(ratio, out=ratio)
    np.clip(ratio, filtering.ratio_min, filtering.ratio_max, out=ratio)
    return histories.returns * ratio


def floor_days_available(histories: Histories, floor_days: int) -> Int64[np.ndarray, " factors"]:
    """Return over how many returns the floor of each factor is taken."""
    return np.minimum(histories.counted.sum(axis=0), floor_days)


def long_run_variances(histories: Histories, floor_days: int) -> Float64[np.ndarray, " factors"]:
    """Return the mean square of the last returns that count, 0 where there is none; sums run day by day."""
    age = np.cumsum(histories.counted[::-1], axis=0)[::-1]  # 1 for the last one
    used = histories.counted & (age <= floor_days)
    sums = np.add.accumulate(np.where(used, histories.returns, 0.0) ** 2, axis=0)[-1]
    return sums / np.maximum(used.sum(axis=0), 1)
