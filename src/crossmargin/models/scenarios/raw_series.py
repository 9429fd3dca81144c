"""The observed series of a market on its trading days, one column a risk factor, nothing judged yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64

from crossmargin.errors import BadRecord, InputError
from crossmargin.models.scenarios.scenario_set import RiskFactor
from crossmargin.models.scenarios.trading_days import scheduled_days, trading_days

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.models.market import Market
    from crossmargin.models.scenarios.findings import Days, FindingLog

__all__ = ["RawSeries", "observed_series"]

TABLES: Final = {
    "volatility": ("volatilities", "underlying", "volatility"),
    "rate": ("rates", "currency", "rate"),
    "exchange_rate": ("exchange_rates", "currency", "rate"),
}
"""Kind of factor → table, column of its name and column of its level."""

SERIES_SCHEMA: Final = {
    "name": pl.String(),
    "days": pl.Int64(),
    "date": pl.Date(),
    "level": pl.Float64(),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class RawSeries:
    """Levels of risk factors on trading days, as observed.

    Parameters
    ----------
    days : ndarray of datetime64[D], shape (days,)
        Trading days up to the as-of day, ascending.
    factors : tuple of RiskFactor
        Columns: spots sorted by name, then the other kinds.
    levels : ndarray of float64, shape (days, factors)
        0 where nothing was observed.
    observed : ndarray of bool, shape (days, factors)
        Where something was.
    """

    days: Days
    factors: tuple[RiskFactor, ...]
    levels: Float64[np.ndarray, "days factors"]
    observed: Bool[np.ndarray, "days factors"]


def observed_series(
    market: Market, as_of: date, *, kinds: tuple[str, ...], trading_share: float, log: FindingLog
) -> RawSeries:
    """Return the series of a market up to a day, on its trading days.

    Spot prices decide which days are trading days; prices on other days, and those before an
    underlying's first day of trading, are dropped and reported. Volatilities, rates and exchange rates
    are looked at on trading days only: they have calendars of their own.

    Raises
    ------
    InputError
        If there is no price up to that day, or the calendar is unknown.
    """
    spots = _without_early_prices(market, as_of, log)
    dates = _candidate_days(market.calendar, spots["date"])
    kind_of = dict(market["underlyings"].select("underlying", "kind").iter_rows())
    factors, prices, observed = _matrix(spots, "spot", dates)
    is_index = np.array([kind_of[factor.name] == "index" for factor in factors], np.bool_)
    trades = trading_days(
        dates, prices, is_index, calendar=market.calendar, trading_share=trading_share, log=log
    )
    _report_dropped(factors, dates, np.where(trades[:, None], 0.0, prices), log)
    others = [
        _matrix(_long_table(market, kind, as_of), kind, dates[trades]) for kind in TABLES if kind in kinds
    ]
    parts = [(factors, prices[trades], observed[trades]), *others]
    return RawSeries(
        days=dates[trades],
        factors=tuple(factor for part in parts for factor in part[0]),
        levels=np.hstack([part[1] for part in parts]),
        observed=np.hstack([part[2] for part in parts]),
    )


def _without_early_prices(market: Market, as_of: date, log: FindingLog) -> pl.DataFrame:
    """Return prices up to a day as a long table, those before listing reported and left out."""
    listed = market["underlyings"].select("underlying", "listed")
    prices = market["prices"].filter(pl.col("date") <= as_of).join(listed, on="underlying", how="left")
    early = (pl.col("date") < pl.col("listed")).fill_null(value=False)
    dropped = prices.filter(early).group_by("underlying").agg(pl.col("date").max(), pl.len().alias("n"))
    dropped = dropped.sort("underlying")
    codes = [RiskFactor("spot", name).code for name in dropped["underlying"]]
    log.add_rows(codes, "before listing", dropped["date"].to_numpy(), dropped["n"].to_numpy(), "dropped")
    kept = prices.filter(~early)
    if kept.is_empty():
        rule = f"prices up to {as_of.isoformat()}"
        raise InputError([BadRecord(file="market", line=0, field="prices", value="none", rule=rule)])
    return kept.select(
        pl.col("underlying").alias("name"), pl.lit(0, pl.Int64).alias("days"), "date", level="close"
    )


def _long_table(market: Market, kind: str, as_of: date) -> pl.DataFrame:
    """Return one of the other tables up to a day; the market's own currency is no exchange rate."""
    table, name, level = TABLES[kind]
    rows = market[table].filter(pl.col("date") <= as_of)
    if kind == "exchange_rate":
        rows = rows.filter(pl.col("currency") != market.currency)
    days = pl.col("days") if "days" in rows.columns else pl.lit(0, pl.Int64)
    return rows.select(pl.col(name).alias("name"), days.alias("days"), "date", level=level)


def _candidate_days(calendar: str, priced: pl.Series) -> Days:
    """Return every day with a price, and every scheduled one between the first and the last of them."""
    dates = priced.unique().sort().to_numpy()
    span = np.arange(dates[0], dates[-1] + np.timedelta64(1, "D"))
    _, scheduled = scheduled_days(calendar, span)
    return np.union1d(dates, span[scheduled])


def _matrix(
    rows: pl.DataFrame, kind: str, dates: Days
) -> tuple[tuple[RiskFactor, ...], Float64[np.ndarray, "days factors"], Bool[np.ndarray, "days factors"]]:
    """Return the factors of a long table and their levels on given days; other days are left out."""
    keys = rows.select("name", "days").unique().sort("name", "days")
    columns = rows.join(keys.with_row_index("column"), on=["name", "days"], maintain_order="left")["column"]
    days = rows["date"].to_numpy()
    places = np.minimum(np.searchsorted(dates, days), dates.size - 1)
    known = dates[places] == days
    where = places[known], columns.to_numpy()[known]
    levels = np.zeros((dates.size, len(keys)))
    observed = np.zeros(levels.shape, np.bool_)
    levels[where] = rows["level"].to_numpy()[known]
    observed[where] = True
    return tuple(RiskFactor(kind, name, tenor) for name, tenor in keys.iter_rows()), levels, observed


def _report_dropped(
    factors: tuple[RiskFactor, ...],
    dates: Days,
    prices: Float64[np.ndarray, "days factors"],
    log: FindingLog,
) -> None:
    for factor, column in zip(factors, prices.T, strict=True):
        dropped = column > 0
        log.add(factor.code, "no trading day", dates[dropped], column[dropped], "dropped")
