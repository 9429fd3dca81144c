"""Benchmark: the whole market from scenario vectors to two tails of every account, at three sizes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numba
import numpy as np

from account_book import PARTS, SHARES, STRUCTURED, TAIL_COUNTS, make_book
from crossmargin.kernels.account_tails import account_tails
from crossmargin.kernels.american_pairs import (
    PairPremiums,
    american_base_prices,
    american_pairs,
    deviation_ranges,
    pair_premiums,
)
from crossmargin.kernels.american_premium import fit_premiums
from crossmargin.kernels.european_pairs import FactorVectors, PairGroups, Pairs, european_pairs
from crossmargin.kernels.linear_rows import linear_rows
from crossmargin.kernels.row_sums import aligned_zeros
from machine import in_fresh_process, seconds
from option_market import COLUMNS, SCENARIOS, european_inputs, option_market
from report import Row, Table, ratio_row

__all__ = ["bench_whole_market"]

RUNS = 7
SIZES = ((1, 29), (2, 58), (4, 116))
"""Indices and stocks with options: a quarter of the market, a half, the whole."""
ACCOUNTS = 100_000
SECOND_GOAL, START_GOAL, LINEAR_GOAL = 1.0, 1.0, 1.25
SEED = 17

START = """
import time
began = time.perf_counter()
import numpy as np
from crossmargin.kernels.account_tails import account_tails
from crossmargin.models.expected_shortfall.margin import es_margins
from crossmargin.models.revaluation.cube import make_cube
imported = time.perf_counter()
cube = np.ones((4, 128), np.float32)
account_tails(np.array([0, 2]), np.array([0, 1], np.int32), np.ones(2), cube, np.array([[0, 100]]), np.array([3]))
print(imported - began, time.perf_counter() - imported)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Seconds of each stage, the least of several runs, and sizes."""

    linear: float
    european: float
    american: float
    aggregation: float
    together: float
    fit: float
    instruments: int
    accounts: int
    positions: int


@dataclass(frozen=True, slots=True)
class Options:
    """Some groups of a market, with their own numbers."""

    groups: PairGroups
    pairs: Pairs


def part(groups: PairGroups, pairs: Pairs, first: int, last: int) -> Options:
    """Return the groups from and up to."""
    begin, end = groups.starts[first], groups.starts[last]
    chosen = PairGroups(groups.starts[first : last + 1] - begin, *(rows[first:last] for rows in groups[1:]))
    return Options(chosen, Pairs(*(np.ascontiguousarray(column[begin:end]) for column in pairs)))


def premiums_of(
    stocks: Options, factors: FactorVectors, interest: np.ndarray, income: np.ndarray
) -> tuple[PairPremiums, Options]:
    """Fit the premiums of early exercise and put American prices where the P&L counts from."""
    fits = fit_premiums(interest, income, *deviation_ranges(stocks.groups, stocks.pairs, factors))
    wide = Pairs(
        *(column if column.dtype == np.int64 else column.astype(np.float64) for column in stocks.pairs)
    )
    call, put = american_base_prices(stocks.groups, wide, pair_premiums(fits, interest, income, np.float64))
    priced = stocks.pairs._replace(call_base=call.astype(np.float32), put_base=put.astype(np.float32))
    return pair_premiums(fits, interest, income, np.float32), Options(stocks.groups, priced)


def measure(indices: int, stocks: int, accounts: int) -> Whole:
    """Reprice and aggregate a market of some size."""
    market = option_market(indices, stocks)
    groups, pairs, factors, gaps = european_inputs(market, np.float32)
    share = stocks / SIZES[-1][1]
    linear_count = int((SHARES + STRUCTURED) * share)
    pairs = pairs._replace(call_row=pairs.call_row + linear_count, put_row=pairs.put_row + linear_count)
    split = int(np.searchsorted(market.underlying, indices))
    european, american = part(groups, pairs, 0, split), part(groups, pairs, split, market.years.size)
    interest = (market.rate * market.years)[split:]
    income = (market.dividend_yield[market.underlying] * market.years)[split:]
    began = time.perf_counter()
    premiums_of(american, factors, interest, income)
    began = time.perf_counter()
    premiums, american = premiums_of(american, factors, interest, income)
    fitted = time.perf_counter() - began

    rng = np.random.default_rng(SEED)
    cube = aligned_zeros((linear_count + 2 * market.strike.size, COLUMNS), np.float32)
    amounts = rng.uniform(1.0, 100.0, linear_count).astype(np.float32)
    source, rows = rng.integers(0, indices + stocks, linear_count), np.arange(linear_count)
    returns = factors.growth - 1
    book = make_book(SEED, accounts)
    held = (book.rows % cube.shape[0]).astype(np.int32)
    stages = {
        "linear": lambda: linear_rows(amounts, source, rows, returns, cube),
        "european": lambda: european_pairs(european.groups, european.pairs, factors, gaps, cube),
        "american": lambda: american_pairs(american.groups, american.pairs, factors, premiums, gaps, cube),
        "aggregation": lambda: account_tails(book.starts, held, book.quantities, cube, PARTS, TAIL_COUNTS),
    }

    def everything() -> None:
        for stage in stages.values():
            stage()

    everything()
    alone = {name: min(seconds(stage, RUNS)) for name, stage in stages.items()}
    return Whole(
        **alone,
        together=min(seconds(everything, RUNS)),
        fit=fitted,
        instruments=cube.shape[0],
        accounts=accounts,
        positions=held.size,
    )


def start_seconds() -> tuple[float, float]:
    """Return seconds to import the engine in a new process, and to the end of a first small margin."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    runs = [
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", START], check=True, capture_output=True, text=True, env=kept
        )
        for _ in range(6)
    ][1:]  # the first fills the caches of byte code and kernels
    imported, first = np.array([[float(word) for word in run.stdout.split()] for run in runs]).T
    return median(imported.tolist()), median(first.tolist())


def bench_whole_market(bandwidth: float) -> Table:
    """Measure three sizes, each in a process of its own."""
    measured = [
        in_fresh_process(measure, indices, stocks, ACCOUNTS * stocks // SIZES[-1][1])
        for indices, stocks in SIZES
    ]
    whole = measured[-1]
    growth = [later.together / before.together / 2 for before, later in pairwise(measured)]
    imported, first = start_seconds()
    written = whole.instruments * COLUMNS * 4
    read = whole.positions * SCENARIOS * 4
    least = (written + read) / bandwidth
    return Table(
        "The whole market: reprice, aggregate, two tails",
        f"{whole.instruments:,} instruments × {SCENARIOS:,} scenarios × 4 bytes = {written / 1e6:,.0f} MB written once, "
        f"{whole.positions:,} positions × the same row read = {read / 1e9:.1f} GB: {least:.2f} s at the read bandwidth "
        "of memory. Rows that several accounts hold are in a cache now and then.",
        [
            Row("shares and structured products, linear", f"{1e3 * whole.linear:,.0f} ms"),
            Row("index options, European", f"{1e3 * whole.european:,.0f} ms"),
            Row("stock options, American", f"{1e3 * whole.american:,.0f} ms"),
            Row(f"{whole.accounts:,} accounts, two tails", f"{1e3 * whole.aggregation:,.0f} ms"),
            Row(
                "all of it after warm-up",
                f"{whole.together:.2f} s",
                f"< {SECOND_GOAL:g} s",
                whole.together < SECOND_GOAL,
            ),
            Row("time ÷ bytes at the read bandwidth", f"{whole.together / least:.2f}×"),
            Row("premiums of early exercise, fitted once for the marks of a day", f"{whole.fit:.2f} s"),
            *(
                ratio_row(
                    f"growth of the time, {name}, ÷ growth of the work", ratio, LINEAR_GOAL, at_most=True
                )
                for name, ratio in zip(("a quarter to a half", "a half to the whole"), growth, strict=True)
            ),
            Row("import of the engine in a new process", f"{imported:.2f} s"),
            Row(
                "import and first margin with kernels from the cache",
                f"{imported + first:.2f} s",
                f"< {START_GOAL:g} s",
                imported + first < START_GOAL,
            ),
        ],
        [
            (
                f"The least of {RUNS} runs on {numba.get_num_threads()} threads. A size has a quarter, a half or all of "
                "the underlyings with options, instruments and accounts, so its work grows by two each time."
            ),
        ],
    )
