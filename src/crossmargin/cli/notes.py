"""What the margin of a market's accounts leaves out of account, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from crossmargin.cli.pipeline import Grouping
    from crossmargin.models.market import Market

__all__ = ["account_notes"]


def account_notes(market: Market, day: date, by: Grouping, groups: Collection[str]) -> list[str]:
    """Say how many accounts are margined otherwise than their house, or their owner, would have it.

    Parameters
    ----------
    market : Market
        Its accounts; where owners or participants are margined, those with positions on ``day``.
    day : date
        Day of the positions.
    by : {"account", "owner", "participant"}
        Whose positions are margined together.
    groups : collection of str
        Accounts, owners or participants that are shown.
    """
    import polars as pl  # noqa: PLC0415

    accounts = market["accounts"].filter(pl.col(by).is_in(list(groups)))
    if by != "account":
        accounts = accounts.join(market.positions_on(day), on="account", how="semi")
    gross = len(accounts.filter(basis="gross"))
    apart = len(accounts.filter(pl.len().over(by) > 1, consent=0))  # an account by itself needs no consent
    return [
        *_counted(gross, "margined gross by their house, each of them net in this model"),
        *_counted(
            apart,
            f"without consent to cross-margining, margined with others of the {by} nevertheless; "
            "programmes of cross-margining decide who may be",
        ),
    ]


def _counted(count: int, text: str) -> list[str]:
    return [f"{count:,} account{'s' if count > 1 else ''} {text}"] if count else []
