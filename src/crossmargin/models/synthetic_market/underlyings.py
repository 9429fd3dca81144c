"""Underlyings of a synthetic market and their price paths: indices, funds on them, shares.

Two indices are baskets of the shares, so that a book of shares or a fund moves with the index future as
closely as it would; there is a fund on each. Prices are as they traded: neither splits nor dividends are
taken out. Sums run element by element, not in a library whose order of summation depends on the processor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.models.synthetic_market.returns import clustered_returns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

__all__ = [
    "CHINA_FUND",
    "CHINA_INDEX",
    "DOLLAR_FUND",
    "FIXED_CODES",
    "FUND_INDEX",
    "INDEX_YIELD",
    "MARKET_FUND",
    "MARKET_INDEX",
    "SPLIT_RATIO",
    "SPLIT_STOCK",
    "Dividend",
    "Shares",
    "dividends",
    "index_weights",
    "invented_shares",
    "on_ticks",
    "price_paths",
    "split_day",
]

MARKET_INDEX, CHINA_INDEX = "HSI", "HHI"
MARKET_FUND, CHINA_FUND, DOLLAR_FUND = "2800", "2828", "9800"
FUND_INDEX: Final = {MARKET_FUND: MARKET_INDEX, CHINA_FUND: CHINA_INDEX, DOLLAR_FUND: MARKET_INDEX}
"""What each fund is a fund on."""

FIXED_CODES: Final = (MARKET_INDEX, CHINA_INDEX, MARKET_FUND, CHINA_FUND, DOLLAR_FUND)
"""Underlyings that are always there and stand before the shares; the last is the first fund in US dollars."""

INDEX_LEVELS: Final = np.array([20_000.0, 7_500.0])
FUND_RATIOS: Final = np.array([1_000.0, 100.0])
"""Levels at which the histories end, and index points for one point of the fund."""

INDEX_YIELD: Final = 0.03
"""Dividend yield of the indices; the funds pay it in cash, half of it twice a year."""

TRADING_DAYS: Final = 247
INDEX_SHARES: Final = 80
"""Only the first so many shares are in an index."""

WEIGHT_UNIT: Final = 1_000_000
SECTORS, CHINA_SHARE, PAYING_SHARE, YIELDS = 5, 0.5, 0.8, (0.01, 0.06)
MARKET_MOVE, CHINA_MOVE, SECTOR_MOVE, OWN_MOVE = 0.0105, 0.0060, 0.0055, 0.0125
"""Daily deviation of each factor's part of a share's return, before its loading."""

TRACKING_MOVE, LOG_RETURN_LIMIT = 0.0003, 0.4
PRICES: Final = (4.0, 400.0)
SPLIT_STOCK, SPLIT_RATIO, SPLIT_AT = 1, 2.0, 0.6
"""Which share is split, new ones for an old one, and when in parts of the history."""

NEW_LISTING_DAYS: Final = 370
"""Days of history that the last share has, or half of the history if that is less."""

EX_DAYS: Final = ((5, 10), (9, 5))
"""Month and earliest day on which a share goes ex its final and its interim dividend."""

EX_SPREAD: Final = 15
STOCK_CODES: Final = 8_000

TICK_PRICES: Final = np.array([0.25, 0.5, 10.0, 20.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0])
TICKS: Final = np.array([0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0])
"""Ticks of shares by price, in the manner of the exchange's spread table."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shares:
    """Shares of a synthetic market.

    Parameters
    ----------
    codes : list of str
        Their codes.
    china : ndarray of bool, shape (shares,)
        Whether the share is in the second index.
    weight : ndarray of float64, shape (shares,)
        In the indices, before it is scaled to add up to 1; 0 for the one that was listed late, and for
        all after the first ``INDEX_SHARES``.
    dividend_yield : ndarray of float64, shape (shares,)
        Paid a year, in parts of the price; 0 for those that pay none.
    last_price : ndarray of float64, shape (shares,)
        Where the history ends.
    listed : ndarray of int64, shape (shares,)
        First day of trading, as a row of the history.
    """

    codes: list[str]
    china: Bool[np.ndarray, " shares"]
    weight: Float64[np.ndarray, " shares"]
    dividend_yield: Float64[np.ndarray, " shares"]
    last_price: Float64[np.ndarray, " shares"]
    listed: Int64[np.ndarray, " shares"]


@dataclass(frozen=True, slots=True)
class Dividend:
    """A cash dividend: of which underlying, on which day of the calendar, what part of the price before."""

    underlying: int
    day: int
    part: float


def invented_shares(rng: np.random.Generator, count: int, history_days: int) -> Shares:
    """Invent shares; the last of them was listed late."""
    pool = np.setdiff1d(np.arange(1, STOCK_CODES + 1), [int(code) for code in FIXED_CODES[2:]])
    pays = rng.random(count) < PAYING_SHARE
    weight = np.exp(rng.normal(0.0, 0.8, count))
    weight[INDEX_SHARES:] = 0.0
    weight[-1] = 0.0
    listed = np.zeros(count, np.int64)
    listed[-1] = history_days - min(NEW_LISTING_DAYS, history_days // 2)
    return Shares(
        codes=[str(code) for code in np.sort(rng.choice(pool, count, replace=False)).tolist()],
        china=np.arange(count) % round(1 / CHINA_SHARE) == 0,
        weight=weight,
        dividend_yield=np.where(pays, rng.uniform(*YIELDS, count).round(4), 0.0),
        last_price=np.exp(rng.uniform(math.log(PRICES[0]), math.log(PRICES[1]), count)),
        listed=listed,
    )


def index_weights(shares: Shares) -> dict[str, dict[str, float]]:
    """Return index → share → its weight, in whole millionths that add up to 1."""
    parts = {MARKET_INDEX: shares.weight, CHINA_INDEX: _china_weight(shares)}
    return {index: _in_millionths(shares.codes, weight) for index, weight in parts.items()}


def _china_weight(shares: Shares) -> Float64[np.ndarray, " shares"]:
    return np.where(shares.china, shares.weight, 0.0)


def _in_millionths(codes: Sequence[str], weight: Float64[np.ndarray, " shares"]) -> dict[str, float]:
    """Return the weights scaled and rounded; what is cut off falls to those that lose most by it."""
    exact = weight / sum(weight.tolist()) * WEIGHT_UNIT
    whole = np.floor(exact).astype(np.int64)
    missing = WEIGHT_UNIT - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:missing]] += 1
    return {code: part / WEIGHT_UNIT for code, part in zip(codes, whole.tolist(), strict=True) if part}


def split_day(history_days: int) -> int:
    """Return the day, as a row of the history, from which a split share trades at its new price."""
    return int(SPLIT_AT * history_days)


def dividends(
    rng: np.random.Generator, calendar: Sequence[date], shares: Shares, history_days: int
) -> list[Dividend]:
    """Invent the dividends of funds and shares within a calendar that goes on beyond the history."""
    funds = [FIXED_CODES.index(code) for code in (MARKET_FUND, CHINA_FUND, DOLLAR_FUND)]
    payers = [*((fund, INDEX_YIELD, 0) for fund in funds)]
    payers += [
        (len(FIXED_CODES) + i, float(shares.dividend_yield[i]), int(shares.listed[i]) + 1)
        for i in np.flatnonzero(shares.dividend_yield).tolist()
    ]
    late = rng.integers(0, EX_SPREAD, (len(shares.codes) + len(FIXED_CODES), len(EX_DAYS)))
    late[funds] = late[funds[0]]
    split = (len(FIXED_CODES) + SPLIT_STOCK, split_day(history_days))
    return [
        Dividend(payer, day, rate / len(EX_DAYS))
        for payer, rate, first in payers
        for day in _ex_days(calendar, late[payer])
        if day >= max(first, 1) and (payer, day) != split
    ]


def _ex_days(calendar: Sequence[date], late: Int64[np.ndarray, " payments"]) -> Iterator[int]:
    """Yield the first business day from each year's ex-days on, as rows of the calendar."""
    for year in range(calendar[0].year, calendar[-1].year + 1):
        for (month, first), delay in zip(EX_DAYS, late.tolist(), strict=True):
            wanted = calendar[0].replace(year=year, month=month, day=first + delay)
            if calendar[0] < wanted <= calendar[-1]:
                yield next(row for row, day in enumerate(calendar) if day >= wanted)


def price_paths(
    rng: np.random.Generator,
    shares: Shares,
    paid: Sequence[Dividend],
    dollar: Float64[np.ndarray, " days"],
) -> Float64[np.ndarray, "days underlyings"]:
    """Invent the paths of all underlyings, fixed ones first; dividends come off on their day, splits do not.

    Parameters
    ----------
    rng : Generator
        Of the random numbers.
    shares : Shares
        The shares.
    paid : sequence of Dividend
        Those beyond the history are passed over.
    dollar : ndarray of float64, shape (days,)
        HKD for one USD.
    """
    returns = _share_returns(rng, len(shares.codes), shares.china, dollar.size)
    drops = np.zeros((dollar.size, len(FIXED_CODES) + len(shares.codes)))
    for dividend in paid:
        if dividend.day < dollar.size:
            drops[dividend.day, dividend.underlying] = np.log1p(-dividend.part)
    returns += drops[:, len(FIXED_CODES) :]
    indices = np.stack(
        [_basket(returns, shares.weight), _basket(returns, _china_weight(shares))],
        axis=1,
    )
    tracking = TRACKING_MOVE * rng.standard_normal(indices.shape)
    funds = indices + INDEX_YIELD / TRADING_DAYS + tracking + drops[:, 2:4]
    last = [INDEX_LEVELS, INDEX_LEVELS / FUND_RATIOS, shares.last_price]
    levels = [
        end * np.exp(np.cumsum(moves, axis=0) - moves.sum(axis=0))
        for end, moves in zip(last, (indices, funds, returns), strict=True)
    ]
    return np.concatenate([levels[0], levels[1], levels[1][:, :1] / dollar[:, None], levels[2]], axis=1)


def _share_returns(
    rng: np.random.Generator, count: int, china: Bool[np.ndarray, " shares"], days: int
) -> Float64[np.ndarray, "days shares"]:
    """Return log returns: the market, China, a sector and the share's own, each with its loading."""
    common = clustered_returns(rng, days, 2, leverage=True)
    sectors = clustered_returns(rng, days, SECTORS, leverage=False)
    own = clustered_returns(rng, days, count, leverage=False)
    beta, scale = rng.uniform(0.7, 1.3, count), rng.uniform(0.7, 1.5, count)
    returns = MARKET_MOVE * beta * common[:, :1] + CHINA_MOVE * np.where(china, 1.0, -0.3) * common[:, 1:]
    returns += SECTOR_MOVE * sectors[:, rng.integers(0, SECTORS, count)] + OWN_MOVE * scale * own
    return np.clip(returns, -LOG_RETURN_LIMIT, LOG_RETURN_LIMIT)


def _basket(
    returns: Float64[np.ndarray, "days shares"], weight: Float64[np.ndarray, " shares"]
) -> Float64[np.ndarray, " days"]:
    """Return the log return of a basket whose weights stay the same."""
    total, gain = sum(weight.tolist()), np.zeros(len(returns))
    for share, part in enumerate(weight.tolist()):
        gain += part / total * np.expm1(returns[:, share])
    return np.log1p(gain)


def on_ticks(prices: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Round prices of shares to their ticks, at least one."""
    tick = TICKS[np.searchsorted(TICK_PRICES, prices, side="right")]
    return np.round(np.maximum(np.rint(prices / tick), 1.0) * tick, 3)
