"""Benchmark: SPAN margin of many accounts in one pass, against NumPy one account at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.models.span.book import locate, make_book
from crossmargin.models.span.margin import SpanMargins, span_margins
from crossmargin.models.span.scanning import portfolio_risk
from crossmargin.models.span.settings import SpanSettings
from crossmargin.models.span.synthetic import synthetic_span_parameters, synthetic_span_positions
from crossmargin.models.span.tables import make_tables
from machine import in_fresh_process, seconds, share_of_bandwidth
from report import Row, Table, ratio_row
from span_numpy import account_margin, make_market

__all__ = ["bench_span_margining"]

SEED = 7
SIZES = {"index_families": 3, "stock_futures": 40, "stock_classes": 60, "months": 6, "strikes": 21}
ACCOUNTS, POSITIONS, NUMPY_ACCOUNTS = 100_000, 20, 500
SPEED_GOAL = 100.0
RUNS, NUMPY_RUNS, SHUFFLED_RUNS = 7, 5, 3
SETTINGS = SpanSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Margining:
    """Times of both, the least of several runs each, those of our parts, and the sizes of the work."""

    first: float
    warm: float
    shuffled: float
    tables: float
    locate: float
    book: float
    risk: float
    numpy: float
    series: int
    portfolios: int
    credits: int
    position_bytes: int
    total: float


def measure() -> Margining:
    """Margin every account with ours and a slice with NumPy, and require the same totals to the cent."""
    parameters = synthetic_span_parameters(SEED, **SIZES, stock_option_style="european")
    positions = synthetic_span_positions(SEED, parameters, ACCOUNTS, POSITIONS)
    first = seconds(lambda: span_margins(positions, parameters), 1)[0]
    warm = min(seconds(lambda: span_margins(positions, parameters), RUNS))
    mixed = positions.sample(fraction=1.0, shuffle=True, seed=SEED)
    shuffled = min(seconds(lambda: span_margins(mixed, parameters), SHUFFLED_RUNS))
    tables = make_tables(parameters, SETTINGS)
    located = locate(positions, parameters)
    book = make_book(located, tables)

    def risk() -> object:
        return portfolio_risk(book, parameters, tables, SETTINGS)

    parts = {
        "tables": min(seconds(lambda: make_tables(parameters, SETTINGS), RUNS)),
        "locate": min(seconds(lambda: locate(positions, parameters), RUNS)),
        "book": min(seconds(lambda: make_book(located, tables), RUNS)),
        "risk": min(seconds(risk, RUNS)),
    }
    margins = span_margins(positions, parameters)
    market = make_market(parameters)
    books = _books(margins)

    def numpy() -> list[dict[str, int]]:
        return [account_margin(rows, contracts, market) for rows, contracts in books]

    _require_equal(margins, numpy())
    totals = margins.totals()
    return Margining(
        first=first,
        warm=warm,
        shuffled=shuffled,
        **parts,
        numpy=min(seconds(numpy, NUMPY_RUNS)) / NUMPY_ACCOUNTS,
        series=len(parameters.series),
        portfolios=len(margins.requirement),
        credits=int((margins.risk.inter_credit > 0).sum()),
        position_bytes=int(positions.estimated_size()),
        total=float(totals.filter(currency="HKD")["requirement"].sum()),
    )


def _books(margins: SpanMargins) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return series rows and contracts of the first accounts, looked up before the clock starts."""
    located = margins.located.head(NUMPY_ACCOUNTS * POSITIONS)
    rows = located["series"].to_numpy().reshape(NUMPY_ACCOUNTS, POSITIONS)
    contracts = located["quantity"].to_numpy().astype(np.float64).reshape(NUMPY_ACCOUNTS, POSITIONS)
    return list(zip(rows, contracts, strict=True))


def _require_equal(margins: SpanMargins, theirs: list[dict[str, int]]) -> None:
    names = margins.accounts[:NUMPY_ACCOUNTS]
    ours: dict[str, dict[str, int]] = {name: {} for name in names}
    for name, currency, amount in margins.totals().iter_rows():
        if name in ours:
            ours[name][currency] = int(amount * 100)
    different = [name for name, found in zip(names, theirs, strict=True) if ours[name] != found]
    assert not different, f"{len(different)} totals differ, the first of account {different[0]}"


def bench_span_margining(bandwidth: float) -> Table:
    """Compare both, in a fresh process."""
    found = in_fresh_process(measure)
    array_bytes = found.series * 16 * 8
    position_count = ACCOUNTS * POSITIONS
    touched = array_bytes + found.position_bytes + found.portfolios * 8
    streamed = position_count * 16 * 8 + touched
    computed = found.book + found.risk
    return Table(
        f"SPAN margin of {ACCOUNTS:,} accounts × {POSITIONS} positions",
        f"{position_count:,} positions × 16 scenarios = {position_count * 16 / 1e6:,.0f} million multiplications and "
        f"additions; {found.series:,} arrays = {array_bytes / 1e6:,.1f} MB, positions as given "
        f"{found.position_bytes / 1e6:,.0f} MB, to be read at least once; {found.portfolios:,} portfolios (a combined "
        f"commodity of an account), {found.credits:,} of them with an inter-commodity credit. Hoped for: 4 µs an account.",
        [
            Row("CrossMargin, warm", f"{found.warm:,.2f} s ({1e6 * found.warm / ACCOUNTS:,.1f} µs each)"),
            Row("CrossMargin, first run of a process", f"{found.first:,.2f} s"),
            Row("of it: number the parameters", f"{1e3 * found.tables:,.0f} ms"),
            Row("of it: check positions and find their series", f"{1e3 * found.locate:,.0f} ms"),
            Row("of it: sort into portfolios", f"{1e3 * found.book:,.0f} ms"),
            Row(
                "of it: scan, deltas, spreads, credits, minimum, option value", f"{1e3 * found.risk:,.0f} ms"
            ),
            Row("CrossMargin, warm, the same rows in random order", f"{found.shuffled:,.2f} s"),
            Row(f"NumPy, {NUMPY_ACCOUNTS} accounts", f"{1e6 * found.numpy:,.0f} µs each"),
            ratio_row(
                "times faster than NumPy an account, all in: from texts, checked and located",
                found.numpy * ACCOUNTS / found.warm,
                SPEED_GOAL,
            ),
            ratio_row(
                "times faster than NumPy an account, like for like: both from located whole-number rows",
                found.numpy * ACCOUNTS / computed,
                SPEED_GOAL,
            ),
            Row(
                "share of the time that reading arrays and positions once would take",
                share_of_bandwidth(touched, bandwidth, found.warm),
            ),
            Row(
                "the same for an array a position, as if no array stayed in a cache",
                share_of_bandwidth(streamed, bandwidth, found.warm),
            ),
        ],
        [
            (
                f"The totals of {NUMPY_ACCOUNTS} accounts agree to the cent (asserted in the run); those in HKD of all "
                f"accounts together are {found.total:,.2f}."
            ),
            (
                "NumPy margins one account after the other (`benchmarks/span_numpy.py`), measured on the first "
                f"{NUMPY_ACCOUNTS} and compared by account. It starts from series rows that are found, and from tables that "
                "are made, before the clock starts."
            ),
            (
                "All in, CrossMargin starts from a Polars frame of positions in memory, with codes as texts, checks every "
                "one, finds its series and numbers the parameters. Like for like it starts where NumPy does, from series "
                "rows and made tables; account names are texts, whose runs it finds, while NumPy has accounts apart already. Rows "
                "stand by account in ascending order unless said otherwise; in random order they are sorted first. "
                "It uses both cores, NumPy one. Times are the least of several runs."
            ),
        ],
    )
