"""Backtests by hand, against plain loops, and of input that is refused."""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin import InputError
from crossmargin.validation.backtest import backtest
from crossmargin.validation.cells import LISTED_MAX
from crossmargin.validation.coverage import (
    ZONES,
    christoffersen_coverage,
    christoffersen_independence,
    kupiec_pof,
    traffic_light,
    transitions,
)


def made(margin, gain, **changed):
    arguments = {"confidence": 0.99, "horizon_days": 1} | changed
    return backtest(np.array(margin, float), np.array(gain, float), **arguments)


def columns(*series):
    return np.array(series, float).T


def test_a_backtest_by_hand():
    margin = columns([100, 100, 100, 100, 100], [10, 20, 10, 10, 10], [5, 5, 5, 5, 5])
    gain = columns([-90, -130, 40, -110, -100], [0, -10, 10, 0, -10], [-9, -9, 0, 0, -6])
    held = columns([1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 1, 1, 1]).astype(bool)
    found = made(margin, gain, held=held)
    assert found.observations.tolist() == [5, 5, 3]
    # a loss of exactly the margin is covered
    assert found.exceedances.tolist() == [2, 0, 1]
    assert found.coverage.tolist() == [0.6, 1.0, 1 - 1 / 3]
    assert found.average_uncovered.tolist() == [20.0, 0.0, 1.0]
    assert found.peak_uncovered.tolist() == [30.0, 0.0, 1.0]
    assert found.peak_at.tolist() == [1, -1, 4]
    assert found.effective_observations.tolist() == [5.0, 5.0, 3.0]
    assert found.exceedances.dtype == found.observations.dtype == found.peak_at.dtype == np.int64
    assert found.zone.dtype == np.int8


def test_of_equal_peaks_the_first_is_told():
    assert made(columns([1, 1, 1, 1]), columns([0, -3, 5, -3])).peak_at.tolist() == [1]


def test_a_series_that_never_existed_says_nothing():
    nothing = np.zeros((3, 1), bool)
    found = made(columns([np.nan] * 3), columns([-np.inf] * 3), held=nothing, horizon_days=2)
    assert (found.observations[0], found.exceedances[0], found.coverage[0]) == (0, 0, 1.0)
    assert (found.effective_observations[0], found.zone[0], found.peak_at[0]) == (0.0, 0, -1)
    for test in (found.kupiec, found.independence, found.conditional):
        assert (test.statistic[0], test.p_value[0]) == (0.0, 1.0)


def random_days(series=40, dates=300, seed=3):
    generator = np.random.default_rng(seed)
    gain = generator.standard_normal((dates, series))
    held = generator.random((dates, series)) < np.linspace(0.05, 1.0, series)
    return np.broadcast_to(np.linspace(0.5, 3.0, series), gain.shape).copy(), gain, held


def test_without_overlap_the_tests_are_those_of_the_counts():
    margin, gain, held = random_days()
    held[:] = True
    found = made(margin, gain, confidence=0.95, horizon_days=2, step_days=2)
    exceeded = -gain > margin
    counts = transitions(exceeded)
    expected = {
        "kupiec": kupiec_pof(exceeded.sum(axis=0), np.full(40, 300), 0.05),
        "independence": christoffersen_independence(counts),
        "conditional": christoffersen_coverage(counts, 0.05),
    }
    for name, test in expected.items():
        np.testing.assert_array_equal(getattr(found, name).statistic, test.statistic)
        np.testing.assert_array_equal(getattr(found, name).p_value, test.p_value)
    np.testing.assert_array_equal(found.zone, traffic_light(exceeded.sum(axis=0), 300, 0.05))


def test_every_figure_is_that_of_a_plain_loop():
    margin, gain, held = random_days()
    found = made(margin, gain, held=held)
    for series in range(40):
        days = [(row, -gain[row, series] - margin[row, series]) for row in range(300) if held[row, series]]
        beyond = [(row, amount) for row, amount in days if amount > 0]
        assert found.observations[series] == len(days)
        assert found.exceedances[series] == len(beyond)
        assert found.coverage[series] == pytest.approx(1 - len(beyond) / max(len(days), 1), rel=1e-15)
        amounts = [amount for _, amount in beyond]
        mean = sum(amounts) / len(amounts) if amounts else 0.0
        assert found.average_uncovered[series] == pytest.approx(mean, rel=1e-12)
        assert found.peak_uncovered[series] == max(amounts, default=0.0)
        assert found.peak_at[series] == max(beyond, key=lambda day: day[1], default=(-1, 0))[0]


def test_transitions_do_not_lead_over_a_day_without_the_series():
    gain, held = columns([-2, -2, 0, -2, -2, 0]), np.array([[1], [1], [0], [1], [1], [1]], bool)
    counts = transitions(-gain > 1.0, held)
    assert [int(n[0]) for n in (counts.n00, counts.n01, counts.n10, counts.n11)] == [0, 0, 1, 2]
    found = made(np.ones_like(gain), gain, held=held)
    np.testing.assert_array_equal(found.independence.statistic, christoffersen_independence(counts).statistic)


def test_transitions_lead_as_far_as_they_are_asked_to():
    exceeded = np.array([1, 0, 1, 1, 0, 0], bool)
    counts = transitions(exceeded, lag=2)
    assert (int(counts.n00), int(counts.n01), int(counts.n10), int(counts.n11)) == (0, 1, 2, 1)
    none = transitions(exceeded, lag=9)
    assert (int(none.n00), int(none.n01), int(none.n10), int(none.n11)) == (0, 0, 0, 0)


@pytest.mark.parametrize(("days", "confidence"), [(1, 0.5), (20, 0.95), (250, 0.99), (1000, 0.999)])
def test_zones_are_those_of_the_binomial_distribution(days, confidence):
    """The incomplete beta function gives the zones of the binomial sum at every count."""
    counts = np.arange(days + 1)
    gain = np.where(np.arange(days)[:, None] < counts, -1.0, 1.0)
    found = made(np.zeros_like(gain), gain, confidence=confidence)
    np.testing.assert_array_equal(found.exceedances, counts)
    expected = traffic_light(counts, days, round(1 - confidence, 12))
    np.testing.assert_array_equal(found.zone, expected)
    assert (ZONES[found.zone[0]], ZONES[found.zone[-1]]) == ("green", "red")


@pytest.mark.parametrize("confidence", [0.95, 0.975, 0.99, 0.995, 0.997, 0.9999])
def test_the_probability_is_the_one_printed(confidence):
    """1 − 0.99 is 0.010000000000000009 in float64; the test is at 0.01."""
    gain = columns([-2.0] + [0.0] * 99)
    found = made(np.ones_like(gain), gain, confidence=confidence)
    printed = float(f"{1 - confidence:.6f}")
    assert found.kupiec.statistic == kupiec_pof(np.array([1]), np.array([100]), printed).statistic


def test_everything_that_is_wrong_is_named():
    margin = columns([1, np.nan, -1, np.inf], [np.nan, 1, 1, -0.5])
    gain = columns([0, 0, np.nan, 0], [np.nan, 0, -np.inf, 0])
    held = columns([1, 1, 1, 1], [0, 1, 1, 1]).astype(bool)
    with pytest.raises(InputError) as refused:
        made(margin, gain, held=held, confidence=1.0, horizon_days=0, step_days=0)
    named = {(record.line, record.field, record.value) for record in refused.value.records}
    assert named == {
        (0, "confidence", "1.0"),
        (0, "horizon_days", "0"),
        (0, "step_days", "0"),
        (2, "margin of series 1", "nan"),
        (3, "margin of series 1", "-1.0"),
        (4, "margin of series 1", "inf"),
        (4, "margin of series 2", "-0.5"),
        (3, "gain of series 1", "nan"),
        (3, "gain of series 2", "-inf"),
    }


def test_a_long_list_of_bad_cells_is_cut_and_the_rest_counted():
    gain = np.full((60, 50), np.nan)
    with pytest.raises(InputError, match="2,900 cells more") as refused:
        made(np.ones_like(gain), gain)
    assert len(refused.value.records) == LISTED_MAX + 1


def test_a_backtest_of_no_date_is_refused():
    with pytest.raises(InputError, match="dates '0': at least 1"):
        made(np.zeros((0, 2)), np.zeros((0, 2)))


def test_a_backtest_of_no_series_is_empty():
    found = made(np.zeros((5, 0)), np.zeros((5, 0)), horizon_days=2)
    assert found.observations.shape == found.zone.shape == found.kupiec.p_value.shape == (0,)
