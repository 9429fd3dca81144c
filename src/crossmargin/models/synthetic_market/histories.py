"""Histories of a synthetic market, as arrays and as the tables of a market."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64

from crossmargin.core.exchange_days import exchange_days
from crossmargin.models.synthetic_market.returns import autoregressive, volatility_moves
from crossmargin.models.synthetic_market.underlyings import (
    DOLLAR_FUND,
    FIXED_CODES,
    FUND_INDEX,
    INDEX_YIELD,
    MARKET_INDEX,
    SPLIT_RATIO,
    SPLIT_STOCK,
    Dividend,
    Shares,
    dividends,
    index_weights,
    invented_shares,
    on_ticks,
    price_paths,
    split_day,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CALENDAR", "CURRENCIES", "RATE_DAYS", "VOLATILITY_DAYS", "Histories", "synthetic_histories"]

CALENDAR: Final = "XHKG"
CURRENCIES: Final = ("HKD", "USD")
VOLATILITY_DAYS: Final = (30, 90)
RATE_DAYS: Final = (30, 90, 365)

LONG_DAMPING: Final = 0.75
"""Share of a move of 30-day volatility that the 90-day one makes, in logarithms."""

RISK_PREMIUM: Final = 1.06
"""Implied over realised volatility."""

VOLATILITY_MINIMUM: Final = 0.03
YEAR_DAYS: Final = 247
DOLLAR, DOLLAR_BAND, DOLLAR_MEMORY, DOLLAR_MOVE = 7.80, 0.05, 0.995, 0.004
RATE_LEVEL, RATE_MEMORY, RATE_LIMIT, RATE_MOVE, TERM_PREMIUM = 0.025, 0.998, 0.02, 0.0005, 0.004
AHEAD: Final = timedelta(days=400)
"""How far beyond the as-of date dividends are announced."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Histories:
    """Underlyings and their past.

    Parameters
    ----------
    days : list of date
        Business days, ascending; the last is the as-of date.
    codes : list of str
        Underlyings: those of ``FIXED_CODES``, then the shares.
    closes : ndarray of float64, shape (days, underlyings)
        Closing levels and prices; NaN before a share is listed.
    volatilities : ndarray of float64, shape (tenors, days, underlyings)
        At-the-money implied volatilities for ``VOLATILITY_DAYS``; NaN before a share is listed.
    rates : ndarray of float64, shape (tenors, days, currencies)
        Continuous rates of ``CURRENCIES`` for ``RATE_DAYS``.
    dollar : ndarray of float64, shape (days,)
        HKD for one USD.
    dividends : DataFrame
        As in a market, with those announced for days to come.
    splits : DataFrame
        As in a market.
    underlyings : DataFrame
        As in a market.
    weights : dict of str to dict of str to float
        Index or fund → constituent → its weight, the same on every day.
    """

    days: list[date]
    codes: list[str]
    closes: Float64[np.ndarray, "days underlyings"]
    volatilities: Float64[np.ndarray, "tenors days underlyings"]
    rates: Float64[np.ndarray, "tenors days currencies"]
    dollar: Float64[np.ndarray, " days"]
    dividends: pl.DataFrame
    splits: pl.DataFrame
    underlyings: pl.DataFrame
    weights: dict[str, dict[str, float]]

    @property
    def shares(self) -> list[str]:
        """Codes of the shares."""
        return self.codes[len(FIXED_CODES) :]

    def spot(self, code: str, day: int = -1) -> float:
        """Return the close of an underlying on a day, the last one unless another is asked for."""
        return float(self.closes[day, self.codes.index(code)])

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tables of a market that hold all this."""
        return {
            "underlyings": self.underlyings,
            "prices": _long(self.days, "underlying", self.codes, "close", self.closes),
            "volatilities": pl.concat(
                _long(self.days, "underlying", self.codes, "volatility", table, tenor)
                for tenor, table in zip(VOLATILITY_DAYS, self.volatilities, strict=True)
            ),
            "dividends": self.dividends,
            "splits": self.splits,
            "rates": pl.concat(
                _long(self.days, "currency", CURRENCIES, "rate", table, tenor)
                for tenor, table in zip(RATE_DAYS, self.rates, strict=True)
            ),
            "weights": self._weights_table(),
            "exchange_rates": _long(self.days, "currency", CURRENCIES[1:], "rate", self.dollar[:, None]),
        }

    def _weights_table(self) -> pl.DataFrame:
        rows = [
            (self.days[0], underlying, constituent, weight)
            for underlying, basket in self.weights.items()
            for constituent, weight in basket.items()
        ]
        return pl.DataFrame(rows, schema=["date", "underlying", "constituent", "weight"], orient="row")


def _long(
    days: Sequence[date],
    key: str,
    names: Sequence[str],
    value: str,
    table: Float64[np.ndarray, "days names"],
    tenor: int | None = None,
) -> pl.DataFrame:
    """Return a row for each day and name that has a value."""
    rows = pl.DataFrame(
        {
            "date": pl.Series(days).gather(np.repeat(np.arange(len(days)), len(names))),
            key: pl.Series(names).gather(np.tile(np.arange(len(names)), len(days))),
            value: table.ravel(),
        }
    )
    known = rows.filter(pl.col(value).is_not_nan())
    return known if tenor is None else known.with_columns(pl.lit(tenor, pl.Int64).alias("days"))


def synthetic_histories(rng: np.random.Generator, shares: int, years: int, as_of: date) -> Histories:
    """Invent underlyings and their histories up to the last business day that is not after ``as_of``."""
    calendar = exchange_days(as_of - timedelta(days=round(years * 365.25)), as_of + AHEAD, CALENDAR)
    days = [day for day in calendar if day <= as_of]
    invented = invented_shares(rng, shares, len(days))
    paid = dividends(rng, calendar, invented, len(days))
    dollar = _dollar(rng, len(days))
    paths = price_paths(rng, invented, paid, dollar)
    unlisted = np.zeros(paths.shape, bool)
    unlisted[:, len(FIXED_CODES) :] = np.arange(len(days))[:, None] < invented.listed
    codes = [*FIXED_CODES, *invented.codes]
    closes = np.where(unlisted, np.nan, _closes(paths))
    volatilities = np.where(unlisted, np.nan, _volatilities(rng, paths))
    split = (days[split_day(len(days))], invented.codes[SPLIT_STOCK], SPLIT_RATIO)
    return Histories(
        days=days,
        codes=codes,
        closes=closes,
        volatilities=volatilities,
        rates=_rates(rng, len(days)),
        dollar=dollar,
        dividends=_dividends_table(calendar, codes, closes, paid),
        splits=pl.DataFrame([split], schema=["ex_date", "underlying", "ratio"], orient="row"),
        underlyings=_underlyings_table(codes, days, invented),
        weights=index_weights(invented) | {fund: {index: 1.0} for fund, index in FUND_INDEX.items()},
    )


def _closes(paths: Float64[np.ndarray, "days underlyings"]) -> Float64[np.ndarray, "days underlyings"]:
    """Return the prices as they traded: before its split, a share cost more."""
    prices = paths.copy()
    prices[: split_day(len(paths)), len(FIXED_CODES) + SPLIT_STOCK] *= SPLIT_RATIO
    return np.concatenate([np.round(prices[:, :2], 2), on_ticks(prices[:, 2:])], axis=1)


def _volatilities(
    rng: np.random.Generator, paths: Float64[np.ndarray, "days underlyings"]
) -> Float64[np.ndarray, "tenors days underlyings"]:
    """Return implied volatilities that rise when the price falls, around what the path realises."""
    returns = np.diff(np.log(paths), axis=0, prepend=np.log(paths[:1]))
    deviation = returns.std(axis=0)
    moves = volatility_moves(rng, returns / deviation)
    mean = RISK_PREMIUM * deviation * np.sqrt(YEAR_DAYS)
    levels = np.stack([mean * np.exp(moves), mean * np.exp(LONG_DAMPING * moves)])
    return np.maximum(np.round(levels, 4), VOLATILITY_MINIMUM)


def _dollar(rng: np.random.Generator, days: int) -> Float64[np.ndarray, " days"]:
    """Return the exchange rate within its band of convertibility."""
    shocks = DOLLAR_MOVE * rng.standard_normal((days, 1))
    return np.round(DOLLAR + autoregressive(shocks, DOLLAR_MEMORY, -DOLLAR_BAND, DOLLAR_BAND)[:, 0], 4)


def _rates(rng: np.random.Generator, days: int) -> Float64[np.ndarray, "tenors days currencies"]:
    """Return one level for each currency, and a premium that grows with the tenor."""
    shocks = RATE_MOVE * rng.standard_normal((days, len(CURRENCIES)))
    level = RATE_LEVEL + autoregressive(shocks, RATE_MEMORY, -RATE_LIMIT, RATE_LIMIT)
    premium = TERM_PREMIUM * np.sqrt(np.array(RATE_DAYS) / max(RATE_DAYS))
    return np.round(level + premium[:, None, None], 5)


def _dividends_table(
    calendar: Sequence[date],
    codes: Sequence[str],
    closes: Float64[np.ndarray, "days underlyings"],
    paid: Sequence[Dividend],
) -> pl.DataFrame:
    """Return the dividends as money: a part of the close before, or of the last one."""
    rows = [
        (
            calendar[item.day],
            codes[item.underlying],
            max(round(item.part * float(closes[min(item.day, len(closes)) - 1, item.underlying]), 3), 0.001),
        )
        for item in paid
    ]
    return pl.DataFrame(rows, schema=["ex_date", "underlying", "amount"], orient="row")


def _underlyings_table(codes: Sequence[str], days: Sequence[date], shares: Shares) -> pl.DataFrame:
    listed = [None] * len(FIXED_CODES) + [days[row] if row else None for row in shares.listed.tolist()]
    return pl.DataFrame(
        {
            "underlying": codes,
            "kind": ["index", "index", "etf", "etf", "etf"] + ["stock"] * len(shares.codes),
            "currency": ["USD" if code == DOLLAR_FUND else "HKD" for code in codes],
            "dividend_yield": [INDEX_YIELD, INDEX_YIELD] + [0.0] * (len(codes) - 2),
            "adjustment": ["none"] * len(codes),
            "listed": pl.Series(listed, dtype=pl.Date),
            "proxy": [MARKET_INDEX if day else None for day in listed],
        }
    )
