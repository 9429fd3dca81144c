"""Rows of scenario results in sixteen bits, with a scale per 64 scenarios: half the bytes to read.

Each value is within half a scale of the original, that is within 1/65,534 of the largest of its 64
neighbours. Rounding is to the nearest integer, a half to the even one, of the quotient in float64.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Int16
from numba import njit, prange

from crossmargin.kernels.row_sums import SCALE_COLUMNS, aligned_zeros

__all__ = ["dequantise_rows", "quantise_rows", "quantise_rows_numpy"]

LARGEST: Final = 32_767


@njit(cache=True, parallel=True, error_model="numpy")
def _quantise(
    cube: Float[np.ndarray, "instruments columns"],
    integers: Int16[np.ndarray, "instruments columns"],
    scales: Float32[np.ndarray, "instruments spans"],
) -> None:
    for row in prange(cube.shape[0]):
        for span in range(scales.shape[1]):
            first = span * SCALE_COLUMNS
            values = cube[row, first : first + SCALE_COLUMNS]
            largest = values[0] - values[0]
            for value in values:
                size = abs(value)
                largest = np.maximum(largest, size)  # keeps a NaN
            scale = np.float32(np.float64(largest) / LARGEST)
            scales[row, span] = scale
            if scale > 0:
                for i in range(SCALE_COLUMNS):
                    whole = np.rint(np.float64(values[i]) / np.float64(scale))
                    integers[row, first + i] = np.int16(min(max(whole, -LARGEST), LARGEST))


def quantise_rows(
    cube: Float[np.ndarray, "instruments columns"],
) -> tuple[Int16[np.ndarray, "instruments columns"], Float32[np.ndarray, "instruments spans"]]:
    """Return the rows as integers and the float32 scales that turn them back.

    Parameters
    ----------
    cube : ndarray of float32 or float64, shape (instruments, columns)
        Finite; ``columns`` is a multiple of 64.

    Returns
    -------
    integers : ndarray of int16, shape (instruments, columns)
        From −32,767 to 32,767; zeros stay zeros.
    scales : ndarray of float32, shape (instruments, columns / 64)
        The value of one unit in each span of 64 columns; 0 where all are 0 (or below 1e-40 in size).

    Raises
    ------
    ValueError
        If a value is NaN or infinite, or too large for float32.
    """
    assert cube.shape[1] % SCALE_COLUMNS == 0, "rows are whole spans of 64 columns"
    spans = cube.shape[1] // SCALE_COLUMNS
    integers = aligned_zeros(cube.shape, np.int16)
    scales = aligned_zeros((cube.shape[0], spans), np.float32)
    _quantise(cube, integers, scales)
    spoilt = np.flatnonzero(~np.isfinite(scales).all(axis=1))
    if spoilt.size:
        raise ValueError(f"a value of row {spoilt[0]} is NaN or infinite ({spoilt.size:,} such rows)")
    return integers, scales


def dequantise_rows(
    integers: Int16[np.ndarray, "instruments columns"], scales: Float32[np.ndarray, "instruments spans"]
) -> Float32[np.ndarray, "instruments columns"]:
    """Return integer × scale, rounded to float32."""
    return np.repeat(scales, SCALE_COLUMNS, axis=1) * integers


def quantise_rows_numpy(
    cube: Float[np.ndarray, "instruments columns"],
) -> tuple[Int16[np.ndarray, "instruments columns"], Float32[np.ndarray, "instruments spans"]]:
    """Do what ``quantise_rows`` does, readably: the reference in tests."""
    spans = cube.reshape(cube.shape[0], -1, SCALE_COLUMNS)
    scales = (np.abs(spans).max(axis=2).astype(np.float64) / LARGEST).astype(np.float32)
    divisors = np.where(scales > 0, scales, np.inf).astype(np.float64)
    integers = np.clip(np.rint(spans / divisors[:, :, None]), -LARGEST, LARGEST)
    return integers.astype(np.int16).reshape(cube.shape), scales
