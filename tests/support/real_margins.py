"""Margins of real books on every day, before and after a reduction, beside what the books gained.

Every amount is a share of one leg's value, 1; a gain is positive. Margins are market risk alone: without liquidation
add-on, credit and rounding up. The rules of both houses are those of their models, written down for books of two legs;
tests compare them with the models themselves on single days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import real_books
import real_evidence
from real_books import MEMBERS
from real_history import (
    STOCK_FILES,
    TODAY,
    both_shortfalls,
    fund_span,
    index_span,
    scenarios_by_day,
    stock_spans,
    turnovers,
)

from crossmargin.kernels.tail_means import tail_mean
from crossmargin.models.span.from_market_rules import (
    MarketSpanRules,
    lowest_correlations,
    residual_shortfall,
    scan_range,
)

FLOOR = 0.032
"""HKSCC's minimum margin level of 14 August 2023, of the larger side of a book's gross value."""

BASIS = 0.002
"""Charged by the one-pot designs of what is matched between cash and index futures."""

CAP = 0.80
MINIMUM_SAVING = 0.01
CASH_ALONE, FUTURES_ALONE, BOTH_ALONE = "cash leg alone", "futures leg alone", "both legs alone"
CASH_AFTER, FUTURES_AFTER = "cash leg after two-pot", "futures leg after two-pot"
TWO_POT, ONE_POT, MERGED = "two-pot", "one pot", "merged"
PRIME = MarketSpanRules()
WAYS = (("long", 1), ("short", -1))


@dataclass(frozen=True, eq=False)
class Line:
    """Margin of a book on each day and what it gained over the horizon, NaN where that is not known."""

    book: str
    what: str
    horizon: int
    days: np.ndarray
    margin: np.ndarray
    gain: np.ndarray

    @property
    def judged(self):
        return ~np.isnan(self.gain)

    @property
    def exceeded(self):
        return self.judged & (-np.nan_to_num(self.gain) > self.margin)

    @property
    def uncovered(self):
        """Loss above margin on every day, 0 where there is none."""
        return np.where(self.exceeded, -np.nan_to_num(self.gain) - self.margin, 0.0)

    @property
    def years(self):
        return self.days.astype("datetime64[Y]").astype(int) + 1970

    def only(self, year):
        """Return the days of one year."""
        inside = self.years == year
        return replace(self, days=self.days[inside], margin=self.margin[inside], gain=self.gain[inside])

    def scaled(self, factor):
        """Return the line with its margin multiplied."""
        return replace(self, margin=self.margin * factor)


def joined(lines):
    """Return one line of several that follow each other."""
    first = lines[0]
    arrays = {
        name: np.concatenate([getattr(line, name) for line in lines]) for name in ("days", "margin", "gain")
    }
    return replace(first, **arrays)


# Single instruments ----------------------------------------------------------------------------------------------


@cache
def scan_margins(name, switches=TODAY, prime=PRIME):
    """Return days and PRiME's scan range of an index on each of them, as a share of its level."""
    span = index_span(name)
    column, rows = span.column(name), range(span.start, span.stop)
    scan = [
        scan_range(np.ascontiguousarray(moves[0][column]), prime)
        for moves, _ in scenarios_by_day(span, switches, prime.horizon_days, rows)
    ]
    return span.days[rows.start : rows.stop], np.array(scan)


def index_gains(name, horizon):
    """Return what a long index future gains over the days after each day of its span."""
    span = index_span(name)
    return span.moves_after(horizon)[span.start : span.stop, span.column(name)]


def closed_out(name, margined, closed):
    """Return the lines of an index future margined by PRiME over some days and closed out over others."""
    days, scan = scan_margins(name, prime=replace(PRIME, horizon_days=margined))
    gain = index_gains(name, closed)
    return [Line(f"{way} {name}", "PRiME", closed, days, scan, sign * gain) for way, sign in WAYS]


@cache
def joint_margins(name, switches=TODAY):
    """Return the lines of an index future by the joint model over two days, long and short."""
    span = index_span(name)
    column, rows = span.column(name), range(span.start, span.stop)
    margins = np.array([
        both_shortfalls([part[column] for part in moves], parts, 1 + switches.buffer)
        for moves, parts in scenarios_by_day(span, switches, 2, rows)
    ])  # fmt: skip
    gain, days = index_gains(name, 2), span.days[rows.start : rows.stop]
    return [
        Line(f"{way} {name}", "joint model", 2, days, margins[:, at], sign * gain)
        for at, (way, sign) in enumerate(WAYS)
    ]


def index_margins(name):
    """Return the lines of an index future by its house's method over one day, and by the joint model over two."""
    return [line for pair in zip(closed_out(name, 1, 1), joint_margins(name), strict=True) for line in pair]


@cache
def stock_margins(switches=TODAY, names=tuple(MEMBERS), floor=FLOOR):
    """Return the lines of stocks, long and short, by HKSCC's method over two days; of both spans, one behind the other."""
    found = {}
    for span in stock_spans():
        columns, rows = [span.column(name) for name in names], range(span.start, span.stop)
        margins = np.array([
            both_shortfalls([part[columns] for part in moves], parts, 1 + switches.buffer)
            for moves, parts in scenarios_by_day(span, switches, 2, rows)
        ])  # fmt: skip
        margins = np.maximum(margins, floor)
        days, gains = span.days[rows.start : rows.stop], span.moves_after(2)[rows.start : rows.stop]
        for at, (way, sign) in enumerate(WAYS):
            for place, (name, column) in enumerate(zip(names, columns, strict=True)):
                margin = margins[:, at, place]
                line = Line(f"{way} {name}", "HKSCC", 2, days, margin, sign * gains[:, column])
                found.setdefault((way, name), []).append(line)
    return [joined(lines) for lines in found.values()]


# Cash against futures --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hedged:
    """Margins of one leg's value of cash against futures on one day, of the cash held long and held short.

    ``scan`` is PRiME's of the futures; arrays have a value for each way round.
    """

    cash: np.ndarray
    scan: float
    joint: np.ndarray
    by_hkscc: np.ndarray
    by_prime: np.ndarray


def hedged_day(one, two, parts, cash, index, ratio, floor, prime=PRIME):
    """Return the margins of a fund against futures on what it tracks, by the rules of each house's model.

    ``one`` and ``two`` are moves by part over one day and over two; of the book, the fund is worth 1 and the futures
    ``ratio``. HKSCC takes the futures for so much of the fund and charges what fund and index come apart; PRiME takes the
    fund for futures in the index's commodity and charges the same by its own measure.
    """
    fund, proxy = [[part[column] for part in two] for column in (cash, index)]
    alone = np.maximum(both_shortfalls(fund, parts), floor)
    apart = fund[0] - proxy[0]
    basis = max(0.0, tail_mean(apart, parts[0].tail_count), tail_mean(-apart, parts[0].tail_count)) * ratio
    net = np.maximum(both_shortfalls([part * (1 - ratio) for part in fund], parts), floor * abs(1 - ratio))
    by_hkscc = 1 - (net + basis) / (alone + alone[::-1] * ratio + basis)
    joint = both_shortfalls([own - ratio * other for own, other in zip(fund, proxy, strict=True)], parts)
    own, other = (np.concatenate([part[column] for part in one]) for column in (cash, index))
    scan = scan_range(np.ascontiguousarray(one[0][index]), prime)
    lowest = lowest_correlations(other, own[:, None], parts, prime.correlation_block)[0]
    by_prime = 0.0
    if lowest >= prime.correlation_minimum:
        charge = residual_shortfall(own, other, parts, prime.confidence)
        together = scan * abs(1 - ratio) + prime.physical_charge * scan * min(1.0, ratio) + charge
        by_prime = 1 - together / (scan * (1 + ratio) + charge)
    return Hedged(alone, scan * ratio, joint + BASIS * min(1.0, ratio), by_hkscc, np.full(2, by_prime))


@dataclass(frozen=True, eq=False)
class Book:
    """A hedged book, one way round, on many days: margins and gains of its legs and of the whole, by design."""

    name: str
    days: np.ndarray
    cash: np.ndarray
    futures: np.ndarray
    joint: np.ndarray
    lesser: np.ndarray | None
    gains: dict[str, np.ndarray]

    @property
    def alone(self):
        return self.cash + self.futures

    @property
    def kept(self):
        """Share of the stand-alone margins that two pots leave."""
        saving = np.where(self.lesser < MINIMUM_SAVING, 0.0, np.minimum(self.lesser, CAP))
        return 1 - saving

    def lines(self):
        """Return the lines of both legs alone, of the whole by every design, and of the legs after two pots."""
        saved = self.alone - self.joint >= MINIMUM_SAVING * self.alone
        one_pot = np.where(saved, np.maximum(self.joint, (1 - CAP) * self.alone), self.alone)
        every = [
            (CASH_ALONE, 2, self.cash, "cash"), (FUTURES_ALONE, 1, self.futures, "futures"),
            (BOTH_ALONE, 2, self.alone, "whole"), (ONE_POT, 2, one_pot, "whole"), (MERGED, 2, self.joint, "whole"),
        ]  # fmt: skip
        if self.lesser is not None:
            every += [
                (TWO_POT, 2, self.alone * self.kept, "whole"), (CASH_AFTER, 2, self.cash * self.kept, "cash"),
                (FUTURES_AFTER, 1, self.futures * self.kept, "futures"),
            ]  # fmt: skip
        return [
            Line(self.name, what, horizon, self.days, margin, self.gains[of])
            for what, horizon, margin, of in every
        ]


@cache
def fund_books(switches=TODAY, every=1):
    """Return the Tracker Fund against index futures, both ways round."""
    span = fund_span()
    cash, index = span.column("2800.HK"), span.column("HSI")
    rows = range(span.start, span.stop, every)
    pairs = zip(
        scenarios_by_day(span, switches, 1, rows), scenarios_by_day(span, switches, 2, rows), strict=True
    )
    found = [hedged_day(one, two, parts, cash, index, 1.0, FLOOR) for (one, _), (two, parts) in pairs]
    first, second = (span.moves_after(days)[rows.start : rows.stop : every] for days in (1, 2))
    gains = {
        "cash": second[:, cash],
        "futures": -first[:, index],
        "whole": second[:, cash] - second[:, index],
    }
    return books_of(("long fund", "short fund"), span.days[rows.start : rows.stop : every], found, gains)


def books_of(names, days, found, gains):
    """Return the books of both ways round of the margins of each day."""
    scan = np.array([day.scan for day in found])
    cash, joint, hkscc, prime = (
        np.array([getattr(day, name) for day in found]) for name in ("cash", "joint", "by_hkscc", "by_prime")
    )
    lesser = np.minimum(hkscc, prime)
    return [
        Book(name, days, cash[:, at], scan, joint[:, at], lesser[:, at],
             {of: sign * gain for of, gain in gains.items()})
        for at, (name, sign) in enumerate(zip(names, (1, -1), strict=True))
    ]  # fmt: skip


BASKETS = ("turnover", "equal")
MEMBERS_LEAST = 20


def basket_weights(span, file):
    """Return each member's part of a basket by row and way of weighting, of those with prices now and after two days.

    By turnover, the basket stands for the index itself, as a desk's replica of it.
    """
    columns = [span.column(name) for name in MEMBERS]
    traded = ~np.isnan(span.moves_after(2)[:, columns]) & ~np.isnan(span.moves_after(1)[:, columns])
    wide = turnovers(file).pivot("underlying", index="date", values="turnover").sort("date")
    at = np.searchsorted(wide["date"].to_numpy().astype("datetime64[D]"), span.days, side="right") - 1
    amounts = wide.fill_null(strategy="forward").select(MEMBERS).fill_null(0.0).to_numpy()[np.maximum(at, 0)]
    weights = {"turnover": np.where(traded, amounts, 0.0), "equal": traded.astype(float)}
    enough = traded.sum(axis=1) >= MEMBERS_LEAST
    return {
        name: np.where(enough[:, None], own / np.maximum(own.sum(axis=1, keepdims=True), 1e-300), np.nan)
        for name, own in weights.items()
    }


def basket_books(switches=TODAY, weighting="turnover"):
    """Return a basket of members against index futures, both ways round, by one pot and merged; of both spans."""
    return baskets_of_all(switches)[weighting]


@cache
def baskets_of_all(switches):
    """Return the books of every way of weighting."""
    spans = [basket_span(span, file, switches) for span, file in zip(stock_spans(), STOCK_FILES, strict=True)]
    return {
        name: [followed(books) for books in zip(*(each[name] for each in spans), strict=True)]
        for name in BASKETS
    }


def basket_span(span, file, switches):
    """Return the books of one span by way of weighting."""
    columns, index = [span.column(name) for name in MEMBERS], span.column("HSI")
    weights = basket_weights(span, file)
    rows = [row for row in range(span.start, span.stop) if not np.isnan(weights["equal"][row, 0])]
    one = scenarios_by_day(span.only("HSI"), switches, PRIME.horizon_days, rows)
    two = scenarios_by_day(span, switches, 2, rows)
    found = {name: [] for name in BASKETS}
    for row, (first, _), (second, parts) in zip(rows, one, two, strict=True):
        for name, margins in found.items():
            margins.append(
                basket_day(
                    first[0][0],
                    second,
                    parts,
                    columns,
                    index,
                    weights[name][row],
                    weights["turnover"][row],
                    multiplier=1 + switches.buffer,
                )
            )
    return {
        name: basket_ways(span, rows, weights[name], columns, index, margins, name)
        for name, margins in found.items()
    }


def basket_day(index_moves, two, parts, columns, index, weights, of_index, ratio=1.0, multiplier=1.0):
    """Return HKSCC's margin of a basket, PRiME's of the futures, and the joint model's of both, on one day.

    ``index_moves`` are those of the index over one day, ``two`` those of everything over two, by part. The basket is worth
    the sum of its weights, the futures ``ratio``. ``of_index`` are the weights taken for the index's: as much as these hold
    whole is matched, and charged for its basis.
    """
    own = [(weights[:, None] * part[columns]).sum(axis=0) for part in two]
    scan = scan_range(np.ascontiguousarray(index_moves), PRIME)
    cash = np.maximum(both_shortfalls(own, parts), FLOOR)
    net = [part - ratio * every[index] for part, every in zip(own, two, strict=True)]
    joint = both_shortfalls(net, parts, multiplier)
    matched = (weights[of_index > 0] / of_index[of_index > 0]).min()
    return cash, scan * ratio, joint + BASIS * min(ratio, matched)


def basket_ways(span, rows, weights, columns, index, found, weighting):
    first, second = (span.moves_after(days)[rows] for days in (1, 2))
    of_basket = np.where(weights[rows] > 0, weights[rows] * np.nan_to_num(second[:, columns]), 0.0).sum(
        axis=1
    )
    gains = {"cash": of_basket, "futures": -first[:, index], "whole": of_basket - second[:, index]}
    cash, scan, joint = (np.array([day[place] for day in found]) for place in range(3))
    return [
        Book(f"{way} basket, {weighting}", span.days[rows], cash[:, at], scan, joint[:, at], None,
             {of: sign * gain for of, gain in gains.items()})
        for at, (way, sign) in enumerate(WAYS)
    ]  # fmt: skip


def followed(books):
    """Return one book of several that follow each other."""
    arrays = {
        name: np.concatenate([getattr(book, name) for book in books])
        for name in ("days", "cash", "futures", "joint")
    }
    gains = {of: np.concatenate([book.gains[of] for book in books]) for of in books[0].gains}
    return replace(books[0], **arrays, gains=gains)


TWO_POT_EVERY = 10
"""Trading days from one to the next on which baskets are margined by both houses' models themselves."""


def two_pot_days():
    """Return every tenth day of the fund's time: without its prices HKSCC's model knows no future of the index.

    Days on which, or in the two days after which, too few members have a price are left out.
    """
    span = fund_span()
    days = span.days[span.start : span.stop].tolist()
    runs = [days[at : at + 3] for at in range(0, len(days) - 2, TWO_POT_EVERY)]
    return [run[0] for run in runs if len(real_books.members_on(run)) >= MEMBERS_LEAST]


def basket_two_pots(days):
    """Return the lines of baskets before and after two pots on some days, by the houses' own models, exactly."""
    programmes = real_evidence.chosen(real_evidence.LINKED)
    rows = [
        row for day in days
        for row in real_evidence.outcomes(real_books.basket_books(day), programmes, real_evidence.settings())
    ]  # fmt: skip
    return [line for name in dict.fromkeys(row.book for row in rows) for line in exact_lines(name, rows)]


def exact_lines(name, rows):
    """Return the lines of one book of outcomes."""
    mine = [row for row in rows if row.book == name]
    days = np.array([row.as_of for row in mine], "datetime64[D]")

    def line(what, horizon, margin, gain):
        amounts = (np.array([of(row) for row in mine]) / real_books.AMOUNT for of in (margin, gain))
        return Line(name, what, horizon, days, *amounts)

    return [
        line(CASH_ALONE, 2, lambda row: row.alone["HKSCC"], lambda row: row.legs["HKSCC"][1]),
        line(FUTURES_ALONE, 1, lambda row: row.alone["HKCC"], lambda row: row.legs["HKCC"][0]),
        line(BOTH_ALONE, 2, lambda row: row.together, lambda row: row.gains[1]),
        line(TWO_POT, 2, lambda row: row.requirement, lambda row: row.gains[1]),
        line(CASH_AFTER, 2, lambda row: row.held["HKSCC"], lambda row: row.legs["HKSCC"][1]),
        line(FUTURES_AFTER, 1, lambda row: row.held["HKCC"], lambda row: row.legs["HKCC"][0]),
    ]
