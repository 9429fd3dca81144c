"""Daily histories of real prices, and the scenarios of every day of them, for backtests.

Nothing after a day is in its scenarios: volatilities run forward, windows end on the day. Returns are taken within
one file of prices, never across two. What the sources lack is left out visibly (``Span.left_out``), not filled:

* Stocks: the file from 2000 to July 2020 for days up to June 2020, the one from 2009 to 2024 for days after.
* Days of a stock's history before its first price come from the index, as in the engine (β × index + a residual), with
  β and residuals of what was known on the first day that is judged.
* Futures of Hong Kong: the level of the index.
* Futures abroad: a continuous price, whose jump on the day of a roll is taken out of the history, while gains
  across it are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache, cached_property

import numpy as np
import polars as pl
from real_books import (
    MEMBERS,
    PRICE_SCHEMA,
    TURNOVER_DAYS,
    fund_prices,
    traded_stocks,
    underlyings,
)
from real_market import NEW_STOCKS, OLD_STOCKS, index_levels

from crossmargin.models.market import make_market
from crossmargin.models.scenarios.build import ScenarioSettings
from crossmargin.models.scenarios.histories import Histories, make_histories
from crossmargin.models.scenarios.history_rules import HistoryRules
from crossmargin.models.scenarios.part_rules import AntiProcyclical, PartRules, hkscc_parts, parts_of_method
from crossmargin.models.scenarios.rolling import RollingScenarios
from crossmargin.models.scenarios.selection import LookBack, WorstDays

LONG_AGO, FOREVER = date(1980, 1, 1), date(2100, 1, 1)
OLD_FILE_UNTIL = date(2020, 5, 29)
"""The older file has a consolidation of 0017 in June 2020 as a price."""


@dataclass(frozen=True, eq=False)
class Span:
    """Histories and prices of one stretch of days that are backtested on one set of files.

    Parameters
    ----------
    histories : Histories
        From which scenarios come, of the whole file.
    closes : ndarray of float64, shape (days, factors)
        Prices on the days of the histories, NaN where there was none: of these gains are made.
    start, stop : int
        First row of the days that are judged, and the row behind the last one.
    left_out : dict of str to set of date
        Days on which a price is no price of a holder of the position: a roll.
    """

    histories: Histories
    closes: np.ndarray
    start: int
    stop: int
    left_out: dict[str, frozenset[date]] = field(default_factory=dict)

    @property
    def days(self):
        return self.histories.days

    @cached_property
    def names(self):
        return [factor.name for factor in self.histories.factors]

    def column(self, name):
        return self.names.index(name)

    def only(self, name):
        """Return the span of one factor alone."""
        one = slice(self.column(name), self.column(name) + 1)
        arrays = {
            of: getattr(self.histories, of)[:, one]
            for of in ("levels", "returns", "valid", "proxied", "stale")
        }
        histories = replace(self.histories, factors=self.histories.factors[one], **arrays)
        return replace(self, histories=histories, closes=self.closes[:, one])

    def moves_after(self, horizon):
        """Return the move of each price over the next days from each day, NaN where it is not known.

        A price that is missing on the way does no harm, one that is missing at either end does.
        """
        moves = np.full(self.closes.shape, np.nan)
        moves[:-horizon] = self.closes[horizon:] / self.closes[:-horizon] - 1
        for name, out in self.left_out.items():
            at = np.isin(self.days, np.array(sorted(out), "datetime64[D]"))
            for ahead in range(1, horizon + 1):
                moves[:-ahead, self.column(name)][at[ahead:]] = np.nan
        return moves


def span_of(
    prices, kinds, *, proxy, first, last, currency="HKD", calendar="XHKG", left_out=None, levels=None
):
    """Return the span of a table of prices; ``levels`` make the histories where they are not the prices themselves.

    What is filled from the proxy is filled by what was known on the first day that is judged.
    """
    history = prices if levels is None else levels
    histories = histories_of(history, kinds, proxy, currency, calendar)
    if histories.proxied.any():
        known = history.filter(pl.col("date") <= first)
        histories = refilled(histories, histories_of(known, kinds, proxy, currency, calendar))
    wide = prices.pivot("underlying", index="date", values="close")
    table = pl.DataFrame({"date": histories.days}).with_columns(pl.col("date").cast(pl.Date))
    table = table.join(wide, on="date", how="left", maintain_order="left")
    closes = table.select(factor.name for factor in histories.factors).to_numpy().astype(np.float64)
    bounds = [np.datetime64(first, "D"), np.datetime64(last, "D") + 1]
    start, stop = np.searchsorted(histories.days, bounds).tolist()
    return Span(histories, closes, start, stop, left_out or {})


def histories_of(prices, kinds, proxy, currency, calendar):
    """Return the histories of a table of prices up to its last day."""
    market = make_market(
        {"underlyings": underlyings(kinds, currency, proxy), "prices": prices}, name="real histories",
        data_note="Real prices of public sources; for tests only.", currency=currency, calendar=calendar,
    )  # fmt: skip
    return make_histories(market, prices["date"].max(), HistoryRules(kinds=("spot",), end_gap_days=250))


def refilled(histories, early):
    """Return histories with what comes from a proxy as it was filled on an earlier day."""
    assert early.factors == histories.factors
    known = early.days.size
    assert np.array_equal(histories.days[:known], early.days)
    filled = histories.proxied.copy()
    filled[known:] = False
    assert np.array_equal(filled[:known], early.proxied), "what is filled was filled on that day too"
    returns = histories.returns.copy()
    returns[:known][filled[:known]] = early.returns[filled[:known]]
    return replace(histories, returns=returns)


@cache
def index_span(name="HSI"):
    """Return an index from 2004: its whole history, filled before by the Hang Seng Index."""
    table = index_levels().filter(pl.col("underlying").is_in(["HSI", name]))
    last = table.filter(underlying=name)["date"].max()
    kinds = {"HSI": "index"} | ({} if name == "HSI" else {name: "stock"})
    return span_of(
        table.filter(pl.col("date") <= last), kinds, proxy="HSI", first=date(2004, 1, 1), last=last
    )


FUND_FROM = date(2009, 1, 5)
"""The first day with 250 days of the fund's own history, of which residuals before it are drawn."""


@cache
def fund_span():
    """Return the Tracker Fund and the index, from 2009 to April 2020."""
    fund = fund_prices()
    last = fund["date"].max()
    index = index_levels().filter(pl.col("underlying") == "HSI", pl.col("date") <= last)
    kinds = {"HSI": "index", "2800.HK": "etf"}
    return span_of(pl.concat([index, fund]), kinds, proxy="HSI", first=FUND_FROM, last=last)


STOCKS_FROM = date(2008, 1, 2)
STOCK_FILES = (OLD_STOCKS, NEW_STOCKS)


@cache
def stock_spans():
    """Return the members and the index in two spans: of the older file from 2008, of the newer one after it."""
    kinds = {"HSI": "index", **dict.fromkeys(MEMBERS, "stock")}
    spans = []
    for file, first, last in (
        (OLD_STOCKS, STOCKS_FROM, OLD_FILE_UNTIL), (NEW_STOCKS, OLD_FILE_UNTIL + timedelta(days=1), FOREVER),
    ):  # fmt: skip
        stocks = traded_stocks(file).filter(pl.col("underlying").is_in(MEMBERS)).select(list(PRICE_SCHEMA))
        known = pl.concat([index_levels().filter(underlying="HSI"), stocks]).filter(pl.col("date") <= last)
        end = stocks["date"].max()
        spans.append(
            span_of(known.filter(pl.col("date") <= end), kinds, proxy="HSI", first=first, last=min(last, end))
        )
    return spans


@cache
def turnovers(file):
    """Return the mean turnover of the last days on which each member traded, as ``date``, ``underlying``, ``turnover``."""
    table = traded_stocks(file).filter(pl.col("underlying").is_in(MEMBERS)).sort("underlying", "date")
    mean = pl.col("turnover").rolling_mean(TURNOVER_DAYS).over("underlying")
    return table.select("date", "underlying", mean).drop_nulls()


# Margins of every day --------------------------------------------------------------------------------------------

PARTS = hkscc_parts(WorstDays(factor="spot:HSI"))
"""Today's: 1,000 filtered scenarios at 0.994, and the 1,018 worst days of the index at 0.98 with a weight of 0.25."""

FILTERED = parts_of_method("fhs")
"""1,000 filtered scenarios at 0.994 alone, for markets whose histories are too short for the other part."""


@dataclass(frozen=True)
class Switches:
    """What can be turned on the margin; the defaults are today's."""

    parts: tuple[PartRules, ...] = PARTS
    decay: float = 0.97
    floor_days: int = 0
    stressed_weight: float | None = None
    buffer: float = 0.0
    confidence: str | None = None
    look_back: int = 1000
    ratio_min: float = 0.25

    def settings(self, histories, horizon):
        """Return the settings of the scenarios over a horizon."""
        historical, *stressed = self.parts
        used = replace(historical.filtering, decay=self.decay, ratio_min=self.ratio_min)
        historical = replace(
            historical, filtering=used, selection=LookBack(scenarios=self.look_back),
            confidence=self.confidence or historical.confidence,
        )  # fmt: skip
        parts = (historical, *stressed)
        if self.stressed_weight is not None:
            weights = (1 - self.stressed_weight, self.stressed_weight)
            parts = tuple(replace(part, weight=weight) for part, weight in zip(parts, weights, strict=True))
        return ScenarioSettings(
            parts=parts, rules=histories.rules, horizon_days=horizon,
            anti_procyclical=AntiProcyclical(floor_days=self.floor_days, buffer_rate=self.buffer),
        )  # fmt: skip


TODAY = Switches()


def scenarios_by_day(span, switches, horizon, rows):
    """Yield for each row of the histories the moves of each part of its scenarios (factors, scenarios), and the parts."""
    rolling = RollingScenarios(histories=span.histories, settings=switches.settings(span.histories, horizon))
    for row in rows:
        known = rolling.known(row)
        assert known.kept.all(), f"a factor lacks scenarios on {span.days[row]}"
        moves = [np.empty((known.kept.size, part.size)) for part in known.parts]
        for number, part in enumerate(moves):
            rolling.put_moves(known, number, part)
        yield moves, known.parts


def mean_of_worst(pnl, count):
    """Return the mean of the largest losses along the last axis, as a loss."""
    return -np.sort(np.partition(pnl, count - 1, axis=-1)[..., :count], axis=-1).mean(axis=-1)


def shortfall(pnl, parts, multiplier=1.0):
    """Return the weighted expected shortfall of results by part (books, scenarios), at least 0."""
    each = [part.weight * mean_of_worst(own, part.tail_count) for own, part in zip(pnl, parts, strict=True)]
    return multiplier * np.maximum(sum(each), 0.0)


def both_shortfalls(pnl, parts, multiplier=1.0):
    """Return the same of results held long, and held short, along a new first axis: one search for both tails."""
    each = [
        part.weight * np.stack(_both_tails(own, part.tail_count))
        for own, part in zip(pnl, parts, strict=True)
    ]
    return multiplier * np.maximum(sum(each), 0.0)


def _both_tails(pnl, count):
    """Return the mean of the largest losses along the last axis, and that of the largest gains."""
    size = pnl.shape[-1]
    found = np.partition(pnl, (count - 1, size - count), axis=-1)
    return -found[..., :count].mean(axis=-1), found[..., size - count :].mean(axis=-1)
