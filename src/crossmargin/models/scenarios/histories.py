"""Histories of risk factors: trading days, total-return levels and returns, and what was found wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64

from crossmargin.core.columns import require_date
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.scenarios.corporate_actions import corporate_actions
from crossmargin.models.scenarios.findings import FindingLog
from crossmargin.models.scenarios.history_rules import HistoryRules
from crossmargin.models.scenarios.price_checks import PriceMoves, checked_moves, market_moves, runs
from crossmargin.models.scenarios.proxies import fill_from_proxies
from crossmargin.models.scenarios.raw_series import RawSeries, observed_series

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from crossmargin.models.market import Market
    from crossmargin.models.scenarios.findings import Days
    from crossmargin.models.scenarios.scenario_set import RiskFactor

__all__ = ["Histories", "make_histories"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Histories:
    """Checked histories up to a day.

    Parameters
    ----------
    as_of : date
        The day asked for; the last of ``days`` is that or the trading day before.
    days : ndarray of datetime64[D], shape (days,)
        Trading days, ascending.
    factors : tuple of RiskFactor
        Columns: spots sorted by name, then volatilities, rates and exchange rates.
    levels : ndarray of float64, shape (days, factors)
        Levels that make the returns, adjusted back from the last one for splits and dividends; carried
        over days without a price, 0 before the first one.
    returns : ndarray of float64, shape (days, factors)
        Move from the trading day before: log or simple by ``rules.returns``, of a rate the difference;
        0 where it is not valid.
    valid : ndarray of bool, shape (days, factors)
        Where there is a return that may be used.
    proxied : ndarray of bool, shape (days, factors)
        Where it comes from a proxy.
    stale : ndarray of bool, shape (days, factors)
        Where a return tells nothing of volatility: there was no price that day, or it is one of
        ``rules.stale_days`` or more unchanged days in a row, days without a price among them.
    findings : DataFrame
        See ``FINDING_SCHEMA`` and ``FINDING_KINDS``.
    rules : HistoryRules
        How they were made.
    proxies : tuple of (str, str)
        Underlyings and their proxies.
    """

    as_of: date
    days: Days
    factors: tuple[RiskFactor, ...]
    levels: Float64[np.ndarray, "days factors"]
    returns: Float64[np.ndarray, "days factors"]
    valid: Bool[np.ndarray, "days factors"]
    proxied: Bool[np.ndarray, "days factors"]
    stale: Bool[np.ndarray, "days factors"]
    findings: pl.DataFrame
    rules: HistoryRules
    proxies: tuple[tuple[str, str], ...] = ()

    @cached_property
    def columns(self) -> dict[str, int]:
        """Column of each factor by its code."""
        return {factor.code: column for column, factor in enumerate(self.factors)}

    @cached_property
    def counted(self) -> Bool[np.ndarray, "days factors"]:
        """Where a return counts for volatility: it is valid and not stale."""
        return self.valid & ~self.stale

    @property
    def multiplies(self) -> Float64[np.ndarray, " factors"]:
        """1 for factors whose moves multiply over days (simple returns), 0 for those whose moves add up."""
        simple = self.rules.returns == "simple"
        return np.array([float(simple and factor.kind != "rate") for factor in self.factors])

    def until(self, day: date, *, refit: bool = True) -> Histories:
        """Return what was known on a day, cut out of what is known now.

        The same as histories made on that day, but for judgements that look back: a run of unchanged prices is
        known to its end, levels are adjusted back from the last one of all, series that ended since are missing,
        a factor without a price yet has no valid return, and findings are those of the whole.

        Parameters
        ----------
        day : date
            At or after the first one.
        refit : bool
            Whether days filled from proxies are filled again from what was known then. Otherwise they stay as
            later days had them filled: β and residuals look ahead.

        Raises
        ------
        InputError
            If the day is before the first one.
        """
        known = int(np.searchsorted(self.days, np.datetime64(require_date(day, "day"), "D"), side="right"))
        if not known:
            rule = f"a day from {self.days[0]}, the first of the histories"
            raise InputError([BadRecord(file="histories", line=0, field="day", value=str(day), rule=rule)])
        arrays = ("days", "levels", "returns", "valid", "proxied", "stale")
        cut = replace(self, as_of=day, **{name: getattr(self, name)[:known] for name in arrays})
        return cut.refitted() if refit and cut.proxied.any() else cut

    def refitted(self) -> Histories:
        """Return the histories with proxied days filled from these days alone."""
        returns, valid, stale = self.returns.copy(), self.valid.copy(), self.stale.copy()
        returns[self.proxied], valid[self.proxied], stale[self.proxied] = 0.0, False, False
        known = dict(self.proxies)
        proxied = fill_from_proxies(
            self.factors, known, self.days, returns, valid, stale, self.rules, FindingLog()
        )
        return replace(self, returns=returns, valid=valid, stale=stale, proxied=proxied)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over days, factors, returns, where they hold and where they are stale."""
        digest = hashlib.sha256(repr((self.as_of.isoformat(), self.factors, self.rules)).encode())
        for array in (self.days, self.returns, self.valid, self.stale):
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()


def make_histories(market: Market, as_of: date, rules: HistoryRules | None = None) -> Histories:
    """Make checked histories of every risk factor of a market up to a day.

    Returns of a spot are those of holding it: net of splits, and with the dividend on the ex-day
    (``corporate_actions``). Everything found is listed, see ``FINDING_KINDS``; what is done about it is
    in the rules.

    Parameters
    ----------
    market : Market
        Prices, and whatever it has of splits, dividends, volatilities, rates and exchange rates.
    as_of : date
        Nothing after it is looked at, except ratios of later splits where prices are adjusted for them.
    rules : HistoryRules, optional
        Those of ``HistoryRules()`` unless given.

    Raises
    ------
    InputError
        If ``as_of`` is no date, no price is known up to that day, the prices end too early, the calendar
        is unknown, or something was found that the rules refuse.
    """
    rules = rules or HistoryRules()
    require_date(as_of, "as_of")
    log = FindingLog()
    raw = observed_series(market, as_of, kinds=rules.kinds, trading_share=rules.trading_share, log=log)
    _require_recent(raw, as_of, rules.end_gap_days)
    raw = _without_ended(raw, rules, log)
    moves = _moves(market, raw, rules, log)
    returns, valid, levels = _on_all_days(raw, moves, rules, log)
    known = market["underlyings"].filter(market["underlyings"]["proxy"].is_not_null())
    proxies = dict(known.select("underlying", "proxy").iter_rows())
    stale = _stale(moves, raw.days.size, rules.stale_days)
    proxied = fill_from_proxies(raw.factors, proxies, raw.days, returns, valid, stale, rules, log)
    return Histories(
        as_of=as_of,
        days=raw.days,
        factors=raw.factors,
        levels=levels,
        returns=returns,
        valid=valid,
        proxied=proxied,
        stale=stale,
        findings=log.table(),
        rules=rules,
        proxies=tuple(sorted(proxies.items())),
    )


def _require_recent(raw: RawSeries, as_of: date, end_gap_days: int) -> None:
    gap = int(np.busday_count(raw.days[-1], np.datetime64(as_of, "D")))
    if gap > end_gap_days:
        rule = f"prices up to {end_gap_days} weekdays before {as_of.isoformat()}"
        raise InputError([BadRecord(file="prices", line=0, field="date", value=str(raw.days[-1]), rule=rule)])


def _without_ended(raw: RawSeries, rules: HistoryRules, log: FindingLog) -> RawSeries:
    """Leave out, or refuse, series without a recent price."""
    since = np.argmax(raw.observed[::-1], axis=0)
    since[~raw.observed.any(axis=0)] = raw.days.size
    ended = since > rules.end_gap_days
    codes = [factor.code for factor, gone in zip(raw.factors, ended, strict=True) if gone]
    last = raw.days[np.maximum(raw.days.size - 1 - since[ended], 0)]
    if codes and rules.ends_early == "refuse":
        rule = f"a price on the last {rules.end_gap_days + 1} trading days"
        raise InputError(
            [
                BadRecord(file="prices", line=0, field=code, value=str(day), rule=rule)
                for code, day in zip(codes, last, strict=True)
            ]
        )
    log.add_rows(codes, "ends early", last, since[ended], "left out")
    return RawSeries(
        days=raw.days,
        factors=tuple(factor for factor, gone in zip(raw.factors, ended, strict=True) if not gone),
        levels=raw.levels[:, ~ended],
        observed=raw.observed[:, ~ended],
    )


def _moves(market: Market, raw: RawSeries, rules: HistoryRules, log: FindingLog) -> list[PriceMoves]:
    """Return the checked moves of every series from price to price; log returns, differences of rates."""
    actions = corporate_actions(market)
    moves = []
    for column, factor in enumerate(raw.factors):
        places = np.flatnonzero(raw.observed[:, column])
        levels = raw.levels[places, column]
        if factor.kind == "spot":
            returns = actions[factor.name].log_returns(raw.days[places], levels)
        elif factor.kind == "rate":
            returns = np.diff(levels, prepend=levels[:1])
        else:
            returns = np.diff(np.log(levels), prepend=np.log(levels[:1]))
        moves.append(PriceMoves(places=places, returns=returns))
    spots = sum(factor.kind == "spot" for factor in raw.factors)
    together = market_moves(moves[:spots], raw.days.size, rules.bad_print_move)
    checked = [
        checked_moves(factor.code, series, raw.days, together, rules, log)
        for factor, series in zip(raw.factors[:spots], moves[:spots], strict=True)
    ]
    return checked + moves[spots:]


def _on_all_days(
    raw: RawSeries, moves: list[PriceMoves], rules: HistoryRules, log: FindingLog
) -> tuple[
    Float64[np.ndarray, "days factors"], Bool[np.ndarray, "days factors"], Float64[np.ndarray, "days factors"]
]:
    """Return moves, where they may be used, and levels, on every trading day."""
    returns = np.zeros(raw.levels.shape)
    valid = np.zeros(raw.levels.shape, np.bool_)
    levels = np.zeros(raw.levels.shape)
    for column, (factor, series) in enumerate(zip(raw.factors, moves, strict=True)):
        first = series.places[0]
        returns[series.places, column] = series.returns
        missing = np.ones(raw.days.size, np.bool_)
        missing[series.places] = False
        missing[:first] = False
        last = raw.levels[series.places[-1], column]
        path = np.cumsum(returns[first:, column])
        levels[first:, column] = (
            last + (path - path[-1]) if factor.kind == "rate" else last * np.exp(path - path[-1])
        )
        valid[first + 1 :, column] = True
        _report_gaps(factor.code, raw.days, int(first), missing, rules, log)
        if rules.missing_days == "leave out":
            unusable = missing | np.append(False, missing[:-1])
            valid[unusable, column], returns[unusable, column] = False, 0.0
        if rules.returns == "simple" and factor.kind != "rate":
            returns[:, column] = np.expm1(returns[:, column])
    return returns, valid, levels


def _stale(moves: list[PriceMoves], day_count: int, stale_days: int) -> Bool[np.ndarray, "days factors"]:
    """Return where nothing shows how much a factor moves: no price that day, or one of many unchanged days."""
    stale = np.zeros((day_count, len(moves)), np.bool_)
    for column, series in enumerate(moves):
        still = np.ones(day_count, np.bool_)
        still[series.places] = series.returns == 0.0
        still[: series.places[0] + 1] = False  # no return up to the first price
        lengths = runs(still)[1]
        stale[still, column] = np.repeat(lengths >= stale_days, lengths)
        carried = still.copy()
        carried[series.places] = False
        stale[carried, column] = True
    return stale


def _report_gaps(
    code: str,
    days: Days,
    first: int,
    missing: Bool[np.ndarray, " days"],
    rules: HistoryRules,
    log: FindingLog,
) -> None:
    if first > 0:
        log.add(code, "starts late", days[first : first + 1], np.array([first]), "not valid before")
    starts, lengths = runs(missing)
    action = "level carried" if rules.missing_days == "carry" else "left out"
    log.add(code, "missing days", days[starts], lengths, action)
