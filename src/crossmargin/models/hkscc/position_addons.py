"""Charges made position by position: structured-product add-on and corporate-action margin (guide §3.2.3–4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.core.breakdown import Component, Fact
from crossmargin.core.rounding import half_away

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.hkscc.book import Book
    from crossmargin.models.hkscc.parameters import HksccParameters
    from crossmargin.models.hkscc.participant import HksccParticipant

__all__ = ["PositionCharge", "corporate_action_margin", "structured_product_addon"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PositionCharge:
    """A charge that is a sum over positions.

    Parameters
    ----------
    name, rule : str
        Of the component.
    amount : ndarray of int64, shape (participants,)
        The sum in published units.
    position : ndarray of int64, shape (charged,)
        The charged positions of the book.
    charge : ndarray of int64, shape (charged,)
        What each is charged, published units.
    inputs : dict of str to ndarray of float64, shape (charged,)
        Label → the numbers that went in.
    """

    name: str
    rule: str
    amount: Int64[np.ndarray, " participants"]
    position: Int64[np.ndarray, " charged"]
    charge: Int64[np.ndarray, " charged"]
    inputs: dict[str, Float64[np.ndarray, " charged"]]

    def explain(self, place: int, book: Book) -> Component:
        """Return the component of one participant."""
        mine = np.flatnonzero(book.owner[self.position] == place).tolist()
        return Component(
            name=self.name,
            amount=int(self.amount[place]),
            decimals=book.decimals,
            rule=self.rule,
            parts=tuple(self._part(i, book) for i in mine),
        )

    def _part(self, row: int, book: Book) -> Component:
        return Component(
            name=f"position {book.instrument[int(self.position[row])]}",
            amount=int(self.charge[row]),
            decimals=book.decimals,
            rule=self.rule,
            facts=tuple(Fact(label, float(values[row])) for label, values in self.inputs.items()),
        )


def structured_product_addon(
    book: Book, parameters: HksccParameters, participants: Sequence[HksccParticipant]
) -> PositionCharge:
    """Charge long positions with a FieldType 6 record: quantity × tick multiplier × minimum tick.

    The record carries a tenth of the tick multiplier. Its price threshold is what put the record into
    the file; the guide's formula does not use it again.
    """
    held = np.flatnonzero((book.rows["tick"] >= 0) & (book.quantity > 0))
    tenth = parameters.tick["tick_multiplier_tenth"].to_numpy()[book.rows["tick"][held]]
    ticks = np.array([participant.minimum_tick for participant in participants])[book.owner[held]]
    charge = book.minor(book.quantity[held] * (10 * tenth) * ticks)
    return PositionCharge(
        name="structured-product add-on",
        rule="§3.2.3.3",
        amount=book.sums(charge, book.owner[held]),
        position=held,
        charge=charge,
        inputs={"quantity": book.quantity[held], "tick multiplier": 10 * tenth, "minimum tick, HKD": ticks},
    )


def corporate_action_margin(book: Book, parameters: HksccParameters) -> PositionCharge:
    """Charge entitlement positions on their net market value: positive × long rate, negative × short rate.

    Net market value is market value − contract value; each term is rounded to the nearest integer.
    """
    held = np.flatnonzero(book.rows["benefit"] >= 0)
    rows = book.rows["benefit"][held]
    net = book.market_value[held] - book.contract_value[held]
    rates = np.where(
        net > 0,
        parameters.benefit["long_rate"].to_numpy()[rows],
        parameters.benefit["short_rate"].to_numpy()[rows],
    )
    charge = np.abs(net * rates)
    minor = book.minor(half_away(charge) if book.rounding == "guide" else charge)
    return PositionCharge(
        name="corporate-action position margin",
        rule="§3.2.4",
        amount=book.sums(minor, book.owner[held]),
        position=held,
        charge=minor,
        inputs={"net market value, HKD": net, "add-on rate": rates},
    )
