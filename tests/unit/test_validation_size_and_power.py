"""Sizes and powers: the page shows what is computed, and the computation what is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from size_and_power import TABLES, shown

from crossmargin.validation.size_and_power import (
    MARGIN,
    PROCESSES,
    kupiec_size,
    overlapping,
    rejections,
)

DRAWS = 2_000


def error(share):
    """Return four standard errors of a simulated share."""
    return 4 * np.sqrt(share * (1 - share) / DRAWS)


@pytest.mark.parametrize("name", TABLES)
def test_the_page_shows_what_is_computed(name):
    assert shown(name) == TABLES[name]()


@pytest.mark.parametrize(("days", "size"), [(250, 0.0948), (500, 0.0709), (1000, 0.0551), (2500, 0.0437)])
def test_the_size_of_kupiecs_test_is_scipys_binomial_sum(days, size):
    found = kupiec_size(days, 0.01)
    assert found.too_few + found.too_many == pytest.approx(size, abs=0.5e-4)
    law = stats.binom(days, 0.01)
    assert found.too_few == pytest.approx(law.cdf(found.accepted_from - 1), abs=1e-11)
    assert found.too_many == pytest.approx(law.sf(found.accepted_to), abs=1e-11)


def test_simulated_frequencies_are_the_binomial_ones():
    """Right, and at 2%: rejections by Kupiec's test and by zone are binomial probabilities."""
    for process, probability in ((PROCESSES[0], 0.01), (PROCESSES[1], 0.02)):
        found = rejections(process, 250, draws=DRAWS, seed=11)
        law = stats.binom(250, probability)
        expected = law.cdf(0) + law.sf(6)
        assert found.kupiec == pytest.approx(expected, abs=error(expected))
        assert found.yellow == pytest.approx(law.sf(4), abs=error(law.sf(4)))
        assert found.red == pytest.approx(law.sf(9), abs=error(law.sf(9)))


def test_a_right_expected_shortfall_is_rejected_as_often_as_said():
    found = rejections(PROCESSES[0], 250, draws=DRAWS, seed=11)
    assert found.z2 == pytest.approx(0.05, abs=error(0.05))
    assert found.z1 == pytest.approx(0.05, abs=error(0.05))


@pytest.mark.parametrize("process", PROCESSES[2:])
def test_processes_are_what_they_are_said_to_be(process):
    gain = process.draw(np.random.default_rng(3), 500, DRAWS)
    exceeded = gain < -MARGIN
    if process.name == "volatility clusters":
        assert exceeded.mean() == pytest.approx(0.01, abs=1e-5)
        assert np.mean(exceeded[1:] & exceeded[:-1]) > 3 * 0.01**2
    else:
        tail = -stats.norm.ppf(0.025)
        assert np.mean(gain < -tail) == pytest.approx(0.025, abs=4 * np.sqrt(0.025 / gain.size))
        expected = stats.t(3).cdf(-MARGIN * stats.t(3).ppf(0.975) / tail)
        assert exceeded.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / gain.size))


@pytest.mark.parametrize(
    ("horizon", "degrees", "most"),
    [(2, None, 0.08), (5, None, 0.08), (2, 4.0, 0.08), (5, 4.0, 0.08), (3, 3.0, 0.10)],
)
def test_the_correction_for_overlap_brings_sizes_down_to_the_level(horizon, degrees, most):
    """Of right margins: far too many rejections without correction, with it no more than the page says."""
    process = overlapping(horizon, degrees)
    found = [rejections(process, 500, draws=DRAWS, seed=5, corrected=told) for told in (False, True)]
    for name in ("kupiec", "independence", "conditional"):
        plain, corrected = (getattr(one, name) for one in found)
        assert corrected < most + error(most)
        assert corrected < plain / 2
    if degrees is None:
        assert found[1].z2 == pytest.approx(0.05, abs=error(0.05))


def test_more_observations_show_more():
    short, long = (rejections(PROCESSES[1], days, draws=DRAWS, seed=7) for days in (250, 1000))
    for name in ("kupiec", "conditional", "yellow", "red", "z2"):
        assert getattr(long, name) > getattr(short, name)


def test_a_simulation_is_the_same_from_run_to_run():
    assert rejections(PROCESSES[2], 100, draws=300, seed=2) == rejections(
        PROCESSES[2], 100, draws=300, seed=2
    )
