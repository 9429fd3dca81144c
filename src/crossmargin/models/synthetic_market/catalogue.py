"""What the desks of a synthetic market choose from: prices, futures, options and baskets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from crossmargin.models.synthetic_market.contracts import FUTURES

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.models.synthetic_market.contracts import Contracts
    from crossmargin.models.synthetic_market.histories import Histories

__all__ = ["Catalogue", "OptionSeries", "make_catalogue"]


class OptionSeries(NamedTuple):
    """An option as a desk sees it; ``delta`` is of one point of its underlying."""

    instrument: str
    expiry: date
    right: str
    strike: float
    multiplier: float
    delta: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalogue:
    """What desks choose from.

    Parameters
    ----------
    spots : dict of str to float
        Price of each underlying.
    futures : dict of str to list of str
        Product → its futures, nearest first.
    options : dict of str to list of OptionSeries
        Underlying → its options.
    classes : list of str
        Shares that have options.
    stock_options : list of str
        Codes of all options on shares.
    shares : list of str
        Codes of all shares.
    weights : dict of str to dict of str to float
        Index → constituent → its weight.
    """

    spots: dict[str, float]
    futures: dict[str, list[str]]
    options: dict[str, list[OptionSeries]]
    classes: list[str]
    stock_options: list[str]
    shares: list[str]
    weights: dict[str, dict[str, float]]

    def straddle(self, code: str) -> tuple[OptionSeries, OptionSeries]:
        """Return the call and the put of the nearest expiry whose strike is nearest to the price."""
        near = min(
            self.options[code],
            key=lambda item: (item.expiry, abs(item.strike - self.spots[code]), item.strike),
        )
        both = [
            item for item in self.options[code] if (item.expiry, item.strike) == (near.expiry, near.strike)
        ]
        call, put = sorted(both, key=lambda item: item.right)
        return call, put


def make_catalogue(histories: Histories, contracts: Contracts) -> Catalogue:
    """Return what there is on the last day of the histories."""
    options = contracts.instruments.filter(pl.col("kind") == "option").join(contracts.deltas, on="instrument")
    futures = contracts.instruments.filter(pl.col("kind") == "future").sort("expiry")["instrument"].to_list()
    series = {
        str(name): [OptionSeries(*row) for row in group.select(OptionSeries._fields).iter_rows()]
        for (name,), group in options.sort("instrument").group_by("underlying", maintain_order=True)
    }
    shares = set(histories.shares)
    return Catalogue(
        spots={code: histories.spot(code) for code in histories.codes},
        futures={
            product: [code for code in futures if code.startswith(f"{product}.")] for product in FUTURES
        },
        options=series,
        classes=[code for code in series if code in shares],
        stock_options=[item.instrument for code in series if code in shares for item in series[code]],
        shares=histories.shares,
        weights=histories.weights,
    )
