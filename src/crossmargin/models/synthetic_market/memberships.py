"""Who is a member of which house in a synthetic market, in which group, and how many accounts he has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.models.market import HOUSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crossmargin.models.synthetic_market.sizes import MarketSize

__all__ = ["Member", "account_quotas", "members", "participants_table"]

SHARED_GROUP: Final = 2
"""The first participants, as many as this, are under one control."""

SIZE_EXPONENT, SIZE_DEVIATION = 1.1, 0.5
"""A participant has accounts in proportion to rank^−1.1, give or take half its logarithm."""


@dataclass(frozen=True, slots=True)
class Member:
    """A clearing participant.

    Parameters
    ----------
    name, group : str
        Codes.
    clearers : mapping of str to str
        House → the participant in whose books his desks have their accounts there: he himself, or, at HKSCC,
        the securities arm of his group.
    """

    name: str
    group: str
    clearers: Mapping[str, str]


def members(size: MarketSize) -> list[Member]:
    """Return the participants; the first are the largest, and are at most houses.

    HKCC has the first ones and SEOCH the first of those. Among them stand the derivatives arms, evenly; their
    securities arms are the first of those that are at HKSCC alone.
    """
    _, hkcc, seoch = size.members.values()
    arms = _securities_arms(size)
    heads = dict.fromkeys(range(1, SHARED_GROUP), 0)
    heads |= {sister: heads.get(arm, arm) for arm, sister in arms.items()}
    found = []
    for number in range(size.participants):
        clearers = (
            arms.get(number, number),
            *(number if number < count else None for count in (hkcc, seoch)),
        )
        own = {h: _name(at) for h, at in zip(HOUSES, clearers, strict=True) if at is not None}
        found.append(Member(_name(number), f"G{heads.get(number, number) + 1:04d}", own))
    return found


def _securities_arms(size: MarketSize) -> dict[int, int]:
    """Return number of each participant that is not at HKSCC → number of the one who clears for it there."""
    hkscc, hkcc, _ = size.members.values()
    count = size.participants - hkscc
    apart = hkcc // max(count, 1)
    return {(place + 1) * apart - 1: hkcc + place for place in range(count)}


def _name(number: int) -> str:
    return f"P{number + 1:04d}"


def participants_table(found: Sequence[Member]) -> pl.DataFrame:
    """Return the participants as a table of a market."""
    return pl.DataFrame(
        {
            "participant": [member.name for member in found],
            "name": [f"Synthetic participant {number + 1}" for number in range(len(found))],
            "group": [member.group for member in found],
        }
    )


def account_quotas(rng: np.random.Generator, participants: int, accounts: int) -> list[int]:
    """Return how many accounts the desks of each participant have, all together as many as asked for.

    A power law of the rank: a few participants have thousands, most have tens. Each has at least one for
    every house.
    """
    least = len(HOUSES)
    noise = SIZE_DEVIATION * rng.standard_normal(participants)
    part = np.arange(1, participants + 1) ** -SIZE_EXPONENT * np.exp(noise)
    free = accounts - least * participants
    quota = least + np.floor(part / sum(part.tolist()) * free).astype(np.int64)
    quota[: accounts - int(quota.sum())] += 1
    found: list[int] = quota.tolist()
    return found
