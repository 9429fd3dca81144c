"""Lines over time as static SVG, in the manner of the bars: for the width of a phone, without an axis's furniture.

Levels are named at the left of the plot, days below it. A line is told from others by its dashes and its
width too, not by colour alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from crossmargin.reports.drawing import WIDTH, drawn, framed, inline_values, require_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup

__all__ = ["STYLES", "Line", "Style", "date_marks", "levels", "line_chart", "thinned"]

HEIGHT: Final = 220
ABOVE: Final = 8
BELOW: Final = 20
LEFT: Final = 46
"""Pixels around the plot, for half of the highest level's name, the names of days, and those of levels."""

MARKS: Final = 8
"""Days named below the plot, at most."""


@dataclass(frozen=True, slots=True)
class Style:
    """Colour (a custom property without its dashes), dashes in pixels, and width of a line."""

    colour: str
    dash: tuple[int, ...]
    width: float


STYLES: Final = (
    Style("line-1", (), 2.0),
    Style("line-2", (7, 4), 2.0),
    Style("line-3", (2, 3), 2.5),
    Style("line-4", (), 1.0),
)
"""In the order of a chart's lines; the page's style has the same for legends."""


@dataclass(frozen=True, slots=True)
class Line:
    """Amounts over places from left to right.

    Parameters
    ----------
    name : str
        What it is.
    places : sequence of float
        Ascending, such as ordinals of days.
    amounts : sequence of float
        As many.
    """

    name: str
    places: Sequence[float]
    amounts: Sequence[float]


def line_chart(
    lines: Sequence[Line],
    *,
    across: Sequence[tuple[float, str]],
    up: Sequence[tuple[float, str]],
    name: str,
    title: str,
    description: str,
) -> Markup:
    """Draw lines as inline SVG, in the order of ``STYLES``.

    Parameters
    ----------
    lines : sequence of Line
        At most as many as ``STYLES``; at least one has a place.
    across : sequence of (float, str)
        Places that are named below the plot.
    up : sequence of (float, str)
        Levels that are drawn and named, ascending; the first and the last bound the plot.
    name, title, description : str
        As of ``bar_chart``.

    Raises
    ------
    RangeError
        If an amount is not finite.
    """
    require_finite(title, [amount for line in lines for amount in line.amounts])
    places = [place for line in lines for place in line.places]
    along = _scale((min(places), max(places)), (LEFT, WIDTH))
    down = _scale((up[0][0], up[-1][0]), (HEIGHT - BELOW, ABOVE))
    layers = [*_grid(across, up, along, down)]
    layers += [_drawn_line(line, style, along, down) for line, style in zip(lines, STYLES, strict=False)]
    return drawn(framed(layers, HEIGHT), name=name, title=title, description=description)


def _scale(domain: tuple[float, float], pixels: tuple[int, int]) -> dict[str, Any]:
    import altair as alt  # noqa: PLC0415

    low, high = domain
    scale = alt.Scale(
        domain=[low, high if high > low else low + 1.0], range=list(pixels), nice=False, zero=False
    )
    return {"axis": None, "scale": scale}


def _drawn_line(line: Line, style: Style, along: dict[str, Any], down: dict[str, Any]) -> Any:
    import altair as alt  # noqa: PLC0415

    points = [{"at": place, "up": amount} for place, amount in zip(line.places, line.amounts, strict=True)]
    return (
        alt.Chart(inline_values(points))
        .mark_line(
            color=f"var(--{style.colour})",
            strokeDash=list(style.dash),
            strokeWidth=style.width,
            strokeJoin="round",
        )
        .encode(x=alt.X("at:Q", **along), y=alt.Y("up:Q", **down))
    )


def _grid(
    across: Sequence[tuple[float, str]],
    up: Sequence[tuple[float, str]],
    along: dict[str, Any],
    down: dict[str, Any],
) -> list[Any]:
    """Return the levels with their names, and the names of places at the foot."""
    import altair as alt  # noqa: PLC0415

    heights = alt.Chart(inline_values([{"up": at, "text": text} for at, text in up]))
    feet = alt.Chart(inline_values([{"at": at, "text": text} for at, text in across]))
    level, place = alt.Y("up:Q", **down), alt.X("at:Q", **along)
    return [
        heights.mark_rule(color="var(--line)").encode(x=alt.value(LEFT), x2=alt.value(WIDTH), y=level),
        heights.mark_text(align="right", baseline="middle", fontSize=11, color="var(--soft)").encode(
            x=alt.value(LEFT - 6), y=level, text="text:N"
        ),
        feet.mark_tick(orient="vertical", size=5, thickness=1, color="var(--soft)", yOffset=2).encode(
            x=place, y=alt.value(HEIGHT - BELOW)
        ),
        feet.mark_text(align="center", baseline="bottom", fontSize=11, color="var(--soft)").encode(
            x=place, y=alt.value(HEIGHT), text="text:N"
        ),
    ]


def levels(low: float, high: float, text: Callable[[float], str], count: int = 4) -> list[tuple[float, str]]:
    """Return round levels from at most ``low`` to at least ``high``, with their texts.

    Steps are 1, 2 or 5 times a power of ten, as few as give at least ``count`` intervals or one less.
    """
    span = high - low if high > low else max(abs(high), 1.0)
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= count + 0.5)
    first, last = math.floor(low / step + 1e-9), math.ceil((low + span) / step - 1e-9)
    return [(number * step, text(number * step)) for number in range(first, last + 1)]


def date_marks(first: date, last: date) -> list[tuple[float, str]]:
    """Return the first days of some years, or of months of a short history, with their names, at most eight.

    Names that would stand across the edge of the plot are left out.
    """
    months = (last.year - first.year) * 12 + last.month - first.month
    step = next(each for each in (1, 2, 3, 6, 12, 24, 36, 60, 120, 1200) if months / each <= MARKS)
    edge = (last - first).days * 0.06
    found = []
    for month in range(first.year * 12 // step * step, last.year * 12 + 12, step):
        day = date(month // 12, month % 12 + 1, 1)
        if edge <= (day - first).days <= (last - first).days - edge:
            text = f"{day.year}" if step >= 12 else f"{day:%Y-%m}"  # noqa: PLR2004 - months of a year
            found.append((float(day.toordinal()), text))
    return found


def thinned(line: Line, columns: int = WIDTH) -> Line:
    """Return a line with at most its lowest and its highest amount in each column: what the eye can see of it."""
    if len(line.places) <= 2 * columns:
        return line
    low, high = line.places[0], line.places[-1]
    kept: dict[int, tuple[int, int]] = {}
    for number, (place, amount) in enumerate(zip(line.places, line.amounts, strict=True)):
        column = int((place - low) / (high - low) * (columns - 1))
        least, most = kept.get(column, (number, number))
        kept[column] = (
            number if amount < line.amounts[least] else least,
            number if amount > line.amounts[most] else most,
        )
    numbers = sorted({number for pair in kept.values() for number in pair})
    return Line(line.name, [line.places[i] for i in numbers], [line.amounts[i] for i in numbers])
