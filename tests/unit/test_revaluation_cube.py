"""The cube against a revaluation in plain Python, instrument by instrument and scenario by scenario."""

from __future__ import annotations

import dataclasses
import math

import numba
import numpy as np
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

from crossmargin.errors import InputError
from crossmargin.kernels.linear_rows import linear_rows, linear_rows_numpy
from crossmargin.models.market import make_market
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.layout import scenario_layout
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.revaluation.surface import option_pairs
from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioPart, ScenarioSet
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.models.synthetic_market.sizes import MarketSize

DOUBLE = RevaluationSettings(precision="float64")
SPOT = 17651.15


def cdf(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


def black(right, forward, strike, deviation, discount):
    side = 1 if right == "C" else -1
    upper = math.log(forward / strike) / deviation + deviation / 2
    return discount * side * (forward * cdf(side * upper) - strike * cdf(side * (upper - deviation)))


def revalued(row, volatility, slope, moves, settings):
    """Profit and loss of one instrument in one scenario, by the rules as they are written down."""
    days = (row["expiry"] - AS_OF).days if row["expiry"] else 0
    shift = moves.get("rate:HKD:30", 0.0) if row["currency"] == "HKD" else 0.0
    growth = (1 + moves[f"spot:{row['underlying']}"]) * math.exp(shift * days / 365)
    if row["kind"] != "option":
        pnl = row["mark"] * row["multiplier"] * (growth - 1)
        value = 0.0 if row["kind"] == "future" else row["mark"] * row["multiplier"]
    else:
        years, later = days / 365, max(days - settings.decay_days, 0) / 365
        forward, strike = FORWARDS[row["expiry"]], row["strike"]
        level = np.interp(days, [30, 90], [moves["volatility:HSI:30"], moves["volatility:HSI:90"]])
        moved = volatility * (1 + level) * math.sqrt(later)
        if settings.smile == "delta":
            moved -= slope * math.sqrt(later) * math.log(growth)
        moved += settings.slope_response * moves["spot:HSI"] * math.log(strike / forward) * math.sqrt(later)
        now = black(row["right"], forward, strike, volatility * math.sqrt(years), math.exp(-RATE * years))
        discount = math.exp(-RATE * later - shift * days / 365)
        then = black(row["right"], forward * growth, strike, moved, discount)
        pnl, value = row["multiplier"] * (then - now), row["multiplier"] * now
    if row["currency"] != "HKD":
        fx = moves["exchange_rate:USD"]
        pnl = row["exchange_rate"] * ((1 + fx) * pnl + fx * value)
    return pnl


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"smile": "delta"},
        {"slope_response": 0.7},
        {"decay_days": 5.0},
        {"smile": "delta", "slope_response": -0.4, "decay_days": 2.0},
    ],
    ids=str,
)
def test_every_row_is_the_revaluation_in_plain_python(changes):
    settings = dataclasses.replace(DOUBLE, **changes)
    snapshot, scenarios = make_snapshot(index_market(), AS_OF), scenario_set()
    cube = make_cube(snapshot, scenarios, settings)
    table = option_pairs(snapshot, settings).table
    assert len(cube.instruments) == len(snapshot.instruments) == 32
    columns = cube.layout.columns
    for row in snapshot.instruments.iter_rows(named=True):
        pair = {"volatility": None, "smile_slope": None}
        if row["kind"] == "option":
            pair = one_row(table, expiry=row["expiry"], strike=row["strike"])
        expected = [
            revalued(
                row,
                pair["volatility"],
                pair["smile_slope"],
                dict(zip(scenarios.columns, moves, strict=True)),
                settings,
            )
            for moves in scenarios.moves.tolist()
        ]
        bound = 2e-12 * SPOT * row["multiplier"]  # twice the kernel's bound: price now and then
        np.testing.assert_allclose(cube.row(row["instrument"])[columns], expected, rtol=0, atol=bound)


def test_single_precision_is_within_a_millionth_of_the_spot():
    snapshot, scenarios = make_snapshot(index_market(), AS_OF), scenario_set()
    single, double = (
        make_cube(snapshot, scenarios, RevaluationSettings(precision=p)) for p in ("float32", "float64")
    )
    assert single.pnl.dtype == np.float32
    np.testing.assert_allclose(single.pnl, double.pnl, rtol=0, atol=2e-6 * SPOT * 50)
    assert single.key != double.key


def test_pads_are_exactly_zero_and_an_unmoved_scenario_changes_nothing():
    scenarios = scenario_set()
    still = dataclasses.replace(scenarios, moves=np.zeros_like(scenarios.moves))
    cube = make_cube(make_snapshot(index_market(), AS_OF), still, DOUBLE)
    np.testing.assert_allclose(cube.pnl, 0.0, rtol=0, atol=2e-12 * SPOT * 50)
    moved = make_cube(make_snapshot(index_market(), AS_OF), scenarios)
    for first, last in moved.layout.gaps:
        assert not moved.pnl[:, first:last].any()


def test_a_volatility_without_history_follows_the_spot():
    factors = (RiskFactor("spot", "HSI"), RiskFactor("spot", "0005"), RiskFactor("spot", "USETF"))
    scenarios = scenario_set(factors=factors)
    settings = dataclasses.replace(DOUBLE, volatility_response=3.0, volatility_fall_limit=0.05)
    cube = make_cube(make_snapshot(index_market(), AS_OF), scenarios, settings)
    table = option_pairs(make_snapshot(index_market(), AS_OF), settings).table
    for expiry in (NEAR, FAR):
        years = (expiry - AS_OF).days / 365
        volatility = one_row(table, expiry=expiry, strike=17500.0)["volatility"] * math.sqrt(years)
        discount, forward = math.exp(-RATE * years), FORWARDS[expiry]
        weight = min(1, math.sqrt(30 / (expiry - AS_OF).days))
        for spot, pnl in zip(
            scenarios.moves[:, 0],
            cube.row(option_code("P", 17500.0, expiry))[cube.layout.columns],
            strict=True,
        ):
            factor = 1 + np.clip(-3.0 * weight * spot, -0.05, 2.0)
            then = black("P", forward * (1 + spot), 17500.0, volatility * factor, discount)
            now = black("P", forward, 17500.0, volatility, discount)
            assert pnl == pytest.approx(50 * (then - now), abs=2e-12 * SPOT * 50)


def test_what_has_no_scenarios_is_left_out_and_found():
    scenarios = scenario_set(factors=(RiskFactor("spot", "0005"),))
    cube = make_cube(make_snapshot(index_market(), AS_OF), scenarios)
    assert cube.instruments["instrument"].to_list() == ["0005"]
    found = cube.findings.filter(kind="no scenarios of the underlying")
    assert len(found) == 31
    with pytest.raises(InputError, match="an instrument of the cube"):
        cube.row("USETF")
    with pytest.raises(InputError, match="at least one instrument with scenarios"):
        make_cube(make_snapshot(index_market(), AS_OF), scenario_set(factors=(RiskFactor("spot", "none"),)))


def test_the_key_tells_what_the_rows_rest_on():
    snapshot, scenarios = make_snapshot(index_market(), AS_OF), scenario_set()
    key = make_cube(snapshot, scenarios, DOUBLE).key
    assert make_cube(make_snapshot(index_market(), AS_OF), scenario_set(), DOUBLE).key == key
    assert make_cube(snapshot, scenario_set(seed=6), DOUBLE).key != key
    assert make_cube(snapshot, scenarios, dataclasses.replace(DOUBLE, smile="delta")).key != key
    assert make_cube(make_snapshot(index_market(futures=False), AS_OF), scenarios, DOUBLE).key != key


def test_the_same_bytes_on_one_thread_and_two_and_on_a_second_run():
    """On a market of several hundred pairs, European and American: several tasks of both kernels."""
    market = synthetic_market(
        seed=2, size=MarketSize(stocks=10, option_classes=8, years=2, participants=1, desks=1)
    )
    snapshot = make_snapshot(market, market["prices"]["date"].max())
    spots = [RiskFactor("spot", name) for name in market["underlyings"]["underlying"]]
    factors = (*spots, RiskFactor("exchange_rate", "USD"))
    scenarios = dataclasses.replace(scenario_set(factors=factors), as_of=snapshot.as_of)
    first = make_cube(snapshot, scenarios)
    styles = first.instruments["kind"].to_list().count("option")
    assert styles > 4 * 64 * 2  # calls and puts of more pairs than four tasks take
    assert make_cube(snapshot, scenarios).pnl.tobytes() == first.pnl.tobytes()
    numba.set_num_threads(1)
    try:
        assert make_cube(snapshot, scenarios).pnl.tobytes() == first.pnl.tobytes()
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_rows_are_what_numpy_makes_of_them(dtype):
    rng = np.random.default_rng(3)
    returns = rng.standard_normal((3, 128)).astype(dtype)
    amounts, at, rows = (
        rng.standard_normal(5).astype(dtype),
        np.array([0, 2, 1, 1, 0]),
        np.array([4, 0, 6, 2, 1]),
    )
    ours, reference = np.zeros((7, 128), dtype), np.zeros((7, 128), dtype)
    linear_rows(amounts, at, rows, returns, ours)
    linear_rows_numpy(amounts, at, rows, returns, reference)
    np.testing.assert_array_equal(ours, reference)


def test_parts_begin_on_boundaries_and_gaps_are_the_rest():
    parts = [ScenarioPart("a", 0, 1000, 6, 0.75), ScenarioPart("b", 1000, 2018, 21, 0.25)]
    layout = scenario_layout(parts)
    assert layout.bounds.tolist() == [[0, 1000], [1024, 2042]]
    assert layout.stride == 2048
    assert layout.gaps.tolist() == [[1000, 1024], [2042, 2048]]
    assert layout.columns.size == 2018
    whole = scenario_layout([ScenarioPart("a", 0, 64, 1, 1.0)])
    assert whole.gaps.shape == (0, 2)
    np.testing.assert_array_equal(layout.spread(np.ones((1, 2018))).sum(), 2018)


def test_a_set_of_scenarios_that_contradicts_itself_is_refused_with_every_reason():
    good = scenario_set()
    moves = good.moves.copy()
    moves[3, 0], moves[5, 1] = np.nan, -1.0
    with pytest.raises(InputError) as refused:
        ScenarioSet(
            as_of=AS_OF, horizon_days=1, factors=(*good.factors[:-1], RiskFactor("weather", "HSI")), moves=moves,
            labels=good.labels, parts=(ScenarioPart("a", 0, 60, 61, 0.5), ScenarioPart("b", 61, 99, 1, 0.4)),
            method="", settings=(), input_hash="",
        )  # fmt: skip
    fields = sorted(record.field for record in refused.value.records)
    assert fields == ["kind", "part", "part", "parts", "spot:0005", "spot:HSI", "weight"]


def test_scenarios_of_another_day_are_refused():
    later = dataclasses.replace(scenario_set(), as_of=NEAR)
    with pytest.raises(InputError, match="scenarios of 2024-04-26, the day of the marks"):
        make_cube(make_snapshot(index_market(), AS_OF), later, DOUBLE)


def test_without_scenarios_of_its_exchange_rate_an_instrument_is_left_out_and_found():
    factors = (RiskFactor("spot", "HSI"), RiskFactor("spot", "0005"), RiskFactor("spot", "USETF"))
    cube = make_cube(make_snapshot(index_market(), AS_OF), scenario_set(factors=factors), DOUBLE)
    assert "USETF" not in cube.row_of
    assert one_row(cube.findings, subject="USETF")["kind"] == "no scenarios of the exchange rate"


def test_settlement_prices_that_allow_arbitrage_are_found():
    changed = tables()
    at = changed["marks"]["instrument"].index(option_code("C", 17500.0, NEAR))
    changed["marks"]["price"][at] *= 4
    cube = make_cube(make_snapshot(make_market(changed, name="x"), AS_OF), scenario_set(), DOUBLE)
    assert {"butterfly arbitrage of calls", "vertical arbitrage of calls"} <= set(cube.findings["kind"])
