"""The charts of the page, each from the tables that stand beside it."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

from crossmargin.models.market import HOUSES
from crossmargin.reports.amounts import MINUS, millions
from crossmargin.reports.charts import BESIDE, Bar, Row, bar_chart, waterfall
from crossmargin.reports.programmes.summary import band_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from markupsafe import Markup

    from crossmargin.programmes.result import Comparison, JointAccount, ProgrammeResult

__all__ = [
    "account_figure",
    "correlation_figure",
    "distribution_figures",
    "system_figure",
    "tail_figure",
    "waterfall_figures",
]

TAIL_ROWS: Final = 12
COLOURS: Final = {house: f"house-{place}" for place, house in enumerate(HOUSES, 1)}


def system_figure(comparison: Comparison) -> Markup:
    """Draw what each house calls under each programme, and what is saved of today's."""
    rows = [
        Row("Today", _in(comparison, comparison.results[0].today), _by_house(comparison.results[0], "today"))
    ]
    for result in comparison.results:
        held = _by_house(result, "requirement")
        saved = [Bar(float(result.requirement), float(result.today), "saving")] if result.saving > 0 else []
        rows.append(Row(result.programme.name, _in(comparison, result.requirement), (*held, *saved)))
    return bar_chart(
        rows,
        (0.0, _highest(comparison)),
        name="chart-system",
        title="Requirement by house under each programme",
        description="; ".join(f"{row.label}: {row.number}" for row in rows),
    )


def _by_house(result: ProgrammeResult, column: str) -> tuple[Bar, ...]:
    amounts = [float(amount) for amount in result.houses[column]]
    ends = pairwise(accumulate(amounts, initial=0.0))
    houses = result.houses["house"]
    return tuple(Bar(low, high, COLOURS[house]) for house, (low, high) in zip(houses, ends, strict=True))


def _highest(comparison: Comparison) -> float:
    return float(max(max(result.today, result.requirement) for result in comparison.results))


def _in(comparison: Comparison, amount: Decimal) -> str:
    return millions(amount, comparison.results[0].currency)


def waterfall_figures(comparison: Comparison) -> list[tuple[str, Markup]]:
    """Draw, for each programme, the way from today's requirement to its own, all on one scale."""
    highest = max(_peak(result.steps) for result in comparison.results)
    return [
        (
            result.programme.name,
            _steps_chart(
                result.steps,
                _opening(result),
                highest,
                result.currency,
                f"chart-steps-{place}",
                result.programme.name,
            ),
        )
        for place, result in enumerate(comparison.results)
    ]


def _opening(result: ProgrammeResult) -> int:
    """Return how many of the first steps make up what is called today."""
    levels = list(accumulate(result.steps["amount"]))
    assert result.today in levels, f"{result.programme.name}: the steps do not add up to what is called today"
    return levels.index(result.today) + 1


def account_figure(account: JointAccount, houses: int, currency: str) -> Markup:
    """Draw the way from the houses' stand-alone margins to the requirement of one joint account.

    Parameters
    ----------
    houses : int
        How many of the first steps are stand-alone margins.
    """
    return _steps_chart(account.steps, houses, _peak(account.steps), currency, "chart-account", account.name)


def _peak(steps: pl.DataFrame) -> float:
    return max(accumulate(float(amount) for amount in steps["amount"][:-1]), default=0.0)


def _steps_chart(
    steps: pl.DataFrame, opening: int, highest: float, currency: str, name: str, subject: str
) -> Markup:
    """Draw a table of steps.

    A table whose last amount is not the sum of the others is a programmer's mistake.
    """
    assert sum(steps["amount"][:-1]) == steps["amount"][-1], f"{subject}: the steps do not add up"
    last = len(steps) - 1
    numbers = [
        millions(amount, currency) if place < opening or place == last else _signed(amount, currency)
        for place, amount in enumerate(steps["amount"])
    ]
    rows = waterfall(steps["step"].to_list(), [float(a) for a in steps["amount"]], numbers, opening)
    description = "; ".join(f"{row.label}: {row.number}" for row in rows)
    return bar_chart(
        rows, (0.0, highest), name=name, title=f"Waterfall of {subject}", description=description
    )


def _signed(amount: Decimal, currency: str) -> str:
    text = millions(amount, currency)
    return text if text.startswith(MINUS) or amount == 0 else f"+{text}"


def distribution_figures(comparison: Comparison) -> list[tuple[str, Markup]]:
    """Draw, for each programme, how many participants save which share of today's requirement."""
    bands = band_table(comparison)
    largest = float(max(max(bands[name]) for name in bands.columns[1:]))
    return [
        (result.programme.name, _bands_chart(bands["saving"], bands[str(place)], largest, place, result))
        for place, result in enumerate(comparison.results)
    ]


def _bands_chart(
    labels: pl.Series, counts: pl.Series, largest: float, place: int, result: ProgrammeResult
) -> Markup:
    rows = [
        Row(label, f"{count:,}", (Bar(0.0, float(count), "rise" if label == "higher" else "level"),))
        for label, count in zip(labels, counts, strict=True)
    ]
    return bar_chart(
        rows,
        (0.0, largest),
        name=f"chart-bands-{place}",
        title=f"Participants by saving under {result.programme.name}",
        description="; ".join(f"{row.label}: {row.number}" for row in rows),
        layout=BESIDE,
    )


def tail_figure(account: JointAccount, currency: str) -> Markup:
    """Draw each house's profit and loss in the worst scenarios, losses to the left, and the joint one as a mark."""
    tail = account.tail.head(TAIL_ROWS)
    houses = [house for house in HOUSES if house in tail.columns]
    rows = [_tail_row(row, houses, currency) for row in tail.iter_rows(named=True)]
    ends = [0.0, *(end for row in rows for bar in row.bars for end in (bar.start, bar.end))]
    marks = [row.mark for row in rows if row.mark is not None]
    return bar_chart(
        rows,
        (min([*ends, *marks]), max([*ends, *marks])),
        name="chart-tail",
        title="Profit and loss by house in the worst scenarios of the joint account",
        description="; ".join(f"{row.label}: joint {row.number}" for row in rows),
    )


def correlation_figure(account: JointAccount) -> Markup:
    """Draw the correlation of each two legs in each part of the scenarios, and as a mark the one in the worst tenth.

    Pairs of which a leg always has the same result are left out.
    """
    known = account.correlations.drop_nulls(["correlation", "in_tail"])
    rows = [
        Row(
            f"{row['house']} and {row['other']}, {row['part']}",
            f"{row['correlation']:+.3f}, in the tail {row['in_tail']:+.3f}",
            (Bar(0.0, row["correlation"], "saving" if row["correlation"] <= 0 else "rise"),),
            row["in_tail"],
        )
        for row in known.iter_rows(named=True)
    ]
    return bar_chart(
        rows,
        (-1.0, 1.0),
        name="chart-correlation",
        title="Correlation of the legs of the joint account",
        description="; ".join(f"{row.label}: {row.number}" for row in rows),
    )


def _tail_row(row: dict[str, object], houses: Sequence[str], currency: str) -> Row:
    """Stack gains to the right of zero and losses to the left."""
    bars, ends = [], {True: 0.0, False: 0.0}
    for house in houses:
        amount = float(str(row[house]))
        side = amount >= 0
        bars.append(Bar(ends[side], ends[side] + amount, COLOURS[house]))
        ends[side] += amount
    joint = float(str(row["joint"]))
    number = _signed(Decimal(str(joint)), currency)
    return Row(f"{row['scenario']}, {row['part']}", number, tuple(bars), joint)
