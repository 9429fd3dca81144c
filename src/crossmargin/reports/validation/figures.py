"""The charts of the page, each from the tables that stand beside it."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.programmes.procyclicality.tools import AS_SET
from crossmargin.reports.amounts import currency_sign, millions, plain_number
from crossmargin.reports.charts import Bar, Row, bar_chart
from crossmargin.reports.lines import Line, date_marks, levels, line_chart, thinned
from crossmargin.reports.validation.backtested import reached
from crossmargin.reports.validation.forms import exact
from crossmargin.reports.validation.stressed import MUTUAL, NOT_COVERED, RECEIVED, cover_table, runs, total
from crossmargin.reports.validation.verdict import POOLS, asked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from markupsafe import Markup

    from crossmargin.programmes.backtest.result import BacktestResult
    from crossmargin.programmes.procyclicality.result import ProcyclicalityResult
    from crossmargin.programmes.stress.result import StressResult

__all__ = [
    "MARGINS",
    "cover_figure",
    "drawn_tools",
    "exceedance_figure",
    "impulse_figure",
    "margin_figure",
    "tool_figure",
    "waterfall_figure",
]

MARGINS: Final = ("silo", "joint", "saving")
"""Series that are drawn over time, in the order of the lines' styles."""

UNITS: Final = ((1e9, "bn"), (1e6, "m"))

PAID: Final = ("level", "house-3", "rise")
"""Colours of what is paid by margin, defaulters and houses, by survivors, and by nobody."""

RUNS: Final = 12
"""Runs of the waterfall that are drawn."""


def exceedance_figure(result: BacktestResult) -> Markup | None:
    """Draw how often margin was not enough in each pool of series, and as a mark how often it may be."""
    allowed = float(1 - exact(result.confidence))
    judged = result.houses.filter(pl.col("observations") > 0)
    rows = [_exceedance_row(row, result.confidence, allowed) for row in judged.iter_rows(named=True)]
    if not rows:
        return None
    return bar_chart(
        rows,
        (0.0, 1.05 * max([allowed, *(row.bars[0].end for row in rows)])),
        name="chart-exceedances",
        title=f"Share of observations that margin did not cover; the mark is 100% less the {asked(result.confidence)} asked for",
        description="; ".join(f"{row.label}: {row.number}" for row in rows),
    )


def _exceedance_row(row: dict[str, Any], confidence: float, allowed: float) -> Row:
    share = row["exceedances"] / row["observations"]
    enough = reached(row["observations"], row["exceedances"], confidence)
    where = (
        "joint accounts"
        if row["house"] == "joint"
        else f"{row['house']}, {POOLS.get(row['kind'], row['kind'])}"
    )
    number = f"{100 * share:.2f}%{'' if enough else ', too often'}"
    bar = Bar(0.0, share, "level" if enough else "rise")
    return Row(f"{where}, {row['when']}", number, (bar,), allowed)


def cover_figure(result: StressResult) -> Markup | None:
    """Draw losses over margin of one group and, behind, of two, under each arrangement; the mark is the fund."""
    table = cover_table(result)
    if table.is_empty():
        return None
    rows = [_cover_row(row, result.currency) for row in table.iter_rows(named=True)]
    ends = [bar.end for row in rows for bar in row.bars] + [row.mark for row in rows if row.mark is not None]
    return bar_chart(
        rows,
        (0.0, max(ends)),
        name="chart-cover",
        title="Largest stressed loss over margin of one group and of two, and the fund",
        description="; ".join(f"{row.label}: {row.number}" for row in rows),
    )


def _cover_row(row: dict[str, Any], currency: str) -> Row:
    one, two = float(row["one"]), float(row["two"])
    fund = None if row["fund"] is None else float(row["fund"])
    house = "" if row["house"] == row["arrangement"] else f", {row['house']}"
    number = " / ".join(_short(amount, currency) for amount in (one, two))
    end = "no fund" if fund is None else f"fund {_short(fund, currency)}"
    bars = (Bar(0.0, one, "house-1"), Bar(one, two, "house-2"))
    return Row(f"{row['arrangement']}{house}", f"{number}, {end}", bars, fund)


def _short(amount: float, currency: str) -> str:
    """Return millions without their currency, which the caption has."""
    return millions(exact(amount), currency).replace(currency_sign(currency), "").removesuffix("m")


def waterfall_figure(result: StressResult) -> Markup | None:
    """Draw, for the worst runs of the waterfall, who paid: margin and defaulters and houses, survivors, and nobody."""
    paid = [_paid(key, part) for key, part in runs(result)]
    worst = sorted(paid, key=lambda run: (-run[1][2], -run[1][1]))[:RUNS]
    if not worst:
        return None
    rows = [
        Row(
            label,
            f"{_short(parts[1], result.currency)} / {_short(parts[2], result.currency)}",
            tuple(
                Bar(start, end, colour)
                for (start, end), colour in zip(pairwise((0.0, *accumulate(parts))), PAID, strict=True)
            ),
        )
        for label, parts in worst
    ]
    return bar_chart(
        rows,
        (0.0, max(sum(parts) for _, parts in worst)),
        name="chart-waterfall",
        title="What margin, defaulters and houses paid, what survivors paid, and what was not covered",
        description="; ".join(f"{row.label}: survivors / not covered {row.number}" for row in rows),
    )


def _paid(run: tuple[str, ...], part: pl.DataFrame) -> tuple[str, tuple[float, float, float]]:
    """Return a run's label, and what was paid by margin, defaulters and houses, by survivors, and by nobody."""
    arrangement, guarantee, scenario, _ = run
    last, mutual = pl.col("layer") == NOT_COVERED, pl.col("layer").is_in(MUTUAL)
    own = ~last & ~mutual & (pl.col("layer") != RECEIVED)
    first, others, open_ = (float(total(part.filter(one)["used"])) for one in (own, mutual, last))
    word = "" if arrangement != "linked" else ", no guarantee" if guarantee == "none" else ", guarantee"
    return f"{arrangement}{word}, {scenario}", (first, others, open_)


def margin_figure(result: ProcyclicalityResult) -> Markup | None:
    """Draw margins over time as the houses' settings have it: the houses' sum, the joint one, and the saving."""
    one = result.history.filter(tool=AS_SET)
    lines = [_line(name, one.filter(series=name)) for name in MARGINS]
    return _over_time(result, lines, "chart-margins", "Margin over time")


def tool_figure(result: ProcyclicalityResult) -> Markup | None:
    """Draw the joint margin over time under each tool."""
    joint = result.history.filter(series="joint")
    lines = [_line(tool, joint.filter(tool=tool)) for tool in drawn_tools(result)]
    return _over_time(result, lines, "chart-tools", "Joint margin over time under each tool")


def drawn_tools(result: ProcyclicalityResult) -> list[str]:
    """Return the tools of ``tool_figure``, in the order of its lines: each alone, and none."""
    joint = result.history.filter(pl.col("tool") != AS_SET, series="joint")
    return joint["tool"].unique(maintain_order=True).to_list()


def _line(name: str, frame: pl.DataFrame) -> Line:
    known = frame.drop_nulls("margin").sort("date", maintain_order=True)
    places = [float(day.toordinal()) for day in known["date"]]
    return Line(name, places, [float(amount) for amount in known["margin"]])


def _over_time(result: ProcyclicalityResult, lines: Sequence[Line], name: str, title: str) -> Markup | None:
    drawn = [line for line in lines if line.places]
    if not drawn:
        return None
    amounts = [amount for line in drawn for amount in line.amounts]
    return line_chart(
        [thinned(line) for line in drawn],
        across=date_marks(result.days[0], result.days[-1]),
        up=levels(min(0.0, *amounts), max(amounts), _amount_scale(max(amounts))),
        name=name,
        title=f"{title}, {result.currency}, {result.days[0]} to {result.days[-1]}",
        description="; ".join(_described(line, result.currency) for line in drawn),
    )


def _described(line: Line, currency: str) -> str:
    low, high, last = (
        millions(exact(one), currency) for one in (min(line.amounts), max(line.amounts), line.amounts[-1])
    )
    return f"{line.name}: from {low} to {high}, at last {last}"


def _amount_scale(highest: float) -> Callable[[float], str]:
    """Return how levels are named: in billions, millions or units, by the highest."""
    unit, word = next(((unit, word) for unit, word in UNITS if highest >= unit), (1.0, ""))
    return lambda amount: f"{plain_number(amount / unit).removesuffix('.00')}{word}"


def impulse_figure(result: ProcyclicalityResult) -> Markup | None:
    """Draw margins after a jump of volatility, as the houses' settings have it, as multiples of that before."""
    one = result.impulse.filter(tool=AS_SET).drop_nulls("multiple")
    names = one["series"].unique(maintain_order=True).to_list()
    lines = [_impulse_line(name, one.filter(series=name)) for name in names if name in MARGINS]
    if not lines:
        return None
    days = [place for line in lines for place in line.places]
    amounts = [amount for line in lines for amount in line.amounts]
    return line_chart(
        lines,
        across=[
            mark
            for mark in levels(min(days), max(days), lambda day: f"day {day:.0f}")
            if min(days) < mark[0] < max(days)
        ],
        up=levels(min(1.0, *amounts), max(amounts), lambda multiple: f"{multiple:.2f} ×"),
        name="chart-impulse",
        title="Margin after a jump of volatility as a multiple of that before",
        description="; ".join(f"{line.name}: highest {max(line.amounts):.2f} times" for line in lines),
    )


def _impulse_line(name: str, frame: pl.DataFrame) -> Line:
    known = frame.sort("day", maintain_order=True)
    return Line(name, known["day"].cast(pl.Float64).to_list(), [float(one) for one in known["multiple"]])
