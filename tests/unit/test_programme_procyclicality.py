"""Procyclicality of houses, of a programme and of its saving, with each tool against it."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import pytest
from programme_market import market_of, sample

from crossmargin.errors import InputError
from crossmargin.formats.programme_files import chosen_programme
from crossmargin.models.market import HOUSES
from crossmargin.programmes.backtest.history import BacktestInputs
from crossmargin.programmes.evaluate import evaluation
from crossmargin.programmes.houses import HouseSettings
from crossmargin.programmes.opening import open_houses
from crossmargin.programmes.procyclicality.run import (
    SERIES,
    ProcyclicalitySettings,
    run_procyclicality,
)
from crossmargin.programmes.procyclicality.tools import (
    BUFFER,
    FLOOR,
    NONE,
    STRESS,
    TOOLS,
    Jump,
    jumped,
    with_tool,
)

EVERY = 10


@cache
def inputs():
    market = market_of(*sample())
    found = BacktestInputs(
        market=market,
        as_of=market["prices"]["date"].max(),
        programme=chosen_programme("three-linked"),
        settings=HouseSettings(),
    )
    return found.with_scenarios()


@cache
def histories():
    return inputs().histories()


@cache
def result():
    first = histories().days[-21].item()
    settings = ProcyclicalitySettings(first=first, every=EVERY, jump=Jump(days=(0, 40)))
    return run_procyclicality(inputs(), settings)


def margins(tool, series):
    return result().history.filter(tool=tool, series=series)["margin"].cast(pl.Float64).to_numpy()


def test_margins_of_the_last_day_are_those_of_the_programme():
    """By another route: the programme evaluated on the day. The stress weight of 25% is HKSCC's own."""
    done = evaluation(inputs().programme, open_houses(inputs().market, inputs().as_of, inputs().settings))
    assert result().days[-1] == histories().days[-1].item()
    today = done.houses.today.market_risk.sum(axis=0) / 100
    for house, amount in zip(HOUSES, today, strict=True):
        assert margins(STRESS, house)[-1] == amount
    assert margins(STRESS, "joint")[-1] == done.calls.market_risk.sum() / 100


@pytest.mark.parametrize("tool", TOOLS)
def test_houses_add_up_to_silo_and_the_saving_is_the_rest(tool):
    silo = sum(margins(tool, house) for house in HOUSES)
    np.testing.assert_allclose(
        margins(tool, "silo"), silo, rtol=0, atol=0.02
    )  # a buffer is rounded to the cent
    np.testing.assert_allclose(
        margins(tool, "saving"), margins(tool, "silo") - margins(tool, "joint"), rtol=0, atol=0.02
    )


def test_tools_cost_what_they_add():
    for series in SERIES:
        table = result().measures.filter(series=series)
        for row in table.iter_rows(named=True):
            own, plain = margins(row["tool"], series), margins(NONE, series)
            assert row["mean"] == pytest.approx(own.mean(), rel=1e-9)
            if plain.min() > 0:
                assert row["cost"] == pytest.approx(own.mean() / plain.mean() - 1, abs=1e-9)
                assert row["peak_to_trough"] == pytest.approx(own.max() / own.min(), rel=1e-9)
                assert row["n_day_20"] == pytest.approx((own[2:] / own[:-2]).max(), rel=1e-9)
            assert row["n_day_1"] is row["n_day_5"] is None  # 10 trading days apart
    plain, buffered = margins(NONE, "silo"), margins(BUFFER, "silo")
    assert (buffered >= plain - 0.02).all()
    assert (buffered <= 1.25 * plain + 0.02).all()


def test_a_jump_repeats_days_of_one_size():
    jump = Jump(multiple=3.0, days=(0,), repeated_days=40)
    longer = jumped(histories(), jump, 30)
    assert (np.diff(longer.days) > np.timedelta64(0, "D")).all()
    spots = np.array([factor.kind == "spot" for factor in longer.factors])
    deviation = np.sqrt((histories().returns[-40:, spots] ** 2).mean(axis=0))
    added = longer.returns[-30:, spots][:, deviation > 0] / deviation[deviation > 0]
    np.testing.assert_allclose(np.sqrt((added**2).mean(axis=1)), 3.0, rtol=1e-12)
    kept = histories().valid[-40:][np.arange(30) % 40]
    np.testing.assert_array_equal(longer.valid[-30:], kept)
    np.testing.assert_array_equal(longer.returns[:-30], histories().returns)


def test_margin_rises_after_a_jump_of_volatility():
    path = result().impulse.filter(series="silo", tool=NONE).sort("day")
    buffered = result().impulse.filter(series="silo", tool=BUFFER).sort("day")
    # against the margin before the jump: nothing is called until the buffer is used up
    assert (buffered["multiple"] <= path["multiple"] + 1e-9).all()
    assert path["day"].to_list() == [0, 40]
    assert path["multiple"].is_sorted()
    assert path["multiple"][-1] > 1.2
    assert set(result().impulse["tool"]) == set(TOOLS)


def test_processes_share_the_work_and_change_nothing(monkeypatch):
    monkeypatch.setattr("crossmargin.programmes.procyclicality.run.TOOLS", (NONE, BUFFER))
    first = histories().days[-11].item()
    settings = ProcyclicalitySettings(first=first, every=EVERY, jump=Jump(days=(0,)))
    alone, shared = (run_procyclicality(inputs(), settings, jobs=jobs) for jobs in (1, 2))
    for name in ("history", "measures", "impulse"):
        assert getattr(alone, name).equals(getattr(shared, name))


def test_a_tool_stands_alone():
    base = inputs().settings.scenarios
    assert [part.weight for part in with_tool(base, NONE).parts] == [1.0, 0.0]
    assert [part.weight for part in with_tool(base, STRESS).parts] == [0.75, 0.25]
    assert with_tool(base, FLOOR).anti_procyclical.floor_days == 2_500
    assert with_tool(base, BUFFER) == with_tool(base, NONE)
    with pytest.raises(InputError, match="every"):
        ProcyclicalitySettings(every=0)
