"""Scenario sets: which days, how they are scaled, over which horizon, in which parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from small_market import DAYS, small_market, walk, walks

from crossmargin.errors import InputError
from crossmargin.kernels.ewma import ewma_variances_numpy
from crossmargin.models.scenarios.build import ScenarioSettings, build_scenarios, scenarios_from_histories
from crossmargin.models.scenarios.filtered import (
    FilteredHistorical,
    filtered_returns,
    floor_days_available,
)
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.history_rules import HistoryRules
from crossmargin.models.scenarios.hypothetical import hypothetical_scenarios
from crossmargin.models.scenarios.part_rules import (
    AntiProcyclical,
    PartRules,
    anti_procyclical_of,
    hkscc_parts,
    parts_of_method,
)
from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioPart
from crossmargin.models.scenarios.selection import LookBack, StressPeriods, WorstDays

EXACT = 1e-12
COUNT = 600


@pytest.fixture(scope="module")
def histories():
    return make_histories(small_market(walks("AB", COUNT)), DAYS[COUNT - 1])


def plain(scenarios=100, **more):
    return ScenarioSettings(
        parts=parts_of_method("historical", selection=LookBack(scenarios=scenarios)), **more
    )


# Which days


def test_the_last_days(histories):
    scenarios = scenarios_from_histories(histories, plain())
    assert scenarios.labels == tuple(day.isoformat() for day in DAYS[COUNT - 100 : COUNT])
    np.testing.assert_allclose(scenarios.moves, np.expm1(histories.returns[-100:]), rtol=EXACT)
    assert [factor.code for factor in scenarios.factors] == ["spot:A", "spot:B"]
    assert scenarios.input_hash == histories.content_hash
    assert scenarios.method == "historical: historical simulation"


def test_as_many_days_as_there_are(histories):
    assert scenarios_from_histories(histories, plain(COUNT - 1)).size == COUNT - 1
    with pytest.raises(InputError, match="at most the 599 windows"):
        scenarios_from_histories(histories, plain(COUNT))


@pytest.mark.parametrize("scenarios", [10.5, 10.0, "10", True, None, float("nan"), 0])
def test_a_number_of_scenarios_that_is_none_is_refused(scenarios):
    with pytest.raises(InputError) as error:
        LookBack(scenarios=scenarios)
    (record,) = error.value.records
    assert (record.field, record.value) == ("scenarios", str(scenarios))
    assert record.rule == "a whole number from 1 to 100,000"
    assert LookBack(scenarios=np.int64(10)).scenarios == 10


def test_stress_periods(histories):
    periods = (("first", DAYS[10], DAYS[12]), ("second", DAYS[12], DAYS[13]))
    settings = ScenarioSettings(parts=parts_of_method("stress", selection=StressPeriods(periods=periods)))
    scenarios = scenarios_from_histories(histories, settings)
    assert scenarios.labels == tuple(day.isoformat() for day in DAYS[10:14])


@pytest.mark.parametrize(
    ("period", "words"),
    [
        (("early", date(2010, 1, 1), date(2010, 2, 1)), "histories begin"),
        (("starts too early", DAYS[0], DAYS[3]), "histories begin"),
        (("weekend", date(2014, 1, 4), date(2014, 1, 5)), "histories begin"),
    ],
)
def test_periods_without_days_are_refused(histories, period, words):
    settings = ScenarioSettings(parts=parts_of_method("stress", selection=StressPeriods(periods=(period,))))
    with pytest.raises(InputError, match=words):
        scenarios_from_histories(histories, settings)


def test_periods_that_end_before_they_start_are_refused():
    with pytest.raises(InputError, match="a first day up to the last day"):
        StressPeriods(periods=(("x", DAYS[2], DAYS[1]),))
    with pytest.raises(InputError, match="at least one period"):
        StressPeriods(periods=())


@pytest.mark.parametrize("horizon_days", [1, 3])
def test_the_worst_days_of_a_factor(histories, horizon_days):
    selection = WorstDays(factor="spot:B", scenarios=20, skip_days=50)
    settings = ScenarioSettings(
        parts=parts_of_method("stress", selection=selection), horizon_days=horizon_days
    )
    scenarios = scenarios_from_histories(histories, settings)
    returns = histories.returns[:, 1]
    windows = np.convolve(returns, np.ones(horizon_days))[:COUNT]
    worst = sorted(range(50, COUNT), key=lambda t: -abs(windows[t]))[:20]
    assert scenarios.labels == tuple(DAYS[t].isoformat() for t in sorted(worst))


def test_the_worst_days_of_nothing_are_refused(histories):
    for selection, words in (
        (WorstDays(factor="spot:Z"), "a risk factor of the histories"),
        (WorstDays(factor="spot:A", scenarios=400, skip_days=250), "at most the 350 windows"),
    ):
        with pytest.raises(InputError, match=words):
            scenarios_from_histories(
                histories, ScenarioSettings(parts=parts_of_method("stress", selection=selection))
            )


# Parts and tails


def test_the_blend_of_hkscc():
    """6 of 1,000 and 21 of 1,018 scenarios, weights 0.75 and 0.25 (guide §2 and §3.2.1)."""
    market = small_market(walks("AB", 2400))
    settings = ScenarioSettings(parts=hkscc_parts(WorstDays(factor="spot:A")))
    scenarios = build_scenarios(market, DAYS[2399], settings)
    assert [(part.name, part.size, part.tail_count, part.weight) for part in scenarios.parts] == [
        ("HVaR", 1000, 6, 0.75),
        ("SVaR", 1018, 21, 0.25),
    ]
    assert scenarios.method == "HVaR: filtered historical simulation; SVaR: historical simulation"
    assert scenarios.bounds.tolist() == [[0, 1000], [1000, 2018]]
    again = build_scenarios(market, DAYS[2399], settings)
    assert again.content_hash == scenarios.content_hash


@pytest.mark.parametrize(
    ("confidence", "scenarios", "tail"),
    [("0.99", 500, 5), ("0.99", 501, 6), ("0.975", 200, 5), ("0.95", 20, 1), ("0.997", 250, 1)],
)
def test_tails_are_counted_exactly(histories, confidence, scenarios, tail):
    parts = parts_of_method("historical", selection=LookBack(scenarios=scenarios), confidence=confidence)
    [part] = scenarios_from_histories(histories, ScenarioSettings(parts=parts)).parts
    assert part.tail_count == tail


@pytest.mark.parametrize(
    "confidence",
    [
        *("1", "0", "-0.5", "nan", "sure", 0.99, None, "", "0.", ".", "0.000", "1.0", "1e-1", "+0.9"),
        *("0.9_9", "0.٩", " 0.9", "0.9\n", "0." + "9" * 29),
    ],
)
def test_a_confidence_that_is_none_is_refused(confidence):
    with pytest.raises(InputError, match="confidence"):
        PartRules(name="x", selection=LookBack(), confidence=confidence)


@pytest.mark.parametrize("confidence", [".975", "0.5", "0.0000000001", "0." + "9" * 28])
def test_a_confidence_in_plain_digits(confidence):
    assert PartRules(name="x", selection=LookBack(), confidence=confidence).confidence == confidence


RESERVED = ["requirement", "account", "currency", "owner", "participant"]


@pytest.mark.parametrize("name", [*RESERVED, "", None, 3])
def test_a_part_that_is_called_like_another_column_is_refused(name):
    with pytest.raises(InputError, match="the name of a part"):
        PartRules(name=name, selection=LookBack())


def test_everything_wrong_with_a_part_is_listed():
    with pytest.raises(InputError) as error:
        PartRules(name="account", selection=LookBack(), confidence="2")
    assert [record.field for record in error.value.records] == ["confidence", "name"]


@pytest.mark.parametrize("name", RESERVED)
def test_a_set_refuses_such_names_too(histories, name):
    scenarios = scenarios_from_histories(histories, plain())
    with pytest.raises(InputError, match="the name of a part"):
        replace(scenarios, parts=(ScenarioPart(name, 0, 100, 1, 1.0),))


@pytest.mark.parametrize("second", ["the past", "the_past"])
def test_parts_of_one_name_are_refused(histories, second):
    """A blank is a line below in the table of margins."""
    first, other = (PartRules(name=name, selection=LookBack(), weight=0.5) for name in ("the past", second))
    for given in ({"parts": (first, other)}, {"anti_procyclical": AntiProcyclical(stressed=other)}):
        with pytest.raises(InputError, match="stands once among the parts"):
            ScenarioSettings(**({"parts": (first,)} | given))
    halves = (ScenarioPart("the past", 0, 50, 1, 0.5), ScenarioPart(second, 50, 100, 1, 0.5))
    with pytest.raises(InputError, match="stands once among the parts"):
        replace(scenarios_from_histories(histories, plain()), parts=halves)


def test_settings_without_a_part_make_no_set(histories):
    with pytest.raises(InputError, match="at least one part"):
        scenarios_from_histories(histories, ScenarioSettings(parts=()))


def test_methods_by_name():
    assert parts_of_method("fhs")[0].filtering == FilteredHistorical()
    assert parts_of_method("historical")[0].filtering is None
    for method in ("stress", "magic"):
        with pytest.raises(InputError, match=method):
            parts_of_method(method)


# Filtering


def test_filtered_returns_by_their_formula(histories):
    filtering = FilteredHistorical(decay=0.9, warm_up_days=30, ratio_min=0.9, ratio_max=1.1)
    variances = ewma_variances_numpy(histories.returns, histories.valid, 0.9, 30)
    ratio = np.sqrt(variances[-1] / variances[:-1]).clip(0.9, 1.1)
    assert {0.9, 1.1} <= set(ratio.ravel().tolist())
    np.testing.assert_allclose(filtered_returns(histories, filtering), histories.returns * ratio, rtol=1e-13)


def test_a_set_of_filtered_scenarios(histories):
    filtering = FilteredHistorical(warm_up_days=100)
    parts = parts_of_method("fhs", selection=LookBack(scenarios=400), filtering=filtering)
    scenarios = scenarios_from_histories(histories, ScenarioSettings(parts=parts))
    filtered = filtered_returns(histories, filtering)
    np.testing.assert_allclose(scenarios.moves, np.expm1(filtered[-400:]), rtol=EXACT)
    assert dict(scenarios.settings)["filtered historical.filtering.decay"] == "0.97"


def test_no_return_scales_itself(histories):
    """A larger last return raises σ_T, but its own ratio is σ_T ÷ the volatility known before it."""
    shocked = histories.returns.copy()
    shocked[-1, 0] = 0.2
    filtering = FilteredHistorical(ratio_max=1000.0)
    ratio = filtered_returns(replace(histories, returns=shocked), filtering)[-1, 0] / 0.2
    known = ewma_variances_numpy(histories.returns, histories.valid, 0.97, 250)[-2, 0]
    last = 0.97 * known + 0.03 * 0.2**2
    assert ratio == pytest.approx(np.sqrt(last / known), rel=1e-12)


def test_what_never_moved_stays(histories):
    still = replace(histories, returns=np.zeros_like(histories.returns))
    assert not filtered_returns(still, FilteredHistorical()).any()


def suspended_market(days, *, priced):
    """A walks 600 days and then stands, with prices or without all but the last; B walks on."""
    walked = walk(1, 600).tolist()
    count = 600 + days
    stand = [*range(600, count)] if priced else [count - 1]
    series = {"A": ([*DAYS[:600], *(DAYS[t] for t in stand)], [*walked, *[walked[-1]] * len(stand)])}
    return small_market(series | {"B": (DAYS[:count], walk(2, count).tolist())})


@pytest.mark.parametrize("priced", [True, False], ids=["unchanged", "no price"])
@pytest.mark.parametrize("floor_days", [0, 400])
def test_a_suspension_does_not_calm_a_name(priced, floor_days):
    """After 60 days on which A stood, its scenarios are as wide as on the last day on which it traded."""
    filtering = FilteredHistorical(floor_days=floor_days)
    before = make_histories(suspended_market(0, priced=True), DAYS[599])
    after = make_histories(suspended_market(60, priced=priced), DAYS[659])
    traded = filtered_returns(before, filtering)[:, 0]
    assert np.array_equal(filtered_returns(after, filtering)[:600, 0], traded)
    assert floor_days_available(after, 10_000)[0] == 599
    counted = replace(after, stale=np.zeros_like(after.stale))
    calmed = filtered_returns(counted, FilteredHistorical())[:600, 0]
    assert calmed.std() < 0.6 * traded.std()  # what it would be if zeros counted: √0.97^60 = 0.4


def test_a_few_unchanged_days_are_calm_days():
    after = make_histories(suspended_market(9, priced=True), DAYS[608])
    before = make_histories(suspended_market(0, priced=True), DAYS[599])
    sizes = [np.abs(filtered_returns(one, FilteredHistorical())[:600, 0]).sum() for one in (before, after)]
    assert sizes[1] == pytest.approx(sizes[0] * 0.97**4.5, rel=0.02)


def test_days_on_which_a_name_stood_are_no_warm_up():
    """299 returns before the scenarios, but only 199 of days on which A traded."""
    closes = walk(1, 400).tolist()
    closes[100:200] = [closes[99]] * 100
    market = small_market({"A": (DAYS[:400], closes), "B": (DAYS[:400], walk(2, 400).tolist())})
    kept = {}
    for warm_up_days in (199, 200):
        filtering = FilteredHistorical(warm_up_days=warm_up_days)
        parts = parts_of_method("fhs", selection=LookBack(scenarios=100), filtering=filtering)
        factors = build_scenarios(market, DAYS[399], ScenarioSettings(parts=parts)).factors
        kept[warm_up_days] = [factor.name for factor in factors]
    assert kept == {199: ["A", "B"], 200: ["B"]}


def test_the_warm_up_must_be_there(histories):
    filtering = FilteredHistorical(warm_up_days=250)
    parts = parts_of_method("fhs", selection=LookBack(scenarios=349), filtering=filtering)
    assert scenarios_from_histories(histories, ScenarioSettings(parts=parts)).size == 349
    parts = parts_of_method("fhs", selection=LookBack(scenarios=350), filtering=filtering)
    with pytest.raises(InputError, match="warm-up"):
        scenarios_from_histories(histories, ScenarioSettings(parts=parts))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("decay", 0.0),
        ("decay", "0.97"),
        ("decay", 1.0),
        ("decay", float("nan")),
        ("warm_up_days", 0),
        ("warm_up_days", 100.0),
        ("ratio_max", None),
        ("ratio_min", 1.1),
        ("ratio_max", 0.9),
    ],
)
def test_filters_out_of_range_are_refused(field, value):
    with pytest.raises(InputError, match=field):
        FilteredHistorical(**{field: value})


# Horizon


@pytest.mark.parametrize("returns", ["log", "simple"])
def test_overlapping_windows_are_price_ratios(returns):
    market = small_market(walks("AB", 300))
    histories = make_histories(market, DAYS[299], HistoryRules(returns=returns))
    scenarios = scenarios_from_histories(histories, plain(50, horizon_days=5))
    levels = histories.levels
    np.testing.assert_allclose(scenarios.moves, levels[-50:] / levels[-55:-5] - 1, rtol=1e-9, atol=1e-14)
    assert scenarios.horizon_days == 5


def test_square_root_of_time(histories):
    scenarios = scenarios_from_histories(histories, plain(50, horizon_days=4, horizon_method="square root"))
    np.testing.assert_allclose(scenarios.moves, np.expm1(2 * histories.returns[-50:]), rtol=EXACT)
    assert scenarios.horizon_days == 4


def test_differences_of_rates_add_up():
    rates = pl.DataFrame(
        {"date": DAYS[:20], "currency": ["USD"] * 20, "days": [30] * 20, "rate": np.arange(20) / 1e3}
    )
    market = small_market(walks("A", 20), rates=rates)
    for returns in ("log", "simple"):
        settings = plain(10, horizon_days=3, rules=HistoryRules(returns=returns))
        scenarios = build_scenarios(market, DAYS[19], settings)
        assert scenarios.moves[:, scenarios.columns["rate:USD:30"]] == pytest.approx([0.003] * 10, abs=EXACT)


def test_simple_returns_that_lose_everything_are_refused():
    closes = walk(1, 400, daily=0.001).tolist()
    closes[150:] = [price * 0.45 for price in closes[150:]]
    closes[399] *= 1.5
    market = small_market({"A": (DAYS[:400], closes)})
    parts = parts_of_method(
        "fhs", selection=LookBack(scenarios=300), filtering=FilteredHistorical(warm_up_days=50)
    )
    settings = ScenarioSettings(parts=parts, rules=HistoryRules(returns="simple"))
    with pytest.raises(InputError, match="above -1"):
        build_scenarios(market, DAYS[399], settings)
    logs = build_scenarios(market, DAYS[399], replace(settings, rules=HistoryRules()))
    assert -1 < logs.moves.min() < -0.8


# Short histories


def short_market():
    series = walks("AB", 300) | {"N": (DAYS[250:300], walk(8, 50).tolist())}
    return small_market(series)


def test_short_histories_are_left_out_and_listed():
    scenarios = build_scenarios(short_market(), DAYS[299], plain(100))
    assert [factor.name for factor in scenarios.factors] == ["A", "B"]
    settings = dict(scenarios.settings)
    assert settings["left out"] == "spot:N"
    assert settings["findings.starts late"] == "1"
    assert "N" in [factor.name for factor in build_scenarios(short_market(), DAYS[299], plain(49)).factors]


def test_short_histories_are_refused():
    with pytest.raises(InputError, match="spot:N"):
        build_scenarios(short_market(), DAYS[299], plain(100, short_histories="refuse"))


def test_nothing_left_is_refused():
    market = small_market(
        {"A": (DAYS[:50] + DAYS[60:100], walk(1, 90).tolist()), "B": (DAYS[50:60], [1.0] * 10)}
    )
    with pytest.raises(InputError, match="spot:A"):
        build_scenarios(market, DAYS[99], plain(80, rules=HistoryRules(missing_days="leave out")))


def test_proxied_factors_say_so():
    series = walks("X", 300) | {"N": (DAYS[200:300], walk(8, 100).tolist())}
    market = small_market(series, underlyings={"N": {"proxy": "X"}})
    marks = {}
    for count in (99, 100):
        factors = build_scenarios(market, DAYS[299], plain(count)).factors
        marks[count] = {factor.name: factor.proxied for factor in factors}
    assert marks == {99: {"N": False, "X": False}, 100: {"N": True, "X": False}}


# Anti-procyclical measures


def test_the_buffer_travels_with_the_set(histories):
    for drawn, multiplier in ((0.0, 1.25), (1.0, 1.0), (0.4, 1.15)):
        options = AntiProcyclical(buffer_rate=0.25, buffer_drawn=drawn)
        scenarios = scenarios_from_histories(histories, plain(anti_procyclical=options))
        assert anti_procyclical_of(scenarios.settings).multiplier == pytest.approx(multiplier, abs=1e-15)
    assert anti_procyclical_of(scenarios_from_histories(histories, plain()).settings).multiplier == 1.0


def test_the_buffer_by_itself():
    """0.1 as it was given, not 1.1 − 1 = 0.10000000000000009."""
    assert AntiProcyclical(buffer_rate=0.1).buffer == 0.1
    assert AntiProcyclical(buffer_rate=0.5, buffer_drawn=0.5).buffer == 0.25
    assert AntiProcyclical().buffer == 0.0


def test_a_stressed_part_takes_its_weight(histories):
    stressed = PartRules(
        name="stressed", selection=WorstDays(factor="spot:A", scenarios=40), confidence="0.975", weight=0.25
    )
    options = AntiProcyclical(stressed=stressed)
    scenarios = scenarios_from_histories(histories, plain(anti_procyclical=options))
    assert [(part.name, part.size, part.tail_count, part.weight) for part in scenarios.parts] == [
        ("historical", 100, 1, 0.75),
        ("stressed", 40, 1, 0.25),
    ]


def test_the_floor_of_volatility():
    """A calm end after a wild start: σ_T is the root mean square of the last 500 returns, not today's."""
    rng = np.random.default_rng(5)
    moves = rng.standard_normal(600) * np.where(np.arange(600) < 400, 0.03, 0.005)
    market = small_market({"A": (DAYS[:600], np.round(100 * np.exp(np.cumsum(moves)), 6).tolist())})
    histories = make_histories(market, DAYS[599])
    filtering = FilteredHistorical(warm_up_days=50)
    parts = parts_of_method("fhs", selection=LookBack(scenarios=100), filtering=filtering)
    free = ScenarioSettings(parts=parts)
    floored = replace(free, anti_procyclical=AntiProcyclical(floor_days=500))
    sets = [scenarios_from_histories(histories, settings) for settings in (free, floored)]
    floor = np.sqrt(np.mean(histories.returns[-500:, 0] ** 2))
    today = np.sqrt(ewma_variances_numpy(histories.returns, histories.valid, 0.97, 50)[-1, 0])
    assert floor > 3 * today
    known = np.sqrt(ewma_variances_numpy(histories.returns, histories.valid, 0.97, 50)[-101:-1, 0])
    ratio = np.minimum(floor / known, filtering.ratio_max)
    np.testing.assert_allclose(sets[1].moves[:, 0], np.expm1(histories.returns[-100:, 0] * ratio), rtol=1e-9)
    assert dict(sets[1].settings)["filtered historical.floor days of the shortest factor"] == "500"
    longer = replace(free, anti_procyclical=AntiProcyclical(floor_days=2500))
    noted = dict(scenarios_from_histories(histories, longer).settings)
    assert noted["filtered historical.floor days of the shortest factor"] == "599"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("buffer_rate", -0.1),
        ("buffer_rate", "0.1"),
        ("buffer_drawn", 1.1),
        ("floor_days", -1),
        ("floor_days", 9.5),
    ],
)
def test_anti_procyclical_settings_out_of_range_are_refused(field, value):
    with pytest.raises(InputError, match=field):
        AntiProcyclical(**{field: value})


# Hypothetical scenarios

FACTORS = (RiskFactor("spot", "HSI"), RiskFactor("spot", "700"), RiskFactor("volatility", "HSI", 30))


def test_hypothetical_scenarios():
    table = {
        "label": ["crash", "crash", "crash", "rally"],
        "factor": ["spot:700", "spot:*", "volatility:HSI:30", "spot:HSI"],
        "move": [-0.3, -0.2, 0.5, 0.1],
    }
    scenarios = hypothetical_scenarios(table, FACTORS, date(2024, 1, 2), horizon_days=2)
    assert scenarios.labels == ("crash", "rally")
    assert scenarios.moves.tolist() == [[-0.2, -0.3, 0.5], [0.1, 0.0, 0.0]]
    assert [(part.size, part.tail_count, part.weight) for part in scenarios.parts] == [(2, 1, 1.0)]
    assert scenarios.horizon_days == 2


@pytest.mark.parametrize(
    ("factor", "move", "words"),
    [
        ("spot:9988", 0.1, "a risk factor of the set"),
        ("rate:*", 0.1, "a risk factor of the set"),
        ("spot:HSI", -1.0, "above -1"),
        ("spot:HSI", float("nan"), "finite"),
    ],
)
def test_bad_hypothetical_scenarios_are_refused(factor, move, words):
    with pytest.raises(InputError, match=words):
        hypothetical_scenarios(
            {"label": ["x"], "factor": [factor], "move": [move]}, FACTORS, date(2024, 1, 2)
        )


def test_hypothetical_scenarios_stand_once_and_at_all():
    twice = {"label": ["x", "x"], "factor": ["spot:HSI"] * 2, "move": [0.1, 0.2]}
    with pytest.raises(InputError, match="stands once"):
        hypothetical_scenarios(twice, FACTORS, date(2024, 1, 2))
    empty = pl.DataFrame(schema={"label": pl.String, "factor": pl.String, "move": pl.Float64})
    with pytest.raises(InputError, match="at least one row"):
        hypothetical_scenarios(empty, FACTORS, date(2024, 1, 2))
