"""What holds of European options for any input: parity, bounds, order, and the twin."""

from __future__ import annotations

import numpy as np
from european_options import TOLERANCE, WIDTHS, factors_of, groups_of, pairs_of, revalue
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.kernels.european_pairs import european_pairs_full, european_pairs_numpy

SCENARIOS = 19  # one whole vector of either width, and some left over

kinds = st.sampled_from(WIDTHS)
legs = st.floats(1e-3, 1e5)
moneyness = st.floats(-3.0, 3.0)
deviations = st.one_of(st.just(0.0), st.floats(1e-6, 7.0))


@st.composite
def options(draw):
    """Return columns of one to five options, and the returns and factors of their scenarios."""
    count = draw(st.integers(1, 5))
    strike = np.array(draw(st.lists(legs, min_size=count, max_size=count)))
    logs = np.array(draw(st.lists(moneyness, min_size=count, max_size=count)))
    deviation = np.array(draw(st.lists(deviations, min_size=count, max_size=count)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    log_return, factor = rng.uniform(-1.0, 1.0, (1, SCENARIOS)), np.exp(rng.uniform(-2, 2, (1, SCENARIOS)))
    return strike * np.exp(logs), strike, deviation, log_return, factor


def prices(kind, case):
    """Return prices of the calls and the puts, and the legs in each scenario, both of the width asked for."""
    forward, strike, deviation, log_return, factor = case
    pairs = pairs_of(kind, forward, strike, deviation)
    pairs = pairs._replace(call_base=0 * pairs.call_base, put_base=0 * pairs.put_base)
    factors = factors_of(kind, log_return, factor)
    cube = revalue(groups_of(strike.size), pairs, factors).astype(np.float64)
    forward_leg = pairs.forward_leg.astype(np.float64)[:, None] * factors.growth.astype(np.float64)
    return cube[::2], cube[1::2], forward_leg, pairs.strike_leg.astype(np.float64)[:, None]


@given(kinds, options())
def test_call_less_put_is_forward_less_strike(kind, case):
    call, put, forward, strike = prices(kind, case)
    assert np.all(np.abs(call - put - (forward - strike)) <= TOLERANCE[kind] * np.maximum(forward, strike))


@given(kinds, options())
def test_prices_lie_between_their_bounds(kind, case):
    call, put, forward, strike = prices(kind, case)
    slack = TOLERANCE[kind] * np.maximum(forward, strike)
    assert np.all(call >= np.maximum(forward - strike, 0.0) - slack)
    assert np.all(put >= np.maximum(strike - forward, 0.0) - slack)
    assert np.all(call <= forward + slack)
    assert np.all(put <= strike + slack)


@given(kinds, options())
def test_prices_rise_with_the_volatility_and_calls_with_the_forward(kind, case):
    forward, strike, deviation, log_return, factor = case
    rising = (forward, strike, deviation, np.sort(log_return), np.ones_like(factor))
    call, put, moved, fixed = prices(kind, rising)
    slack = 2 * TOLERANCE[kind] * np.maximum(moved, fixed).max(axis=1, keepdims=True)
    assert np.all(np.diff(call) >= -slack)
    assert np.all(np.diff(put) <= slack)
    call, put, *_ = prices(kind, (forward, strike, deviation, 0 * log_return, np.sort(factor)))
    assert np.all(np.diff(call) >= -slack)
    assert np.all(np.diff(put) >= -slack)


@given(
    kinds,
    options(),
    st.floats(-0.5, 0.5),
    st.floats(-0.5, 0.5),
    st.floats(0.0, 0.1),
    st.floats(1.0, 1e4),
    st.integers(0, 2**32),
)
def test_kernel_equals_its_twin(kind, case, smile, skew, least, scale, seed):
    forward, strike, deviation, log_return, factor = case
    rng = np.random.default_rng(seed)
    pairs = pairs_of(kind, forward, strike, deviation, smile=smile, skew=skew, least=least, scale=scale)
    factors = factors_of(
        kind, log_return, factor, rng.normal(size=(1, SCENARIOS)), rng.uniform(0.8, 1.1, (1, SCENARIOS))
    )
    groups = groups_of(strike.size)
    found = revalue(groups, pairs, factors, kernel=european_pairs_full)
    twin = revalue(groups, pairs, factors, kernel=european_pairs_numpy, kind=np.float64)
    largest = scale * np.maximum(pairs.forward_leg * np.e, pairs.strike_leg).astype(np.float64)
    assert np.max(np.abs(found - twin) / np.repeat(largest, 2)[:, None]) <= TOLERANCE[kind]
