"""What a risk parameter file says that its house does not publish: how it follows from moves of prices.

HKEX names the ingredients (scan ranges of one day, spread charges, credits between commodities, a minimum
for short options) and publishes their values, not the rules behind them. Every rule here is therefore ours,
and every default is said to be so; a file of the house remains the authority on its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float64

from crossmargin.core.columns import require_within
from crossmargin.core.rounding import roundup
from crossmargin.core.tails import tail_count
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.tail_means import tail_mean, value_at_risk
from crossmargin.models.market import HOUSES
from crossmargin.models.scenarios.part_rules import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crossmargin.models.scenarios.scenario_set import ScenarioPart

__all__ = ["MarketSpanRules", "credit_rate", "lowest_correlations", "residual_shortfall", "scan_range"]

SCAN_RANGE_MAX: Final = 0.9
"""No price scan range is more than this share of the price: a price does not fall to nothing within it."""

SLACK: Final = 1e-9
"""By which a rate may miss its step for rounding of a root."""

RANGES: Final = {
    "horizon_days": (1, 250),
    "scale": (0.1, 10.0),
    "step": (1e-6, 0.1),
    "extreme_multiplier": (1.0, 10.0),
    "covered_fraction": (0.0, 1.0),
    "index_volatility_scan": (0.0, 0.9),
    "stock_volatility_scan": (0.0, 0.9),
    "lookahead_days": (0.0, 30.0),
    "index_month_charge": (0.0, 1.0),
    "stock_month_charge": (0.0, 1.0),
    "physical_charge": (0.0, 1.0),
    "short_option_minimum": (0.0, 1.0),
    "correlation_block": (20, 100_000),
    "correlation_minimum": (0.0, 1.0),
    "credit_step": (0.001, 0.5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSpanRules:
    """How SPAN parameters follow from a market and its scenarios of one day.

    Parameters
    ----------
    horizon_days : int
        Trading days that the scenarios must cover: one, as HKCC's procedures say of PRiME.
    confidence : str
        Of the price scan range, two-sided, as a decimal: 3 of 1,000 moves are as large or larger. HKEX sizes
        the range to one day's expected move; the level is ours, about three deviations of a normal move.
    scale : float
        Factor on that move before it is rounded up.
    step : float
        A price scan range is rounded up to a multiple of this share of the price, and at least one.
    extreme_multiplier, covered_fraction : float
        Of the two extreme scenarios: classic SPAN's, as HKEX's values were not found.
    index_volatility_scan, stock_volatility_scan : float
        Volatility scan range as a share of each option's volatility. HKEX's of 2011 are 5 points for index
        options and 6 to 15 for stock options; at volatilities of 20% and 20% to 50% that is about this.
    lookahead_days : float
        Calendar days that pass in a scenario.
    index_month_charge, stock_month_charge : float
        Charge for one delta long in a month and one short in another, as a share of the scan range. Published
        rates of 2017 to 2019 come to 0.20–0.23 (HSI), 0.30–0.39 (HHI) and 0.30 (stock futures).
    physical_charge : float
        The same for one delta of a share or fund against one of a contract month: its carry, not a calendar
        spread; ours.
    short_option_minimum : float
        For one short option of the standard size, as a share of the scan range; ours.
    correlation_block : int
        Scenarios of a block of the historical part over which a correlation is taken.
    correlation_minimum : float
        No credit below this lowest correlation, nor is a fund taken for its index.
    credit_step : float
        A credit rate is rounded down to a multiple of this.
    marked_daily : tuple of str
        Houses whose options are futures-style, so that their value does not count; none by default: the
        premium of index and stock options is paid up front.

    Raises
    ------
    InputError
        Listing every value out of range.
    """

    horizon_days: int = 1
    confidence: str = "0.997"
    scale: float = 1.0
    step: float = 0.001
    extreme_multiplier: float = 2.0
    covered_fraction: float = 0.35
    index_volatility_scan: float = 0.25
    stock_volatility_scan: float = 0.30
    lookahead_days: float = 1.0
    index_month_charge: float = 0.25
    stock_month_charge: float = 0.30
    physical_charge: float = 0.05
    short_option_minimum: float = 0.05
    correlation_block: int = 250
    correlation_minimum: float = 0.5
    credit_step: float = 0.05
    marked_daily: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_within(self, RANGES)
        if bad := [*self._bad()]:
            raise InputError(bad)

    def described(self) -> tuple[tuple[str, str], ...]:
        """Return every rule as text, for the provenance of a result."""
        return tuple((name, str(getattr(self, name))) for name in type(self).__slots__)

    def _bad(self) -> Iterator[BadRecord]:
        name = type(self).__name__
        if not (isinstance(self.confidence, str) and CONFIDENCE.fullmatch(self.confidence)):
            rule = "a decimal text above 0 and below 1, of few digits"
            yield BadRecord(file=name, line=0, field="confidence", value=str(self.confidence)[:40], rule=rule)
        for house in self.marked_daily:
            if house not in HOUSES:
                rule = f"one of {', '.join(HOUSES)}"
                yield BadRecord(file=name, line=0, field="marked_daily", value=str(house), rule=rule)


def scan_range(moves: Float64[np.ndarray, " scenarios"], rules: MarketSpanRules) -> float:
    """Return the price scan range, a share of the price, from moves of the historical part.

    The k-th largest move in size, k = ⌈(1 − confidence) × scenarios⌉, × scale, rounded up to the step.
    """
    count = tail_count(rules.confidence, moves.size)
    move = value_at_risk(-np.abs(moves), count)
    return float(np.clip(roundup(rules.scale * move, rules.step), rules.step, SCAN_RANGE_MAX))


def residual_shortfall(
    own: Float64[np.ndarray, " scenarios"],
    proxy: Float64[np.ndarray, " scenarios"],
    parts: Sequence[ScenarioPart],
    confidence: str,
) -> float:
    """Return what the moves of an instrument and of its proxy come apart: a share of the value, at least 0.

    The larger expected shortfall of own − proxy and of proxy − own, in the part where it is highest.
    """
    apart = own - proxy
    found = [
        tail_mean(side[part.start : part.stop], tail_count(confidence, part.size))
        for part in parts
        for side in (apart, -apart)
    ]
    return max(0.0, *found)


def lowest_correlations(
    own: Float64[np.ndarray, " scenarios"],
    others: Float64[np.ndarray, "scenarios others"],
    parts: Sequence[ScenarioPart],
    block: int,
) -> Float64[np.ndarray, " others"]:
    """Return the lowest correlation of some moves with each column of others over blocks of scenarios.

    Blocks are those of ``block`` scenarios of the first part, the last one with what is left over, and each
    other part as a whole. What never moves in a block has correlation 0 there.
    """
    lowest = np.ones(others.shape[1])
    for start, stop in _blocks(parts, block):
        own_off = own[start:stop] - own[start:stop].mean()
        off = others[start:stop] - others[start:stop].mean(axis=0)
        scale = np.sqrt((own_off * own_off).sum() * (off * off).sum(axis=0))
        together = (own_off[:, None] * off).sum(axis=0)  # no matrix product: its order hangs on the threads
        lowest = np.minimum(lowest, np.divide(together, scale, out=np.zeros_like(lowest), where=scale > 0.0))
    return lowest


def _blocks(parts: Sequence[ScenarioPart], block: int) -> Iterator[tuple[int, int]]:
    first = parts[0]
    starts = [first.start + block * i for i in range(max(first.size // block, 1))]
    yield from zip(starts, [*starts[1:], first.stop], strict=True)
    yield from ((part.start, part.stop) for part in parts[1:])


def credit_rate(
    correlation: Float64[np.ndarray, " pairs"], rules: MarketSpanRules
) -> Float64[np.ndarray, " pairs"]:
    """Return the credit of two opposite legs of equal risk, a share of both; 0 below the lowest correlation.

    1 − √((1 − ρ)/2), rounded down: the deviation of the two together is √(2(1 − ρ)) of one, of 2 alone.
    """
    saved = 1.0 - np.sqrt(np.clip(1.0 - correlation, 0.0, 2.0) / 2.0)
    rate = np.round(np.floor(saved / rules.credit_step + SLACK) * rules.credit_step, 10)
    return np.where(correlation >= rules.correlation_minimum, rate, 0.0)
