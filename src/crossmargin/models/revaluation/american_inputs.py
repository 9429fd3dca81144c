"""American options as their kernel wants them: pairs as European ones, and premiums fitted to the scenarios.

Of one underlying and expiry all strikes share the premium of early exercise, so that it is fitted once, over
every deviation (volatility × √years) that any strike has now or in a scenario.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.american_boundary import AmericanStatus
from crossmargin.kernels.american_pairs import (
    PairPremiums,
    american_base_prices,
    deviation_ranges,
    pair_premiums,
)
from crossmargin.kernels.american_premium import fit_premiums
from crossmargin.kernels.european_pairs import PairGroups, Pairs, european_base_prices
from crossmargin.models.revaluation.pair_inputs import (
    factor_vectors,
    option_pairs_of,
    pair_groups,
    years_left,
)
from crossmargin.models.revaluation.settings import VOLATILITY_FLOOR, RevaluationSettings

if TYPE_CHECKING:
    from crossmargin.kernels.american_premium import PremiumFits
    from crossmargin.kernels.european_pairs import FactorVectors
    from crossmargin.models.revaluation.factors import FactorMoves

__all__ = ["AmericanInputs", "american_inputs", "american_prices", "marks_without_premium"]

SETTLED: Final = (int(AmericanStatus.FOUND), int(AmericanStatus.NEVER_EXERCISED))


@dataclass(frozen=True, slots=True, eq=False)
class AmericanInputs:
    """Arguments of the American kernel."""

    groups: PairGroups
    pairs: Pairs
    vectors: FactorVectors
    premiums: PairPremiums


def american_inputs(
    table: pl.DataFrame, rows: Int64[np.ndarray, " instruments"], moves: FactorMoves, dtype: np.dtype
) -> AmericanInputs:
    """Return the kernel's arguments for American pairs; arguments as ``european_inputs``.

    Interest rates and yields stand still in a scenario: the premium is fitted for one rate.
    """
    groups, vectors = factor_vectors(table, moves, dtype, rates=False)
    pairs = option_pairs_of(table, rows, moves.settings, american_prices(table), dtype)
    interest, income = _carry(table, moves.settings.decay_days)
    fits = fit_premiums(interest, income, *deviation_ranges(groups, pairs, vectors))
    return AmericanInputs(groups, pairs, vectors, _premiums(table, fits, interest, income, dtype))


def _premiums(
    table: pl.DataFrame,
    fits: PremiumFits,
    interest: Float64[np.ndarray, " groups"],
    income: Float64[np.ndarray, " groups"],
    dtype: np.dtype,
) -> PairPremiums:
    """Return premiums for the kernel; refuse groups for which none could be fitted."""
    _, first = pair_groups(table)
    rows = np.flatnonzero(~np.isin(fits.statuses, SETTLED).all(axis=1)).tolist()
    if rows:
        rule = "rate, yield and volatilities for which early exercise has one boundary"
        names = [
            " ".join(str(part) for part in first.select("underlying", "expiry").row(row)) for row in rows
        ]
        raise InputError(
            BadRecord(file="market", line=0, field="american options", value=name, rule=rule)
            for name in names
        )
    return pair_premiums(fits, interest, income, dtype.type)


def _carry(
    table: pl.DataFrame, decay_days: float
) -> tuple[Float64[np.ndarray, " groups"], Float64[np.ndarray, " groups"]]:
    """Return rate and yield of each group, each times the years that are left."""
    _, first = pair_groups(table)
    years, rate = years_left(first, decay_days), first["rate"].to_numpy()
    return rate * years, (rate - first["carry"].to_numpy()) * years


def american_prices(
    table: pl.DataFrame,
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """Return today's prices of calls and puts of American pairs, each with the premium of early exercise."""
    groups, pairs = _unmoved(table)
    low, high = _ranges(groups, pairs.deviation)
    interest, income = _carry(table, 0.0)
    premiums = _premiums(
        table, fit_premiums(interest, income, low, high), interest, income, np.dtype(np.float64)
    )
    return american_base_prices(groups, pairs, premiums)


def marks_without_premium(
    table: pl.DataFrame, volatility: Float64[np.ndarray, " pairs"]
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """Return the marks of calls and puts less the premium that they hold at a volatility.

    Parameters
    ----------
    table : DataFrame
        American pairs with forward, marks and all but ``volatility``.
    volatility : ndarray of float64, shape (pairs,)
        Finite.
    """
    known = table.with_columns(
        pl.Series("volatility", np.maximum(volatility, VOLATILITY_FLOOR)), pl.lit(0.0).alias("smile_slope")
    )
    _, pairs = _unmoved(known)
    european = european_base_prices(pairs.log_moneyness, pairs.deviation, pairs.forward_leg, pairs.strike_leg)
    calls, puts = (
        known[f"{name}_mark"].fill_null(np.nan).to_numpy() - (american - plain)
        for name, american, plain in zip(("call", "put"), american_prices(known), european, strict=True)
    )
    return calls, puts


def _ranges(
    groups: PairGroups, deviation: Float64[np.ndarray, " pairs"]
) -> tuple[Float64[np.ndarray, " groups"], Float64[np.ndarray, " groups"]]:
    starts = groups.starts[:-1]
    return np.minimum.reduceat(deviation, starts), np.maximum.reduceat(deviation, starts)


def _unmoved(table: pl.DataFrame) -> tuple[PairGroups, Pairs]:
    """Return groups and pairs in float64 as they stand now, without bases and rows."""
    starts, first = pair_groups(table)
    nothing, unused = np.zeros(len(first), np.int64), np.zeros(len(table))
    instruments = 1 + max(int(table[side].fill_null(0).to_numpy().max()) for side in ("call", "put"))
    rows = np.full(instruments, -1)
    pairs = option_pairs_of(table, rows, RevaluationSettings(), (unused, unused), np.dtype(np.float64))
    return PairGroups(starts, nothing, nothing, nothing), pairs
