"""What of a market stress scenarios can move: its factors, who belongs to which target, betas and past moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.models.scenarios.scenario_set import RiskFactor
from crossmargin.models.scenarios.selection import compounded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.programmes.stress.library import Target

__all__ = ["StressUniverse", "main_index", "plain_code", "stress_universe"]

VOLATILITY_DAYS: Final = (30, 91, 182, 365, 730)
"""Days to expiry of the volatilities of an underlying without a volatility history."""

RATE_DAYS: Final = (91,)
"""Days of the rate of a currency without rates."""

BETA_DAYS, BETA_DAYS_MIN = 250, 60
BETA_LIMITS: Final = (0.0, 3.0)
"""A beta of fewer days than the least is taken for 1; a stress lets no spot move against the index."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StressUniverse:
    """Factors and underlyings that scenarios of a market move.

    Parameters
    ----------
    factors : tuple of RiskFactor
        A spot of every underlying in ``names``, in their order; then volatilities, rates and exchange rates.
    names : tuple of str
        Underlyings of the snapshot, sorted.
    kinds : tuple of str
        Of each: "index", "stock", "etf".
    index : str
        The main index, see ``main_index``.
    index_moves, index_past : ndarray of float64, shape (days,)
        Its simple return of each day, and over the horizon that ended on it; NaN where it has none that may be used.
        The market need not have an instrument on it.
    weights : mapping of str to tuple of (str, float)
        Constituents and their weights of each index and fund, on the day.
    beta : ndarray of float64, shape (names,)
        To the main index.
    beta_days : ndarray of int64, shape (names,)
        Common days behind each beta.
    days : ndarray of datetime64[D], shape (days,)
        Of the histories.
    past : ndarray of float64, shape (days, factors)
        Move over the horizon that ended on each day, as scenarios move (simple returns; of a rate the difference).
    known : ndarray of bool, shape (days, factors)
        Where every day of that window has a return that may be used.
    horizon_days : int
        Trading days of that window.
    """

    factors: tuple[RiskFactor, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    index: str
    index_moves: Float64[np.ndarray, " days"]
    index_past: Float64[np.ndarray, " days"]
    weights: Mapping[str, tuple[tuple[str, float], ...]]
    beta: Float64[np.ndarray, " names"]
    beta_days: Int64[np.ndarray, " names"]
    days: np.ndarray
    past: Float64[np.ndarray, "days factors"]
    known: Bool[np.ndarray, "days factors"]
    horizon_days: int

    @cached_property
    def place(self) -> dict[str, int]:
        """Place of each underlying in ``names``."""
        return {name: at for at, name in enumerate(self.names)}

    @cached_property
    def by_code(self) -> dict[str, int]:
        """Place of each underlying by its name, and by its exchange code without zeros before it and ending."""
        return {plain_code(name): at for at, name in enumerate(self.names)} | self.place

    @cached_property
    def of_kind(self) -> dict[str, Int64[np.ndarray, " columns"]]:
        """Columns of the factors of each kind."""
        kinds = np.array([factor.kind for factor in self.factors])
        return {str(kind): np.flatnonzero(kinds == kind) for kind in np.unique(kinds)}

    @cached_property
    def named(self) -> Int64[np.ndarray, " factors"]:
        """Place in ``names`` of the underlying of each factor; −1 for rates and exchange rates."""
        has = {"spot", "volatility"}
        return np.array([self.place[one.name] if one.kind in has else -1 for one in self.factors], np.int64)

    def underlyings(self, target: Target, sectors: Mapping[str, tuple[str, ...]]) -> list[int]:
        """Return the places of the underlyings that a target of a spot, volatility or basis means."""
        everyone = range(len(self.names))
        if not target.selector:
            wanted = self.by_code.get(target.name, -1)
            return [at for at in everyone if target.name == "*" or at == wanted]
        if target.selector == "sector":
            return [self.by_code[code] for code in sectors[target.name] if code in self.by_code]
        if target.selector == "rank":
            return self.ranked[int(target.name) - 1 : int(target.name)]
        if target.selector == "constituents":
            return self._constituents(target.name)
        if target.selector == "funds":
            return [at for at in everyone if self._is_fund(self.names[at], target.name)]
        return [at for at in everyone if self.kinds[at] == target.selector]

    def _is_fund(self, name: str, index: str) -> bool:
        held = [part for part, _ in self.weights.get(name, ())]
        return self.kinds[self.place[name]] == "etf" and bool(held) and (index == "*" or index in held)

    def _constituents(self, index: str) -> list[int]:
        """Return what indices hold; funds on them are not asked."""
        indices = [name for name, kind in zip(self.names, self.kinds, strict=True) if kind == "index"]
        wanted = indices if index == "*" else [index]
        held = {part for name in wanted for part, _ in self.weights.get(name, ())}
        return sorted(self.place[part] for part in held if part in self.place)

    @cached_property
    def ranked(self) -> list[int]:
        """Constituents of the main index, the largest weight first; without weights the stocks by name."""
        held = [(-weight, name) for name, weight in self.weights.get(self.index, ()) if name in self.place]
        if held:
            return [self.place[name] for _, name in sorted(held)]
        return [at for at, kind in enumerate(self.kinds) if kind == "stock"]

    def worst(self, *, fall: bool) -> Float64[np.ndarray, " names"]:
        """Return the largest fall or rise of each spot's history; without one its beta × the main index's."""
        spots = slice(0, len(self.names))
        past = np.where(self.known[:, spots], self.past[:, spots], 0.0)
        own = past.min(axis=0, initial=0.0) if fall else past.max(axis=0, initial=0.0)
        of_index = (
            np.nanmin(self.index_past, initial=0.0) if fall else np.nanmax(self.index_past, initial=0.0)
        )
        return np.where(self.known[:, spots].any(axis=0), own, self.beta * of_index)

    def currencies(self, target: Target) -> list[int]:
        """Return the columns of the factors that a target of a rate or an exchange rate means."""
        columns = self.of_kind.get(target.kind, np.zeros(0, np.int64)).tolist()
        return [at for at in columns if target.name in {"*", self.factors[at].name}]


def plain_code(name: str) -> str:
    """Return an exchange code without zeros before it and without the market's ending: 0700.HK is 700."""
    code = name.upper().removesuffix(".HK")
    return (code.lstrip("0") or code) if code.isdecimal() else name


def stress_universe(
    market: Market, snapshot: Snapshot, histories: Histories, horizon_days: int
) -> StressUniverse:
    """Return what scenarios can move in a market on a day.

    Parameters
    ----------
    market : Market
        Weights of indices and funds, on the snapshot's day.
    snapshot : Snapshot
        Whose instruments are stressed.
    histories : Histories
        Up to the same day.
    horizon_days : int
        Trading days of the windows of past moves.
    """
    listed = snapshot.instruments.select("underlying", "underlying_kind").unique().sort("underlying")
    names = tuple(listed["underlying"])
    factors = _factors(names, snapshot, histories)
    columns = np.array([histories.columns.get(factor.code, -1) for factor in factors], np.int64)
    past, known = _past(histories, columns, horizon_days)
    index = main_index(market, snapshot.as_of)
    beta, beta_days = _betas(histories, index, columns[: len(names)])
    return StressUniverse(
        factors=factors,
        names=names,
        kinds=tuple(listed["underlying_kind"]),
        index=index,
        index_moves=_of_index(histories, index, 1),
        index_past=_of_index(histories, index, horizon_days),
        weights=_weights(market, snapshot),
        beta=beta,
        beta_days=beta_days,
        days=histories.days,
        past=past,
        known=known,
        horizon_days=horizon_days,
    )


def main_index(market: Market, as_of: date) -> str:
    """Return the index with most prices up to a day; of several the one with most constituents, then by name.

    Without an index, the underlying with most prices.
    """
    counts = market["prices"].filter(pl.col("date") <= as_of).group_by("underlying").len("prices")
    parts = market.weights_on(as_of).group_by("underlying").len("parts")
    known = market["underlyings"].join(counts, on="underlying").join(parts, on="underlying", how="left")
    order = [pl.col("kind") == "index", pl.col("prices"), pl.col("parts").fill_null(0), pl.col("underlying")]
    ranked = known.sort(order, descending=[True, True, True, False])["underlying"]
    return str(ranked[0])


def _factors(names: tuple[str, ...], snapshot: Snapshot, histories: Histories) -> tuple[RiskFactor, ...]:
    """Return a spot of each underlying, volatilities of those with options, rates, exchange rates."""
    days_of: dict[tuple[str, str], list[int]] = {}
    for factor in histories.factors:
        days_of.setdefault((factor.kind, factor.name), []).append(factor.days)
    optioned = snapshot.instruments.filter(pl.col("kind") == "option")["underlying"].unique().sort()
    currencies = sorted({snapshot.currency, *snapshot.instruments["currency"]})
    spots = [RiskFactor("spot", name) for name in names]
    volatilities = [
        RiskFactor("volatility", name, days)
        for name in optioned
        for days in days_of.get(("volatility", name), VOLATILITY_DAYS)
    ]
    rates = [
        RiskFactor("rate", currency, days)
        for currency in currencies
        for days in days_of.get(("rate", currency), RATE_DAYS)
    ]
    foreign = [RiskFactor("exchange_rate", one) for one in currencies if one != snapshot.currency]
    return (*spots, *volatilities, *rates, *foreign)


def _weights(market: Market, snapshot: Snapshot) -> dict[str, tuple[tuple[str, float], ...]]:
    found: dict[str, list[tuple[str, float]]] = {}
    for name, part, weight in market.weights_on(snapshot.as_of).iter_rows():
        found.setdefault(name, []).append((part, weight))
    return {name: tuple(parts) for name, parts in found.items()}


def _past(
    histories: Histories, columns: Int64[np.ndarray, " factors"], horizon_days: int
) -> tuple[Float64[np.ndarray, "days factors"], Bool[np.ndarray, "days factors"]]:
    """Return the moves over the windows that end on each day, and where they are known."""
    has = columns >= 0
    moves = np.where(
        has, compounded(histories.returns[:, columns], horizon_days, histories.multiplies[columns]), 0.0
    )
    if histories.rules.returns == "log":
        prices = np.array([histories.factors[at].kind != "rate" for at in columns.tolist()])
        moves[:, prices] = np.expm1(moves[:, prices])
    valid = histories.valid[:, columns] & has
    known = valid.copy()
    for lag in range(1, horizon_days):
        known[lag:] &= valid[:-lag]
    known[: horizon_days - 1] = False
    return moves, known


def _of_index(histories: Histories, index: str, horizon_days: int) -> Float64[np.ndarray, " days"]:
    columns = np.array([histories.columns.get(f"spot:{index}", -1)], np.int64)
    moves, known = _past(histories, columns, horizon_days)
    return np.where(known, moves, np.nan)[:, 0]


def _betas(
    histories: Histories, index: str, columns: Int64[np.ndarray, " names"]
) -> tuple[Float64[np.ndarray, " names"], Int64[np.ndarray, " names"]]:
    """Return the slope of each spot's daily moves on the main index's, over the last common days."""
    at = histories.columns.get(f"spot:{index}", -1)
    if at < 0:
        return np.ones(columns.size), np.zeros(columns.size, np.int64)
    recent = slice(-BETA_DAYS, None)
    both = histories.valid[recent, at, None] & histories.valid[recent, columns] & (columns >= 0)
    moves, of_index = histories.returns[recent, columns], histories.returns[recent, at, None]
    count = both.sum(axis=0)
    least = np.maximum(count, 1)
    own = np.where(both, moves - np.where(both, moves, 0.0).sum(axis=0) / least, 0.0)
    index_own = np.where(both, of_index - np.where(both, of_index, 0.0).sum(axis=0) / least, 0.0)
    variance = (index_own * index_own).sum(axis=0)
    enough = (count >= BETA_DAYS_MIN) & (variance > 0)
    slope = (own * index_own).sum(axis=0) / np.where(enough, variance, 1.0)
    return np.where(enough, np.clip(slope, *BETA_LIMITS), 1.0), np.where(enough, count, 0)
