"""Default funds of an arrangement: size, contributions and what is called beyond the limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Int64

from crossmargin.clearing.default_fund import Contributions, FundSize, contributions, fund_size
from crossmargin.clearing.default_fund_rules import FundRules, fund_rules
from crossmargin.core.rounding import exact_sums

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.programmes.stress.arrangements import Arrangement

__all__ = ["DefaultFund", "default_funds"]

BY_LOSSES: Final = "uncollateralised"


@dataclass(frozen=True, kw_only=True, eq=False)
class DefaultFund:
    """One default fund; amounts in hundredths.

    Parameters
    ----------
    fund : int
        Place among the arrangement's.
    rules : FundRules
        In force.
    size : FundSize
        What it must cover.
    parts : Contributions
        Of ``participants``, in their order.
    participants : ndarray of int64, shape (members,)
        Places of those who have an account there.
    by_group : ndarray of int64, shape (groups,)
        What each group contributes.
    called : ndarray of int64, shape (groups,)
        What is called of each group beyond the limit.
    """

    fund: int
    rules: FundRules
    size: FundSize
    parts: Contributions
    participants: Int64[np.ndarray, " members"]
    by_group: Int64[np.ndarray, " groups"]
    called: Int64[np.ndarray, " groups"]


def default_funds(
    arrangement: Arrangement,
    group: Int64[np.ndarray, " participants"],
    rules_day: date,
    standard: int | None = None,
) -> tuple[DefaultFund, ...]:
    """Size each fund of an arrangement by its stress losses over margin, and divide it among its members.

    Houses average the key of contributions over ``rules.key_days`` days; here it is that of the one day: what a
    participant is called, or, at HKSCC, its largest loss over margin in one scenario.

    Parameters
    ----------
    arrangement : Arrangement
        Losses by group and fund.
    group : ndarray of int64, shape (participants,)
        Group of each participant.
    rules_day : date
        Day of the rules in force.
    standard : {1, 2}, optional
        Groups that default together; each fund's own unless given.

    Raises
    ------
    InputError
        If no rules of a fund are known for the day.
    """
    return tuple(_fund(arrangement, at, group, rules_day, standard) for at in arrangement.present)


def _fund(
    arrangement: Arrangement,
    at: int,
    group: Int64[np.ndarray, " participants"],
    rules_day: date,
    standard: int | None,
) -> DefaultFund:
    rules = fund_rules(arrangement.funds[at], rules_day)
    over = arrangement.losses.over[:, :, at]
    size = fund_size(rules, over, standard)
    members = np.flatnonzero(arrangement.member[:, at])
    key = arrangement.called[members, at]
    if BY_LOSSES in rules.key:
        key = arrangement.losses.over_participants[:, members, at].max(axis=0, initial=0)
    parts = contributions(rules, size, key[None], group[members])
    return DefaultFund(
        fund=at,
        rules=rules,
        size=size,
        parts=parts,
        participants=members,
        by_group=exact_sums(parts.contribution, group[members], over.shape[1]),
        called=size.called,
    )
