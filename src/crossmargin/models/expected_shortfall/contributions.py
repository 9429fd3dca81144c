"""What each position of an account brings to its expected shortfall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from crossmargin.kernels.incremental_tails import removal_effects
from crossmargin.models.expected_shortfall.tails import account_tail, account_vector

if TYPE_CHECKING:
    from crossmargin.models.expected_shortfall.margin import EsMargins

__all__ = ["contributions"]


def contributions(margins: EsMargins, account: str) -> pl.DataFrame:
    """Return Euler and incremental contributions, see ``EsMargins.contributions``."""
    cube, held = margins.cube, margins.book.held(account)
    rows, quantities = margins.book.rows[held], margins.book.quantities[held]
    weights = np.array([part.weight for part in cube.parts])
    tails = [account_tail(margins, held, part) for part in range(len(cube.parts))]
    removed = removal_effects(
        account_vector(margins, held),
        np.arange(rows.size, dtype=np.int32),
        quantities,
        cube.rows(rows),
        cube.layout.bounds,
        np.array([part.tail_count for part in cube.parts], np.int64),
    )
    euler = np.zeros(rows.size)
    for weight, tail in zip(weights, tails, strict=True):
        euler += weight * tail.contributions
    return pl.DataFrame(
        {
            "instrument": cube.instruments["instrument"].gather(rows),
            "quantity": quantities.astype(np.int64),
            "contribution": euler,
            "incremental": removed @ weights,
        }
    ).sort("contribution", "instrument", descending=[True, False])
