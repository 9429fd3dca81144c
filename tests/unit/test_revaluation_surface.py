"""Snapshot, forwards and volatilities of options."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from index_market import (
    AS_OF,
    FAR,
    FORWARDS,
    NEAR,
    STRIKES,
    index_market,
    one_row,
    option_code,
    smile,
    tables,
)

from crossmargin.errors import InputError
from crossmargin.models.market import make_market
from crossmargin.models.revaluation.new_series import NewSeries, series_pair
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import interest_rates, make_snapshot
from crossmargin.models.revaluation.surface import arbitrage_findings, option_pairs


def pairs_of(market, **settings):
    return option_pairs(make_snapshot(market, AS_OF), RevaluationSettings(**settings))


def test_volatilities_of_prices_made_from_a_smile_are_that_smile():
    table = pairs_of(index_market()).table
    assert len(table) == 2 * len(STRIKES)
    expected = [smile(strike, expiry) for strike, expiry in table.select("strike", "expiry").iter_rows()]
    np.testing.assert_allclose(table["volatility"], expected, rtol=1e-9)  # the inversion's own accuracy
    assert table["forward"].to_list() == [FORWARDS[expiry] for expiry in table["expiry"]]
    assert table["call"].null_count() == table["put"].null_count() == 0


def test_without_futures_the_forward_comes_from_parity():
    table = pairs_of(index_market(futures=False)).table
    np.testing.assert_allclose(table["forward"], [FORWARDS[expiry] for expiry in table["expiry"]], rtol=1e-12)


def test_slopes_of_the_smile():
    table = pairs_of(index_market()).table.filter(expiry=NEAR)
    moneyness = np.log(table["strike"].to_numpy() / FORWARDS[NEAR])
    exact = -0.5 + 1.2 * moneyness
    np.testing.assert_allclose(table["smile_slope"][1:-1], exact[1:-1], rtol=1e-6)  # exact on a parabola


def test_a_price_without_time_value_takes_the_volatility_of_its_neighbours():
    changed = tables()
    at = changed["marks"]["instrument"].index(option_code("P", 16000.0, NEAR))
    changed["marks"]["price"][at] = 0.0
    pairs = pairs_of(make_market(changed, name="x"))
    found = one_row(pairs.table, expiry=NEAR, strike=16000.0)
    logs = np.log([15000.0, 16000.0, 17000.0])
    expected = np.interp(logs[1], logs[[0, 2]], [smile(15000.0, NEAR), smile(17000.0, NEAR)])
    assert found["volatility"] == pytest.approx(expected, rel=1e-9)
    assert pairs.findings.row(0) == (
        f"HSI {NEAR} 16000",
        "price gives no volatility: no time value",
        "volatility of the neighbouring strikes",
    )


def test_an_expiry_without_any_volatility_takes_that_of_the_nearest_expiry():
    changed = tables()
    for i, code in enumerate(changed["marks"]["instrument"]):
        if str(FAR) in code and ".F." not in code:
            changed["marks"]["price"][i] = 0.0
    pairs = pairs_of(make_market(changed, name="x"))
    far = pairs.table.filter(expiry=FAR)
    np.testing.assert_allclose(far["volatility"], [smile(strike, NEAR) for strike in STRIKES], rtol=1e-9)
    assert set(pairs.findings["action"]) == {"volatility of the nearest expiry"}


def test_without_any_volatility_options_stay_without_and_are_found():
    changed = tables()
    changed["marks"]["price"] = [0.0 if ".F." not in c else 17000.0 for c in changed["marks"]["instrument"]]
    pairs = pairs_of(make_market(changed, name="x"))
    assert pairs.table["volatility"].is_nan().all()
    assert pairs.findings["action"].to_list() == ["left out", "left out"]


def test_an_averaging_window_takes_two_thirds_of_itself_off_the_time():
    changed = tables()
    changed["instruments"]["settlement"] = ["average"] * len(changed["instruments"]["instrument"])
    table = pairs_of(make_market(changed, name="x"), averaging_days=3.0).table
    np.testing.assert_allclose(table["years"] * 365, table["days"] - 2.0, rtol=1e-14)


def test_what_cannot_be_valued_is_left_out_and_found():
    changed = tables()
    changed["prices"]["date"][1] = AS_OF - timedelta(days=8)
    changed["exchange_rates"]["date"][0] = AS_OF - timedelta(days=30)
    changed["marks"] = {name: column[1:] for name, column in changed["marks"].items()}
    snapshot = make_snapshot(make_market(changed, name="x"), AS_OF)
    reasons = dict(snapshot.findings.select("subject", "kind").iter_rows())
    assert reasons == {
        "0005": "no price of the underlying",
        "USETF": "no exchange rate",
        option_code("C", 15000.0, NEAR): "no settlement price",
    }
    assert not set(reasons) & set(snapshot.instruments["instrument"])
    later = make_snapshot(index_market(), NEAR, stale_days=60)
    assert set(later.findings.filter(kind="expired")["subject"]) >= {option_code("C", 15000.0, NEAR)}


def test_a_currency_without_a_rate_is_found():
    snapshot = make_snapshot(index_market(rates=None), AS_OF)
    assert snapshot.findings.filter(kind="no interest rate")["subject"].to_list() == ["HKD", "USD"]


def test_a_day_without_any_price_is_refused():
    with pytest.raises(InputError, match="at least one instrument with a price"):
        make_snapshot(index_market(), AS_OF - timedelta(days=1))


def test_interest_rates_are_linear_between_days_and_flat_beyond():
    curve = pl.DataFrame({"currency": ["HKD"] * 2 + ["USD"], "days": [30, 90, 1], "rate": [0.03, 0.05, 0.9]})
    rates = interest_rates(curve, "HKD", np.array([1.0, 30.0, 60.0, 400.0]))
    np.testing.assert_allclose(rates, [0.03, 0.03, 0.04, 0.05], rtol=1e-15)
    assert interest_rates(curve, "JPY", np.array([30.0])).tolist() == [0.0]


def test_prices_made_from_a_smile_have_no_arbitrage_and_planted_ones_are_found():
    assert not len(arbitrage_findings(pairs_of(index_market())))
    changed = tables()
    at = changed["marks"]["instrument"].index(option_code("C", 17500.0, NEAR))
    changed["marks"]["price"][at] *= 4
    changed["marks"]["price"][changed["marks"]["instrument"].index(option_code("C", 19000.0, NEAR))] = 900.0
    found = arbitrage_findings(pairs_of(make_market(changed, name="x")))
    kinds = set(zip(found["subject"], found["kind"], strict=True))
    assert (f"HSI {NEAR} 17500", "butterfly arbitrage of calls") in kinds
    assert (f"HSI {NEAR} 17500", "vertical arbitrage of calls") in kinds
    assert (f"HSI {NEAR} 19000", "calendar arbitrage") in kinds


@pytest.mark.parametrize("expiry", [NEAR, FAR])
@pytest.mark.parametrize("right", ["C", "P"])
def test_a_new_series_at_a_listed_strike_has_the_listed_volatility(expiry, right):
    snapshot = make_snapshot(index_market(), AS_OF)
    table = option_pairs(snapshot, RevaluationSettings()).table
    row = series_pair(NewSeries("HSI", expiry, 18000.0, right), table, snapshot).row(0, named=True)
    listed = one_row(table, expiry=expiry, strike=18000.0)
    for name in ("volatility", "forward", "years", "rate", "multiplier", "smile_slope"):
        assert row[name] == pytest.approx(listed[name], rel=1e-14), name


def test_a_new_series_between_expiries_interpolates_total_variance():
    snapshot = make_snapshot(index_market(), AS_OF)
    table = option_pairs(snapshot, RevaluationSettings()).table
    middle = AS_OF + timedelta(days=60)
    row = series_pair(NewSeries("HSI", middle, 17777.0, "C"), table, snapshot).row(0, named=True)
    moneyness = np.log(17777.0 / row["forward"])
    assert FORWARDS[FAR] < row["forward"] < FORWARDS[NEAR]
    variances = []
    for expiry in (NEAR, FAR):
        at = np.log(np.array(STRIKES) / FORWARDS[expiry])
        level = np.interp(moneyness, at, [smile(strike, expiry) for strike in STRIKES])
        variances.append(level**2 * (expiry - AS_OF).days)
    expected = np.sqrt(np.interp(60, [34, 97], variances) / 60)
    assert row["volatility"] == pytest.approx(expected, rel=1e-9)


def test_a_new_series_that_cannot_be_is_refused_with_every_reason():
    snapshot = make_snapshot(index_market(), AS_OF)
    table = option_pairs(snapshot, RevaluationSettings()).table
    with pytest.raises(InputError) as refused:
        series_pair(NewSeries("0005", AS_OF, -1.0, "X"), table, snapshot)
    assert {record.field for record in refused.value.records} == {"underlying", "expiry", "strike", "right"}


def test_what_is_of_an_earlier_day_is_found():
    changed = tables()
    changed["prices"]["date"][1] = AS_OF - timedelta(days=3)
    changed["marks"]["date"][0] = AS_OF - timedelta(days=2)
    changed["rates"]["date"][0] = AS_OF - timedelta(days=400)
    snapshot = make_snapshot(make_market(changed, name="x"), AS_OF)
    found = dict(snapshot.findings.select("kind", "action").iter_rows())
    assert found["price of an earlier day"] == "that of 2024-04-23 is used"
    assert found["settlement price of an earlier day"] == "that of 2024-04-24 is used"
    assert found["old interest rate"] == "that of 2023-03-23 is used"


def test_a_future_far_from_its_underlying_is_found_and_one_without_a_price_left_out():
    changed = tables()
    code = f"HSI.F.{NEAR}"
    at = changed["marks"]["instrument"].index(code)
    changed["marks"]["price"][at] *= 10
    snapshot = make_snapshot(make_market(changed, name="x"), AS_OF)
    assert one_row(snapshot.findings, subject=code)["kind"] == "more than 25% from its underlying"
    changed["marks"]["price"][at] = 0.0
    snapshot = make_snapshot(make_market(changed, name="x"), AS_OF)
    assert one_row(snapshot.findings, subject=code)["kind"] == "no settlement price"


def test_the_snapshot_knows_the_histories_behind_it():
    changed = tables()
    for column, value in (("date", AS_OF - timedelta(days=900)), ("underlying", "HSI"), ("close", 16000.0)):
        changed["prices"][column].append(value)
    one, other = (
        make_snapshot(index_market(), AS_OF),
        make_snapshot(make_market(changed, name="small"), AS_OF),
    )
    assert one.instruments.equals(other.instruments)
    assert one.content_hash != other.content_hash


def test_a_new_series_of_an_averaging_class_has_the_listed_time():
    changed = tables()
    changed["instruments"]["settlement"] = ["average"] * len(changed["instruments"]["instrument"])
    snapshot = make_snapshot(make_market(changed, name="x"), AS_OF)
    table = option_pairs(snapshot, RevaluationSettings(averaging_days=3.0)).table
    row = series_pair(NewSeries("HSI", NEAR, 18000.0, "C"), table, snapshot, 3.0).row(0, named=True)
    assert row["years"] == one_row(table, expiry=NEAR, strike=18000.0)["years"]


@pytest.mark.parametrize("kind", ["equity", "etf"])
def test_shares_in_another_currency_than_their_underlying_are_refused(kind):
    changed = tables()
    at = changed["instruments"]["instrument"].index("0005")
    changed["instruments"]["currency"][at], changed["instruments"]["kind"][at] = "USD", kind
    with pytest.raises(InputError, match="the currency of the underlying"):
        make_market(changed, name="x")
