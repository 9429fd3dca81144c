"""Coverage tests against worked numbers, to their last printed digit, and against SciPy.

The numbers are the T4, T5 and T6 vectors of the cross-margining reference, calculated there from the
papers' formulas; each is printed with four decimals, so half of the last is the tolerance. Fixed thresholds of
Z2 are those that Acerbi and Szekely print.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import special, stats

from crossmargin import InputError
from crossmargin.validation.backtest import backtest
from crossmargin.validation.coverage import (
    ZONES,
    Transitions,
    binomial_cdf,
    christoffersen_coverage,
    christoffersen_independence,
    kupiec_pof,
    traffic_light,
    transitions,
)
from crossmargin.validation.expected_shortfall_tests import critical_values

LAST_DIGIT = 0.5e-4


def counts(*rows):
    return Transitions(**dict(zip(("n00", "n01", "n10", "n11"), np.array(rows).T, strict=True)))


@pytest.mark.parametrize(
    ("observations", "printed"),
    [
        (
            250,
            {
                0: 5.0252,
                1: 1.1765,
                2: 0.1084,
                3: 0.0949,
                4: 0.7691,
                5: 1.9568,
                6: 3.5554,
                7: 5.4970,
                8: 7.7336,
                10: 12.9555,
            },
        ),
        (500, {9: 2.6126, 10: 3.9136}),
        (1000, {4: 4.7060, 16: 3.0766, 17: 4.0910}),
    ],
)
def test_t4_kupiec(observations, printed):
    test = kupiec_pof(np.array([*printed]), np.array(observations), 0.01)
    np.testing.assert_allclose(test.statistic, [*printed.values()], rtol=0, atol=LAST_DIGIT)


def test_t4_p_values_are_of_one_degree_of_freedom():
    test = kupiec_pof(np.array([0, 7]), np.array([250, 250]), 0.01)
    np.testing.assert_allclose(test.p_value, [0.025, 0.019], rtol=0, atol=0.5e-3)
    np.testing.assert_allclose(test.p_value, stats.chi2.sf(test.statistic, 1), rtol=1e-12)


@pytest.mark.parametrize("probability", [0.005, 0.01, 0.05])
def test_kupiec_is_the_ratio_of_two_binomial_likelihoods(probability):
    """By another route: SciPy's log-probabilities of the count, at the level and at the frequency seen."""
    days, seen = np.meshgrid([1, 20, 250, 1000], [0, 1, 7, 20])
    days, seen = np.maximum(days, seen).ravel(), seen.ravel()
    logs = [stats.binom.logpmf(seen, days, level) for level in (seen / days, probability)]
    statistic = kupiec_pof(seen, days, probability).statistic
    np.testing.assert_allclose(statistic, 2 * (logs[0] - logs[1]), rtol=1e-9, atol=1e-9)


def test_t5_christoffersen():
    table = counts((241, 4, 4, 0), (239, 4, 4, 2), (243, 2, 2, 2))
    found = christoffersen_independence(table).statistic
    np.testing.assert_allclose(found, [0.1306, 8.1365, 12.2234], rtol=0, atol=LAST_DIGIT)


def test_christoffersen_is_the_g_test_of_the_table_of_transitions():
    """By another route: SciPy's log-likelihood ratio of a contingency table is the same statistic."""
    rows = [(239, 4, 4, 2), (180, 20, 30, 19), (40, 3, 2, 1)]
    expected = [
        stats.chi2_contingency(np.reshape(row, (2, 2)), correction=False, lambda_="log-likelihood")
        for row in rows
    ]
    test = christoffersen_independence(counts(*rows))
    np.testing.assert_allclose(test.statistic, [result.statistic for result in expected], rtol=1e-9)
    np.testing.assert_allclose(test.p_value, [result.pvalue for result in expected], rtol=1e-9)


def test_conditional_coverage_adds_both_and_has_two_degrees_of_freedom():
    table = counts((241, 4, 4, 0), (239, 4, 4, 2))
    test = christoffersen_coverage(table, 0.01)
    frequency = kupiec_pof(np.array([4, 6]), np.array([249, 249]), 0.01)
    independence = christoffersen_independence(table)
    np.testing.assert_allclose(test.statistic, frequency.statistic + independence.statistic, rtol=1e-15)
    np.testing.assert_allclose(test.p_value, stats.chi2.sf(test.statistic, 2), rtol=1e-12)


def test_transitions_of_days_are_those_of_the_papers_table():
    days = np.zeros((250, 2), bool)
    days[[10, 50, 120, 249], 0] = True
    days[[10, 11, 120, 121], 1] = True
    table = transitions(days)
    for account in range(2):
        pairs = Counter(zip(days[:-1, account], days[1:, account], strict=True))
        found = table.n00[account], table.n01[account], table.n10[account], table.n11[account]
        assert found == (
            pairs[False, False],
            pairs[False, True],
            pairs[True, False],
            pairs[True, True],
        )
    # the last day's exceedance is followed by none: three days after, four exceedances
    assert (table.n00[0], table.n01[0], table.n10[0], table.n11[0]) == (242, 4, 3, 0)


def test_t6_binomial():
    printed = {0: 0.0811, 1: 0.2858, 2: 0.5432, 3: 0.7581, 4: 0.8922, 5: 0.9588}
    printed |= {6: 0.9863, 7: 0.9960, 8: 0.9989, 9: 0.9997, 10: 0.9999}
    found = binomial_cdf(np.array([*printed]), 250, 0.01)
    np.testing.assert_allclose(found, [*printed.values()], rtol=0, atol=LAST_DIGIT)


@pytest.mark.parametrize(
    ("observations", "probability"), [(1, 0.5), (250, 0.01), (1000, 0.05), (7500, 0.001)]
)
def test_binomial_is_the_incomplete_beta_function(observations, probability):
    """By another route: P(X ≤ x) = I(1 − p; N − x, x + 1). The sum of N terms is off by their rounding."""
    seen = np.arange(observations)
    expected = special.betainc(observations - seen, seen + 1, 1 - probability)
    found = binomial_cdf(seen, observations, probability)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)
    assert binomial_cdf(np.array(observations), observations, probability) == pytest.approx(1, abs=1e-11)


def test_traffic_light_of_250_days_is_the_basel_table():
    """Basel Committee 1996, table 2: green to 4 exceptions, yellow from 5 to 9, red from 10."""
    zones = [ZONES[zone] for zone in traffic_light(np.arange(12), 250, 0.01)]
    assert zones == ["green"] * 5 + ["yellow"] * 5 + ["red"] * 2


def days_of(counts, days):
    """Return gains with so many exceedances of a margin of 1, by series, spread over the days."""
    gain = np.zeros((days, len(counts)))
    for series, count in enumerate(counts):
        gain[np.linspace(1, days - 1, count).astype(int), series] = -2.0
    return gain


def test_t4_from_margins_and_gains():
    """The same numbers through the backtest, with coverage as PQD 6.5.3 has it."""
    printed = {0: 5.0252, 1: 1.1765, 2: 0.1084, 3: 0.0949, 4: 0.7691, 5: 1.9568, 7: 5.4970, 10: 12.9555}
    gain = days_of([*printed], 250)
    found = backtest(np.ones_like(gain), gain, confidence=0.99, horizon_days=1)
    np.testing.assert_array_equal(found.exceedances, [*printed])
    np.testing.assert_allclose(found.kupiec.statistic, [*printed.values()], rtol=0, atol=LAST_DIGIT)
    np.testing.assert_allclose(found.coverage, 1 - np.array([*printed]) / 250, rtol=1e-15)
    assert [ZONES[zone] for zone in found.zone] == ["green"] * 5 + ["yellow"] * 2 + ["red"]


@pytest.mark.parametrize("row", [(241, 4, 4, 0), (239, 4, 4, 2), (243, 2, 2, 2)])
def test_t5_from_margins_and_gains(row):
    """Days with exactly these transitions, begun without an exceedance: runs of exceedances among quiet days.

    As many transitions lead in as out, so each run stands between quiet days.
    """
    n00, n01, n10, n11 = row
    assert n01 == n10
    days = [0] + [1] * (1 + n11) + [0] + [1, 0] * (n01 - 1) + [0] * n00
    gain = np.where(np.array(days)[:, None] == 1, -2.0, 0.0)
    found = backtest(np.ones_like(gain), gain, confidence=0.99, horizon_days=1)
    printed = {(241, 4, 4, 0): 0.1306, (239, 4, 4, 2): 8.1365, (243, 2, 2, 2): 12.2234}[row]
    assert found.independence.statistic[0] == pytest.approx(printed, abs=LAST_DIGIT)
    exceedances, observations = np.array([n01 + n11]), np.array([sum(row)])
    frequency = kupiec_pof(exceedances, observations, 0.01).statistic[0]
    conditional = found.conditional.statistic[0]
    assert conditional == pytest.approx(frequency + found.independence.statistic[0], rel=1e-12)
    assert found.conditional.p_value[0] == pytest.approx(stats.chi2.sf(conditional, 2), rel=1e-9)


@pytest.mark.parametrize("exceedances", [1, 4, 5, 9, 10])
def test_zones_start_where_scipys_binomial_test_says(exceedances):
    """By another route: P(X ≤ x) is 1 less the one-sided p-value of one exceedance more."""
    above = stats.binomtest(exceedances + 1, 250, 0.01, alternative="greater").pvalue
    found = binomial_cdf(np.array(exceedances), 250, 0.01)
    assert found == pytest.approx(1 - above, abs=1e-12)
    zone = int(traffic_light(np.array([exceedances]), 250, 0.01)[0])
    assert zone == int(1 - above >= 0.95) + int(1 - above >= 0.9999)


def test_the_critical_value_of_one_degree_of_freedom():
    assert stats.chi2.isf(0.05, 1) == pytest.approx(3.841, abs=0.5e-3)
    below, above = (kupiec_pof(np.array([x]), np.array([1000]), 0.01) for x in (16, 17))
    assert below.statistic[0] < 3.841 < above.statistic[0]
    assert below.p_value[0] > 0.05 > above.p_value[0]


@pytest.mark.parametrize(
    ("degrees", "level", "draws", "printed", "tolerance"),
    [
        # 5%: errors of the simulated quantile are 0.004 and less, so the two printed digits decide
        (None, 0.05, 100_000, -0.70, 0.015),
        (100.0, 0.05, 100_000, -0.70, 0.015),
        # 0.01%: the twentieth smallest of 200,000, off by about 0.04; one digit is printed
        (None, 0.0001, 200_000, -1.8, 0.05 + 0.1),
    ],
)
def test_z2_thresholds_of_acerbi_and_szekely(degrees, level, draws, printed, tolerance):
    """Fixed thresholds at a tail of 2.5% and 250 days: −0.70 at 5% and −1.8 at 0.01%."""
    found = critical_values(0.025, 250, level, draws=draws, seed=20_141_201, degrees_of_freedom=degrees)
    assert found[1] == pytest.approx(printed, abs=tolerance)


def test_counts_out_of_range_are_all_named():
    with pytest.raises(InputError) as refused:
        kupiec_pof(np.array([-1, 3, 9]), np.array([250, 0, 8]), float("nan"))
    named = {(record.line, record.field) for record in refused.value.records}
    assert named == {
        (0, "probability"),
        (1, "exceedances"),
        (2, "observations"),
        (2, "observations without exceedance"),
        (3, "observations without exceedance"),
    }
    with pytest.raises(InputError, match="n10 '-4': at least 0"):
        counts((241, 4, -4, 0))
