"""Rolling scenarios and margins, whatever the data: nothing after a day reaches it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from small_market import DAYS, small_market, walks

from crossmargin.models.scenarios.build import ScenarioSettings, scenarios_from_histories
from crossmargin.models.scenarios.filtered import FilteredHistorical
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.part_rules import AntiProcyclical, PartRules
from crossmargin.models.scenarios.rolling import RollingScenarios
from crossmargin.models.scenarios.selection import LookBack, StressPeriods, WorstDays

COUNT = 160
FEW = 30
FILTER = FilteredHistorical(warm_up_days=10, decay=0.9)
CODES = ("spot:A", "spot:B", "spot:C")

SELECTIONS = st.one_of(
    st.builds(LookBack, scenarios=st.integers(5, 40)),
    st.builds(
        WorstDays, factor=st.sampled_from(CODES), scenarios=st.integers(5, 30), skip_days=st.integers(20, 30)
    ),
    st.just(StressPeriods(periods=(("calm", DAYS[30], DAYS[50]), ("on", DAYS[60], DAYS[140])))),
)
RULES = st.builds(
    PartRules,
    name=st.just("one"),
    selection=SELECTIONS,
    confidence=st.sampled_from(["0.9", "0.99"]),
    weight=st.just(0.5),
    filtering=st.sampled_from([None, FILTER]),
)
SETTINGS = st.builds(
    lambda one, other, horizon, method, floor: ScenarioSettings(
        parts=(one, replace(other, name="other")),
        horizon_days=horizon,
        horizon_method=method,
        anti_procyclical=AntiProcyclical(floor_days=floor),
    ),
    RULES,
    RULES,
    st.integers(1, 4),
    st.sampled_from(["overlapping", "square root"]),
    st.sampled_from([0, 25]),
)
PLACES = st.integers(85, COUNT - 2)


@cache
def histories():
    return make_histories(small_market(walks("ABC", COUNT)), DAYS[COUNT - 1])


def noisy(seed):
    """Return histories with gaps, unchanged days and ties."""
    rng, known = np.random.default_rng(seed), histories()
    returns = np.round(known.returns, 2)
    valid = known.valid & (rng.random(returns.shape) < np.array([1.0, 0.999, 0.9]))
    return replace(
        known,
        returns=np.where(valid, returns, 0.0),
        valid=valid,
        stale=rng.random(returns.shape) < 0.05,
        proxied=rng.random(returns.shape) < 0.01,
    )


def after_changed(known, place, seed):
    """Return other histories from the day after a place on."""
    rng, later = np.random.default_rng(seed), slice(place + 1, None)
    changed = {
        name: getattr(known, name).copy() for name in ("returns", "levels", "valid", "stale", "proxied")
    }
    shape = changed["returns"][later].shape
    changed["returns"][later] = rng.standard_normal(shape) * 0.5
    changed["levels"][later] = rng.uniform(1, 9, shape)
    for name in ("valid", "stale", "proxied"):
        changed[name][later] = rng.random(shape) < 0.5
    return replace(known, **changed)


def content(scenarios):
    names = ("as_of", "horizon_days", "factors", "labels", "parts", "method", "settings")
    return [getattr(scenarios, name) for name in names]


@profile(max_examples=FEW)
@given(settings=SETTINGS, place=PLACES, seed=st.integers(0, 999))
def test_nothing_after_a_day_reaches_its_scenarios(settings, place, seed):
    known = noisy(seed)
    now = RollingScenarios(histories=known, settings=settings).on(place)
    other = RollingScenarios(histories=after_changed(known, place, seed), settings=settings).on(place)
    assert content(now) == content(other)
    assert now.input_hash == other.input_hash
    assert now.content_hash == other.content_hash
    np.testing.assert_array_equal(now.moves, other.moves)


@profile(max_examples=FEW)
@given(settings=SETTINGS, place=PLACES, seed=st.integers(0, 999))
def test_a_day_is_the_slow_routes(settings, place, seed):
    known = noisy(seed)
    fast = RollingScenarios(histories=known, settings=settings).on(place)
    slow = scenarios_from_histories(known.until(DAYS[place], refit=False), settings)
    assert content(fast) == content(slow)
    np.testing.assert_array_equal(fast.moves, slow.moves)


@profile(max_examples=FEW)
@given(place=st.integers(0, COUNT - 2), horizon=st.integers(1, 5), seed=st.integers(0, 999))
def test_realised_moves_look_at_the_days_after_alone(place, horizon, seed):
    settings = ScenarioSettings(parts=(PartRules(name="one", selection=LookBack(scenarios=5)),))
    known = noisy(seed)
    now = RollingScenarios(histories=known, settings=settings).realised(np.array([place]), horizon)
    later = after_changed(known, place + horizon, seed)
    window = slice(place + 1, place + 1 + horizon)
    returns = known.returns.copy()
    returns[: place + 1] = 7.0
    other = replace(later, returns=np.where(np.arange(COUNT)[:, None] > place, later.returns, returns))
    then = RollingScenarios(histories=other, settings=settings).realised(np.array([place]), horizon)
    np.testing.assert_array_equal(now.moves, then.moves)
    np.testing.assert_array_equal(now.valid, then.valid)
    if place + horizon < COUNT:
        np.testing.assert_array_equal(now.valid[0], known.valid[window].all(axis=0))
        total = np.expm1(known.returns[window].sum(axis=0))
        np.testing.assert_allclose(now.moves[0], np.where(now.valid[0], total, 0.0), atol=1e-12)
    else:
        assert not now.valid.any()
