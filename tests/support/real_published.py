"""Margin levels that HKCC published for the Hang Seng Index future, beside this engine's from the same history.

Not a fit: PRiME's price scan range is made with today's settings from the closing levels up to the day before a level
took effect. A level is told as a share of the contract's value, 50 × the index on that day.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import polars as pl
from real_evidence import lines
from real_history import TODAY, Switches, scenarios_by_day, shortfall, span_of
from real_market import DATA, index_levels

from crossmargin.models.span.from_market_rules import MarketSpanRules, scan_range

LEVELS = "hk_margins/hkcc_published_margins.csv"
MONTHLY = "hk_margins/hsi_futures_client_margin_usd_2016-06_2018-12.csv"
EXCHANGE_RATE = "fx_rates/usdhkd_2001_2024-12-07.csv"
MULTIPLIER = 50
CLEARING_RATIO = 1.33
"""Client initial margin over the clearing house's, as the file has it for 2017; used where the latter is not told."""

FIRST, LAST = date(2001, 1, 2), date(2024, 12, 31)
IMAGES = Path(__file__).parents[2] / "docs" / "concepts" / "images"


@dataclass(frozen=True)
class Level:
    """A published level: HKD of one contract; ``day`` is that on which it took effect, or was announced or in force."""

    day: date
    initial: float
    maintenance: float
    clearing: float
    source: str


@cache
def announced():
    """Return the levels of releases and circulars, oldest first; not temporary ones over holidays, nor undated ones."""
    table = pl.read_csv(DATA / LEVELS, schema_overrides={"effective_date": pl.String, "announced": pl.String})
    table = table.filter(
        pl.col("product") == "HSI", ~pl.col("status").str.contains("temporary|broker"),
    )  # fmt: skip
    found = []
    for row in table.iter_rows(named=True):
        exact = re.search(r"^(?:in force )?(\d{4}-\d{2}-\d{2})$", row["effective_date"] or "")
        day = date.fromisoformat(exact[1] if exact else row["announced"])
        initial = float(row["client_initial_hkd"])
        told = row["clearing_house_hkd"]
        clearing = initial / CLEARING_RATIO if told is None else float(told)
        found.append(Level(day, initial, float(row["client_maintenance_hkd"]), clearing, "release"))
    return sorted(found, key=lambda level: level.day)


@cache
def monthly():
    """Return the levels of each change from June 2016 to December 2018, told in USD and turned into HKD."""
    table = pl.read_csv(DATA / MONTHLY, try_parse_dates=True)
    rates = pl.read_csv(DATA / EXCHANGE_RATE, try_parse_dates=True).select(
        date=pl.col("Date").cast(pl.Date), rate=pl.col("Close").cast(pl.Float64)
    ).drop_nulls().sort("date")  # fmt: skip
    dated = table.sort("effective_date").join_asof(rates, left_on="effective_date", right_on="date")
    return [
        Level(day, initial * rate, maintenance * rate, initial * rate / CLEARING_RATIO, "monthly")
        for day, initial, maintenance, rate in dated.select(
            "effective_date", "client_initial_usd", "client_maintenance_usd", "rate"
        ).iter_rows()
    ]


@cache
def engine(switches=TODAY):
    """Return days, index levels, PRiME's rate over one day and the joint model's over two, of every day since 2001."""
    table = index_levels().filter(underlying="HSI")
    span = span_of(table, {"HSI": "index"}, proxy="HSI", first=FIRST, last=LAST)
    rows = range(span.start, span.stop)
    one, two = (scenarios_by_day(span, switches, days, rows) for days in (1, 2))
    scan = np.array([scan_range(np.ascontiguousarray(moves[0][0]), MarketSpanRules()) for moves, _ in one])
    joint = np.array([shortfall([part[0] for part in moves], parts) for moves, parts in two])
    return span.days[rows.start : rows.stop], span.closes[rows.start : rows.stop, 0], scan, joint


def place_before(day):
    """Return the row of the last trading day before a day."""
    return int(np.searchsorted(engine()[0], np.datetime64(day, "D"))) - 1


@dataclass(frozen=True)
class Compared:
    """A published level and the engine's margin of the trading day before, both as shares of the contract's value."""

    level: Level
    index: float
    prime: float
    joint: float

    def rate(self, what):
        return getattr(self.level, what) / (MULTIPLIER * self.index)


def compared(levels, switches=TODAY):
    """Return each level beside the engine's margin."""
    _, index, scan, joint = engine(switches)
    places = [place_before(level.day) for level in levels]
    return [
        Compared(level, float(index[at]), float(scan[at]), float(joint[at]))
        for level, at in zip(levels, places, strict=True)
    ]


def all_levels():
    """Return releases and the monthly series; of one day told by both, the release."""
    days = {level.day for level in announced()}
    return sorted(
        [*announced(), *(level for level in monthly() if level.day not in days)], key=lambda at: at.day
    )


def mean_gap(pairs, what):
    """Return mean absolute gap and mean gap of PRiME's rate less the published one."""
    gaps = np.array([pair.prime - pair.rate(what) for pair in pairs])
    return float(np.abs(gaps).mean()), float(gaps.mean())


# The time in which every change is known ----------------------------------------------------------------------------


@cache
def daily(switches=TODAY):
    """Return days from June 2016 to 2018, PRiME's rate and the published clearing house level as rates."""
    days, index, scan, _ = engine(switches)
    changes = np.array([level.day for level in monthly()], "datetime64[D]")
    inside = (days >= changes[0]) & (days <= np.datetime64("2018-12-31"))
    at = np.searchsorted(changes, days[inside], side="right") - 1
    clearing = np.array([level.clearing for level in monthly()])[at]
    return days[inside], scan[inside], clearing / (MULTIPLIER * index[inside])


LAGS = range(-20, 121)


def correlations():
    """Return the correlation of the published rate with PRiME's of so many trading days before, by lag."""
    _, ours, theirs = daily()
    least, most = LAGS[0], LAGS[-1]
    kept = slice(most, ours.size + least)
    return {lag: float(np.corrcoef(theirs[kept], np.roll(ours, lag)[kept])[0, 1]) for lag in LAGS}


# The engine's crises, and what is known of the published level then -------------------------------------------------

CRISES = {
    "January 2008": (date(2007, 12, 3), date(2008, 3, 31)), "2008": (date(2008, 9, 1), date(2009, 12, 31)), "2011": (date(2011, 7, 1), date(2012, 12, 31)),
    "2015": (date(2015, 4, 1), date(2016, 5, 31)), "2018": (date(2018, 1, 2), date(2018, 8, 31)),
}  # fmt: skip


@dataclass(frozen=True)
class Crisis:
    """When the engine's margin of one contract, in HKD, peaked, and the published levels known around that."""

    name: str
    start: date
    risen: date
    peak: date
    rates: tuple[float, float]
    before: Compared
    after: Compared
    inside: tuple[Compared, ...]
    last: date


def crisis(name):
    """Return a crisis: start and peak of PRiME's rate within a window, the day it had risen by half, and levels."""
    first, last = CRISES[name]
    days, _, scan, _ = engine()
    inside = np.flatnonzero((days >= np.datetime64(first)) & (days <= np.datetime64(last)))
    top = int(inside[scan[inside].argmax()])
    bottom = int(inside[0])
    half = (scan[bottom] + scan[top]) / 2
    risen = int(next(at for at in inside if scan[at] >= half))
    peak, of = days[top].item(), compared(all_levels())
    before = [pair for pair in of if pair.level.day <= days[risen].item()][-1]
    after = next(pair for pair in of if pair.level.day > days[risen].item())
    within = tuple(pair for pair in of if before.level.day < pair.level.day <= last)
    rates = float(scan[bottom]), float(scan[top])
    return Crisis(name, days[bottom].item(), days[risen].item(), peak, rates, before, after, within, last)


def trading_days_between(first, last):
    """Return how many trading days the second day is behind the first."""
    days = engine()[0]
    return int(np.searchsorted(days, np.datetime64(last)) - np.searchsorted(days, np.datetime64(first)))


# Tables ----------------------------------------------------------------------------------------------------------


def percent(share, digits=1):
    return f"{share:.{digits}%}".replace("-", "−")


def points(share):
    """Return a difference of rates in percentage points."""
    return f"{100 * share:+.1f}".replace("-", "−")


def levels_table():
    """Return the levels of releases beside the engine's."""
    head = ["day", "index", "client initial, HKD", "client maintenance", "clearing house", "PRiME here",
            "joint model here, 2 days", "PRiME less clearing house, points"]  # fmt: skip
    body = [
        [str(pair.level.day), f"{pair.index:,.0f}", f"{pair.level.initial:,.0f}", percent(pair.rate("maintenance")),
         percent(pair.rate("clearing")), percent(pair.prime), percent(pair.joint),
         points(pair.prime - pair.rate("clearing"))]
        for pair in compared(announced())
    ]  # fmt: skip
    return lines(head, body)


FLOORED = Switches(floor_days=2500)


def gap_table():
    """Return mean gaps of PRiME's rate from the published one, however that is read."""
    head = ["margin here", "published level taken", "14 releases 2001–2017: mean absolute gap", "mean gap",
            "35 changes 2016–2018: mean absolute gap", "mean gap", "every day 2016–2018: mean absolute gap", "mean gap"]  # fmt: skip
    assert (len(announced()), len(monthly())) == (14, 35), "as the head of the table says"
    body = []
    for name, switches in (("PRiME, today's settings", TODAY), ("PRiME with a floor of ten years", FLOORED)):
        for what, words in (
            ("clearing", "clearing house"),
            ("maintenance", "client maintenance"),
            ("initial", "client initial"),
        ):
            row = [name, words]
            for levels in (announced(), monthly()):
                size, mean = mean_gap(compared(levels, switches), what)
                row += [f"{100 * size:.1f}", points(mean)]
            _, ours, theirs = daily(switches)
            scale = {"clearing": 1.0, "maintenance": CLEARING_RATIO / 1.25, "initial": CLEARING_RATIO}[what]
            gaps = ours - theirs * scale
            body.append([*row, f"{100 * np.abs(gaps).mean():.1f}", points(gaps.mean())])
    return lines(head, body)


def lag_table():
    """Return when the engine's margin rose in each crisis, and what is known of the published level around it."""
    head = ["crisis", "PRiME's rise here", "half risen on", "peak on", "last level known before", "first level known after the rise",
            "lag of the published level"]  # fmt: skip
    body = []
    for name in CRISES:
        found = crisis(name)
        body.append([
            name, f"{percent(found.rates[0])} → {percent(found.rates[1])}", str(found.risen), str(found.peak),
            told(found.before), f"{told(found.after)}, {trading_days_between(found.risen, found.after.level.day)} trading days on",
            lag_words(found),
        ])  # fmt: skip
    return lines(head, body)


def told(pair):
    return f"{pair.level.day}: {percent(pair.rate('clearing'))} (PRiME {percent(pair.prime)})"


def lag_words(found):
    """Return the lag of the published level where it has points during the rise, and that there are none otherwise."""
    after = found.after
    if (
        len(found.inside) < SERIES_LEAST
        and after.rate("clearing") >= found.rates[1]
        and after.level.day <= found.last
    ):
        days = trading_days_between(found.risen, after.level.day)
        return f"at most {days} trading days behind half the rise: in force by then, since when is not known"
    if len(found.inside) < SERIES_LEAST:
        return "cannot be said: no level known during the rise"
    top = max(pair.rate("clearing") for pair in found.inside)
    half = (found.before.rate("clearing") + top) / 2
    risen = next(pair.level.day for pair in found.inside if pair.rate("clearing") >= half)
    peak = next(pair.level.day for pair in found.inside if pair.rate("clearing") == top)
    return (
        f"half risen {risen}: {trading_days_between(found.risen, risen)} trading days; peak {peak}: "
        f"{trading_days_between(found.peak, peak)} trading days"
    )


SERIES_LEAST = 3


def correlation_line():
    """Return in words the lag at which both rates move together most."""
    found = correlations()
    best = max(found, key=found.get)
    return (
        f"{len(daily()[0])} days from June 2016 to 2018: correlation of the published rate with PRiME's of the same day "
        f"{found[0]:.2f}, of {best} trading days before {found[best]:.2f}, the highest; of 20 days before {found[20]:.2f}, "
        f"of 60 {found[60]:.2f}."
    )


# Plots -----------------------------------------------------------------------------------------------------------

PRIME_COLOUR, LEVEL_COLOUR, INK, GRID = "#1f6f8b", "#c0392b", "#333333", "#dddddd"
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 300, 48, 34, 28
EVERY = 5
"""Trading days from one point of the long line to the next."""


def long_plot():
    """Return the specification of every fifth day since 2001, with all published levels."""
    days, _, scan, _ = engine()
    line = [(day, rate) for day, rate in zip(days[::EVERY].tolist(), scan[::EVERY].tolist(), strict=True)]
    dots = [(pair.level.day, pair.rate("clearing")) for pair in compared(all_levels())]
    return chart(
        "HSI future: PRiME's rate here (line) and HKCC's published level as the clearing house's (dots)",
        line,
        dots,
        "%Y",
    )


def short_plot():
    """Return that of every day from June 2016 to 2018, with the published level as a line of its own."""
    days, ours, theirs = daily()
    lines_ = [list(zip(days.tolist(), rates.tolist(), strict=True)) for rates in (ours, theirs)]
    title = "HSI future, June 2016 to 2018: PRiME's rate here (blue) and HKCC's published level (red)"
    return chart(title, *lines_, "%Y-%m", dotted=False)


def chart(title, line, other, date_format, *, dotted=True):
    """Return an altair chart in a frame of fixed size, so that no font moves what it shows."""
    import altair as alt  # noqa: PLC0415

    def values(pairs):
        return alt.InlineData(values=[{"day": str(day), "rate": round(100 * rate, 3)} for day, rate in pairs])

    top = 5.0 * np.ceil(100 * max(rate for _, rate in [*line, *other]) / 5)
    x = alt.X(
        "day:T", scale=alt.Scale(type="utc"),
        axis=alt.Axis(title=None, format=date_format, labelColor=INK, grid=False, tickCount=12, labelOverlap=False),
    )  # fmt: skip
    y = alt.Y("rate:Q", scale=alt.Scale(domain=[0, top]),
              axis=alt.Axis(title=None, labelExpr="datum.value + ' %'", labelColor=INK, gridColor=GRID))  # fmt: skip
    second = alt.Chart(values(other)).encode(x=x, y=y)
    marks = (
        second.mark_point(color=LEVEL_COLOUR, filled=True, size=26, opacity=1) if dotted
        else second.mark_line(color=LEVEL_COLOUR, strokeWidth=1.6)
    )  # fmt: skip
    layers = [alt.Chart(values(line)).mark_line(color=PRIME_COLOUR, strokeWidth=1.2).encode(x=x, y=y), marks]
    return (
        alt.layer(*layers)
        .properties(
            width=WIDTH - LEFT - 12, height=HEIGHT - TOP - BOTTOM, autosize=alt.AutoSizeParams(type="none"),
            padding={"left": LEFT, "right": 12, "top": TOP, "bottom": BOTTOM},
            title=alt.TitleParams(title, anchor="start", fontSize=13, fontWeight="normal", color=INK),
        )
        .configure(background="white", font="sans-serif")
        .configure_view(stroke=None)
    )  # fmt: skip


PLOTS = {"hsi-margin-published.svg": long_plot, "hsi-margin-published-2016-2018.svg": short_plot}


def drawing(name):
    """Return the SVG of a plot."""
    import vl_convert  # noqa: PLC0415

    return vl_convert.vegalite_to_svg(PLOTS[name]().to_dict(), allowed_base_urls=[]) + "\n"


def draw():
    """Write every plot."""
    IMAGES.mkdir(exist_ok=True)
    for name in PLOTS:
        (IMAGES / name).write_text(drawing(name), encoding="utf-8")
