"""What margins covered on real histories: the rules for books of two legs against the houses' models, the days that are
judged against the price files, and the tables of the page."""

from __future__ import annotations

import csv
from datetime import date

import numpy as np
import polars as pl
import pytest
import real_books
import real_coverage
from real_books import AMOUNT, INDEX_MULTIPLIER, MEMBERS, NEW_STOCKS_FROM, stock_file
from real_evidence import LINKED, MERGED, POT, chosen, outcomes, settings
from real_history import (
    PARTS,
    PRICE_SCHEMA,
    TODAY,
    Switches,
    fund_span,
    index_span,
    scenarios_by_day,
    span_of,
    stock_spans,
    turnovers,
)
from real_margins import (
    FLOOR,
    ONE_POT,
    PRIME,
    TWO_POT,
    basket_day,
    basket_two_pots,
    basket_weights,
    books_of,
    closed_out,
    fund_books,
    hedged_day,
    index_gains,
    joint_margins,
    scan_margins,
    stock_margins,
)
from real_market import DATA, INDICES, index_levels, requires_real_data

from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.scenarios.build import scenarios_from_histories
from crossmargin.models.span.from_market_rules import scan_range
from crossmargin.validation.rolling_margins import rolling_margins

pytestmark = requires_real_data

FUND_DAYS = [date(2011, 8, 5), date(2015, 8, 21), date(2020, 3, 6)]
BASKET_DAYS = [date(2008, 10, 24), date(2013, 5, 15), date(2022, 3, 11)]
BY_DAY_AND_WAY = ("long", "short")


TOGETHER = {
    "indices": ["indices-by-year", "indices-tests", "indices-below", "horizon"],
    "stocks": ["stocks-by-year", "stocks-below", "stocks"],
    "hedged books": ["fund-by-year", "basket-by-year", "equal-by-year", "hedged-tests", "hedged-below", "savings", "legs",
                     "caps"],
}  # fmt: skip


@pytest.mark.parametrize("of", TOGETHER)
def test_the_page_shows_what_is_computed(of):
    """Tables of the same margins in one test: they are computed once a process."""
    for name in TOGETHER[of]:
        assert real_coverage.shown(name) == real_coverage.TABLES[name](), name


def rows_of(name):
    """Return the rows that the page shows under a name, by their first cell."""
    lines = [
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in real_coverage.shown(name).splitlines()
    ]
    return {line[0]: line[1:] for line in lines}


SWITCH_TABLES = {
    "switches-indices": (real_coverage.index_switches, real_coverage.INDEX_CASES),
    "switches-stocks": (stock_margins, real_coverage.STOCK_CASES),
    "switches-basket": (real_coverage.equal_merged, real_coverage.BASKET_CASES),
}


@pytest.mark.parametrize(
    ("table", "switch"),
    [
        ("switches-indices", "confidence 0.998"),
        ("switches-indices", "λ 0.94"),
        ("switches-stocks", "confidence 0.998"),
        ("switches-basket", "buffer 25%"),
    ],
)
def test_the_page_shows_what_a_switch_restores(table, switch, monkeypatch):
    names = ("today", switch)
    monkeypatch.setattr(real_coverage, "SWITCHES", {name: real_coverage.SWITCHES[name] for name in names})
    made = real_coverage.switch_table(*SWITCH_TABLES[table]).splitlines()
    shown = real_coverage.shown(table).splitlines()
    assert made[:3] == shown[:3]
    assert made[3] in shown


# The margins, against the models themselves -----------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [1, 2])
@pytest.mark.parametrize(
    "switches", [TODAY, Switches(decay=0.94, floor_days=2500, stressed_weight=0.5)], ids=["today", "other"]
)
def test_scenarios_of_a_day_are_those_that_the_engine_makes_of_what_was_known(horizon, switches):
    span = fund_span()
    row = span.start + 700
    ((moves, parts),) = scenarios_by_day(span, switches, horizon, [row])
    known = span.histories.until(span.days[row].item(), refit=False)
    made = scenarios_from_histories(known, switches.settings(known, horizon))
    found = np.concatenate(moves, axis=1).T
    assert found == pytest.approx(made.moves, abs=1e-15)
    assert parts == made.parts


def test_index_margins_are_those_of_rolling_margins():
    span = index_span("HSI")
    market = etf_market(span.days[span.stop - 3].item())
    snapshot = make_snapshot(market.market, market.as_of)
    place = snapshot.instruments["instrument"].to_list().index("HSI.F")
    rows = np.arange(span.start, span.stop - 2, 97)
    found = rolling_margins(
        snapshot, span.histories, TODAY.settings(span.histories, 2), np.arange(3), np.full(2, place, np.int32),
        np.array([1.0, -1.0]), days=rows, horizon_days=2,
    )  # fmt: skip
    value = snapshot.instruments["mark"][place] * INDEX_MULTIPLIER
    for at, line in enumerate(joint_margins("HSI")):
        assert found.margin[:, at] / 100 == pytest.approx(line.margin[rows - span.start] * value, abs=0.01)
        assert found.gain[:, at] == pytest.approx(line.gain[rows - span.start] * value, rel=1e-9)


def etf_market(day):
    """Return a market of the index future alone."""
    history = index_levels().filter(underlying="HSI")
    tables = {
        "underlyings": real_books.underlyings({"HSI": "index"}), "prices": history.filter(pl.col("date") <= day),
        "instruments": real_books.instruments([real_books.future("HSI.F", "HSI", INDEX_MULTIPLIER, day)]),
        "marks": real_books.marks_of(day, {"HSI.F": real_books.closes(history, "HSI", [day])[0]}),
    }  # fmt: skip
    prices = {"HSI.F": real_books.closes(history, "HSI", real_books.trading_days(history, "HSI", day))}
    return real_books.with_books(tables, {"long": {"HSI.F": 1}}, prices, as_of=day, name=f"HSI, {day}")


def test_scan_ranges_are_prime_s():
    days, scan = scan_margins("HSI")
    span = index_span("HSI")
    for at in (0, 1500, days.size - 1):
        known = span.histories.until(days[at].item(), refit=False)
        made = scenarios_from_histories(known, TODAY.settings(known, 1))
        first = made.parts[0]
        assert scan[at] == scan_range(np.ascontiguousarray(made.moves[first.start : first.stop, 0]), PRIME)


@pytest.mark.parametrize("day", FUND_DAYS, ids=str)
def test_fund_against_futures_is_margined_as_the_designs_do(day):
    books = real_books.etf_futures_books(day)
    span = known_on(real_books.index_and_fund(), {"HSI": "index", "2800.HK": "etf"}, day)
    ((one, _),), ((two, parts),) = (scenarios_by_day(span, TODAY, days, [span.start]) for days in (1, 2))
    held = books.books["long fund"]
    fund, future = (
        held["2800"] * books.prices["2800"][0],
        -held["HSI.F"] * INDEX_MULTIPLIER * books.prices["HSI.F"][0],
    )
    found = hedged_day(one, two, parts, span.column("2800.HK"), span.column("HSI"), future / fund, FLOOR)
    nothing = dict.fromkeys(("cash", "futures", "whole"), np.zeros(1))
    made = books_of(("long fund", "short fund"), np.array([day], "datetime64[D]"), [found], nothing)
    for row in outcomes(books, chosen(LINKED, POT, MERGED), settings()):
        book = made[BY_DAY_AND_WAY.index(row.book.split()[0])]
        lines = {line.what: line.margin[0] * fund for line in book.lines()}
        what = {LINKED: TWO_POT, POT: ONE_POT, MERGED: real_coverage.MERGED}[row.programme]
        assert book.cash[0] * fund == pytest.approx(row.alone["HKSCC"], rel=1e-6)
        assert book.futures[0] * fund == pytest.approx(
            row.alone["HKCC"], rel=5e-3
        )  # a future has whole index points
        assert lines[what] == pytest.approx(row.requirement, rel=5e-3)


@pytest.mark.parametrize("day", BASKET_DAYS, ids=str)
def test_baskets_against_futures_are_margined_as_the_designs_do(day):
    books = real_books.basket_books(day)
    members = real_books.members_on(real_books.trading_days(real_books.index_and_fund(), "HSI", day))
    prices = pl.concat([index_levels().filter(underlying="HSI"), real_books.stocks(day, members)])
    span = known_on(prices, {"HSI": "index", **dict.fromkeys(members, "stock")}, day)
    ((one, _),), ((two, parts),) = (scenarios_by_day(span, TODAY, days, [span.start]) for days in (1, 2))
    columns, index = [span.column(name) for name in members], span.column("HSI")
    of_index = np.array([real_books.turnover_weights(day, members)[name] for name in members])
    for row in outcomes(books, chosen(MERGED), settings()):
        held = books.books[row.book]
        value = np.array(
            [held[real_books.code(name)] * books.prices[real_books.code(name)][0] for name in members]
        )
        future = abs(held["HSI.F"]) * INDEX_MULTIPLIER * books.prices["HSI.F"][0] / AMOUNT
        way = BY_DAY_AND_WAY.index(row.book.split()[0])
        cash, scan, joint = basket_day(
            one[0][index], two, parts, columns, index, np.abs(value) / AMOUNT, of_index, future
        )
        assert cash[way] * AMOUNT == pytest.approx(row.alone["HKSCC"], rel=1e-5)
        assert scan * AMOUNT == pytest.approx(row.alone["HKCC"], rel=5e-3)
        assert joint[way] * AMOUNT == pytest.approx(row.requirement, rel=1e-2)


def known_on(prices, kinds, day):
    """Return the span of what was known on a day, that day alone."""
    table = prices.select(list(PRICE_SCHEMA)).filter(pl.col("date") <= day)
    return span_of(table, kinds, proxy="HSI", first=day, last=day)


def test_baskets_by_both_houses_models_are_those_of_the_page_in_one_year():
    days = [day for day in real_coverage.two_pot_days() if day.year == 2015]
    lines = basket_two_pots(days)
    shown = rows_of("basket-two-pots")
    head = shown["year"]
    for column, text in zip(head, shown["2015"], strict=True):
        name, what = column.split(": ")
        mine = [line for line in lines if name in line.book and line.what == what]
        assert text == real_coverage.cell(*real_coverage.counts(mine))


# The days -------------------------------------------------------------------------------------------------------


def test_gains_of_an_index_are_those_of_its_file():
    with (DATA / INDICES["HSI"]).open(newline="", encoding="utf-8") as text:
        close = {row["Date"][:10]: float(row["Close"]) for row in csv.DictReader(text) if row["Close"]}
    days = sorted(close)
    (long, short), (two_long, _) = closed_out("HSI", 1, 1), joint_margins("HSI")
    for at in (0, 1200, 2500, long.days.size - 3):
        day = str(long.days[at])
        place = days.index(day)
        assert long.gain[at] == pytest.approx(close[days[place + 1]] / close[day] - 1)
        assert short.gain[at] == -long.gain[at]
        assert two_long.gain[at] == pytest.approx(close[days[place + 2]] / close[day] - 1)


def test_no_price_no_gain():
    span = index_span("HSCEI")
    missing = np.isnan(span.closes[span.start : span.stop, span.column("HSCEI")])
    assert missing.sum() == 31
    gain = index_gains("HSCEI", 1)
    assert np.isnan(gain[missing]).all()
    assert np.isnan(gain[np.flatnonzero(missing) - 1]).all()
    line = closed_out("HSCEI", 1, 1)[0]
    assert line.judged.sum() == (~np.isnan(gain)).sum() < line.days.size


def test_stocks_are_of_one_file_at_a_time_and_nothing_filled_is_of_a_later_day():
    old, new = stock_spans()
    assert old.days[old.stop - 1] < new.days[new.start]
    assert new.days[new.start] - old.days[old.stop - 1] <= np.timedelta64(4, "D")
    prices = real_books.traded_stocks(real_books.NEW_STOCKS).filter(underlying="0700.HK")
    history = pl.concat([index_levels().filter(underlying="HSI"), prices.select(list(PRICE_SCHEMA))])
    kinds = {"HSI": "index", "0700.HK": "stock"}
    first = date(2020, 6, 1)
    known = span_of(history.filter(pl.col("date") <= first), kinds, proxy="HSI", first=first, last=first)
    all_ = span_of(
        history.filter(pl.col("date") <= date(2024, 12, 30)), kinds, proxy="HSI", first=first, last=first
    )
    until = known.histories.days.size
    column = known.column("0700.HK")
    assert known.histories.proxied[:, column].sum() > 5000
    assert np.array_equal(known.histories.returns[:, column], all_.histories.returns[:until, column])


def test_weights_of_a_basket_know_nothing_of_later_turnover():
    old, _ = stock_spans()
    table = turnovers(real_books.OLD_STOCKS)
    weights = basket_weights(old, real_books.OLD_STOCKS)
    day = date(2010, 6, 15)
    row = int(np.searchsorted(old.days, np.datetime64(day)))
    by_hand = real_books.turnover_weights(day, MEMBERS)
    assert stock_file(day) == real_books.OLD_STOCKS
    assert day < NEW_STOCKS_FROM
    assert weights["turnover"][row] == pytest.approx([by_hand[name] for name in MEMBERS], rel=1e-6)
    assert weights["equal"][row].sum() == pytest.approx(1.0)
    assert table["turnover"].min() > 0


# What the page says of them --------------------------------------------------------------------------------------


def test_the_reduced_whole_is_covered_and_the_reduced_leg_is_not():
    for book in fund_books():
        lines = {line.what: line for line in book.lines()}
        assert not lines[TWO_POT].exceeded.any()
        for what in (real_coverage.CASH_AFTER, real_coverage.FUTURES_AFTER):
            line = lines[what]
            assert line.exceeded.sum() > 0.05 * line.judged.sum()
        assert np.all(lines[TWO_POT].margin <= lines[real_coverage.BOTH_ALONE].margin)
        assert np.all(lines[ONE_POT].margin >= 0.2 * lines[real_coverage.BOTH_ALONE].margin - 1e-12)


def test_every_filled_part_is_published_with_the_weights_of_the_house():
    assert [(part.confidence, part.weight) for part in PARTS] == [("0.994", 0.75), ("0.98", 0.25)]
