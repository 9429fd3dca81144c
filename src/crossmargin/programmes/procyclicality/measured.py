"""Measures of procyclicality as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from crossmargin.programmes.procyclicality.tools import NONE
from crossmargin.validation.procyclicality import (
    cost,
    impulse_response,
    largest_call,
    n_day,
    peak_to_trough,
    stability,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from jaxtyping import Float64

__all__ = ["impulse_frame", "measures_frame"]

N_DAYS: Final = (1, 5, 20, 30)
LEAST_DATES: Final = 3


def measures_frame(
    by_tool: Mapping[str, Float64[np.ndarray, "days series"]],
    days: Sequence[date],
    series: Sequence[str],
    every: int,
) -> pl.DataFrame:
    """Return a row a series and tool; see ``ProcyclicalityResult.measures``.

    Ratios are null of a series that is 0 or below on some day, such as a saving that was none; and n-day ratios where n
    is no multiple of ``every``, or the days are too few.
    """
    rows = [
        {
            "series": name,
            "tool": tool,
            **_measured(margins[:, [column]], by_tool[NONE][:, [column]], days, every),
        }
        for column, name in enumerate(series)
        for tool, margins in by_tool.items()
    ]
    dates = {"peak_date": pl.Date, "trough_date": pl.Date, "largest_call_date": pl.Date}
    texts = {"series": pl.String, "tool": pl.String}
    return pl.DataFrame(
        {
            name: pl.Series([row[name] for row in rows], dtype=(texts | dates).get(name, pl.Float64))
            for name in rows[0]
        }
    )


def _measured(
    margin: Float64[np.ndarray, "days 1"],
    unmitigated: Float64[np.ndarray, "days 1"],
    days: Sequence[date],
    every: int,
) -> dict[str, Any]:
    """Return the measures of one series."""
    rising = bool((margin > 0).all())
    swing = peak_to_trough(margin) if rising else None
    held = np.maximum(margin, 0.0)
    call = largest_call(held) if len(days) > 1 else None
    steps = {n: n // every if n % every == 0 else 0 for n in N_DAYS}
    return {
        "mean": float(margin.mean()),
        "peak_to_trough": float(swing.ratio[0]) if swing else None,
        "peak_date": days[int(swing.peak_at[0])] if swing else None,
        "trough_date": days[int(swing.trough_at[0])] if swing else None,
        **{
            f"n_day_{n}": float(n_day(margin, step)[0]) if rising and 0 < step < len(days) else None
            for n, step in steps.items()
        },
        "largest_call": float(call.amount[0]) if call else None,
        "largest_call_date": days[int(call.at[0])] if call and call.at[0] >= 0 else None,
        "stability": float(stability(margin)[0]) if rising and len(days) >= LEAST_DATES else None,
        "cost": float(cost(held, np.maximum(unmitigated, 0.0))[0]) if (unmitigated > 0).any() else None,
    }


def impulse_frame(
    paths: Mapping[str, Float64[np.ndarray, "days+1 series"]], series: Sequence[str], days: Sequence[int]
) -> pl.DataFrame:
    """Return a row a series, tool and day after the jump; see ``ProcyclicalityResult.impulse``.

    Parameters
    ----------
    paths : mapping of str to ndarray of float64, shape (days + 1, series)
        By tool: margins on the day before the jump, and on days after it. A series of 0 before has no rows.
    series : sequence of str
        Names of the columns.
    days : sequence of int
        Days after the jump.
    """
    rows = [
        (name, tool, day, float(multiple))
        for column, name in enumerate(series)
        for tool, margins in paths.items()
        if margins[0, column] > 0
        for day, multiple in zip(
            days, impulse_response(np.maximum(margins[:, [column]], 0.0), 1)[:, 0], strict=True
        )
    ]
    schema = {"series": pl.String, "tool": pl.String, "day": pl.Int64, "multiple": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")
