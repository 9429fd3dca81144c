"""The tail of one account in one part of the scenarios: which scenarios, and what brings the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64, Int32, Int64

from crossmargin.kernels.account_tails import account_tails, tail_contributions
from crossmargin.kernels.tail_means import tail_mean, tail_scenarios

if TYPE_CHECKING:
    from crossmargin.models.expected_shortfall.margin import EsMargins

__all__ = ["AccountTail", "account_tail", "account_vector"]


@dataclass(frozen=True, slots=True, eq=False)
class AccountTail:
    """Worst scenarios of an account in one part.

    Parameters
    ----------
    scenarios : ndarray of int64, shape (tail,)
        Numbers in the set, worst first; equal results by number.
    pnl : ndarray of float64, shape (tail,)
        Profit and loss in them, gain-positive.
    shortfall : float
        Their mean, loss-positive.
    rows : ndarray of int32, shape (positions,)
        Row of the cube of each position.
    quantities : ndarray of float64, shape (positions,)
        + long, − short.
    contributions : ndarray of float64, shape (positions,)
        Mean loss of each position in these scenarios: they add up to the shortfall (Euler).
    """

    scenarios: Int64[np.ndarray, " tail"]
    pnl: Float64[np.ndarray, " tail"]
    shortfall: float
    rows: Int32[np.ndarray, " positions"]
    quantities: Float64[np.ndarray, " positions"]
    contributions: Float64[np.ndarray, " positions"]


def account_tail(margins: EsMargins, held: slice, part: int) -> AccountTail:
    """Return the tail of the positions ``held`` in a part of the scenarios, by its number."""
    cube, book = margins.cube, margins.book
    rows, quantities = book.rows[held], book.quantities[held]
    start, stop = cube.layout.bounds[part]
    count = cube.parts[part].tail_count
    pnl = account_vector(margins, held)[start:stop]
    worst = tail_scenarios(pnl, count)
    return AccountTail(
        scenarios=worst.astype(np.int64) + cube.parts[part].start,
        pnl=pnl[worst].astype(np.float64),
        shortfall=tail_mean(pnl, count),
        rows=rows,
        quantities=quantities,
        contributions=tail_contributions(
            np.arange(rows.size, dtype=np.int32), quantities, cube.rows(rows), int(start), worst
        ),
    )


def account_vector(margins: EsMargins, held: slice) -> Float[np.ndarray, " stride"]:
    """Return profit and loss of the positions ``held`` in every scenario, in the cube's precision."""
    cube, book = margins.cube, margins.book
    pnl = np.zeros((1, cube.layout.stride), cube.settings.computed)
    tails = np.array([part.tail_count for part in cube.parts], np.int64)
    starts = np.array([0, held.stop - held.start], np.int64)
    account_tails(
        starts,
        book.rows[held],
        book.quantities[held],
        cube.pnl,
        cube.layout.bounds,
        tails,
        scales=cube.scales,
        pnl=pnl,
    )
    return pnl[0]
