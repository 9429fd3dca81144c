"""What holds of every backtest, overlap and tool, whatever the margins and gains."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crossmargin.validation.anti_procyclicality import BufferRule, buffered, floored, stress_weighted
from crossmargin.validation.backtest import backtest
from crossmargin.validation.expected_shortfall_tests import acerbi_szekely
from crossmargin.validation.procyclicality import (
    cost,
    impulse_response,
    largest_call,
    n_day,
    peak_to_trough,
    stability,
)

# eighths of a power of two, so that sums and scaling by two are exact
AMOUNTS = st.integers(-80, 80).map(lambda n: n / 8)


@st.composite
def backtests(draw):
    """Return margin, gain, held and the days of horizon and step."""
    shape = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    margin = np.abs(draw(arrays.arrays(np.float64, shape, elements=AMOUNTS)))
    gain = draw(arrays.arrays(np.float64, shape, elements=AMOUNTS))
    held = draw(arrays.arrays(np.bool_, shape))
    days = {"horizon_days": draw(st.integers(1, 6)), "step_days": draw(st.integers(1, 3))}
    return margin, gain, held, days


TESTS = ("kupiec", "independence", "conditional")
COUNTS = ("observations", "exceedances", "coverage", "effective_observations", "zone", "peak_at")
AMOUNT_FIELDS = ("average_uncovered", "peak_uncovered")


def fields(found, *names):
    whole = {name: getattr(found, name) for name in names or (*COUNTS, *AMOUNT_FIELDS)}
    tests = {f"{name} {part}": getattr(getattr(found, name), part)
             for name in TESTS for part in ("statistic", "p_value")}  # fmt: skip
    return whole | tests


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@given(backtests())
def test_figures_are_in_their_ranges(case):
    margin, gain, held, days = case
    found = backtest(margin, gain, confidence=0.99, held=held, **days)
    for name, values in fields(found).items():
        assert np.isfinite(values).all(), name
    assert np.all((found.coverage >= 0) & (found.coverage <= 1))
    assert np.all(found.effective_observations <= found.observations)
    # each horizon that shares days with another counted as if the days they share were all
    shared = np.arange(1, -(-days["horizon_days"] // days["step_days"])) * days["step_days"]
    fewest = found.observations / (1 + 2 * np.sum(1 - shared / days["horizon_days"]))
    assert np.all(found.effective_observations >= fewest * (1 - 1e-12))
    assert np.all(found.peak_uncovered >= found.average_uncovered)
    assert np.array_equal(found.peak_at >= 0, found.exceedances > 0)
    for name in TESTS:
        test = getattr(found, name)
        assert np.all((test.statistic >= 0) & (test.p_value >= 0) & (test.p_value <= 1))
    assert np.all(found.conditional.statistic >= found.independence.statistic)


@given(backtests(), st.randoms(use_true_random=False))
def test_series_are_judged_by_themselves(case, random):
    margin, gain, held, days = case
    order = random.sample(range(margin.shape[1]), margin.shape[1])
    whole = backtest(margin, gain, confidence=0.99, held=held, **days)
    mixed = backtest(margin[:, order], gain[:, order], confidence=0.99, held=held[:, order], **days)
    same(fields(mixed), {name: values[order] for name, values in fields(whole).items()})


@given(backtests())
def test_the_unit_of_money_changes_no_test(case):
    margin, gain, held, days = case
    one = backtest(margin, gain, confidence=0.99, held=held, **days)
    two = backtest(2 * margin, 2 * gain, confidence=0.99, held=held, **days)
    same(fields(two, *COUNTS), fields(one, *COUNTS))
    for name in AMOUNT_FIELDS:
        np.testing.assert_array_equal(getattr(two, name), 2 * getattr(one, name))


@given(backtests())
def test_cells_that_are_not_held_do_not_count(case):
    margin, gain, held, days = case
    one = backtest(margin, gain, confidence=0.99, held=held, **days)
    margin, gain = np.where(held, margin, np.nan), np.where(held, gain, -np.inf)
    before = np.zeros((3, margin.shape[1]))
    later = backtest(
        np.concatenate([before, margin]),
        np.concatenate([before, gain]),
        confidence=0.99,
        held=np.concatenate([before.astype(bool), held]),
        **days,
    )
    expected = fields(one) | {"peak_at": np.where(one.peak_at < 0, -1, one.peak_at + 3)}
    same(fields(later), expected)


@given(backtests(), st.integers(0, 16).map(lambda n: n / 8))
def test_a_larger_margin_never_covers_less(case, more):
    margin, gain, held, days = case
    less = backtest(margin, gain, confidence=0.99, held=held, **days)
    larger = backtest(margin + more, gain, confidence=0.99, held=held, **days)
    assert np.all(larger.exceedances <= less.exceedances)
    assert np.all(larger.peak_uncovered <= less.peak_uncovered)
    assert np.all(larger.peak_uncovered >= less.peak_uncovered - more)


@given(backtests())
def test_shorter_steps_are_never_worth_more(case):
    margin, gain, held, days = case
    overlapping = backtest(margin, gain, confidence=0.99, held=held, **days)
    apart = backtest(margin, gain, confidence=0.99, held=held, horizon_days=1)
    assert np.all(overlapping.effective_observations <= apart.effective_observations)
    assert np.all(overlapping.kupiec.statistic <= apart.kupiec.statistic)


@given(backtests(), st.integers(1, 8).map(lambda n: n / 8))
def test_a_larger_expected_shortfall_is_never_more_understated(case, more):
    value_at_risk, gain, held, _ = case
    shortfall = value_at_risk + 0.125
    one = acerbi_szekely(gain, value_at_risk, shortfall, 0.025, held)
    larger = acerbi_szekely(gain, value_at_risk, shortfall + more, 0.025, held)
    np.testing.assert_array_equal(larger.exceedances, one.exceedances)
    assert np.all(larger.z1 >= one.z1)
    assert np.all(larger.z2 >= one.z2)
    assert np.all(one.z1 <= 0)  # each loss is above value-at-risk, here by no less than the shortfall
    assert np.all(one.z2 <= 1)


MARGINS = arrays.arrays(
    np.float64,
    st.tuples(st.integers(3, 25), st.integers(1, 3)),
    elements=st.integers(1, 400).map(lambda n: n / 8),
)
RULES = st.builds(
    BufferRule,
    buffer=st.sampled_from([0.25, 0.5, 1.0]),
    reference_dates=st.integers(1, 30),
    reference=st.sampled_from(["mean", "peak"]),
)


@given(MARGINS)
def test_no_ratio_or_call_is_larger_than_the_cycles(margin):
    cycle = peak_to_trough(margin)
    for n in range(1, len(margin)):
        assert np.all(n_day(margin, n) <= cycle.ratio)
        call = largest_call(margin, n)
        rows = np.arange(margin.shape[1])
        assert np.all(call.amount <= margin.max(axis=0) - margin.min(axis=0))
        risen = call.at >= 0
        seen = margin[call.at, rows] - margin[call.at - n, rows]
        np.testing.assert_array_equal(call.amount[risen], seen[risen])
    # logarithms are rounded, so that their changes agree to about 1e-15
    np.testing.assert_allclose(stability(2 * margin), stability(margin), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(impulse_response(margin, 1), margin[1:] / margin[0])


@given(MARGINS, RULES)
def test_a_buffer_never_leaves_less_than_the_margin_nor_more_than_all_of_it(margin, rule):
    found = buffered(margin, rule)
    assert np.all(found >= margin)
    assert np.all(found <= (1 + rule.buffer) * margin)
    np.testing.assert_array_equal(buffered(2 * margin, rule), 2 * found)
    assert np.all(cost(found, margin) >= 0)


@given(MARGINS, RULES, st.data())
def test_tools_know_only_the_past(margin, rule, data):
    cut = data.draw(st.integers(1, len(margin)))
    np.testing.assert_array_equal(buffered(margin[:cut], rule), buffered(margin, rule)[:cut])
    stress = margin[::-1]
    mixed = stress_weighted(margin, stress)
    assert np.all((mixed >= np.minimum(margin, stress)) & (mixed <= np.maximum(margin, stress)))
    assert np.all(floored(margin, stress) >= margin)
