"""Tests of expected shortfall by hand, against plain loops, and critical values by another simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from crossmargin import InputError
from crossmargin.validation.expected_shortfall_tests import (
    acerbi_szekely,
    critical_values,
    standard_tail,
)


def columns(*series):
    return np.array(series, float).T


def test_both_statistics_by_hand():
    gain = columns([-4, 1, -6, 0], [-1, 0, 0, 0], [-2, 2, 2, 2])
    value_at_risk, shortfall = np.full((4, 3), 2.0), np.full((4, 3), 4.0)
    found = acerbi_szekely(gain, value_at_risk, shortfall, 0.25)
    assert found.exceedances.tolist() == [2, 0, 0]  # a loss of exactly value-at-risk is none
    # (−4 − 6) ÷ 4 = −2.5: over 2 exceedances, and over the 1 expected
    assert found.z1.tolist() == [-0.25, 0.0, 0.0]
    assert found.z2.tolist() == [-1.5, 1.0, 1.0]


def test_statistics_are_those_of_plain_loops():
    generator = np.random.default_rng(8)
    gain = generator.standard_normal((200, 12))
    value_at_risk = generator.uniform(0.5, 2.0, gain.shape)
    shortfall = value_at_risk * generator.uniform(1.0, 1.5, gain.shape)
    held = generator.random(gain.shape) < np.linspace(0.0, 1.0, 12)
    gain[~held] = np.nan
    found = acerbi_szekely(gain, value_at_risk, shortfall, 0.05, held)
    for s in range(12):
        ratios = [
            gain[t, s] / shortfall[t, s]
            for t in range(200)
            if held[t, s] and -gain[t, s] > value_at_risk[t, s]
        ]
        days = held[:, s].sum()
        assert found.exceedances[s] == len(ratios)
        assert found.z1[s] == pytest.approx(sum(ratios) / len(ratios) + 1 if ratios else 0.0, rel=1e-12)
        expected = sum(ratios) / (days * 0.05) + 1 if days else 0.0
        assert found.z2[s] == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_what_cannot_be_tested_is_named():
    gain = columns([-3, -3, 0, np.nan], [-3, 0, 0, 0])
    value_at_risk = columns([1, 1, 1, 1], [np.inf, -1, 1, 1])
    shortfall = columns([0, 2, 0, 2], [2, -0.5, np.nan, 2])
    with pytest.raises(InputError) as refused:
        acerbi_szekely(gain, value_at_risk, shortfall, 0.0)
    named = {(record.line, record.field) for record in refused.value.records}
    assert named == {
        (0, "alpha"),
        (1, "expected shortfall of series 1"),
        (1, "value at risk of series 2"),
        (2, "expected shortfall of series 2"),  # a book whose tail gains, and that gained less
        (3, "expected shortfall of series 2"),
        (4, "gain of series 1"),
    }
    rule = "above 0 where value-at-risk was exceeded"
    assert [record.line for record in refused.value.records if record.rule == rule] == [1, 2]


@pytest.mark.parametrize("alpha", [0.01, 0.025, 0.2])
@pytest.mark.parametrize("degrees", [None, 2.5, 3.0, 100.0])
def test_the_tail_of_a_law_is_its_integral(alpha, degrees):
    """By another route: SciPy's quantile, and quadrature of quantiles, to the accuracy that it states."""
    law = stats.norm() if degrees is None else stats.t(degrees)
    value_at_risk, shortfall = standard_tail(alpha, degrees)
    assert value_at_risk == pytest.approx(-law.ppf(alpha), rel=1e-9)
    area, error = integrate.quad(lambda x: x * law.pdf(x), value_at_risk, np.inf)
    assert shortfall == pytest.approx(area / alpha, abs=error / alpha + 1e-9)


@pytest.mark.parametrize("degrees", [None, 4.0])
def test_critical_values_are_those_of_drawing_every_day(degrees):
    """Errors of both quantiles: √(0.05 × 0.95 ÷ 20,000) is 0.15% of probability, over densities of 0.1 or more."""
    found = critical_values(0.025, 250, 0.05, draws=20_000, seed=1, degrees_of_freedom=degrees)
    generator = np.random.default_rng(2)
    shape = (250, 20_000)
    gain = generator.standard_normal(shape) if degrees is None else generator.standard_t(degrees, shape)
    tail = [np.broadcast_to(value, shape) for value in standard_tail(0.025, degrees)]
    drawn = acerbi_szekely(gain, *tail, 0.025)
    seen = drawn.exceedances > 0
    assert np.mean(drawn.z1[seen] < found[0]) == pytest.approx(0.05, abs=4 * 0.0022)
    assert np.mean(drawn.z2 < found[1]) == pytest.approx(0.05, abs=4 * 0.0022)


def test_critical_values_of_overlapping_horizons():
    """Sums of two normal days are normal: the share of series below the values, drawn anew, is the level."""
    found = critical_values(0.025, 250, 0.05, draws=10_000, seed=1, horizon_days=2)
    days = np.random.default_rng(2).standard_normal((251, 10_000))
    gain = (days[1:] + days[:-1]) / np.sqrt(2.0)
    tail = [np.broadcast_to(value, gain.shape) for value in standard_tail(0.025)]
    drawn = acerbi_szekely(gain, *tail, 0.025)
    # two shares of 10,000, each off by 0.22%
    assert np.mean(drawn.z2 < found[1]) == pytest.approx(0.05, abs=4 * 0.0031)
    assert np.mean(drawn.z1[drawn.exceedances > 0] < found[0]) == pytest.approx(0.05, abs=4 * 0.0031)
    apart = critical_values(0.025, 250, 0.05, draws=10_000, seed=1, horizon_days=2, step_days=2)
    assert found[1] < apart[1]
    assert apart == critical_values(0.025, 250, 0.05, draws=10_000, seed=1)


def test_critical_values_are_the_same_from_run_to_run():
    for changed in ({}, {"horizon_days": 3, "degrees_of_freedom": 5.0}):
        first, second = (critical_values(0.025, 100, 0.05, draws=500, seed=4, **changed) for _ in range(2))
        assert first == second


def test_numbers_out_of_range_are_all_named():
    with pytest.raises(InputError) as refused:
        critical_values(1.0, 0, 0.0, draws=5, seed=1, degrees_of_freedom=1.0, horizon_days=0, step_days=0)
    assert {record.field for record in refused.value.records} == {
        "alpha", "observations", "level", "degrees_of_freedom", "horizon_days", "step_days",
    }  # fmt: skip
    with pytest.raises(InputError, match="draws '19': at least 1 ÷ level"):
        critical_values(0.025, 250, 0.05, draws=19, seed=1)
    with pytest.raises(InputError, match="draws '20': enough for an exceedance"):
        critical_values(1e-9, 1, 0.05, draws=20, seed=1)
