"""Days before the own history of a spot or a volatility, filled from that of a proxy.

On the days that both have returns of their own, r = a + β × proxy + residual by least squares. A day
before is filled with β × proxy + a residual drawn with replacement, or with the proxy's return × the ratio
of standard deviations. The constant a is left out: a trend is no risk.

A draw depends on the seed, the underlying's name and the filled day alone, not on what else is in the
market nor on the as-of day; and it is made from a sample that stays, the residuals of a regression on the
first ``proxy_sample_days`` common days. Once these are known, a day has the same residual whenever it is
asked for, and margin does not move with the luck of the draw. An underlying's spot and volatilities draw
the same days where their samples have the same days.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, UInt64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crossmargin.models.scenarios.findings import Days, FindingLog
    from crossmargin.models.scenarios.history_rules import HistoryRules
    from crossmargin.models.scenarios.scenario_set import RiskFactor

__all__ = ["fill_from_proxies", "proxy_columns", "regression"]

PROXIED_KINDS: Final = ("spot", "volatility")

WORDS: Final = 4
"""Random words that Philox makes of one count."""

COUNT_OF_DAY_0: Final = 2**40
"""Count of 1970-01-01, so that earlier days have one above 0 too."""


def regression(
    own: Float64[np.ndarray, " days"], proxy: Float64[np.ndarray, " days"]
) -> tuple[float, Float64[np.ndarray, " days"]]:
    """Return β and the residuals, mean 0, of a least-squares line; β = 0 on a proxy that never moves.

    Sums are exactly rounded (``math.fsum``), so that no order of summation shows.
    """
    own, proxy = own - math.fsum(own) / own.size, proxy - math.fsum(proxy) / proxy.size
    square = math.fsum(proxy * proxy)
    beta = math.fsum(own * proxy) / square if square > 0 else 0.0
    return beta, own - beta * proxy


def proxy_columns(factors: Sequence[RiskFactor], proxies: Mapping[str, str]) -> list[tuple[int, int | None]]:
    """Return the column of each factor whose underlying has a proxy, and that of the factor to stand in.

    A spot stands in for a spot, a volatility for the volatility of the same days to expiry; None where
    the proxy has no such factor.
    """
    columns = {factor.code: column for column, factor in enumerate(factors)}
    return [
        (column, columns.get(replace(factor, name=proxies[factor.name]).code))
        for column, factor in enumerate(factors)
        if factor.kind in PROXIED_KINDS and factor.name in proxies
    ]


def fill_from_proxies(
    factors: Sequence[RiskFactor],
    proxies: Mapping[str, str],
    days: Days,
    returns: Float64[np.ndarray, "days factors"],
    valid: Bool[np.ndarray, "days factors"],
    stale: Bool[np.ndarray, "days factors"],
    rules: HistoryRules,
    log: FindingLog,
) -> Bool[np.ndarray, "days factors"]:
    """Fill invalid returns of underlyings that have a proxy, in place; return where it was done.

    Parameters
    ----------
    factors : sequence of RiskFactor
        Columns.
    proxies : mapping of str to str
        Underlying → its proxy. A proxy helps with its own returns only, not with filled ones.
    days, returns, valid, stale : ndarray
        See ``Histories``; all but ``days`` are changed. A filled day is stale where the proxy's is.
    rules : HistoryRules
        Method, least number of common days, size of the sample and seed.
    log : FindingLog
        Gets one finding a factor.
    """
    filled = np.zeros(valid.shape, np.bool_)
    own_valid = valid.copy()
    for column, model in proxy_columns(factors, proxies):
        factor = factors[column]
        gap = ~own_valid[:, column]
        gap[:1] = False  # the first day has no return in any series
        if not gap.any():
            continue
        known = own_valid[:, model] if model is not None else np.zeros_like(gap)
        both = own_valid[:, column] & known
        gap &= known
        first = np.argmax(own_valid[:, column])
        mine = days[first : first + 1]
        helps = both.sum() >= rules.proxy_days_min and rules.proxy_method != "none"
        if model is None or not helps or not gap.any():
            log.add(factor.code, "no proxy", mine, np.array([both.sum()]), "left short")
            continue
        own, proxy = returns[both, column], returns[both, model]
        beta, moves = _modelled(own, proxy, returns[gap, model], days[gap], factor.name, rules)
        returns[gap, column], valid[gap, column], filled[gap, column] = moves, True, True
        stale[gap, column] = stale[gap, model]
        action = f"{gap.sum()} days from {factors[model].code}"
        log.add(factor.code, "proxied", mine, np.array([beta]), action)
    return filled


def _modelled(
    own: Float64[np.ndarray, " common"],
    proxy: Float64[np.ndarray, " common"],
    before: Float64[np.ndarray, " gap"],
    days: Days,
    name: str,
    rules: HistoryRules,
) -> tuple[float, Float64[np.ndarray, " gap"]]:
    if rules.proxy_method == "scaled":
        beta = _deviation(own) / _deviation(proxy) if _deviation(proxy) > 0 else 0.0
        return beta, beta * before
    beta, _ = regression(own, proxy)
    sample = slice(rules.proxy_sample_days)
    _, residuals = regression(own[sample], proxy[sample])
    return beta, beta * before + residuals[_draws(rules.seed, name, days) % np.uint64(residuals.size)]


def _draws(seed: int, name: str, days: Days) -> UInt64[np.ndarray, " days"]:
    """Return a random word of each day, which nothing but the seed, the name and the day decide."""
    stream = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    numbers = days.astype("datetime64[D]").astype(np.int64)
    first = int(numbers.min())
    bits = np.random.Philox(key=np.array([seed, stream], np.uint64), counter=COUNT_OF_DAY_0 + first)
    words: UInt64[np.ndarray, " words"] = bits.random_raw(WORDS * (int(numbers.max()) - first + 1))
    return words[::WORDS][numbers - first]


def _deviation(values: Float64[np.ndarray, " n"]) -> float:
    mean = math.fsum(values) / values.size
    return math.sqrt(math.fsum((values - mean) ** 2) / values.size)
