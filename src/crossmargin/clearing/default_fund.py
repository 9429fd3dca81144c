"""How large a default fund must be, and who pays it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int64

from crossmargin.core.apportionment import apportioned
from crossmargin.core.proportions import pro_rata, require_exact

if TYPE_CHECKING:
    from fractions import Fraction

    from crossmargin.clearing.default_fund_rules import FundRules

__all__ = ["Contributions", "Cover", "FundSize", "contributions", "cover", "fund_size", "review_due"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cover:
    """Largest loss over margin of so many groups that default in the same scenario.

    Parameters
    ----------
    amount : int
        Minor units, at least 0.
    scenario : int
        The first in which it is reached; -1 where it is 0.
    groups : ndarray of int64
        Those that lose more than their margin in it, the largest loss first, of equal ones the first.
    """

    amount: int
    scenario: int
    groups: Int64[np.ndarray, " defaulting"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FundSize:
    """Size of a default fund; amounts in minor units.

    Parameters
    ----------
    standard : {1, 2}
        Number of groups covered.
    size : int
        Of the fund: what it must cover, at most the limit.
    before : Cover
        What the fund would have to cover without a limit, the scenario and the groups that decide.
    after : Cover
        The same after groups were called beyond the limit.
    called : ndarray of int64, shape (groups,)
        Additional margin or collateral of each group, at least 0.
    """

    standard: int
    size: int
    before: Cover
    after: Cover
    called: Int64[np.ndarray, " groups"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Contributions:
    """Who brings a default fund; amounts in minor units, of each participant in order.

    Parameters
    ----------
    basic : ndarray of int64, shape (participants,)
        Basic contribution, at least the participant's minimum.
    dynamic : ndarray of int64, shape (participants,)
        Further contribution before the credit.
    credit : ndarray of int64, shape (participants,)
        Part of ``dynamic`` that need not be paid in.
    additional_margin : ndarray of int64, shape (participants,)
        Part of what is called of the group beyond the fund's limit; no part of the fund.
    house_share : int
        What the house brings.
    key : ndarray of int64, shape (participants,)
        Mean over the days of what contributions are in proportion to.
    """

    basic: Int64[np.ndarray, " participants"]
    dynamic: Int64[np.ndarray, " participants"]
    credit: Int64[np.ndarray, " participants"]
    additional_margin: Int64[np.ndarray, " participants"]
    house_share: int
    key: Int64[np.ndarray, " participants"]

    @property
    def contribution(self) -> Int64[np.ndarray, " participants"]:
        """What each participant pays in: basic and further contribution less the credit."""
        return self.basic + self.dynamic - self.credit

    @property
    def own_resources(self) -> int:
        """The house's share and the credits, which it stands in for (a choice: who does is not confirmed)."""
        return self.house_share + int(self.credit.sum())

    @property
    def total(self) -> int:
        """The fund with the credits: at least the size it was made for."""
        return int(self.contribution.sum()) + self.own_resources


def cover(over_margin: Int64[np.ndarray, "scenarios groups"], groups: int) -> Cover:
    """Return the largest loss over margin of ``groups`` groups in one scenario, each from 0 up.

    Parameters
    ----------
    over_margin : ndarray of int64, shape (scenarios, groups)
        Loss less margin; what is below 0 counts as 0.
    groups : int
        How many default together, at least 1: 1 for Cover-1, 2 for Cover-2.

    Raises
    ------
    RangeError
        If an amount is not below ``AMOUNT_LIMIT``.
    """
    require_exact(over_margin)
    loss = np.maximum(over_margin, 0)
    largest = np.argsort(-loss, axis=1, kind="stable")[:, :groups]
    together = np.take_along_axis(loss, largest, axis=1).sum(axis=1)
    if not together.any():
        return Cover(amount=0, scenario=-1, groups=np.zeros(0, np.int64))
    scenario = int(together.argmax())
    deciding = largest[scenario]
    deciding = deciding[loss[scenario, deciding] > 0]
    return Cover(amount=int(together[scenario]), scenario=scenario, groups=deciding)


def fund_size(
    rules: FundRules, over_margin: Int64[np.ndarray, "scenarios groups"], standard: int | None = None
) -> FundSize:
    """Size a default fund by stress losses over margin.

    The size is the largest loss over margin of ``standard`` groups in one scenario, and at most the limit. Where
    that reaches the limit, each group is called for what its largest loss over all scenarios exceeds its share of the
    limit by, so that, at half of the limit a group, any two keep within it.

    Parameters
    ----------
    rules : FundRules
        Of the house.
    over_margin : ndarray of int64, shape (scenarios, groups)
        Loss less margin of each group of participants; what is below 0 counts as 0.
    standard : {1, 2}, optional
        Instead of that of the rules.

    Raises
    ------
    RangeError
        If an amount is not below ``AMOUNT_LIMIT``.
    """
    groups = rules.standard if standard is None else standard
    before = cover(over_margin, groups)
    called = _called(rules, over_margin, before.amount)
    return FundSize(
        standard=groups,
        size=before.amount if rules.limit is None else min(before.amount, rules.limit),
        before=before,
        after=cover(over_margin - called, groups),
        called=called,
    )


def _called(
    rules: FundRules, over_margin: Int64[np.ndarray, "scenarios groups"], before: int
) -> Int64[np.ndarray, " groups"]:
    """Return what each group's largest loss exceeds its share of the limit by, where it is called at all."""
    if rules.limit is None or (rules.limit_first and before < rules.limit):
        return np.zeros(over_margin.shape[1], np.int64)
    allowed = rules.limit * rules.limit_share.numerator // rules.limit_share.denominator
    return np.asarray(np.maximum(over_margin.max(axis=0, initial=0) - allowed, 0))


def contributions(
    rules: FundRules,
    size: FundSize,
    key: Int64[np.ndarray, "days participants"],
    group: Int64[np.ndarray, " participants"],
    general: Bool[np.ndarray, " participants"] | None = None,
) -> Contributions:
    """Divide a default fund between the house and its participants, to the minor unit.

    The house brings its share. Of the rest each participant first pays the least basic contribution of its kind; what these
    leave of the least sum of basic contributions, and the whole of the further contributions, is divided in
    proportion to the participants' means of the key. From its further contribution a participant deducts the
    credit. Where basic contributions exceed what the fund needs, the fund is larger than its size.

    Parameters
    ----------
    rules : FundRules
        Of the house.
    size : FundSize
        What the fund must cover, and what is called beyond it.
    key : ndarray of int64, shape (days, participants)
        What contributions are in proportion to (``rules.key``) on each day, in order of time, at least 0. The last
        ``rules.key_days`` are averaged, or as many as there are. Where all is 0, parts are equal.
    group : ndarray of int64, shape (participants,)
        Group of each participant: a column of the losses by which the fund was sized. Of what is called of a group
        each of its participants has a part in proportion to the key.
    general : ndarray of bool, shape (participants,), optional
        True for general clearing participants; without it none is.

    Raises
    ------
    RangeError
        If an amount is not below ``AMOUNT_LIMIT``.
    """
    assert (key >= 0).all(), "a key of contributions is at least 0"
    recent = key[-rules.key_days :]
    days = recent.shape[0]
    mean = (2 * recent.sum(axis=0) + days) // (2 * days)  # half up
    general = np.zeros(mean.size, bool) if general is None else general
    minimum = np.where(general, rules.basic_general, rules.basic_direct)
    basic = minimum + _divided(max(rules.basic_total - int(minimum.sum()), 0), mean)
    members, house = _members_and_house(size.size, rules.house_share, int(basic.sum()))
    dynamic = _divided(members - int(basic.sum()), mean)
    return Contributions(
        basic=basic,
        dynamic=dynamic,
        credit=np.minimum(dynamic, rules.credit),
        additional_margin=apportioned(size.called, mean, group),
        house_share=house,
        key=mean,
    )


def _divided(total: int, weights: Int64[np.ndarray, " participants"]) -> Int64[np.ndarray, " participants"]:
    return pro_rata(np.array([total]), weights[None])[0]


def _members_and_house(size: int, share: Fraction, basic: int) -> tuple[int, int]:
    """Return what participants and house bring to a fund of at least ``size``; the house rounds its share up."""
    members = max(size - _ceiling(size * share), basic)
    return members, max(_ceiling(members * share / (1 - share)), size - members)


def _ceiling(amount: Fraction) -> int:
    return -(-amount.numerator // amount.denominator)


def review_due(
    rules: FundRules, fund: Contributions, risk: Int64[np.ndarray, " days"]
) -> Bool[np.ndarray, " days"]:
    """Return on which days the risk exceeds its share of fund and credits, so that contributions are reviewed.

    Parameters
    ----------
    rules : FundRules
        Of the house.
    fund : Contributions
        As last determined.
    risk : ndarray of int64, shape (days,)
        What the fund would have to cover on each day, in minor units.
    """
    most = rules.review_share * fund.total
    return risk > most.numerator // most.denominator
