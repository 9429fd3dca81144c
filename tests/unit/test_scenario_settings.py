"""Settings of the scenario engine from a TOML file: what each table does, and that all that is wrong is told."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from textwrap import dedent

import pytest

from crossmargin.errors import InputError
from crossmargin.formats.scenario_settings import METHODS, engine_settings, read_engine_settings
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.scenarios.filtered import FilteredHistorical
from crossmargin.models.scenarios.history_rules import HistoryRules
from crossmargin.models.scenarios.part_rules import AntiProcyclical
from crossmargin.models.scenarios.selection import LookBack, StressPeriods, WorstDays

FACTOR = "spot:HSI"

EVERY_TABLE = """
horizon_days = 2
horizon_method = "square root"
short_histories = "refuse"

[history]
kinds = ["spot", "rate"]
bad_prints = "keep"
split_tolerance = 0
seed = 5

[filtering]
decay = 0.94
warm_up_days = 30

[look_back]
scenarios = 500

[stress]
factor = "spot:0005"
scenarios = 100
skip_days = 10

[parts]
confidence = "0.99"
stress_confidence = ".975"
weight = 0.6
filter_stressed = true

[anti_procyclical]
buffer_rate = 0.25
buffer_drawn = 0.4
floor_days = 2500

[revaluation]
precision = "float64"
smile = "delta"
slope_response = -0.4
stale_days = 3
"""


def settings_in(tmp_path, text, method="blend"):
    path = tmp_path / "engine.toml"
    path.write_text(text)
    return read_engine_settings(path, method, FACTOR)


def refused(tmp_path, text, method="blend"):
    """Field and rule of everything that is wrong, the file named in each."""
    with pytest.raises(InputError) as error:
        settings_in(tmp_path, text, method)
    assert {record.file for record in error.value.records} == {str(tmp_path / "engine.toml")}
    return [(record.field, record.rule) for record in error.value.records]


def test_a_file_without_a_key_is_the_defaults(tmp_path):
    for method in METHODS:
        assert settings_in(tmp_path, "# nothing\n", method) == engine_settings(method, FACTOR)
    chosen = engine_settings("blend", FACTOR)
    assert chosen.revaluation == RevaluationSettings()
    assert chosen.scenarios.rules == HistoryRules()
    assert chosen.scenarios.anti_procyclical == AntiProcyclical()


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        ("fhs", [("filtered historical", "0.994", 1.0, LookBack(), FilteredHistorical())]),
        ("historical", [("historical", "0.994", 1.0, LookBack(), None)]),
        ("stress", [("stress", "0.98", 1.0, WorstDays(factor=FACTOR), None)]),
        (
            "blend",
            [
                ("filtered historical", "0.994", 0.75, LookBack(), FilteredHistorical()),
                ("stress", "0.98", 0.25, WorstDays(factor=FACTOR), None),
            ],
        ),
    ],
)
def test_the_parts_of_a_method(method, parts):
    made = engine_settings(method, FACTOR).scenarios.parts
    assert [(p.name, p.confidence, p.weight, p.selection, p.filtering) for p in made] == parts


def test_every_table_reaches_its_settings(tmp_path):
    chosen = settings_in(tmp_path, EVERY_TABLE)
    scenarios = chosen.scenarios
    filtering = FilteredHistorical(decay=0.94, warm_up_days=30)
    assert (scenarios.horizon_days, scenarios.horizon_method) == (2, "square root")
    assert scenarios.short_histories == "refuse"
    assert scenarios.rules == HistoryRules(
        kinds=("spot", "rate"), bad_prints="keep", split_tolerance=0, seed=5
    )
    assert scenarios.anti_procyclical == AntiProcyclical(buffer_rate=0.25, buffer_drawn=0.4, floor_days=2500)
    recent, stress = scenarios.parts
    assert recent.selection == LookBack(scenarios=500)
    assert stress.selection == WorstDays(factor="spot:0005", scenarios=100, skip_days=10)
    assert (recent.confidence, stress.confidence) == ("0.99", ".975")
    assert (recent.weight, stress.weight) == (0.6, 0.4)
    assert recent.filtering == stress.filtering == filtering
    assert chosen.revaluation == RevaluationSettings(
        precision="float64", smile="delta", slope_response=-0.4, stale_days=3
    )


def test_stressed_days_by_period(tmp_path):
    text = '[stress]\nperiods = [["2008", 2008-09-01, 2009-03-31], ["2020", 2020-02-20, 2020-04-30]]\n'
    (part,) = settings_in(tmp_path, text, "stress").scenarios.parts
    assert part.selection == StressPeriods(
        periods=(
            ("2008", date(2008, 9, 1), date(2009, 3, 31)),
            ("2020", date(2020, 2, 20), date(2020, 4, 30)),
        )
    )


def test_everything_that_is_wrong_in_any_table_is_listed(tmp_path):
    text = """
        horizon_days = 0
        horizon_method = "cube root"
        seed = 1
        [history]
        returns = "real"
        missing_days = "fill"
        seed = -1
        sede = 1
        [filtering]
        decay = nan
        warm_up_days = 1.5
        ratio_max = 0.5
        [look_back]
        scenarios = 0
        [stress]
        scenarios = "all"
        [parts]
        weight = 1.5
        confidence = "1"
        stress_confidence = 0.98
        filter_stressed = 1
        [anti_procyclical]
        buffer_drawn = 2
        stressed = "yes"
        [revaluation]
        precision = "float16"
        smile = "vega"
        slope_response = inf
        decay_days = -1
    """
    fields_refused = [field for field, _ in refused(tmp_path, dedent(text))]
    assert fields_refused == sorted(
        [
            "horizon_days",
            "horizon_method",
            "seed",
            "history.returns",
            "history.missing_days",
            "history.seed",
            "history.sede",
            "filtering.decay",
            "filtering.warm_up_days",
            "filtering.ratio_max",
            "look_back.scenarios",
            "stress.scenarios",
            "parts.weight",
            "parts.confidence",
            "parts.stress_confidence",
            "parts.filter_stressed",
            "anti_procyclical.buffer_drawn",
            "anti_procyclical.stressed",
            "revaluation.precision",
            "revaluation.smile",
            "revaluation.slope_response",
            "revaluation.decay_days",
        ]
    )


@pytest.mark.parametrize(
    ("text", "field", "rule"),
    [
        ("history = 1\n", "history", "a table"),
        ("[historie]\n", "historie", "one of horizon_days, "),
        ('[history]\nkinds = "spot"\n', "history.kinds", "a value like ("),
        ('[history]\nkinds = ["spots"]\n', "history.kinds", "one of spot, volatility"),
        ("[history]\nkinds = [1]\n", "history.kinds", "a value like ("),
        ("[filtering]\ndecay = true\n", "filtering.decay", "a value like 0.97"),
        ("[filtering]\ndecay = 1\n", "filtering.decay", "above 0 and below 1"),
        ('[parts]\nconfidence = "0"\n', "parts.confidence", "a decimal text above 0 and below 1"),
        ('[parts]\nconfidence = "0.000"\n', "parts.confidence", "a decimal text above 0 and below 1"),
        ('[parts]\nconfidence = "1e-999999999"\n', "parts.confidence", "of at most 10 digits"),
        ("[stress]\nfactor = 5\n", "stress.factor", "text"),
        ("[stress]\nperiods = []\n", "stress.periods", "at least one period"),
        ('[stress]\nperiods = ["2008"]\n', "stress.periods", "an array of [name, first day, last day]"),
        (
            '[stress]\nperiods = [["a", 2008-01-02T00:00:00, 2008-01-03]]\n',
            "stress.periods",
            "an array of [name, first day, last day]",
        ),
        ('[stress]\nperiods = [["a", 2008-01-03, 2008-01-02]]\n', "stress.periods", "a first day up to"),
        ("horizon_days = [1]\n", "horizon_days", "a value like 1"),
        ("horizon_days = 1e3\n", "horizon_days", "a value like 1"),
    ],
)
def test_a_value_that_is_refused(tmp_path, text, field, rule):
    ((named, broken),) = refused(tmp_path, text)
    assert named == field
    assert rule in broken


def test_periods_beside_the_worst_days_of_a_factor_are_refused(tmp_path):
    text = '[stress]\nfactor = "spot:HSI"\nscenarios = 5\nperiods = [["a", 2008-01-02, 2008-01-03]]\n'
    rule = "periods, or the worst days of a factor; not both"
    assert refused(tmp_path, text) == [("stress.factor", rule), ("stress.scenarios", rule)]


def test_what_is_no_toml_is_refused_with_its_line(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text("[history]\nseed = \n")
    with pytest.raises(InputError) as error:
        read_engine_settings(path, "blend", FACTOR)
    (record,) = error.value.records
    assert (record.file, record.line, record.value) == (str(path), 2, "seed = ")


def test_a_method_that_is_none_is_refused():
    with pytest.raises(InputError, match="one of fhs, historical, stress, blend"):
        engine_settings("hs", FACTOR)


@pytest.mark.parametrize(
    ("table", "kind"),
    [("history", HistoryRules), ("filtering", FilteredHistorical), ("revaluation", RevaluationSettings)],
)
def test_the_default_of_every_field_may_be_written_down(table, kind):
    given = {
        item.name: list(item.default) if isinstance(item.default, tuple) else item.default
        for item in fields(kind)
    }
    assert engine_settings("blend", FACTOR, {table: given}) == engine_settings("blend", FACTOR)
