"""Transfers: hand-made accounts, kernels against their twins, and many accounts against one at a time."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from index_market import AS_OF, index_market, scenario_set
from transfer_cases import SCAN, TWO_PARTS, account, measure_of

from crossmargin.errors import InputError
from crossmargin.kernels.account_tails import account_tails
from crossmargin.kernels.transfer_pairs import (
    pair_transfers,
    pair_transfers_numpy,
    plane_search,
    plane_search_numpy,
)
from crossmargin.kernels.transfer_search import line_search, line_search_numpy, search_memory
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.programmes.books import joined_books, make_books
from crossmargin.programmes.programme import Transfer
from crossmargin.programmes.transfer import accounts as accounts_module
from crossmargin.programmes.transfer.accounts import transfers
from crossmargin.programmes.transfer.block import TransferInputs
from crossmargin.programmes.transfer.problem import LongMeasure, TransferProblem
from crossmargin.programmes.transfer.solve import best_transfer

WORST_OF_FOUR = measure_of((4, 1, 1.0))
INDEX = np.array([-20.0, -10.0, 10.0, 20.0])


def hedged(fund, futures, *, horizon=1, scan=25.0, staying=0.0, copies=1):
    """A fund and futures on one index that loses 20 a unit at worst in a day, scanned at ``scan``."""
    moves = INDEX * np.sqrt(horizon)
    quantities = np.full(copies, futures, np.int64)
    return TransferProblem(
        quantities=quantities,
        losses=np.tile(-SCAN * scan, (copies, 1)),
        commodity=np.zeros(copies, np.int64),
        staying=(-SCAN * scan * staying)[None],
        gains=np.tile(moves, (copies, 1)),
        base=fund * moves,
        measure=WORST_OF_FOUR,
    )


# One account by hand


def test_a_hedged_fund_takes_all_futures_in():
    """Ten units of the fund lose 200, ten short futures are scanned at 250: together they lose nothing."""
    found = best_transfer(hedged(10, -10), Transfer())
    assert (found.moved.tolist(), found.before, found.after) == ([-10], (250, 200), (0, 0))
    assert (found.saving, found.lower_bound, found.gap, found.exact) == (450, 0, 0, True)
    assert found.words == (
        "10 contracts moved: 0.00 (short pot 0.00, long pot 0.00) "
        "instead of 450.00 (short pot 250.00, long pot 200.00); no transfer asks for less"
    )


@pytest.mark.parametrize(
    ("horizon", "moved"),
    [(1, -16), (2, -10), (5, -10)],
    ids=["cheaper there", "dearer there", "much dearer there"],
)
def test_futures_beyond_the_hedge_move_only_where_they_cost_less(horizon, moved):
    """Six futures hedge nothing: 25 each in the short pot, 20 × √days in the long one."""
    found = best_transfer(hedged(10, -16, horizon=horizon), Transfer())
    assert found.moved.tolist() == [moved]
    left = 16 + moved
    assert found.after == pytest.approx((25.0 * left, 20 * np.sqrt(horizon) * (6 - left)))


@pytest.mark.parametrize(("horizon", "moved"), [(1, 0), (9, -10)], ids=["20 a unit", "60 a unit"])
def test_futures_that_hedge_options_move_only_where_the_fund_needs_them_more(horizon, moved):
    """Without ten short futures, options of ten long deltas are scanned at 250."""
    found = best_transfer(hedged(10, -10, horizon=horizon, staying=10), Transfer())
    assert found.before == pytest.approx((0, 200 * np.sqrt(horizon)))
    assert found.moved.tolist() == [moved]


def test_futures_of_the_funds_own_side_stay():
    found = best_transfer(hedged(10, 10, horizon=5), Transfer())
    assert (found.moved.tolist(), found.saving) == ([0], 0)


@pytest.mark.parametrize("exact_futures", [8, 2], ids=["exact", "search"])
@pytest.mark.parametrize("copies", [2, 3, 4])
def test_of_equal_transfers_the_first_futures_move_and_no_more_than_needed(copies, exact_futures):
    """A fund of five units takes five of several equal futures, three of each held; dearer beyond."""
    found = best_transfer(hedged(5, -3, horizon=5, copies=copies), Transfer(exact_futures=exact_futures))
    assert found.moved.tolist() == [-3, -2, 0, 0][:copies]
    assert found.gap == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("copies", [1, 2, 3, 9])
def test_nothing_moves_for_nothing(copies):
    """The same amount in either pot, or none at all."""
    worthless = hedged(10, -3, scan=0, copies=copies)
    still = TransferProblem(**{**vars(worthless), "gains": 0 * worthless.gains})
    for problem in (hedged(0, -3, scan=20, copies=copies), still):
        assert not best_transfer(problem, Transfer()).moved.any()


def test_an_account_without_futures_or_requirement():
    empty = hedged(10, -3, copies=0)
    assert best_transfer(empty, Transfer()).after == (0, 200)
    assert best_transfer(hedged(0, 0), Transfer()).words.startswith("0 contracts moved: 0.00")


def test_a_search_tells_its_gap():
    found = best_transfer(account(5, futures=12, most=3), Transfer())
    assert not found.exact
    assert 0 < found.gap < 0.1
    assert found.words.endswith(f"at most {found.gap:.2%} above the least")


def test_bad_numbers_are_all_named():
    good = vars(hedged(10, -10))
    with pytest.raises(InputError) as refused:
        TransferProblem(**good | {"base": np.array([1, np.nan, 2, np.inf]), "gains": np.full((1, 4), np.nan)})
    named = {(bad.field, bad.line) for bad in refused.value.records}
    assert named == {*(("gains", i) for i in (1, 2, 3, 4)), ("base", 2), ("base", 4)}
    with pytest.raises(InputError, match="not convex"):
        measure_of((4, 1, -0.5), (4, 1, 1.5))


# Kernels


def plane_of(problem, kind=np.float64):
    scanned = problem.scanned(np.zeros(2))[problem.commodity]
    together = bool(problem.commodity[0] == problem.commodity[1])
    return scanned, problem.lost, problem.base.astype(kind).astype(float), problem.gained, together


@pytest.mark.parametrize("seed", range(30))
def test_searches_are_their_twins(seed):
    problem = account(seed, most=9)
    plane, tie = plane_of(problem), 1e-9 * problem.requirement(np.zeros(2))
    measure, memory = problem.measure.arrays, search_memory(problem.base.size, problem.measure.tail_counts)
    found = plane_search(plane, problem.contracts, measure, memory, tie)
    tried = plane_search_numpy(plane, problem.contracts, measure, tie)
    assert found[:2] == tried[:2]
    assert found[2] == pytest.approx(tried[2], abs=tie)
    for line, contracts in zip(
        zip(*plane[:2], [plane[2]] * 2, plane[3], strict=True), problem.contracts, strict=True
    ):
        moved, least, lower = line_search(line, contracts, measure, memory, tie)
        tried = line_search_numpy(line, contracts, measure, tie)
        assert (moved, least) == (tried[0], pytest.approx(tried[1], abs=tie))
        assert lower <= least


@pytest.mark.parametrize("seed", [1, 8, 9, 12, 13])
def test_a_line_of_many_contracts(seed):
    problem = account(seed, futures=1, most=4000)
    tie = 1e-9 * problem.requirement(np.zeros(1))
    measure, memory = problem.measure.arrays, search_memory(problem.base.size, problem.measure.tail_counts)
    line = (
        problem.scanned(np.zeros(1))[problem.commodity[0]],
        problem.lost[0],
        problem.base,
        problem.gained[0],
    )
    contracts = int(problem.contracts[0])
    found = line_search(line, contracts, measure, memory, tie)
    tried = line_search_numpy(line, contracts, measure, tie)
    assert 0 < found[0] == tried[0] < contracts
    assert found[1] == pytest.approx(tried[1], abs=tie)
    assert 0 <= found[1] - found[2] < 1e-3 * found[1]  # a fraction of a contract saves little more


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_accounts_of_one_and_two_futures_are_their_twin(kind):
    problems = [account(seed, most=6) for seed in range(12)]
    quantities = np.array([problem.quantities for problem in problems])
    quantities[::3, 1] = 0
    arguments = (
        np.array([problem.base for problem in problems]).astype(kind),
        np.concatenate([problem.gains for problem in problems]),
        np.arange(24).reshape(12, 2),
        quantities,
        np.array([plane_of(problem)[0] for problem in problems]),
        np.concatenate([problem.losses for problem in problems]),
        np.array([plane_of(problem)[4] for problem in problems]),
        TWO_PARTS.arrays,
        np.array([1e-9 * problem.requirement(np.zeros(2)) for problem in problems]),
    )
    moved, long = np.zeros((2, 12, 2), np.int64), np.zeros((2, 12))
    pair_transfers(*arguments, moved[0], long[0])
    pair_transfers_numpy(*arguments, moved[1], long[1])
    assert np.array_equal(*moved)
    assert np.allclose(*long, rtol=1e-12)
    assert np.count_nonzero(moved[0, :, 1]) > 2


# Many accounts on a cube

SNAPSHOT = make_snapshot(index_market(), AS_OF)
NAMES = SNAPSHOT.instruments["instrument"].to_list()
CUBE = make_cube(SNAPSHOT, scenario_set(sizes=(200, 90)))
KIND = SNAPSHOT.instruments["kind"].to_numpy()
FUTURES = np.flatnonzero(KIND == "future")


def inputs_of(cube=CUBE, *, movable=KIND == "future", cube_rows=None):
    """Scans of 6% of the underlying; index and stock are scanned apart."""
    multiplier = SNAPSHOT.instruments["multiplier"].to_numpy()
    losses = -SCAN * 0.06 * (SNAPSHOT.instruments["spot"].to_numpy() * multiplier)[:, None]
    losses[KIND == "option"] *= 0.4
    return TransferInputs(
        movable=movable,
        losses=losses,
        commodity=(SNAPSHOT.instruments["underlying"] == "0005").to_numpy().astype(np.int64),
        cube=cube,
        cube_rows=np.array([cube.row_of[name] for name in NAMES]) if cube_rows is None else cube_rows,
        measure=LongMeasure.of_cube(cube),
    )


def books(seed=1, count=40, *, rows=FUTURES, most=3):
    """Short pots of futures and an option or two, long pots of the stock and the fund, some of them empty."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(count), rng.integers(0, most + 1, count))
    option = np.flatnonzero(KIND == "option")[rng.integers(0, 20, count)]
    held = np.concatenate([rng.choice(rows, owner.size), option]).astype(np.int32)
    quantities = np.concatenate([rng.integers(-9, 10, owner.size), rng.integers(-3, 4, count)])
    short = make_books(np.concatenate([owner, np.arange(count)]), held, quantities, count=count)
    cash = np.array([NAMES.index("0005"), NAMES.index("USETF")], np.int32)
    units = rng.integers(-20, 21, (count, 2)) * [5_000, 1_000]
    return short, make_books(np.repeat(np.arange(count), 2), np.tile(cash, count), units.ravel(), count=count)


def test_many_accounts_are_what_each_is_by_itself():
    inputs = inputs_of()
    short, long = books()
    found = transfers(short, long, inputs, Transfer())
    assert np.count_nonzero(found.moved) > 10
    assert len(set(np.bincount(short.book[inputs.movable[short.rows]], minlength=40))) == 3  # none, one, two
    for number in range(short.count):
        mine = slice(short.starts[number], short.starts[number + 1])
        problem = problem_of(short, long, inputs, number)
        alone, together = best_transfer(problem, Transfer()), found.of(number)
        movable = inputs.movable[short.rows[mine]]
        assert together.moved[movable].tolist() == alone.moved.tolist()
        assert not together.moved[~movable].any()
        assert together.before == pytest.approx(alone.before, rel=1e-9, abs=1e-6)
        assert together.after == pytest.approx(alone.after, rel=1e-9, abs=1e-6)
        assert (together.exact, together.gap) == (True, 0)


def problem_of(short, long, inputs, number):
    mine = slice(short.starts[number], short.starts[number + 1])
    rows, quantities = short.rows[mine], short.quantities[mine]
    movable = inputs.movable[rows]
    staying = np.zeros((2, 16))
    np.add.at(
        staying, inputs.commodity[rows[~movable]], quantities[~movable, None] * inputs.losses[rows[~movable]]
    )
    base = np.zeros(CUBE.layout.stride, np.float32)
    cash = slice(long.starts[number], long.starts[number + 1])
    for row, units in zip(long.rows[cash], long.quantities[cash], strict=True):
        base = base + np.float32(units) * CUBE.pnl[inputs.cube_rows[row]]
    return TransferProblem(
        quantities=quantities[movable],
        losses=inputs.losses[rows[movable]],
        commodity=inputs.commodity[rows[movable]],
        staying=staying,
        gains=CUBE.pnl[inputs.cube_rows[rows[movable]]].astype(np.float64),
        base=base.astype(np.float64),
        measure=inputs.measure,
    )


@pytest.mark.parametrize("precision", ["float32", "float64", "int16"])
@pytest.mark.parametrize("exact_futures", [8, 2], ids=["exact", "search"])
def test_what_moves_is_taken_from_one_pot_and_margined_in_the_other(exact_futures, precision):
    """Up to six instruments may move, so that the solver is asked too; pots are margined again by themselves."""
    cube = make_cube(SNAPSHOT, scenario_set(sizes=(200, 90)), RevaluationSettings(precision=precision))
    movable = (KIND == "future") | np.isin(np.arange(KIND.size), np.flatnonzero(KIND == "option")[::5])
    inputs = inputs_of(cube, movable=movable)
    short, long = books(2, rows=np.flatnonzero(movable), most=6)
    found = transfers(short, long, inputs, Transfer(exact_futures=exact_futures))
    whole = joined_books([long, found.taken]).regrouped(np.tile(np.arange(40), 2), 40)
    assert found.kept.regrouped(np.arange(40), 40).rows.size + found.taken.rows.size >= short.rows.size
    shortfalls = account_tails(
        whole.starts,
        inputs.cube_rows[whole.rows].astype(np.int32),
        whole.quantities.astype(float),
        cube.pnl,
        *inputs.measure.arrays[:2],
        scales=cube.scales,
    )
    again = np.maximum(shortfalls @ inputs.measure.weights, 0)
    assert found.after[:, 1] == pytest.approx(again, rel=1e-5, abs=1.0)
    sums = np.zeros((40, 2, 16))
    kept = found.kept
    np.add.at(
        sums, (kept.book, inputs.commodity[kept.rows]), kept.quantities[:, None] * inputs.losses[kept.rows]
    )
    assert found.after[:, 0] == pytest.approx(sums.max(axis=2, initial=0).sum(axis=1), rel=1e-9, abs=1e-6)
    assert np.all(found.after.sum(axis=1) <= found.before.sum(axis=1))
    assert np.all(found.lower_bound <= found.after.sum(axis=1))
    assert found.exact.all() == (exact_futures == 8)


def as_bytes(found):
    return [
        array.tobytes() for array in (found.moved, found.before, found.after, found.lower_bound, found.exact)
    ]


def test_blocks_and_threads_change_nothing(monkeypatch):
    short, long = books(3)
    inputs = inputs_of()
    whole = as_bytes(transfers(short, long, inputs, Transfer()))
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert as_bytes(transfers(short, long, inputs, Transfer())) == whole
    finally:
        numba.set_num_threads(threads)
    monkeypatch.setattr(accounts_module, "BLOCK", 7)
    assert as_bytes(transfers(short, long, inputs, Transfer())) == whole


def test_no_accounts():
    none = make_books(*(np.zeros(0, kind) for kind in (np.int64, np.int32, np.int64)), count=0)
    found = transfers(none, none, inputs_of(), Transfer())
    assert (found.moved.size, found.before.shape) == (0, (0, 2))


def test_futures_without_scenarios_stay_and_shares_without_are_refused():
    rows = np.array([CUBE.row_of[name] for name in NAMES])
    without = np.where(KIND == "future", -1, rows)
    short, long = books()
    assert not transfers(short, long, inputs_of(cube_rows=without), Transfer()).moved.any()
    missing = np.where(KIND == "etf", -1, rows)
    with pytest.raises(InputError, match="a row of the cube"):
        transfers(short, long, inputs_of(cube_rows=missing), Transfer())


def test_losses_have_to_be_finite():
    good = vars(inputs_of())
    losses = good["losses"].copy()
    losses[[2, 5], 3] = np.nan
    with pytest.raises(InputError) as refused:
        TransferInputs(
            **{name: good[name] for name in ("movable", "commodity", "cube", "cube_rows", "measure")},
            losses=losses,
        )
    assert [bad.line for bad in refused.value.records] == [3, 6]


def test_positions_of_many_clients_are_not_moved_as_one():
    short, long = books()
    gross = make_books(long.book, long.rows, long.quantities, count=40, gross=np.ones(40, bool))
    with pytest.raises(AssertionError, match="gross"):
        transfers(short, gross, inputs_of(), Transfer())
