"""Decimal rounding rules carried out on float64, against exact Decimal arithmetic."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.core.rounding import half_away, roundup, to_minor, toward_zero
from crossmargin.errors import RangeError


def exact(value: Decimal, mode: str) -> int:
    return int(value.quantize(Decimal(1), mode))  # ROUND_HALF_UP of a Decimal goes away from zero


def is_negative_zero(value) -> bool:
    return bool(np.any((value == 0) & np.signbit(value)))


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (-37.5, -38.0),
        (37.5, 38.0),
        (0.5, 1.0),
        (-0.5, -1.0),
        (1.5, 2.0),
        (2.5, 3.0),
        (0.285 * 100, 29.0),
        (2.675 * 100, 268.0),
        (-2.675 * 100, -268.0),
        (1.005 * 100, 101.0),
        (0.4999, 0.0),
        (-0.4999, 0.0),
        (176_827.2, 176_827.0),
        (90_037.68, 90_038.0),
    ],
)
def test_half_away_of_known_numbers(amount, expected):
    assert half_away(amount) == expected
    assert not is_negative_zero(half_away(amount))


def test_float64_misses_these_ties_on_its_own():
    assert np.rint(0.285 * 100) == 28
    assert np.rint(1.005 * 100) == 100


# A product of six digits by four: at most 1e6 in size and 8 decimals, so that a number which is not a tie is
# 1e-8 from one, and the slack of 2^-50 of 1e6 (below 1e-9) cannot reach it.
factors = st.tuples(st.integers(-999_999, 999_999), st.integers(0, 4)).map(
    lambda p: Decimal(p[0]).scaleb(-p[1])
)
rates = st.integers(-9_999, 9_999).map(lambda units: Decimal(units).scaleb(-4))


@given(factors, rates)
def test_products_round_as_decimals_do(amount, rate):
    product = float(amount) * float(rate)
    assert half_away(product) == exact(amount * rate, ROUND_HALF_UP)
    assert toward_zero(product) == exact(amount * rate, ROUND_DOWN)
    assert not is_negative_zero(half_away(product))
    assert not is_negative_zero(toward_zero(product))


@given(st.integers(-99_999_999, 99_999_999), st.sampled_from([1, 7, 100, 10_000]))
def test_roundup_is_the_decimal_ceiling(cents, multiple):
    amount = Decimal(cents).scaleb(-2)
    expected = (amount / multiple).to_integral_value(ROUND_CEILING) * multiple
    rounded = roundup(float(amount), multiple)
    assert rounded == int(expected)
    assert not is_negative_zero(rounded)


@pytest.mark.parametrize(
    ("amount", "multiple", "expected"),
    [
        (46_929_904, 10_000, 46_930_000),
        (46_930_000, 10_000, 46_930_000),
        (46_930_000.01, 10_000, 46_940_000),
        (1333.0 + 1 / 3, 1, 1334),
        (0.1 * 3 * 10, 1, 3),
        (0, 10_000, 0),
        (-0.5, 1, 0),
        (-10_000, 10_000, -10_000),
        (-9_999, 10_000, 0),
    ],
)
def test_roundup_of_known_numbers(amount, multiple, expected):
    assert roundup(amount, multiple) == expected
    assert not is_negative_zero(roundup(amount, multiple))


@given(st.integers(1, 10**8), st.integers(1, 10_000))
def test_roundup_keeps_exact_multiples(times, multiple):
    assert roundup(float(times * multiple), multiple) == times * multiple


@pytest.mark.parametrize("whole", [2**48, 2**48 + 1, 2**51 - 1, 2**52 + 1, 2**53 - 1, 10**15 + 1, 10**18])
def test_large_whole_numbers_stay(whole):
    for signed in (whole, -whole):
        assert half_away(float(signed)) == signed
        assert toward_zero(float(signed)) == signed
        assert roundup(float(signed), 1) == signed


@pytest.mark.parametrize("whole", [2**49 - 1, 2**50, 2**51])
def test_large_halves_go_away_from_zero_and_quarters_do_not(whole):
    assert half_away(whole + 0.5) == whole + 1
    assert half_away(-(whole + 0.5)) == -(whole + 1)
    assert toward_zero(whole + 0.5) == whole


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(2.9999999999999996, 3), (-2.9999999999999996, -3), (2.99, 2), (-2.99, -2), (-0.9, 0)],
)
def test_toward_zero(amount, expected):
    assert toward_zero(amount) == expected
    assert not is_negative_zero(toward_zero(amount))


@pytest.mark.parametrize("function", [half_away, toward_zero, lambda x: roundup(x, 10)])
def test_arrays_keep_their_shape_and_zero_its_sign(function):
    amounts = np.array([[0.0, -0.0, -0.2], [1e-300, -1e-300, 0.0]])
    rounded = function(amounts)
    assert rounded.shape == amounts.shape
    assert not is_negative_zero(rounded)
    assert function(np.empty(0)).shape == (0,)


@given(st.integers(-(10**13), 10**13), st.sampled_from([0, 2, 6]))
def test_minor_units_of_clean_amounts_are_exact(units, decimals):
    minor = to_minor(float(Decimal(units).scaleb(-decimals)), decimals)
    assert minor.dtype == np.int64
    assert minor == units


def test_minor_units_round_a_half_away():
    assert to_minor(np.array([2.675, -2.675, 0.005, -0.005, 0.0049]), 2).tolist() == [268, -268, 1, -1, 0]


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), -float("inf"), 9.3e16, -9.3e16, 1e300])
def test_what_64_bits_do_not_hold_is_a_range_error(amount):
    with pytest.raises(RangeError, match="published range"):
        to_minor(np.array([1.0, amount]), 2)


def test_just_within_the_published_range():
    assert to_minor(9.1e16, 2) == 9_100_000_000_000_000_000
