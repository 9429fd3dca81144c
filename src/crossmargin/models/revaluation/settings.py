"""Choices of the revaluation; none of them is written into code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from crossmargin.core.columns import require_choice
from crossmargin.models.scenarios.history_rules import require_within

__all__ = ["VOLATILITY_FLOOR", "RevaluationSettings"]

VOLATILITY_FLOOR: Final = 0.005
"""No volatility is lower, nor does it fall lower in a scenario."""


RANGES: Final = {
    "volatility_response": (0.0, 100.0),
    "slope_response": (-100.0, 100.0),
    "volatility_fall_limit": (0.0, 1.0),
    "volatility_rise_limit": (0.0, 1000.0),
    "reference_days": (1, 100_000),
    "decay_days": (0.0, 3650.0),
    "averaging_days": (0.0, 365.0),
    "arbitrage_tolerance": (0.0, 1.0),
    "stale_days": (0, 3650),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RevaluationSettings:
    """How instruments are valued today and in a scenario.

    Parameters
    ----------
    precision : {"float32", "float64", "int16"}
        Type of the profit and loss; "int16" is float32 rounded to sixteen bits with a scale per 64
        scenarios, half the bytes.
    smile : {"strike", "delta"}
        Whether the volatility of a strike stays where it is when the price moves, or moves along with
        the price, so that it belongs to a ratio of strike to forward.
    volatility_response : float
        For an underlying without a volatility history: relative fall of the at-the-money volatility for a
        rise of the price by 1, at ``reference_days`` or fewer to expiry; at more it is less by the root
        of their ratio. 2.2 is the slope of daily log moves of VHSI on those of HSI in 2021 and 2022
        (correlation −0.64); over the days on which HSI fell by 2% or more it is 5.
    slope_response : float
        Change of the smile's slope, in volatility for a log-moneyness of 1, for a rise of the price by 1.
    volatility_fall_limit, volatility_rise_limit : float
        Largest relative fall and rise of a volatility that follows from the rule.
    reference_days : int
        See ``volatility_response``.
    decay_days : float
        Calendar days that pass in a scenario; 0 revalues at once.
    averaging_days : float
        Length, in calendar days, of the window over which a final settlement price is averaged. The
        option is valued as if two thirds of that window brought no variance: the variance of the mean of
        a Brownian motion over a window is a third of that at its end.
    arbitrage_tolerance : float
        Part of the spot by which settlement prices may allow a gain without risk before it is found: they
        are rounded to ticks.
    stale_days : int
        Calendar days for which a price or mark stands when there is no newer one.
    """

    precision: Literal["float32", "float64", "int16"] = "float32"
    smile: Literal["strike", "delta"] = "strike"
    volatility_response: float = 2.2
    slope_response: float = 0.0
    volatility_fall_limit: float = 0.5
    volatility_rise_limit: float = 2.0
    reference_days: int = 30
    decay_days: float = 0.0
    averaging_days: float = 0.0
    arbitrage_tolerance: float = 1e-4
    stale_days: int = 7

    def __post_init__(self) -> None:
        require_choice(self.precision, "precision", ("float32", "float64", "int16"))
        require_choice(self.smile, "smile", ("strike", "delta"))
        require_within(self, RANGES)

    @property
    def computed(self) -> Literal["float32", "float64"]:
        """Type in which profit and loss is computed, and added up."""
        return "float64" if self.precision == "float64" else "float32"

    def described(self) -> tuple[tuple[str, str], ...]:
        """Return every choice as text, for the provenance of a result."""
        return tuple((name, str(getattr(self, name))) for name in type(self).__slots__)
