"""Rolling margins against the joint model day by day, and gains against the moves that followed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numba
import numpy as np
import polars as pl
import pytest

from crossmargin.core.rounding import to_minor
from crossmargin.errors import InputError
from crossmargin.kernels.account_tails import account_tails
from crossmargin.kernels.rolling_tails import book_tails, book_tails_numpy, member_tails, member_tails_numpy
from crossmargin.kernels.row_sums import aligned_zeros
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.scenarios.build import ScenarioSettings, scenarios_from_histories
from crossmargin.models.scenarios.filtered import FilteredHistorical
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.hypothetical import hypothetical_scenarios
from crossmargin.models.scenarios.part_rules import AntiProcyclical, PartRules, hkscc_parts, parts_of_method
from crossmargin.models.scenarios.rolling import RollingScenarios
from crossmargin.models.scenarios.selection import LookBack, StressPeriods, WorstDays
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.models.synthetic_market.sizes import MarketSize
from crossmargin.programmes.books import make_books
from crossmargin.programmes.joint.model import joint_model
from crossmargin.validation.rolling_cubes import MarkedMarket, fill_cube_tails
from crossmargin.validation.rolling_margins import rolling_margins
from crossmargin.validation.rolling_positions import Positions, RollingTails

HSI = "spot:HSI"
WORST = WorstDays(factor=HSI, scenarios=200)
HKSCC = ScenarioSettings(
    parts=hkscc_parts(WorstDays(factor=HSI)),
    horizon_days=2,
    anti_procyclical=AntiProcyclical(buffer_rate=0.25),
)
FILTER = FilteredHistorical(warm_up_days=100)
THREE = ScenarioSettings(
    parts=(
        PartRules(name="plain", selection=LookBack(scenarios=300), confidence="0.99", weight=0.3),
        PartRules(
            name="periods",
            selection=StressPeriods(periods=(("long", date(2021, 1, 4), date(2024, 12, 31)),)),
            confidence="0.99",
            weight=0.3,
            filtering=FILTER,
        ),
        PartRules(name="worst", selection=WORST, confidence="0.95", weight=0.4),
    )
)
QUICK = ScenarioSettings(parts=hkscc_parts(WORST, filtering=FILTER))
RECENT = ScenarioSettings(parts=parts_of_method("fhs", selection=LookBack(scenarios=200), filtering=FILTER))
LINEAR_ACCOUNTS, OPTION_ACCOUNTS = 40, 10
SIZE = MarketSize(stocks=10, option_classes=2, strikes=3, futures_months=2, option_months=2, years=8)


@pytest.fixture(scope="module")
def market():
    return synthetic_market(seed=13, size=SIZE)


@pytest.fixture(scope="module")
def snapshot(market):
    """The synthetic market, with a future in the currency of its foreign fund."""
    made = make_snapshot(market, market["prices"]["date"].max())
    table = made.instruments
    rate = table.filter(currency="USD")["exchange_rate"][0]
    foreign = pl.int_range(pl.len()) == table["kind"].index_of("future")
    instruments = table.with_columns(
        currency=pl.when(foreign).then(pl.lit("USD")).otherwise("currency"),
        exchange_rate=pl.when(foreign).then(rate).otherwise("exchange_rate"),
    )
    return replace(made, instruments=instruments)


@pytest.fixture(scope="module")
def histories(market, snapshot):
    return make_histories(market, snapshot.as_of)


@pytest.fixture(scope="module")
def books(snapshot):
    """Accounts without options first, then accounts with some, then one that holds nothing."""
    rng = np.random.default_rng(5)
    is_option = (snapshot.instruments["kind"] == "option").to_numpy()
    linear, options = np.flatnonzero(~is_option), np.flatnonzero(is_option)
    held = [rng.choice(linear, 8, replace=False) for _ in range(LINEAR_ACCOUNTS)]
    held += [np.append(rng.choice(linear, 3), rng.choice(options, 5)) for _ in range(OPTION_ACCOUNTS)]
    account = np.repeat(np.arange(len(held)), 8)
    quantities = rng.integers(1, 40, account.size) * rng.choice([-100, 100], account.size)
    return make_books(account, np.concatenate(held).astype(np.int32), quantities, count=len(held) + 1)


def margins(snapshot, histories, settings, books, days, **more):
    arguments = (snapshot, histories, settings, books.starts, books.rows, books.quantities)
    return rolling_margins(*arguments, days=np.array(days), **{"horizon_days": 2} | more)


def same(left, right):
    names = ("margin", "gain", "expected_shortfall", "value_at_risk", "margined", "realised")
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names)


@pytest.mark.parametrize("settings", [HKSCC, THREE], ids=["two parts", "three parts"])
@pytest.mark.parametrize("precision", ["float32", "float64", "int16"])
def test_margins_are_those_of_the_joint_model(snapshot, histories, books, settings, precision):
    revaluation = RevaluationSettings(precision=precision)
    last = histories.days.size - 1
    days = [1700, last] if precision != "float32" else [1300, 1301, 1600, last]
    found = margins(snapshot, histories, settings, books, days, revaluation=revaluation)
    for row, place in enumerate(days):
        known = histories.until(histories.days[place].item(), refit=False)
        scenarios = replace(scenarios_from_histories(known, settings), as_of=snapshot.as_of)
        model = joint_model(snapshot, make_cube(snapshot, scenarios, revaluation))
        assert found.margined[row].all()
        np.testing.assert_array_equal(found.margin[row], model.market_risk(books))
    assert (found.margin[:, :-1] > 0).all()
    assert found.days.tolist() == histories.days[days].tolist()


def test_both_routes_have_the_same_bits(snapshot, histories, books):
    days = np.array([1300, 1600, 1601])
    for settings in (HKSCC, THREE):
        fast = margins(snapshot, histories, settings, books, days)
        slow = RollingTails.empty(days.size, books.count)
        positions = Positions(starts=books.starts, rows=books.rows, quantities=books.quantities.astype(float))
        rolling = RollingScenarios(histories=histories, settings=settings)
        marked = MarkedMarket.of(snapshot, RevaluationSettings())
        fill_cube_tails(slow, np.arange(books.count), positions, marked, rolling, days)
        for name in ("margin", "expected_shortfall", "value_at_risk", "margined"):
            np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))


def test_the_tail_of_the_first_part(snapshot, histories, books):
    """Shortfall and value-at-risk from a sorted column of profit and loss."""
    found = margins(snapshot, histories, HKSCC, books, [1800])
    rolling = RollingScenarios(histories=histories, settings=HKSCC)
    cube = make_cube(snapshot, replace(rolling.on(1800), as_of=snapshot.as_of))
    (start, stop), count = cube.layout.bounds[0], cube.parts[0].tail_count
    for account in (0, LINEAR_ACCOUNTS):
        here = slice(books.starts[account], books.starts[account + 1])
        worst = np.sort(books.quantities[here] @ cube.pnl[books.rows[here], start:stop].astype(float))[:count]
        assert found.expected_shortfall[0, account] == pytest.approx(-worst.mean(), rel=1e-5)
        assert found.value_at_risk[0, account] == pytest.approx(-worst[-1], rel=1e-5)


@pytest.mark.parametrize("horizon", [1, 5])
def test_gains_are_those_of_a_scenario_of_what_happened(snapshot, histories, books, horizon):
    """The moves of the levels over the days after, as one hypothetical scenario."""
    days = [1850, 1900, histories.days.size - horizon]
    found = margins(snapshot, histories, QUICK, books, days, horizon_days=horizon)
    assert found.realised.all(axis=1).tolist() == [True, True, False]
    assert not found.realised[2].any()
    assert not found.gain[2].any()
    for row, place in enumerate(days[:2]):
        before, after = histories.levels[place], histories.levels[place + horizon]
        is_rate = np.array([factor.kind == "rate" for factor in histories.factors])
        moves = np.where(is_rate, after - before, after / before - 1)
        codes = [factor.code for factor in histories.factors]
        table = {"label": ["then"] * len(codes), "factor": codes, "move": moves}
        scenario = hypothetical_scenarios(pl.DataFrame(table), histories.factors, snapshot.as_of)
        pnl = make_cube(snapshot, scenario, RevaluationSettings(precision="float64")).pnl[:, 0]
        expected = np.add.reduceat(books.quantities * pnl[books.rows], books.starts[:-2])
        scale = np.add.reduceat(np.abs(books.quantities * pnl[books.rows]), books.starts[:-2])
        assert (np.abs(found.gain[row, :-1] - expected) <= 1e-5 * scale).all()
        linear = slice(LINEAR_ACCOUNTS)
        assert (np.abs(found.gain[row, linear] - expected[linear]) <= 1e-9 * scale[linear]).all()


def without(histories, code, first, last):
    """Return histories in which a factor has no returns on some days."""
    valid, returns = histories.valid.copy(), histories.returns.copy()
    column = histories.columns[code]
    valid[first:last, column], returns[first:last, column] = False, 0.0
    return replace(histories, valid=valid, returns=returns)


def holders(snapshot, books, chosen):
    rows = np.flatnonzero(chosen(snapshot.instruments).to_numpy())
    held = np.isin(books.rows, rows)
    return np.isin(np.arange(books.count), books.book[held])


@pytest.mark.parametrize(
    ("code", "chosen"),
    [
        ("spot:2800", lambda table: table["underlying"] == "2800"),
        ("exchange_rate:USD", lambda table: table["currency"] == "USD"),
    ],
)
def test_accounts_without_scenarios_or_moves_are_said_so(snapshot, histories, books, code, chosen):
    whole = margins(snapshot, histories, RECENT, books, [1500, 1700, 1900])
    gap = margins(snapshot, without(histories, code, 0, 1502), RECENT, books, [1500, 1700, 1900])
    mine = holders(snapshot, books, chosen)
    assert mine.any()
    assert not mine.all()
    np.testing.assert_array_equal(gap.margined, [~mine, ~mine, np.ones(books.count, bool)])
    np.testing.assert_array_equal(gap.realised, [~mine, *np.ones((2, books.count), bool)])
    np.testing.assert_array_equal(gap.margin[:, ~mine], whole.margin[:, ~mine])
    for name in ("margin", "expected_shortfall", "value_at_risk"):
        assert not getattr(gap, name)[~gap.margined].any()
    known = gap.realised[:, :LINEAR_ACCOUNTS]
    np.testing.assert_array_equal(
        gap.gain[:, :LINEAR_ACCOUNTS][known], whole.gain[:, :LINEAR_ACCOUNTS][known]
    )


def test_rates_and_volatilities_without_moves_leave_accounts_realised(snapshot, histories, books):
    changed = without(without(histories, "rate:HKD:30", 1501, 1503), "volatility:HSI:30", 1501, 1503)
    found = margins(snapshot, changed, QUICK, books, [1500, 1510])
    whole = margins(snapshot, histories, QUICK, books, [1500, 1510])
    assert found.realised.all()
    assert (found.gain[0] != whole.gain[0]).any()
    np.testing.assert_allclose(found.gain[1], whole.gain[1], rtol=1e-5)


def test_one_thread_or_two_make_the_same_bytes(snapshot, histories, books):
    used = numba.get_num_threads()
    results = []
    for threads in (1, used, used):
        numba.set_num_threads(threads)
        results.append(margins(snapshot, histories, HKSCC, books, range(1800, 1820, 5)))
    numba.set_num_threads(used)
    assert all(same(results[0], other) for other in results)


def test_days_may_be_asked_for_one_by_one(snapshot, histories, books):
    days = [1400, 1405, 1800]
    together = margins(snapshot, histories, THREE, books.select(np.arange(30)), days)
    for row, day in enumerate(days):
        alone = margins(snapshot, histories, THREE, books.select(np.arange(30)), [day])
        np.testing.assert_array_equal(together.margin[row], alone.margin[0])
        np.testing.assert_array_equal(together.value_at_risk[row], alone.value_at_risk[0])


def test_nothing_after_a_day_reaches_its_margins(snapshot, histories, books):
    """Other data from a day after the horizon on: margins and gains of days before are the same."""
    days, changed_from = [1500, 1600, 1700], 1603
    rng, later = np.random.default_rng(9), slice(changed_from, None)
    returns, valid, stale = histories.returns.copy(), histories.valid.copy(), histories.stale.copy()
    returns[later] = rng.standard_normal(returns[later].shape) * 0.01
    valid[later] = rng.random(valid[later].shape) < 0.99
    stale[later] = rng.random(stale[later].shape) < 0.1
    valid[later, histories.columns[HSI]] = True
    other = replace(histories, returns=returns, valid=valid, stale=stale)
    before = margins(snapshot, histories, QUICK, books, days)
    after = margins(snapshot, other, QUICK, books, days)
    for name in ("margin", "expected_shortfall", "value_at_risk", "margined", "realised"):
        np.testing.assert_array_equal(getattr(before, name)[:2], getattr(after, name)[:2])
    linear = slice(LINEAR_ACCOUNTS)
    np.testing.assert_array_equal(before.gain[:2, linear], after.gain[:2, linear])
    assert not np.array_equal(before.margin[2], after.margin[2])


def test_underlyings_that_are_no_factor_and_empty_accounts(snapshot, histories, books):
    odd = snapshot.instruments["underlying"].replace({"2800": "nothing"})
    named = replace(snapshot, instruments=snapshot.instruments.with_columns(odd))
    found = margins(named, histories, QUICK, books, [1800])
    mine = holders(named, books, lambda table: table["underlying"] == "nothing")
    np.testing.assert_array_equal(found.margined[0], ~mine)
    np.testing.assert_array_equal(found.realised[0], ~mine)
    nothing = margins(snapshot, histories, QUICK, books.select(np.array([books.count - 1])), [1800])
    assert nothing.margin.tolist() == [[0]]
    assert nothing.margined.all()
    assert nothing.realised.all()


def test_what_is_out_of_range_is_refused(snapshot, histories, books):
    with pytest.raises(InputError) as caught:
        margins(snapshot, histories, QUICK, books, [5, -1, 10**6], horizon_days=0)
    assert sorted(record.field for record in caught.value.records) == ["days"] * 3 + ["horizon_days"]
    with pytest.raises(InputError, match="at most the"):
        margins(snapshot, histories, QUICK, books, [500])


def random_book(rng, accounts, instruments, kind):
    starts = np.concatenate([[0], np.cumsum(rng.integers(0, 9, accounts))])
    rows = rng.integers(0, instruments, starts[-1]).astype(np.int32)
    return starts, rows, rng.integers(-9, 10, starts[-1]).astype(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [128, 1088])
def test_book_tails_are_their_twin_and_account_tails(kind, columns):
    rng = np.random.default_rng(7)
    cubes = aligned_zeros((3, 6, columns), kind)
    cubes[...] = rng.standard_normal(cubes.shape).round(1)
    book = random_book(rng, 70, 6, kind)
    parts, counts = np.array([[0, 60], [64, columns]]), np.array([3, 40])
    ours = book_tails(*book, cubes, parts, counts)
    for found, expected in zip(ours, book_tails_numpy(*book, cubes, parts, counts), strict=True):
        np.testing.assert_array_equal(found, expected)
    for day, cube in enumerate(cubes):
        np.testing.assert_array_equal(ours[0][:, day].T, account_tails(*book, cube, parts, counts))


def test_book_tails_refuse_what_is_not_finite():
    cubes = np.zeros((2, 1, 256), np.float32)
    cubes[1, 0, 7] = np.nan
    book = np.array([0, 1]), np.zeros(1, np.int32), np.ones(1)
    with pytest.raises(ValueError, match="NaN or infinite"):
        book_tails(*book, cubes, np.array([[0, 256]]), np.array([2]))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_member_tails_are_their_twin_and_those_of_rows(kind):
    rng = np.random.default_rng(8)
    results = rng.standard_normal((130, 90)).astype(kind).round(1)  # with ties
    members = rng.random((11, 90)) < 0.6
    counts = rng.integers(1, 20, 11)
    ours, theirs = np.zeros((2, 2, 11, 130))
    member_tails(results, members, counts, *ours)
    member_tails_numpy(results, members, counts, *theirs)
    np.testing.assert_array_equal(ours, theirs)
    chosen = np.flatnonzero(members[4])
    rows = np.zeros((130, 1, 256), kind)
    rows[:, 0, : chosen.size] = results[:, chosen]
    for account in (0, 77):
        one = np.array([0, 1]), np.zeros(1, np.int32), np.ones(1)
        tails = book_tails(*one, rows[account][None], np.array([[0, chosen.size]]), counts[4:5])
        assert [tails[0].item(), tails[1].item()] == [ours[0, 4, account], ours[1, 4, account]]


def test_margins_are_rounded_like_the_joint_models(snapshot, histories, books):
    found = margins(snapshot, histories, replace(QUICK, parts=parts_of_method("fhs")), books, [1800])
    np.testing.assert_array_equal(found.margin, to_minor(np.maximum(found.expected_shortfall, 0.0), 2))
