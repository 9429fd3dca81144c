"""Backtest of many margins at once: exceedances, coverage, its tests and what was not covered."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64

from crossmargin.validation.cells import bad_number, refuse, unfit_cells
from crossmargin.validation.coverage import (
    ZONE_STARTS,
    CoverageTest,
    christoffersen_independence,
    kupiec_pof,
    likelihood_ratio_test,
    transitions,
)
from crossmargin.validation.overlap import EffectiveShares, effective_shares, separate_lag

if TYPE_CHECKING:
    from crossmargin.errors import BadRecord

__all__ = ["Backtest", "backtest"]

TABLE: Final = "backtest"


@dataclass(frozen=True, kw_only=True, eq=False)
class Backtest:
    """What margins covered, by series: the figures of public quantitative disclosure 6.5, and tests.

    Parameters
    ----------
    observations : ndarray of int64
        Dates on which the series was held.
    exceedances : ndarray of int64
        Of them, those with a loss above the margin.
    coverage : ndarray of float64
        Share of observations without exceedance; 1 of no observation, since nothing was exceeded.
    effective_observations : ndarray of float64
        Observations of horizons apart that would tell as much; the observations where no horizons overlap.
    kupiec : CoverageTest
        Of the frequency, at effective counts. A statistic of 0 where there is no observation.
    independence : CoverageTest
        Of transitions to the first date whose horizon shares no day. A statistic of 0 where there is none.
    conditional : CoverageTest
        Of both, without the dates that no transition leads to.
    zone : ndarray of int8
        Traffic light at effective counts, a place in ``coverage.ZONES``.
    average_uncovered : ndarray of float64
        Mean loss above margin over the exceedances, 0 of none.
    peak_uncovered : ndarray of float64
        Largest loss above margin, 0 of none.
    peak_at : ndarray of int64
        Its row, the first of equal ones; −1 of none.
    """

    observations: Int64[np.ndarray, " series"]
    exceedances: Int64[np.ndarray, " series"]
    coverage: Float64[np.ndarray, " series"]
    effective_observations: Float64[np.ndarray, " series"]
    kupiec: CoverageTest
    independence: CoverageTest
    conditional: CoverageTest
    zone: Int8[np.ndarray, " series"]
    average_uncovered: Float64[np.ndarray, " series"]
    peak_uncovered: Float64[np.ndarray, " series"]
    peak_at: Int64[np.ndarray, " series"]


def backtest(
    margin: Float64[np.ndarray, " dates series"],
    gain: Float64[np.ndarray, " dates series"],
    *,
    confidence: float,
    horizon_days: int,
    step_days: int = 1,
    held: Bool[np.ndarray, " dates series"] | None = None,
) -> Backtest:
    """Compare margins with the losses that followed.

    Formulas and what they can tell: ``docs/concepts/backtests.md``.

    Parameters
    ----------
    margin : ndarray of float64
        Margin of each date, at least 0.
    gain : ndarray of float64
        Profit and loss over the horizon after that date, gains positive, in the unit of the margin.
    confidence : float
        Coverage that is asked for, between 0 and 1, both excluded.
    horizon_days : int
        Trading days from the margin to the end of the loss, at least 1.
    step_days : int
        Trading days from a date to the next, at least 1; horizons overlap where it is less than theirs.
    held : ndarray of bool, optional
        Where a series exists; other cells are not looked at. All without it.

    Raises
    ------
    InputError
        If there is no date, a number is out of its range, or a held cell is no finite number or a margin below 0.
    """
    held = np.ones(margin.shape, np.bool_) if held is None else held
    _require(margin, gain, held, {"horizon_days": horizon_days, "step_days": step_days}, confidence)
    uncovered = _uncovered(margin, gain, held)
    exceeded = uncovered > 0.0
    # 1 − 0.99 is more than 0.01 in float64; the decimal is what was meant
    probability = float(1 - Decimal(str(confidence)))
    shares = effective_shares(exceeded, held, probability, horizon_days, step_days)
    observations = held.sum(axis=0, dtype=np.int64)
    exceedances = exceeded.sum(axis=0, dtype=np.int64)
    kupiec = _frequency(exceedances, observations, probability, shares)
    independence, conditional = _transition_tests(
        exceeded, held, probability, separate_lag(horizon_days, step_days), shares
    )
    places = np.argmax(uncovered, axis=0)
    seen = exceedances > 0
    return Backtest(
        observations=observations,
        exceedances=exceedances,
        coverage=1.0 - exceedances / np.maximum(observations, 1),
        effective_observations=observations * shares.frequency,
        kupiec=likelihood_ratio_test(kupiec, degrees=1),
        independence=likelihood_ratio_test(independence, degrees=1),
        conditional=likelihood_ratio_test(conditional, degrees=2),
        zone=_zone(exceedances * shares.frequency, observations * shares.frequency, probability),
        average_uncovered=uncovered.sum(axis=0) / np.maximum(exceedances, 1),
        peak_uncovered=np.take_along_axis(uncovered, places[None], axis=0)[0],
        peak_at=np.where(seen, places, -1),
    )


def _uncovered(
    margin: Float64[np.ndarray, " dates series"],
    gain: Float64[np.ndarray, " dates series"],
    held: Bool[np.ndarray, " dates series"],
) -> Float64[np.ndarray, " dates series"]:
    """Return by how much each loss exceeded its margin, 0 where it did not."""
    with np.errstate(invalid="ignore", over="ignore"):  # cells that are not held may hold anything
        excess = -gain - margin
        return np.where(held & (excess > 0.0), excess, 0.0)


def _frequency(
    exceedances: Int64[np.ndarray, " series"],
    observations: Int64[np.ndarray, " series"],
    probability: float,
    shares: EffectiveShares,
) -> Float64[np.ndarray, " series"]:
    """Return the likelihood ratio of the frequency at effective counts, 0 of no observation."""
    ratio = kupiec_pof(exceedances, np.maximum(observations, 1), probability).statistic
    return np.where(observations > 0, ratio * shares.frequency, 0.0)


def _transition_tests(
    exceeded: Bool[np.ndarray, " dates series"],
    held: Bool[np.ndarray, " dates series"],
    probability: float,
    lag: int,
    shares: EffectiveShares,
) -> tuple[Float64[np.ndarray, " series"], Float64[np.ndarray, " series"]]:
    """Return the likelihood ratios of independence and of conditional coverage."""
    counts = transitions(exceeded, held, lag)
    ratio = christoffersen_independence(counts).statistic * shares.independence
    led_to = counts.n01 + counts.n11
    frequency = _frequency(led_to, led_to + counts.n00 + counts.n10, probability, shares)
    return ratio, ratio + frequency


def _zone(
    exceedances: Float64[np.ndarray, " series"],
    observations: Float64[np.ndarray, " series"],
    probability: float,
) -> Int8[np.ndarray, " series"]:
    """Return the zone of counts that need not be whole; green where nothing was exceeded, however few the dates.

    P(X ≤ x) = I(1 − p; N − x, x + 1), the incomplete beta function, is the binomial distribution at whole counts and
    goes on between them.
    """
    from scipy.special import betainc  # type: ignore[import-untyped]  # noqa: PLC0415  (slow to load)

    covered = observations - exceedances
    reached = betainc(np.maximum(covered, np.finfo(np.float64).tiny), exceedances + 1.0, 1.0 - probability)
    zone = np.searchsorted(ZONE_STARTS, reached, side="right")
    return np.where(exceedances > 0.0, zone, 0).astype(np.int8)


def _require(
    margin: Float64[np.ndarray, " dates series"],
    gain: Float64[np.ndarray, " dates series"],
    held: Bool[np.ndarray, " dates series"],
    days: dict[str, int],
    confidence: float,
) -> None:
    assert margin.shape == gain.shape == held.shape, "margins and gains are of the same dates and series"
    bad: list[BadRecord] = []
    if not margin.shape[0]:
        bad.append(bad_number(TABLE, "dates", 0, "at least 1"))
    bad += [bad_number(TABLE, name, value, "at least 1") for name, value in days.items() if value < 1]
    if not 0.0 < confidence < 1.0:
        bad.append(bad_number(TABLE, "confidence", confidence, "between 0 and 1, both excluded"))
    bad += unfit_cells(TABLE, "margin", margin, held, least=0.0)
    bad += unfit_cells(TABLE, "gain", gain, held)
    refuse(bad)
