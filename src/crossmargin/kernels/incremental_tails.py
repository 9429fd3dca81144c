"""Expected shortfall of one account after one more trade, from the account's stored results.

Cost: one row is added to one vector (two reads and a write of the first cache for each scenario), then the
tails are taken. What a call of a compiled function with arrays costs is more than that, so an account is
bound once: its addresses lie in one block of memory, and a call passes that block's address, a row number
and a quantity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Float, Float64, Int32, Int64
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, njit, types  # type: ignore[attr-defined]
from numba.extending import intrinsic

from crossmargin.kernels.lanes import LANES
from crossmargin.kernels.row_sums import aligned_zeros
from crossmargin.kernels.tail_means import (
    Scratch,
    check_parts,
    mean_loss,
    tail_mean_numpy,
    worst_scenarios,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IncrementalTails", "incremental_tails_numpy", "removal_effects"]

# The checker would keep in an intrinsic's signature the typing context, which no caller passes.
_intrinsic: Callable[[Any], Any] = intrinsic

FLOAT32: Final = np.zeros(0, np.float32)
FLOAT64: Final = np.zeros(0, np.float64)
Results = Float[np.ndarray, " columns"]


@_intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """Return an address, given as a number, as a pointer."""
    del typing_context, address

    def code(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), code


@njit(cache=True, error_model="numpy")
def _tails_after(
    vector: Float[np.ndarray, " columns"],
    row: Float[np.ndarray, " columns"],
    quantity: float | np.floating[Any],
    sums: Float[np.ndarray, " columns"],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
    scratch: Scratch,
    worst: Float[np.ndarray, " tail"],
    ids: Int32[np.ndarray, " tail"],
    shortfalls: Float64[np.ndarray, " parts"],
) -> bool:
    """Fill the shortfalls with one more row; tell whether all results are finite."""
    for column in range(sums.size):
        sums[column] = vector[column] + quantity * row[column]
    fine = True
    for part in range(tail_counts.size):
        tail = worst[: tail_counts[part]]
        fine = worst_scenarios(sums, parts[part, 0], parts[part, 1], tail, ids, scratch) and fine
        shortfalls[part] = mean_loss(tail)
    return fine


@njit(cache=True, error_model="numpy")
def _after_one(
    block: int, row: int, quantity: float | np.floating[Any], like: Float[np.ndarray, " 0"]
) -> bool:
    """Fill the shortfalls of the account whose addresses and sizes stand at ``block``."""
    at = carray(_pointer(block), (10,), np.int64)
    columns, parts, largest = at[7], at[8], at[9]
    floats = carray(_pointer(at[3]), (2 * LANES + largest,), like.dtype)
    integers = carray(_pointer(at[4]), (LANES + largest,), np.int32)
    scratch = (floats[:LANES], floats[LANES : 2 * LANES], integers[:LANES])
    return _tails_after(
        carray(_pointer(at[0]), (columns,), like.dtype),
        carray(_pointer(at[1] + row * columns * like.itemsize), (columns,), like.dtype),
        quantity,
        carray(_pointer(at[2]), (columns,), like.dtype),
        carray(_pointer(at[5]), (parts, 2), np.int64),
        carray(_pointer(at[5] + parts * 16), (parts,), np.int64),
        scratch,
        floats[2 * LANES :],
        integers[LANES:],
        carray(_pointer(at[6]), (parts,), np.float64),
    )


@njit(cache=True, error_model="numpy")
def _after_one_float32(block: int, row: int, quantity: float) -> bool:
    return _after_one(block, row, np.float32(quantity), FLOAT32)


@njit(cache=True, error_model="numpy")
def _after_one_float64(block: int, row: int, quantity: float) -> bool:
    return _after_one(block, row, quantity, FLOAT64)


class IncrementalTails:
    """One account, ready to be asked for its expected shortfalls after one more trade.

    Parameters
    ----------
    vector : ndarray of float32 or float64, shape (columns,)
        The account's gain (+) or loss (−) by scenario: a row of what ``account_tails`` stores. Copied.
    cube : ndarray of the same type, shape (instruments, columns)
        Gain (+) or loss (−) of one unit of each instrument; contiguous. Not copied.
    parts : ndarray of int64, shape (parts, 2)
        First column of each part and the column after its last.
    tail_counts : ndarray of int64, shape (parts,)
        Scenarios in the tail of each part.

    Notes
    -----
    The results are those of ``account_tails`` for the book with the trade appended, to the last bit. In
    float32 a scenario's result is within (positions + 2) × 2^-24 × Σ |quantity × gain| of the exact one (to
    first order in 2^-24), hence an expected shortfall within the largest such bound of its part.
    """

    def __init__(
        self,
        vector: Float[np.ndarray, " columns"],
        cube: Float[np.ndarray, "instruments columns"],
        parts: Int64[np.ndarray, "parts 2"],
        tail_counts: Int64[np.ndarray, " parts"],
    ) -> None:
        parts, tail_counts = np.asarray(parts, np.int64), np.asarray(tail_counts, np.int64)
        kind = cube.dtype.type
        assert kind in {np.float32, np.float64}, "rows are float32 or float64"
        assert vector.dtype == kind, "the account's results have the type of the rows"
        assert cube.flags.c_contiguous, "rows are contiguous"
        assert vector.shape == cube.shape[1:], "the account's results have a column for each of the rows'"
        check_parts(parts, tail_counts, cube.shape[1])
        largest = int(tail_counts.max())
        own = aligned_zeros(vector.shape, kind)
        own[:] = vector
        layout = np.concatenate((parts.ravel(), tail_counts))
        self._shortfalls = np.zeros(tail_counts.size)
        self._arrays = (
            own,
            cube,
            aligned_zeros(vector.shape, kind),
            aligned_zeros((2 * LANES + largest,), kind),
            aligned_zeros((LANES + largest,), np.int32),
            layout,
            self._shortfalls,
        )
        addresses = [array.ctypes.data for array in self._arrays]
        self._block = np.array([*addresses, cube.shape[1], tail_counts.size, largest], np.int64)
        self._address = int(self._block.ctypes.data)
        self._rows = cube.shape[0]
        self._after_one: Any = _after_one_float32 if kind is np.float32 else _after_one_float64

    def add(self, row: int, quantity: float) -> tuple[float, ...]:
        """Return the expected shortfall of each part with so many more units of an instrument.

        Parameters
        ----------
        row : int
            Row of the cube.
        quantity : float
            Units, + bought, − sold; rounded to the type of the rows.

        Returns
        -------
        tuple of float
            Positive = loss.

        Raises
        ------
        IndexError
            If there is no such row.
        ValueError
            If a scenario result is NaN or infinite.
        """
        if not 0 <= row < self._rows:
            raise IndexError(f"row {row} of {self._rows}")
        if not self._after_one(self._address, int(row), float(quantity)):
            raise ValueError("a scenario result is NaN or infinite")
        return tuple(self._shortfalls.tolist())


def incremental_tails_numpy(
    vector: Float[np.ndarray, " columns"],
    row: Float[np.ndarray, " columns"],
    quantity: float,
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
) -> tuple[float, ...]:
    """Do what ``IncrementalTails.add`` does, readably: the reference in tests."""
    sums = vector + vector.dtype.type(quantity) * row
    return tuple(
        tail_mean_numpy(sums[start:stop], count)
        for (start, stop), count in zip(parts, tail_counts, strict=True)
    )


def removal_effects(
    vector: Float[np.ndarray, " columns"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    cube: Float[np.ndarray, "instruments columns"],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
) -> Float64[np.ndarray, "positions parts"]:
    """Return the expected shortfall of an account less that without each one of its positions.

    Unlike Euler contributions these do not add up to the expected shortfall. Arguments as
    ``IncrementalTails`` and, for the positions, ``account_tails``; errors as ``IncrementalTails.add``.

    Returns
    -------
    ndarray of float64, shape (positions, parts)
        Positive = the position adds to the loss.
    """
    account = IncrementalTails(vector, cube, parts, tail_counts)
    if not rows.size:
        return np.zeros((0, len(tail_counts)))
    whole = np.array(account.add(0, 0.0))
    without = [account.add(row, -quantity) for row, quantity in zip(rows, quantities, strict=True)]
    return whole - np.array(without)
