"""How often each test rejects, if the model is right (its size) and if it is wrong in a known way (its power).

The model under test says that gains are standard normal and holds the margin of that at 99%, and value-at-risk and expected
shortfall at 97.5%. What is true is a process of gains. ``docs/concepts/backtests.md`` shows the results.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float64

from crossmargin.validation.backtest import backtest
from crossmargin.validation.coverage import binomial_cdf, kupiec_pof
from crossmargin.validation.expected_shortfall_tests import acerbi_szekely, critical_values, standard_tail

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ALPHA",
    "CONFIDENCE",
    "PROCESSES",
    "KupiecSize",
    "Process",
    "Rejections",
    "kupiec_size",
    "overlapping",
    "rejections",
]

CONFIDENCE: Final = 0.99
ALPHA: Final = 0.025
MARGIN: Final = NormalDist().inv_cdf(CONFIDENCE)
CRITICAL_DRAWS: Final = 20_000
WARM_UP_DAYS: Final = 250

GARCH_NEWS: Final = 0.10
GARCH_DECAY: Final = 0.88
"""Weights of the last square and of the last variance; what is left is the long-run variance of 1."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """What gains are drawn from.

    Parameters
    ----------
    name : str
        What is true, in words.
    draw : callable
        Of a generator, dates and series; returns gains of that shape.
    horizon_days : int
        Trading days of each gain; dates are a day apart.
    """

    name: str
    draw: Callable[[np.random.Generator, int, int], Float64[np.ndarray, " dates series"]]
    horizon_days: int = 1


@dataclass(frozen=True, kw_only=True)
class Rejections:
    """Share of series that each test rejects.

    Parameters
    ----------
    kupiec, independence, conditional, z1, z2 : float
        At the level of the test.
    yellow, red : float
        Traffic light: yellow or worse, and red.
    """

    kupiec: float
    independence: float
    conditional: float
    yellow: float
    red: float
    z1: float
    z2: float


@dataclass(frozen=True, kw_only=True)
class KupiecSize:
    """What Kupiec's test does if the model is right, without simulation.

    Parameters
    ----------
    accepted_from, accepted_to : int
        Fewest and most exceedances that are not rejected.
    too_few, too_many : float
        Probability of rejection for either reason; their sum is the size.
    """

    accepted_from: int
    accepted_to: int
    too_few: float
    too_many: float


def rejections(
    process: Process,
    observations: int,
    *,
    draws: int,
    seed: int,
    level: float = 0.05,
    corrected: bool = True,
) -> Rejections:
    """Simulate a process and return how often each test rejects.

    Parameters
    ----------
    process : Process
        What is true.
    observations : int
        Dates of each series.
    draws : int
        Number of series; a share s is off by about √(s (1 − s) ÷ draws).
    seed : int
        Of the generator; critical values of Z1 and Z2 are drawn with the next one.
    level : float
        Of the tests, between 0 and 1.
    corrected : bool
        Whether tests are told that horizons overlap.
    """
    gain = process.draw(np.random.default_rng(seed), observations, draws)
    horizon_days = process.horizon_days if corrected else 1
    margin = np.broadcast_to(MARGIN, gain.shape)
    found = backtest(margin, gain, confidence=CONFIDENCE, horizon_days=horizon_days)
    tail = [np.broadcast_to(value, gain.shape) for value in standard_tail(ALPHA)]
    shortfall = acerbi_szekely(gain, tail[0], tail[1], ALPHA)
    critical = _critical_values(observations, level, seed + 1, horizon_days)
    tests = {name: getattr(found, name) for name in ("kupiec", "independence", "conditional")}
    return Rejections(
        **{name: float((test.p_value < level).mean()) for name, test in tests.items()},
        yellow=float((found.zone >= 1).mean()),
        red=float((found.zone == 2).mean()),  # noqa: PLR2004 - the place of red
        z1=float(((shortfall.exceedances > 0) & (shortfall.z1 < critical[0])).mean()),
        z2=float((shortfall.z2 < critical[1]).mean()),
    )


@cache
def _critical_values(observations: int, level: float, seed: int, horizon_days: int) -> tuple[float, float]:
    return critical_values(
        ALPHA, observations, level, draws=CRITICAL_DRAWS, seed=seed, horizon_days=horizon_days
    )


def kupiec_size(observations: int, probability: float, level: float = 0.05) -> KupiecSize:
    """Return the size of Kupiec's test from the binomial distribution: 9.5% in 250 days at 1% and a level of 5%.

    Parameters
    ----------
    observations : int
        Days, at least 1.
    probability : float
        Of an exceedance, between 0 and 1, both excluded.
    level : float
        Of the test by the χ² distribution, between 0 and 1.
    """
    counts = np.arange(observations + 1)
    tests = kupiec_pof(counts, np.full(counts.shape, observations), probability)
    accepted = np.flatnonzero(tests.p_value >= level)
    reached = binomial_cdf(counts, observations, probability)
    first, last = int(accepted[0]), int(accepted[-1])
    return KupiecSize(
        accepted_from=first,
        accepted_to=last,
        too_few=float(reached[first - 1]) if first else 0.0,
        too_many=float(1.0 - reached[last]),
    )


def overlapping(
    horizon_days: int, degrees_of_freedom: float | None = None, probability: float = 0.01
) -> Process:
    """Return gains over several days, one from each day.

    They are sums of independent days, normal or of Student's t, scaled so that a share of all drawn exceeds the margin.

    Parameters
    ----------
    horizon_days : int
        Trading days of each gain, at least 1.
    degrees_of_freedom : float, optional
        Of Student's t; the normal law without it.
    probability : float
        Of an exceedance; that of a right margin unless given.
    """

    def draw(generator: np.random.Generator, dates: int, series: int) -> Float64[np.ndarray, " dates series"]:
        shape = (dates + horizon_days - 1, series)
        if degrees_of_freedom is None:
            days = generator.standard_normal(shape)
        else:
            days = generator.standard_t(degrees_of_freedom, shape)
        return _scaled(_windows(days, horizon_days), probability)

    law = "normal" if degrees_of_freedom is None else f"t{degrees_of_freedom:g}"
    name = f"{law} days, horizon {horizon_days}, exceedances at {probability:.0%}"
    return Process(name=name, draw=draw, horizon_days=horizon_days)


def _windows(
    days: Float64[np.ndarray, " days series"], horizon_days: int
) -> Float64[np.ndarray, " dates series"]:
    dates = len(days) - horizon_days + 1
    total = days[:dates].copy()
    for day in range(1, horizon_days):
        total += days[day : day + dates]
    return total


def _scaled(
    gain: Float64[np.ndarray, " dates series"], probability: float = 0.01
) -> Float64[np.ndarray, " dates series"]:
    """Return gains scaled so that this share of them is a loss above the margin."""
    return gain * (MARGIN / -np.quantile(gain, probability))


def _right(generator: np.random.Generator, dates: int, series: int) -> Float64[np.ndarray, " dates series"]:
    return generator.standard_normal((dates, series))


def _twice_as_frequent(
    generator: np.random.Generator, dates: int, series: int
) -> Float64[np.ndarray, " dates series"]:
    scale = MARGIN / NormalDist().inv_cdf(1.0 - 2.0 * (1.0 - CONFIDENCE))
    return scale * generator.standard_normal((dates, series))


def _clustering(
    generator: np.random.Generator, dates: int, series: int
) -> Float64[np.ndarray, " dates series"]:
    """Draw GARCH(1, 1) gains, after a warm-up from the long-run variance."""
    news = generator.standard_normal((WARM_UP_DAYS + dates, series))
    variance = np.ones(series)
    for row in range(len(news)):
        news[row] *= np.sqrt(variance)
        variance = 1.0 - GARCH_NEWS - GARCH_DECAY + GARCH_NEWS * news[row] ** 2 + GARCH_DECAY * variance
    return _scaled(news[WARM_UP_DAYS:])


def _heavy_tails(
    generator: np.random.Generator, dates: int, series: int
) -> Float64[np.ndarray, " dates series"]:
    """Draw Student's t with three degrees of freedom, scaled to the model's value-at-risk."""
    scale = standard_tail(ALPHA)[0] / standard_tail(ALPHA, 3.0)[0]
    return scale * generator.standard_t(3.0, (dates, series))


PROCESSES: Final = (
    Process(name="the model is right", draw=_right),
    Process(name="exceedances at 2%", draw=_twice_as_frequent),
    Process(name="volatility clusters", draw=_clustering),
    Process(name="heavy tails", draw=_heavy_tails),
)
"""The model right, and wrong: twice the exceedances; GARCH gains with a constant margin that is exceeded as often as it
should be; gains of Student's t with three degrees of freedom, of which 97.5% value-at-risk is right and expected shortfall
is not."""
