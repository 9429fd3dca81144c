"""The three tools against procyclicality of EMIR RTS 153/2013, Art. 28 (1), on series of margins.

Each looks only at the margins of its date and of earlier ones, so that what it asks for could have been asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64

from crossmargin.validation.cells import bad_number, refuse, unfit_cells

__all__ = ["BufferRule", "buffered", "buffered_against", "floored", "reference", "stress_weighted"]

TABLE: Final = "anti-procyclical tool"


@dataclass(frozen=True, kw_only=True)
class BufferRule:
    """How a buffer is drawn down: what of it stands above a rise from the margin's own past level.

    The regulation leaves the rule to the house; this one is ours.

    Parameters
    ----------
    buffer : float
        Share of the margin added in calm, above 0; Art. 28 (1) (a) asks for at least 0.25.
    reference_dates : int
        Rows before a date that its reference is made of, at least 1; fewer at the start, and the first date
        is its own reference. The buffer is built up again as the reference follows, over as many rows.
    reference : {"mean", "peak"}
        Mean or largest margin of these rows. A peak is above calm margins, so that less of the buffer is drawn
        and only by margins not seen in the window.
    """

    buffer: float = 0.25
    reference_dates: int = 250
    reference: Literal["mean", "peak"] = "mean"


def buffered(
    margin: Float64[np.ndarray, " dates series"], rule: BufferRule
) -> Float64[np.ndarray, " dates series"]:
    """Return margins with a buffer that is used up when they rise sharply: Art. 28 (1) (a).

    M* = (1 + b) × M, but no more than (1 + b) × reference, but no less than M. In calm all of the buffer stands; while M
    rises above its reference R to (1 + b) × R, M* stays there; then the buffer is empty. With b of 25% and a
    reference of 100: margins of 90, 100, 110, 125 and 150 give 112.5, 125, 125, 125 and 150.

    Parameters
    ----------
    margin : ndarray of float64
        Calculated margins, finite and at least 0; else an ``InputError``.
    rule : BufferRule
        Size of the buffer and reference.
    """
    _require({"margin": margin})
    _require_rule(rule)
    return buffered_against(margin, reference(margin, rule), rule.buffer)


def buffered_against(
    margin: Float64[np.ndarray, " dates series"],
    level: Float64[np.ndarray, " #dates series"],
    buffer: float,
) -> Float64[np.ndarray, " dates series"]:
    """Return margins with a buffer that is used up as they rise from a level to (1 + buffer) times it; see ``buffered``."""
    share = 1.0 + buffer
    return np.clip(share * level, margin, share * margin)


def reference(
    margin: Float64[np.ndarray, " dates series"], rule: BufferRule
) -> Float64[np.ndarray, " dates series"]:
    """Return what each date's margin is compared with: mean or peak of the rows before it."""
    found = margin.copy()
    for row in range(1, len(margin)):
        before = margin[max(row - rule.reference_dates, 0) : row]
        found[row] = before.mean(axis=0) if rule.reference == "mean" else before.max(axis=0)
    return found


def stress_weighted(
    normal: Float64[np.ndarray, " dates series"],
    stress: Float64[np.ndarray, " dates series"],
    weight: float = 0.25,
) -> Float64[np.ndarray, " dates series"]:
    """Return margins in which stress has a weight: Art. 28 (1) (b), (1 − weight) × normal + weight × stress.

    The regulation weights observations of the look-back, this form weights the margins made from them.

    Parameters
    ----------
    normal, stress : ndarray of float64
        Margins from the usual look-back and from stressed observations, finite and at least 0; else an ``InputError``.
    weight : float
        From 0 to 1; Art. 28 asks for at least 0.25.
    """
    assert normal.shape == stress.shape, "margins are of the same dates and series"
    _require({"normal": normal, "stress": stress})
    if not 0.0 <= weight <= 1.0:
        refuse([bad_number(TABLE, "weight", weight, "from 0 to 1")])
    return (1.0 - weight) * normal + weight * stress


def floored(
    margin: Float64[np.ndarray, " dates series"], long_run: Float64[np.ndarray, " dates series"]
) -> Float64[np.ndarray, " dates series"]:
    """Return margins no lower than those of a long look-back: Art. 28 (1) (c), the larger of both.

    Parameters
    ----------
    margin, long_run : ndarray of float64
        Calculated margins, and those with volatility estimated over ten years, of the same dates and series; finite and at
        least 0, else an ``InputError``.
    """
    assert margin.shape == long_run.shape, "margins are of the same dates and series"
    _require({"margin": margin, "long run": long_run})
    return np.maximum(margin, long_run)


def _require(margins: dict[str, Float64[np.ndarray, " dates series"]]) -> None:
    refuse(
        [
            record
            for name, values in margins.items()
            for record in unfit_cells(TABLE, name, values, np.ones(values.shape, np.bool_), least=0.0)
        ]
    )


def _require_rule(rule: BufferRule) -> None:
    bad = []
    if not 0.0 < rule.buffer < np.inf:
        bad.append(bad_number(TABLE, "buffer", rule.buffer, "above 0, finite"))
    if rule.reference_dates < 1:
        bad.append(bad_number(TABLE, "reference_dates", rule.reference_dates, "at least 1"))
    if rule.reference not in {"mean", "peak"}:
        bad.append(bad_number(TABLE, "reference", rule.reference, "mean or peak"))
    refuse(bad)
