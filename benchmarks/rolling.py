"""Benchmark: ten years of daily margins and gains of 5,000 accounts on rolling scenarios, against pandas."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.scenarios.build import ScenarioSettings, scenarios_from_histories
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.history_rules import HistoryRules
from crossmargin.models.scenarios.part_rules import hkscc_parts
from crossmargin.models.scenarios.rolling import RollingScenarios
from crossmargin.models.scenarios.selection import WorstDays
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.models.synthetic_market.sizes import MarketSize
from crossmargin.validation.rolling_margins import rolling_margins
from european import multiply_add_peak
from machine import in_fresh_process, peak_bytes, resident_bytes
from report import Row, Table, ratio_row
from rolling_pandas import Rules, by_column, by_partition, margins_of_day, variances

if TYPE_CHECKING:
    from collections.abc import Callable

    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.validation.rolling_margins import RollingMargins

__all__ = ["bench_rolling_margins"]

SEED: Final = 13
SIZE: Final = MarketSize(stocks=100, option_classes=8, years=16)
INDEX: Final = "spot:HSI"
HORIZON_DAYS: Final = 2
SETTINGS: Final = ScenarioSettings(parts=hkscc_parts(WorstDays(factor=INDEX)), horizon_days=HORIZON_DAYS)
DAYS: Final = 2_520
ACCOUNTS: Final = 5_000
POSITIONS: Final = (10, 20)
RUNS: Final = 2
PANDAS_DAYS: Final = 3
GROWTH_ACCOUNTS: Final = (2_500, 5_000, 10_000)
GROWTH_DAYS: Final = 250
OPTION_ACCOUNTS: Final = 1_000
OPTION_DAYS: Final = 20
GOAL, LINEAR_GOAL = 100.0, 1.25
TOLERANCE, DOUBLE_TOLERANCE = 5e-5, 1e-10
"""Relative difference from pandas of a margin from rows in float32, and in float64 before it is rounded to the cent."""
HALF_A_CENT = 0.5
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Positions by account: rows of the snapshot's instruments."""

    starts: np.ndarray
    rows: np.ndarray
    quantities: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Seconds of each piece, counts and bytes."""

    whole: float
    sets: float
    slow_set: float
    pandas: float
    partition: float
    difference: float
    growth: dict[int, float]
    option_day: float
    instruments: int
    option_instruments: int
    positions: int
    peak: int
    growth_of_memory: int
    coverage: float
    flops: float


def _books(instruments: np.ndarray, accounts: int) -> Books:
    """Return accounts of ten to twenty positions, half of them short."""
    rng = np.random.default_rng(SEED)
    counts = rng.integers(POSITIONS[0], POSITIONS[1] + 1, accounts)
    rows = [np.sort(rng.choice(instruments, count, replace=False)) for count in counts]
    total = int(counts.sum())
    return Books(
        starts=np.concatenate([[0], np.cumsum(counts)]),
        rows=np.concatenate(rows).astype(np.int32),
        quantities=rng.integers(1, 50, total) * rng.choice([-100, 100], total),
    )


def _linear_rows(snapshot: Snapshot, histories: Histories) -> np.ndarray:
    """Return shares, funds and futures in the market's currency whose underlying has a return on every day."""
    table = snapshot.instruments
    whole = histories.valid[1:].all(axis=0)
    names = {factor.name for factor, known in zip(histories.factors, whole, strict=True) if known}
    held = (table["kind"] != "option") & (table["currency"] == snapshot.currency)
    return np.flatnonzero((held & table["underlying"].is_in(names)).to_numpy())


def _run(
    snapshot: Snapshot,
    histories: Histories,
    books: Books,
    days: np.ndarray,
    revaluation: RevaluationSettings | None = None,
) -> RollingMargins:
    return rolling_margins(
        snapshot,
        histories,
        SETTINGS,
        books.starts,
        books.rows,
        books.quantities,
        days=days,
        horizon_days=HORIZON_DAYS,
        revaluation=revaluation,
    )


def _last(histories: Histories, count: int) -> np.ndarray:
    """Return the last days after which there are enough days for a gain."""
    end = histories.days.size - HORIZON_DAYS
    return np.arange(end - count, end)


def _least(function: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    times = []
    for _ in range(RUNS):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


def _measure() -> Found:
    market = synthetic_market(seed=SEED, size=SIZE)
    as_of = market["prices"]["date"].max()
    snapshot = make_snapshot(market, as_of)
    histories = make_histories(market, as_of, HistoryRules(kinds=("spot",)))
    held = _linear_rows(snapshot, histories)
    books = _books(held, ACCOUNTS)
    days = _last(histories, DAYS)
    _run(snapshot, histories, books, days[:3])  # loads kernels
    before = resident_bytes()
    began = time.perf_counter()
    found = _run(snapshot, histories, books, days)
    whole, peak = time.perf_counter() - began, peak_bytes()
    assert found.margined.all()
    assert found.realised.all()
    covered = float((found.gain >= -found.margin / 100).mean())
    chosen = np.linspace(0, DAYS - 1, PANDAS_DAYS).astype(int)
    slow, partition, difference = _pandas(snapshot, histories, books, days[chosen], found.margin[chosen])
    del found
    whole = min(whole, _least(lambda: _run(snapshot, histories, books, days)))
    option_day, option_instruments = _options(market, snapshot)
    return Found(
        whole=whole,
        sets=_sets(histories, days),
        slow_set=_slow_set(histories, days[chosen]),
        pandas=slow,
        partition=partition,
        difference=difference,
        growth=_growth(snapshot, histories, held),
        option_day=option_day,
        instruments=held.size,
        option_instruments=option_instruments,
        positions=books.rows.size,
        peak=peak,
        growth_of_memory=peak - before,
        coverage=covered,
        flops=2.0 * books.rows.size * 1000 * DAYS,
    )


def _sets(histories: Histories, days: np.ndarray) -> float:
    """Return the seconds that windows and moves of all days take, without a margin."""

    def make() -> None:
        rolling = RollingScenarios(histories=histories, settings=SETTINGS)
        moves = np.empty((len(histories.factors), 2018))
        for place in days.tolist():
            known = rolling.known(place)
            for number, part in enumerate(known.parts):
                rolling.put_moves(known, number, moves[:, part.start : part.stop])

    return _least(make)


def _slow_set(histories: Histories, days: np.ndarray) -> float:
    """Return the seconds of a day's set made from the histories up to it."""
    views = [histories.until(histories.days[place].item()) for place in days]
    return _least(lambda: [scenarios_from_histories(view, SETTINGS) for view in views]) / days.size


def _pandas(
    snapshot: Snapshot, histories: Histories, books: Books, days: np.ndarray, margin: np.ndarray
) -> tuple[float, float, float]:
    """Return seconds an account-day in pandas, those with NumPy's partition, and the largest relative difference."""
    codes = [factor.code for factor in histories.factors]
    table = snapshot.instruments[books.rows]
    amounts = books.quantities * (table["mark"] * table["multiplier"]).to_numpy()
    owner = np.repeat(np.arange(ACCOUNTS), np.diff(books.starts))
    long = pd.DataFrame(
        {"factor": "spot:" + table["underlying"].to_pandas(), "account": owner, "amount": amounts}
    )
    exposures = long.pivot_table(index="factor", columns="account", values="amount", aggfunc="sum")
    exposures = exposures.reindex(codes).fillna(0.0)
    returns = pd.DataFrame(histories.returns, columns=codes)
    counted = pd.DataFrame(histories.counted, columns=codes)
    rules = _rules()
    began = time.perf_counter()
    variance = variances(returns, counted, rules)
    once = time.perf_counter() - began
    times, margins = [], []
    for tail_means in (by_column, by_partition):
        began = time.perf_counter()
        margins += [
            margins_of_day(returns, variance, exposures, int(place), rules, tail_means) for place in days
        ]
        times.append((time.perf_counter() - began + once * days.size / DAYS) / (days.size * ACCOUNTS))
    found, again = np.array(margins).reshape(2, days.size, -1)
    assert np.allclose(found, again, rtol=DOUBLE_TOLERANCE)
    double = _run(snapshot, histories, books, days, RevaluationSettings(precision="float64")).margin
    cents = np.abs(100 * found - double)
    assert (cents <= HALF_A_CENT * (1 + DOUBLE_TOLERANCE * double)).all(), cents.max()
    difference = _difference(found, margin)
    assert difference < TOLERANCE, difference
    return (*times, difference)


def _difference(theirs: np.ndarray, ours: np.ndarray) -> float:
    """Return the largest relative difference of margins; ours are in hundredths."""
    amounts = ours / 100
    return float(np.max(np.abs(theirs - amounts) / amounts))


def _rules() -> Rules:
    recent, worst = SETTINGS.parts
    filtering, selection = recent.filtering, worst.selection
    return Rules(
        decay=filtering.decay,
        warm_up_days=filtering.warm_up_days,
        ratio_min=filtering.ratio_min,
        ratio_max=filtering.ratio_max,
        window_days=HORIZON_DAYS,
        scenarios=(recent.selection.scenarios, selection.scenarios),
        tails=(6, 21),
        weights=(recent.weight, worst.weight),
        worst_of=selection.factor,
        skip_days=selection.skip_days,
    )


def _growth(snapshot: Snapshot, histories: Histories, held: np.ndarray) -> dict[int, float]:
    """Return processor seconds by number of accounts."""
    days = _last(histories, GROWTH_DAYS)
    books = {accounts: _books(held, accounts) for accounts in GROWTH_ACCOUNTS}
    return {
        accounts: _least(lambda some=some: _run(snapshot, histories, some, days), time.process_time)
        for accounts, some in books.items()
    }


def _options(market: Market, snapshot: Snapshot) -> tuple[float, int]:
    """Return the seconds of a day of accounts that hold options too, and how many instruments a day's cube has."""
    histories = make_histories(market, snapshot.as_of)
    books = _books(np.arange(len(snapshot.instruments)), OPTION_ACCOUNTS)
    days = _last(histories, OPTION_DAYS)
    _run(snapshot, histories, books, days[:2])
    return _least(lambda: _run(snapshot, histories, books, days)) / OPTION_DAYS, len(snapshot.instruments)


def bench_rolling_margins(bandwidth: float) -> Table:
    """Measure ten years of daily margins and gains."""
    found = in_fresh_process(_measure)
    peak = multiply_add_peak(np.float32, len(os.sched_getaffinity(0)))
    each = found.whole / (DAYS * ACCOUNTS)
    rows_read = 4.0 * 1024 * found.positions * DAYS
    results = (8.0 * 4 + 2) * DAYS * ACCOUNTS
    growth = [
        ratio_row(
            f"growth of the processor time, {less:,} to {more:,} accounts, ÷ growth of the accounts",
            found.growth[more] / found.growth[less] / (more / less),
            LINEAR_GOAL,
            at_most=True,
        )
        for less, more in pairwise(GROWTH_ACCOUNTS)
    ]
    rows = [
        Row(
            "margins and gains of all days and accounts",
            f"{found.whole:.1f} s ({1e6 * each:.2f} µs an account-day)",
        ),
        Row(
            "of it: windows and moves of each day's scenarios",
            f"{found.sets:.1f} s ({1e3 * found.sets / DAYS:.2f} ms a day)",
        ),
        Row(
            "a day's set from its histories ÷ that",
            f"{found.slow_set / (found.sets / DAYS):.0f}×",
        ),
        Row(f"pandas, {PANDAS_DAYS} days of all accounts", f"{1e6 * found.pandas:,.0f} µs an account-day"),
        ratio_row("times faster than pandas an account-day", found.pandas / each, GOAL),
        Row(
            "the same with NumPy's `partition` instead of `nsmallest`",
            f"{1e6 * found.partition:,.0f} µs an account-day ({found.partition / each:.0f}×)",
        ),
        Row(
            "largest relative difference of a margin from pandas",
            f"{found.difference:.1e}",
            f"< {TOLERANCE:.0e}",
            met=True,
        ),
        Row(
            "share of the peak of multiply-adds, float32, all cores",
            f"{100 * found.flops / found.whole / peak:.0f}% of {peak / 1e9:.0f} GFLOP/s",
        ),
        Row(
            "bytes of rows a second, as a share of the memory's bandwidth",
            f"{100 * rows_read / found.whole / bandwidth:.0f}%",
        ),
        Row(
            "peak memory",
            f"{found.growth_of_memory / MIB:,.0f} MiB above the start, {found.peak / MIB:,.0f} MiB in all; "
            f"results alone {results / MIB:,.0f} MiB",
        ),
        *growth,
        Row(
            f"with options: {OPTION_ACCOUNTS:,} accounts on a market of {found.option_instruments:,} instruments",
            f"{1e3 * found.option_day:.0f} ms a day ({1e6 * found.option_day / OPTION_ACCOUNTS:.0f} µs an account-day)",
        ),
    ]
    return Table(
        "Ten years of daily margins and gains",
        f"{DAYS:,} days × {ACCOUNTS:,} accounts with {found.positions:,} positions in {found.instruments} shares, "
        f"funds and futures. A product and an addition for each position, day and scaled scenario (1,000): "
        f"{found.flops / 1e12:.2f} Tflop on rows of {found.instruments * 4096 / 1e3:,.0f} kB a day, that is "
        f"{rows_read / 1e12:.2f} TB read from the second cache; the 1,018 unscaled scenarios are results of past "
        f"windows, made once. {results / 1e9:.2f} GB of results written.",
        rows,
        _notes(found),
    )


def _notes(found: Found) -> list[str]:
    rolling = (
        "Each day's scenarios are those known on it: 1,000 scaled returns, 1,018 worst days of the index, windows of "
        "two days, HKSCC's tails and weights. Positions and marks stand still; gains are over the next two days. "
        "Least of three runs, on all cores."
    )
    slice_of = (
        "pandas: `ewm` once for all days, of which the slice bears its share, then day by day scaling, `rolling`, the "
        "product with the exposures and `nsmallest` for each account and part (`benchmarks/rolling_pandas.py`); on "
        "one core but for the product, and without gains. With rows in float64 every margin of the slice agrees to the "
        "cent (asserted in the run)."
    )
    limit = (
        "Rows of a day stay in the second cache, so that more is read than memory gives. A product and an addition "
        "are two instructions here, not one, since each is rounded: half of the peak is the most."
    )
    options = (
        "With options each day is a cube of all instruments: nearly all of its time is the cube, which more accounts "
        "would share."
    )
    covered = f"{100 * found.coverage:.2f}% of the gains of these random books are above minus the margin."
    return [rolling, slice_of, limit, covered, options]
