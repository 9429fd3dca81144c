"""Benchmark: 100,000 European options in 2,018 scenarios, against QuantLib, JAX and the processor's peak."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numba
import numpy as np
from numba import njit, prange

from crossmargin.kernels.european_pairs import european_pairs
from european_peers import has_jax, jax_prices, quantlib_engine, quantlib_formula
from machine import in_fresh_process, seconds, share_of_bandwidth
from option_market import COLUMNS, CONTRACT, SCENARIOS, OptionMarket, european_inputs, option_market
from report import Row, Table, ratio_row

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bench_european", "multiply_add_peak"]

RUNS = 9
# Additions and multiplications of a pair in a scenario, each FMA two; what else the loop does counts nothing.
OPERATIONS = {np.float32: 59, np.float64: 101}
QUANTLIB_GOAL, JAX_GOAL, PEAK_GOAL, WIDE_GOAL = 10_000.0, 10.0, 0.45, 3.0
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-12}  # of the spot
QUANTLIB_PAIRS, JAX_PAIRS = 20, 500
CHAIN, LANES, ROUNDS = 16, 1024, 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Width:
    """Times of one float type, and the largest difference from QuantLib in parts of the spot."""

    first: float
    one_core: float
    all_cores: float
    moving: float
    peak_one: float
    peak_all: float
    error: float
    jax: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class European:
    """Both widths, QuantLib's seconds for one price in one scenario, and the sizes of the work."""

    single: Width
    double: Width
    engine: float
    formula: float
    options: int
    cores: int


@njit(fastmath={"contract"}, error_model="numpy")
def _chain(row: np.ndarray, factor: float, term: float, rounds: int) -> None:
    """Multiply and add sixteen times in a row for each element, a vector at a time."""
    for _ in range(rounds):
        for i in range(row.size):
            x = row[i]
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            x = x * factor + term
            row[i] = x


@njit(parallel=True, error_model="numpy")
def _chains(rows: np.ndarray, factor: float, term: float, rounds: int) -> None:
    for core in prange(rows.shape[0]):
        _chain(rows[core], factor, term, rounds)


def multiply_add_peak(kind: type[np.floating], cores: int) -> float:
    """Return additions and multiplications a second of so many cores that do nothing but FMA in registers."""
    rows = np.full((cores, LANES), 0.5, kind)

    def run() -> None:
        if cores == 1:  # without the other cores, which have to be waited for
            _chain(rows[0], kind(0.9), kind(0.05), ROUNDS)
        else:
            _chains(rows, kind(0.9), kind(0.05), ROUNDS)

    run()
    return 2 * CHAIN * rows.size * ROUNDS / min(seconds(run, RUNS))


def _on(threads: int, function: Callable[[], object]) -> float:
    """Return the median time on so many threads."""
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        return median(seconds(function, RUNS))
    finally:
        numba.set_num_threads(before)


def _chosen(market: OptionMarket, count: int) -> np.ndarray:
    """Return pairs spread evenly over the market."""
    return np.linspace(0, market.strike.size - 1, count).astype(int)


def _rows(pairs: np.ndarray) -> np.ndarray:
    return np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()


def _error(market: OptionMarket, cube: np.ndarray, bases: np.ndarray, pairs: np.ndarray) -> float:
    """Return the largest difference from QuantLib's prices in parts of the spot."""
    _, prices = quantlib_engine(market, pairs)
    found = cube[_rows(pairs)][:, market.scenario_columns].astype(np.float64) / CONTRACT
    spot = market.spot[market.underlying[market.group[np.repeat(pairs, 2)]]]
    return float(np.max(np.abs(found + bases[_rows(pairs), None] - prices) / spot[:, None]))


def _bases(market: OptionMarket) -> np.ndarray:
    """Return base prices in float64, option after option."""
    pairs = european_inputs(market, np.float64)[1]
    return np.stack([pairs.call_base, pairs.put_base], axis=1).ravel()


def measure_width(kind: type[np.floating], *, with_jax: bool) -> Width:
    """Fill the cube in one float type, on one core and on all, and compare a slice with QuantLib."""
    market = option_market()
    groups, pairs, factors, gaps = european_inputs(market, kind)
    cube = np.zeros((2 * market.strike.size, COLUMNS), kind)
    cores = numba.config.NUMBA_NUM_THREADS

    def run() -> None:
        european_pairs(groups, pairs, factors, gaps, cube)

    first = seconds(run, 1)[0]
    error = _error(market, cube, _bases(market), _chosen(market, QUANTLIB_PAIRS))
    assert error <= TOLERANCE[kind], f"a price differs from QuantLib's by {error} of the spot"
    bent = pairs._replace(smile=-0.1 * pairs.deviation, skew=0.1 * pairs.deviation)
    moving = factors._replace(
        skew=np.zeros_like(factors.volatility_factor), discount=np.ones((1, COLUMNS), kind)
    )
    european_pairs(groups, bent, moving, gaps, cube)
    return Width(
        first=first,
        one_core=_on(1, run),
        all_cores=_on(cores, run),
        moving=_on(cores, lambda: european_pairs(groups, bent, moving, gaps, cube)),
        peak_one=multiply_add_peak(kind, 1),
        peak_all=multiply_add_peak(kind, cores),
        error=error,
        jax=_jax(market, kind) if with_jax else None,
    )


def _jax(market: OptionMarket, kind: type[np.floating]) -> float:
    """Return JAX's seconds for one price in one scenario."""
    pairs = _chosen(market, JAX_PAIRS)
    time, prices = jax_prices(market, pairs, kind)
    chosen = _chosen(market, QUANTLIB_PAIRS)
    _, exact = quantlib_engine(market, chosen)
    _, same = jax_prices(market, chosen, kind)
    spot = market.spot[market.underlying[market.group[np.repeat(chosen, 2)]]]
    assert np.max(np.abs(same - exact) / spot[:, None]) <= 10 * TOLERANCE[kind], "JAX prices something else"
    return time / prices.size


def measure() -> European:
    """Measure both widths, each in a process of its own, and QuantLib on a slice."""
    single = in_fresh_process(_measure_single)
    double = in_fresh_process(_measure_double)
    market = option_market()
    pairs = _chosen(market, QUANTLIB_PAIRS)
    prices = 2 * pairs.size * SCENARIOS
    return European(
        single=single,
        double=double,
        engine=median(quantlib_engine(market, pairs)[0] for _ in range(3)) / prices,
        formula=median(quantlib_formula(market, pairs) for _ in range(3)) / prices,
        options=2 * market.strike.size,
        cores=numba.config.NUMBA_NUM_THREADS,
    )


def _measure_single() -> Width:
    return measure_width(np.float32, with_jax=has_jax())


def _measure_double() -> Width:
    return measure_width(np.float64, with_jax=has_jax())


def bench_european(bandwidth: float) -> Table:
    """Compare all of them; ``bandwidth`` is that of the memory in bytes a second."""
    found = measure()
    prices = found.options * SCENARIOS
    cube_bytes = found.options * COLUMNS * 4
    return Table(
        f"Revaluing {found.options:,} European options × {SCENARIOS:,} scenarios",
        f"{prices / 1e6:,.1f} million prices, a call and a put each {OPERATIONS[np.float32]} additions and "
        f"multiplications and two divisions together (float64: {OPERATIONS[np.float64]} and two); "
        f"{cube_bytes / 1e9:.2f} GB of float32 written ({COLUMNS:,} columns with the gaps).",
        [
            *_time_rows("float32", found.single, found.options * COLUMNS),
            *_time_rows("float64", found.double, found.options * COLUMNS),
            ratio_row(
                "time of float64 over float32, all cores",
                found.double.all_cores / found.single.all_cores,
                WIDE_GOAL,
                at_most=True,
            ),
            *_quantlib_rows(found, prices),
            *_jax_rows(found, prices),
            _peak_row("float32, one core", found, np.float32, cores=1),
            _peak_row("float32, all cores", found, np.float32, cores=found.cores),
            _peak_row("float64, one core", found, np.float64, cores=1),
            Row(
                "share of the time that writing the float32 cube at the speed of reading would take",
                share_of_bandwidth(cube_bytes, bandwidth, found.single.all_cores),
            ),
        ],
        _notes(found),
    )


def _time_rows(name: str, width: Width, cells: int) -> list[Row]:
    def row(what: str, time: float) -> Row:
        return Row(f"{name}, {what}", f"{1e3 * time:,.0f} ms ({1e9 * time / cells:.3f} ns a price)")

    return [
        row("all cores", width.all_cores),
        row("one core", width.one_core),
        row("all cores, with smile, skew and rates", width.moving),
        Row(f"{name}, first run of a process", f"{1e3 * width.first:,.0f} ms"),
    ]


def _quantlib_rows(found: European, prices: int) -> list[Row]:
    engine = found.engine * prices
    return [
        Row("QuantLib, engine with quotes", f"{1e9 * found.engine:,.0f} ns a price"),
        Row("QuantLib, Black's formula alone", f"{1e9 * found.formula:,.0f} ns a price"),
        ratio_row("times faster than the engine, float32", engine / found.single.all_cores, QUANTLIB_GOAL),
        Row("the same, one core", f"{engine / found.single.one_core:,.0f}×"),
        Row(
            "times faster than the formula, float32, one core",
            f"{found.formula * prices / found.single.one_core:,.0f}×",
        ),
    ]


def _jax_rows(found: European, prices: int) -> list[Row]:
    single, double = found.single.jax, found.double.jax
    if single is None or double is None:
        return [Row("JAX, compiled, all cores", "skipped: JAX is not installed here")]
    return [
        Row("JAX, compiled, all cores, float32", f"{1e9 * single:.2f} ns a price"),
        Row("JAX, compiled, all cores, float64", f"{1e9 * double:.2f} ns a price"),
        ratio_row("times faster than JAX, float32", single * prices / found.single.all_cores, JAX_GOAL),
        ratio_row("times faster than JAX, float64", double * prices / found.double.all_cores, JAX_GOAL),
    ]


def _notes(found: European) -> list[str]:
    notes = [
        (
            f"QuantLib's {QUANTLIB_PAIRS} pairs are spread over the market, with spot and volatility quotes set "
            f"and the options asked for their values in each scenario, on one core. Every P&L of them agrees to "
            f"{found.single.error:.1e} of the spot in float32 and {found.double.error:.1e} in float64 (asserted: "
            f"{TOLERANCE[np.float32]:g} and {TOLERANCE[np.float64]:g})."
        ),
        (
            "The peak is that of a loop of fused multiply-adds in registers, each counted as two; minima, "
            "comparisons, roundings and divisions of the kernel count as nothing."
        ),
        "Smile, skew and rates move in the rows that say so; base prices and scenario vectors are ready.",
    ]
    if found.single.jax is not None:
        notes.append(
            f"JAX prices {JAX_PAIRS} of the pairs at a time; its matrices of spot and volatility (pairs × "
            "scenarios) are made before the clock starts, and the put follows from the call by parity."
        )
    return notes


def _peak_row(name: str, found: European, kind: type[np.floating], cores: int) -> Row:
    width = found.single if kind is np.float32 else found.double
    time, peak = (width.one_core, width.peak_one) if cores == 1 else (width.all_cores, width.peak_all)
    share = OPERATIONS[kind] * found.options / 2 * COLUMNS / time / peak
    return Row(
        f"share of the peak of multiply-adds, {name}",
        f"{100 * share:.0f}% of {peak / 1e9:,.0f} GFLOP/s",
        f"≥ {100 * PEAK_GOAL:.0f}%",
        share >= PEAK_GOAL,
    )


if __name__ == "__main__":
    from machine import read_bandwidth

    print(bench_european(in_fresh_process(read_bandwidth)).to_markdown())
