"""A defaulter's book in a market: paths, liquidity, and joint against separate close-out on the sample market."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest
from programme_market import (
    FAR_FUTURE,
    FUND,
    FUTURE,
    LONE_STOCK,
    OTHER_FUTURE,
    STOCK,
    cash,
    futures,
    houses_of,
    sample_houses,
)

from crossmargin.errors import InputError
from crossmargin.models.scenarios.selection import LookBack
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.programmes.default_management.close_outs import close_outs, default_close_outs
from crossmargin.programmes.default_management.liquidity import (
    daily_caps,
    hedging_rows,
    held_of_all,
    trading_costs,
)
from crossmargin.programmes.default_management.paths import gain_paths, window_scenarios
from crossmargin.programmes.default_management.settings import ByKind, CloseOutSettings
from crossmargin.programmes.default_management.ways import COORDINATIONS, HEDGED, OPTIMAL, PLAIN
from crossmargin.programmes.opening import open_houses

JOINT, EACH, APART = COORDINATIONS
FREE = ByKind(equity=0, etf=0, future=0, option=0)


def row_of(instrument):
    return sample_houses().snapshot.instruments["instrument"].to_list().index(instrument)


def value(frame, group, strategy, coordination, column="transient_loss"):
    return float(frame.filter(group=group, strategy=strategy, coordination=coordination)[column].item())


def historical():
    """The houses' scenarios without the part that is filtered."""
    scenarios = sample_houses().scenarios
    return replace(scenarios, parts=(replace(scenarios.parts[0], weight=1.0, filtering=None),))


def quick(**choices):
    """Settings with few windows, for tests that do not look at what is lost."""
    first = replace(sample_houses().scenarios.parts[0], weight=1.0, selection=LookBack(scenarios=100))
    return CloseOutSettings(scenarios=replace(sample_houses().scenarios, parts=(first,)), **choices)


# Paths


def test_windows_of_every_length_begin_on_the_same_day():
    histories, days = sample_houses().histories, 4
    sets = list(window_scenarios(histories, historical(), days))
    column = histories.columns["spot:HSI"]
    returns, count = histories.returns[:, column], sets[0].size
    starts = np.arange(histories.days.size - count - days + 1, histories.days.size - days + 1)
    for length, scenarios in enumerate(sets, start=1):
        moves = np.expm1([returns[start : start + length].sum() for start in starts])
        assert scenarios.moves[:, scenarios.columns["spot:HSI"]] == pytest.approx(moves, abs=1e-12)
        assert scenarios.horizon_days == length
        assert scenarios.labels[0] == str(histories.days[starts[0] + length - 1])


def test_filtered_windows_grow_by_one_days_move():
    """What is scaled is the day's return, so that a path does not jump where its window grows."""
    houses = sample_houses()
    one, two = list(window_scenarios(houses.histories, houses.scenarios, 2))
    assert one.parts == two.parts
    column = one.columns["spot:HSI"]
    second = (1 + two.moves[:, column]) / (1 + one.moves[:, column]) - 1
    part = one.parts[0]
    # of consecutive windows, the second day of one is the first of the next
    assert second[part.start : part.stop - 1] == pytest.approx(one.moves[part.start + 1 : part.stop, column])


def test_a_share_gains_its_price_times_its_move():
    houses, row = sample_houses(), row_of(STOCK)
    paths = gain_paths(houses, historical(), 3, np.array([row]))
    price = houses.snapshot.instruments["mark"][row]
    for length, scenarios in enumerate(window_scenarios(houses.histories, historical(), 3)):
        moves = scenarios.moves[:, scenarios.columns[f"spot:{STOCK}"]]
        assert paths.at(np.array([row]))[:, 0, length] == pytest.approx(price * moves, rel=1e-5, abs=1e-5)


def test_paths_of_few_instruments_are_those_of_all():
    """Only underlyings that are wanted are revalued; an option's volatility comes from its whole class."""
    houses = sample_houses()
    options = houses.snapshot.instruments.with_row_index("row").filter(kind="option", underlying=STOCK)
    few = options["row"].to_numpy()[:3].astype(np.int64)
    settings = quick().scenarios
    every = np.arange(len(houses.snapshot.instruments))
    assert np.array_equal(
        gain_paths(houses, settings, 2, few).gains, gain_paths(houses, settings, 2, every).at(few)
    )


# Liquidity


def test_caps_are_shares_of_the_larger_side():
    houses = houses_of(
        cash("a", {FUND: 900, STOCK: 100}),
        cash("b", {FUND: -400}, participant="P2"),
        cash("c", {FUND: 300}, participant="P3"),
    )
    held = held_of_all(houses)
    assert (held[row_of(FUND)], held[row_of(STOCK)], held[row_of(LONE_STOCK)]) == (1200, 100, 0)
    shares = ByKind(equity=0.1, etf=0.25, future=1, option=1)
    caps = daily_caps(houses, CloseOutSettings(days=2, daily_shares=shares))
    assert caps[row_of(FUND)].tolist() == [300.0, 300.0]
    assert caps[row_of(STOCK)].tolist() == [10.0, 10.0]


def test_caps_can_be_given_and_houses_can_begin_later():
    settings = CloseOutSettings(
        days=3, caps={"instrument": [FUND], "units": [77]}, first_days={"HKSCC": 3}, daily_shares=FREE
    )
    caps = daily_caps(sample_houses(), settings)
    assert caps[row_of(FUND)].tolist() == [0.0, 0.0, 77.0]
    assert caps.sum() == 77.0


def test_costs_are_shares_of_the_mark_of_one_unit():
    settings = CloseOutSettings(half_spreads=ByKind(equity=0.001, etf=0, future=0.0002, option=0))
    costs, instruments = trading_costs(sample_houses(), settings), sample_houses().snapshot.instruments
    future = instruments.row(row_of(FUTURE), named=True)
    assert costs[row_of(FUTURE)] == pytest.approx(0.0002 * future["mark"] * future["multiplier"])
    assert costs[row_of(FUND)] == 0.0


def test_the_future_that_is_held_most_of_each_index_is_the_hedge():
    houses = houses_of(futures("a", {FUTURE: 5, FAR_FUTURE: -9, OTHER_FUTURE: 1}))
    names = houses.snapshot.instruments["instrument"]
    assert names.gather(hedging_rows(houses, CloseOutSettings())).to_list() == [OTHER_FUTURE, FAR_FUTURE]
    # the front months do not live that long
    assert names.gather(hedging_rows(houses, CloseOutSettings(days=20))).to_list() == [FAR_FUTURE]
    named = CloseOutSettings(hedges=(FUND,))
    assert names.gather(hedging_rows(houses, named)).to_list() == [FUND]


# Settings and arguments that are refused


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ({"days": 0}, "days"),
        ({"first_days": {"HKSCC": 6}}, "first_days"),
        ({"first_days": {"elsewhere": 1}}, "first_days"),
        ({"caps": {"instrument": ["a"], "units": [-1.0]}}, "units"),
        ({"caps": {"instrument": ["a"], "units": [float("nan")]}}, "units"),
    ],
)
def test_settings_out_of_range_are_refused(choice, field):
    with pytest.raises(InputError, match=field):
        CloseOutSettings(**choice)


def test_shares_out_of_range_are_refused():
    with pytest.raises(InputError, match="option"):
        ByKind(equity=1, etf=1, future=1, option=-0.1)


def test_names_that_are_not_known_are_refused():
    houses = sample_houses()
    with pytest.raises(InputError, match="nobody"):
        close_outs(houses, ["G1", "nobody"])
    with pytest.raises(InputError, match="no account"):
        default_close_outs(houses, {"x": ["no account"]})
    with pytest.raises(InputError, match="nothing"):
        close_outs(houses, ["G1"], CloseOutSettings(hedges=("nothing",)))
    with pytest.raises(InputError, match="nothing"):
        close_outs(houses, ["G1"], CloseOutSettings(caps={"instrument": ["nothing"], "units": [1.0]}))


# Close-outs


@cache
def small_frame():
    return close_outs(sample_houses(), ["G1", "G3"], quick())


def test_a_row_for_each_group_strategy_and_coordination():
    frame = small_frame()
    assert frame.columns == [
        "group",
        "strategy",
        "coordination",
        "days",
        "transient_loss",
        "terminal_loss",
        "status",
    ]
    expected = [(g, s, c) for g in ("G1", "G3") for s in (PLAIN, HEDGED, OPTIMAL) for c in COORDINATIONS]
    assert frame.select("group", "strategy", "coordination").rows() == expected
    assert frame["transient_loss"].dtype == pl.Decimal(38, 2)
    assert set(frame["days"]) == {5}
    assert (frame["terminal_loss"] <= frame["transient_loss"]).all()


def test_the_same_bytes_again():
    assert close_outs(sample_houses(), ["G1", "G3"], quick()).write_csv() == small_frame().write_csv()


def test_one_day_without_limits_is_the_worst_scenario():
    houses = sample_houses()
    settings = quick(
        days=1, half_spreads=FREE, daily_shares=ByKind(equity=1000, etf=1000, future=1000, option=1000)
    )
    found = default_close_outs(houses, {"all": houses.accounts.table["account"].to_list()}, settings)[0]
    book = found.positions["quantity"].to_numpy()
    worst = (-found.problem.gains[:, :, 0] @ book).max()
    for strategy in (PLAIN, OPTIMAL):
        assert found.joint[strategy].transient == pytest.approx(worst)
        assert found.each_house[strategy].together.transient == pytest.approx(worst)


def test_accounts_of_one_name_are_netted_and_can_be_chosen_by_type():
    houses = sample_houses()
    accounts = {"G3": houses.accounts.table.filter(group="G3")["account"].to_list()}
    all_types = default_close_outs(houses, accounts, quick())[0].positions
    clients = default_close_outs(houses, accounts, quick(account_types=("omnibus",)))[0].positions
    held = {name: quantity for name, _, quantity in all_types.rows()}
    own = {name: quantity for name, _, quantity in clients.rows()}
    assert held[FUTURE] == 20 * (-4 - 7 - 2)
    assert own[FUTURE] == 20 * -7
    assert STOCK not in own


def test_the_schedule_closes_what_is_held():
    houses = sample_houses()
    accounts = houses.accounts.table.filter(owner="arbitrage")["account"].to_list()
    found = default_close_outs(houses, {"arbitrage": accounts}, quick(hedges=()))[0]
    assert list(found.joint) == [PLAIN, OPTIMAL]
    traded = found.schedule(found.joint[OPTIMAL]).group_by("instrument").agg(pl.col("traded").sum())
    closed = dict(traded.rows())
    for name, quantity in found.positions.select("instrument", "quantity").rows():
        assert closed[name] == pytest.approx(-quantity)


def test_a_position_without_scenarios_is_left_out_and_told():
    houses = sample_houses()
    valid = houses.histories.valid.copy()
    valid[:, houses.histories.columns[f"spot:{LONE_STOCK}"]] = False
    short = replace(houses, histories=replace(houses.histories, valid=valid))
    found = default_close_outs(
        short, {"cover": short.accounts.table.filter(owner="cover")["account"].to_list()}, quick()
    )[0]
    assert found.without_scenarios == (LONE_STOCK,)
    assert all(row[-1].endswith("; 1 positions without scenarios left out") for row in found.rows())


def test_what_cannot_be_closed_in_time_is_told():
    settings = quick(days=2, hedges=())
    frame = close_outs(sample_houses(), ["G1"], settings)
    assert frame.filter(strategy=OPTIMAL, coordination=JOINT)["status"].item() == "optimal, left open"
    assert frame.filter(strategy=PLAIN, coordination=JOINT)["status"].item() == "left open"


def test_no_defaulter_and_no_position():
    houses = sample_houses()
    assert close_outs(houses, [], quick()).height == 0
    empty = default_close_outs(houses, {"x": []}, quick())[0]
    assert empty.joint[OPTIMAL].transient == 0.0
    assert default_close_outs(houses, {"x": []}, quick(hedges=())) == []


# The sample market


@cache
def sample_market_houses():
    market = synthetic_market(seed=13)
    return open_houses(market, market["prices"]["date"].max())


@cache
def sample_market_frame():
    return close_outs(sample_market_houses(), sample_market_houses().accounts.groups)


def test_joint_is_never_worse_on_the_sample_market():
    """The direction of Avellaneda and Cont (2013), for every group and strategy, to the solver's accuracy."""
    frame = sample_market_frame()
    for group in frame["group"].unique():
        joint, each, apart = (value(frame, group, OPTIMAL, how) for how in COORDINATIONS)
        plain = value(frame, group, PLAIN, JOINT)
        assert joint <= each * (1 + 1e-7)
        assert each <= apart * (1 + 1e-7)
        assert joint <= plain * (1 + 1e-7)
        assert plain == value(frame, group, PLAIN, EACH)
        assert plain <= value(frame, group, PLAIN, APART)
    assert set(frame["status"]) == {"closed", "optimal"}


@pytest.mark.parametrize(
    ("group", "plain", "joint", "apart"),
    [("G0001", 38.71, 20.66, 213.11), ("G0004", 3.57, 2.54, 30.67), ("G0008", 6.78, 6.54, 6.54)],
)
def test_figures_of_the_sample_market(group, plain, joint, apart):
    """The table of docs/concepts/default-management.md, HKD million; optima are unique, schedules are not."""
    frame = sample_market_frame()
    assert value(frame, group, PLAIN, JOINT) / 1e6 == pytest.approx(plain, abs=0.005)
    assert value(frame, group, OPTIMAL, JOINT) / 1e6 == pytest.approx(joint, abs=0.005)
    assert value(frame, group, OPTIMAL, APART) / 1e6 == pytest.approx(apart, abs=0.005)


def test_groups_with_hedges_across_houses_gain_most():
    """G0001 to G0006 hold hedges across houses, G0008 and G0009 cash alone."""
    frame = sample_market_frame()
    less = {
        group: 1 - value(frame, group, OPTIMAL, JOINT) / value(frame, group, OPTIMAL, EACH)
        for group in frame["group"].unique()
    }
    assert all(less[group] > 0.05 for group in ("G0001", "G0003", "G0004", "G0005", "G0006"))
    assert less["G0008"] == less["G0009"] == 0.0


def test_a_later_settlement_at_one_house_makes_coordination_worth_more():
    """Futures that are closed a day before the shares can be leave the shares without their hedge."""
    late = CloseOutSettings(days=6, first_days={"HKSCC": 2}, hedges=())
    frame = close_outs(sample_market_houses(), ["G0004", "G0006"], late)
    for group in ("G0004", "G0006"):
        joint, each = (value(frame, group, OPTIMAL, how) for how in (JOINT, EACH))
        usual = value(sample_market_frame(), group, OPTIMAL, EACH)
        assert each > 2 * usual
        assert joint < 0.2 * each
