"""From components to the total MTM and margin requirement (guide §3.2.5 to §3.2.7, §4.1, §4.2).

Everything here is integer arithmetic in published units, on arrays with one place a participant.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.rounding import exact_total, half_away

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.hkscc.book import Book
    from crossmargin.models.hkscc.parameters import HksccParameters
    from crossmargin.models.hkscc.participant import HksccParticipant

__all__ = ["Charges", "Requirement", "requirement"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Charges:
    """The charges that the aggregate adds up, before the holiday add-on; published units."""

    portfolio_margin: Int64[np.ndarray, " participants"]
    flat_rate_margin: Int64[np.ndarray, " participants"]
    liquidation_addon: Int64[np.ndarray, " participants"]
    structured_product_addon: Int64[np.ndarray, " participants"]
    corporate_action_margin: Int64[np.ndarray, " participants"]

    @property
    def total(self) -> Int64[np.ndarray, " participants"]:
        """Sum of the five."""
        return exact_total(*(getattr(self, item.name) for item in fields(self)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requirement:
    """Every step from the aggregate to the total, in published units unless a line says otherwise.

    ``net_market_value`` is the absolute sum of market values, ``limit_share`` the fraction of it beyond
    the liquid capital, ``limit_base`` the charges on which the position-limit add-on is taken.
    """

    holiday_addon: Int64[np.ndarray, " participants"]
    rounding_up: Int64[np.ndarray, " participants"]
    aggregate: Int64[np.ndarray, " participants"]
    favourable_mark: Int64[np.ndarray, " participants"]
    mark_requirement: Int64[np.ndarray, " participants"]
    favourable_mark_used: Int64[np.ndarray, " participants"]
    margin_credit_used: Int64[np.ndarray, " participants"]
    net_margin_after_credit: Int64[np.ndarray, " participants"]
    net_market_value: Int64[np.ndarray, " participants"]
    limit_share: Float64[np.ndarray, " participants"]
    limit_base: Int64[np.ndarray, " participants"]
    limit_reported: Bool[np.ndarray, " participants"]
    position_limit_addon: Int64[np.ndarray, " participants"]
    credit_risk_addon: Int64[np.ndarray, " participants"]
    adhoc_addon: Int64[np.ndarray, " participants"]
    guarantee_fund_collateral: Int64[np.ndarray, " participants"]

    @property
    def total(self) -> Int64[np.ndarray, " participants"]:
        """Total MTM and margin requirement (§3.2.7); the guarantee fund collateral is outside it."""
        margin = (self.net_margin_after_credit, self.mark_requirement)
        return exact_total(*margin, self.position_limit_addon, self.credit_risk_addon, self.adhoc_addon)


def requirement(
    book: Book,
    parameters: HksccParameters,
    participants: Sequence[HksccParticipant],
    charges: Charges,
    mark: Int64[np.ndarray, " participants"] | None = None,
) -> Requirement:
    """Carry the charges on to the total.

    Parameters
    ----------
    book, parameters, participants
        The inputs of the charges.
    charges : Charges
        The five charges.
    mark : ndarray of int64, shape (participants,), optional
        Mark-to-market of each portfolio, gain-positive, in published units, where it was made elsewhere
        (with cross-currency haircuts, §4.7); else market value − contract value of the book.
    """
    unit = 10**book.decimals

    def settings(name: str) -> Int64[np.ndarray, " participants"]:
        return book.minor(np.array([float(getattr(one, name)) for one in participants]))

    holiday = _holiday_addon(book, parameters, participants, charges)
    before_rounding = exact_total(charges.total, holiday)
    aggregate = _rounded_up(before_rounding, parameters.rounding * unit, book)
    if mark is None:
        mark = book.sums(book.minor(book.market_value) - book.minor(book.contract_value), book.owner)
    favourable = np.maximum(mark, 0)
    net = np.maximum(aggregate - favourable, 0)
    credit = settings("margin_credit")
    after_credit = np.maximum(net - credit, 0)
    net_market_value = np.abs(book.sums(book.minor(book.market_value), book.owner))
    share = _limit_share(net_market_value / unit, participants)
    base = _rounded_up(charges.total, parameters.rounding * unit, book)
    reported = np.array([one.position_limit_addon_reported is not None for one in participants])
    collateral = settings("group_expected_uncollateralised_loss") - settings(
        "guarantee_fund_predefined_limit"
    )
    return Requirement(
        holiday_addon=holiday,
        rounding_up=aggregate - before_rounding,
        aggregate=aggregate,
        favourable_mark=favourable,
        mark_requirement=np.maximum(-mark, 0),
        favourable_mark_used=aggregate - net,
        margin_credit_used=net - after_credit,
        net_margin_after_credit=after_credit,
        net_market_value=net_market_value,
        limit_share=share,
        limit_base=base,
        limit_reported=reported,
        position_limit_addon=_position_limit_addon(book, participants, share, base / unit, after_credit),
        credit_risk_addon=settings("credit_risk_addon"),
        adhoc_addon=settings("adhoc_addon"),
        guarantee_fund_collateral=np.maximum(collateral, 0),
    )


def _holiday_addon(
    book: Book, parameters: HksccParameters, participants: Sequence[HksccParticipant], charges: Charges
) -> Int64[np.ndarray, " participants"]:
    """(Portfolio margin + flat rate margin) × holiday factor where in force, to the nearest integer (§3.2.3.5)."""
    in_force = np.array([one.holiday_addon_in_force for one in participants])
    margin = (charges.portfolio_margin + charges.flat_rate_margin) / 10**book.decimals
    addon = np.where(in_force, margin * parameters.holiday_factor, 0.0)
    return book.minor(half_away(addon) if book.rounding == "guide" else addon)


def _rounded_up(
    amount: Int64[np.ndarray, " participants"], multiple: int, book: Book
) -> Int64[np.ndarray, " participants"]:
    return -(-amount // multiple) * multiple if book.rounding == "guide" else amount


def _limit_share(
    net_market_value: Float64[np.ndarray, " participants"], participants: Sequence[HksccParticipant]
) -> Float64[np.ndarray, " participants"]:
    """Fraction of the net market value beyond the liquid capital, 0 where there is neither (§4.1)."""
    capital = np.array([np.inf if (c := one.usable_liquid_capital) is None else c for one in participants])
    beyond = np.maximum(net_market_value - capital, 0.0)
    return np.divide(beyond, net_market_value, out=np.zeros_like(beyond), where=net_market_value > 0)


def _position_limit_addon(
    book: Book,
    participants: Sequence[HksccParticipant],
    share: Float64[np.ndarray, " participants"],
    base: Float64[np.ndarray, " participants"],
    after_credit: Int64[np.ndarray, " participants"],
) -> Int64[np.ndarray, " participants"]:
    """Return the add-on as reported, or else share × base × rate to the nearest integer (§3.2.6.2, §4.1)."""
    rate = np.array([one.position_limit_addon_rate for one in participants]) + (after_credit <= 0)
    computed = share * base * rate
    if book.rounding == "guide":
        computed = half_away(computed)
    reported = [one.position_limit_addon_reported for one in participants]
    given = np.array([np.nan if amount is None else amount for amount in reported])
    return book.minor(np.where(np.isnan(given), computed, given))
