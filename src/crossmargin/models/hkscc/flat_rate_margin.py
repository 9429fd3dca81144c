"""Flat rate margin of Tier N instruments (guide §3.2.2): the larger side of each sub-margin group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.breakdown import Component, Fact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.hkscc.book import Book
    from crossmargin.models.hkscc.parameters import HksccParameters
    from crossmargin.models.hkscc.participant import HksccParticipant

__all__ = ["FlatRateMargin", "flat_rate_margin"]

RULE = "§3.2.2"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlatRateMargin:
    """Flat rate margin of every participant, by sub-margin group.

    Parameters
    ----------
    amount : ndarray of int64, shape (participants,)
        The requirement in published units: the sum of its groups.
    groups : DataFrame
        ``owner``, ``group``, ``gross_long`` and ``gross_short`` market value, ``long_margin`` and
        ``short_margin`` before the multiplier, all HKD.
    long_side : ndarray of bool, shape (groups,)
        Whether the long side is margined.
    group_amount : ndarray of int64, shape (groups,)
        The margined side × multiplier, published units.
    """

    amount: Int64[np.ndarray, " participants"]
    groups: pl.DataFrame
    long_side: Bool[np.ndarray, " groups"]
    group_amount: Int64[np.ndarray, " groups"]

    def explain(self, place: int, book: Book, participant: HksccParticipant) -> Component:
        """Return the component of one participant."""
        mine = np.flatnonzero((self.groups["owner"] == place).to_numpy())
        return Component(
            name="flat rate margin",
            amount=int(self.amount[place]),
            decimals=book.decimals,
            rule=RULE,
            facts=(Fact("multiplier", participant.flat_rate_multiplier),),
            parts=tuple(self._group(int(i), book) for i in mine),
        )

    def _group(self, row: int, book: Book) -> Component:
        group = self.groups.row(row, named=True)
        long_side = bool(self.long_side[row])
        return Component(
            name=f"sub-margin group {group['group']}",
            amount=int(self.group_amount[row]),
            decimals=book.decimals,
            rule=RULE,
            binding="long side" if long_side else "short side",
            facts=(
                Fact("gross long market value, HKD", group["gross_long"]),
                Fact("gross short market value, HKD", group["gross_short"]),
                Fact(
                    "margin of that side before the multiplier, HKD",
                    group["long_margin" if long_side else "short_margin"],
                ),
            ),
        )


def flat_rate_margin(
    book: Book, parameters: HksccParameters, participants: Sequence[HksccParticipant]
) -> FlatRateMargin:
    """Compute the flat rate margin of every participant.

    In each sub-margin group the side with the larger gross market value counts, at each position's own
    rate; where both sides are equal, the one that asks for more. The sum is multiplied by the
    participant's multiplier.
    """
    held = np.flatnonzero(book.rows["flat_rate"] >= 0)
    rates = parameters.flat_rate["rate"].to_numpy()[book.rows["flat_rate"][held]]
    owner, value = book.owner[held], book.market_value[held]
    names = _group_names(book.instrument.gather(held), owner, rates, participants)
    keys = pl.DataFrame({"owner": owner, "group": names})
    groups = keys.unique().sort("owner", "group")
    numbered = groups.with_columns(number=pl.int_range(pl.len()))
    number = keys.join(numbered, on=["owner", "group"], how="left", maintain_order="left")[
        "number"
    ].to_numpy()
    longs, shorts = np.maximum(value, 0.0), np.maximum(-value, 0.0)
    count = len(groups)
    gross_long, gross_short = np.bincount(number, longs, count), np.bincount(number, shorts, count)
    long_margin, short_margin = (
        np.bincount(number, longs * rates, count),
        np.bincount(number, shorts * rates, count),
    )
    long_side = (gross_long > gross_short) | ((gross_long == gross_short) & (long_margin >= short_margin))
    multiplier = np.array([p.flat_rate_multiplier for p in participants])[groups["owner"].to_numpy()]
    margin = book.minor(np.where(long_side, long_margin, short_margin) * multiplier)
    return FlatRateMargin(
        amount=book.sums(margin, groups["owner"].to_numpy()),
        groups=groups.with_columns(
            gross_long=gross_long, gross_short=gross_short, long_margin=long_margin, short_margin=short_margin
        ),
        long_side=long_side,
        group_amount=margin,
    )


def _group_names(
    instruments: pl.Series,
    owner: Int64[np.ndarray, " held"],
    rates: Float64[np.ndarray, " held"],
    participants: Sequence[HksccParticipant],
) -> pl.Series:
    """Return each position's group: the one its participant maps it to, else the rate's own."""
    of_rate = pl.Series("group", rates).cast(pl.String)
    pairs = [
        (place, *item) for place, one in enumerate(participants) for item in one.sub_margin_groups.items()
    ]
    if not pairs:
        return of_rate
    mapped = pl.DataFrame(
        pairs, schema={"owner": pl.Int32, "instrument": pl.String, "group": pl.String}, orient="row"
    )
    positions = pl.DataFrame({"owner": owner, "instrument": instruments})
    found = positions.join(mapped, on=["owner", "instrument"], how="left", maintain_order="left")
    return found["group"].fill_null(of_rate)
