"""Rules of the revaluation that only some markets come to: carry, the least volatility, rates of American options."""

from __future__ import annotations

import dataclasses
import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from index_market import (
    AS_OF,
    FAR,
    FORWARDS,
    NEAR,
    RATE,
    index_market,
    one_row,
    option_code,
    scenario_set,
    tables,
)

from crossmargin.formats.scenario_settings import engine_settings
from crossmargin.kernels.black76 import black76_values_numpy
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.settings import VOLATILITY_FLOOR, RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.revaluation.surface import option_pairs
from crossmargin.models.scenarios.build import build_scenarios
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.models.synthetic_market.sizes import MarketSize

DOUBLE = RevaluationSettings(precision="float64")
SPOT, YIELD = 17651.15, 0.03


def test_without_future_and_parity_the_forward_is_the_carry():
    given = tables(futures=False)
    instruments = pl.DataFrame(given["instruments"]).filter(pl.col("right").ne_missing("P"))
    marks = pl.DataFrame(given["marks"]).filter(
        pl.col("instrument").is_in(instruments["instrument"].implode())
    )
    underlyings = {**given["underlyings"], "dividend_yield": [YIELD, 0.0, 0.0]}
    market = index_market(futures=False, instruments=instruments, marks=marks, underlyings=underlyings)
    table = option_pairs(make_snapshot(market, AS_OF), DOUBLE).table
    assert table["put"].null_count() == len(table) > 0
    for expiry in (NEAR, FAR):
        years = (expiry - AS_OF).days / 365
        expected = SPOT * math.exp((RATE - YIELD) * years)
        assert table.filter(expiry=expiry)["forward"].to_list() == pytest.approx([expected] * 7, rel=1e-12)


def test_no_volatility_falls_below_half_a_point():
    scenarios = scenario_set()
    moves = np.zeros_like(scenarios.moves)
    moves[:, [3, 4]] = -0.9999  # both points of the curve of HSI
    cube = make_cube(
        make_snapshot(index_market(), AS_OF), dataclasses.replace(scenarios, moves=moves), DOUBLE
    )
    table = option_pairs(make_snapshot(index_market(), AS_OF), DOUBLE).table
    assert VOLATILITY_FLOOR == 0.005
    for right, strike in (("C", 17500.0), ("P", 18000.0)):
        years = np.array([(NEAR - AS_OF).days / 365])
        volatilities = np.array([[one_row(table, expiry=NEAR, strike=strike)["volatility"], 0.005]])
        side, forward = np.array([1.0 if right == "C" else -1.0]), np.full((1, 2), FORWARDS[NEAR])
        prices, _ = black76_values_numpy(
            side, np.array([strike]), years, np.array([RATE]), forward, volatilities
        )
        row = cube.row(option_code(right, strike, NEAR))[cube.layout.columns]
        np.testing.assert_allclose(row, 50 * (prices[0, 1] - prices[0, 0]), rtol=0, atol=2e-12 * SPOT * 50)


def test_rates_that_move_leave_american_options_where_they_are():
    size = MarketSize(stocks=10, option_classes=1, option_months=1, strikes=2, years=2, participants=1)
    market, day = synthetic_market(seed=3, size=size), date(2026, 1, 5)
    given = {"look_back": {"scenarios": 100}, "filtering": {"warm_up_days": 60}}
    scenarios = build_scenarios(market, day, engine_settings("fhs", "spot:HSI", given).scenarios)
    rates = [column for column, factor in enumerate(scenarios.factors) if factor.kind == "rate"]
    still = scenarios.moves.copy()
    still[:, rates] = 0.0
    assert scenarios.moves[:, rates].any()
    cubes = [
        make_cube(make_snapshot(market, day), dataclasses.replace(scenarios, moves=moves), DOUBLE)
        for moves in (scenarios.moves, still)
    ]
    rows = cubes[0].instruments.select("instrument", "kind", "house").to_dicts()
    american = [row["instrument"] for row in rows if row["house"] == "SEOCH" and row["kind"] == "option"]
    futures = [row["instrument"] for row in rows if row["kind"] == "future"]
    assert american
    for name in american:
        np.testing.assert_array_equal(cubes[0].row(name), cubes[1].row(name))
    assert all((cubes[0].row(name) != cubes[1].row(name)).any() for name in futures)
