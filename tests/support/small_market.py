"""Small markets of invented prices on real trading days, for tests of histories and scenarios."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from crossmargin.core.exchange_days import exchange_days
from crossmargin.models.market import make_market

FIRST, LAST = date(2014, 1, 2), date(2024, 6, 28)
DAYS = exchange_days(FIRST, LAST)


def walk(seed: int, count: int, *, daily: float = 0.01, start: float = 100.0) -> np.ndarray:
    """Prices of a random walk, to four decimals."""
    moves = np.random.default_rng(seed).standard_normal(count) * daily
    return np.round(start * np.exp(np.cumsum(moves)), 4)


def price_table(series: dict[str, tuple[list[date], list[float]]]) -> pl.DataFrame:
    tables = [
        pl.DataFrame({"date": days, "underlying": name, "close": np.asarray(closes, float)})
        for name, (days, closes) in series.items()
    ]
    return pl.concat(tables)


def small_market(series, *, underlyings=None, calendar="XHKG", **tables):
    """Return a market of price series (name → days and closes), adjusted for everything unless said."""
    given = underlyings or {}
    rows = [
        {"underlying": name, "kind": "stock", "currency": "HKD", "adjustment": "total"}
        | {"dividend_yield": 0.0, "listed": None, "proxy": None}
        | given.get(name, {})
        for name in series
    ]
    schema = {"listed": pl.Date, "proxy": pl.String}
    return make_market(
        {"underlyings": pl.DataFrame(rows, schema_overrides=schema), "prices": price_table(series), **tables},
        name="small",
        calendar=calendar,
        data_note="SYNTHETIC",
    )


def walks(names: str, count: int = 600, *, first: int = 0, daily: float = 0.01):
    """Return random walks on consecutive trading days, one for each letter."""
    days = DAYS[first : first + count]
    return {name: (days, walk(number, count, daily=daily).tolist()) for number, name in enumerate(names, 1)}
