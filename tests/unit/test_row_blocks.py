"""Files of rows: read back as written, refused when torn, foreign or altered."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.store.row_blocks import MAGIC, PAGE, open_rows, verify_rows, write_rows

ROWS = np.arange(3 * 70, dtype=np.float32).reshape(3, 70) / 7


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cube.rows"
    write_rows(path, ROWS, {"scenarios": "a set", "as_of": "2024-04-26"})
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
@pytest.mark.parametrize("shape", [(3, 70), (0, 64), (1, 1), (2, 1024)])
def test_rows_read_back_as_they_were_written(tmp_path, dtype, shape):
    rows = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    write_rows(tmp_path / "rows", rows, {"name": "x"})
    block = open_rows(tmp_path / "rows")
    np.testing.assert_array_equal(block.rows, rows)
    assert block.rows.dtype == dtype
    assert block.description["name"] == "x"
    verify_rows(block)


def test_rows_are_mapped_not_read_and_cannot_be_written(path):
    rows = open_rows(path).rows
    assert isinstance(rows, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        rows[0, 0] = 1


def test_the_same_rows_make_the_same_bytes(path, tmp_path):
    write_rows(tmp_path / "again", ROWS, {"as_of": "2024-04-26", "scenarios": "a set"})
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kept", [0, 10, PAGE - 1, PAGE, PAGE + 100, 2 * PAGE, 3 * PAGE - 1])
def test_a_torn_file_is_refused(path, kept):
    content = path.read_bytes()
    assert kept < len(content)
    path.write_bytes(content[:kept])
    with pytest.raises(InputError):
        open_rows(path)


def test_a_file_whose_end_was_never_written_is_refused(path):
    content = path.read_bytes()
    path.write_bytes(content[:-PAGE] + bytes(PAGE))
    with pytest.raises(InputError, match="torn"):
        open_rows(path)


def test_a_foreign_file_is_refused(tmp_path):
    (tmp_path / "foreign").write_bytes(b"PAR1" + bytes(3 * PAGE))
    with pytest.raises(InputError, match="a file of rows of this program"):
        open_rows(tmp_path / "foreign")


def test_an_altered_description_is_refused(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b"2024-04-26", b"2024-04-27"))
    with pytest.raises(InputError, match="as it was written"):
        open_rows(path)


@pytest.mark.parametrize(("key", "value"), [("version", 2), ("dtype", "complex64")])
def test_another_version_or_type_is_refused(path, key, value):
    content = path.read_bytes()
    length = int.from_bytes(content[len(MAGIC) : len(MAGIC) + 4], "little")
    start = len(MAGIC) + 36
    said = json.loads(content[start : start + length]) | {key: value}
    text = json.dumps(said, sort_keys=True).encode()
    head = MAGIC + len(text).to_bytes(4, "little") + hashlib.sha256(text).digest() + text
    path.write_bytes(head.ljust(PAGE, b"\0") + content[PAGE:])
    with pytest.raises(InputError, match=str(value)):
        open_rows(path)


def test_altered_rows_are_found_by_verification(path):
    content = bytearray(path.read_bytes())
    content[PAGE + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="rows as they were written"):
        verify_rows(open_rows(path))


def test_a_description_beyond_the_header_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(InputError, match="a description of at most"):
        write_rows(tmp_path / "rows", ROWS, {"long": "x" * PAGE})
    assert not list(tmp_path.iterdir())


@given(at=st.integers(0, 3 * PAGE - 1), value=st.integers(0, 255))
def test_any_altered_byte_gives_an_error_or_harmless_rows(tmp_path_factory, at, value):
    path = tmp_path_factory.mktemp("rows") / "rows"
    write_rows(path, ROWS, {"name": "x"})
    content = bytearray(path.read_bytes())
    content[at] = value
    path.write_bytes(content)
    try:
        block = open_rows(path)
        verify_rows(block)
    except InputError:
        return
    np.testing.assert_array_equal(block.rows, ROWS)
