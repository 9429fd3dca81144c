"""A table of 64-bit hashes: which key a hash is of, or numbers for hashes, for millions of them at once.

Cost: two random reads a hash, one of them in a table of 8 bytes for each half of a key. What is found has
the hash of the key, no more; the caller compares the keys themselves.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32, Int64, UInt64
from numba import njit, prange

__all__ = ["find_hashes", "find_hashes_numpy", "number_hashes", "number_hashes_numpy"]

SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: neighbours land far apart


@njit(cache=True)
def _place(key: np.uint64, bits: np.uint64) -> np.int64:
    return np.int64((key * SPREAD) >> (np.uint64(64) - bits))


@njit(cache=True)
def _filled(keys: UInt64[np.ndarray, " keys"], bits: np.uint64) -> Int32[np.ndarray, " places"]:
    """Return the number of a key by its place, −1 in an empty one; a taken place sends a key to the next."""
    table = np.full(1 << np.int64(bits), -1, np.int32)
    for number in range(keys.size):
        place = _place(keys[number], bits)
        while table[place] >= 0:
            place = (place + 1) & (table.size - 1)
        table[place] = number
    return table


@njit(cache=True, parallel=True)
def find_hashes(
    keys: UInt64[np.ndarray, " keys"], asked: UInt64[np.ndarray, " rows"]
) -> Int32[np.ndarray, " rows"]:
    """Return the number of the key with each hash, −1 where there is none.

    Parameters
    ----------
    keys : ndarray of uint64, shape (keys,)
        Hashes of the keys, each once.
    asked : ndarray of uint64, shape (rows,)
        What to look up.
    """
    bits = np.uint64(1)
    while (1 << np.int64(bits)) < 2 * keys.size:
        bits += np.uint64(1)
    table = _filled(keys, bits)
    found = np.empty(asked.size, np.int32)
    for row in prange(asked.size):
        place = _place(asked[row], bits)
        while table[place] >= 0 and keys[table[place]] != asked[row]:
            place = (place + 1) & (table.size - 1)
        found[row] = table[place]
    return found


def find_hashes_numpy(
    keys: UInt64[np.ndarray, " keys"], asked: UInt64[np.ndarray, " rows"]
) -> Int32[np.ndarray, " rows"]:
    """Do what ``find_hashes`` does, readably: the reference in tests."""
    number = {key: i for i, key in enumerate(keys.tolist())}
    return np.array([number.get(key, -1) for key in asked.tolist()], np.int32)


@njit(cache=True)
def number_hashes(
    asked: UInt64[np.ndarray, " rows"],
) -> tuple[Int32[np.ndarray, " rows"], Int64[np.ndarray, " keys"]]:
    """Return a number for each hash, in the order in which they are first met, and the first row of each."""
    bits, count = np.uint64(10), 0
    table = np.full(1 << np.int64(bits), -1, np.int32)
    numbers, firsts, keys = np.empty(asked.size, np.int32), np.empty(512, np.int64), np.empty(512, np.uint64)
    for row in range(asked.size):
        place = _place(asked[row], bits)
        while table[place] >= 0 and keys[table[place]] != asked[row]:
            place = (place + 1) & (table.size - 1)
        if table[place] < 0:
            table[place], keys[count], firsts[count] = count, asked[row], row
            count += 1
        numbers[row] = table[place]
        if count == keys.size:  # half of the table is taken
            bits += np.uint64(1)
            keys, firsts = np.append(keys, np.empty_like(keys)), np.append(firsts, np.empty_like(firsts))
            table = _filled(keys[:count], bits)
    return numbers, firsts[:count]


def number_hashes_numpy(
    asked: UInt64[np.ndarray, " rows"],
) -> tuple[Int32[np.ndarray, " rows"], Int64[np.ndarray, " keys"]]:
    """Do what ``number_hashes`` does, readably: the reference in tests."""
    _, first, key = np.unique(asked, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return np.argsort(order)[key].astype(np.int32), first[order]
