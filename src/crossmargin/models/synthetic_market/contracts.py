"""Instruments of a synthetic market, their settlement prices and deltas.

Futures stand at spot·e^{(r − q)T}. Options are marked by a smile around the at-the-money volatility of the
history: index options by Black's formula on the future of their month, stock options as American ones with
the cash dividends announced. Every price is on its tick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64

from crossmargin.core.exchange_days import last_trading_day
from crossmargin.kernels.american import american_values
from crossmargin.kernels.black76 import black76_values
from crossmargin.models.synthetic_market.histories import CALENDAR, CURRENCIES, RATE_DAYS, VOLATILITY_DAYS
from crossmargin.models.synthetic_market.underlyings import (
    CHINA_FUND,
    CHINA_INDEX,
    DOLLAR_FUND,
    INDEX_YIELD,
    MARKET_FUND,
    MARKET_INDEX,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from crossmargin.models.synthetic_market.histories import Histories
    from crossmargin.models.synthetic_market.sizes import MarketSize

__all__ = ["FUTURES", "FUTURE_SIZE", "Contracts", "contract_months", "synthetic_contracts"]

FUTURE_SIZE, MINI_SIZE = 50.0, 10.0
FUTURES: Final = {
    MARKET_INDEX: (MARKET_INDEX, FUTURE_SIZE),
    "MHI": (MARKET_INDEX, MINI_SIZE),
    CHINA_INDEX: (CHINA_INDEX, FUTURE_SIZE),
    "MCH": (CHINA_INDEX, MINI_SIZE),
}
"""Product → its index, and HKD for one point; options are listed on the larger ones."""

SERIAL_MONTHS, QUARTER = 2, 3
STRIKE_WIDTH: Final = 0.025
"""Distance of two strikes in parts of the price, before it is made round."""

STEPS: Final = np.array([1.0, 2.0, 5.0])
SKEW, CURVATURE, MONEYNESS_LIMIT = -0.05, 0.015, 4.0
"""Change of implied volatility, relative, for a strike one deviation higher, and for its square."""

INDEX_TICK, STOCK_TICK = 1.0, 0.01
LOTS: Final = np.array([4000, 2000, 1000, 500, 100])
LOT_PRICES: Final = np.array([5.0, 20.0, 50.0, 200.0])
"""Shares of a stock option contract by price of the share."""

AMERICAN_STEPS: Final = 50
YEAR_DAYS: Final = 365.0

Options = Float64[np.ndarray, " options"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Contracts:
    """Instruments and what they are worth.

    Parameters
    ----------
    instruments : DataFrame
        As in a market.
    marks : DataFrame
        As in a market, of futures and options.
    deltas : DataFrame
        ``instrument`` and ``delta`` of each option on the last day: change of its price for one point of
        the future (index options) or of the share.
    """

    instruments: pl.DataFrame
    marks: pl.DataFrame
    deltas: pl.DataFrame


def contract_months(as_of: date, count: int) -> list[tuple[str, date]]:
    """Return code (YYYY-MM) and last trading day of the months listed: the next two, then quarter months."""
    months: list[tuple[str, date]] = []
    number = 12 * as_of.year + as_of.month - 1
    while len(months) < count:
        year, month = number // 12, number % 12 + 1
        last = last_trading_day(year, month, CALENDAR)
        if last > as_of and (len(months) < SERIAL_MONTHS or month % QUARTER == 0):
            months.append((f"{year}-{month:02d}", last))
        number += 1
    return months


def synthetic_contracts(histories: Histories, size: MarketSize) -> Contracts:
    """List instruments on the last day of the histories and mark them on the last days."""
    futures = _futures(contract_months(histories.days[-1], size.futures_months))
    classes = {index: (histories.spot(index), FUTURE_SIZE) for index in (MARKET_INDEX, CHINA_INDEX)}
    index_options = _options(classes, contract_months(histories.days[-1], size.futures_months), size.strikes)
    stocks = {code: histories.spot(code) for code in histories.shares[: size.option_classes]}
    stock_options = _options(
        {code: (spot, _lot(spot)) for code, spot in stocks.items()},
        contract_months(histories.days[-1], size.option_months),
        size.strikes,
    )
    marks, deltas = [], pl.DataFrame()
    for back in range(min(size.mark_days, len(histories.days)), 0, -1):
        day = len(histories.days) - back
        future_marks = _future_marks(histories, futures, day)
        index_marks, index_deltas = _index_option_marks(histories, index_options, future_marks, day)
        stock_marks, stock_deltas = _stock_option_marks(histories, stock_options, day)
        marks += [
            frame.select(pl.lit(histories.days[day]).alias("date"), "instrument", "price")
            for frame in (future_marks, index_marks, stock_marks)
        ]
        deltas = pl.concat([index_deltas, stock_deltas])
    kinds = [_cash(histories), _terms(futures, "HKCC", "future", None, "average")]
    kinds.append(_terms(index_options, "HKCC", "option", "european", "average"))
    kinds.append(_terms(stock_options, "SEOCH", "option", "american", "close"))
    instruments = pl.concat(kinds, how="diagonal")
    return Contracts(instruments=instruments, marks=pl.concat(marks), deltas=deltas)


def _cash(histories: Histories) -> pl.DataFrame:
    funds = (MARKET_FUND, CHINA_FUND, DOLLAR_FUND)
    codes = [*funds, *histories.shares]
    return pl.DataFrame(
        {
            "instrument": codes,
            "house": ["HKSCC"] * len(codes),
            "kind": ["etf"] * len(funds) + ["equity"] * len(histories.shares),
            "underlying": codes,
            "currency": [CURRENCIES[1] if code == DOLLAR_FUND else CURRENCIES[0] for code in codes],
            "multiplier": [1.0] * len(codes),
            "settlement": ["close"] * len(codes),
        }
    )


def _terms(series: pl.DataFrame, house: str, kind: str, style: str | None, settlement: str) -> pl.DataFrame:
    return series.with_columns(
        pl.lit(house).alias("house"),
        pl.lit(kind).alias("kind"),
        pl.lit(CURRENCIES[0]).alias("currency"),
        pl.lit(style, pl.String).alias("style"),
        pl.lit(settlement).alias("settlement"),
    )


def _futures(months: Sequence[tuple[str, date]]) -> pl.DataFrame:
    rows = [
        (f"{product}.F.{month}", index, multiplier, last)
        for product, (index, multiplier) in FUTURES.items()
        for month, last in months
    ]
    return pl.DataFrame(rows, schema=["instrument", "underlying", "multiplier", "expiry"], orient="row")


def _options(
    classes: dict[str, tuple[float, float]], months: Sequence[tuple[str, date]], strikes: int
) -> pl.DataFrame:
    """Return series of each class, ``code → (spot, multiplier)``, around the money."""
    rows = [
        (f"{code}.{right}.{strike:g}.{month}", code, multiplier, last, right, strike)
        for code, (spot, multiplier) in classes.items()
        for month, last in months
        for strike in _strikes(spot, strikes)
        for right in ("C", "P")
    ]
    names = ["instrument", "underlying", "multiplier", "expiry", "right", "strike"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _strikes(spot: float, each_side: int) -> list[float]:
    """Return strikes a round step apart, the nearest to the spot in the middle, all above 0."""
    steps = np.outer(10.0 ** np.arange(-3, 5), STEPS).ravel()
    step = float(steps[np.argmin(np.abs(np.log(steps / (STRIKE_WIDTH * spot))))])
    middle = round(spot / step)
    return [round(step * i, 4) for i in range(max(middle - each_side, 1), middle + each_side + 1)]


def _lot(spot: float) -> float:
    return float(LOTS[np.searchsorted(LOT_PRICES, spot)])


def _days_left(series: pl.DataFrame, day: date) -> Options:
    return series.select((pl.col("expiry") - day).dt.total_days().cast(pl.Float64)).to_series().to_numpy()


def _columns(histories: Histories, series: pl.DataFrame) -> list[int]:
    """Return the place of each series' underlying."""
    places = {code: place for place, code in enumerate(histories.codes)}
    return [places[code] for code in series["underlying"]]


def _interest(histories: Histories, days_left: Options, day: int) -> Options:
    return np.interp(days_left, RATE_DAYS, histories.rates[:, day, 0])


def _priced(series: pl.DataFrame, prices: Options, tick: float) -> pl.DataFrame:
    """Return series with their prices on the tick; nothing is worth less than one."""
    on_tick = np.round(np.maximum(np.rint(prices / tick), 1.0) * tick, 4)
    return series.select("instrument", "underlying", "expiry").with_columns(pl.Series("price", on_tick))


def _future_marks(histories: Histories, futures: pl.DataFrame, day: int) -> pl.DataFrame:
    days_left = _days_left(futures, histories.days[day])
    growth = (_interest(histories, days_left, day) - INDEX_YIELD) * days_left / YEAR_DAYS
    return _priced(futures, histories.closes[day, _columns(histories, futures)] * np.exp(growth), INDEX_TICK)


def _smile(
    histories: Histories, series: pl.DataFrame, forwards: Options, day: int
) -> Float64[np.ndarray, "options 1"]:
    """Return the volatility of each strike."""
    days_left = _days_left(series, histories.days[day])
    columns = _columns(histories, series)
    nodes = histories.volatilities[:, day, columns]
    share = np.clip((days_left - VOLATILITY_DAYS[0]) / (VOLATILITY_DAYS[1] - VOLATILITY_DAYS[0]), 0.0, 1.0)
    level = nodes[0] + share * (nodes[1] - nodes[0])
    deviations = np.log(series["strike"].to_numpy() / forwards) / (level * np.sqrt(days_left / YEAR_DAYS))
    distance = np.clip(deviations, -MONEYNESS_LIMIT, MONEYNESS_LIMIT)
    return (level * (1 + SKEW * distance + CURVATURE * distance**2))[:, None]


def _sides(series: pl.DataFrame) -> Options:
    return np.where((series["right"] == "C").to_numpy(), 1.0, -1.0)


def _index_option_marks(
    histories: Histories, series: pl.DataFrame, futures: pl.DataFrame, day: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    large = futures.filter(pl.col("instrument").str.contains(rf"^(?:{MARKET_INDEX}|{CHINA_INDEX})\."))
    forwards = series.join(
        large.select("underlying", "expiry", "price"),
        on=["underlying", "expiry"],
        how="left",
        maintain_order="left",
    )["price"].to_numpy()
    days_left = _days_left(series, histories.days[day])
    prices, deltas = black76_values(
        _sides(series),
        series["strike"].to_numpy(),
        days_left / YEAR_DAYS,
        _interest(histories, days_left, day),
        forwards[:, None].copy(),
        _smile(histories, series, forwards, day),
    )
    return _priced(series, prices[:, 0], INDEX_TICK), _with_deltas(series, deltas[:, 0])


def _with_deltas(series: pl.DataFrame, deltas: Options) -> pl.DataFrame:
    return series.select("instrument", pl.Series("delta", deltas))


def _stock_option_marks(
    histories: Histories, series: pl.DataFrame, day: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    days_left = _days_left(series, histories.days[day])
    spots = histories.closes[day, _columns(histories, series)]
    starts, times, amounts = _dividends_ahead(histories, series, day)
    prices, deltas = american_values(
        _sides(series),
        series["strike"].to_numpy(),
        days_left / YEAR_DAYS,
        _interest(histories, days_left, day),
        spots[:, None].copy(),
        _smile(histories, series, spots, day),
        starts,
        times,
        amounts,
        AMERICAN_STEPS,
    )
    return _priced(series, prices[:, 0], STOCK_TICK), _with_deltas(series, deltas[:, 0])


def _dividends_ahead(
    histories: Histories, series: pl.DataFrame, day: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the dividends after a day, of each series one after the other, as ``american_values`` has them."""
    today = histories.days[day]
    ahead: dict[str, list[tuple[float, float]]] = {}
    for ex_date, code, amount in histories.dividends.sort("ex_date").iter_rows():
        if ex_date > today:
            ahead.setdefault(code, []).append(((ex_date - today).days / YEAR_DAYS, amount))
    each = [ahead.get(code, []) for code in series["underlying"]]
    flat = np.array([pair for pairs in each for pair in pairs], np.float64).reshape(-1, 2)
    starts = np.cumsum([0, *(len(pairs) for pairs in each)], dtype=np.int64)
    return starts, np.ascontiguousarray(flat[:, 0]), np.ascontiguousarray(flat[:, 1])
