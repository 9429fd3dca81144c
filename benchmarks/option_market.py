"""A synthetic market of index and stock options with its scenarios, for the benchmarks of revaluation.

Sizes are those of Hong Kong: four indices with many strikes, 116 stocks with fewer, ten expiries each. The
log returns have one common factor, one of each sector and one of their own, all with fat tails and with
volatility that comes in clusters; the second block of scenarios is a stressed one. Where a forward falls,
volatilities rise, the nearer the expiry the more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.kernels.european_pairs import (
    LEAST_DEVIATION,
    FactorVectors,
    PairGroups,
    Pairs,
    european_base_prices,
)

__all__ = ["COLUMNS", "SCENARIOS", "OptionMarket", "european_inputs", "option_market"]

SEED = 7
INDICES, STOCKS, SECTORS = 4, 116, 12
INDEX_STRIKES, STOCK_STRIKES = 235, 35
DAYS = (5, 12, 25, 45, 70, 100, 160, 250, 370, 550)
NORMAL, STRESSED, COLUMNS = 1000, 1018, 2048
SECOND_BLOCK = 1024  # each block of scenarios starts at a full line of the cache
SCENARIOS = NORMAL + STRESSED
STRESS, LARGEST = 2.5, 0.6
RATE = 0.03
CONTRACT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionMarket:
    """Options, each pair of call and put once, and the scenarios of what they depend on.

    Groups, one underlying and expiry each, have the pairs ``starts[g]`` up to ``starts[g + 1]``. Columns in
    ``gaps`` (from and up to) are no scenarios: nothing moves there.
    """

    spot: np.ndarray  # (underlyings,)
    dividend_yield: np.ndarray  # (underlyings,), continuous a year
    rate: float  # continuous a year
    underlying: np.ndarray  # (groups,) row of the above
    years: np.ndarray  # (groups,)
    starts: np.ndarray  # (groups + 1,)
    strike: np.ndarray  # (pairs,)
    volatility: np.ndarray  # (pairs,) a year
    log_return: np.ndarray  # (underlyings, columns)
    volatility_factor: np.ndarray  # (groups, columns)
    gaps: np.ndarray  # (gaps, 2)

    @property
    def group(self) -> np.ndarray:
        """Group of each pair."""
        return np.repeat(np.arange(self.years.size), np.diff(self.starts))

    @property
    def scenario_columns(self) -> np.ndarray:
        """Columns that are scenarios."""
        columns = np.ones(self.log_return.shape[1], dtype=bool)
        for first, last in self.gaps:
            columns[first:last] = False
        return np.flatnonzero(columns)


def option_market(indices: int = INDICES, stocks: int = STOCKS, seed: int = SEED) -> OptionMarket:
    """Return the market; 50,000 pairs in 1,200 groups unless sizes say otherwise."""
    rng = np.random.default_rng(seed)
    count, expiries = indices + stocks, len(DAYS)
    underlying, years = np.repeat(np.arange(count), expiries), np.tile(np.array(DAYS) / 365.0, count)
    level = np.concatenate([rng.uniform(0.17, 0.28, indices), rng.uniform(0.22, 0.55, stocks)])
    strikes = np.where(underlying < indices, INDEX_STRIKES, STOCK_STRIKES)
    starts = np.concatenate([[0], np.cumsum(strikes)]).astype(np.int64)
    log_return = _log_returns(rng, indices, stocks)
    spot = np.concatenate([rng.uniform(4_000, 25_000, indices), np.exp(rng.normal(3.2, 1.0, stocks))])
    dividend_yield = rng.uniform(0.0, 0.05, count)
    place = np.concatenate([np.linspace(-1.0, 1.0, n) for n in strikes])
    strike, volatility = _strikes(
        place,
        np.repeat(level[underlying], strikes),
        np.repeat(years, strikes),
        np.repeat(spot[underlying] * np.exp((RATE - dividend_yield[underlying]) * years), strikes),
    )
    return OptionMarket(
        spot=spot,
        dividend_yield=dividend_yield,
        rate=RATE,
        underlying=underlying,
        years=years,
        starts=starts,
        strike=strike,
        volatility=volatility,
        log_return=_spread(log_return),
        volatility_factor=np.exp(_spread(_volatility_moves(rng, log_return, years))),
        gaps=np.array([[NORMAL, SECOND_BLOCK], [SECOND_BLOCK + STRESSED, COLUMNS]]),
    )


def _fat_tails(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return Student's t with four degrees of freedom, scaled to a variance of 1."""
    return rng.standard_t(4, shape) / np.sqrt(2.0)


def _log_returns(rng: np.random.Generator, indices: int, stocks: int) -> np.ndarray:
    """Return daily log returns, underlyings × scenarios."""
    own = np.concatenate([np.full(indices, 0.003), rng.uniform(0.008, 0.03, stocks)])
    beta = np.concatenate([np.ones(indices), rng.uniform(0.6, 1.4, stocks)])
    sector = rng.integers(0, SECTORS, own.size)
    clusters = np.exp(0.35 * np.cumsum(rng.normal(0.0, 0.05, SCENARIOS)))
    common = beta[:, None] * 0.014 * _fat_tails(rng, SCENARIOS)
    total = common + 0.007 * _fat_tails(rng, SECTORS, SCENARIOS)[sector]
    total += own[:, None] * _fat_tails(rng, own.size, SCENARIOS)
    total *= clusters / clusters.mean()
    total[:, NORMAL:] *= STRESS
    return np.clip(total, -LARGEST, LARGEST)


def _volatility_moves(rng: np.random.Generator, log_return: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Return the log of the volatility factors, groups × scenarios."""
    expiries = len(DAYS)
    moves = np.clip(0.12 * _fat_tails(rng, *log_return.shape) - 3.0 * log_return, -0.7, 1.3)
    slopes = np.tile(np.linspace(-1.0, 1.0, expiries), log_return.shape[0])
    tilts = 0.05 * _fat_tails(rng, *log_return.shape)
    weights = np.minimum(1.0, np.sqrt(0.08 / years))
    return np.repeat(moves, expiries, axis=0) * weights[:, None] + (
        np.repeat(tilts, expiries, axis=0) * slopes[:, None]
    )


def _strikes(
    place: np.ndarray, level: np.ndarray, years: np.ndarray, forward: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return strike and volatility of each pair, ``place`` running from −1 to 1 in its group."""
    distance = place * np.minimum(0.6, 3.0 * level * np.sqrt(years) + 0.08)
    smile = 1.0 - 0.125 * distance / np.sqrt(years + 0.05) + 0.3 * distance**2 / (years + 0.1)
    return forward * np.exp(distance), level * np.clip(smile, 0.5, 2.5)


def _spread(scenarios: np.ndarray) -> np.ndarray:
    """Return rows with both blocks at their columns and 0 between them."""
    rows = np.zeros((scenarios.shape[0], COLUMNS))
    rows[:, :NORMAL] = scenarios[:, :NORMAL]
    rows[:, SECOND_BLOCK : SECOND_BLOCK + STRESSED] = scenarios[:, NORMAL:]
    return rows


def european_inputs(
    market: OptionMarket, kind: type[np.floating]
) -> tuple[PairGroups, Pairs, FactorVectors, np.ndarray]:
    """Return the arguments of ``european_pairs`` but the cube, whose rows are call, put, call, put."""
    group = market.group
    owner, years = market.underlying[group], market.years[group]
    forward_leg = market.spot[owner] * np.exp(-market.dividend_yield[owner] * years)
    strike_leg = market.strike * np.exp(-market.rate * years)
    moneyness, deviation = np.log(forward_leg / strike_leg), market.volatility * np.sqrt(years)
    call, put = european_base_prices(moneyness, deviation, forward_leg, strike_leg)
    pairs, groups = np.arange(group.size), np.arange(market.years.size)
    none, every = np.zeros(group.size, kind), np.full(group.size, CONTRACT, kind)
    return (
        PairGroups(market.starts, market.underlying, groups, np.zeros_like(groups)),
        Pairs(
            log_moneyness=moneyness.astype(kind),
            deviation=deviation.astype(kind),
            least_deviation=np.full(group.size, LEAST_DEVIATION, kind),
            smile=none,
            skew=none,
            forward_leg=forward_leg.astype(kind),
            strike_leg=strike_leg.astype(kind),
            call_base=call.astype(kind),
            put_base=put.astype(kind),
            call_row=2 * pairs,
            put_row=2 * pairs + 1,
            call_scale=every,
            put_scale=every,
        ),
        FactorVectors(
            log_return=market.log_return.astype(kind),
            growth=np.exp(market.log_return).astype(kind),
            volatility_factor=market.volatility_factor.astype(kind),
            skew=np.empty((0, COLUMNS), kind),
            discount=np.empty((0, COLUMNS), kind),
        ),
        market.gaps,
    )
