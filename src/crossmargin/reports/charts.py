"""Bars of a report as static SVG: one drawing for every chart of bars.

A row has its label and its number above its bars, or beside them where labels are short, so that no axis is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from crossmargin.reports.drawing import WIDTH, drawn, framed, inline_values, require_finite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altair import LayerChart
    from markupsafe import Markup

__all__ = ["ABOVE", "BESIDE", "Bar", "Layout", "Row", "bar_chart", "waterfall"]

BAR_HEIGHT: Final = 13
LABEL_LENGTH: Final = 42


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand in a row, in pixels.

    Parameters
    ----------
    row_height : int
        From one row to the next.
    left, right : int
        Between which bars are drawn.
    bar_shift, text_shift : int
        From the middle of the row down to that of the bars, and of the text.
    """

    row_height: int
    left: int
    right: int
    bar_shift: int
    text_shift: int


ABOVE: Final = Layout(row_height=38, left=0, right=WIDTH, bar_shift=9, text_shift=-9)
"""Label and number above the bars."""

BESIDE: Final = Layout(row_height=20, left=84, right=WIDTH - 48, bar_shift=0, text_shift=1)
"""A short label before the bars, a short number behind."""


@dataclass(frozen=True, slots=True)
class Bar:
    """From ``start`` to ``end``, in a colour: the name of a custom property without its dashes."""

    start: float
    end: float
    colour: str


@dataclass(frozen=True, slots=True)
class Row:
    """What stands on one line: label at the left, number at the right, bars below, and a mark across them."""

    label: str
    number: str
    bars: tuple[Bar, ...]
    mark: float | None = None


def waterfall(
    labels: Sequence[str], amounts: Sequence[float], numbers: Sequence[str], opening: int
) -> list[Row]:
    """Return the rows of a waterfall: each step begins where the one before ended, the last shows what is left.

    Parameters
    ----------
    labels, amounts, numbers : sequence
        Of each step; the last amount is the sum of the others.
    opening : int
        How many first steps make up the level that is started from.
    """
    rows, level = [], 0.0
    for place, (label, amount, number) in enumerate(zip(labels, amounts, numbers, strict=True)):
        last = place == len(labels) - 1
        start, end = (0.0, amount) if last else (level, level + amount)
        rows.append(Row(label, number, (Bar(start, end, _role(amount, level=last or place < opening)),)))
        level = end
    return rows


def _role(amount: float, *, level: bool) -> str:
    return "level" if level else "saving" if amount <= 0 else "rise"


def bar_chart(
    rows: Sequence[Row],
    domain: tuple[float, float],
    *,
    name: str,
    title: str,
    description: str,
    layout: Layout = ABOVE,
) -> Markup:
    """Draw rows as inline SVG.

    Parameters
    ----------
    rows : sequence of Row
        From top to bottom.
    domain : (float, float)
        What the width stands for; 0 is within.
    name : str
        Unique on the page, of letters, digits and hyphens: names of the title's and description's elements.
    title, description : str
        What a reader hears who does not see the chart.
    layout : Layout
        ``ABOVE`` or ``BESIDE``.

    Raises
    ------
    RangeError
        If an amount is not finite.
    """
    ends = [end for row in rows for bar in row.bars for end in (bar.start, bar.end)]
    require_finite(title, (*ends, *domain))
    low, high = domain
    chart = _chart(rows, (low, high if high > low else low + 1.0), layout)
    return drawn(chart, name=name, title=title, description=description)


def _chart(rows: Sequence[Row], domain: tuple[float, float], layout: Layout) -> LayerChart:
    """Return the specification: the line of zero, bars, marks, labels and numbers."""
    import altair as alt  # noqa: PLC0415

    places = list(range(len(rows)))
    down = alt.Y("row:O", axis=None, scale=alt.Scale(domain=places, paddingInner=0, paddingOuter=0))
    scale = alt.Scale(domain=list(domain), range=[layout.left, layout.right], nice=False, zero=False)
    layers = [*_shapes(rows, down, {"axis": None, "scale": scale}, layout), *_texts(rows, down, layout)]
    return framed(layers, layout.row_height * len(rows))


def _shapes(rows: Sequence[Row], down: Any, along: dict[str, Any], layout: Layout) -> list[Any]:
    import altair as alt  # noqa: PLC0415

    bars = [_placed(place, bar) for place, row in enumerate(rows) for bar in row.bars]
    marks = [{"row": place, "at": row.mark} for place, row in enumerate(rows) if row.mark is not None]
    at, shift = alt.X("at:Q", **along), layout.bar_shift
    colour = alt.Color("fill:N", scale=None, legend=None)
    tick = alt.Chart(inline_values(marks)).encode(x=at, y=down)
    return [
        alt.Chart(inline_values([{"at": 0.0}])).mark_rule(color="var(--line)").encode(x=at),
        alt.Chart(inline_values(bars))
        .mark_bar(height=BAR_HEIGHT, yOffset=shift)
        .encode(x=alt.X("start:Q", **along), x2="end:Q", y=down, color=colour),
        # A mark has a rim of the page's colour, so that it is seen on every bar.
        tick.mark_tick(thickness=7, size=BAR_HEIGHT + 8, color="var(--paper)", opacity=1, yOffset=shift),
        tick.mark_tick(thickness=3, size=BAR_HEIGHT + 8, color="var(--ink)", opacity=1, yOffset=shift),
    ]


_SIDES: Final[tuple[tuple[Literal["left", "right"], int, str], ...]] = (
    ("left", 0, "label"),
    ("right", WIDTH, "number"),
)


def _texts(rows: Sequence[Row], down: Any, layout: Layout) -> list[Any]:
    import altair as alt  # noqa: PLC0415

    words = [{"row": place, "label": _cut(row.label), "number": row.number} for place, row in enumerate(rows)]
    return [
        alt.Chart(inline_values(words))
        .mark_text(align=side, baseline="middle", dy=layout.text_shift, fontSize=12, color="currentColor")
        .encode(x=alt.value(x), y=down, text=f"{field}:N")
        for side, x, field in _SIDES
    ]


def _placed(place: int, bar: Bar) -> dict[str, object]:
    return {"row": place, "start": bar.start, "end": bar.end, "fill": f"var(--{bar.colour})"}


def _cut(label: str) -> str:
    return label if len(label) <= LABEL_LENGTH else f"{label[: LABEL_LENGTH - 1]}…"
