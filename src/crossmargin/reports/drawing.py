"""A chart's specification as inline SVG: drawn once, the same everywhere, with a title and a description.

Colours are names of custom properties of the page, which knows whether it is light or dark. Nothing in the SVG
depends on the fonts of the machine that draws it: frames are fixed, and no text decides where another stands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from crossmargin.errors import RangeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from altair import LayerChart
    from markupsafe import Markup

__all__ = ["EDGE", "WIDTH", "drawn", "framed", "inline_values", "require_finite"]

EDGE: Final = 2
"""Pixels around the plot, for strokes and marks that stand on its border."""

WIDTH: Final = 360 - 2 * EDGE
"""Every chart is made for the width of a phone and grows with the page."""


def require_finite(title: str, amounts: Iterable[float]) -> None:
    """Refuse to draw what has no place.

    Raises
    ------
    RangeError
        If an amount is not finite.
    """
    if not all(abs(amount) < float("inf") for amount in amounts):
        raise RangeError(f"{title}: an amount is not finite")


def inline_values(rows: Sequence[dict[str, Any]]) -> Any:
    """Return rows as data that stand in the specification itself."""
    import altair as alt  # noqa: PLC0415

    return alt.InlineData(values=list(rows))


def framed(layers: Sequence[Any], height: int) -> LayerChart:
    """Return layers in a frame of fixed size, without anything that a theme would add."""
    import altair as alt  # noqa: PLC0415

    return (
        alt.layer(*layers)
        .properties(width=WIDTH, height=height, padding=EDGE, autosize=alt.AutoSizeParams(type="none"))
        .configure(aria=False, background="transparent", font="sans-serif")
        .configure_view(stroke=None)
    )


def drawn(chart: LayerChart, *, name: str, title: str, description: str) -> Markup:
    """Return a specification as inline SVG.

    Parameters
    ----------
    chart : LayerChart
        As ``framed`` returns.
    name : str
        Unique on the page, of letters, digits and hyphens: names of the title's and description's elements.
    title, description : str
        What a reader hears who does not see the chart.
    """
    import vl_convert  # noqa: PLC0415

    svg = vl_convert.vegalite_to_svg(chart.to_dict(), allowed_base_urls=[])
    return _labelled(svg, name, title, description)


def _labelled(svg: str, name: str, title: str, description: str) -> Markup:
    """Give a drawing its title and description, and a size that follows the page."""
    from markupsafe import Markup  # noqa: PLC0415

    box = re.search(r'viewBox="([\d. ]+)"', svg)
    assert box is not None, "a drawing has a view box"
    assert " id=" not in svg, "names in a drawing would clash with those of the next one on the page"
    body = svg[svg.index(">") + 1 :]
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="{box}" role="img" '
        'aria-labelledby="{name}-title {name}-desc">'
        '<title id="{name}-title">{title}</title><desc id="{name}-desc">{description}</desc>'
    ).format(box=box[1], name=name, title=title, description=description)
    return head + Markup(body)  # noqa: S704 - the renderer has escaped every text in it
