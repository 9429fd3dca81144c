"""The library of stress scenarios, and files of scenarios: every bad record, with its line."""

from __future__ import annotations

import datetime as dt
from importlib import resources
from pathlib import Path

import pytest

from crossmargin.errors import InputError
from crossmargin.formats.stress_files import (
    LIBRARY_FILES,
    read_stress_scenarios,
    stress_library,
    stress_scenarios_of_table,
)
from crossmargin.formats.toml_files import read_toml
from crossmargin.programmes.stress.library import IndexExtremes, MoveRow, StressScenario, parse_target

GOOD = """
[sectors.chips]
"981" = "a maker of chips"

[[scenario]]
name = "one"
family = "theme"
source = "a source"
rationale = "Chips fall."
confidence = "low"
moves = [{ targets = ["spot:sector:chips"], move = -0.25 }, { targets = ["spot:index:*"], basket = -0.01 }]

[[scenario]]
name = "two"
family = "historical"
source = "a source"
rationale = "It happened."
confidence = "high"
day = 2008-10-27
index_move = -0.127
"""

STATED = {
    "name": "one",
    "family": "hypothetical",
    "source": "a source",
    "rationale": "It falls.",
    "confidence": "low",
    "moves": [{"targets": ["spot:*"], "move": -0.1}],
}


def written(tmp_path, text, name="scenarios.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(*scenarios, **top):
    with pytest.raises(InputError) as caught:
        stress_scenarios_of_table({"scenario": list(scenarios), **top}, "x.toml")
    return {(one.field, one.value) for one in caught.value.records}


def size_of(library, name, target):
    (scenario,) = [one for one in library if one.name == name]
    return [row.size for row in scenario.moves if target in row.targets]


def test_the_library_says_of_every_scenario_why():
    library = stress_library()
    assert {one.family for one in library} == {"historical", "hypothetical", "theme"}
    assert len({one.name for one in library}) == len(library) >= 40
    assert all(len(one.rationale) > 60 and len(one.source) > 20 for one in library)
    themes = [one for one in library if one.family == "theme"]
    assert len(themes) == 7
    assert all(one.confidence == "low" for one in themes)


def test_published_ranges_are_in_the_library():
    library = stress_library()
    for index in (-0.20, 0.20):
        for volatility in (-0.24, 0.43):
            name = f"index {index:+.0%}, volatility {volatility:+.0%}"
            assert size_of(library, name, "spot:index:*") == [index]
            assert size_of(library, name, "volatility:*") == [volatility]
    assert size_of(library, "all prices -22%", "spot:*") == [-0.22]
    assert size_of(library, "largest member +56%", "spot:rank:1") == [0.56]
    assert size_of(library, "foreign currencies -9%", "exchange_rate:*") == [-0.09]


def test_a_file_is_read(tmp_path):
    first, second = read_stress_scenarios([written(tmp_path, GOOD)])
    assert first.codes() == {"chips": ("981",)}
    assert first.moves[1] == MoveRow(targets=("spot:index:*",), how="basket", size=-0.01)
    assert second.past == dt.date(2008, 10, 27)
    assert second.index_move == -0.127


def test_every_bad_record_of_every_file_is_listed_with_its_line(tmp_path):
    bad = GOOD.replace("move = -0.25", "move = -1.0").replace('family = "historical"', 'family = "past"')
    other = '[[scenario]]\nname = "three"\nunknown = 1\n'
    paths = [written(tmp_path, bad, "bad.toml"), written(tmp_path, other, "other.toml")]
    with pytest.raises(InputError) as caught:
        read_stress_scenarios(paths)
    found = {(one.file.rsplit("/", 1)[-1], one.line, one.field) for one in caught.value.records}
    assert ("bad.toml", 5, "scenario.0.moves.0.move") in found
    assert ("bad.toml", 13, "scenario.1.family") in found
    assert ("other.toml", 1, "scenario.0.unknown") in found
    assert ("other.toml", 1, "scenario.0.family") in found


def test_a_name_stands_once_among_all_files(tmp_path):
    path = written(tmp_path, GOOD)
    with pytest.raises(InputError) as caught:
        read_stress_scenarios([path, path])
    assert [one.value for one in caught.value.records] == ["one", "two"]


def test_a_row_has_one_size_and_targets_that_mean_something():
    rows = [
        {"targets": ["spot:*"]},
        {"targets": ["spot:*"], "move": 0.1, "beta": 0.1},
        {"targets": ["rate:HKD"], "beta": 0.1},
        {"targets": [], "move": 0.1},
        {"targets": ["spot:rank:0", "price:*", "spot:sector:none", "rate:index:*"], "move": 0.1},
        {"targets": ["rate:HKD"], "move": 1.5},
    ]
    found = refused(STATED | {"moves": rows})
    assert ("scenario.0.moves.0", "none") in found
    assert ("scenario.0.moves.1", "move, beta") in found
    assert ("scenario.0.moves.2.beta", "rate:HKD") in found
    assert ("scenario.0.moves.3.targets", "none") in found
    assert {("scenario.0.moves.4.targets", text) for text in rows[4]["targets"]} <= found
    assert ("scenario.0.moves.5.move", "1.5") in found


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"moves": []}, "scenario.0.family"),
        ({"day": dt.date(2008, 10, 27)}, "scenario.0.family"),
        ({"index_move": -0.1}, "scenario.0.index_move"),
        ({"name": " one"}, "scenario.0.name"),
        ({"confidence": "certain"}, "scenario.0.confidence"),
        ({"moves": [{"targets": ["spot:*"], "move": True}]}, "scenario.0.moves.0.move"),
        ({"moves": [{"targets": ["spot:*"], "move": float("nan")}]}, "scenario.0.moves.0.move"),
        ({"day": dt.datetime(2008, 10, 27, 9)}, "scenario.0.day"),  # noqa: DTZ001
        ({"extremes": {"direction": "down", "count": 3}}, "scenario.0.extremes.direction"),
        ({"extremes": {"direction": "fall", "count": 0}}, "scenario.0.extremes.count"),
    ],
)
def test_what_is_refused(change, field):
    assert field in {where for where, _ in refused(STATED | change)}


def test_days_are_named_one_way():
    historical = STATED | {"family": "historical", "moves": []}
    both = {"day": dt.date(2008, 10, 27), "extremes": {"direction": "fall", "count": 3}}
    assert refused(historical | both) == {("scenario.0.day", "2008-10-27")}


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least one scenario"):
        read_stress_scenarios([written(tmp_path, "scenario = []\n")])


@pytest.mark.parametrize(
    "text", ["spot", "spot:", "spot::700", "spot:index:HSI", "spot:rank:x", "spot:rank:01", "x:*", "rate:a:b"]
)
def test_targets_that_mean_nothing(text):
    assert parse_target(text) is None


def test_files_of_the_library_are_those_of_the_package():
    assert len(stress_library()) == sum(len(read_stress_scenarios([path])) for path in _library_paths())


def _library_paths():
    folder = resources.files("crossmargin.parameters").joinpath("stress")
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".toml"))
    assert names == sorted(f"{name}.toml" for name in LIBRARY_FILES)
    return [folder.joinpath(name) for name in names]


def test_scenarios_from_python_are_checked_too():
    with pytest.raises(InputError, match="historical with a day"):
        StressScenario(name="x", family="historical", source="s", rationale="r")
    with pytest.raises(InputError, match="one of fall, rise"):
        IndexExtremes(direction="up", count=2)


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "stress-library.md"


def moved(row):
    return f"{row.how} {row.size:+.4g}: " + ", ".join(f"`{target}`" for target in row.targets)


def happens(one):
    if isinstance(one.past, IndexExtremes):
        return f"the {one.past.count} days of the largest {one.past.direction} of the main index"
    if one.past is not None:
        return f"moves up to {one.past}, on which the main index made {one.index_move:+.1%}"
    return "; ".join(moved(row) for row in one.moves)


def library_rows(family):
    """A row of the reference page for each scenario of a family."""
    return [
        f"| {one.name} | {happens(one)} | {one.source} ({one.confidence}) | {one.rationale} |"
        for one in stress_library()
        if one.family == family
    ]


def sector_rows():
    given, _ = read_toml(Path(_library_paths()[-1]))
    return [
        f"| {name} | " + ", ".join(f"{code} {company}" for code, company in companies.items()) + " |"
        for name, companies in given["sectors"].items()
    ]


@pytest.mark.parametrize("family", ["historical", "hypothetical", "theme"])
def test_the_reference_page_is_the_library(family):
    text = PAGE.read_text(encoding="utf-8")
    rows = library_rows(family)
    assert [line for line in text.splitlines() if line in set(rows)] == rows


def test_the_reference_page_has_every_sector_and_no_other_row():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    known = {
        *sector_rows(),
        *(row for family in ("historical", "hypothetical", "theme") for row in library_rows(family)),
    }
    heads = ("| scenario ", "| sector ", "| --- ", "| target ", "| key ")
    tables = [line for line in lines if line.startswith("| ") and not line.startswith(heads)]
    assert set(sector_rows()) <= set(tables)
    assert [line for line in tables if line not in known and not line.startswith("| `")] == []
