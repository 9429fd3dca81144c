"""Benchmark: the sample market under all five designs at three sizes, and two parts of it against plain ways."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numba
import numpy as np
import polars as pl

from crossmargin.formats.market.folder_reader import read_market
from crossmargin.formats.market.folder_writer import write_market
from crossmargin.formats.programme_files import designs
from crossmargin.models.market import HOUSES
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.models.synthetic_market.sizes import SIZES
from crossmargin.programmes.compare import compare_on
from crossmargin.programmes.eligibility import HOUSE_COUNT, joint_accounts
from crossmargin.programmes.evaluate import evaluate
from crossmargin.programmes.houses import Houses, models_of
from crossmargin.programmes.opening import open_houses
from crossmargin.programmes.two_pot import two_pot_lesser
from crossmargin.programmes.what_if import programme_what_if
from crossmargin.reports.programmes.page import comparison_page
from machine import in_fresh_process, peak_bytes, seconds
from report import Row, Table, ratio_row

if TYPE_CHECKING:
    from crossmargin.models.market import Market
    from crossmargin.models.synthetic_market.sizes import MarketSize
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.programme import Programme
    from crossmargin.programmes.result import Comparison

__all__ = ["bench_cross_margin"]

SEED: Final = 13
ACCOUNTS: Final = (25_000, 50_000, 100_000)
RUNS: Final = 3
MINUTE_GOAL, MEMORY_GOAL, LINEAR_GOAL = 60.0, 8.0, 1.25
LOOP_GOAL: Final = 100.0
LOOP_ACCOUNTS: Final = 500
GIB: Final = 1 << 30
READ, SCENARIOS, HASHES, PAGE = "read market folder", "joint scenarios", "hashes of the input", "report page"
OUTSIDE: Final = (READ, PAGE)
"""Stages that the goal does not count."""
FIXED: Final = (
    *OUTSIDE,
    "marks and positions",
    "histories",
    "HKSCC's model",
    "PRiME's model",
    SCENARIOS,
    HASHES,
)
"""Stages that would take about as long with few accounts; the first and the last of the job read positions too."""
TWO_POT: Final = "two_pot_lesser"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The least seconds of each stage in several runs, by the clock and of processors; peak memory; counts."""

    stages: dict[str, float]
    worked: dict[str, float]
    peak: int
    accounts: int
    participants: int
    positions: int
    instruments: int
    joint_accounts: int

    @property
    def seconds(self) -> float:
        """From a market in memory to five results."""
        return _without(self.stages, OUTSIDE)


def _without(stages: dict[str, float], left_out: tuple[str, ...]) -> float:
    """Return the sum of the other stages."""
    return sum(took for name, took in stages.items() if name not in left_out)


class Clock:
    """Notes how long each stage takes, and for how long processors work on it."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self.worked: dict[str, float] = {}
        self._stage, self._began = "", (0.0, 0.0)

    def __call__(self, stage: str) -> None:
        """Begin a stage and end the one before; the empty stage is not noted."""
        now = time.perf_counter(), time.process_time()
        if self._stage:
            self.stages[self._stage], self.worked[self._stage] = np.subtract(now, self._began).tolist()
        self._stage, self._began = stage, now


def _least(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the least of each stage in several runs: others may use the machine at the same time."""
    return {name: min(stages[name] for stages in runs) for name in runs[0]}


def _size(accounts: int) -> MarketSize:
    """Return the full market with another number of accounts and all else as it is."""
    return replace(SIZES["full"], accounts=accounts)


def _invent(accounts: int, folder: str) -> None:
    write_market(synthetic_market(seed=SEED, size=_size(accounts)), folder)


def _warm_up() -> None:
    """Load kernels and modules on the small market."""
    comparison_page(_compared(synthetic_market(seed=SEED), Clock()))


def _compared(market: Market, clock: Clock) -> Comparison:
    """Put the five designs side by side, with what they share in stages of its own."""
    programmes = designs()
    houses = open_houses(market, market["prices"]["date"].max(), note=clock)
    clock(SCENARIOS)
    for programme in programmes:
        if "expected_shortfall" in models_of(programme):
            houses.joint_model(programme.joint.horizon)
    clock(HASHES)
    _ = houses.input_hashes
    compared = compare_on(houses, programmes, clock)
    clock("")
    return compared


def _measure(folder: str) -> Job:
    """Run the job from a folder some times; nothing of a run is left for the next."""
    _warm_up()
    clocks = []
    for _ in range(RUNS):
        clock = Clock()
        clock(READ)
        market = read_market(folder)
        compared = _compared(market, clock)
        clock(PAGE)
        comparison_page(compared)
        clock("")
        clocks.append(clock)
        counts = {
            name: len(market[name]) for name in ("accounts", "participants", "positions", "instruments")
        }
        joined = max(len(result.joint_accounts) for result in compared.results)
        del market, compared
        gc.collect()
    return Job(
        stages=_least([clock.stages for clock in clocks]),
        worked=_least([clock.worked for clock in clocks]),
        peak=peak_bytes(),
        joint_accounts=joined,
        **counts,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Seconds of two-pot margins of joint accounts in two ways, and of trades of one group against everybody."""

    joint_accounts: int
    together: float
    looped: int
    loop: float
    full: float
    groups: dict[str, tuple[int, float]]


def _measure_pieces(folder: str) -> Pieces:
    _warm_up()
    market = read_market(folder)
    houses = open_houses(market, market["prices"]["date"].max())
    programme = next(
        programme for programme in designs() if programme.mode == TWO_POT and programme.houses == HOUSES
    )
    joint = joint_accounts(programme, houses.accounts, houses.snapshot, houses.can_margin(programme))
    kept = np.linspace(0, joint.count - 1, LOOP_ACCOUNTS).astype(np.int64)
    slice_of = joint.legs.select((kept[:, None] * HOUSE_COUNT + np.arange(HOUSE_COUNT)).ravel())
    started = time.perf_counter()
    alone = _one_by_one(programme, houses, slice_of, joint.union.select(kept))
    loop = time.perf_counter() - started
    reduced = _two_pot(programme, houses, joint.legs, joint.union)
    if not np.array_equal(reduced[kept], alone):
        raise ValueError("accounts one by one have other margins than all together")
    together = min(
        seconds(lambda: _two_pot(programme, replace(houses, kept={}), joint.legs, joint.union), RUNS)
    )
    return Pieces(
        joint_accounts=joint.count,
        together=together,
        looped=LOOP_ACCOUNTS,
        loop=loop,
        full=min(seconds(lambda: evaluate(programme, houses), RUNS)),
        groups={
            name: (len(houses.accounts.table.filter(group=group)), _what_if_seconds(programme, houses, group))
            for name, group in _groups(houses).items()
        },
    )


def _two_pot(programme: Programme, houses: Houses, legs: Books, union: Books) -> np.ndarray:
    """Return what each house keeps of each joint account, by the engine."""
    models = models_of(programme)
    by_model = np.stack([houses.market_risk(name, legs).reshape(-1, HOUSE_COUNT) for name in models], axis=1)
    together = np.stack([houses.market_risk(name, union) for name in models], axis=1)
    own_model = [models.index(programme.model_of(house)) for house in HOUSES]
    own = by_model[:, own_model, np.arange(HOUSE_COUNT)]
    has_leg = (np.diff(legs.starts) > 0).reshape(-1, HOUSE_COUNT)
    consulted = np.stack(
        [has_leg[:, np.equal(own_model, place)].any(axis=1) for place in range(len(models))], axis=1
    )
    return two_pot_lesser(own, by_model, together, programme.saving, models, consulted=consulted).reduced


def _one_by_one(programme: Programme, houses: Houses, legs: Books, union: Books) -> np.ndarray:
    """Return the same with a loop over accounts, each margined by itself; nothing is remembered."""
    rows = []
    for place in range(union.count):
        mine = legs.select(np.arange(HOUSE_COUNT) + HOUSE_COUNT * place)
        rows.append(_two_pot(programme, replace(houses, kept={}), mine, union.select(np.array([place])))[0])
    return np.array(rows)


def _groups(houses: Houses) -> dict[str, str]:
    """Return the group with most accounts, and one in the middle of those with an account at HKCC."""
    table = houses.accounts.table
    trading = table.filter(house="HKCC")["group"].unique()
    sizes = (
        table.filter(pl.col("group").is_in(trading.implode())).group_by("group").len().sort("len", "group")
    )
    return {"the largest": sizes["group"][-1], "of middling size": sizes["group"][len(sizes) // 2]}


def _what_if_seconds(programme: Programme, houses: Houses, group: str) -> float:
    """Return the least seconds of several trades of a group, each of another size."""
    table = houses.accounts.table
    account = table.filter(group=group, house="HKCC")["account"][0]
    future = houses.snapshot.instruments.filter(kind="future")["instrument"][0]
    trades = iter(range(1, RUNS + 2))

    def change() -> None:
        trade = {"account": [account], "instrument": [future], "quantity": [next(trades)]}
        programme_what_if(programme, houses, trade)

    change()
    return min(seconds(change, RUNS))


def _growth_rows(jobs: list[Job]) -> list[Row]:
    """Return growth of processor time against growth of accounts: of the whole job, and of what grows."""
    rows = []
    for before, later in pairwise(jobs):
        more = later.accounts / before.accounts
        whole, growing = (
            _without(later.worked, left_out) / _without(before.worked, left_out) / more
            for left_out in (OUTSIDE, FIXED)
        )
        sizes = f"{before.accounts:,} to {later.accounts:,} accounts"
        rows += [
            Row(f"growth of the processor time, {sizes}, ÷ growth of the accounts", f"{whole:.2f}×"),
            ratio_row("the same of what grows with the accounts", growing, LINEAR_GOAL, at_most=True),
        ]
    return rows


def _piece_rows(pieces: Pieces) -> list[Row]:
    each = pieces.together / pieces.joint_accounts
    ratio = pieces.loop / pieces.looped / each
    return [
        Row(
            f"two-pot margins of {pieces.joint_accounts:,} joint accounts", f"{1e6 * each:.1f} µs an account"
        ),
        ratio_row(f"a loop over {pieces.looped} of them, one book at a time, ÷ that", ratio, LOOP_GOAL),
        Row("a full evaluation of the three-house design, every book known", f"{pieces.full:.2f} s"),
        *(
            row
            for name, (accounts, took) in pieces.groups.items()
            for row in (
                Row(
                    f"one trade in the group {name} ({accounts:,} accounts), before and after",
                    f"{1e3 * took:,.0f} ms",
                ),
                Row("full evaluation ÷ that", f"{pieces.full / took:.1f}×"),
            )
        ),
    ]


def bench_cross_margin() -> Table:
    """Measure three sizes, each in a process of its own, and the pieces in another."""
    with TemporaryDirectory() as folder:
        places = {accounts: str(Path(folder, str(accounts))) for accounts in ACCOUNTS}
        for accounts, place in places.items():
            in_fresh_process(_invent, accounts, place)
        jobs = [in_fresh_process(_measure, place) for place in places.values()]
        pieces = in_fresh_process(_measure_pieces, places[ACCOUNTS[-1]])
    whole = jobs[-1]
    peak = whole.peak / GIB
    return Table(
        "Cross-margining: the sample market under all five designs",
        f"{whole.accounts:,} accounts of {whole.participants:,} participants hold {whole.positions:,} positions in "
        f"{whole.instruments:,} instruments; up to {whole.joint_accounts:,} joint accounts. A design needs every house's "
        "model of every leg and union that no design before it asked for.",
        [
            *(
                Row(f"all five designs, {job.accounts:,} accounts, after warm-up", f"{job.seconds:.1f} s")
                for job in jobs[:-1]
            ),
            Row(
                f"all five designs, {whole.accounts:,} accounts, after warm-up",
                f"{whole.seconds:.1f} s",
                f"< {MINUTE_GOAL:g} s",
                whole.seconds < MINUTE_GOAL,
            ),
            *(
                Row(f"peak memory, {job.accounts:,} accounts", f"{job.peak / GIB:.2f} GiB")
                for job in jobs[:-1]
            ),
            Row(
                f"peak memory, {whole.accounts:,} accounts",
                f"{peak:.2f} GiB",
                f"< {MEMORY_GOAL:g} GiB",
                peak < MEMORY_GOAL,
            ),
            *_growth_rows(jobs),
            *(
                Row(
                    f"{whole.accounts:,} accounts: {name}", f"{took:.2f} s, {100 * took / whole.seconds:.0f}%"
                )
                for name, took in whole.stages.items()
                if name not in OUTSIDE
            ),
            *(Row(f"besides: {name}", f"{whole.stages[name]:.2f} s") for name in OUTSIDE),
            *_piece_rows(pieces),
        ],
        [
            (
                f"The least of {RUNS} runs, stage by stage, on {numba.get_num_threads()} threads, in a process that has "
                "run the small market before; inventing the market is not timed. The three markets have the same "
                "participants, instruments and histories."
            ),
            (
                "What grows with the accounts: margins of today and the five designs. Of the other stages only marks and "
                "positions, and the hashes, look at accounts at all. Growth is of processor time, which other work on the "
                "machine changes less. "
                "Peak memory is that of a process that reads the market, runs the job and makes the report page."
            ),
            (
                "The full evaluation that trades are compared with finds the risk of every book known from before; "
                "so do the trades, but for the book that trades. The loop calls the same models with one book at a time: "
                "nearly all of its time is the cost of a call."
            ),
        ],
    )
