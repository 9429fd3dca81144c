"""How an error names what is wrong."""

from __future__ import annotations

import pytest

from crossmargin import BadRecord, CrossMarginError, InputError, RangeError


def record(line: int = 3, **changed: object) -> BadRecord:
    plain = {"file": "RPF01.csv", "line": line, "field": "beta", "value": "x", "rule": "a number"}
    return BadRecord(**plain | changed)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (record(), "RPF01.csv:3: beta 'x': a number"),
        (record(0), "RPF01.csv: beta 'x': a number"),
        (record(field=""), "RPF01.csv:3: 'x': a number"),
        (record(value=""), "RPF01.csv:3: beta '': a number"),
        (record(value="a" * 60), f"RPF01.csv:3: beta '{'a' * 60}': a number"),
        (record(value="a" * 1061), f"RPF01.csv:3: beta '{'a' * 60}… (1,061 characters)': a number"),
        (record(value="a\nb\0"), "RPF01.csv:3: beta 'a\\nb\\x00': a number"),
    ],
)
def test_text_of_a_bad_record(bad, text):
    assert str(bad) == text


def test_the_whole_value_is_kept():
    assert len(record(value="a" * 10**6).value) == 10**6


def test_every_record_is_listed_in_the_order_of_the_files():
    error = InputError([record(20), record(3), record(3, field="alpha"), record(1, file="A.csv")])
    assert [(bad.file, bad.line, bad.field) for bad in error.records] == [
        ("A.csv", 1, "beta"),
        ("RPF01.csv", 3, "alpha"),
        ("RPF01.csv", 3, "beta"),
        ("RPF01.csv", 20, "beta"),
    ]
    assert str(error).splitlines() == ["4 bad records", *(f"  {bad}" for bad in error.records)]


def test_one_record_and_many():
    assert str(InputError([record()])).startswith("1 bad record\n")
    assert str(InputError(record(line) for line in range(1234))).startswith("1,234 bad records\n")


def test_an_input_error_names_something():
    with pytest.raises(AssertionError, match="at least one"):
        InputError([])


def test_the_tree():
    assert issubclass(InputError, CrossMarginError)
    assert issubclass(RangeError, CrossMarginError)
    assert not issubclass(CrossMarginError, (ValueError, OSError))
