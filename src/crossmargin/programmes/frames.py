"""Arrays of a programme as the frames of its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from crossmargin.core.amounts import exact_decimals
from crossmargin.models.market import HOUSES
from crossmargin.programmes.outcome import BINDINGS

if TYPE_CHECKING:
    from crossmargin.programmes.accounts import ClearingAccounts
    from crossmargin.programmes.calls import Calls
    from crossmargin.programmes.eligibility import JointAccounts
    from crossmargin.programmes.joint_margin import JointMargin
    from crossmargin.programmes.uncovered import Uncovered

__all__ = [
    "DECIMALS",
    "accounts_frame",
    "houses_frame",
    "joint_accounts_frame",
    "money",
    "participants_frame",
]

DECIMALS: Final = 2
HOUSE_BITS: Final = 1 << np.arange(len(HOUSES))
HOUSES_LINKED: Final = pl.Series(
    [
        " + ".join(house for house, bit in zip(HOUSES, HOUSE_BITS.tolist(), strict=True) if number & bit)
        for number in range(1 << len(HOUSES))
    ]
)
"""Houses of each set of them, numbered with a bit for each."""


def money(amounts: Int64[np.ndarray, " n"]) -> pl.Series:
    """Return hundredths as exact decimals."""
    return exact_decimals(amounts, DECIMALS)


def accounts_frame(
    accounts: ClearingAccounts, joint: JointAccounts, today: Calls, calls: Calls
) -> pl.DataFrame:
    """Return a row an account, see ``ProgrammeResult.accounts``."""
    number = joint.of_account
    names = pl.Series([*joint.names, None], dtype=pl.String).gather(np.where(number < 0, joint.count, number))
    return accounts.table.select("account", "participant", "group", "owner", "house", "type").with_columns(
        names.alias("joint_account"),
        pl.Series("why_not", joint.why_not, pl.String),
        *_compared(today.accounts, calls.accounts),
    )


def participants_frame(accounts: ClearingAccounts, today: Calls, calls: Calls) -> pl.DataFrame:
    """Return a row a participant and house where it has an account, see ``ProgrammeResult.participants``."""
    count = len(HOUSES)
    present = np.zeros((len(accounts.participants), count), bool)
    present[accounts.participant, accounts.house] = True
    participant, house = np.nonzero(present)
    groups = np.array(accounts.groups, dtype=object)[accounts.group_of_participant]
    return pl.DataFrame(
        {
            "participant": pl.Series(accounts.participants, dtype=pl.String).gather(participant),
            "group": pl.Series(groups.tolist(), dtype=pl.String).gather(participant),
            "house": pl.Series(HOUSES).gather(house),
        }
    ).with_columns(*_compared(today.participants[present], calls.participants[present]))


def houses_frame(joint: JointAccounts, today: Calls, calls: Calls) -> pl.DataFrame:
    """Return a row a house, see ``ProgrammeResult.houses``."""
    legs = joint.has_leg.sum(axis=0).astype(np.int64)
    return pl.DataFrame({"house": HOUSES}).with_columns(
        *_compared(today.houses, calls.houses), pl.Series("joint_accounts", legs)
    )


def joint_accounts_frame(
    accounts: ClearingAccounts, joint: JointAccounts, margin: JointMargin, beyond: Uncovered
) -> pl.DataFrame:
    """Return a row a joint account, see ``ProgrammeResult.joint_accounts``."""
    outcome = margin.outcome
    own, left = outcome.own, outcome.reduced
    table = pl.DataFrame(
        {
            "joint_account": pl.Series(joint.names, dtype=pl.String),
            **_holders(accounts, joint),
            "houses": HOUSES_LINKED.gather(joint.has_leg @ HOUSE_BITS),
            "stand_alone": money(own.sum(axis=1)),
            "joint": money(outcome.joint),
            "left": money(left.sum(axis=1)),
            "saving": money(outcome.saving),
            "share": outcome.share,
            "binding": pl.Series(BINDINGS, dtype=pl.String).gather(outcome.binding.astype(np.int64)),
        }
    )
    by_house = [
        money(amounts[:, place]).alias(f"{name}:{house}")
        for name, amounts in (("stand_alone", own), ("left", left))
        for place, house in enumerate(HOUSES)
    ]
    found = [
        pl.Series(f"found:{model}", outcome.model_savings[:, place])
        for place, model in enumerate(outcome.models)
    ]
    reliance = [
        money(amounts).alias(name)
        for name, amounts in (
            ("uncovered_before", beyond.before.sum(axis=1)),
            ("uncovered_apart", beyond.apart.sum(axis=1)),
            ("uncovered_together", beyond.together),
        )
    ]
    return table.with_columns(*by_house, *found, *reliance)


def _holders(accounts: ClearingAccounts, joint: JointAccounts) -> dict[str, pl.Series]:
    """Return participants and owners of each joint account, several joined by " + "."""
    inside = joint.of_account >= 0
    held = (
        accounts.table.select("participant", "owner")
        .with_columns(pl.Series("joint", joint.of_account))
        .filter(pl.Series(inside))
    )
    return {
        name: held.select("joint", name)
        .unique()
        .sort("joint", name)
        .group_by("joint", maintain_order=True)
        .agg(pl.col(name).str.join(" + "))[name]
        for name in ("participant", "owner")
    }


def _compared(today: Int64[np.ndarray, " n"], requirement: Int64[np.ndarray, " n"]) -> list[pl.Series]:
    saving = today - requirement
    return [
        money(today).alias("today"),
        money(requirement).alias("requirement"),
        money(saving).alias("saving"),
        pl.Series("share", _shares(saving, today)),
    ]


def _shares(part: Int64[np.ndarray, " n"], whole: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    return np.divide(part, whole, out=np.zeros(whole.size), where=whole > 0)
