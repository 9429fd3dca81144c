"""Which accounts belong to one holder, and what holders are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Int64

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Holders", "holders_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Holders:
    """Holders of accounts; an account on a gross basis is one by itself.

    Parameters
    ----------
    names : Series of str
        Of the holders, each once, in order.
    number : ndarray of int64, shape (accounts,)
        Place of each account's holder in ``names``.
    """

    names: pl.Series
    number: Int64[np.ndarray, " accounts"]


def holders_of(accounts: pl.DataFrame, *, by_owner: bool) -> Holders:
    """Return the owners within each group of participants that hold accounts, or the groups.

    Parameters
    ----------
    accounts : DataFrame
        See ``ClearingAccounts.table``.
    by_owner : bool
        Whether a group's accounts are told apart by owner.
    """
    belongs = accounts.select(*_belonging(by_owner=by_owner))
    known = _named(belongs.unique()).sort("called")
    place = belongs.join(known.with_row_index("place"), on=belongs.columns, how="left", maintain_order="left")
    return Holders(names=known["called"], number=place["place"].to_numpy().astype(np.int64))


def _belonging(*, by_owner: bool) -> Iterator[pl.Expr]:
    """Yield what accounts that belong together have in common: group and owner, or group, or nothing but themselves."""
    gross, none = pl.col("basis") == "gross", pl.lit("")
    yield pl.col("group")
    yield pl.when(gross).then(none).otherwise(pl.col("owner") if by_owner else none).alias("owner")
    yield pl.when(gross).then("account").otherwise(none).alias("account")
    yield (
        pl.when(gross)
        .then("account")
        .otherwise(pl.col("owner") if by_owner else pl.col("group"))
        .alias("name")
    )


def _named(known: pl.DataFrame) -> pl.DataFrame:
    """Tell apart what has one name: with its group before it, and numbered if that is another's name."""
    columns = known.columns
    of_group = pl.format("{}.{}", "group", "name")
    longer = known.sort(columns).with_columns(
        pl.when(pl.col("name").is_duplicated()).then(of_group).otherwise("name").alias("called")
    )
    numbered = pl.format("{} ({})", "called", pl.int_range(1, pl.len() + 1).over("called"))
    called = pl.when(pl.col("called").is_duplicated()).then(numbered).otherwise("called")
    return longer.with_columns(called.alias("called"))
