"""Scenario sets in files: what comes back is what was written, and nothing else is taken."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from small_market import DAYS, small_market, walks

from crossmargin.errors import InputError
from crossmargin.formats.scenario_files import read_scenarios, write_scenarios
from crossmargin.models.scenarios.build import ScenarioSettings, build_scenarios
from crossmargin.models.scenarios.part_rules import parts_of_method
from crossmargin.models.scenarios.scenario_set import RiskFactor
from crossmargin.models.scenarios.selection import LookBack


@pytest.fixture(scope="module")
def scenarios():
    parts = parts_of_method("historical", selection=LookBack(scenarios=40))
    made = build_scenarios(small_market(walks("AB", 60)), DAYS[59], ScenarioSettings(parts=parts))
    factors = (RiskFactor("spot", "公司", proxied=True), RiskFactor("volatility", "B", 30))
    return replace(made, factors=factors)


@pytest.fixture
def path(scenarios, tmp_path):
    write_scenarios(scenarios, tmp_path / "a.scenarios")
    return tmp_path / "a.scenarios"


def test_what_comes_back_is_what_was_written(scenarios, path):
    back = read_scenarios(path)
    assert back.content_hash == scenarios.content_hash
    assert back.moves.tobytes() == scenarios.moves.tobytes()
    assert (back.factors, back.labels, back.parts) == (scenarios.factors, scenarios.labels, scenarios.parts)
    assert (back.as_of, back.settings, back.method) == (scenarios.as_of, scenarios.settings, scenarios.method)
    assert back.moves.flags.writeable
    assert back.moves.dtype == np.float64


def test_equal_sets_make_equal_bytes(scenarios, path, tmp_path):
    write_scenarios(read_scenarios(path), tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == path.read_bytes()
    turned = replace(scenarios, moves=np.asfortranarray(scenarios.moves))
    write_scenarios(turned, tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kept", [0, 5, 24, 200, -1])
def test_a_torn_file_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=path.name):
        read_scenarios(path)


def test_a_longer_file_is_refused(path):
    path.write_bytes(path.read_bytes() + b"\0" * 8)
    with pytest.raises(InputError, match="to the last byte"):
        read_scenarios(path)


def test_a_file_of_another_kind_or_version_is_refused(path):
    for content in (
        b"PK\x03\x04",
        b"\xff\xfe\n",
        path.read_bytes().replace(b"scenarios 1", b"scenarios 2", 1),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match="crossmargin scenarios 1"):
            read_scenarios(path)


def test_a_changed_move_is_noticed(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="the hash of what the file holds"):
        read_scenarios(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("as_of", "yesterday"),
        ("horizon_days", "1"),
        ("factors", [["spot", "A", 0]]),
        ("labels", "x"),
        ("parts", [["x", 0, 40, 1.5, 1.0]]),
        ("parts", [["x", 0, 40, 1, float("nan")]]),
        ("content_hash", "0" * 63),
        ("more", 1),
    ],
)
def test_a_heading_of_other_types_is_refused(path, field, value):
    magic, line, moves = path.read_bytes().split(b"\n", 2)
    heading = json.loads(line) | {field: value}
    path.write_bytes(b"\n".join([magic, json.dumps(heading).encode(), moves]))
    with pytest.raises(InputError, match=field):
        read_scenarios(path)


@pytest.mark.parametrize(
    ("field", "value"), [("method", "other"), ("horizon_days", 2), ("labels", [str(i) for i in range(40)])]
)
def test_a_changed_heading_is_noticed(path, field, value):
    magic, line, moves = path.read_bytes().split(b"\n", 2)
    heading = json.loads(line) | {field: value}
    path.write_bytes(b"\n".join([magic, json.dumps(heading).encode(), moves]))
    with pytest.raises(InputError, match="the hash of what the file holds"):
        read_scenarios(path)
