"""A synthetic book of many small accounts, and the scenario cube of what they hold. Never real data.

Rows of the cube: shares, structured products (calls and puts on the shares), listed options. An account
trades few names, popular ones far more often than others. Gains and losses come from one market: a factor,
sectors, idiosyncratic moves with fat tails, and volatilities that rise as prices fall.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit, prange

from crossmargin.kernels.row_sums import aligned_zeros

__all__ = ["PARTS", "STRIDE", "TAIL_COUNTS", "AccountBook", "make_book", "make_cube"]

SHARES: Final = 2_600
STRUCTURED: Final = 13_000
UNDERLYINGS: Final = 120
INDICES: Final = 4
EXPIRIES: Final = 10
INDEX_STRIKES, STOCK_STRIKES = 235, 35
SECTORS: Final = 12
PARTS: Final = np.array([[0, 1000], [1024, 2042]])
"""Columns of the 1,000 historical and the 1,018 stress scenarios in a row of ``STRIDE`` columns."""
STRIDE: Final = 2048
TAIL_COUNTS: Final = np.array([6, 21])
"""0.994 of 1,000 and 0.98 of 1,018."""
STRESS_SIZE: Final = 2.5
POSITIONS_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AccountBook:
    """Positions by account: ``starts[a]`` up to ``starts[a + 1]`` are those of account a."""

    starts: np.ndarray
    rows: np.ndarray
    quantities: np.ndarray

    def first(self, accounts: int) -> AccountBook:
        """Return the book of the first accounts only."""
        stop = self.starts[accounts]
        return AccountBook(
            starts=self.starts[: accounts + 1], rows=self.rows[:stop], quantities=self.quantities[:stop]
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Options:
    """Terms of the option rows in the order of the cube, structured products first."""

    underlying: np.ndarray
    log_strike: np.ndarray
    years: np.ndarray
    volatility: np.ndarray
    call: np.ndarray


def _popular(rng: np.random.Generator, count: int, size: int | tuple[int, ...], power: float) -> np.ndarray:
    """Draw numbers below ``count``, low ones far more often: the density falls as a power of the number."""
    return np.minimum((count * rng.random(size) ** power).astype(np.int64), count - 1)


def _strikes() -> np.ndarray:
    """Return the number of strikes of each underlying."""
    return np.where(np.arange(UNDERLYINGS) < INDICES, INDEX_STRIKES, STOCK_STRIKES)


def _option_rows(rng: np.random.Generator, underlying: np.ndarray) -> np.ndarray:
    """Draw one listed option on each underlying: near expiries and strikes near the money more often."""
    strikes = _strikes()
    first = np.concatenate(([0], np.cumsum(strikes * EXPIRIES)))[underlying]
    expiry = _popular(rng, EXPIRIES, underlying.size, 2.0)
    count = strikes[underlying]
    centred = count / 2 + 0.16 * count * rng.standard_normal(underlying.size)
    strike = np.clip(centred.astype(np.int64), 0, count - 1)
    side = rng.integers(0, 2, underlying.size)
    return SHARES + STRUCTURED + 2 * (first + expiry * count + strike) + side


def make_book(seed: int, accounts: int) -> AccountBook:
    """Return positions of accounts: median 13, mean 20, at most 500; 35% shares, 15% structured products."""
    rng = np.random.default_rng(seed)
    counts = np.clip(np.rint(np.exp(rng.normal(2.6, 0.88, accounts))), 5, POSITIONS_MAX).astype(np.int64)
    starts = np.concatenate(([0], np.cumsum(counts)))
    total = int(starts[-1])
    owner = np.repeat(np.arange(accounts), counts)
    favourites = _popular(rng, UNDERLYINGS, (accounts, 4), 2.5)
    options = _option_rows(rng, favourites[owner, rng.integers(0, 4, total)])
    kind = rng.random(total)
    shares = _popular(rng, SHARES, total, 3.0)
    structured = SHARES + _popular(rng, STRUCTURED, total, 2.0)
    rows = np.where(kind < 0.35, shares, np.where(kind < 0.5, structured, options)).astype(np.int32)
    lots = np.ceil(np.exp(rng.normal(1.5, 1.2, total)))
    signs = np.where(rng.random(total) < 0.5, -1.0, 1.0)
    quantities = np.where(kind < 0.35, 5 * lots, np.where(kind < 0.5, 20 * lots, signs * lots))
    return AccountBook(starts=starts, rows=rows, quantities=quantities)


def _scenarios(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return log returns of the shares and moves of log volatility of the underlyings, scenarios last."""

    def fat(*shape: int) -> np.ndarray:
        return rng.standard_t(4, shape) / math.sqrt(2.0)

    count = int((PARTS[:, 1] - PARTS[:, 0]).sum())
    clustering = np.exp(0.35 * np.cumsum(rng.normal(0, 0.05, count)))
    clustering /= clustering.mean()
    beta, own = rng.uniform(0.6, 1.4, SHARES), rng.uniform(0.008, 0.03, SHARES)
    beta[:INDICES], own[:INDICES] = 1.0, 0.003
    sectors = 0.007 * fat(SECTORS, count)[rng.integers(0, SECTORS, SHARES)]
    returns = (beta[:, None] * 0.014 * fat(count) + sectors + own[:, None] * fat(SHARES, count)) * clustering
    returns[:, PARTS[0, 1] :] *= STRESS_SIZE
    returns = np.clip(returns, -0.6, 0.6)
    volatility = np.clip(-3 * returns[:UNDERLYINGS] + 0.12 * fat(UNDERLYINGS, count), -0.7, 1.3)
    return returns, volatility


def _options(rng: np.random.Generator) -> _Options:
    strikes = _strikes()
    years = np.array([5, 12, 25, 45, 70, 100, 160, 250, 370, 550]) / 365.0
    volatility = rng.uniform(0.22, 0.55, UNDERLYINGS)
    groups = np.repeat(strikes, EXPIRIES)
    pair_underlying = np.repeat(np.repeat(np.arange(UNDERLYINGS), EXPIRIES), groups)
    pair_years = np.repeat(np.tile(years, UNDERLYINGS), groups)
    ladder = np.concatenate([np.linspace(-1, 1, count) for count in groups])
    width = np.minimum(0.6, 3 * volatility[pair_underlying] * np.sqrt(pair_years) + 0.08)
    listed = np.arange(2 * pair_underlying.size)
    copied = rng.integers(0, listed.size, STRUCTURED)
    chosen = np.concatenate((copied, listed))
    pair = chosen // 2
    return _Options(
        underlying=pair_underlying[pair],
        log_strike=(ladder * width)[pair],
        years=pair_years[pair],
        volatility=volatility[pair_underlying[pair]],
        call=chosen % 2 == 0,
    )


@njit(cache=True, parallel=True, error_model="numpy")
def _fill_options(
    cube: np.ndarray,
    columns: np.ndarray,
    spots: np.ndarray,
    returns: np.ndarray,
    moves: np.ndarray,
    terms: tuple[np.ndarray, ...],
) -> None:
    """Fill the rows with Black's formula at the moved price and volatility less today's value, at no interest."""
    underlying, log_strike, years, volatility, call = terms
    for option in prange(underlying.size):
        name = underlying[option]
        root = math.sqrt(years[option])
        strike = math.exp(log_strike[option])
        today = 0.0
        for i in range(-1, columns.size):
            move = returns[name, i] if i >= 0 else 0.0
            deviation = volatility[option] * root * (math.exp(moves[name, i]) if i >= 0 else 1.0)
            d_1 = (move - log_strike[option]) / deviation + 0.5 * deviation
            price = math.exp(move)
            value = 0.5 * (
                price * math.erfc(-d_1 * math.sqrt(0.5))
                - strike * math.erfc((deviation - d_1) * math.sqrt(0.5))
            )
            if not call[option]:
                value += strike - price
            if i < 0:
                today = value
            else:
                cube[option, columns[i]] = spots[name] * (value - today)


def make_cube(seed: int, dtype: type[np.floating] = np.float32) -> np.ndarray:
    """Return gains (+) and losses (−) of one unit of each instrument, shape (115,600, 2,048), HKD."""
    rng = np.random.default_rng(seed)
    returns, moves = _scenarios(rng)
    spots = np.exp(rng.normal(3.2, 1.0, SHARES))
    options = _options(rng)
    columns = np.concatenate([np.arange(start, stop) for start, stop in PARTS])
    cube = aligned_zeros((SHARES + options.years.size, STRIDE), dtype)
    cube[:SHARES, columns] = spots[:, None] * np.expm1(returns)
    terms = (options.underlying, options.log_strike, options.years, options.volatility, options.call)
    _fill_options(cube[SHARES:], columns, spots, returns, moves, terms)
    return cube
