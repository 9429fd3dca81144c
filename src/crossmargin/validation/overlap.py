"""How much overlapping horizons tell: effective numbers of observations.

A loss over h days measured every ``step`` days shares days with its neighbours while their distance is less
than h. One bad day then makes several exceedances, and tests that take them for independent reject a right
margin too often. Both likelihood ratios are proportional to the counts they are made of, so the
ratio at effective counts (x N_eff ÷ N exceedances in N_eff observations) is the ratio × N_eff ÷ N.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from crossmargin.validation.coverage import transitions

__all__ = [
    "PRIOR_EXCEEDANCES",
    "EffectiveShares",
    "effective_shares",
    "normal_hit_correlation",
    "separate_lag",
]

PRIOR_EXCEEDANCES: Final = 2
"""Exceedances that the autocorrelation expected beforehand counts as much as, beside those seen."""

QUADRATURE_NODES: Final = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class EffectiveShares:
    """How many independent observations one observation is worth, above 0 and at most 1.

    Parameters
    ----------
    frequency : ndarray of float64
        In a count of exceedances.
    independence : ndarray of float64
        In a table of transitions.
    """

    frequency: Float64[np.ndarray, " series"]
    independence: Float64[np.ndarray, " series"]


def separate_lag(horizon_days: int, step_days: int) -> int:
    """Return how many steps apart two horizons share no day: 1 of a day, 2 of two days measured daily."""
    return -(-horizon_days // step_days)


def effective_shares(
    exceeded: Bool[np.ndarray, " dates series"],
    held: Bool[np.ndarray, " dates series"],
    probability: float,
    horizon_days: int,
    step_days: int,
) -> EffectiveShares:
    """Return what observations of overlapping horizons are worth; 1 where none overlaps.

    With N observations, n_k pairs of them k steps apart and autocorrelations ρ_k of exceedances, the variance of their count
    is p (1 − p) (N + 2 Σ n_k ρ_k), exactly, hence the share 1 ÷ (1 + 2 Σ ρ_k n_k ÷ N), the sum over horizons that share a
    day. The share for transitions has ρ_k² in place of ρ_k (Bartlett, "On the theoretical specification and sampling
    properties of autocorrelated time-series", 1946: variance of a sample autocorrelation beyond the last that is not 0).

    ρ_k is estimated from the exceedances: that after one another follows k steps later was seen x_k and n11_k times, and
    beforehand is taken to have been seen as often as half-way between the bounds in ``PRIOR_EXCEEDANCES`` cases more. The bounds: normal
    daily returns below, and above the share of days in common, which single days that are each worth the whole
    loss would give. Returns of Student's t with 4 degrees of freedom lie half-way.

    Parameters
    ----------
    exceeded : ndarray of bool
        Dates with an exceedance; only where held.
    held : ndarray of bool
        Dates with an observation.
    probability : float
        Of an exceedance if the margin is right, between 0 and 1.
    horizon_days : int
        Trading days of each loss, at least 1.
    step_days : int
        Trading days from a date to the next, at least 1.
    """
    observations = np.maximum(held.sum(axis=0), 1)
    frequency, independence = np.zeros((2, exceeded.shape[1]))
    for lag in range(1, separate_lag(horizon_days, step_days)):
        common = 1.0 - lag * step_days / horizon_days
        correlation, share = _hit_correlation(exceeded, held, probability, common, lag)
        weight = 2.0 * share / observations
        frequency += weight * correlation
        independence += weight * correlation**2
    return EffectiveShares(frequency=1.0 / (1.0 + frequency), independence=1.0 / (1.0 + independence))


def _hit_correlation(
    exceeded: Bool[np.ndarray, " dates series"],
    held: Bool[np.ndarray, " dates series"],
    probability: float,
    common: float,
    lag: int,
) -> tuple[Float64[np.ndarray, " series"], Float64[np.ndarray, " series"]]:
    """Return the autocorrelation of exceedances at a lag, and how many pairs there are."""
    counts = transitions(exceeded, held, lag)
    after = counts.n10 + counts.n11
    lowest = normal_hit_correlation(probability, common)
    # a correlation of hits is (P(hit | hit) − p) ÷ (1 − p)
    expected = probability + (1.0 - probability) * 0.5 * (lowest + common)
    again = (PRIOR_EXCEEDANCES * expected + counts.n11) / (PRIOR_EXCEEDANCES + after)
    correlation = np.clip((again - probability) / (1.0 - probability), lowest, common)
    return correlation, (after + counts.n00 + counts.n01).astype(np.float64)


def normal_hit_correlation(probability: float, correlation: float) -> float:
    """Return how two exceedances of equal probability correlate if the losses are jointly normal.

    P(both) − p² = ∫ exp(−z² ÷ (1 + sin θ)) dθ ÷ 2π from 0 to arcsin of the correlation, z the quantile
    at 1 − p (Plackett, "A reduction formula for normal multivariate integrals", 1954), here by
    Gauss-Legendre quadrature. 0.12 at 1% and a correlation of a half.

    Parameters
    ----------
    probability : float
        Of each, between 0 and 1, both excluded.
    correlation : float
        Of the losses, from 0 to 1.
    """
    squared = NormalDist().inv_cdf(probability) ** 2
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE_NODES)
    half = 0.5 * math.asin(correlation)
    angles = half * (nodes + 1.0)
    covariance = half * float((weights * np.exp(-squared / (1.0 + np.sin(angles)))).sum()) / (2.0 * math.pi)
    return covariance / (probability * (1.0 - probability))
