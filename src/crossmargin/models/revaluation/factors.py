"""What the risk factors of a scenario set do to forwards, volatilities and discount factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.models.revaluation.layout import ScenarioLayout, scenario_layout
from crossmargin.models.revaluation.snapshot import DAYS_A_YEAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from crossmargin.models.revaluation.settings import RevaluationSettings
    from crossmargin.models.scenarios.scenario_set import ScenarioSet

__all__ = ["FactorMoves", "distinct_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class FactorMoves:
    """Moves of a scenario set, laid out in columns, asked for by underlying, currency and days.

    Parameters
    ----------
    scenarios : ScenarioSet
        The moves.
    settings : RevaluationSettings
        The rules for volatilities without a history.
    layout : ScenarioLayout
        Columns; a pad has no move.
    moves : ndarray of float64, shape (factors, stride)
        Moves of each factor.
    """

    scenarios: ScenarioSet
    settings: RevaluationSettings
    layout: ScenarioLayout
    moves: Float64[np.ndarray, "factors stride"]

    @classmethod
    def of(cls, scenarios: ScenarioSet, settings: RevaluationSettings) -> FactorMoves:
        """Lay the moves of a set out."""
        layout = scenario_layout(scenarios.parts)
        return cls(scenarios, settings, layout, layout.spread(scenarios.moves.T))

    def has(self, underlying: str) -> bool:
        """Tell whether there are scenarios of a spot."""
        return f"spot:{underlying}" in self.scenarios.columns

    def has_exchange_rate(self, currency: str) -> bool:
        """Tell whether there are scenarios of an exchange rate."""
        return f"exchange_rate:{currency}" in self.scenarios.columns

    def spot(self, underlying: str) -> Float64[np.ndarray, " stride"]:
        """Return simple returns of a spot; ``KeyError`` if there is none."""
        return self.moves[self.scenarios.columns[f"spot:{underlying}"]]

    def exchange_rate(self, currency: str) -> Float64[np.ndarray, " stride"]:
        """Return simple returns of an exchange rate, 0 where the set has none."""
        column = self.scenarios.columns.get(f"exchange_rate:{currency}")
        return np.zeros(self.layout.stride) if column is None else self.moves[column]

    def rate(self, currency: str, days: float) -> Float64[np.ndarray, " stride"]:
        """Return moves of the interest rate for a number of days, 0 where the set has none."""
        return self._between(self.scenarios.curve("rate", currency), days)

    @property
    def has_rates(self) -> bool:
        """Whether an interest rate moves."""
        return any(factor.kind == "rate" for factor in self.scenarios.factors)

    def discount(self, currency: str, days: float) -> Float64[np.ndarray, " stride"]:
        """Return discount factor in the scenario ÷ discount factor now."""
        return np.exp(-self.rate(currency, days) * days / DAYS_A_YEAR)

    def growth(self, underlying: str, currency: str, days: float) -> Float64[np.ndarray, " stride"]:
        """Return forward in the scenario ÷ forward now."""
        return (1 + self.spot(underlying)) * np.exp(self.rate(currency, days) * days / DAYS_A_YEAR)

    def volatility(self, underlying: str, days: float) -> Float64[np.ndarray, " stride"]:
        """Return volatility in the scenario ÷ volatility now: from its own history, else by the rule."""
        curve = self.scenarios.curve("volatility", underlying)
        if curve:
            return 1 + self._between(curve, days)
        settings = self.settings
        weight = min(1.0, np.sqrt(settings.reference_days / days))
        move = -settings.volatility_response * weight * self.spot(underlying)
        return 1 + np.clip(move, -settings.volatility_fall_limit, settings.volatility_rise_limit)

    def slope(self, underlying: str) -> Float64[np.ndarray, " stride"]:
        """Return the change of the smile's slope."""
        return self.settings.slope_response * self.spot(underlying)

    def _between(self, curve: Sequence[tuple[int, int]], days: float) -> Float64[np.ndarray, " stride"]:
        """Return moves for a number of days: linear between those that there are, flat beyond, 0 without any."""
        if not curve:
            return np.zeros(self.layout.stride)
        known = np.array([day for day, _ in curve], np.float64)
        place = np.interp(days, known, np.arange(known.size))
        low, share = int(place), place - int(place)
        high = min(low + 1, known.size - 1)
        return (1 - share) * self.moves[curve[low][1]] + share * self.moves[curve[high][1]]


def distinct_rows(table: pl.DataFrame, *keys: str) -> tuple[pl.DataFrame, Int64[np.ndarray, " rows"]]:
    """Return the distinct values of some columns, sorted, and for each row of the table which it has."""
    distinct = table.select(keys).unique().sort(keys)
    numbered = distinct.with_row_index("at")
    at = table.select(keys).join(numbered, on=keys, how="left", maintain_order="left")["at"]
    return distinct, at.to_numpy().astype(np.int64)
