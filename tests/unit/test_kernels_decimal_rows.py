"""Rows of decimals: the compiled parser and formatter against ``float`` and ``re``."""

from __future__ import annotations

from decimal import Decimal

import numba
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crossmargin.kernels.decimal_rows import (
    DECIMALS_MAX,
    DIGITS_MAX,
    NOT_A_DECIMAL,
    first_commas,
    format_decimal_rows,
    is_decimal,
    parse_decimal_rows,
    parse_decimal_rows_python,
)

LIMIT = 1e15


def spans(rows: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    text = "\n".join([*rows, ""]).encode("latin-1")
    stops = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")).astype(np.int64)
    starts = np.concatenate([[0], stops[:-1] + 1]).astype(np.int64)
    return np.frombuffer(text, np.uint8).copy(), starts[: len(rows)], stops[: len(rows)]


def parse(kernel, rows, columns, limit=LIMIT, targets=None):
    numbers = np.full((len(rows), columns), np.nan)
    targets = np.arange(len(rows)) if targets is None else np.array(targets, np.int64)
    status = kernel(*spans(rows), numbers, targets, limit)
    return status, numbers


def same(rows, columns, limit=LIMIT, targets=None):
    """Both parsers give the same status, and the same bits in the rows that parse."""
    status, numbers = parse(parse_decimal_rows, rows, columns, limit, targets)
    expected, reference = parse(parse_decimal_rows_python, rows, columns, limit, targets)
    assert status.tolist() == expected.tolist()
    good = (np.arange(len(rows)) if targets is None else np.array(targets))[status < 0]
    assert numbers[good].tobytes() == reference[good].tobytes()
    return status, numbers


def written(rows: np.ndarray) -> list[str]:
    text = np.zeros((rows.shape[0], max(18 * rows.shape[1], 1)), np.uint8)
    widths = format_decimal_rows(rows, text)
    return [
        line[:width].tobytes().decode() if width >= 0 else None
        for line, width in zip(text, widths, strict=True)
    ]


@st.composite
def decimals(draw) -> str:
    """Any text of the grammar: up to 15 digits, up to 10 of them behind the point, leading zeros too."""
    behind = draw(st.integers(0, DECIMALS_MAX))
    before = draw(st.integers(1, DIGITS_MAX - behind))
    digits = "".join(
        draw(st.lists(st.sampled_from("0123456789"), min_size=before + behind, max_size=before + behind))
    )
    sign = draw(st.sampled_from(["", "-"]))
    return sign + digits[:before] + ("." + digits[before:] if behind else "")


@settings(max_examples=60)
@given(st.lists(decimals(), min_size=1, max_size=4))
def test_parsing_gives_the_bits_of_float(texts):
    status, numbers = parse(parse_decimal_rows, [",".join(texts)], len(texts))
    assert status.tolist() == [-1]
    expected = np.array([float(text) + 0.0 for text in texts])  # + 0.0: a negative zero reads as zero
    assert numbers[0].tobytes() == expected.tobytes()
    same([",".join(texts)], len(texts))


@given(st.lists(st.text("0123456789.,-+e \0x", max_size=40), max_size=5), st.integers(1, 3))
@example(
    ["1,2,,", "1,2,3", "1,2,,3", "1,2", "1,", ",1", "", "-", ".", "-.5", "5.", "1..2", "--1", "1,2\r"], 2
)
def test_any_text_is_judged_as_the_twin_does(rows, columns):
    same(rows, columns)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("1,2", -1),
        ("-0.5,100", -1),
        ("1,2,,,", -1),
        ("1,2,3", 2),
        ("1,2,,3", 2),
        ("1", 1),
        ("", 0),
        ("1e5,2", 0),
        ("NaN,2", 0),
        ("1,inf", 1),
        ("1,+2", 1),
        ("1, 2", 1),
        ("1,2 ", 1),
        (".5,1", 0),
        ("5.,1", 0),
        ("1,0.12345678901", 1),
        ("1,0.1234567890", -1),
        ("1,1234567890123456", 1),
        ("1,123456789012.3456", 1),
        ("100,100.0000000001", 1),
        ("1,−2".encode().decode("latin-1"), 1),
        ("1," + "9" * 40, 1),
        ("1," + "0" * 40, 1),
    ],
)
def test_where_a_row_breaks(row, column):
    status, _ = same([row], 2, limit=100.0)
    assert status.tolist() == [column]


def test_negative_zero_reads_as_zero():
    _, numbers = same(["-0,-0.0,0"], 3)
    assert not np.signbit(numbers).any()


def test_rows_go_to_their_targets_and_others_are_left_alone():
    numbers = np.full((4, 2), 7.0)
    status = parse_decimal_rows(*spans(["1,2", "3,4"]), numbers, np.array([3, 1]), LIMIT)
    assert status.tolist() == [-1, -1]
    assert numbers.tolist() == [[7, 7], [3, 4], [7, 7], [1, 2]]


def test_no_row_at_all():
    status, _ = same([], 3)
    assert status.shape == (0,)


def many_rows(count: int, columns: int) -> list[str]:
    units = np.random.default_rng(5).integers(-(10**9), 10**9, (count, columns))
    return [",".join(f"{Decimal(int(unit)).scaleb(-10):f}" for unit in row) for row in units]


def test_many_rows_into_a_part_of_a_wider_matrix():
    rows = many_rows(200, 50)
    solid = np.empty((200, 50))
    wide = np.empty((200, 120))
    parse_decimal_rows(*spans(rows), solid, np.arange(200), LIMIT)
    parse_decimal_rows(*spans(rows), wide[:, 60:110], np.arange(200), LIMIT)
    assert np.ascontiguousarray(wide[:, 60:110]).tobytes() == solid.tobytes()
    assert solid.tolist() == [[float(field) for field in row.split(",")] for row in rows]


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="numba has one thread on this machine")
def test_the_number_of_threads_changes_no_bit():
    rows = many_rows(500, 40)
    found = []
    before = numba.get_num_threads()
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            _, numbers = parse(parse_decimal_rows, rows, 40)
            found.append((numbers.tobytes(), written(numbers)))
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1]


@given(decimals(), st.sampled_from([0.0, 1.0, 99.5, 1e15]))
def test_is_decimal_knows_the_limit(text, limit):
    assert is_decimal(text, limit) == (abs(Decimal(text)) <= Decimal(limit))


@pytest.mark.parametrize("text", ["", "-", "1e5", "nan", "1.", ".1", "1,0", "+1", " 1", "1\n", "٣", "1" * 16])
def test_is_no_decimal(text):
    assert not is_decimal(text, 1e300)


# A number below 10^5 with ten decimals has at most 15 digits: what the formatter promises to write.
held = st.tuples(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(0, 10)).map(
    lambda pair: (
        float(Decimal(pair[0]) / 10**10) if pair[1] > 9 else float(Decimal(pair[0] % 10**5).scaleb(-pair[1]))
    )
)


@given(st.lists(held, min_size=1, max_size=5))
def test_writing_and_parsing_is_the_identity(values):
    numbers = np.array([values]) + 0.0
    (text,) = written(numbers)
    _, again = parse(parse_decimal_rows, [text], len(values))
    assert again.tobytes() == numbers.tobytes()


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_what_is_written_is_the_shortest_decimal(units):
    exact = Decimal(units).scaleb(-10)
    (text,) = written(np.array([[float(exact)]]))
    assert Decimal(text) == exact
    assert text == f"{exact.normalize():f}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (99999.9999999999, "99999.9999999999"),
        (1e-10, "0.0000000001"),
        (-0.05, "-0.05"),
        (100.0, "100"),
    ],
)
def test_known_numbers_are_written(value, text):
    assert written(np.array([[value]])) == [text]


@pytest.mark.parametrize(
    "value", [1 / 3, 1e-11, 1e5, -1e300, float("nan"), float("inf"), -float("inf"), 5e-324]
)
def test_what_ten_decimals_do_not_hold_is_told(value):
    rows = np.array([[1.0, value], [1.0, 2.0]])
    text = np.zeros((2, 36), np.uint8)
    assert format_decimal_rows(rows, text).tolist() == [NOT_A_DECIMAL, 3]


def test_writing_nothing_and_non_contiguous_rows():
    assert written(np.empty((0, 3))) == []
    assert written(np.arange(12.0).reshape(2, 6)[:, ::2]) == ["0,2,4", "6,8,10"]


@given(st.lists(st.text("ab,", max_size=12), max_size=6))
def test_first_commas(rows):
    text, starts, stops = spans(rows)
    expected = []
    for row, start in zip(rows, starts.tolist(), strict=True):
        first = row.find(",") if "," in row else len(row)
        second = row.find(",", first + 1)
        expected.append([start + first, start + (second if second >= 0 else len(row))])
    assert first_commas(text, starts, stops).tolist() == expected
