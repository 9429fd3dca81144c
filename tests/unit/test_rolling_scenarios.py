"""Scenario sets of many past days: each is the set that is made from the histories up to that day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from small_market import DAYS, small_market, walks

from crossmargin.errors import InputError
from crossmargin.kernels.rolling_moves import scaled_moves, scaled_moves_numpy
from crossmargin.models.scenarios.build import ScenarioSettings, scenarios_from_histories
from crossmargin.models.scenarios.filtered import FilteredHistorical
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.history_rules import HistoryRules
from crossmargin.models.scenarios.part_rules import AntiProcyclical, PartRules, parts_of_method
from crossmargin.models.scenarios.rolling import RollingScenarios
from crossmargin.models.scenarios.selection import LookBack, StressPeriods, WorstDays

COUNT = 600
FILTER = FilteredHistorical(warm_up_days=50)
WORST = WorstDays(factor="spot:A", scenarios=80, skip_days=130)
PERIODS = StressPeriods(
    periods=(("one", DAYS[130], DAYS[170]), ("two", DAYS[160], DAYS[180]), ("long", DAYS[200], DAYS[520]))
)
RECENT = PartRules(name="recent", selection=LookBack(scenarios=150), weight=0.75, filtering=FILTER)


def parts(*, weight=0.25, selection=WORST, filtering=None):
    stress = PartRules(
        name="stress", selection=selection, confidence="0.98", weight=weight, filtering=filtering
    )
    return (RECENT, stress)


CASES = {
    "worst days": ScenarioSettings(parts=parts()),
    "two days": ScenarioSettings(parts=parts(), horizon_days=2),
    "square root": ScenarioSettings(parts=parts(), horizon_days=5, horizon_method="square root"),
    "all scaled": ScenarioSettings(parts=parts(filtering=FILTER), horizon_days=3),
    "periods": ScenarioSettings(parts=parts(selection=PERIODS, filtering=FILTER), horizon_days=2),
    "floor, buffer and stressed part": ScenarioSettings(
        parts=(replace(RECENT, weight=1.0),),
        anti_procyclical=AntiProcyclical(
            buffer_rate=0.25, floor_days=120, stressed=PartRules(name="S", selection=WORST, weight=0.25)
        ),
    ),
    "plain": ScenarioSettings(parts=parts_of_method("historical", selection=LookBack(scenarios=99))),
}
COMPARED = ("as_of", "horizon_days", "factors", "labels", "parts", "method", "settings")


@pytest.fixture(scope="module", params=["log", "simple"])
def histories(request):
    """Three series, one of them listed late, one with days that do not count."""
    series = walks("AB", COUNT) | walks("C", COUNT - 61, first=61)
    days, closes = series["B"]
    closes = np.array(closes)
    closes[300:330] = closes[300]
    market = small_market(series | {"B": (days, closes.tolist())})
    return make_histories(market, DAYS[COUNT - 1], HistoryRules(returns=request.param))


def equal(left, right):
    assert [getattr(left, name) for name in COMPARED] == [getattr(right, name) for name in COMPARED]
    np.testing.assert_array_equal(left.moves, right.moves)


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_each_set_is_that_of_the_histories_until_its_day(histories, settings):
    rolling = RollingScenarios(histories=histories, settings=settings)
    first = rolling.first_place
    kept = set()
    for place in (first, first + 1, 330, 450, 521, COUNT - 1):
        scenarios = rolling.on(place)
        equal(scenarios, scenarios_from_histories(histories.until(DAYS[place], refit=False), settings))
        kept.add(len(scenarios.factors))
    assert kept == {2, 3}, "a factor with a short history is left out at first"


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_the_first_place_is_the_first_that_the_slow_route_takes(histories, settings):
    first = RollingScenarios(histories=histories, settings=settings).first_place
    scenarios_from_histories(histories.until(DAYS[first]), settings)
    with pytest.raises(InputError):
        scenarios_from_histories(histories.until(DAYS[first - 1]), settings)


def test_what_is_refused_is_what_the_slow_route_refuses(histories):
    for settings in (
        replace(CASES["worst days"], short_histories="refuse"),
        ScenarioSettings(parts=parts(selection=replace(WORST, factor="spot:none"))),
        ScenarioSettings(parts=parts(selection=replace(WORST, scenarios=400))),
        ScenarioSettings(parts=parts(selection=StressPeriods(periods=(("later", DAYS[590], DAYS[595]),)))),
    ):
        with pytest.raises(InputError) as slow:
            scenarios_from_histories(histories.until(DAYS[250]), settings)
        with pytest.raises(InputError) as fast:
            RollingScenarios(histories=histories, settings=settings).on(250)
        assert str(fast.value) == str(slow.value)


def test_no_part_is_refused(histories):
    with pytest.raises(InputError, match="at least one part"):
        RollingScenarios(histories=histories, settings=ScenarioSettings(parts=()))


def test_days_are_places(histories):
    rolling = RollingScenarios(histories=histories, settings=CASES["plain"])
    assert rolling.place_of(DAYS[300]) == 300
    assert rolling.place_of(date(2099, 1, 1)) == COUNT - 1


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_realised_moves_are_those_of_the_days_after(histories, horizon):
    rolling = RollingScenarios(histories=histories, settings=CASES["plain"])
    places = np.array([40, 60, 200, COUNT - 1 - horizon, COUNT - horizon, COUNT - 1])
    moves, valid = rolling.realised(places, horizon)
    assert valid[:, 0].tolist() == [True, True, True, True, False, False]
    assert valid[:, 2].tolist() == [False, False, True, True, False, False], "C is listed on day 61"
    assert not moves[~valid].any()
    for place, row, known in zip(places, moves, valid, strict=True):
        if known.all():
            expected = histories.levels[place + horizon] / histories.levels[place] - 1
            np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-15)


def test_input_hashes_tell_days_and_data_apart(histories):
    rolling = RollingScenarios(histories=histories, settings=CASES["plain"])
    assert rolling.on(300).input_hash != rolling.on(301).input_hash
    returns = histories.returns.copy()
    returns[50, 0] += 1e-9
    changed = RollingScenarios(histories=replace(histories, returns=returns), settings=CASES["plain"])
    assert rolling.on(300).input_hash != changed.on(300).input_hash


def test_scaled_moves_are_their_twin():
    rng = np.random.default_rng(3)
    returns = rng.standard_normal((5, 80)) * 0.01
    variances = rng.uniform(0.5, 2.0, (5, 81)) * 1e-4
    variances[2, :40] = 0.0
    last, multiplies = variances[:, -1].copy(), np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    for ends in (np.arange(50, 80), np.array([4, 9, 30, 79])):
        for window in (1, 2, 5):
            ours, theirs = np.zeros((2, 5, 30))
            arguments = (returns, variances, last, multiplies, ends, window, 0.8, 1.3)
            scaled_moves(*arguments, ours)
            scaled_moves_numpy(*arguments, theirs)
            np.testing.assert_array_equal(ours, theirs)
