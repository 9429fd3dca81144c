"""A synthetic HKSCC market and positions in it, for tests, benchmarks and demonstrations.

Everything here is invented from a seed: codes look like Hong Kong codes, but no number describes a
listed company, a fund, an issuer or a participant.

The market: returns over two business days, a market factor, twelve sector factors and a fat-tailed
residual (Student-t), all of unit variance, scaled by a yearly volatility that is log-normal around 35%
for shares and 18% for funds; stressed scenarios are two and a half times as wide. A structured product
moves with its underlying by gearing, convexity and implied volatility, and never loses more than all.

Same arguments, same bytes: factors are added element by element, without a library whose order of
summation depends on the processor, and every number is rounded to few decimals, which hides the last
bits in which mathematical functions of two machines may differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.columns import require_size
from crossmargin.models.hkscc.book import POSITION_SCHEMA
from crossmargin.models.hkscc.parameters import (
    BENEFIT_PREFIXES,
    TABLE_SCHEMAS,
    HksccParameters,
    TailMeasure,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = ["PERIODS_A_YEAR", "STRESS_WIDTH", "synthetic_parameters", "synthetic_positions"]

PERIODS_A_YEAR: Final = 125
"""Two-day returns in a year of 250 business days."""

STRESS_WIDTH: Final = 2.5
"""Stressed returns are this many times as wide as historical ones."""

HEDGING_FUND, CHINA_FUND = 2800, 2828
STOCK_CODES, WARRANT_CODES, CBBC_CODES = (1, 10_000), (10_000, 30_000), (50_000, 70_000)
SEED_MAX: Final = 2**63
FUND_SHARE, SECTORS, ROWS_AT_ONCE = 0.05, 12, 256
MARKET_VOLATILITY, FUND_VOLATILITY, STOCK_VOLATILITY = 0.18, 0.18, 0.35
RETURN_RANGE, PRODUCT_RETURN_RANGE = (-0.9, 2.0), (-1.0, 40.0)
FLAT_RATES: Final = (0.12, 0.30, 0.55)
CONVERSION_RATIOS: Final = np.outer(10.0 ** np.arange(6), [1.0, 2.0, 5.0]).ravel()
LOW_PRICE, LOWEST_PRICE, TICK_MULTIPLIER_TENTH = 0.02, 0.01, 0.5
BENEFIT_SHARE: Final = 0.02
BENEFIT_RATES: Final = np.array([[0.0, 0.0], [-0.5, 0.5], [0.0, 0.5], [-1.0, 0.0]])
"""Short and long add-on rate by benefit type, as the worked example has them."""

BOARD_LOTS: Final = np.array([4000, 2000, 1000, 500, 100])
LOT_PRICES: Final = np.array([1.0, 5.0, 20.0, 100.0])
PRODUCT_LOT: Final = 10_000
GEARING_SCENARIOS: Final = 250
MONEY_MAX: Final = 5e9
"""No synthetic position is worth more, HKD."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stocks:
    """Shares and funds, ascending by code; ``rank`` 0 is the largest."""

    code: Int64[np.ndarray, " stocks"]
    rank: Int64[np.ndarray, " stocks"]
    price: Float64[np.ndarray, " stocks"]
    volatility: Float64[np.ndarray, " stocks"]
    market_loading: Float64[np.ndarray, " stocks"]
    sector: Int64[np.ndarray, " stocks"]
    sector_loading: Float64[np.ndarray, " stocks"]

    @property
    def size(self) -> Float64[np.ndarray, " stocks"]:
        """From 0, the smallest, to 1, the largest."""
        return 1 - self.rank / max(self.rank.size - 1, 1)

    @property
    def beta(self) -> Float64[np.ndarray, " stocks"]:
        return np.round(self.market_loading * self.volatility / MARKET_VOLATILITY, 4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Products:
    """Warrants and callable bull/bear contracts, ascending by code; ``underlying`` is a row of the stocks."""

    code: Int64[np.ndarray, " products"]
    underlying: Int64[np.ndarray, " products"]
    delta: Float64[np.ndarray, " products"]
    conversion_ratio: Float64[np.ndarray, " products"]
    cash_delta: Float64[np.ndarray, " products"]
    gearing: Float64[np.ndarray, " products"]
    optional: Bool[np.ndarray, " products"]

    @property
    def price(self) -> Float64[np.ndarray, " products"]:
        return np.maximum(np.round(np.abs(self.cash_delta) / self.gearing, 3), LOWEST_PRICE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Factors:
    """What moves every instrument, by scenario; ``width`` is 1, or ``STRESS_WIDTH`` where stressed."""

    width: Float64[np.ndarray, " scenarios"]
    market: Float64[np.ndarray, " scenarios"]
    sectors: Float64[np.ndarray, "sectors scenarios"]
    implied_volatility: Float64[np.ndarray, " scenarios"]


def synthetic_parameters(
    seed: int,
    stocks: int,
    structured_products: int,
    tier_n: int,
    valuation_date: date,
    historical_count: int = 1000,
    stressed_count: int = 1018,
    holiday_factor: float = 0.0,
) -> HksccParameters:
    """Invent a day's risk parameters: synthetic data, of the shape and size of the house's file.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    stocks : int
        Shares and funds of Tier P, at least 2: the hedging instrument 2800 and 2828 are always among them.
        With ``tier_n`` at most 9,999.
    structured_products : int
        Warrants (half of them) and callable bull/bear contracts on the largest stocks, at most 40,000.
    tier_n : int
        Stocks that are margined at a flat rate of 12%, 30% or 55%.
    valuation_date : date
        The day that the parameters carry.
    historical_count, stressed_count : int
        Scenarios of each measure; all returns are two-day returns.
    holiday_factor : float
        √H − 1 for H consecutive holidays.

    Returns
    -------
    HksccParameters
        Within the ranges and decimals of an RPF01 file, so that writing and reading change nothing.
    """
    require_size(seed, "seed", 0, SEED_MAX)
    require_size(stocks, "stocks", len((HEDGING_FUND, CHINA_FUND)), STOCK_CODES[1])
    rng = np.random.default_rng(seed)
    codes = _codes(rng, STOCK_CODES, stocks + tier_n, (HEDGING_FUND, CHINA_FUND))
    tier_n_codes = np.sort(codes[stocks:])
    stock = _stocks(rng, np.sort(codes[:stocks]))
    product = _products(rng, stock, structured_products)
    factors = _factors(rng, historical_count, stressed_count)
    returns = np.empty((stocks + structured_products, factors.width.size))
    _fill_stock_returns(rng, stock, factors, returns[:stocks])
    _fill_product_returns(rng, product, factors, returns[:stocks], returns[stocks:])
    low = np.flatnonzero(product.price <= LOW_PRICE)
    return HksccParameters(
        valuation_date=valuation_date,
        historical=TailMeasure(weight=0.75, confidence=Decimal("0.994"), scenario_count=historical_count),
        stressed=TailMeasure(weight=0.25, confidence=Decimal("0.98"), scenario_count=stressed_count),
        stress_test_count=200,
        rounding=10_000,
        holiday_factor=holiday_factor,
        scenario_instruments=_texts(np.concatenate([stock.code, product.code])).alias("instrument"),
        returns=returns,
        flat_rate=_table("flat_rate", tier_n_codes, rng.choice(FLAT_RATES, tier_n)),
        liquidation=_table(
            "liquidation",
            stock.code,
            np.round(0.004 - 0.0025 * stock.size + rng.uniform(0, 0.0003, stocks), 4).clip(0.0015, 0.004),
            stock.beta,
            np.rint(50 * 10**stock.size).astype(np.int64) * 1_000_000,
            stock.price,
        ),
        structured_product=_table(
            "structured_product",
            product.code,
            _texts(stock.code[product.underlying]),
            product.delta,
            product.conversion_ratio,
            product.cash_delta,
        ),
        tick=_table(
            "tick",
            product.code[low],
            np.full(low.size, LOW_PRICE),
            np.full(low.size, TICK_MULTIPLIER_TENTH),
        ),
        benefit=_benefits(rng, np.concatenate([stock.code, tier_n_codes])),
    )


def _texts(codes: Int64[np.ndarray, " n"]) -> pl.Series:
    return pl.Series(codes).cast(pl.String)


def _table(name: str, codes: Int64[np.ndarray, " n"], *columns: np.ndarray | pl.Series) -> pl.DataFrame:
    values = dict(zip(TABLE_SCHEMAS[name], (_texts(codes), *columns), strict=True))
    return pl.DataFrame(values, schema=TABLE_SCHEMAS[name])


def _codes(
    rng: np.random.Generator, span: tuple[int, int], count: int, first: tuple[int, ...] = ()
) -> Int64[np.ndarray, " count"]:
    """Draw distinct codes in no order, ``first`` at the head."""
    require_size(count, "instruments of one kind", len(first), span[1] - span[0])
    drawn = rng.permutation(np.arange(*span))
    return np.concatenate([np.array(first, np.int64), drawn[~np.isin(drawn, first)]])[:count]


def _log_normal(
    rng: np.random.Generator, median: float, spread: float, count: int
) -> Float64[np.ndarray, " count"]:
    return np.round(median * np.exp(spread * rng.standard_normal(count)), 6)


def _stocks(rng: np.random.Generator, codes: Int64[np.ndarray, " stocks"]) -> _Stocks:
    count = codes.size
    is_index_fund = np.isin(codes, (HEDGING_FUND, CHINA_FUND))
    is_fund = is_index_fund | (rng.random(count) < FUND_SHARE)
    rank = np.empty(count, np.int64)
    rank[np.argsort(np.where(is_index_fund, -1.0, rng.random(count)))] = np.arange(count)
    volatility = np.where(
        is_fund,
        _log_normal(rng, FUND_VOLATILITY, 0.15, count),
        _log_normal(rng, STOCK_VOLATILITY, 0.35, count).clip(0.12, 1.5),
    )
    market_loading = np.where(is_fund, 0.85, rng.uniform(0.38, 0.75, count))
    hedging = codes == HEDGING_FUND
    volatility[hedging], market_loading[hedging] = MARKET_VOLATILITY, 1.0
    return _Stocks(
        code=codes,
        rank=rank,
        price=_stock_prices(rng, 1 - rank / count),
        volatility=volatility,
        market_loading=market_loading,
        sector=rng.integers(0, SECTORS, count),
        sector_loading=np.where(is_fund, 0.0, rng.uniform(0.25, 0.5, count)),
    )


def _stock_prices(
    rng: np.random.Generator, size: Float64[np.ndarray, " stocks"]
) -> Float64[np.ndarray, " stocks"]:
    """Return prices that are higher for large stocks, with three decimals below 1, two below 100, then one."""
    price = _log_normal(rng, 2.0, 0.9, size.size) * 12**size
    decimals = (price < 1.0).astype(np.int64) + (price < 100.0) + 1  # noqa: PLR2004
    return np.maximum(np.rint(price * 10**decimals) / 10**decimals, 0.05)


def _products(rng: np.random.Generator, stock: _Stocks, count: int) -> _Products:
    warrants = (count + 1) // 2
    codes = [_codes(rng, WARRANT_CODES, warrants), _codes(rng, CBBC_CODES, count - warrants)]
    optional = np.arange(count) < warrants
    largest = np.argsort(stock.rank)[: max(stock.rank.size // 10, 1)]
    popularity = 1.0 / np.arange(1, largest.size + 1) ** 0.8
    underlying = rng.choice(largest, count, p=popularity / popularity.sum())
    side = np.where(rng.random(count) < 0.6, 1.0, -1.0)  # noqa: PLR2004
    delta = side * np.round(np.where(optional, rng.uniform(0.05, 0.9, count), rng.uniform(0.85, 1, count)), 4)
    gearing = np.where(
        optional,
        _log_normal(rng, 6.0, 0.4, count).clip(2, 20),
        _log_normal(rng, 10.0, 0.5, count).clip(3, 40),
    )
    exposure = np.abs(delta) * stock.price[underlying]
    wanted = exposure / (gearing * _log_normal(rng, 0.1, 0.9, count).clip(0.012, 2))
    ratio = CONVERSION_RATIOS[np.searchsorted(CONVERSION_RATIOS[:-1], wanted)]
    return _Products(
        code=np.concatenate([np.sort(part) for part in codes]),
        underlying=underlying,
        delta=delta,
        conversion_ratio=ratio,
        cash_delta=side * np.maximum(np.round(exposure / ratio, 4), 0.0001),
        gearing=gearing,
        optional=optional,
    )


def _unit_student(
    rng: np.random.Generator, freedom: float, shape: tuple[int, ...]
) -> Float64[np.ndarray, "*shape"]:
    """Draw Student-t numbers of unit variance."""
    return rng.standard_t(freedom, shape) * np.sqrt((freedom - 2) / freedom)


def _factors(rng: np.random.Generator, historical_count: int, stressed_count: int) -> _Factors:
    count = historical_count + stressed_count
    market = _unit_student(rng, 5.0, (count,))
    return _Factors(
        width=np.repeat([1.0, STRESS_WIDTH], [historical_count, stressed_count]),
        market=market,
        sectors=_unit_student(rng, 5.0, (SECTORS, count)),
        implied_volatility=0.8 * rng.standard_normal(count) - 0.6 * market,
    )


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + ROWS_AT_ONCE, count)) for start in range(0, count, ROWS_AT_ONCE))


def _rounded(
    returns: Float64[np.ndarray, "rows scenarios"], low: float, high: float
) -> Float64[np.ndarray, "rows scenarios"]:
    return np.round(returns.clip(low, high), 6) + 0.0  # + 0.0: no negative zero


def _fill_stock_returns(
    rng: np.random.Generator,
    stock: _Stocks,
    factors: _Factors,
    returns: Float64[np.ndarray, "stocks scenarios"],
) -> None:
    own_loading = np.sqrt(np.maximum(1 - stock.market_loading**2 - stock.sector_loading**2, 0.0))
    scale = stock.volatility / np.sqrt(PERIODS_A_YEAR)
    for rows in _blocks(stock.code.size):
        moves = _unit_student(rng, 4.0, returns[rows].shape) * own_loading[rows, None]
        moves += stock.sector_loading[rows, None] * factors.sectors[stock.sector[rows]]
        moves += stock.market_loading[rows, None] * factors.market
        returns[rows] = _rounded(moves * scale[rows, None] * factors.width, *RETURN_RANGE)


def _fill_product_returns(
    rng: np.random.Generator,
    product: _Products,
    factors: _Factors,
    stock_returns: Float64[np.ndarray, "stocks scenarios"],
    returns: Float64[np.ndarray, "products scenarios"],
) -> None:
    """Geared return of the underlying; a warrant adds convexity and implied volatility; both, own noise."""
    side = np.sign(product.delta)
    convexity = np.where(product.optional, 0.25 * product.gearing**2, 0.0)
    vega = np.where(product.optional, 0.04, 0.0)
    for rows in _blocks(product.code.size):
        move = stock_returns[product.underlying[rows]]
        noise = 0.03 * rng.standard_normal(move.shape) + vega[rows, None] * factors.implied_volatility
        geared = (side * product.gearing)[rows, None] * move + convexity[rows, None] * move * move
        returns[rows] = _rounded(geared + noise * factors.width, *PRODUCT_RETURN_RANGE)


def _benefits(rng: np.random.Generator, codes: Int64[np.ndarray, " stocks"]) -> pl.DataFrame:
    """Give some stocks a corporate action, the three benefit types in turn."""
    count = min(max(round(BENEFIT_SHARE * codes.size), len(BENEFIT_PREFIXES)), codes.size)
    chosen = np.sort(rng.permutation(codes)[:count])
    types = np.arange(count) % len(BENEFIT_PREFIXES) + 1
    prices = np.maximum(np.round(_log_normal(rng, 2.0, 1.0, count), 2), 0.01)
    prices[types == max(BENEFIT_PREFIXES)] = 1.0  # a cash dividend is its amount
    rates = BENEFIT_RATES[types]
    return _table("benefit", chosen, types, prices, rates[:, 0].copy(), rates[:, 1].copy())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Candidates:
    """What can be held: price and board lot, log of the popularity, typical HKD, and how often it is long.

    ``lot`` is 0 for a cash dividend, which has no quantity; ``is_entitlement`` marks what costs nothing.
    """

    code: pl.Series
    price: Float64[np.ndarray, " candidates"]
    lot: Int64[np.ndarray, " candidates"]
    popularity: Float64[np.ndarray, " candidates"]
    typical: Float64[np.ndarray, " candidates"]
    long_share: Float64[np.ndarray, " candidates"]
    is_entitlement: Bool[np.ndarray, " candidates"]


def synthetic_positions(
    seed: int,
    parameters: HksccParameters,
    participants: int,
    positions_per_participant: int,
    wealth: float = 1.0,
) -> pl.DataFrame:
    """Invent marginable positions: synthetic data, no position of any participant.

    Popular instruments are held by most, others by few; sizes are log-normal across participants,
    instruments and positions, so that a few are far larger than the rest. About 70% are stocks, 20%
    structured products, mostly long, 7% Tier N and 3% entitlements of corporate actions.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    parameters : HksccParameters
        The market, as ``synthetic_parameters`` makes it: all codes are taken from there.
    participants : int
        How many; their names are P0001, P0002, …
    positions_per_participant : int
        Positions of each, in different instruments; at most as many as there are.
    wealth : float
        Median size of a participant, where 1 holds positions of some hundred thousand HKD.

    Returns
    -------
    DataFrame
        ``participant``, ``instrument``, ``quantity`` (whole board lots, + long, − short),
        ``contract_value`` and ``market_value`` = quantity × price, HKD to the cent; sorted by participant.
    """
    rng = np.random.default_rng(seed)
    candidates = _candidates(rng, parameters)
    require_size(positions_per_participant, "positions_per_participant", 0, len(candidates.code))
    owner = np.repeat(np.arange(participants), positions_per_participant)
    held = _choose(rng, candidates, participants, positions_per_participant)
    own_wealth = _log_normal(rng, wealth, 1.2, participants)[owner]
    amount = own_wealth * candidates.typical[held] * _log_normal(rng, 1.0, 1.5, held.size)
    sign = np.where(rng.random(held.size) < candidates.long_share[held], 1, -1)
    money = np.round(np.minimum(amount, MONEY_MAX), 2)
    lot, price = candidates.lot[held], candidates.price[held]
    lots = np.maximum(np.rint(money / (price * np.maximum(lot, 1))), 1).astype(np.int64)
    quantity = sign * lot * lots
    market_value = np.round(quantity * price, 2) + 0.0
    premium = np.round(0.015 * rng.standard_normal(held.size), 4).clip(-0.05, 0.05)
    cost = np.where(candidates.is_entitlement[held], 0.0, market_value * (1 + premium))
    return pl.DataFrame(
        {
            "participant": pl.Series([f"P{i + 1:04}" for i in range(participants)], dtype=pl.String)[owner],
            "instrument": candidates.code.gather(held),
            "quantity": quantity,
            "contract_value": np.round(np.where(lot == 0, -sign * money, cost), 2) + 0.0,
            "market_value": market_value,
        },
        schema=POSITION_SCHEMA,
    )


def _choose(
    rng: np.random.Generator, candidates: _Candidates, participants: int, count: int
) -> Int64[np.ndarray, " positions"]:
    """Draw ``count`` different candidates a participant by popularity: the largest of Gumbel-shifted logs."""
    held = np.empty((participants, count), np.int64)
    for rows in _blocks(participants):
        keys = rng.gumbel(size=(held[rows].shape[0], len(candidates.code)))
        keys += candidates.popularity
        held[rows] = np.sort(np.argsort(keys, axis=1)[:, keys.shape[1] - count :], axis=1)
    return held.ravel()


def _candidates(rng: np.random.Generator, parameters: HksccParameters) -> _Candidates:
    stock, product = parameters.liquidation, parameters.structured_product
    tier_n, benefit = parameters.flat_rate, parameters.benefit
    thresholds = stock["threshold"].to_numpy() / 1e6
    rank = np.empty(len(stock), np.int64)
    rank[np.argsort(-thresholds, kind="stable")] = np.arange(len(stock))
    liquid = 1.0 / (rank + 10.0)
    underlying = parameters.rows(product["underlying"])["liquidation"]
    prices = [
        stock["cash_delta"].to_numpy(),
        _product_prices(parameters),
        np.maximum(np.round(_log_normal(rng, 0.8, 0.8, len(tier_n)), 2), 0.02),
        benefit["price"].to_numpy(),
    ]
    weights = [
        liquid,
        liquid[underlying] * _log_normal(rng, 1.0, 1.0, len(product)),
        _log_normal(rng, 1.0, 1.0, len(tier_n)),
        np.ones(len(benefit)),
    ]
    lots = [_board_lots(price) for price in prices]
    lots[1][:] = PRODUCT_LOT
    types = benefit["benefit_type"]
    lots[3][(types == max(BENEFIT_PREFIXES)).to_numpy()] = 0
    names = types.replace_strict(BENEFIT_PREFIXES, return_dtype=pl.String) + benefit["instrument"]
    sizes = [len(part) for part in prices]
    return _Candidates(
        code=pl.concat([stock["instrument"], product["instrument"], tier_n["instrument"], names]),
        price=np.concatenate(prices),
        lot=np.concatenate(lots),
        popularity=np.concatenate(
            [
                np.log(share * part / max(part.sum(), 1e-9))
                for share, part in zip((0.7, 0.2, 0.07, 0.03), weights, strict=True)
            ]
        ),
        typical=np.concatenate([4_000.0 * thresholds, *(np.full(size, 1.5e5) for size in sizes[1:])]),
        long_share=np.repeat([0.52, 0.75, 0.6, 0.6], sizes),
        is_entitlement=np.repeat([False, False, False, True], sizes),
    )


def _board_lots(price: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return larger lots for cheaper stocks."""
    return BOARD_LOTS[np.searchsorted(LOT_PRICES, price)]


def _product_prices(parameters: HksccParameters) -> Float64[np.ndarray, " products"]:
    """Return cash delta ÷ gearing, the gearing as returns of product and underlying show it.

    Returns are counted in whole millionths, so that their sums are exact in any order.
    """
    product = parameters.structured_product
    used = parameters.returns[:, : min(GEARING_SCENARIOS, parameters.historical.scenario_count)]
    moves = np.rint(np.abs(used) * 1e6).astype(np.int64).sum(axis=1)
    own = parameters.rows(product["instrument"])["returns"]
    underlying = parameters.rows(product["underlying"])["returns"]
    gearing = np.maximum(moves[own], 1) / np.maximum(moves[underlying], 1)
    return np.maximum(np.round(np.abs(product["cash_delta"].to_numpy()) / gearing, 3), LOWEST_PRICE)
