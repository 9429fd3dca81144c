"""How large a synthetic market is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from crossmargin.core.columns import require_choice, require_size

__all__ = ["SIZES", "MarketSize", "market_size"]

LIMITS: Final = {
    "stocks": (10, 5_000),
    "option_classes": (1, 500),
    "futures_months": (1, 12),
    "option_months": (1, 12),
    "strikes": (1, 100),
    "years": (2, 40),
    "mark_days": (1, 200),
    "participants": (1, 2_000),
    "desks": (1, 1_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSize:
    """Counts of a synthetic market.

    Parameters
    ----------
    stocks : int
        Underlyings of shares; two indices and three funds come on top.
    option_classes : int
        Classes of stock options, on the first stocks.
    futures_months : int
        Contract months of index futures and index options: the next two, then quarter months.
    option_months : int
        Contract months of stock options, chosen alike.
    strikes : int
        Strikes of each expiry below the money, and above.
    years : int
        Length of the histories.
    mark_days : int
        Business days for which futures and options have settlement prices.
    participants, desks : int
        Clearing participants, and desks of each: an account or more with one owner.
    """

    stocks: int = 25
    option_classes: int = 8
    futures_months: int = 4
    option_months: int = 3
    strikes: int = 6
    years: int = 11
    mark_days: int = 5
    participants: int = 6
    desks: int = 5

    def __post_init__(self) -> None:
        for item in fields(self):
            require_size(getattr(self, item.name), item.name, *LIMITS[item.name])
        require_size(self.option_classes, "option_classes", 1, self.stocks)


SIZES: Final = {"small": MarketSize()}
"""Sizes with a name."""


def market_size(size: str | MarketSize) -> MarketSize:
    """Return a size by its name, or as it is given.

    Raises
    ------
    InputError
        If there is no such name.
    """
    if isinstance(size, MarketSize):
        return size
    return SIZES[require_choice(size, "size", [*SIZES])]
