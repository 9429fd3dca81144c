"""Profit and loss of what is worth a multiple of one price: a row of returns times an amount.

Cost: one product and 4 or 8 bytes written for an instrument and scenario; bound by the memory written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxtyping import Float, Int64
from numba import njit, prange

if TYPE_CHECKING:
    import numpy as np

__all__ = ["linear_rows", "linear_rows_numpy"]


@njit(cache=True, parallel=True, error_model="numpy")
def linear_rows(
    amounts: Float[np.ndarray, " instruments"],
    return_rows: Int64[np.ndarray, " instruments"],
    rows: Int64[np.ndarray, " instruments"],
    returns: Float[np.ndarray, "underlyings scenarios"],
    cube: Float[np.ndarray, "rows scenarios"],
) -> None:
    """Fill a row of ``cube`` for each instrument with amount × return.

    Parameters
    ----------
    amounts : ndarray of float32 or float64, shape (instruments,)
        Money that a return of 1 brings.
    return_rows : ndarray of int64, shape (instruments,)
        Row of ``returns``.
    rows : ndarray of int64, shape (instruments,)
        Row of ``cube``; no two are the same.
    returns : ndarray, shape (underlyings, scenarios)
        Simple returns.
    cube : ndarray, shape (rows, scenarios)
        Filled, gain-positive.
    """
    for i in prange(amounts.size):
        amount, source, target = amounts[i], returns[return_rows[i]], cube[rows[i]]
        for s in range(source.size):
            target[s] = amount * source[s]


def linear_rows_numpy(
    amounts: Float[np.ndarray, " instruments"],
    return_rows: Int64[np.ndarray, " instruments"],
    rows: Int64[np.ndarray, " instruments"],
    returns: Float[np.ndarray, "underlyings scenarios"],
    cube: Float[np.ndarray, "rows scenarios"],
) -> None:
    """Do what ``linear_rows`` does, readably: the reference in tests."""
    cube[rows] = amounts[:, None] * returns[return_rows]
