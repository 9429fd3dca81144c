"""Expected-shortfall margin and what-if, against plain NumPy over the same cube."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import numba
import numpy as np
import polars as pl
import pytest
from index_market import AS_OF, FAR, NEAR, index_market, option_code, scenario_set
from index_market import tables as index_tables

from crossmargin.core.rounding import half_away
from crossmargin.errors import InputError
from crossmargin.models.expected_shortfall.margin import es_margins
from crossmargin.models.expected_shortfall.measure import expected_shortfall, value_at_risk_at
from crossmargin.models.expected_shortfall.settings import EsSettings
from crossmargin.models.expected_shortfall.what_if import WhatIf
from crossmargin.models.market import make_market
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.new_series import NewSeries
from crossmargin.models.revaluation.pricing import SeriesPricer
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot

DOUBLE = RevaluationSettings(precision="float64")
FUTURE = f"HSI.F.{NEAR}"
POSITIONS = {
    "account": ["A", "A", "A", "B", "B", "B", "C"],
    "instrument": [FUTURE, option_code("P", 17000.0, NEAR), "0005", "0005", "0005", "USETF", FUTURE],
    "quantity": [10, -20, 40_000, 1000, -400, 900, -7],
}


@pytest.fixture(scope="module")
def cube():
    return make_cube(make_snapshot(index_market(), AS_OF), scenario_set(), DOUBLE)


@pytest.fixture(scope="module")
def pricer():
    return SeriesPricer(make_snapshot(index_market(), AS_OF), scenario_set(), DOUBLE)


def vector(cube, held):
    return sum(quantity * cube.row(code) for code, quantity in held)


def plain_shortfalls(cube, pnl):
    """Mean of the k worst of each part, by sorting."""
    return [
        -np.sort(pnl[start:stop])[: part.tail_count].mean()
        for (start, stop), part in zip(cube.layout.bounds, cube.parts, strict=True)
    ]


def plain_requirement(cube, pnl, buffer=0.0):
    blended = sum(
        part.weight * loss for part, loss in zip(cube.parts, plain_shortfalls(cube, pnl), strict=True)
    )
    return int(half_away(max(blended, 0.0) * (1 + buffer) * 100))


def held_by(account):
    rows = zip(*POSITIONS.values(), strict=True)
    return [(code, quantity) for name, code, quantity in rows if name == account]


@pytest.mark.parametrize("buffer", [0.0, 0.25])
def test_every_requirement_is_that_of_plain_sorting(cube, buffer):
    margins = es_margins(POSITIONS, cube, EsSettings(buffer=buffer))
    assert margins.accounts == ("A", "B", "C")
    for account, requirement in zip(margins.accounts, margins.requirement.tolist(), strict=True):
        assert requirement == plain_requirement(cube, vector(cube, held_by(account)), buffer)


@pytest.mark.parametrize("buffer", [0.0, 0.25])
def test_the_tree_adds_up_and_says_what_brings_the_loss(cube, buffer):
    margins = es_margins(POSITIONS, cube, EsSettings(buffer=buffer))
    for account, total in zip(margins.accounts, margins.requirement.tolist(), strict=True):
        result = margins.of(account)
        assert result.breakdown.amount == total  # parts add up by construction of a component
        part = result.breakdown.find("stress scenarios")
        facts = {fact.label: fact.value for fact in part.facts}
        pnl = vector(cube, held_by(account))
        assert facts["expected shortfall"] == pytest.approx(plain_shortfalls(cube, pnl)[1], rel=1e-12)
        assert len(facts["worst scenarios"]) == facts["scenarios in the tail"] == 2
        contributions = [row[2] for house in part.parts for fact in house.facts for row in fact.value]
        assert sum(contributions) == pytest.approx(facts["expected shortfall"], rel=1e-12)  # Euler
        json.dumps(result.to_dict())
    assert {part.name for part in margins.of("A").breakdown.parts[0].parts} >= {"HKCC", "HKSCC"}


def test_a_book_that_gains_in_every_tail_scenario_owes_nothing():
    still = scenario_set()
    moves = np.abs(still.moves)
    moves[:, 3:] = 0
    up = make_cube(
        make_snapshot(index_market(), AS_OF), type(still)(**{**vars_of(still), "moves": moves}), DOUBLE
    )
    result = es_margins({"account": ["A"], "instrument": [FUTURE], "quantity": [3]}, up).of("A")
    assert result.total == 0
    assert result.breakdown.binding == "floor at 0"
    assert result.breakdown.find("gain in the tail, not paid out").amount > 0


def vars_of(scenarios):
    return {name: getattr(scenarios, name) for name in type(scenarios).__dataclass_fields__}


def test_order_and_splitting_of_positions_change_nothing(cube):
    frame = pl.DataFrame(POSITIONS)
    split = pl.concat([frame.reverse(), frame, frame.with_columns(-pl.col("quantity"))])
    ours, other = es_margins(frame, cube), es_margins(split, cube)
    assert other.requirement.tolist() == ours.requirement.tolist()
    assert other.shortfalls.tobytes() == ours.shortfalls.tobytes()
    assert other.book.content_hash == ours.book.content_hash


def test_an_account_that_nets_to_nothing_owes_nothing(cube):
    margins = es_margins({"account": ["A"] * 2, "instrument": [FUTURE] * 2, "quantity": [5, -5]}, cube)
    assert margins.to_frame().row(0)[:3] == ("A", "HKD", Decimal("0.00"))
    assert margins.of("A").breakdown.amount == 0


def test_the_margin_of_a_hedge_is_below_the_sum_of_both_sides(cube):
    together = es_margins(POSITIONS, cube).requirement[0]
    alone = [
        es_margins({"account": ["A"], "instrument": [code], "quantity": [quantity]}, cube).requirement[0]
        for code, quantity in held_by("A")
    ]
    assert together <= sum(alone) + 1  # subadditive; a cent of rounding


def test_the_same_bytes_on_one_thread_and_two(cube):
    rng = np.random.default_rng(1)
    codes = cube.instruments["instrument"].to_numpy()
    many = {  # of several blocks of accounts, each the work of one thread
        "account": [f"A{i:03d}" for i in rng.integers(0, 400, 5000)],
        "instrument": rng.choice(codes, 5000).tolist(),
        "quantity": rng.integers(-50, 50, 5000).tolist(),
    }
    two = es_margins(many, cube).shortfalls.tobytes()
    assert es_margins(many, cube).shortfalls.tobytes() == two
    numba.set_num_threads(1)
    try:
        assert es_margins(many, cube).shortfalls.tobytes() == two
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


def test_every_position_without_scenarios_is_listed(cube):
    positions = {"account": ["A", "A", "B"], "instrument": ["0005", "9999", "8888"], "quantity": [1, 2, 3]}
    with pytest.raises(InputError) as refused:
        es_margins(positions, cube)
    assert [(record.line, record.value) for record in refused.value.records] == [
        (2, "A: 9999"),
        (3, "B: 8888"),
    ]


def test_a_position_in_what_was_left_out_says_why():
    changed = index_tables()
    changed["exchange_rates"]["date"][0] = AS_OF - timedelta(days=30)
    snapshot = make_snapshot(make_market(changed, name="x"), AS_OF)
    with pytest.raises(InputError, match="it was left out: no exchange rate"):
        es_margins(POSITIONS, make_cube(snapshot, scenario_set(), DOUBLE))


def test_an_unknown_account_is_refused(cube):
    with pytest.raises(InputError, match="one of 3 accounts"):
        es_margins(POSITIONS, cube).of("Z")


@pytest.mark.parametrize("account", ["A", "B", "Z"])
def test_a_what_if_is_the_margin_with_the_trades_in_the_book(cube, account):
    tried = WhatIf(es_margins(POSITIONS, cube), account)
    trades = [(FUTURE, -4), ("0005", 300), (option_code("C", 18000.0, FAR), 6)]
    for code, quantity in trades:
        change = tried.add(code, quantity)
    held = held_by(account)
    assert change.before == (plain_requirement(cube, vector(cube, held)) if held else 0)
    assert change.after == plain_requirement(cube, vector(cube, [*held, *trades]))
    assert change.difference == change.after - change.before
    assert change.trades == tuple(trades)
    json.dumps(change.to_dict())


def test_a_what_if_taken_back_is_where_it_began(cube):
    tried = WhatIf(es_margins(POSITIONS, cube), "A")
    tried.add(FUTURE, 12)
    change = tried.remove(FUTURE, 12)
    assert change.difference == 0
    assert set(change.tail_scenarios["status"]) == {"stays"}
    tried.add("0005", 10_000)
    tried.reset()
    assert tried.change().trades == ()
    assert tried.change().difference == 0


def test_trials_give_the_shortfalls_of_the_trade_they_try(cube):
    tried = WhatIf(es_margins(POSITIONS, cube), "A")
    tried.add("0005", 5000)
    trials = tried.trials()
    for code, quantity in ((FUTURE, -4), (option_code("P", 17500.0, NEAR), 31)):
        ours = trials.add(cube.row_of[code], quantity)
        other = WhatIf(es_margins(POSITIONS, cube), "A")
        other.add("0005", 5000)
        after = other.add(code, quantity).shortfalls["after"]
        np.testing.assert_allclose(ours, after, rtol=0, atol=0.005 + 1e-9)  # the table is rounded to the cent


def test_a_cube_in_sixteen_bits_gives_nearly_the_same_margins(cube):
    half = make_cube(
        make_snapshot(index_market(), AS_OF), scenario_set(), RevaluationSettings(precision="int16")
    )
    exact, rounded = es_margins(POSITIONS, cube), es_margins(POSITIONS, half)
    np.testing.assert_allclose(rounded.requirement, exact.requirement, rtol=1e-3)
    for account, total in zip(rounded.accounts, rounded.requirement.tolist(), strict=True):
        assert rounded.of(account).breakdown.amount == total
        assert WhatIf(rounded, account).add(FUTURE, 1).before == total
    with pytest.raises(InputError, match="float32 or float64"):
        WhatIf(rounded, "A").trials()


def test_scenarios_that_enter_and_leave_the_tail(cube):
    change = WhatIf(es_margins(POSITIONS, cube), "C").add(FUTURE, 14)  # short becomes long
    for part, (start, stop) in zip(cube.parts, cube.layout.bounds, strict=True):
        pnl = cube.row(FUTURE)[start:stop]
        rows = change.tail_scenarios.filter(part=part.name)
        old, new = np.argsort(-pnl)[: part.tail_count], np.argsort(pnl)[: part.tail_count]
        labels = [cube.labels[part.start + at] for at in np.concatenate([new, old])]
        assert sorted(rows["scenario"]) == sorted(labels)
        assert rows["status"].to_list() == ["enters"] * part.tail_count + ["leaves"] * part.tail_count
        assert rows["after"].is_sorted()


@pytest.mark.parametrize("right", ["C", "P"])
def test_an_option_that_is_not_in_the_cube_is_priced_on_the_fly(cube, pricer, right):
    margins = es_margins(POSITIONS, cube)
    listed = WhatIf(margins, "A").add(option_code(right, 18000.0, FAR), 25)
    fresh = WhatIf(margins, "A", pricer).add(NewSeries("HSI", FAR, 18000.0, right), 25)
    assert fresh.after == listed.after
    assert fresh.trades == ((f"HSI/{FAR}/18000/{right}", 25),)
    near = pricer.row(NewSeries("HSI", FAR, 18000.01, right))
    # a hundredth of a point of strike moves an option of 50 by at most half a dollar, and two at most by one
    np.testing.assert_allclose(near, cube.row(option_code(right, 18000.0, FAR)), rtol=0, atol=1.0)


def test_a_new_series_without_marks_to_price_it_from_is_refused(cube):
    with pytest.raises(InputError, match="no marks to price another from"):
        WhatIf(es_margins(POSITIONS, cube), "A").add(NewSeries("HSI", FAR, 18000.0, "C"), 1)


@pytest.mark.parametrize(
    ("code", "quantity"),
    [("9999", 1), ("0005", float("nan")), ("0005", 0.5), ("0005", "5"), ("0005", True), ("0005", 10**13)],
)
def test_a_refused_trade_changes_nothing(cube, code, quantity):
    tried = WhatIf(es_margins(POSITIONS, cube), "A")
    tried.add(FUTURE, 3)
    before = tried.change()
    with pytest.raises(InputError):
        tried.add(code, quantity)
    assert tried.change().trades == before.trades
    assert tried.change().after == before.after


@pytest.mark.parametrize("quantity", [7, 100_000, 10**12])
def test_a_trade_taken_back_leaves_no_trace_in_single_precision(quantity):
    single = make_cube(make_snapshot(index_market(), AS_OF), scenario_set())
    tried = WhatIf(es_margins(POSITIONS, single), "A")
    tried.add(FUTURE, quantity)
    assert tried.remove(FUTURE, quantity).difference == 0


def test_contributions_add_up_and_incremental_ones_are_removals(cube):
    margins = es_margins(POSITIONS, cube)
    frame = margins.contributions("A")
    whole = plain_requirement(cube, vector(cube, held_by("A")))
    assert frame["contribution"].sum() * 100 == pytest.approx(whole, abs=1)
    for row in frame.iter_rows(named=True):
        rest = [(code, quantity) for code, quantity in held_by("A") if code != row["instrument"]]
        losses = plain_shortfalls(cube, vector(cube, rest))
        without = sum(part.weight * loss for part, loss in zip(cube.parts, losses, strict=True))
        assert row["incremental"] == pytest.approx(whole / 100 - without, abs=0.01)


@pytest.mark.parametrize("confidence", ["0.95", "0.975", "0.98", "0.99", "0.994", "0.995"])
@pytest.mark.parametrize("count", [250, 500, 1000, 1018])
def test_expected_shortfall_is_the_mean_of_whole_scenarios(confidence, count):
    pnl = np.random.default_rng(count).integers(-(10**6), 10**6, (3, count)).astype(float)
    exact = Fraction(confidence)
    tail = math.ceil((1 - exact) * count)
    expected = [float(-Fraction(sum(int(x) for x in sorted(row)[:tail]), tail)) for row in pnl.tolist()]
    np.testing.assert_array_equal(expected_shortfall(pnl, confidence), expected)
    np.testing.assert_array_equal(value_at_risk_at(pnl, confidence), [-sorted(row)[tail - 1] for row in pnl])
    assert expected_shortfall(pnl[1].astype(np.float32), confidence) == expected[1]  # whole below 2^24


@pytest.mark.parametrize(
    ("pnl", "confidence", "rule"),
    [
        ([1.0, np.nan], "0.5", "finite numbers"),
        ([1.0, np.inf], "0.5", "finite numbers"),
        ([], "0.5", "at least one scenario"),
        (3.0, "0.5", "at least one scenario"),
        ([1.0, 2.0], 0.5, "as text"),
        ([1.0, 2.0], "1", "above 0 and below 1"),
        ([1.0, 2.0], "half", "above 0 and below 1"),
        ([1.0 + 1j], "0.5", "real numbers"),
        (["a"], "0.5", "real numbers"),
    ],
)
def test_expected_shortfall_refuses_what_has_none(pnl, confidence, rule):
    with pytest.raises(InputError, match=rule):
        expected_shortfall(np.array(pnl), confidence)


def test_series_with_nearly_the_same_strike_are_not_one(cube, pricer):
    tried = WhatIf(es_margins(POSITIONS, cube), "A", pricer)
    tried.add(NewSeries("HSI", FAR, 18050.111, "P"), 1000)
    change = tried.add(NewSeries("HSI", FAR, 18150.14, "P"), -1000)
    assert change.trades[0][0] == f"HSI/{FAR}/18050.111/P"
    near = tried.add(NewSeries("HSI", FAR, 18050.14, "P"), -1000)
    assert len({code for code, _ in near.trades}) == 3
    assert near.difference != 0
