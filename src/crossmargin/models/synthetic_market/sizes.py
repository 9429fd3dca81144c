"""How large a synthetic market is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crossmargin.core.columns import require_choice, require_size, require_within
from crossmargin.models.market import HOUSES

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
    "hkscc_participants": (1, 2_000),
    "hkcc_participants": (1, 2_000),
    "seoch_participants": (1, 2_000),
    "desks": (1, 1_000),
    "accounts": (1, 1_000_000),
    "scale": (0.01, 1_000.0),
}

OPTIONAL: Final = ("hkscc_participants", "hkcc_participants", "seoch_participants", "accounts")


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
    participants : int
        Clearing participants of all houses together.
    hkscc_participants, hkcc_participants, seoch_participants : int, optional
        How many of them each house has, all of them unless given; HKSCC at least as many as HKCC, and HKCC
        as SEOCH. Who is not at HKSCC is the derivatives arm of a group with a securities arm there.
    desks : int
        Desks of each participant: an account or more with one owner.
    accounts : int, optional
        If given, so many accounts there are in all, the largest participants with thousands and most with a
        few, and ``desks`` is not asked; at least 3 for each participant.
    scale : float
        Factor on the size of every book: a few participants' margins are then not all within the houses' credits.

    Raises
    ------
    InputError
        If a count is out of range or does not go with another.
    """

    stocks: int = 25
    option_classes: int = 8
    futures_months: int = 4
    option_months: int = 3
    strikes: int = 6
    years: int = 11
    mark_days: int = 5
    participants: int = 6
    hkscc_participants: int | None = None
    hkcc_participants: int | None = None
    seoch_participants: int | None = None
    desks: int = 5
    accounts: int | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        unset = [name for name in OPTIONAL if getattr(self, name) is None]
        require_within(self, {name: limits for name, limits in LIMITS.items() if name not in unset})
        require_size(self.option_classes, "option_classes", 1, self.stocks)
        hkscc, hkcc, seoch = self.members.values()
        require_size(hkscc, "hkscc_participants", 1, self.participants)
        require_size(hkcc, "hkcc_participants", self.participants - hkscc, hkscc)
        require_size(seoch, "seoch_participants", 1, hkcc)
        if self.accounts is not None:
            require_size(
                self.accounts, "accounts", len(HOUSES) * self.participants, int(LIMITS["accounts"][1])
            )

    @property
    def members(self) -> dict[str, int]:
        """House → how many participants it has."""
        given = (self.hkscc_participants, self.hkcc_participants, self.seoch_participants)
        counts = (self.participants if count is None else count for count in given)
        return dict(zip(HOUSES, counts, strict=True))


SIZES: Final = {
    "small": MarketSize(
        participants=9, hkscc_participants=8, hkcc_participants=6, seoch_participants=4, scale=5.0
    ),
    "full": MarketSize(
        stocks=400,
        option_classes=90,
        option_months=4,
        strikes=8,
        participants=620,
        hkscc_participants=600,
        hkcc_participants=170,
        seoch_participants=70,
        accounts=100_000,
    ),
}
"""Sizes with a name: one that is made in seconds, and one of the order of the Hong Kong houses."""


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
