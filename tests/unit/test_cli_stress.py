"""The command ``stress``: what it prints and writes, and what it refuses before it computes anything."""

from __future__ import annotations

import json

import pytest
from programme_market import market_of, sample

from crossmargin.cli import app
from crossmargin.errors import InputError
from crossmargin.formats.market.folder_writer import write_market

SCENARIO = """
[[scenario]]
name = "a fall"
family = "hypothetical"
source = "a source"
rationale = "All falls."
confidence = "low"
moves = [{ targets = ["spot:*"], move = -0.3 }]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("stress") / "market"
    write_market(market_of(*sample()), path)
    return path


def run(*arguments):
    app(["stress", *map(str, arguments)], exit_on_error=False, result_action="return_value")


def test_stress_prints_tables_and_writes_a_report(folder, tmp_path, capfdbinary):
    run("--market", folder, "--out", tmp_path / "report", "--defaulters", "G1", "G3")
    shown = capfdbinary.readouterr().out.decode()
    assert "Stress tests of all three linked" in shown
    assert "G1 + G3" in shown
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"report.html", "stress_losses.csv", "stress_reverse.csv", "validation.json", "pqd.csv"} <= names


def test_scenarios_and_programme_of_files(folder, tmp_path, capfdbinary):
    scenarios, programme = tmp_path / "scenarios.toml", tmp_path / "mine.toml"
    scenarios.write_text(SCENARIO, encoding="utf-8")
    programme.write_text('name = "mine"\nmode = "silo"\n', encoding="utf-8")
    chosen = ("--programme", programme, "--scenarios", scenarios, "--cover", 1, "--no-close-out")
    run("--market", folder, *chosen, "--format", "json")
    told = json.loads(capfdbinary.readouterr().out)
    assert told["programme"] == "mine"
    assert told["scenarios"]["scenario"] == ["a fall"]
    assert set(told["funds"]["standard"]) == {1}
    assert told["close_out"]["group"] == []
    assert dict(told["provenance"]["settings"])["stress.cover"] == "1"


def test_what_is_wrong_with_any_file_is_told_at_once(folder, tmp_path):
    scenarios = tmp_path / "scenarios.toml"
    scenarios.write_text(SCENARIO.replace("-0.3", "-3"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        run("--market", folder, "--programme", "none", "--scenarios", scenarios)
    assert {one.file for one in caught.value.records} == {"--programme", str(scenarios)}


def test_places_and_groups_are_refused(folder):
    with pytest.raises(InputError, match="outside of the market folder"):
        run("--market", folder, "--out", folder / "report")
    with pytest.raises(InputError, match="each a group with an account"):
        run("--market", folder, "--defaulters", "G9")


def test_a_report_without_close_out(folder, tmp_path, capfdbinary):
    run("--market", folder, "--no-close-out", "--out", tmp_path / "report")
    assert b"Smallest multiple" in capfdbinary.readouterr().out
    assert (tmp_path / "report" / "report.html").stat().st_size
