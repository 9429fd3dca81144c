"""American stock options in the cube, against QuantLib's spectral engine with dividends as an income."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import QuantLib as ql  # noqa: N813
from index_market import scenario_set

from crossmargin.models.market import make_market
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.new_series import NewSeries
from crossmargin.models.revaluation.pricing import SeriesPricer
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.revaluation.surface import option_pairs
from crossmargin.models.scenarios.scenario_set import RiskFactor

AS_OF = date(2024, 4, 26)
NEAR, FAR = AS_OF + timedelta(days=33), AS_OF + timedelta(days=155)
SPOT, RATE, INCOME, DIVIDEND = 65.0, 0.045, 0.01, 0.8
EX_DATE = AS_OF + timedelta(days=60)
STRIKES = [52.5, 57.5, 62.5, 65.0, 67.5, 75.0]
FACTORS = (RiskFactor("spot", "0005"), RiskFactor("volatility", "0005", 30), RiskFactor("rate", "HKD", 30))
DOUBLE = RevaluationSettings(precision="float64")
PRICE_BOUND = 1e-5  # of the strike: what the premium fits are held to


def smile(strike):
    return 0.27 - 0.2 * math.log(strike / SPOT)


def income(expiry):
    """Yield a year that takes as much off the forward as the dividend and the continuous yield."""
    days, years = (EX_DATE - AS_OF).days, (expiry - AS_OF).days / 365
    share = DIVIDEND * math.exp(-RATE * days / 365) / SPOT if expiry >= EX_DATE else 0.0
    return INCOME - math.log(1 - share) / years


def american(right, spot, strike, volatility, expiry):
    """QuantLib's price with the continuous yield that stands for the dividends."""
    days = (expiry - AS_OF).days
    today = ql.Date(26, 4, 2024)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, income(expiry), count)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, RATE, count)),
        ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), volatility, count)),
    )
    kind = ql.Option.Call if right == "C" else ql.Option.Put
    option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, strike), ql.AmericanExercise(today, today + days))
    option.setPricingEngine(ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.accurateScheme()))
    return option.NPV()


def code(right, strike, expiry):
    return f"HSB.{right}.{strike:g}.{expiry}"


def market(**changes):
    listed = [(right, strike, expiry) for expiry in (NEAR, FAR) for strike in STRIKES for right in "CP"]
    codes = [code(*option) for option in listed]
    marks = [american(right, SPOT, strike, smile(strike), expiry) for right, strike, expiry in listed]
    count = len(listed)
    tables = {
        "underlyings": {
            "underlying": ["0005"], "kind": ["stock"], "currency": ["HKD"], "dividend_yield": [INCOME],
        },
        "instruments": {
            "instrument": codes, "house": ["SEOCH"] * count, "kind": ["option"] * count,
            "underlying": ["0005"] * count, "currency": ["HKD"] * count, "multiplier": [400.0] * count,
            "expiry": [expiry for _, _, expiry in listed], "right": [right for right, _, _ in listed],
            "strike": [strike for _, strike, _ in listed], "style": ["american"] * count,
        },
        "prices": {"date": [AS_OF], "underlying": ["0005"], "close": [SPOT]},
        "marks": {"date": [AS_OF] * count, "instrument": codes, "price": marks},
        "dividends": {"ex_date": [EX_DATE, FAR + timedelta(days=9)], "underlying": ["0005"] * 2, "amount": [DIVIDEND, 5.0]},
        "rates": {"date": [AS_OF], "currency": ["HKD"], "days": [30], "rate": [RATE]},
    }  # fmt: skip
    return make_market(tables | changes, name="stock options")


@pytest.fixture(scope="module")
def snapshot():
    return make_snapshot(market(), AS_OF)


@pytest.fixture(scope="module")
def scenarios():
    return scenario_set(factors=FACTORS)


def test_volatilities_of_american_prices_are_the_smile_they_were_made_from(snapshot):
    table = option_pairs(snapshot, DOUBLE).table
    expected = [smile(strike) for strike in table["strike"]]
    np.testing.assert_allclose(table["volatility"], expected, rtol=0, atol=2e-4)  # price bound over vega
    forwards = [SPOT * math.exp((RATE - income(day)) * (day - AS_OF).days / 365) for day in table["expiry"]]
    np.testing.assert_allclose(table["forward"], forwards, rtol=1e-12)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_row_is_what_the_spectral_engine_gives(snapshot, scenarios, precision):
    settings = RevaluationSettings(precision=precision)
    cube, table = make_cube(snapshot, scenarios, settings), option_pairs(snapshot, settings).table
    chosen = [0, 17, 42, 61, 88, 99]
    values = dict(cube.instruments.select("instrument", "value").iter_rows())
    for row in table.iter_rows(named=True):
        for right in "CP":
            name = code(right, row["strike"], row["expiry"])
            now = american(right, SPOT, row["strike"], row["volatility"], row["expiry"])
            bound = PRICE_BOUND * max(SPOT, row["strike"])
            assert values[name] == pytest.approx(400 * now, abs=400 * bound)
            pnl = cube.row(name)[cube.layout.columns]
            for scenario in chosen:
                spot, volatility, _ = scenarios.moves[scenario]
                moved = SPOT * (1 + spot)  # dividends to come move along
                then = american(
                    right, moved, row["strike"], row["volatility"] * (1 + volatility), row["expiry"]
                )
                assert pnl[scenario] == pytest.approx(400 * (then - now), abs=2 * 400 * bound), (
                    name,
                    scenario,
                )


def test_an_american_option_is_worth_at_least_exercise_and_pads_are_zero(snapshot, scenarios):
    cube = make_cube(snapshot, scenarios, DOUBLE)
    for first, last in cube.layout.gaps:
        assert not cube.pnl[:, first:last].any()
    for strike in STRIKES:
        name = code("P", strike, NEAR)
        value = cube.instruments.filter(instrument=name)["value"][0] / 400
        spots = SPOT * (1 + scenarios.moves[:, 0])
        then = value + cube.row(name)[cube.layout.columns] / 400
        assert (then >= strike - spots - 2 * PRICE_BOUND * strike).all()


def test_a_new_american_series_at_a_listed_strike_has_the_listed_row(snapshot, scenarios):
    cube, pricer = make_cube(snapshot, scenarios, DOUBLE), SeriesPricer(snapshot, scenarios, DOUBLE)
    for right in "CP":
        row = pricer.row(NewSeries("0005", FAR, 62.5, right))
        # its premium is fitted over the deviations of its own strike alone
        np.testing.assert_allclose(
            row, cube.row(code(right, 62.5, FAR)), rtol=0, atol=2 * 400 * PRICE_BOUND * 65
        )


def test_two_exercise_boundaries_are_found_and_valued_as_european(scenarios):
    negative = {"date": [AS_OF], "currency": ["HKD"], "days": [30], "rate": [-0.01]}
    underlying = {"underlying": ["0005"], "kind": ["stock"], "currency": ["HKD"], "dividend_yield": [-0.03]}
    snapshot = make_snapshot(market(rates=negative, underlyings=underlying), AS_OF)
    pairs = option_pairs(snapshot, DOUBLE)
    assert set(pairs.table["style"]) == {"european"}
    assert len(pairs.findings.filter(action="valued as European")) == 2
    assert make_cube(snapshot, scenarios, DOUBLE).pnl.shape[0] == 24


def test_marks_below_exercise_are_found(scenarios):
    changed = market()
    marks = changed["marks"].with_columns(
        pl.when(instrument=code("P", 62.5, NEAR)).then(0.0).otherwise(pl.col("price")).alias("price")
    )
    pairs = option_pairs(make_snapshot(market(marks=marks), AS_OF), DOUBLE)
    assert len(pairs.findings) == 1
    assert pairs.table["volatility"].is_finite().all()
    assert scenarios.size == 100


def test_dividends_of_more_than_half_the_spot_leave_the_class_out(scenarios):
    paid = {"ex_date": [EX_DATE], "underlying": ["0005"], "amount": [40.0]}
    cube = make_cube(make_snapshot(market(dividends=paid), AS_OF), scenarios, DOUBLE)
    assert set(cube.instruments["expiry"]) == {NEAR}
    found = cube.findings.filter(subject=f"0005 {FAR}")
    assert found["kind"].to_list() == ["dividends of more than 50% of the spot"]
