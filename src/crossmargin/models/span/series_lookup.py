"""Which series of a parameter file a position names, for millions of positions.

Keys are compared by hash first and then themselves, so that the answer is exact. A position names product,
expiry, right and strike; exchange, product type and month of the underlying future may be left out, and a
null there says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int32, UInt8

from crossmargin.kernels.hash_lookup import find_hashes

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NOWHERE", "TELLING", "Fits", "fitting_series"]

NAMED: Final = ("product", "right", "expiry", "strike")
"""What every position names; right and strike are null for what is no option."""

TELLING: Final = ("exchange", "product_type", "future_month")
"""What a position may leave out where the rest fits one series only."""

NOWHERE: Final = 255
"""Mark of a position that no series fits."""

STRIKE: Final = pl.when(pl.col("right").is_not_null()).then(pl.col("strike"))
"""The strike of an option; a future has none, whatever stands there."""


class Fits(NamedTuple):
    """What fits each position.

    Parameters
    ----------
    row : ndarray of int32, shape (positions,)
        First series that fits; 0 where none does.
    doubt : ndarray of uint8, shape (positions,)
        0 where one series fits, ``NOWHERE`` where none does, else which columns would tell those that fit
        apart: bit i for ``TELLING[i]``.
    """

    row: Int32[np.ndarray, " positions"]
    doubt: UInt8[np.ndarray, " positions"]


def fitting_series(positions: pl.DataFrame, series: pl.DataFrame) -> Fits:
    """Find the series of each position.

    Parameters
    ----------
    positions : DataFrame
        Texts ``product``, ``expiry`` and ``right`` (null for what is no option), number ``strike``, and any
        of ``TELLING``.
    series : DataFrame
        As in ``SpanParameters``.
    """
    told = [name for name in TELLING if name in positions.columns]
    blanks = [name for name in told if positions[name].null_count()]
    known = series.with_columns(pl.col("right").replace("", None)).with_columns(STRIKE + 0.0)  # no -0.0
    asked = positions.with_columns(STRIKE)
    if not blanks:
        return _fits(asked, known, (*NAMED, *told))
    fits = Fits(np.zeros(len(asked), np.int32), np.full(len(asked), NOWHERE, np.uint8))
    pattern = asked.select(sum(pl.col(name).is_null() * (1 << i) for i, name in enumerate(told))).to_series()
    for number in pattern.unique().to_list():
        rows = np.flatnonzero((pattern == number).to_numpy())
        named = [name for i, name in enumerate(told) if not number >> i & 1]
        fits.row[rows], fits.doubt[rows] = _fits(asked[rows], known, (*NAMED, *named))
    return fits


def _fits(asked: pl.DataFrame, known: pl.DataFrame, keys: Sequence[str]) -> Fits:
    """Find the series by these columns alone."""
    if known.is_empty():
        return Fits(np.zeros(len(asked), np.int32), np.full(len(asked), NOWHERE, np.uint8))
    groups = _groups(known, keys)
    distinct, wanted = groups.select(keys), asked.select(keys)
    seed, hashes = _distinct_hashes(distinct)
    group = find_hashes(hashes, _hashes(wanted, seed))
    there = np.maximum(group, 0)
    both = wanted.hstack(distinct[there].rename(lambda name: f"{name} of the series"))
    same = both.select(
        pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name} of the series")) for name in keys)
    ).to_series()
    doubt = np.where(same.to_numpy() & (group >= 0), groups["doubt"].to_numpy()[there], np.uint8(NOWHERE))
    return Fits(groups["row"].to_numpy()[there], doubt)


def _groups(known: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return the distinct keys, the first row of each and what tells its series apart."""
    numbered = known.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int32))
    groups = numbered.unique(keys, keep="first", maintain_order=True)
    if len(groups) == len(known):
        return groups.with_columns(doubt=pl.lit(0, pl.UInt8))
    bits = [(pl.col(name).n_unique() > 1) * (1 << i) for i, name in enumerate(TELLING) if name not in keys]
    return numbered.group_by(keys, maintain_order=True).agg(
        pl.col("row").first(), doubt=pl.sum_horizontal(bits).cast(pl.UInt8)
    )


def _distinct_hashes(keys: pl.DataFrame) -> tuple[int, np.ndarray]:
    """Return a seed with which no two keys share a hash, and the hashes."""
    seed = 0
    while True:
        hashes = _hashes(keys, seed)
        if np.unique(hashes).size == len(keys):
            return seed, hashes
        seed += 1


def _hashes(keys: pl.DataFrame, seed: int) -> np.ndarray:
    hashes = keys.hash_rows(seed).to_numpy().view()
    hashes.setflags(write=False)
    return hashes
