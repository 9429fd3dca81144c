"""How many scenarios the tail of a confidence level holds, counted exactly."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Final

__all__ = ["tail_count"]

DIGITS_MAX: Final = 30
"""No confidence level is printed with so many digits; a fraction of more takes long to reckon with."""


def tail_count(confidence: Decimal | str, scenario_count: int) -> int:
    """Return the scenarios in the tail, ⌈(1 − confidence) × count⌉ in exact arithmetic: 6 of 1,000 at "0.994".

    Parameters
    ----------
    confidence : Decimal or str
        Confidence level as it is printed, between 0 and 1 (both excluded). A binary float is refused: in
        float64 (1 − 0.99) × 1,000 is more than 10, and the tail would hold 11.
    scenario_count : int
        Number of scenarios, at least 1.

    Returns
    -------
    int
        At least 1, at most ``scenario_count``: the smallest whole number that reaches the tail.
    """
    assert isinstance(confidence, Decimal | str), "a confidence level is a decimal, as printed"
    printed = Decimal(confidence)
    assert printed.is_finite(), "a confidence level is a number"
    assert printed.adjusted() > -DIGITS_MAX, "a confidence level is not that small"
    assert len(printed.as_tuple().digits) < DIGITS_MAX, "a confidence level has few digits"
    level = Fraction(printed)
    assert 0 < level < 1, "a confidence level lies between 0 and 1"
    assert scenario_count >= 1, "a tail needs a scenario"
    return ceil((1 - level) * scenario_count)
