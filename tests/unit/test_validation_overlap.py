"""Overlapping horizons: what their observations are worth, and the likelihood ratios at effective counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from crossmargin.validation.backtest import backtest
from crossmargin.validation.coverage import christoffersen_independence, kupiec_pof, transitions
from crossmargin.validation.overlap import (
    PRIOR_EXCEEDANCES,
    effective_shares,
    normal_hit_correlation,
    separate_lag,
)


@pytest.mark.parametrize("probability", [0.001, 0.01, 0.05, 0.3])
@pytest.mark.parametrize("correlation", [0.0, 0.2, 0.5, 0.9, 0.99])
def test_normal_exceedances_correlate_as_scipys_bivariate_normal_law_says(probability, correlation):
    """The tolerance is that of SciPy's quadrature, 1e-8 of a probability, over p (1 − p)."""
    covariance = [[1.0, correlation], [correlation, 1.0]]
    both = stats.multivariate_normal([0, 0], covariance).cdf([stats.norm.ppf(probability)] * 2)
    variance = probability * (1 - probability)
    found = normal_hit_correlation(probability, correlation)
    assert found == pytest.approx((both - probability**2) / variance, abs=1e-8 / variance)


def test_the_same_loss_is_exceeded_with_itself():
    assert normal_hit_correlation(0.01, 1.0) == pytest.approx(1.0, abs=1e-3)
    assert normal_hit_correlation(0.01, 0.5) == pytest.approx(0.1206, abs=0.5e-4)


@pytest.mark.parametrize(
    ("horizon", "step", "lag"), [(1, 1, 1), (2, 1, 2), (5, 1, 5), (5, 2, 3), (5, 5, 1), (1, 5, 1), (6, 5, 2)]
)
def test_the_first_horizon_that_shares_no_day(horizon, step, lag):
    assert separate_lag(horizon, step) == lag
    shared = [k for k in range(1, 10) if set(range(horizon)) & set(range(k * step, k * step + horizon))]
    assert shared == list(range(1, lag))


def days_with_gaps(dates=260, series=25, seed=5):
    generator = np.random.default_rng(seed)
    exceeded = generator.random((dates, series)) < np.linspace(0.0, 0.2, series)
    exceeded[1:] |= exceeded[:-1] & (generator.random((dates - 1, series)) < 0.5)
    held = generator.random((dates, series)) < np.linspace(0.4, 1.0, series)
    return exceeded & held, held


def plain_shares(exceeded, held, probability, horizon, step):
    """The same by loops over pairs of dates, of one series."""
    dates = len(held)
    observations = sum(held)
    frequency = independence = 0.0
    for lag in range(1, dates):
        if lag * step >= horizon:
            break
        pairs = [(t, t + lag) for t in range(dates - lag) if held[t] and held[t + lag]]
        first = sum(exceeded[t] for t, _ in pairs)
        both = sum(exceeded[t] and exceeded[later] for t, later in pairs)
        highest = 1 - lag * step / horizon
        lowest = normal_hit_correlation(probability, highest)
        prior = probability + (1 - probability) * (lowest + highest) / 2
        again = (PRIOR_EXCEEDANCES * prior + both) / (PRIOR_EXCEEDANCES + first)
        correlation = min(max((again - probability) / (1 - probability), lowest), highest)
        frequency += 2 * correlation * len(pairs) / observations
        independence += 2 * correlation**2 * len(pairs) / observations
    return 1 / (1 + frequency), 1 / (1 + independence)


@pytest.mark.parametrize(("horizon", "step"), [(1, 1), (2, 1), (5, 1), (5, 2), (5, 5), (400, 1)])
def test_shares_are_those_of_plain_loops(horizon, step):
    exceeded, held = days_with_gaps()
    found = effective_shares(exceeded, held, 0.01, horizon, step)
    chosen = range(0, 25, 12) if horizon == 400 else range(25)
    expected = np.array(
        [plain_shares(exceeded[:, s].tolist(), held[:, s].tolist(), 0.01, horizon, step) for s in chosen]
    )
    np.testing.assert_allclose(found.frequency[chosen], expected[:, 0], rtol=1e-12)
    np.testing.assert_allclose(found.independence[chosen], expected[:, 1], rtol=1e-12)


@pytest.mark.parametrize("horizon", [2, 3, 5, 10])
def test_effective_observations_lie_between_horizons_apart_and_all(horizon):
    exceeded, held = days_with_gaps()
    held = np.ones_like(held)
    found = 260 * effective_shares(exceeded, held, 0.01, horizon, 1).frequency
    assert np.all(found >= 260 / horizon)
    lowest = sum(
        2 * (1 - lag / 260) * normal_hit_correlation(0.01, 1 - lag / horizon) for lag in range(1, horizon)
    )
    assert np.all(found <= 260 / (1 + lowest) * (1 + 1e-12))
    # series that cluster tell less than those that do not
    clustered = np.zeros((260, 2), bool)
    clustered[100:104, 0] = True
    clustered[[20, 80, 140, 200], 1] = True
    few, many = effective_shares(clustered, np.ones_like(clustered), 0.01, horizon, 1).frequency
    assert few < many


def real_frequency_ratio(x, n, p):
    """Kupiec's formula of counts that need not be whole."""

    def log_likelihood(q):
        return sum(count * math.log(share) for count, share in ((x, q), (n - x, 1 - q)) if count > 0)

    return 2 * (log_likelihood(x / n) - log_likelihood(p))


def test_the_ratio_is_that_of_effective_counts():
    """x × share exceedances in N × share observations, put into the formula, give the ratio × share."""
    exceeded, held = days_with_gaps()
    margin = np.ones(held.shape)
    found = backtest(margin, np.where(exceeded, -2.0, 0.0), confidence=0.99, horizon_days=3, held=held)
    shares = effective_shares(exceeded, held, 0.01, 3, 1)
    for series in range(25):
        share = shares.frequency[series]
        x, n = exceeded[:, series].sum() * share, held[:, series].sum() * share
        expected = real_frequency_ratio(x, n, 0.01)
        assert found.kupiec.statistic[series] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert found.effective_observations[series] == pytest.approx(n, rel=1e-12)


def test_independence_is_tested_on_horizons_apart():
    exceeded, held = days_with_gaps()
    gain = np.where(exceeded, -2.0, 0.0)
    found = backtest(np.ones(held.shape), gain, confidence=0.99, horizon_days=3, held=held)
    shares = effective_shares(exceeded, held, 0.01, 3, 1)
    counts = transitions(exceeded, held, 3)
    independence = christoffersen_independence(counts).statistic * shares.independence
    np.testing.assert_allclose(found.independence.statistic, independence, rtol=1e-12, atol=1e-12)
    led_to = counts.n01 + counts.n11
    frequency = kupiec_pof(led_to, led_to + counts.n00 + counts.n10, 0.01).statistic * shares.frequency
    np.testing.assert_allclose(found.conditional.statistic, independence + frequency, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        found.conditional.p_value, stats.chi2.sf(independence + frequency, 2), rtol=1e-9
    )
