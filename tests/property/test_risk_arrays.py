"""What holds for option values and risk arrays whatever the numbers are."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.kernels.american import american_price_delta
from crossmargin.kernels.black76 import black76_price_delta
from crossmargin.kernels.implied_volatility import VolatilityStatus, implied_volatility
from crossmargin.models.span.parameters import DEFAULT_SCAN_POINTS, SPAN_SCHEMAS, SpanParameters
from crossmargin.models.span.risk_arrays import (
    CashDividends,
    RiskArrays,
    ScanSettings,
    add_series,
    american_losses,
    black76_losses,
    futures_losses,
)

ROUNDING = 1e-11  # of the largest price: a few last digits of every number on the way
TREE_ERROR = 1e-4  # of the spot, as measured against QuantLib

profile = settings(max_examples=60, deadline=None, derandomize=True)

sides = st.sampled_from([1.0, -1.0])
forwards = st.floats(1.0, 1e5)
ratios = st.floats(0.3, 3.0)
volatilities = st.floats(0.0, 2.0)
times = st.floats(0.0, 5.0)
rates = st.floats(-0.05, 0.15)


# Values


@profile
@given(forwards, ratios, volatilities, times, rates)
def test_put_call_parity(forward, ratio, volatility, years, rate):
    terms = forward, forward * ratio, volatility, years, rate
    call, call_delta = black76_price_delta(1.0, *terms)
    put, put_delta = black76_price_delta(-1.0, *terms)
    discount = math.exp(-rate * years)
    assert call - put == pytest.approx(discount * (forward - forward * ratio), abs=ROUNDING * forward)
    assert call_delta - put_delta == pytest.approx(discount, abs=ROUNDING)


@profile
@given(sides, forwards, ratios, volatilities, times, st.floats(1e-3, 0.5))
def test_value_rises_with_volatility_and_bends_upward_in_the_forward(
    side, forward, ratio, volatility, years, move
):
    strike, slack = forward * ratio, ROUNDING * forward * 3
    value, _ = black76_price_delta(side, forward, strike, volatility, years, 0.0)
    more, _ = black76_price_delta(side, forward, strike, volatility + move, years, 0.0)
    assert more >= value - slack
    above, upper = black76_price_delta(side, forward * (1 + move), strike, volatility, years, 0.0)
    below, lower = black76_price_delta(side, forward * (1 - move), strike, volatility, years, 0.0)
    assert side * (above - below) >= -slack
    assert above + below - 2 * value >= -slack
    assert upper >= lower - ROUNDING


@profile
@given(sides, forwards, ratios, st.floats(0.01, 2.0), st.floats(0.01, 5.0), rates)
def test_a_price_gives_its_volatility_back(side, forward, ratio, volatility, years, rate):
    strike = forward * ratio
    price, _ = black76_price_delta(side, forward, strike, volatility, years, rate)
    found, status = implied_volatility(side, price, forward, strike, years, rate)
    assert status in (
        VolatilityStatus.FOUND,
        VolatilityStatus.NO_TIME_VALUE,
        VolatilityStatus.BELOW_INTRINSIC,
    )
    if status != VolatilityStatus.FOUND:  # only where time value is lost in the last digits of the price
        least = black76_price_delta(
            math.copysign(1.0, strike - forward), forward, strike, volatility, years, 0.0
        )
        assert least[0] <= 1e-14 * max(forward, strike)
        return
    again, _ = black76_price_delta(side, forward, strike, found, years, rate)
    assert again == pytest.approx(price, rel=1e-12, abs=1e-14 * max(forward, strike))


@profile
@given(sides, ratios, st.floats(0.05, 0.8), st.floats(0.01, 2.0), st.floats(0.0, 0.1), st.floats(0.0, 0.1))
def test_american_value_between_its_bounds(side, ratio, volatility, years, rate, dividend):
    spot, strike = 100.0, 100.0 * ratio
    ex, paid = np.array([0.6 * years]), np.array([dividend * spot])
    value, delta = american_price_delta(side, spot, strike, volatility, years, rate, ex, paid, 60)
    stock = spot - paid[0] * math.exp(-rate * ex[0])
    forward = stock * math.exp(rate * years)
    european, _ = black76_price_delta(side, forward, strike, volatility, years, rate)
    slack = 5 * TREE_ERROR * spot  # sixty steps are coarser than those measured
    assert value >= max(european, side * (spot - strike), 0.0) - slack
    assert value <= (spot if side > 0 else strike + paid[0]) + slack
    assert -1.0 <= delta * side <= 1.0
    assert delta * side >= 0.0


# Arrays

columns = st.fixed_dictionaries(
    {
        "strikes": st.floats(50.0, 200.0),
        "prices": st.floats(60.0, 160.0),
        "volatilities": st.floats(0.0, 1.5),
        "years": st.floats(0.0, 2.0),
        "price_scan_ranges": st.floats(0.0, 90.0),
        "volatility_scan_ranges": st.floats(0.0, 0.6),
        "contract_sizes": st.floats(0.5, 500.0),
    }
)


@profile
@given(columns, st.booleans(), st.sampled_from(["absolute", "relative"]))
def test_european_arrays_are_finite_scale_and_keep_their_inputs(terms, is_call, kind):
    given_columns = {name: np.array([value, value]) for name, value in terms.items()}
    kept = {name: values.copy() for name, values in given_columns.items()}
    for values in given_columns.values():
        values.flags.writeable = False
    chosen = ScanSettings(volatility_scan=kind)
    arrays = black76_losses(np.array([is_call, is_call]), **given_columns, rates=0.02, settings=chosen)
    assert all((kept[name] == values).all() for name, values in given_columns.items())
    assert arrays.losses.shape == (2, 16)
    assert np.isfinite(arrays.losses).all()
    assert arrays.losses[0].tobytes() == arrays.losses[1].tobytes()
    assert (np.abs(arrays.composite_delta) <= 1.0).all()
    assert (np.sign(arrays.composite_delta) * (1 if is_call else -1) >= 0).all()
    doubled = {**terms, "contract_sizes": 2 * terms["contract_sizes"]}
    twice = black76_losses(is_call, **doubled, rates=0.02, settings=chosen)
    assert (twice.losses[0] == 2 * arrays.losses[0]).all()


@profile
@given(columns)
def test_long_call_and_short_put_lose_like_the_future(terms):
    """Without interest, call − put is the future less the strike, as far as prices stay above 0."""
    terms["price_scan_ranges"] = min(terms["price_scan_ranges"], 0.49 * terms["prices"])
    both = black76_losses(np.array([True, False]), **terms, rates=0.0)
    future = futures_losses(terms["price_scan_ranges"], terms["contract_sizes"])
    slack = ROUNDING * 200.0 * terms["contract_sizes"]
    assert both.losses[0] - both.losses[1] == pytest.approx(future.losses[0], abs=slack)
    assert both.composite_delta[0] - both.composite_delta[1] == pytest.approx(1.0, abs=1e-12)


@profile
@given(columns)
def test_a_long_option_loses_more_where_its_volatility_falls(terms):
    losses = black76_losses(np.array([True, False]), **terms, rates=0.01).losses
    slack = ROUNDING * 200.0 * terms["contract_sizes"]
    assert (losses[:, 1:14:2] >= losses[:, 0:14:2] - slack).all()


@settings(max_examples=8, deadline=None, derandomize=True)
@given(columns)
def test_american_calls_without_dividends_have_the_arrays_of_european_ones(terms):
    terms["volatilities"] = 0.05 + terms["volatilities"] / 2
    american = american_losses(True, **terms, rates=0.03)
    european = black76_losses(True, **terms, rates=0.03, carry_rates=0.03)
    slack = 2 * TREE_ERROR * 250.0 * terms["contract_sizes"]
    assert american.losses == pytest.approx(european.losses, abs=slack)
    assert american.composite_delta == pytest.approx(european.composite_delta, abs=5e-3)


def test_a_dividend_within_the_lookahead_is_still_to_come_at_its_end():
    """A deep call is exercised before it: only the price move counts, and no time value is made or lost."""
    tomorrow = CashDividends(starts=np.array([0, 1]), years=np.array([0.5 / 365]), amounts=np.array([6.0]))
    arrays = american_losses(
        True, 50.0, 100.0, 0.2, 30 / 365, 9.0, 0.05, 1000.0, rates=0.02, dividends=tomorrow
    )
    future = futures_losses(9.0, 1000.0)
    # interest on the strike for half a day: the option of now waits that long, the option of then cannot
    assert arrays.losses == pytest.approx(future.losses, abs=50.0 * 0.02 * 0.5 / 365 * 1000 * 1.01)
    assert arrays.composite_delta[0] == pytest.approx(1.0)


def test_the_volatility_floor_does_not_lift_a_volatility_below_it():
    terms = (100.0, 100.0, np.array([0.005, 0.05]), 0.25, 0.0, 0.04, 1.0)
    arrays = black76_losses(True, *terms, rates=0.0, settings=ScanSettings(lookahead_years=0.0))
    at_floor = black76_price_delta(1.0, 100.0, 100.0, 0.01, 0.25, 0.0)[0]
    now = [black76_price_delta(1.0, 100.0, 100.0, volatility, 0.25, 0.0)[0] for volatility in (0.005, 0.05)]
    assert arrays.losses[0, 1] == 0.0
    assert arrays.losses[1, 1] == pytest.approx(now[1] - at_floor, abs=1e-12)
    assert arrays.losses[0, 14] == 0.0


def test_a_relative_volatility_scan_range_is_a_part_of_the_volatility():
    terms = {"strikes": 100.0, "prices": 100.0, "volatilities": 0.4, "years": 0.5, "price_scan_ranges": 10.0}
    relative = ScanSettings(volatility_scan="relative")
    part = black76_losses(
        True, **terms, volatility_scan_ranges=0.25, contract_sizes=1.0, rates=0.0, settings=relative
    )
    points = black76_losses(True, **terms, volatility_scan_ranges=0.1, contract_sizes=1.0, rates=0.0)
    assert (part.losses == points.losses).all()


def test_futures_arrays_hold_no_negative_zero():
    assert not np.signbit(futures_losses(1500.0, 50.0).losses[0, :2]).any()


@pytest.mark.parametrize(
    ("name", "value"),
    [("strikes", 0.0), ("prices", math.nan), ("volatilities", -0.1), ("years", 101.0), ("rates", 2.0)],
)
def test_every_number_out_of_its_range_is_named(name, value):
    terms = {
        "strikes": 100.0, "prices": 100.0, "volatilities": 0.2, "years": 0.1, "price_scan_ranges": 5.0,
        "volatility_scan_ranges": 0.05, "contract_sizes": 50.0, "rates": 0.0,
    }  # fmt: skip
    terms[name] = np.array([terms[name], value, value])
    for losses in (black76_losses, american_losses):
        with pytest.raises(InputError) as caught:
            losses(True, **terms)
        assert [(record.file, record.line) for record in caught.value.records] == [(name, 2), (name, 3)]


def test_american_variance_and_dividends_out_of_range_are_named():
    with pytest.raises(InputError, match="volatility² × years"):
        american_losses(True, 100.0, 100.0, 9.0, 2.0, 5.0, 0.05, 1.0, rates=0.0)
    with pytest.raises(InputError, match="dividend years"):
        CashDividends(starts=np.array([0, 1]), years=np.array([-0.1]), amounts=np.array([1.0]))


# Further series


def parameters(series: pl.DataFrame, arrays: RiskArrays) -> SpanParameters:
    tables = {name: pl.DataFrame(schema=schema) for name, schema in SPAN_SCHEMAS.items()}
    commodity = {name: [None] for name in SPAN_SCHEMAS["commodities"]} | {"commodity": ["HSI"]}
    product = {name: [None] for name in SPAN_SCHEMAS["products"]}
    product |= {"exchange": ["HKFE"], "product": ["HSI"], "product_type": ["OOF"], "commodity": ["HSI"]}
    tables |= {
        "scan_points": DEFAULT_SCAN_POINTS,
        "commodities": pl.DataFrame(commodity, schema=SPAN_SCHEMAS["commodities"]),
        "products": pl.DataFrame(product, schema=SPAN_SCHEMAS["products"]),
        "series": series.with_columns(composite_delta=pl.Series(arrays.composite_delta)).select(
            list(SPAN_SCHEMAS["series"])
        ),
    }
    return SpanParameters(
        organization="HKCC",
        business_date=date(2024, 4, 24),
        settlement="final",
        source_format="",
        losses=arrays.losses,
        **tables,
    )


def rows(*strikes: float) -> pl.DataFrame:
    schema = {name: kind for name, kind in SPAN_SCHEMAS["series"].items() if name != "composite_delta"}
    one = {
        "exchange": "HKFE", "product": "HSI", "product_type": "OOF", "commodity": "HSI", "right": "C",
        "expiry": "202405", "future_month": "", "delta_month": "202405", "delta_scaling": 1.0,
        "contract_size": 50.0, "option_style": "premium", "price": None, "implied_volatility": 0.2,
        "price_scan_range": 1500.0, "volatility_scan_range": 0.05, "years_to_expiry": None,
    }  # fmt: skip
    return pl.DataFrame([one | {"strike": strike} for strike in strikes], schema=schema)


def arrays_of(*strikes: float) -> RiskArrays:
    return black76_losses(True, np.array(strikes), 20_000.0, 0.2, 0.1, 1500.0, 0.05, 50.0, rates=0.0)


@pytest.fixture
def known():
    return parameters(rows(20_000.0), arrays_of(20_000.0))


def test_added_series_stand_behind_those_of_the_file(known):
    more = arrays_of(21_000.0, 22_000.0)
    found = add_series(known, rows(21_000.0, 22_000.0), more.losses, more.composite_delta)
    assert found.series["strike"].to_list() == [20_000.0, 21_000.0, 22_000.0]
    assert found.series["composite_delta"].to_list()[1:] == more.composite_delta.tolist()
    assert (found.losses[1:] == more.losses).all()
    assert len(known.series) == len(known.losses) == 1
    assert replace(found, series=known.series, losses=known.losses).organization == "HKCC"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"strike": pl.lit(20_000.0)}, "not there yet"),
        ({"strike": pl.lit(math.nan)}, "finite where it is a number"),
        ({"strike": pl.lit(None, dtype=pl.Float64)}, "finite where it is a number"),
        ({"price": pl.lit(math.inf)}, "finite where it is a number"),
        ({"product": pl.lit("HHI")}, "a product of the parameters"),
        ({"commodity": pl.lit("HHI")}, "a product of the parameters"),
        ({"strike": pl.lit("21000")}, "type Float64"),
        ({"composite_delta": pl.lit(0.5)}, "left out"),
    ],
)
def test_series_that_do_not_fit_are_refused(known, change, rule):
    more = arrays_of(21_000.0)
    with pytest.raises(InputError, match=rule):
        add_series(known, rows(21_000.0).with_columns(**change), more.losses, more.composite_delta)


def test_losses_and_deltas_of_added_series_are_finite(known):
    more = arrays_of(21_000.0)
    losses = more.losses.copy()
    losses[0, 4] = math.nan
    with pytest.raises(InputError) as caught:
        add_series(known, rows(21_000.0), losses, np.array([math.inf]))
    assert [record.file for record in caught.value.records] == ["composite_delta", "losses"]
    with pytest.raises(InputError, match="absent"):
        add_series(known, rows(21_000.0).drop("strike"), more.losses, more.composite_delta)
