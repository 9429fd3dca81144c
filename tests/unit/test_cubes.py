"""A cube in a folder: read back as it was, refused when its parts do not belong together."""

from __future__ import annotations

import json

import numpy as np
import pytest
from index_market import AS_OF, index_market, scenario_set

from crossmargin.errors import InputError
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.store.cubes import open_cube, stored_key, write_cube


def small_cube(seed=5, **settings):
    snapshot = make_snapshot(index_market(), AS_OF)
    return make_cube(snapshot, scenario_set(seed), RevaluationSettings(**settings))


@pytest.fixture
def folder(tmp_path):
    write_cube(small_cube(), tmp_path / "cube")
    return tmp_path / "cube"


def test_a_cube_reads_back_as_it_was(folder):
    cube, stored = small_cube(), open_cube(folder, verify=True)
    np.testing.assert_array_equal(stored.pnl, cube.pnl)
    assert isinstance(stored.pnl, np.memmap)
    assert stored.instruments.equals(cube.instruments)
    assert stored.findings.equals(cube.findings)
    for name in (
        "as_of",
        "currency",
        "parts",
        "labels",
        "key",
        "settings",
        "scenario_settings",
        "input_hashes",
    ):
        assert getattr(stored, name) == getattr(cube, name), name
    assert stored_key(folder) == cube.key


def test_the_same_cube_makes_the_same_bytes(folder, tmp_path):
    write_cube(small_cube(), tmp_path / "again")
    for file in folder.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_cube_replaces_another_as_a_whole(folder):
    write_cube(small_cube(seed=6), folder)
    assert open_cube(folder, verify=True).key == small_cube(seed=6).key
    assert [path.name for path in folder.parent.iterdir()] == ["cube"]


def test_parts_of_two_cubes_are_refused(folder, tmp_path):
    write_cube(small_cube(seed=6), tmp_path / "other")
    (folder / "pnl.rows").write_bytes((tmp_path / "other" / "pnl.rows").read_bytes())
    with pytest.raises(InputError, match=r"the rows that cube\.json was written with"):
        open_cube(folder)


def test_an_altered_description_is_refused(folder):
    path = folder / "cube.json"
    path.write_bytes(path.read_bytes().replace(b'"weight": 0.75', b'"weight": 0.70'))
    with pytest.raises(InputError, match=r"the rows that cube\.json was written with"):
        open_cube(folder)


def test_altered_tables_and_rows_are_refused(folder):
    rows = bytearray((folder / "pnl.rows").read_bytes())
    rows[5000] ^= 1
    (folder / "pnl.rows").write_bytes(rows)
    open_cube(folder)  # rows are read in place and checked only when asked for
    with pytest.raises(InputError, match="rows as they were written"):
        open_cube(folder, verify=True)
    table = folder / "instruments.parquet"
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"the table that cube\.json names"):
        open_cube(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"null", b"\xff", b'{"format": 1}', b"[" * 100_000])
def test_a_description_that_is_none_is_refused(folder, content):
    (folder / "cube.json").write_bytes(content)
    with pytest.raises(InputError, match="the description of a cube"):
        open_cube(folder)
    assert stored_key(folder) == ""


def test_another_version_is_refused(folder):
    said = json.loads((folder / "cube.json").read_bytes()) | {"version": 99}
    (folder / "cube.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="crossmargin-cube 1"):
        open_cube(folder)


def test_a_folder_without_a_cube_has_no_key(tmp_path):
    assert stored_key(tmp_path / "none") == ""


def test_a_cube_in_sixteen_bits_reads_back_and_is_half_the_size(tmp_path):
    whole, half = small_cube(), small_cube(precision="int16")
    write_cube(half, tmp_path / "cube")
    stored = open_cube(tmp_path / "cube", verify=True)
    np.testing.assert_array_equal(stored.pnl, half.pnl)
    np.testing.assert_array_equal(stored.scales, half.scales)
    assert stored.pnl.nbytes * 2 == whole.pnl.nbytes
    assert half.key != whole.key
    largest = np.abs(whole.pnl).reshape(len(whole.instruments), -1, 64).max(axis=2)
    bound = np.repeat(largest * (0.5 / 32_767 + 2.0**-23), 64, axis=1)  # half a scale, and float32
    assert (np.abs(half.rows(np.arange(len(half.instruments))) - whole.pnl) <= bound).all()


def test_a_cube_takes_no_place_of_something_else(folder, tmp_path):
    (folder / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for place in (folder, tmp_path / "file"):
        with pytest.raises(InputError, match="a folder with a cube and nothing else"):
            write_cube(small_cube(seed=6), place)
    assert stored_key(folder) == small_cube().key
    assert {path.name for path in tmp_path.iterdir()} == {"cube", "file"}
    (tmp_path / "empty").mkdir()
    write_cube(small_cube(), tmp_path / "empty")
    assert open_cube(tmp_path / "empty", verify=True).key == small_cube().key
