"""Altered files of the scenario engine: each reads as it was written or is refused by name, never anything else."""

from __future__ import annotations

import shutil
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_market import AS_OF, index_market, scenario_set

from crossmargin.errors import InputError
from crossmargin.formats.scenario_files import read_scenarios, write_scenarios
from crossmargin.formats.scenario_settings import EngineSettings, read_engine_settings
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.store.cubes import open_cube, write_cube

FILES = ("cube.json", "pnl.rows", "instruments.parquet", "findings.parquet")

SETTINGS = b"""horizon_days = 2
short_histories = "refuse"

[history]
returns = "log"
stale_days = 10

[filtering]
decay = 0.97

[stress]
periods = [["crash", 2020-02-20, 2020-04-30]]

[parts]
confidence = "0.99"

[revaluation]
smile = "delta"
"""


@cache
def small_cube():
    return make_cube(make_snapshot(index_market(), AS_OF), scenario_set())


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    write_cube(small_cube(), folder / "cube")
    write_scenarios(scenario_set(), folder / "set")
    return folder


@st.composite
def altered(draw, content: bytes):
    """Some bytes replaced, cut out or put in."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(changed) - 1, 0)))
        cut = draw(st.integers(0, 4))
        changed[at : at + cut] = draw(st.binary(max_size=4))
    return bytes(changed)


@given(data=st.data())
@settings(max_examples=150)
def test_an_altered_scenario_set(stored, data, tmp_path_factory):
    path = tmp_path_factory.mktemp("set") / "set"
    path.write_bytes(data.draw(altered((stored / "set").read_bytes())))
    try:
        found = read_scenarios(path)
    except InputError:
        return
    assert found.content_hash == scenario_set().content_hash


@given(data=st.data(), name=st.sampled_from(FILES))
@settings(max_examples=150)
def test_an_altered_cube(stored, data, name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cube") / "cube"
    shutil.copytree(stored / "cube", folder)
    (folder / name).write_bytes(data.draw(altered((folder / name).read_bytes())))
    try:
        found = open_cube(folder, verify=True)
    except InputError:
        return
    np.testing.assert_array_equal(found.pnl, small_cube().pnl)
    assert found.instruments.equals(small_cube().instruments)
    assert (found.parts, found.labels, found.key) == (
        small_cube().parts, small_cube().labels, small_cube().key
    )  # fmt: skip


@given(data=st.data(), method=st.sampled_from(["fhs", "historical", "stress", "blend"]))
@settings(max_examples=300)
def test_an_altered_settings_file(data, method, tmp_path_factory):
    path = tmp_path_factory.mktemp("settings") / "engine.toml"
    path.write_bytes(data.draw(altered(SETTINGS)))
    try:
        found = read_engine_settings(path, method, "spot:HSI")
    except InputError:
        return
    assert isinstance(found, EngineSettings)
    assert found.scenarios.described()
