"""Options that no house lists yet, or that have no settlement price: terms and volatility from their class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from crossmargin.core.columns import NUMBER_LIMIT
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.revaluation.snapshot import DAYS_A_YEAR, interest_rates
from crossmargin.models.revaluation.surface import CLASS_KEY

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.models.revaluation.snapshot import Snapshot

__all__ = ["NewSeries", "series_pair"]


@dataclass(frozen=True, slots=True)
class NewSeries:
    """An option of a class that is there, of any strike and expiry.

    Parameters
    ----------
    underlying : str
        With listed options; where it has several classes, the one with the largest contract is taken.
    expiry : date
        After the day of the snapshot.
    strike : float
        In points.
    right : {"C", "P"}
        Call or put.
    """

    underlying: str
    expiry: date
    strike: float
    right: Literal["C", "P"]

    @property
    def code(self) -> str:
        """One text for it: ``underlying/expiry/strike/right``."""
        strike = f"{self.strike:.10f}".rstrip("0").rstrip(".")
        return f"{self.underlying}/{self.expiry.isoformat()}/{strike}/{self.right}"


def series_pair(
    series: NewSeries, pairs: pl.DataFrame, snapshot: Snapshot, averaging_days: float = 0.0
) -> pl.DataFrame:
    """Return a series as a table of one pair, as ``option_pairs`` makes them, with its side in row 0.

    The volatility is linear in the logarithm of the strike within an expiry and flat beyond its strikes;
    between two expiries the total variance at one strike ÷ forward is linear in time, and before the
    first and after the last the volatility is theirs. The forward is that of the expiry where there is
    one; else forward ÷ spot grows exponentially between expiries.

    Raises
    ------
    InputError
        If the underlying has no options with a volatility, or the terms are not those of an option.
    """
    known = pairs.filter(pl.col("underlying") == series.underlying, pl.col("volatility").is_finite())
    days = (series.expiry - snapshot.as_of).days
    if bad := list(_bad(series, days, known)):
        raise InputError(bad)
    largest = known.sort("multiplier", *CLASS_KEY).tail(1)
    of_class = known.join(largest.select(CLASS_KEY), on=list(CLASS_KEY), how="semi", maintain_order="left")
    curves = of_class.sort("expiry", "strike").partition_by("expiry", maintain_order=True)
    terms = largest.row(0, named=True)
    window = averaging_days if terms["settlement"] == "average" else 0.0
    years = max(days - window * (2 / 3), days / 3) / DAYS_A_YEAR
    forward = _forward(curves, days, float(terms["spot"]))
    volatility, slope = _volatility(curves, years, float(np.log(series.strike / forward)))
    side, other = ("call", "put") if series.right == "C" else ("put", "call")
    rate = interest_rates(snapshot.rates, terms["currency"], np.array([float(days)]))[0]
    return pl.DataFrame(
        {
            **{name: [terms[name]] for name in CLASS_KEY},
            "spot": [terms["spot"]],
            "dividend_yield": [terms["dividend_yield"]],
            "expiry": [series.expiry],
            "strike": [series.strike],
            "days": [days],
            "years": [years],
            "group": [0],
            "rate": [rate],
            "forward": [forward],
            "carry": [
                np.log(forward / float(terms["spot"])) / years if terms["style"] == "american" else 0.0
            ],
            "volatility": [volatility],
            "smile_slope": [slope],
            side: [0],
            other: pl.Series([None], dtype=pl.Int64),
        }
    )


def _bad(series: NewSeries, days: int, known: pl.DataFrame) -> list[BadRecord]:
    rules = (
        (
            "underlying",
            series.underlying,
            bool(len(known)),
            "an underlying with options that have a volatility",
        ),
        ("expiry", series.expiry.isoformat(), days > 0, "after the day of the marks"),
        ("strike", str(series.strike), 0 < series.strike <= NUMBER_LIMIT, "above 0, at most 10^12"),
        ("right", series.right, series.right in {"C", "P"}, "C or P"),
    )
    return [
        BadRecord(file="trade", line=0, field=field, value=value, rule=rule)
        for field, value, holds, rule in rules
        if not holds
    ]


def _forward(curves: list[pl.DataFrame], days: int, spot: float) -> float:
    """Return spot × exp(carry), the logarithm linear in days from 0 at no days, and beyond at the last carry."""
    at = np.array([0, *(int(curve["days"][0]) for curve in curves)])
    logs = np.log([1.0, *(float(curve["forward"][0]) / spot for curve in curves)])
    if days > at[-1]:
        return float(spot * np.exp(logs[-1] * days / at[-1]))
    return float(spot * np.exp(np.interp(days, at, logs)))


def _volatility(curves: list[pl.DataFrame], years: float, moneyness: float) -> tuple[float, float]:
    """Return volatility and slope of the smile at a log-moneyness."""
    times = np.array([float(curve["years"][0]) for curve in curves])
    levels, slopes = np.array([_on_smile(curve, moneyness) for curve in curves]).T
    variance = np.interp(years, times, levels**2 * times)
    inside = times[0] <= years <= times[-1]
    flat = levels[0] if years < times[0] else levels[-1]
    level = np.sqrt(variance / years) if inside else flat
    return float(level), float(np.interp(years, times, slopes))


def _on_smile(curve: pl.DataFrame, moneyness: float) -> tuple[float, float]:
    at = np.log(curve["strike"].to_numpy() / curve["forward"].to_numpy())
    return (
        float(np.interp(moneyness, at, curve["volatility"].to_numpy())),
        float(np.interp(moneyness, at, curve["smile_slope"].to_numpy())),
    )
