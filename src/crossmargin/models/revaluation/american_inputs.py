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
from crossmargin.kernels.american_premium import PremiumFits, fit_premiums
from crossmargin.kernels.european_pairs import PairGroups, Pairs, european_base_prices
from crossmargin.models.revaluation.pair_inputs import (
    factor_vectors,
    option_pairs_of,
    pair_groups,
    years_left,
)
from crossmargin.models.revaluation.settings import VOLATILITY_FLOOR, RevaluationSettings

if TYPE_CHECKING:
    from crossmargin.kernels.european_pairs import FactorVectors
    from crossmargin.models.revaluation.factors import FactorMoves

__all__ = ["LOWEST", "AmericanInputs", "EarlyExercise", "american_inputs", "with_volatility"]

SETTLED: Final = (int(AmericanStatus.FOUND), int(AmericanStatus.NEVER_EXERCISED))

LOWEST: Final = 0.4
"""Share of the lowest European volatility of an expiry down to which an American one is looked for."""

NOW: Final = RevaluationSettings()
DOUBLE: Final = np.dtype(np.float64)

Bases = tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]


@dataclass(frozen=True, slots=True, eq=False)
class AmericanInputs:
    """Arguments of the American kernel, and today's prices of calls and puts."""

    groups: PairGroups
    pairs: Pairs
    vectors: FactorVectors
    premiums: PairPremiums
    bases: Bases


def american_inputs(
    table: pl.DataFrame, rows: Int64[np.ndarray, " instruments"], moves: FactorMoves, dtype: np.dtype
) -> AmericanInputs:
    """Return the kernel's arguments for American pairs; arguments as ``european_inputs``.

    Interest rates and yields stand still in a scenario: the premium is fitted for one rate.
    """
    groups, vectors = factor_vectors(table, moves, dtype, rates=False)
    unpriced = option_pairs_of(table, rows, moves.settings, _zeros(table), dtype)
    low, high = deviation_ranges(groups, unpriced, vectors)
    exercise = EarlyExercise.of(table, moves.settings.decay_days, low, high)
    today = exercise if not moves.settings.decay_days else EarlyExercise.now(table)
    bases = today.prices(table)
    calls, puts = (np.ascontiguousarray(base, dtype) for base in bases)
    pairs = unpriced._replace(call_base=calls, put_base=puts)
    premiums = pair_premiums(exercise.fits, exercise.interest, exercise.income, dtype.type)
    return AmericanInputs(groups, pairs, vectors, premiums, bases)


@dataclass(frozen=True, slots=True, eq=False)
class EarlyExercise:
    """Premiums of early exercise of each group over a range of deviations.

    Parameters
    ----------
    fits : PremiumFits
        Every side settled.
    interest, income : ndarray of float64, shape (groups,)
        Rate and yield, each times the years to expiry.
    """

    fits: PremiumFits
    interest: Float64[np.ndarray, " groups"]
    income: Float64[np.ndarray, " groups"]

    @classmethod
    def of(
        cls,
        table: pl.DataFrame,
        decay_days: float,
        low: Float64[np.ndarray, " groups"],
        high: Float64[np.ndarray, " groups"],
    ) -> EarlyExercise:
        """Fit the premiums of American pairs for deviations from ``low`` to ``high``.

        Raises
        ------
        InputError
            Listing every group for which none could be fitted.
        """
        _, first = pair_groups(table)
        years, rate = years_left(first, decay_days), first["rate"].to_numpy()
        interest, income = rate * years, (rate - first["carry"].to_numpy()) * years
        fits = fit_premiums(interest, income, low, high)
        _require_settled(first, fits)
        return cls(fits, interest, income)

    @classmethod
    def now(cls, table: pl.DataFrame, lowest: float = 1.0) -> EarlyExercise:
        """Fit them for today's deviations, from ``lowest`` × the least one."""
        groups, pairs = _unmoved(table)
        starts = groups.starts[:-1]
        low = np.minimum.reduceat(pairs.deviation, starts) * lowest
        return cls.of(table, 0.0, low, np.maximum.reduceat(pairs.deviation, starts))

    def prices(self, table: pl.DataFrame) -> Bases:
        """Return today's prices of calls and puts."""
        groups, pairs = _unmoved(table)
        premiums = pair_premiums(self.fits, self.interest, self.income, np.float64)
        return american_base_prices(groups, pairs, premiums)

    def marks_without_premium(self, table: pl.DataFrame, volatility: Float64[np.ndarray, " pairs"]) -> Bases:
        """Return the marks of calls and puts less the premium that each holds at a volatility.

        Parameters
        ----------
        table : DataFrame
            American pairs with forward and marks.
        volatility : ndarray of float64, shape (pairs,)
            Where it is NaN the premium at the lowest volatility is taken off.
        """
        at = with_volatility(table, volatility)
        _, pairs = _unmoved(at)
        legs = pairs.forward_leg, pairs.strike_leg
        european = european_base_prices(pairs.log_moneyness, pairs.deviation, *legs)
        calls, puts = (
            table[f"{name}_mark"].fill_null(np.nan).to_numpy() - (american - plain)
            for name, american, plain in zip(("call", "put"), self.prices(at), european, strict=True)
        )
        return calls, puts


def with_volatility(table: pl.DataFrame, volatility: Float64[np.ndarray, " pairs"]) -> pl.DataFrame:
    """Return pairs with a volatility, at least the lowest there is, and a flat smile."""
    filled = np.maximum(np.nan_to_num(volatility), VOLATILITY_FLOOR)
    return table.with_columns(pl.Series("volatility", filled), pl.lit(0.0).alias("smile_slope"))


def _require_settled(first: pl.DataFrame, fits: PremiumFits) -> None:
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


def _zeros(table: pl.DataFrame) -> Bases:
    nothing = np.zeros(len(table))
    return nothing, nothing


def _unmoved(table: pl.DataFrame) -> tuple[PairGroups, Pairs]:
    """Return groups and pairs in float64 as they stand now, without bases and rows."""
    starts, first = pair_groups(table)
    nothing = np.zeros(len(first), np.int64)
    instruments = 1 + max(int(table[side].fill_null(0).to_numpy().max()) for side in ("call", "put"))
    pairs = option_pairs_of(table, np.full(instruments, -1), NOW, _zeros(table), DOUBLE)
    return PairGroups(starts, nothing, nothing, nothing), pairs
