"""Rows of comma-separated decimals, from text to float64 and back.

The grammar is ``-?digits[.digits]`` with at most ``DECIMALS_MAX`` decimals and ``DIGITS_MAX`` digits in
all, and nothing else: no exponent, no sign but a minus, no space, no NaN. With so few digits the number
is one integer below 2^53 divided by one power of ten, both exact in float64, so that a single division
gives the correctly rounded result: the same bits as Python's ``float``.

Cost: one pass over the bytes, a dozen instructions a number in a row of plain numbers and about one branch
a byte in any other; rows are independent and shared among threads.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from numba import njit, prange

__all__ = [
    "DECIMALS_MAX",
    "DECIMAL_PATTERN",
    "DIGITS_MAX",
    "NOT_A_DECIMAL",
    "first_commas",
    "format_decimal_rows",
    "is_decimal",
    "parse_decimal_rows",
    "parse_decimal_rows_python",
]

DECIMALS_MAX: Final = 10
DIGITS_MAX: Final = 15
DECIMAL_PATTERN: Final = rf"-?[0-9]{{1,{DIGITS_MAX}}}(\.[0-9]{{1,{DECIMALS_MAX}}})?"
NOT_A_DECIMAL: Final = -1
"""Width that ``format_decimal_rows`` reports for a number that ``DECIMALS_MAX`` decimals do not hold."""

COMMA, MINUS, POINT, ZERO, NINE = 44, 45, 46, 48, 57

U64 = np.uint64
EACH_BYTE = U64(0x0101010101010101)
HIGH_BITS = U64(0x8080808080808080)
ZEROS = U64(0x3030303030303030)
ABOVE_NINE = U64(0x7676767676767676)  # added to a byte of 10 or more, it sets the high bit
PAIRS = U64(0x000000FF000000FF)
QUADS_HIGH = U64(100 + (1_000_000 << 32))
QUADS_LOW = U64(1 + (10_000 << 32))
WORD_BYTES = 12
WHOLE_POWERS = 10 ** np.arange(9)
MANTISSA_LIMIT = 10.0**DIGITS_MAX
POWERS = 10.0 ** np.arange(DECIMALS_MAX + 1)


@njit(cache=True, error_model="numpy")
def _parse_row(
    text: UInt8[np.ndarray, " bytes"],
    start: int,
    stop: int,
    numbers: Float64[np.ndarray, " columns"],
    limit: float,
) -> int:
    """Parse ``text[start:stop]``; return −1, or the column where the grammar breaks."""
    at = start
    for column in range(numbers.size):
        negative = at < stop and text[at] == MINUS
        at += negative
        mantissa, first, point = np.int64(0), at, stop
        while at < stop and text[at] != COMMA:
            if ZERO <= text[at] <= NINE:
                mantissa = mantissa * 10 + (text[at] - ZERO)
            elif text[at] == POINT and point == stop:
                point = at
            else:
                return column
            at += 1
        has_point = point < at
        decimals = at - point - 1 if has_point else 0
        whole = (point if has_point else at) - first
        if (
            whole < 1
            or (has_point and decimals < 1)
            or decimals > DECIMALS_MAX
            or whole + decimals > DIGITS_MAX
        ):
            return column
        size = mantissa / POWERS[decimals]
        if size > limit:
            return column
        numbers[column] = -size if negative and mantissa else size
        at += 1  # past the comma
    for rest in range(at - 1, stop):
        if text[rest] != COMMA:
            return numbers.size
    return -1 if at >= stop or text[at - 1] == COMMA else numbers.size


@njit(cache=True, error_model="numpy", inline="always")
def _load_word(text: UInt8[np.ndarray, " bytes"], at: np.uint64) -> np.uint64:
    """Return eight bytes as one number, the first byte lowest."""
    word = U64(0)
    for i in range(8):
        word |= U64(text[at + U64(i)]) << U64(8 * i)
    return word


@njit(cache=True, error_model="numpy")
def _parse_plain_row(
    text: UInt8[np.ndarray, " bytes"],
    start: int,
    stop: int,
    numbers: Float64[np.ndarray, " columns"],
    limit: float,
) -> bool:
    """Parse a row of numbers like −0.0139: one digit, a point, one to seven decimals; False for any other row.

    Decimals are taken eight bytes at a time: with the digit zero taken off each byte, the bytes before the
    first that is no digit are shifted to the top, and neighbours are joined to pairs, fours and eight.
    Unsigned indices spare the check for negative ones.
    """
    at, end = U64(start), U64(stop)
    last = U64(max(text.size - WORD_BYTES, 0))
    for column in range(numbers.size):
        if at >= last:
            return False
        negative = text[at] == MINUS
        at += U64(negative)
        whole = U64(text[at]) - U64(ZERO)
        if whole > U64(9) or text[at + U64(1)] != POINT:
            return False
        digits = _load_word(text, at + U64(2)) ^ ZEROS
        others = ((digits + ABOVE_NINE) | digits) & HIGH_BITS
        before = (others & (~others + U64(1))) - U64(1)
        decimals = (((before & EACH_BYTE) * EACH_BYTE) >> U64(56)) - U64(1)
        if others == U64(0) or decimals == U64(0):
            return False
        digits <<= U64(64) - U64(8) * decimals
        digits = digits * U64(10) + (digits >> U64(8))
        digits = ((digits & PAIRS) * QUADS_HIGH + ((digits >> U64(16)) & PAIRS) * QUADS_LOW) >> U64(32)
        at += U64(2) + decimals
        if at > end or (at != end and text[at] != COMMA):
            return False
        size = (np.int64(whole) * WHOLE_POWERS[np.int64(decimals)] + np.int64(digits)) / POWERS[
            np.int64(decimals)
        ]
        if size > limit:
            return False
        numbers[column] = size * (1.0 - 2.0 * np.float64(negative)) + 0.0
        at += U64(1)
    return at == end + U64(1)


@njit(cache=True, parallel=True, nogil=True, error_model="numpy")
def parse_decimal_rows(
    text: UInt8[np.ndarray, " bytes"],
    starts: Int64[np.ndarray, " rows"],
    stops: Int64[np.ndarray, " rows"],
    numbers: Float64[np.ndarray, "capacity columns"],
    targets: Int64[np.ndarray, " rows"],
    limit: float,
) -> Int64[np.ndarray, " rows"]:
    """Parse rows of text into rows of a matrix.

    Parameters
    ----------
    text : ndarray of uint8
        The bytes.
    starts, stops : ndarray of int64, shape (rows,)
        A row is ``text[start:stop]``, without its line break.
    numbers : ndarray of float64, shape (capacity, columns)
        Filled: every row holds as many numbers as the matrix has columns; empty fields may follow.
    targets : ndarray of int64, shape (rows,)
        Row of ``numbers`` that each row of text goes to, each at most once.
    limit : float
        No number may be larger in size.

    Returns
    -------
    ndarray of int64, shape (rows,)
        −1, or the column (from 0) where the row breaks the grammar: its numbers are then worthless. The
        number of columns means that something stands behind the last one.
    """
    status = np.empty(starts.size, np.int64)
    for row in prange(starts.size):
        target = numbers[targets[row]]
        if _parse_plain_row(text, starts[row], stops[row], target, limit):
            status[row] = -1
        else:
            status[row] = _parse_row(text, starts[row], stops[row], target, limit)
    return status


def parse_decimal_rows_python(
    text: UInt8[np.ndarray, " bytes"],
    starts: Int64[np.ndarray, " rows"],
    stops: Int64[np.ndarray, " rows"],
    numbers: Float64[np.ndarray, "capacity columns"],
    targets: Int64[np.ndarray, " rows"],
    limit: float,
) -> Int64[np.ndarray, " rows"]:
    """Do what ``parse_decimal_rows`` does, with ``re`` and ``float``: the reference in tests."""
    status = np.full(starts.size, -1, np.int64)
    for row, (start, stop, target) in enumerate(zip(starts, stops, targets, strict=True)):
        fields = text[start:stop].tobytes().decode("latin-1").split(",")
        count = numbers.shape[1]
        bad = [c for c in range(count) if c >= len(fields) or not is_decimal(fields[c], limit)]
        if bad:
            status[row] = bad[0]
        elif any(fields[count:]):
            status[row] = count
        else:
            numbers[target] = [float(field) + 0.0 for field in fields[:count]]
    return status


def is_decimal(text: str, limit: float) -> bool:
    """Tell whether a text is a decimal of this module's grammar, and at most ``limit`` in size."""
    digits = len(text) - text.count(".") - text.count("-")
    fits = re.fullmatch(DECIMAL_PATTERN, text) is not None and digits <= DIGITS_MAX
    return fits and abs(float(text)) <= limit


@njit(cache=True, error_model="numpy")
def first_commas(
    text: UInt8[np.ndarray, " bytes"],
    starts: Int64[np.ndarray, " rows"],
    stops: Int64[np.ndarray, " rows"],
) -> Int64[np.ndarray, "rows 2"]:
    """Where the first two commas of each row stand; the row's stop where it has fewer."""
    commas = np.empty((starts.size, 2), np.int64)
    for row in range(starts.size):
        at = starts[row]
        for which in range(2):
            while at < stops[row] and text[at] != COMMA:
                at += 1
            commas[row, which] = at
            at = min(at + 1, stops[row])
    return commas


@njit(cache=True, error_model="numpy")
def _format_number(number: float, text: UInt8[np.ndarray, " bytes"], at: int) -> int:
    """Write the shortest decimal of ``number`` at ``text[at:]``; return where it ends, or −1."""
    scaled = abs(number) * POWERS[DECIMALS_MAX]
    mantissa = np.int64(np.rint(scaled)) if scaled < MANTISSA_LIMIT else np.int64(-1)
    if mantissa < 0 or mantissa / POWERS[DECIMALS_MAX] != abs(number):
        return NOT_A_DECIMAL
    decimals = DECIMALS_MAX
    while decimals > 0 and mantissa % 10 == 0:
        mantissa //= 10
        decimals -= 1
    if number < 0:
        text[at] = MINUS
        at += 1
    length = max(decimals + 1, 1)
    rest = mantissa // 10**length
    while rest > 0:
        length += 1
        rest //= 10
    width = length + (decimals > 0)
    for place in range(width):
        if decimals > 0 and place == decimals:
            text[at + width - 1 - place] = POINT
        else:
            text[at + width - 1 - place] = ZERO + mantissa % 10
            mantissa //= 10
    return at + width


@njit(cache=True, parallel=True, error_model="numpy")
def format_decimal_rows(
    numbers: Float64[np.ndarray, "rows columns"],
    text: UInt8[np.ndarray, "rows width"],
) -> Int64[np.ndarray, " rows"]:
    """Write each row as comma-separated shortest decimals, the inverse of ``parse_decimal_rows``.

    Parameters
    ----------
    numbers : ndarray of float64, shape (rows, columns)
        What to write.
    text : ndarray of uint8, shape (rows, width)
        Filled; the width is at least 18 bytes for each column.

    Returns
    -------
    ndarray of int64, shape (rows,)
        Bytes used of each row, or ``NOT_A_DECIMAL`` where a number is not a decimal of this grammar.
    """
    widths = np.empty(numbers.shape[0], np.int64)
    for row in prange(numbers.shape[0]):
        at = 0
        for column in range(numbers.shape[1]):
            if column:
                text[row, at] = COMMA
                at += 1
            at = _format_number(numbers[row, column], text[row], at)
            if at < 0:
                break
        widths[row] = at
    return widths
