"""Tests of expected shortfall: Acerbi and Szekely, "Backtesting expected shortfall", Risk, December 2014."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.validation.cells import bad_cells, bad_number, refuse, unfit_cells

if TYPE_CHECKING:
    from crossmargin.errors import BadRecord

__all__ = ["AcerbiSzekely", "acerbi_szekely", "critical_values", "standard_tail"]

TABLE: Final = "expected shortfall test"
TAIL_DRAWS: Final = 1_000_000
"""Horizons drawn for value-at-risk and expected shortfall where they have no formula; off by about 0.2% at 2.5%."""
CELLS_MAX: Final = 4_000_000
"""Days drawn at once: 32 megabytes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AcerbiSzekely:
    """Both statistics, by series: about 0 if the model is right, negative where it understates.

    Parameters
    ----------
    z1 : ndarray of float64
        1 less the mean of loss ÷ expected shortfall over the exceedances: how large they were, whatever their
        number. 0 where there is none: then it says nothing, and is not to be compared with a critical value.
    z2 : ndarray of float64
        1 less the sum of the same ÷ the number expected: how large and how frequent. 1, its largest, without
        an exceedance; 0 without an observation.
    exceedances : ndarray of int64
        Dates with a loss above value-at-risk.
    """

    z1: Float64[np.ndarray, " series"]
    z2: Float64[np.ndarray, " series"]
    exceedances: Int64[np.ndarray, " series"]


def acerbi_szekely(
    gain: Float64[np.ndarray, " dates series"],
    value_at_risk: Float64[np.ndarray, " dates series"],
    expected_shortfall: Float64[np.ndarray, " dates series"],
    alpha: float,
    held: Bool[np.ndarray, " dates series"] | None = None,
) -> AcerbiSzekely:
    """Compute Z1 and Z2: losses beyond value-at-risk against the expected shortfall of their dates.

    With X the gain, I where X + VaR < 0, N dates and ES the expected shortfall, Z1 = Σ (X I ÷ ES) ÷ Σ I + 1 and
    Z2 = Σ X I ÷ (N α ES) + 1. One loss of 3 in 100 days at 1% against a shortfall of 2: both −0.5.

    Parameters
    ----------
    gain : ndarray of float64
        Profit and loss over the horizon after each date, gains positive.
    value_at_risk, expected_shortfall : ndarray of float64
        As of the date, losses positive, in the unit of the gain. Below 0 where the whole tail gains; of no book can
        it be tested how much more it lost than a shortfall that is not above 0.
    alpha : float
        Size of the tail, between 0 and 1, both excluded: 0.025 of a shortfall at 97.5%.
    held : ndarray of bool, optional
        Where a series exists; other cells are not looked at. All without it.

    Raises
    ------
    InputError
        If ``alpha`` is out of its range, a held cell is no finite number, or value-at-risk was exceeded where the
        expected shortfall is not above 0.
    """
    held = np.ones(gain.shape, np.bool_) if held is None else held
    assert gain.shape == value_at_risk.shape == expected_shortfall.shape == held.shape, "arrays of one shape"
    with np.errstate(invalid="ignore"):  # cells that are not held may hold anything
        exceeded = held & (gain + value_at_risk < 0.0)
    _require(gain, value_at_risk, expected_shortfall, alpha, held, exceeded)
    severity = np.zeros(gain.shape)
    np.divide(gain, expected_shortfall, out=severity, where=exceeded)
    exceedances = exceeded.sum(axis=0, dtype=np.int64)
    z1, z2 = _statistics(severity.sum(axis=0), exceedances, held.sum(axis=0), alpha)
    return AcerbiSzekely(z1=z1, z2=z2, exceedances=exceedances)


def _statistics(
    severity: Float64[np.ndarray, " series"],
    exceedances: Int64[np.ndarray, " series"],
    observations: Int64[np.ndarray, " series"],
    alpha: float,
) -> tuple[Float64[np.ndarray, " series"], Float64[np.ndarray, " series"]]:
    """Return both statistics from sums of gain ÷ expected shortfall over exceedances."""
    z1 = np.where(exceedances > 0, severity / np.maximum(exceedances, 1) + 1.0, 0.0)
    z2 = np.where(observations > 0, severity / (np.maximum(observations, 1) * alpha) + 1.0, 0.0)
    return z1, z2


def critical_values(
    alpha: float,
    observations: int,
    level: float,
    *,
    draws: int,
    seed: int,
    degrees_of_freedom: float | None = None,
    horizon_days: int = 1,
    step_days: int = 1,
) -> tuple[float, float]:
    """Return what Z1 and Z2 fall below with probability ``level`` if the model is right.

    Days are independent. Horizons that overlap share them; they make both statistics vary more. Z1 is taken over draws
    with an exceedance. The error is that of a quantile of ``draws`` draws.

    Parameters
    ----------
    alpha : float
        Size of the tail, between 0 and 1, both excluded.
    observations : int
        Dates, at least 1.
    level : float
        Probability of a false alarm, between 0 and 1, both excluded.
    draws : int
        Number of series drawn, at least 1 ÷ level.
    seed : int
        Of the generator.
    degrees_of_freedom : float, optional
        Of Student's t as law of a day's gain, above 1; the normal law without it.
    horizon_days, step_days : int
        Trading days of each loss, and from a date to the next; at least 1.

    Returns
    -------
    tuple of float
        Critical values of Z1 and Z2.

    Raises
    ------
    InputError
        If a number is out of its range, or no series drawn has an exceedance.
    """
    counts = {"observations": observations, "horizon_days": horizon_days, "step_days": step_days}
    _require_simulation(alpha, level, draws, degrees_of_freedom, counts)
    generator = np.random.default_rng(seed)
    if horizon_days > step_days:
        path = _Path(observations, horizon_days, step_days)
        severity, exceedances = _drawn_paths(generator, alpha, path, draws, degrees_of_freedom)
    else:
        severity, exceedances = _drawn_tails(generator, alpha, observations, draws, degrees_of_freedom)
    if not exceedances.any():
        refuse([bad_number(TABLE, "draws", draws, "enough for an exceedance")])
    z1, z2 = _statistics(severity, exceedances, np.full(draws, observations), alpha)
    return float(np.quantile(z1[exceedances > 0], level)), float(np.quantile(z2, level))


def _drawn_tails(
    generator: np.random.Generator,
    alpha: float,
    observations: int,
    draws: int,
    degrees_of_freedom: float | None,
) -> tuple[Float64[np.ndarray, " series"], Int64[np.ndarray, " series"]]:
    """Return sums of gain ÷ expected shortfall over exceedances, and their numbers, of horizons apart.

    Only the tail is drawn: how many dates exceed value-at-risk, then how far each does. That is the distribution
    of drawing every date. A horizon of several days apart from others is a day of its own law.
    """
    exceedances = generator.binomial(observations, alpha, draws)
    # 1 − u is never 0, of which the quantile would be infinite
    gains = _quantile(alpha * (1.0 - generator.random(int(exceedances.sum()))), degrees_of_freedom)
    shortfall = standard_tail(alpha, degrees_of_freedom)[1]
    owners = np.repeat(np.arange(draws), exceedances)
    return np.bincount(owners, weights=gains, minlength=draws) / shortfall, exceedances


class _Path(NamedTuple):
    observations: int
    horizon_days: int
    step_days: int


def _drawn_paths(
    generator: np.random.Generator, alpha: float, path: _Path, draws: int, degrees_of_freedom: float | None
) -> tuple[Float64[np.ndarray, " series"], Int64[np.ndarray, " series"]]:
    """Return the same of horizons that overlap, from every day of each series."""
    value_at_risk, shortfall = _horizon_tail(generator, alpha, path.horizon_days, degrees_of_freedom)
    starts = np.arange(path.observations) * path.step_days
    days = int(starts[-1]) + path.horizon_days
    block = max(CELLS_MAX // days, 1)
    sums, counts = [], []
    for first in range(0, draws, block):
        gains = _day_gains(generator, (min(block, draws - first), days), degrees_of_freedom)
        totals = np.concatenate([np.zeros((len(gains), 1)), np.cumsum(gains, axis=1)], axis=1)
        over = totals[:, starts + path.horizon_days] - totals[:, starts]
        exceeded = over < -value_at_risk
        sums.append(np.where(exceeded, over, 0.0).sum(axis=1) / shortfall)
        counts.append(exceeded.sum(axis=1, dtype=np.int64))
    return np.concatenate(sums), np.concatenate(counts)


def _horizon_tail(
    generator: np.random.Generator, alpha: float, horizon_days: int, degrees_of_freedom: float | None
) -> tuple[float, float]:
    """Return value-at-risk and expected shortfall of a sum of days."""
    if degrees_of_freedom is None:
        root = math.sqrt(horizon_days)
        value_at_risk, shortfall = standard_tail(alpha)
        return root * value_at_risk, root * shortfall
    # sums of Student's t have no formula
    sums = _day_gains(generator, (TAIL_DRAWS, horizon_days), degrees_of_freedom).sum(axis=1)
    tail = np.sort(sums)[: math.ceil(alpha * TAIL_DRAWS)]
    return -float(tail[-1]), -float(tail.mean())


def _day_gains(
    generator: np.random.Generator, shape: tuple[int, int], degrees_of_freedom: float | None
) -> Float64[np.ndarray, "series days"]:
    if degrees_of_freedom is None:
        return generator.standard_normal(shape)
    return generator.standard_t(degrees_of_freedom, shape)


def standard_tail(alpha: float, degrees_of_freedom: float | None = None) -> tuple[float, float]:
    """Return value-at-risk and expected shortfall of a standard normal gain, or of Student's t: 1.960 and 2.338 at 2.5%.

    Normal: φ(z) ÷ α; Student's t: f(q) ÷ α × (ν + q²) ÷ (ν − 1), not scaled to variance 1. McNeil, Frey and
    Embrechts, "Quantitative Risk Management" (2005), §2.2.4.

    Parameters
    ----------
    alpha : float
        Size of the tail, between 0 and 1, both excluded.
    degrees_of_freedom : float, optional
        Above 1; the normal law without it.
    """
    quantile = float(_quantile(np.array(alpha), degrees_of_freedom))
    if degrees_of_freedom is None:
        return -quantile, math.exp(-0.5 * quantile**2) / (math.sqrt(2.0 * math.pi) * alpha)
    nu = degrees_of_freedom
    scale = math.exp(math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu)) / math.sqrt(nu * math.pi)
    density = scale * (1.0 + quantile**2 / nu) ** (-0.5 * (nu + 1.0))
    return -quantile, density / alpha * (nu + quantile**2) / (nu - 1.0)


def _quantile(
    probability: Float64[np.ndarray, "*shape"], degrees_of_freedom: float | None
) -> Float64[np.ndarray, "*shape"]:
    from scipy import special  # type: ignore[import-untyped]  # noqa: PLC0415  (slow to load)

    if degrees_of_freedom is None:
        return special.ndtri(probability)
    return special.stdtrit(degrees_of_freedom, probability)


def _require(
    gain: Float64[np.ndarray, " dates series"],
    value_at_risk: Float64[np.ndarray, " dates series"],
    expected_shortfall: Float64[np.ndarray, " dates series"],
    alpha: float,
    held: Bool[np.ndarray, " dates series"],
    exceeded: Bool[np.ndarray, " dates series"],
) -> None:
    bad = _bad_share("alpha", alpha)
    bad += unfit_cells(TABLE, "gain", gain, held)
    bad += unfit_cells(TABLE, "value at risk", value_at_risk, held)
    bad += unfit_cells(TABLE, "expected shortfall", expected_shortfall, held)
    no_scale = exceeded & (expected_shortfall <= 0.0)
    rule = "above 0 where value-at-risk was exceeded"
    bad += bad_cells(TABLE, "expected shortfall", expected_shortfall, no_scale, rule)
    refuse(bad)


def _require_simulation(
    alpha: float, level: float, draws: int, degrees_of_freedom: float | None, counts: dict[str, int]
) -> None:
    bad = _bad_share("alpha", alpha) + _bad_share("level", level)
    bad += [bad_number(TABLE, name, value, "at least 1") for name, value in counts.items() if value < 1]
    if 0.0 < level < 1.0 and draws * level < 1.0:
        bad.append(bad_number(TABLE, "draws", draws, "at least 1 ÷ level"))
    if degrees_of_freedom is not None and not 1.0 < degrees_of_freedom < math.inf:
        bad.append(bad_number(TABLE, "degrees_of_freedom", degrees_of_freedom, "above 1, finite"))
    refuse(bad)


def _bad_share(field: str, value: float) -> list[BadRecord]:
    return [] if 0.0 < value < 1.0 else [bad_number(TABLE, field, value, "between 0 and 1, both excluded")]
