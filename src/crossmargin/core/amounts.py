"""Published amounts: integers of 10^-decimals, shown as exact decimals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from jaxtyping import Int64

if TYPE_CHECKING:
    import numpy as np

__all__ = ["exact_decimals"]

PRECISION = 38


def exact_decimals(minor: Int64[np.ndarray, " n"], decimals: int) -> pl.Series:
    """Return integer amounts as a column of exact decimals: 12345 with two decimals becomes 123.45."""
    unit = pl.Series([10**decimals]).cast(pl.Decimal(PRECISION, decimals))
    return pl.Series(minor).cast(pl.Decimal(PRECISION, 0)) / unit
