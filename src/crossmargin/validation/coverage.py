"""Statistical tests of a margin's coverage, from days on which the loss exceeded it.

An exceedance is a day with a loss above the margin. A margin at 99% should see them with probability
0.01, whatever happened the day before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64

from crossmargin.errors import BadRecord, InputError

__all__ = [
    "ZONES",
    "CoverageTest",
    "Transitions",
    "binomial_cdf",
    "christoffersen_coverage",
    "christoffersen_independence",
    "kupiec_pof",
    "likelihood_ratio_test",
    "traffic_light",
    "transitions",
]

ZONES: Final = ("green", "yellow", "red")
"""Basel Committee, "Supervisory framework for the use of backtesting" (1996)."""

ZONE_STARTS: Final = (0.95, 0.9999)
"""Probability of as many exceedances or fewer, from which the second and the third zone hold."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CoverageTest:
    """A likelihood-ratio test.

    Parameters
    ----------
    statistic : ndarray of float64
        The likelihood ratio, at least 0; large where the margin does not do what it should.
    p_value : ndarray of float64
        Probability of a larger one if the margin does, for long series; 3.841 and one degree give 0.05.
    """

    statistic: Float64[np.ndarray, "*shape"]
    p_value: Float64[np.ndarray, "*shape"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Transitions:
    """How often a day without (0) or with (1) an exceedance followed one without or with.

    Parameters
    ----------
    n00, n01, n10, n11 : ndarray of int64
        First the day before, then the day; at least 0.
    """

    n00: Int64[np.ndarray, "*shape"]
    n01: Int64[np.ndarray, "*shape"]
    n10: Int64[np.ndarray, "*shape"]
    n11: Int64[np.ndarray, "*shape"]

    def __post_init__(self) -> None:
        names = ("n00", "n01", "n10", "n11")
        _refuse([bad for name in names for bad in _below(getattr(self, name), 0, name)])


def transitions(
    exceeded: Bool[np.ndarray, " dates *accounts"],
    held: Bool[np.ndarray, " dates *accounts"] | None = None,
    lag: int = 1,
) -> Transitions:
    """Count transitions from one date to the next, or to a later one, by account.

    Parameters
    ----------
    exceeded : ndarray of bool
        Dates with an exceedance.
    held : ndarray of bool, optional
        Dates on which there was something to exceed; a pair counts if both its dates are. All without it.
    lag : int
        Rows from the first date of a pair to its second, at least 1.
    """
    pairs = max(len(exceeded) - lag, 0)
    both = True if held is None else held[:pairs] & held[lag:]
    before, after = exceeded[:pairs], exceeded[lag:]
    found = {"n00": ~before & ~after, "n01": ~before & after, "n10": before & ~after, "n11": before & after}
    return Transitions(
        **{name: np.asarray((pair & both).sum(axis=0, dtype=np.int64)) for name, pair in found.items()}
    )


def kupiec_pof(
    exceedances: Int64[np.ndarray, "*#shape"], observations: Int64[np.ndarray, "*#shape"], probability: float
) -> CoverageTest:
    """Test whether exceedances are as frequent as they should be; too few count as much as too many.

    One degree of freedom. Kupiec, "Techniques for verifying the accuracy of risk measurement models" (1995):
    proportion of failures. 7 exceedances in 250 days at 1%: 5.497.

    Parameters
    ----------
    exceedances : ndarray of int64
        From 0 to the observations.
    observations : ndarray of int64
        Days, at least 1.
    probability : float
        Of an exceedance on a day, between 0 and 1, both excluded.

    Raises
    ------
    InputError
        If a number is out of its range.
    """
    _require_counts(exceedances, observations, probability)
    held = observations - exceedances
    expected = exceedances * math.log(probability) + held * math.log1p(-probability)
    return likelihood_ratio_test(2.0 * (_log_likelihood(held, exceedances) - expected), degrees=1)


def christoffersen_independence(counts: Transitions) -> CoverageTest:
    """Test whether an exceedance is as likely after one as after none.

    One degree of freedom. Christoffersen, "Evaluating interval forecasts" (1998).
    """
    apart = _log_likelihood(counts.n00, counts.n01) + _log_likelihood(counts.n10, counts.n11)
    together = _log_likelihood(counts.n00 + counts.n10, counts.n01 + counts.n11)
    return likelihood_ratio_test(2.0 * (apart - together), degrees=1)


def christoffersen_coverage(counts: Transitions, probability: float) -> CoverageTest:
    """Test frequency and independence together: the sum of both statistics, two degrees of freedom.

    All days but the first are counted, as the transitions are. Christoffersen (1998).

    Raises
    ------
    InputError
        If ``probability`` is not between 0 and 1, or there is no transition.
    """
    exceedances = counts.n01 + counts.n11
    frequency = kupiec_pof(exceedances, exceedances + counts.n00 + counts.n10, probability)
    statistic = frequency.statistic + christoffersen_independence(counts).statistic
    return likelihood_ratio_test(statistic, degrees=2)


def _log_likelihood(
    misses: Int64[np.ndarray, "*#shape"], hits: Int64[np.ndarray, "*#shape"]
) -> Float64[np.ndarray, "*shape"]:
    """Return the greatest log-likelihood of so many misses and hits: at the frequency seen; 0 log 0 is 0."""
    days = np.maximum(misses + hits, 1)
    return np.asarray(sum(n * np.log(np.where(n > 0, n / days, 1.0)) for n in (misses, hits)))


def likelihood_ratio_test(statistic: Float64[np.ndarray, "*shape"], degrees: Literal[1, 2]) -> CoverageTest:
    """Return the test of a likelihood ratio by the χ² distribution: erfc(√(LR ÷ 2)), or exp(−LR ÷ 2).

    Parameters
    ----------
    statistic : ndarray of float64
        Finite; what rounding left below 0 becomes 0.
    degrees : {1, 2}
        Degrees of freedom.
    """
    statistic = np.asarray(np.maximum(statistic, 0.0))
    if degrees == 1:
        p_value = np.vectorize(math.erfc, otypes=[np.float64])(np.sqrt(0.5 * statistic))
    else:
        p_value = np.exp(-0.5 * statistic)
    return CoverageTest(statistic=statistic, p_value=np.asarray(p_value))


def binomial_cdf(
    exceedances: Int64[np.ndarray, "*shape"], observations: int, probability: float
) -> Float64[np.ndarray, "*shape"]:
    """Return the probability of so many exceedances or fewer; 4 in 250 days at 1%: 0.892.

    Arguments and errors as of ``kupiec_pof``.
    """
    _require_counts(exceedances, np.asarray(observations), probability)
    counts = np.arange(observations)
    steps = np.log((observations - counts) / (counts + 1)) + math.log(probability) - math.log1p(-probability)
    logs = observations * math.log1p(-probability) + np.concatenate([[0.0], np.cumsum(steps)])
    return np.minimum(np.cumsum(np.exp(logs)), 1.0)[exceedances]


def traffic_light(
    exceedances: Int64[np.ndarray, "*shape"], observations: int, probability: float
) -> Int8[np.ndarray, "*shape"]:
    """Return the zone of so many exceedances, a place in ``ZONES``; arguments as of ``kupiec_pof``.

    In 250 days at 1%: green to 4, yellow to 9, red from 10.
    """
    reached = binomial_cdf(exceedances, observations, probability)
    return np.searchsorted(ZONE_STARTS, reached, side="right").astype(np.int8)


def _require_counts(
    exceedances: Int64[np.ndarray, "*#shape"], observations: Int64[np.ndarray, "*#shape"], probability: float
) -> None:
    bad = [*_below(observations, 1, "observations"), *_below(exceedances, 0, "exceedances")]
    bad += _below(observations - exceedances, 0, "observations without exceedance")
    if not 0.0 < probability < 1.0:
        bad.append(_bad(0, "probability", str(probability), "between 0 and 1, both excluded"))
    _refuse(bad)


def _below(counts: Int64[np.ndarray, "*shape"], least: int, name: str) -> list[BadRecord]:
    """Return a bad record of each count below the least, with its place from 1 as the line."""
    flat = np.ravel(counts)
    return [
        _bad(int(place) + 1, name, str(flat[place]), f"at least {least}")
        for place in np.flatnonzero(flat < least)
    ]


def _bad(line: int, field: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file="coverage", line=line, field=field, value=value, rule=rule)


def _refuse(bad: list[BadRecord]) -> None:
    if bad:
        raise InputError(bad)
