"""Tails are counted in whole scenarios, exactly."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crossmargin.core.tails import tail_count

# By hand: (1 − confidence) × count, rounded up; 0.994 of 1,018 leaves 6.108.
COUNTS = {
    "0.95": (13, 25, 50, 51),
    "0.975": (7, 13, 25, 26),
    "0.98": (5, 10, 20, 21),
    "0.99": (3, 5, 10, 11),
    "0.994": (2, 3, 6, 7),
    "0.995": (2, 3, 5, 6),
}


@pytest.mark.parametrize("confidence", COUNTS)
def test_counts_by_hand(confidence):
    found = tuple(tail_count(confidence, count) for count in (250, 500, 1000, 1018))
    assert found == COUNTS[confidence]
    assert found == tuple(tail_count(Decimal(confidence), count) for count in (250, 500, 1000, 1018))


def test_the_least_and_the_most():
    assert tail_count("0.999999", 1) == 1
    assert tail_count("0.000001", 10) == 10


@pytest.mark.parametrize(
    ("confidence", "count"), [("0", 10), ("1", 10), ("-0.5", 10), ("1.5", 10), ("0.99", 0)]
)
def test_impossible_tails_are_refused(confidence, count):
    with pytest.raises(AssertionError):
        tail_count(confidence, count)


def test_a_binary_float_is_refused():
    with pytest.raises(AssertionError, match="decimal"):
        tail_count(0.99, 1000)
