"""What a backtest of a programme comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from crossmargin.core.provenance import Provenance

__all__ = ["BacktestResult"]


@dataclass(frozen=True, kw_only=True, eq=False)
class BacktestResult:
    """Margins before and after the reduction on past days, and what they covered; amounts in ``currency``.

    Frames that judge have a row before and a row after the reduction (``when``); a series that no reduction touches
    has the same in both.

    Parameters
    ----------
    programme : str
        Name of the programme.
    market : str
        Name of the market.
    portfolios : {"static", "as they were"}
        Today's positions on the moves of past days, or the positions of each day.
    days : tuple of date
        Days on which margins were computed, ascending.
    every : int
        Trading days from one of them to the next.
    confidence : float
        Coverage that is asked for.
    currency : str
        Of every amount.
    history : DataFrame
        A row a day and series: ``date``, ``kind`` ("account", "leg", "rest", "joint account"; see ``units.KINDS``;
        and "all of a house": sums),
        ``name``, ``house`` (null of joint accounts), ``horizon_days``, ``before``, ``after`` (margin; null after of an
        account that joined, null before of what it left outside), ``gain`` over the horizon, ``value_at_risk`` and
        ``expected_shortfall`` of the joint model (loss-positive, null where it has none over that horizon).
        Accounts at HKSCC are participants' nets, as the house margins them.
    coverage : DataFrame
        A row a series: ``kind``, ``name``, ``house``, ``when``, ``observations``, ``exceedances``, ``coverage``,
        ``effective_observations`` (overlapping horizons), ``kupiec``, ``kupiec_p``, ``independence``,
        ``independence_p``, ``conditional``, ``conditional_p``, ``zone``, ``average_uncovered``, ``peak_uncovered``,
        ``peak_date``, ``z1``, ``z2``, ``z2_critical`` (5% level). Null where a test has nothing to judge.
    houses : DataFrame
        Pooled, a row a house and kind, and one for joint accounts: ``house`` ("HKSCC" …, "joint"), ``kind`` ("house":
        all that it margins; "leg": its legs of joint accounts; "joint account"), ``when``,
        ``observations`` (series × days), ``exceedances``, ``coverage``, ``average_uncovered``, ``peak_uncovered``,
        ``peak_date``, ``series``, ``series_below`` (how many of them cover less than asked for).
    years : DataFrame
        As ``houses``, by ``year``.
    sensitivity : DataFrame
        ``setting``, ``value``, ``base`` (whether it is the programme's own), ``books`` ("silo", "joint"),
        ``mean_margin``, ``observations``, ``exceedances``, ``coverage``, ``peak_uncovered``, of the joint model.
    findings : DataFrame
        ``subject``, ``kind``, ``action``.
    provenance : Provenance
        What it takes to make it again.
    """

    programme: str
    market: str
    portfolios: str
    days: tuple[date, ...]
    every: int
    confidence: float
    currency: str
    history: pl.DataFrame
    coverage: pl.DataFrame
    houses: pl.DataFrame
    years: pl.DataFrame
    sensitivity: pl.DataFrame
    findings: pl.DataFrame
    provenance: Provenance
