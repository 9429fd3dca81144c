"""Benchmark: the expected shortfalls of many accounts and of one more trade, against SciPy and NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from account_book import PARTS, STRIDE, TAIL_COUNTS, AccountBook, make_book, make_cube
from crossmargin.kernels.account_tails import account_tails
from crossmargin.kernels.incremental_tails import IncrementalTails
from crossmargin.kernels.quantised_rows import quantise_rows
from machine import in_fresh_process, seconds
from report import Row, Table, ratio_row

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bench_aggregation", "bench_what_if"]

BOOK_SEED, CUBE_SEED = 1, 2
ACCOUNTS: Final = 100_000
SCIPY_ACCOUNTS, NUMPY_ACCOUNTS = 5_000, 500
RUNS, SLOW_RUNS = 7, 3
TRADES: Final = 1_000
SCENARIOS: Final = int((PARTS[:, 1] - PARTS[:, 0]).sum())
BANDWIDTH_GOAL, SCIPY_GOAL, INTEGER_GOAL, ERROR_GOAL = 0.8, 10.0, 0.55, 1e-4
SMALL_GOAL, LARGE_GOAL, ADD_GOAL = 40.0, 900.0, 1.5e-6


def _least(function: Callable[[], object], runs: int = RUNS) -> float:
    """Return the least time of several warm calls: others may use the machine at the same time."""
    function()
    return min(seconds(function, runs))


def _numpy_tails(pnl: np.ndarray) -> np.ndarray:
    """Return both expected shortfalls of each row, with a partition."""
    tails = [
        -np.partition(pnl[..., start:stop], count - 1, axis=-1)[..., :count].mean(axis=-1)
        for (start, stop), count in zip(PARTS, TAIL_COUNTS, strict=True)
    ]
    return np.stack(tails, axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Aggregation:
    """Times (s) of all accounts, and of each other way for one position."""

    positions: int
    distinct_rows: int
    cube_bytes: int
    tails: float
    stored: float
    integers: float
    integer_bytes: int
    errors: np.ndarray
    scipy: float
    numpy: float


def _measure_aggregation() -> _Aggregation:
    book, cube = make_book(BOOK_SEED, ACCOUNTS), make_cube(CUBE_SEED)
    held = (book.starts, book.rows, book.quantities)
    layout = (PARTS, TAIL_COUNTS)
    tails = _least(lambda: account_tails(*held, cube, *layout))
    found = account_tails(*held, cube, *layout)
    scipy, numpy = _scipy_seconds(book, cube, found), _numpy_seconds(book, cube)
    pnl = np.zeros((ACCOUNTS, STRIDE), cube.dtype)
    stored = _least(lambda: account_tails(*held, cube, *layout, pnl=pnl), SLOW_RUNS)
    del pnl
    integers, scales = quantise_rows(cube)
    cube_bytes = cube.nbytes
    del cube
    quick = _least(lambda: account_tails(*held, integers, *layout, scales=scales))
    near = account_tails(*held, integers, *layout, scales=scales)
    return _Aggregation(
        positions=int(book.starts[-1]),
        distinct_rows=int(np.unique(book.rows).size),
        cube_bytes=cube_bytes,
        tails=tails,
        stored=stored,
        integers=quick,
        integer_bytes=integers.nbytes + scales.nbytes,
        errors=np.abs(near - found) / np.abs(found),
        scipy=scipy,
        numpy=numpy,
    )


def _scipy_seconds(book: AccountBook, cube: np.ndarray, found: np.ndarray) -> float:
    """Return SciPy's time for one position, without any tail, after a check of its results."""
    from scipy import sparse  # noqa: PLC0415 - only this benchmark needs it

    few = book.first(SCIPY_ACCOUNTS)
    shape = (SCIPY_ACCOUNTS, cube.shape[0])
    matrix = sparse.csr_matrix((few.quantities.astype(cube.dtype), few.rows, few.starts), shape=shape)
    difference = np.abs(_numpy_tails(matrix @ cube) - found[:SCIPY_ACCOUNTS])
    assert np.all(difference <= 1e-4 * np.abs(found[:SCIPY_ACCOUNTS])), "SciPy finds other results"
    return _least(lambda: matrix @ cube, SLOW_RUNS) / matrix.nnz


def _numpy_seconds(book: AccountBook, cube: np.ndarray) -> float:
    """Return NumPy's time for one position, an account after the other, with both tails."""
    few = book.first(NUMPY_ACCOUNTS)
    quantities = few.quantities.astype(cube.dtype)

    def each() -> None:
        for begin, end in zip(few.starts[:-1], few.starts[1:], strict=True):
            _numpy_tails(quantities[begin:end] @ cube[few.rows[begin:end]])

    return _least(each, SLOW_RUNS) / few.rows.size


def bench_aggregation(bandwidth: float) -> Table:
    """Compare in a fresh process; ``bandwidth`` is what all cores together read from memory, bytes a second."""
    found = in_fresh_process(_measure_aggregation)
    logical = found.positions * SCENARIOS * 4
    share = logical / found.tails / bandwidth
    error = float(np.quantile(found.errors, 0.99))
    return Table(
        f"Expected shortfalls of {ACCOUNTS:,} accounts",
        f"{found.positions:,} positions × {SCENARIOS:,} scenarios × 4 bytes = {logical / 1e9:.1f} GB of rows, as if no "
        f"row stayed in a cache; {found.distinct_rows:,} different rows = "
        f"{found.distinct_rows * SCENARIOS * 4 / 1e6:,.0f} MB at least. A product and an addition each, and two tails "
        f"({TAIL_COUNTS[0]} of {PARTS[0, 1]:,}, {TAIL_COUNTS[1]} of {PARTS[1, 1] - PARTS[1, 0]:,}) an account.",
        [
            Row("float32, both tails", _rate(found.tails, logical)),
            Row("the same, results stored for what-ifs", _rate(found.stored, logical)),
            Row(
                "bytes of rows a second, as a share of the memory's bandwidth",
                f"{100 * share:.0f}%",
                f"≥ {100 * BANDWIDTH_GOAL:.0f}%",
                share >= BANDWIDTH_GOAL,
            ),
            ratio_row(
                "times faster than SciPy's CSR × dense, which takes no tail",
                found.scipy * found.positions / found.tails,
                SCIPY_GOAL,
            ),
            Row("times faster than NumPy", f"{found.numpy * found.positions / found.tails:,.0f}×"),
            Row("int16 with a scale per 64 scenarios, both tails", _rate(found.integers, logical / 2)),
            ratio_row("its time, of float32's", found.integers / found.tails, INTEGER_GOAL, at_most=True),
            Row("its bytes, of float32's", f"{found.integer_bytes / found.cube_bytes:.3f}×"),
            Row(
                "its relative error in expected shortfall: median, 99th percentile, largest",
                f"{np.median(found.errors):.1e}, {error:.1e}, {found.errors.max():.1e}",
                f"99th ≤ {ERROR_GOAL:.0e}",
                error <= ERROR_GOAL,
            ),
        ],
        [
            "Least of several warm runs. Book and cube: `benchmarks/account_book.py`.",
            f"SciPy is timed on {SCIPY_ACCOUNTS:,} accounts and NumPy on {NUMPY_ACCOUNTS:,}, per position.",
            (
                "Ten times SciPy asks for more than two and a half times what the memory gives: SciPy reads the same rows "
                "on one core, and rows are read here as fast as memory and caches deliver them. Tried without gain: "
                "prefetching nearer and farther, blocks of scenarios with the popular rows first (the copy into blocks "
                "costs as much as it saves)."
            ),
            (
                "Rows of 16 bits halve the bytes, not the time: turning them into float32 takes about as long as the "
                "reading that it saves on this processor."
            ),
        ],
    )


def _rate(time: float, byte_count: float) -> str:
    return f"{1e3 * time:,.0f} ms ({byte_count / time / 1e9:.1f} GB/s of rows)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _WhatIf:
    """Times (s) of one trade: of an account of 20 positions and of one of 500."""

    hot: float
    cold: float
    small: float
    large: float
    small_positions: int
    large_positions: int


def _measure_what_if() -> _WhatIf:
    book, cube = make_book(BOOK_SEED, ACCOUNTS), make_cube(CUBE_SEED)
    counts = np.diff(book.starts)
    small, large = int(np.argmin(np.abs(counts - 20))), int(np.argmax(counts))
    held = slice(book.starts[small], book.starts[small + 1])
    pnl = np.zeros((1, STRIDE), cube.dtype)
    starts = np.array([0, counts[small]])
    account_tails(starts, book.rows[held], book.quantities[held], cube, PARTS, TAIL_COUNTS, pnl=pnl)
    account = IncrementalTails(pnl[0], cube, PARTS, TAIL_COUNTS)
    trades = np.random.default_rng(CUBE_SEED).integers(0, cube.shape[0], TRADES).tolist()
    return _WhatIf(
        hot=_least(lambda: [account.add(77, 3.0) for _ in range(TRADES)], 50 * RUNS) / TRADES,
        cold=_cold_seconds(account, trades, cube),
        small=_recompute_seconds(book, cube, small),
        large=_recompute_seconds(book, cube, large),
        small_positions=int(counts[small]),
        large_positions=int(counts[large]),
    )


def _cold_seconds(account: IncrementalTails, trades: list[int], cube: np.ndarray) -> float:
    """Return the time of a trade in a row that is in no cache: half of the cube is read before each run."""
    times = []
    for _ in range(RUNS):
        cube[: cube.shape[0] // 2].sum()
        times += seconds(lambda: [account.add(row, 3.0) for row in trades], 1)
    return min(times) / len(trades)


def _recompute_seconds(book: AccountBook, cube: np.ndarray, account: int) -> float:
    """Return NumPy's time to compute the account again with one more trade."""
    held = slice(book.starts[account], book.starts[account + 1])
    rows = np.append(book.rows[held], np.int32(77))
    quantities = np.append(book.quantities[held], 3.0).astype(cube.dtype)
    return _least(lambda: [_numpy_tails(quantities @ cube[rows]) for _ in range(10)], 10 * RUNS) / 10


def bench_what_if() -> Table:
    """Compare one more trade with computing the account again, in a fresh process."""
    found = in_fresh_process(_measure_what_if)
    return Table(
        "One more trade",
        f"{STRIDE:,} products and additions of float32, from the first cache, and two tails; from Python.",
        [
            Row(
                "a trade in a row used lately",
                f"{1e6 * found.hot:.2f} µs",
                f"≤ {1e6 * ADD_GOAL:g} µs",
                found.hot <= ADD_GOAL,
            ),
            Row("a trade in a row that is in no cache", f"{1e6 * found.cold:.2f} µs"),
            ratio_row(
                f"times faster than an account of {found.small_positions} positions again, NumPy",
                found.small / found.hot,
                SMALL_GOAL,
            ),
            ratio_row(
                f"times faster than an account of {found.large_positions} positions again, NumPy",
                found.large / found.hot,
                LARGE_GOAL,
            ),
        ],
        [
            "Least of several warm runs.",
            (
                "The goals are ratios to NumPy on another machine. A call costs what it did there; NumPy adds up an "
                "account's rows several times faster here."
            ),
        ],
    )
