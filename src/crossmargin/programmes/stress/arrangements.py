"""The arrangements whose losses, funds and waterfalls are put side by side: today, linked, merged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.models.market import HOUSES
from crossmargin.programmes.stress.losses import StressLosses, stress_losses
from crossmargin.programmes.stress.units import loss_units

if TYPE_CHECKING:
    from crossmargin.programmes.evaluate import Evaluation
    from crossmargin.programmes.programme import Default
    from crossmargin.programmes.stress.losses import Watch
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
    rule : Default or None
        How the houses share losses; None where each stands alone.
    funds : tuple of str
        Default funds: of each house, or "merged".
    units : LossUnits
        Whose margin pays for whose losses.
    sizes : tuple of (int, int)
        How many groups and participants there are.
    called : ndarray of int64, shape (participants, funds)
        What each participant is called, in hundredths.
    member : ndarray of bool, shape (participants, funds)
        Whether a participant has an account there.
    pnl : ndarray of float64, shape (scenarios, instruments)
        Profit and loss of one long unit of each instrument in the scenarios of the stress test.
    """

    name: str
    rule: Default | None
    funds: tuple[str, ...]
    units: LossUnits
    sizes: tuple[int, int]
    called: Int64[np.ndarray, "participants funds"]
    member: Bool[np.ndarray, "participants funds"]
    pnl: Float64[np.ndarray, "scenarios instruments"]

    @property
    def guarantee(self) -> str:
        """Say "none", or that of the programme."""
        return ALONE if self.rule is None else self.rule.guarantee

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

    @cached_property
    def losses(self) -> StressLosses:
        """Losses in the scenarios of the stress test."""
        return self.losses_on(self.pnl)

    def losses_on(
        self, pnl: Float64[np.ndarray, "scenarios instruments"], watch: Watch | None = None
    ) -> StressLosses:
        """Return losses in other scenarios; see ``stress_losses``."""
        return stress_losses(
            self.units, pnl, *self.sizes, merged=self.merged, guarantee=self.rule, watch=watch
        )


def arrangements(
    done: Evaluation, pnl: Float64[np.ndarray, "scenarios instruments"], *, client_gains: bool
) -> tuple[Arrangement, ...]:
    """Return today, linked without and (where the programme has one) with its guarantee, and merged.

    A guarantee shares losses of joint accounts: where all of a group is one unit there is none to run.

    Parameters
    ----------
    done : Evaluation
        The programme on the houses of the day.
    pnl : ndarray of float64, shape (scenarios, instruments)
        Profit and loss of one long unit of each instrument.
    client_gains : bool
        See ``loss_units``.
    """
    houses, rule, accounts = done.houses, done.programme.default, done.houses.accounts
    member = np.zeros((len(accounts.participants), len(HOUSES)), bool)
    member[accounts.participant, accounts.house] = True
    today = Arrangement(
        name="today",
        rule=None,
        funds=HOUSES,
        units=loss_units(houses, houses.today, client_gains=client_gains),
        sizes=(len(accounts.groups), len(accounts.participants)),
        called=houses.today.participants,
        member=member,
        pnl=pnl,
    )
    after = loss_units(houses, done.calls, done.joint, client_gains=client_gains)
    linked = replace(today, name="linked", units=after, called=done.calls.participants)
    merged = replace(
        linked,
        name=MERGED,
        funds=(MERGED,),
        called=linked.called.sum(axis=1, keepdims=True),
        member=np.asarray(member.any(axis=1, keepdims=True)),
    )
    shared = rule.guarantee != ALONE and not client_gains
    return (today, linked, *([replace(linked, rule=rule)] if shared else []), merged)
