"""Backtests of a programme: gains, margins, what is pooled, and that nothing looks ahead."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache

import numpy as np
import polars as pl
import pytest
from programme_market import (
    FUND,
    FUTURE,
    LARGE,
    market_of,
    sample,
)

from crossmargin.errors import InputError
from crossmargin.formats.programme_files import chosen_programme
from crossmargin.models.market import make_market
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.programmes.backtest.history import (
    BacktestInputs,
    backtest_places,
    first_day,
    margin_history,
)
from crossmargin.programmes.backtest.judged import pooled_frame
from crossmargin.programmes.backtest.rows import TOTAL
from crossmargin.programmes.backtest.run import BacktestSettings, run_backtest
from crossmargin.programmes.backtest.sensitivity import variants
from crossmargin.programmes.evaluate import evaluate
from crossmargin.programmes.houses import HouseSettings
from crossmargin.programmes.opening import open_houses

LINKED = chosen_programme("three-linked")
EVERY = 60


@cache
def market():
    return market_of(*sample())


def last_day(of):
    return of["prices"]["date"].max()


@cache
def inputs(portfolios="static"):
    found = BacktestInputs(
        market=market(),
        as_of=last_day(market()),
        programme=LINKED,
        settings=HouseSettings(),
        portfolios=portfolios,
    )
    return found.with_scenarios()


@cache
def histories():
    return inputs().histories()


@cache
def places():
    first = first_day(histories(), inputs())
    return backtest_places(histories(), first, last_day(market()), EVERY, 2)


def history():
    return result().history


@cache
def result():
    settings = BacktestSettings(every=EVERY, first=histories().days[places()[0]].item())
    return run_backtest(inputs(), settings)


def one(table, **terms):
    found = table.filter(**terms)
    assert len(found) == 1
    return found.row(0, named=True)


def test_gains_are_the_moves_that_followed():
    """By hand: quantity × mark × multiplier × the return compounded over the house's horizon.

    A future moves with carry too: interest rates move what a month of it is worth by less than 1e-4.
    """
    table = open_houses(market(), last_day(market())).snapshot.instruments
    worth = {
        name: mark * size for name, mark, size in table.select("instrument", "mark", "multiplier").iter_rows()
    }
    books = {("HKSCC", FUND, 2): (500_000 * LARGE, 0.0), ("HKCC", FUTURE, 1): (-10 * LARGE, 1e-4)}
    for (house, name, horizon), (quantity, carry) in books.items():
        for place in places().tolist():
            after = slice(place + 1, place + 1 + horizon)
            factor = histories().columns[f"spot:{FUND if house == 'HKSCC' else 'HSI'}"]
            move = np.expm1(histories().returns[after, factor].sum())
            day = histories().days[place].item()
            row = one(history(), date=day, kind="leg", name="arbitrage", house=house)
            value = quantity * worth[name]
            assert row["horizon_days"] == horizon
            assert float(row["gain"]) == pytest.approx(value * move, rel=1e-12, abs=0.01 + carry * abs(value))


def test_margins_of_the_last_day_are_those_of_the_programme():
    """By another route: each day's own positions, on a day that the programme is evaluated on directly."""
    day = histories().days[-3].item()
    rows = margin_history(inputs("as they were"), np.array([histories().days.size - 3])).rows
    found = evaluate(LINKED, open_houses(market(), day, inputs().settings)).joint_accounts
    assert len(found)
    for row in found.iter_rows(named=True):
        legs = rows.filter(kind="leg", name=row["joint_account"])
        for house, before, after in legs.select("house", "before", "after").iter_rows():
            assert before == row[f"stand_alone:{house}"]
            assert after == row[f"left:{house}"]
        joint = one(rows, kind="joint account", name=row["joint_account"])
        assert joint["before"] == legs["before"].sum() == row["stand_alone"]
        assert joint["after"] == legs["after"].sum() == row["left"]


def test_a_margin_knows_nothing_of_later_days():
    """Prices after a day are changed: margins of that day stay, gains do not."""
    day = histories().days[places()[1]].item()
    prices = market()["prices"].with_columns(
        close=pl.when(pl.col("date").is_between(day, last_day(market()), closed="right") & (pl.col("date") < last_day(market())))
        .then(pl.col("close") * 1.01)
        .otherwise(pl.col("close"))
    )  # fmt: skip
    changed = make_market(
        {**market().tables, "prices": prices}, name=market().name, currency=market().currency
    )
    other = margin_history(replace(inputs(), market=changed), places()[1:2]).rows
    same = history().filter(date=day)
    assert other.select("kind", "name", "before", "after", "value_at_risk").equals(
        same.select("kind", "name", "before", "after", "value_at_risk")
    )
    assert not other["gain"].equals(same["gain"])


def test_processes_share_days_and_change_nothing():
    assert margin_history(inputs(), places(), jobs=2).rows.equals(history())


def test_futures_that_are_marked_later_made_what_the_marks_say():
    rows = margin_history(inputs("as they were"), np.array([histories().days.size - 3])).rows
    first, after = (histories().days[place].item() for place in (-3, -2))
    price = dict(market()["marks"].filter(instrument=FUTURE).select("date", "price").iter_rows())
    held = market()["positions"].filter(instrument=FUTURE)
    alone = [
        (account, quantity)
        for account, quantity in held.select("account", "quantity").iter_rows()
        if len(market()["positions"].filter(account=account)) == 1
    ]
    assert alone
    for account, quantity in alone:
        expected = quantity * 50 * (price[after] - price[first])
        assert float(one(rows, kind="account", name=account)["gain"]) == pytest.approx(expected, abs=0.01)


def test_what_is_pooled_adds_up():
    """By another route: plain loops over the history."""
    counted = defaultdict(lambda: [0, 0, Decimal(0)])
    for row in history().iter_rows(named=True):
        for when in ("before", "after"):
            if row[when] is None or row["kind"] in {"joint account", TOTAL}:
                continue
            if when == "before" and row["kind"] != "account":
                continue
            cell = counted[row["house"], when]
            beyond = -row["gain"] - row[when]
            cell[0] += 1
            cell[1] += beyond > 0
            cell[2] = max(cell[2], beyond)
    pooled = pooled_frame(history(), confidence=0.99, by_year=False).filter(kind="house")
    assert len(pooled) == len(counted)
    for row in pooled.iter_rows(named=True):
        observations, exceedances, peak = counted[row["house"], row["when"]]
        assert (row["observations"], row["exceedances"]) == (observations, exceedances)
        assert row["peak_uncovered"] == float(peak)
        assert row["coverage"] == 1 - exceedances / observations


def test_years_add_up_to_the_whole():
    years = (
        result()
        .years.group_by("house", "kind", "when")
        .agg(pl.col("observations", "exceedances").sum(), pl.col("peak_uncovered").max())
    )
    whole = result().houses.select(years.columns)
    assert years.sort("house", "kind", "when").equals(whole.sort("house", "kind", "when"))


def test_a_reduction_moves_margin_between_units_and_gains_not():
    """Every position is margined once before and once after: gains of a day add up to the same."""
    for house in ("HKSCC", "HKCC", "SEOCH"):
        mine = history().filter(pl.col("kind") != TOTAL, house=house)
        total = history().filter(kind=TOTAL, house=house).sort("date")
        before = mine.filter(pl.col("kind") == "account").group_by("date").agg(pl.col("gain").sum())
        after = (
            mine.filter(pl.col("after").is_not_null())
            .group_by("date")
            .agg(pl.col("gain").sum().alias("left"))
        )
        apart = before.join(after, on="date", how="full")
        # each unit's gain is rounded to the cent by itself
        assert (apart["gain"] - apart["left"]).abs().max() <= Decimal("0.20")
        assert total["gain"].equals(before.sort("date")["gain"])
        left = mine.filter(pl.col("after").is_not_null()).group_by("date").agg(pl.col("after").sum())
        assert total["after"].equals(left.sort("date")["after"])


def test_coverage_of_a_series_is_that_of_its_days():
    table = result().coverage
    assert set(table["when"]) == {"before", "after"}
    for row in table.iter_rows(named=True):
        days = history().filter(
            pl.col("kind") == row["kind"],
            pl.col("name") == row["name"],
            pl.col("house").eq_missing(pl.lit(row["house"])),
            pl.col(row["when"]).is_not_null(),
        )
        beyond = 0 - days["gain"] - days[row["when"]]
        assert row["observations"] == len(days)
        assert row["exceedances"] == (beyond > 0).sum()
        assert row["peak_uncovered"] == pytest.approx(max(0.0, float(beyond.max())), abs=1e-6)
    judged = table.filter(pl.col("z2").is_not_null())
    assert set(judged["kind"]) == {"account", "leg", "rest", "joint account"}
    # of a few days none may be rejected: without an exceedance the statistic is 1
    assert (judged["z2_critical"] <= 1).all()


def test_other_choices_are_margined_and_the_given_one_is_among_them():
    table = result().sensitivity
    base = table.filter("base", books="joint")
    assert base["mean_margin"].n_unique() == 1
    buffer = table.filter(setting="buffer", books="joint").sort("mean_margin")
    ratio = buffer["mean_margin"][1] / buffer["mean_margin"][0]
    assert ratio == pytest.approx(1.25, rel=1e-6)  # margins are rounded to the cent
    assert table.filter(books="silo", setting="confidence").sort("value")["mean_margin"].is_sorted()
    settings = inputs().settings.scenarios
    assert {variant.setting for variant in variants(settings)} >= {"look-back", "decay", "horizon"}


def test_days_that_cannot_be_tested_are_refused():
    last = last_day(market())
    with pytest.raises(InputError, match="a trading day up to"):
        backtest_places(histories(), last + timedelta(days=10), last + timedelta(days=20), 1, 2)
    with pytest.raises(InputError, match="every"):
        backtest_places(histories(), last, last, 0, 2)
    with pytest.raises(InputError, match="portfolios"):
        BacktestInputs(
            market=market(), as_of=last, programme=LINKED, settings=HouseSettings(), portfolios="some"
        )
    with pytest.raises(InputError, match="a TOML file, or one of silo"):
        chosen_programme("three")
    early = histories().days[300].item()
    with pytest.raises(InputError, match="windows that the histories have"):
        run_backtest(inputs(), BacktestSettings(first=early, last=early))
    with pytest.raises(InputError, match="confidence"):
        BacktestSettings(confidence=1.0)


def test_the_first_day_is_the_first_on_which_scenarios_can_be_made():
    first = first_day(histories(), inputs())
    assert first_day(histories(), inputs("as they were")) == market()["marks"]["date"].min()
    place = int(np.searchsorted(histories().days, np.datetime64(first, "D")))
    margin_history(inputs(), np.array([place]))
    with pytest.raises(InputError):
        margin_history(inputs(), np.array([place - 1]))


def test_what_was_known_on_a_day_is_what_histories_made_on_it_say():
    """By another route: histories made of the market on the day, with a share listed late that has a proxy."""
    market = synthetic_market(seed=13)
    whole = make_histories(market, last_day(market))
    late = market["underlyings"].filter(pl.col("proxy").is_not_null())["underlying"][0]
    assert f"spot:{late}" in whole.columns
    listed = market["underlyings"].filter(underlying=late)["listed"][0]
    for day in (listed - timedelta(days=400), listed + timedelta(days=40), listed + timedelta(days=200)):
        known, made = whole.until(day), make_histories(market, day)
        for column, factor in enumerate(made.factors):
            at = known.columns[factor.code]
            np.testing.assert_array_equal(known.valid[:, at], made.valid[:, column])
            valid = made.valid[:, column]
            np.testing.assert_allclose(known.returns[valid, at], made.returns[valid, column], atol=1e-15)
        missing = set(known.columns) - set(made.columns)
        assert not known.valid[:, [known.columns[code] for code in missing]].any()
    looking_ahead = whole.until(listed + timedelta(days=40), refit=False)
    assert looking_ahead.valid.sum() > whole.until(listed + timedelta(days=40)).valid.sum()


def test_what_did_not_happen_is_left_out_and_said():
    """A share listed late: before, its positions are in neither margin nor gain."""
    full = synthetic_market(seed=13)
    late = full["underlyings"].filter(pl.col("proxy").is_not_null())["underlying"][0]
    held = full["positions"].filter(pl.col("instrument") == late)
    assert len(held)
    house = full["accounts"].join(held.select("account"), on="account", how="semi")
    listed = full["underlyings"].filter(underlying=late)["listed"][0]
    known = BacktestInputs(
        market=full, as_of=last_day(full), programme=LINKED, settings=HouseSettings()
    ).with_scenarios()
    days = known.histories().days
    before = int(np.searchsorted(days, np.datetime64(listed, "D"))) - 100
    settings = BacktestSettings(
        first=days[before].item(), last=days[before + 250].item(), every=250, sensitivity=False
    )
    found = run_backtest(known, settings)
    said = found.findings.filter(subject=late, kind="not tested")
    assert len(said) == 1
    assert "on 1 of 2 days" in said["action"][0]
    names = house.filter(house="HKSCC")["participant"].unique().to_list()
    assert found.history.filter(pl.col("name").is_in(names), kind="account")["date"].n_unique() == 2


def test_positions_of_a_gross_account_are_tested_one_by_one():
    """Gains of one client do not pay losses of another."""
    rows = history().filter(pl.col("name").str.starts_with("clients.HKCC "))
    assert set(rows["name"]) == {"clients.HKCC HSI.F.2026-01", "clients.HKCC HSI.F.2026-02"}
    today = result().history.filter(pl.col("date") == result().days[-1], kind="account")
    parts = today.filter(pl.col("name").str.starts_with("clients.HKCC "))["before"].sum()
    houses = margin_history(inputs("as they were"), np.array([histories().days.size - 3])).rows
    assert parts > 0
    whole = open_houses(market(), histories().days[-3].item(), inputs().settings)
    place = whole.accounts.table["account"].to_list().index("clients.HKCC")
    same = houses.filter(pl.col("name").str.starts_with("clients.HKCC "))["before"].sum()
    assert same == Decimal(int(whole.account_risk[place])) / 100


def test_a_market_without_positions_is_refused():
    empty = make_market({**market().tables, "positions": market()["positions"].clear()}, name="nothing held")
    with pytest.raises(InputError, match="at least one position of which it is known"):
        margin_history(replace(inputs(), market=empty), places()[:1])
    with pytest.raises(InputError, match="jobs"):
        margin_history(inputs(), places()[:1], jobs=0)
