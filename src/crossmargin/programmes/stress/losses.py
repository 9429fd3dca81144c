"""Stress losses over margin: unit by unit, added up by group of participants and house."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.core.proportions import require_exact
from crossmargin.core.rounding import exact_sums
from crossmargin.programmes.loss_sharing import shared_losses

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from crossmargin.programmes.programme import Default
    from crossmargin.programmes.stress.units import LossUnits

    Watch: TypeAlias = Callable[[int, Int64[np.ndarray, "units houses"]], None]

__all__ = ["StressLosses", "stress_losses"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StressLosses:
    """Losses of each group in each scenario; hundredths. One house where merged, else as in ``HOUSES``.

    ``owed`` − ``usable`` − ``received`` = ``over``, in each cell.

    Parameters
    ----------
    loss : ndarray of int64, shape (scenarios, groups, houses)
        Of all positions, gains negative.
    margin : ndarray of int64, shape (groups, houses)
        What covers it, in all.
    owed : ndarray of int64, shape (scenarios, groups, houses)
        Losses of the units that lose, and what units pay other houses under a guarantee.
    usable : ndarray of int64, shape (scenarios, groups, houses)
        What of margin and gains pays for that: each unit's pays its own.
    paid, received : ndarray of int64, shape (scenarios, groups, houses)
        To and from other houses under a guarantee; 0 without one.
    over : ndarray of int64, shape (scenarios, groups, houses)
        What is left of the losses, at least 0: what falls on default resources.
    over_participants : ndarray of int64, shape (scenarios, participants, houses)
        The same by (first) participant of each unit.
    """

    loss: Int64[np.ndarray, "scenarios groups houses"]
    margin: Int64[np.ndarray, "groups houses"]
    owed: Int64[np.ndarray, "scenarios groups houses"]
    usable: Int64[np.ndarray, "scenarios groups houses"]
    paid: Int64[np.ndarray, "scenarios groups houses"]
    received: Int64[np.ndarray, "scenarios groups houses"]
    over: Int64[np.ndarray, "scenarios groups houses"]
    over_participants: Int64[np.ndarray, "scenarios participants houses"]


def stress_losses(
    units: LossUnits,
    pnl: Float64[np.ndarray, "scenarios instruments"],
    groups: int,
    participants: int,
    *,
    merged: bool = False,
    guarantee: Default | None = None,
    watch: Watch | None = None,
) -> StressLosses:
    """Return losses and what falls on default resources.

    Parameters
    ----------
    units : LossUnits
        Of the arrangement.
    pnl : ndarray of float64, shape (scenarios, instruments)
        Profit and loss of one long unit of each instrument.
    groups, participants : int
        How many there are.
    merged : bool
        One house: a unit's legs net, and its margin is one.
    guarantee : Default, optional
        How the houses share losses of what they margin together; unless given, each house alone.
    watch : callable, optional
        Told the number of each scenario and by how much the loss of each leg exceeds its margin, before any guarantee.

    Raises
    ------
    RangeError
        If an amount is not below ``AMOUNT_LIMIT``.
    """
    margin = units.margin.sum(axis=1, keepdims=True) if merged else units.margin
    by_group, by_participant = (
        _Owners.of(owner, count, margin.shape[1])
        for owner, count in ((units.group, groups), (units.participant, participants))
    )
    stacks, of_participants = [], []
    for row, of_one in enumerate(pnl):
        loss = units.losses(of_one)
        loss = loss.sum(axis=1, keepdims=True) if merged else loss
        require_exact(loss, margin)
        if watch is not None:
            watch(row, loss - margin)
        paid, received = _shared(units, margin, loss, guarantee)
        owed = np.maximum(loss, 0) + paid
        usable = np.minimum(margin + np.maximum(-loss, 0), owed)
        over = owed - usable - received
        stacks.append([by_group.added(part) for part in (loss, owed, usable, paid, received, over)])
        of_participants.append(by_participant.added(over))
    loss, owed, usable, paid, received, over = (np.stack(parts) for parts in zip(*stacks, strict=True))
    return StressLosses(
        loss=loss,
        margin=by_group.added(margin),
        owed=owed,
        usable=usable,
        paid=paid,
        received=received,
        over=over,
        over_participants=np.stack(of_participants),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Owners:
    """Whose the legs of units are, as places in a flat table: sums over one axis are many times faster than over two."""

    place: Int64[np.ndarray, " legs"]
    shape: tuple[int, int]

    @classmethod
    def of(cls, owner: Int64[np.ndarray, " units"], count: int, houses: int) -> _Owners:
        return cls((owner[:, None] * houses + np.arange(houses)).ravel(), (count, houses))

    def added(self, amounts: Int64[np.ndarray, "units houses"]) -> Int64[np.ndarray, "owners houses"]:
        if not amounts.any():
            return np.zeros(self.shape, np.int64)
        return exact_sums(amounts.ravel(), self.place, self.shape[0] * self.shape[1]).reshape(self.shape)


def _shared(
    units: LossUnits,
    margin: Int64[np.ndarray, "units houses"],
    loss: Int64[np.ndarray, "units houses"],
    guarantee: Default | None,
) -> tuple[Int64[np.ndarray, "units houses"], Int64[np.ndarray, "units houses"]]:
    """Return what each leg of units that are margined together pays and receives; 0 of the others."""
    paid, received = np.zeros_like(loss), np.zeros_like(loss)
    at = np.flatnonzero(units.joint)
    if guarantee is not None and at.size:
        shares = shared_losses(units.stand_alone[at], margin[at], loss[at], guarantee)
        paid[at], received[at] = shares.paid, shares.received
    return paid, received
