"""Published reductions of margin put on real hedged pairs: would what was left have covered the pair's losses?

Each pair holds a leg of value 1 against so much of its hedge as moved with it over the last 250 days. Both legs are
margined alone by the engine's model, both margins are cut by the published share, and what is left is held against
the gain of the pair over the same horizon. The break-even reduction is the largest with so much coverage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
from real_books import bond_levels, closing_prices
from real_history import FILTERED, TODAY, Switches, both_shortfalls, index_span, scenarios_by_day, span_of
from real_margins import PRIME, basket_books, fund_books

from crossmargin.models.span.from_market_rules import scan_range

ASKED = 0.99
RATIO_DAYS = 250
QUARTERS = (3, 6, 9, 12)
US_YIELDS = "us_jp/ust_cmt_yields_fred_1980_2024.csv"
JP_YIELDS = "us_jp/jgb_cmt_yields_mof_1990_2024.csv"


@dataclass(frozen=True, eq=False)
class Offset:
    """A hedged pair, both ways round: stand-alone margins of its legs together, and its gain over the horizon."""

    name: str
    horizon: int
    days: np.ndarray
    alone: np.ndarray
    gain: np.ndarray

    @property
    def judged(self):
        return ~np.isnan(self.gain)

    @property
    def used(self):
        """Loss as a share of the stand-alone margins on the days that are judged, of each way round."""
        return [
            -gain[keep] / alone[keep]
            for gain, alone, keep in zip(self.gain.T, self.alone.T, self.judged.T, strict=True)
        ]

    def break_even(self, asked=ASKED):
        """Return the largest reduction that keeps so much coverage both ways round."""
        return min(1 - largest_allowed(used, asked) for used in self.used)


def largest_allowed(used, asked):
    """Return the smallest share of margin that so much of the losses stay within."""
    allowed = math.floor((1 - asked) * used.size + 1e-9)
    return float(np.sort(used)[::-1][allowed])


def roll_days(days, *, at_month_end):
    """Return the days of a continuous price on which the contract behind it changes: a jump that nobody made or lost.

    Bond and ten-year note futures end on the seventh business day before the last one of March, June, September and
    December: the next day has another contract's price. Five- and two-year notes end with the month; the source
    changed so since 2008 or so, and around the same day as the others before, so that both days are left out.
    """
    found = []
    months = days.astype("datetime64[M]")
    for month in np.unique(months):
        inside = days[months == month]
        if int(str(month)[5:]) in QUARTERS and inside.size > RESERVE:
            found.append(inside[-RESERVE])
            behind = days[days > inside[-1]]
            if at_month_end and behind.size:
                found.append(behind[0])
    return np.array(found, "datetime64[D]")


RESERVE = 7


def third_fridays(days):
    """Return the third Fridays of the quarters' months and the trading days behind them: the roll of index futures."""
    fridays = [
        day for day in days if (day.astype(object).weekday() == 4 and 15 <= day.astype(object).day <= 21
                                and day.astype(object).month in QUARTERS)
    ]  # fmt: skip
    at = np.searchsorted(days, np.array(fridays))
    return np.unique(np.concatenate([days[at], days[np.minimum(at + 1, days.size - 1)]]))


def without_jumps(table, name, rolls):
    """Return prices of a history without the moves of some days."""
    table = table.sort("date")
    moves = table["close"].log().diff().fill_null(0.0).to_numpy().copy()
    moves[np.isin(table["date"].to_numpy().astype("datetime64[D]"), rolls)] = 0.0
    levels = 100 * np.exp(np.cumsum(moves))
    return pl.DataFrame({"date": table["date"], "underlying": [name] * len(table), "close": levels})


def hedge_ratios(span, held_name, hedge):
    """Return by row the slope of the moves of what is held on those of the hedge over the last days."""
    both = span.histories.counted[:, [span.column(held_name), span.column(hedge)]].all(axis=1)
    own, other = (
        np.where(both, span.histories.returns[:, span.column(name)], 0.0) for name in (held_name, hedge)
    )

    def last(values):
        sums = np.concatenate([[0.0], np.cumsum(values)])
        return sums[RATIO_DAYS:] - sums[:-RATIO_DAYS]

    slope = last(own * other) / last(other * other)
    return np.concatenate([np.full(RATIO_DAYS - 1, np.nan), slope])


def pair_span(held_table, hedge_table, names, *, rolls, currency, calendar):
    """Return the span of both series on their common days, judged from the first with enough history."""
    both = pl.concat([held_table, hedge_table])
    both = both.filter(pl.col("date").len().over("date") == len(names))
    own, hedge = (both.filter(underlying=name) for name in names)
    history = pl.concat([own, without_jumps(hedge, names[1], rolls)])
    days = own["date"].sort()
    enough = 1000 + RATIO_DAYS + 5
    return span_of(
        both, dict.fromkeys(names, "index"), proxy=None, first=days[enough], last=days[-1], currency=currency,
        calendar=calendar, levels=history, left_out={names[1]: frozenset(rolls.astype(object).tolist())},
    )  # fmt: skip


def pair_offset(label, span, names, horizon, switches=Switches(parts=FILTERED)):  # noqa: B008
    """Return a pair margined by the expected shortfall of each leg over a horizon."""
    own, hedge = (span.column(name) for name in names)
    ratios = hedge_ratios(span, *names)
    rows = range(span.start, span.stop)
    alone = np.empty((len(rows), 2))
    for at, (moves, parts) in enumerate(scenarios_by_day(span, switches, horizon, rows)):
        legs = [both_shortfalls([part[column] for part in moves], parts) for column in (own, hedge)]
        alone[at] = legs[0] + ratios[rows[at]] * legs[1][::-1]
    ahead = span.moves_after(horizon)[rows.start : rows.stop]
    gain = ahead[:, own] - ratios[rows.start : rows.stop] * ahead[:, hedge]
    days = span.days[rows.start : rows.stop]
    return Offset(label, horizon, days, alone, np.stack([gain, -gain], axis=1))


TREASURIES = {
    "2-year Treasury, ZT futures": ("zt", 2), "5-year Treasury, ZF futures": ("zf", 5),
    "7-year Treasury, ZN futures": ("zn", 7), "10-year Treasury, ZN futures": ("zn", 10),
    "20-year Treasury, ZB futures": ("zb", 20), "30-year Treasury, ZB futures": ("zb", 30),
}  # fmt: skip
JGBS = {
    "JGB 10-year point, 7-year point": (10, 7), "JGB 5-year point, 7-year point": (5, 7),
    "JGB 20-year point, 7-year point": (20, 7), "JGB 20-year point, 10-year point": (20, 10),
}  # fmt: skip


@cache
def treasury_span(label):
    """Return a Treasury made from yields and a future with its own price, on days on which both have one."""
    future, years = TREASURIES[label]
    names = (f"UST{years}", future.upper())
    hedge = closing_prices(f"us_jp/{future}_futures_2000_2024.csv", names[1]).sort("date")
    own = bond_levels(US_YIELDS, f"DGS{years}", years, names[0])
    rolls = roll_days(hedge["date"].to_numpy().astype("datetime64[D]"), at_month_end=future in {"zf", "zt"})
    return pair_span(own, hedge, names, rolls=rolls, currency="USD", calendar="XNYS"), names


@cache
def jgb_span(label):
    """Return two points of the Japanese curve."""
    years = JGBS[label]
    names = tuple(f"JGB{each}" for each in years)
    own, hedge = (
        bond_levels(JP_YIELDS, f"{each}Y", each, name) for each, name in zip(years, names, strict=True)
    )
    none = np.array([], "datetime64[D]")
    return pair_span(own, hedge, names, rolls=none, currency="JPY", calendar="XJPX"), names


@cache
def spy_span():
    """Return SPY and E-mini futures with their own prices."""
    names = ("SPY", "ES")
    hedge = closing_prices("us_jp/es_futures_2000_2024.csv", "ES").sort("date")
    own = closing_prices("us_jp/spy_fully_adjusted_1993_2024.csv", "SPY")
    rolls = third_fridays(hedge["date"].to_numpy().astype("datetime64[D]"))
    return pair_span(own, hedge, names, rolls=rolls, currency="USD", calendar="XNYS"), names


CONFIDENCES = ("0.994", "0.975")
"""HKSCC's tail, six of 1,000, and the one whose expected shortfall is near a value-at-risk of 99%."""


@cache
def abroad(label, horizon, confidence=CONFIDENCES[0]):
    """Return a pair of America or Japan."""
    make = {
        **dict.fromkeys(TREASURIES, treasury_span),
        **dict.fromkeys(JGBS, jgb_span),
        SPY: lambda _: spy_span(),
    }
    switches = Switches(parts=FILTERED, confidence=confidence)
    return pair_offset(label, *make[label](label), horizon, switches)


SPY = "SPY, ES futures"


# Hong Kong, for India's rule -------------------------------------------------------------------------------------


def of_books(label, books):
    """Return both ways round of a book, margined alone by HKSCC's method and by PRiME, over two days."""
    alone, gain = (
        np.stack(columns, axis=1)
        for columns in ([book.alone for book in books], [book.gains["whole"] for book in books])
    )
    return Offset(label, 2, books[0].days, alone, gain)


@cache
def indices(switches=TODAY):
    """Return HSI against HSCEI futures of the same scan range, both margined alone by PRiME, over one day."""
    span = index_span("HSCEI")
    one, other = span.column("HSI"), span.column("HSCEI")
    rows = range(span.start, span.stop)
    scans = np.array([
        [scan_range(np.ascontiguousarray(moves[0][column]), PRIME) for column in (one, other)]
        for moves, _ in scenarios_by_day(span, switches, 1, rows)
    ])  # fmt: skip
    ratio = scans[:, 0] / scans[:, 1]
    ahead = span.moves_after(1)[rows.start : rows.stop]
    gain = ahead[:, one] - ratio * ahead[:, other]
    alone = np.stack([2 * scans[:, 0]] * 2, axis=1)
    return Offset(
        "HSI against HSCEI futures", 1, span.days[rows.start : rows.stop], alone, np.stack([gain, -gain], 1)
    )


@cache
def hong_kong():
    """Return the pairs for India's rule, by label."""
    return {
        "basket by turnover, HSI futures": of_books("basket by turnover, HSI futures", basket_books()),
        "equal basket, HSI futures": of_books("equal basket, HSI futures", basket_books(weighting="equal")),
        "Tracker Fund, HSI futures": of_books("Tracker Fund, HSI futures", fund_books()),
        "HSI against HSCEI futures": indices(),
    }
