"""The arrangements whose losses, funds and waterfalls are put side by side: today, linked, merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.models.market import HOUSES
from crossmargin.programmes.stress.losses import StressLosses, stress_losses
from crossmargin.programmes.stress.units import loss_units

if TYPE_CHECKING:
    from crossmargin.programmes.evaluate import Evaluation
    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.programme import Default
    from crossmargin.programmes.stress.units import LossUnits

__all__ = ["ALONE", "Arrangement", "arrangements"]

ALONE: Final = "none"
"""The guarantee of houses that stand alone."""

MERGED: Final = "merged"


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrangement:
    """One arrangement under stress.

    Parameters
    ----------
    name : {"today", "linked", "merged"}
        See ``StressResult``.
    guarantee : str
        "none", or that of the programme.
    funds : tuple of str
        Default funds: of each house, or "merged".
    units : LossUnits
        Whose losses those are.
    losses : StressLosses
        By group and fund.
    called : ndarray of int64, shape (participants, funds)
        What each participant is called, in hundredths.
    member : ndarray of bool, shape (participants, funds)
        Whether a participant has an account there.
    """

    name: str
    guarantee: str
    funds: tuple[str, ...]
    units: LossUnits
    losses: StressLosses
    called: Int64[np.ndarray, "participants funds"]
    member: Bool[np.ndarray, "participants funds"]

    @property
    def merged(self) -> bool:
        """Whether there is one fund."""
        return self.funds == (MERGED,)

    @property
    def present(self) -> list[int]:
        """Funds with a participant."""
        return np.flatnonzero(self.member.any(axis=0)).tolist()

    def house(self, fund: int) -> str | None:
        """Return the house of a fund, None where merged."""
        return None if self.merged else self.funds[fund]


def arrangements(
    done: Evaluation,
    pnl: Float64[np.ndarray, "scenarios instruments"],
    *,
    client_gains: bool,
    guaranteed: bool = True,
) -> tuple[Arrangement, ...]:
    """Return today, linked without and (where the programme has one) with its guarantee, and merged.

    Parameters
    ----------
    done : Evaluation
        The programme on the houses of the day.
    pnl : ndarray of float64, shape (scenarios, instruments)
        Profit and loss of one long unit of each instrument.
    client_gains : bool
        See ``loss_units``.
    guaranteed : bool
        Whether the guarantee of the programme is asked for.
    """
    houses, rule = done.houses, done.programme.default
    before = loss_units(houses, houses.today, client_gains=client_gains)
    after = loss_units(houses, done.calls, done.joint, client_gains=client_gains)
    today, called = houses.today.participants, done.calls.participants
    found = [
        _apart("today", houses, before, pnl, today, None),
        _apart("linked", houses, after, pnl, called, None),
    ]
    if guaranteed and rule.guarantee != ALONE:
        found.append(_apart("linked", houses, after, pnl, called, rule))
    return (*found, _merged(houses, after, pnl, called))


def _apart(
    name: str,
    houses: Houses,
    units: LossUnits,
    pnl: Float64[np.ndarray, "scenarios instruments"],
    called: Int64[np.ndarray, "participants houses"],
    guarantee: Default | None,
) -> Arrangement:
    """Return an arrangement in which every house has its own fund."""
    return Arrangement(
        name=name,
        guarantee=ALONE if guarantee is None else guarantee.guarantee,
        funds=HOUSES,
        units=units,
        losses=stress_losses(units, pnl, *_sizes(houses), guarantee=guarantee),
        called=called,
        member=_members(houses),
    )


def _merged(
    houses: Houses,
    units: LossUnits,
    pnl: Float64[np.ndarray, "scenarios instruments"],
    called: Int64[np.ndarray, "participants houses"],
) -> Arrangement:
    """Return the arrangement with one fund."""
    return Arrangement(
        name=MERGED,
        guarantee=ALONE,
        funds=(MERGED,),
        units=units,
        losses=stress_losses(units, pnl, *_sizes(houses), merged=True),
        called=called.sum(axis=1, keepdims=True),
        member=np.asarray(_members(houses).any(axis=1, keepdims=True)),
    )


def _sizes(houses: Houses) -> tuple[int, int]:
    return len(houses.accounts.groups), len(houses.accounts.participants)


def _members(houses: Houses) -> Bool[np.ndarray, "participants houses"]:
    member = np.zeros((len(houses.accounts.participants), len(HOUSES)), bool)
    member[houses.accounts.participant, houses.accounts.house] = True
    return member
