"""Stress scenarios on a market: which factors a row moves and by how much, past days, futures' basis."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from programme_market import FAR_FUTURE, FUND, FUTURE, STOCK, base_houses, base_market
from real_market import real_market, requires_real_data

from crossmargin.errors import InputError
from crossmargin.formats.stress_files import stress_library
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.programmes.stress.library import IndexExtremes, MoveRow, StressScenario
from crossmargin.programmes.stress.revaluation import stress_pnl
from crossmargin.programmes.stress.scenarios import FLOOR, as_scenario_set, stress_moves
from crossmargin.programmes.stress.universe import plain_code, stress_universe

INDEX, OTHER_INDEX, DOLLAR_FUND = "HSI", "HHI", "9800"


@cache
def universe(horizon=1):
    houses = base_houses()
    return stress_universe(houses.market, houses.snapshot, houses.histories, horizon)


def stated(*rows, name="one", **terms):
    moves = tuple(MoveRow(targets=tuple(targets.split()), how=how, size=size) for targets, how, size in rows)
    return StressScenario(
        name=name, family="hypothetical", source="a source", rationale="It moves.", moves=moves, **terms
    )


def past(past, **terms):
    return StressScenario(
        name="past", family="historical", source="a source", rationale="It happened.", past=past, **terms
    )


def spots(*rows, **terms):
    """Move of each spot by name."""
    made = stress_moves([stated(*rows, **terms)], universe())
    return dict(zip(universe().names, made.moves[0].tolist(), strict=False))


def pnl_of(*rows, **terms):
    """Profit and loss of one long unit of each instrument by name."""
    houses = base_houses()
    made = stress_moves([stated(*rows, **terms)], universe())
    found = stress_pnl(houses.snapshot, made, universe(), houses.settings.revaluation)
    return dict(zip(houses.snapshot.instruments["instrument"], found.pnl[0].tolist(), strict=True))


def mark(name):
    row = base_houses().snapshot.instruments.filter(instrument=name).row(0, named=True)
    return row["mark"] * row["multiplier"] * row["exchange_rate"]


def test_later_rows_hold_over_earlier_ones():
    moved = spots(("spot:*", "move", -0.1), (f"spot:{STOCK}", "move", 0.3), ("spot:index:*", "move", 0.0))
    kinds = dict(zip(universe().names, universe().kinds, strict=True))
    assert moved[STOCK] == 0.3
    assert {moved[name] for name, kind in kinds.items() if kind == "index"} == {0.0}
    assert {moved[name] for name, kind in kinds.items() if kind != "index" and name != STOCK} == {-0.1}


def test_stocks_move_by_their_betas():
    moved = spots(("spot:stock:*", "beta", -0.2))
    houses = base_houses()
    returns, columns = houses.histories.returns[-250:], houses.histories.columns
    pair = np.stack([returns[:, columns[f"spot:{name}"]] for name in (STOCK, INDEX)])
    covariance = np.cov(pair)
    assert moved[STOCK] == pytest.approx(-0.2 * covariance[0, 1] / covariance[1, 1], rel=1e-12)
    assert moved[FUND] == 0.0


def test_indices_move_as_what_they_hold_and_funds_as_their_index():
    moved = spots(
        ("spot:rank:1", "move", -0.5), ("spot:index:*", "basket", -0.1), ("spot:funds:*", "basket", 0.0)
    )
    weights = dict(universe().weights[INDEX])
    largest = max(weights, key=weights.get)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert moved[largest] == -0.5
    assert moved[INDEX] == pytest.approx(-0.5 * weights[largest])
    assert moved[FUND] == moved[INDEX] == moved[DOLLAR_FUND]


def test_what_an_index_holds_outside_the_market_moves_by_the_size_of_the_row():
    weights = {**universe().weights, INDEX: ((STOCK, 0.25), ("of no instrument", 0.35))}
    scenario = stated((f"spot:{STOCK}", "move", -0.4), (f"spot:{INDEX}", "basket", -0.1))
    made = stress_moves([scenario], replace(universe(), weights=weights))
    assert made.moves[0, universe().place[INDEX]] == pytest.approx(0.25 * -0.4 + 0.75 * -0.1)


def test_a_spot_falls_by_the_worst_of_its_history():
    moved = spots(("spot:*", "worst", -1.0))
    histories = base_houses().histories
    own = np.expm1(histories.returns[:, histories.columns[f"spot:{STOCK}"]])
    assert moved[STOCK] == pytest.approx(own.min())
    assert spots(("spot:*", "worst", 0.5))[STOCK] == pytest.approx(0.5 * own.max())


def test_targets_by_constituents_funds_and_rank():
    assert {name for name, move in spots((f"spot:funds:{INDEX}", "move", 0.1)).items() if move} == {
        FUND,
        DOLLAR_FUND,
    }
    held = {name for name, _ in universe().weights[OTHER_INDEX]}
    assert {
        name for name, move in spots((f"spot:constituents:{OTHER_INDEX}", "move", 0.1)).items() if move
    } == held
    assert universe().index == INDEX


def test_sectors_go_by_code_and_the_market_says_how_many_it_has():
    sectors = {"some": (STOCK, "999999"), "none": ("999998",)}
    scenario = stated(("spot:sector:some spot:sector:none", "move", -0.3), sectors=sectors)
    made = stress_moves([scenario], universe())
    assert made.moves[0, universe().place[STOCK]] == -0.3
    assert (
        "one: 1 of 2 some, 0 of 1 none",
        "companies of its sectors in the market",
        "moved by their rows",
    ) in (made.findings)
    alone = stated(("spot:sector:none", "move", -0.3), ("spot:index:*", "move", -0.05), sectors=sectors)
    made = stress_moves([alone], universe())
    assert made.moves[0, universe().place[INDEX]] == -0.05
    assert ("one", "no company of its sectors in the market", "only its other moves apply") in made.findings


@pytest.mark.parametrize(("name", "code"), [("0700.HK", "700"), ("5", "5"), ("00005", "5"), ("HSI", "HSI")])
def test_exchange_codes(name, code):
    assert plain_code(name) == code


def test_targets_that_a_market_lacks_are_found_and_a_scenario_without_any_is_left_out():
    made = stress_moves(
        [stated(("spot:NONE rate:HKD", "move", 0.01)), stated(("spot:NONE", "move", 0.1), name="two")],
        universe(),
    )
    assert made.labels == ("one",)
    assert ("one", "nothing in the market for spot:NONE", "passed over") in made.findings
    assert ("two", "no target in the market", "left out") in made.findings
    with pytest.raises(InputError, match="at least one scenario"):
        stress_moves([stated(("spot:NONE", "move", 0.1))], universe())


def test_a_past_day_takes_the_moves_of_its_window():
    houses = base_houses()
    day = houses.histories.days[-40].astype(object)
    for horizon in (1, 3):
        made = stress_moves([past(day)], universe(horizon))
        column = houses.histories.columns[f"spot:{STOCK}"]
        rows = houses.histories.returns[-40 - horizon + 1 : -39, column]
        assert made.moves[0, universe().place[STOCK]] == pytest.approx(np.expm1(rows.sum()), rel=1e-12)


def test_days_that_the_histories_lack_or_tell_otherwise_are_left_out():
    day = base_houses().histories.days[-40].astype(object)
    column = base_houses().histories.columns[f"spot:{INDEX}"]
    move = float(np.expm1(base_houses().histories.returns[-40, column]))
    library = [past(day, index_move=move + 0.019), replace(past(day), name="other", index_move=move + 0.021)]
    made = stress_moves([*library, replace(past(dt.date(1987, 10, 26)), name="old")], universe())
    assert made.labels == ("past",)
    assert {kind for _, kind, action in made.findings if action == "left out"} == {
        "the main index moved otherwise on that day",
        "the histories have no move of the main index then",
    }


def test_extremes_are_the_largest_moves_and_their_windows_do_not_overlap():
    made = stress_moves([past(IndexExtremes(direction="fall", count=4))], universe(5))
    moves = universe(5).index_past
    days = np.array([np.datetime64(label.removeprefix("past: ")) for label in made.labels])
    rows = np.searchsorted(universe(5).days, days)
    assert moves[rows[0]] == np.nanmin(moves)
    assert (np.diff(moves[rows]) >= 0).all()
    assert np.abs(np.subtract.outer(rows, rows))[~np.eye(4, dtype=bool)].min() >= 5


def test_volatilities_that_are_not_spoken_of_follow_the_rule():
    scenarios = [
        stated(("spot:*", "move", -0.1), (f"volatility:{INDEX}", "move", 0.43)),
        stated(("spot:*", "move", -0.5), name="two"),
    ]
    settings = RevaluationSettings()
    made = as_scenario_set(
        stress_moves(scenarios, universe()), universe(), base_houses().as_of, settings, "hash"
    )
    columns = made.columns
    assert made.moves[0, columns[f"volatility:{INDEX}:30"]] == 0.43
    assert made.moves[0, columns[f"volatility:{INDEX}:90"]] == 0.43
    assert made.moves[0, columns[f"volatility:{STOCK}:30"]] == pytest.approx(0.22)
    assert made.moves[0, columns[f"volatility:{STOCK}:90"]] == pytest.approx(0.22 / np.sqrt(3))
    assert made.moves[1, columns[f"volatility:{STOCK}:30"]] == pytest.approx(1.1)


def test_multiples_scale_every_move_and_nothing_loses_more_than_the_floor():
    made = stress_moves(
        [stated(("spot:*", "move", -0.4), ("basis:*", "move", 0.1), ("rate:*", "move", 0.02))], universe()
    )
    scaled = made.times(np.array([0.0, 1.0, 4.0]))
    found = as_scenario_set(scaled, universe(), base_houses().as_of, RevaluationSettings(), "hash")
    assert found.moves[:, 0].tolist() == [0.0, -0.4, FLOOR]
    assert found.moves[:, found.columns["rate:HKD:30"]].tolist() == pytest.approx([0.0, 0.02, 0.08])
    assert scaled.basis[:, 0].tolist() == pytest.approx([0.0, 0.1, 0.4])
    below = stress_moves([stated(("basis:*", "move", -0.3))], universe()).times(np.array([4.0]))
    assert set(below.basis.ravel().tolist()) == {FLOOR}
    assert not found.moves[0].any()
    assert found.labels[2] == "one × 4.0"


def test_linear_products_gain_their_mark_times_the_move():
    gained = pnl_of(("spot:*", "move", -0.2))
    for name in (FUTURE, FAR_FUTURE, FUND, STOCK):
        assert gained[name] == pytest.approx(-0.2 * mark(name), rel=1e-12)


def test_a_basis_moves_futures_alone():
    gained = pnl_of(("spot:index:*", "move", -0.01), ("basis:*", "move", -0.05))
    assert gained[FUTURE] == pytest.approx(-0.06 * mark(FUTURE), rel=1e-12)
    option_moves = pnl_of(("spot:index:*", "move", -0.01))
    assert all(gained[name] == option_moves[name] for name in gained if ".F." not in name)
    only = pnl_of((f"basis:{OTHER_INDEX}", "move", 0.03))
    moved = {
        name for name, amount in only.items() if abs(amount) > 1e-6
    }  # American values repeat to the last bits
    assert {name.split(".")[0] for name in moved} == {"HHI", "MCH"}


def test_rates_move_the_carry_of_futures():
    days = base_houses().snapshot.instruments.filter(instrument=FAR_FUTURE)["days"][0]
    gained = pnl_of(("rate:HKD", "move", 0.05))
    assert gained[FAR_FUTURE] == pytest.approx(mark(FAR_FUTURE) * np.expm1(0.05 * days / 365), rel=1e-9)
    assert gained[STOCK] == 0.0


def test_exchange_rates_move_what_is_priced_in_other_currencies():
    gained = pnl_of(("exchange_rate:*", "move", 0.09))
    assert gained[DOLLAR_FUND] == pytest.approx(0.09 * mark(DOLLAR_FUND), rel=1e-12)
    assert gained[FUND] == 0.0


def test_the_library_fits_the_market():
    made = stress_moves(stress_library(), universe(2))
    families = [one.family for one in made.scenarios]
    assert families.count("historical") == 10, "the named days are not those of an invented market"
    assert families.count("hypothetical") == 17
    assert families.count("theme") == 7
    assert np.isfinite(np.nan_to_num(made.moves)).all()


@requires_real_data
def test_named_days_are_those_of_the_real_index():
    day = dt.date(2024, 12, 20)
    market = real_market(day, proxy=None)
    houses = base_houses()
    real = stress_universe(
        market, make_snapshot(market, day), make_histories(market, day, houses.scenarios.rules), 1
    )
    made = stress_moves(stress_library(), real)
    named = [
        label for label, one in zip(made.labels, made.scenarios, strict=True) if one.index_move is not None
    ]
    assert len(named) == 15, "all but the day after the data end"
    assert "memory-chip cycle turns" in {subject.split(":")[0] for subject, *_ in made.findings}
    fell = made.labels.index("2022-10-24: party congress")
    assert made.moves[fell, real.by_code["700"]] == pytest.approx(-0.1143, abs=5e-4)


def test_base_market_is_what_the_tests_take_it_for():
    assert base_market()["underlyings"].filter(kind="index")["underlying"].to_list() == [OTHER_INDEX, INDEX]
