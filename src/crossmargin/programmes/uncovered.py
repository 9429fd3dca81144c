"""How far the reduced margins rely on the other houses: losses of each leg in its own tail beyond what its house holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from crossmargin.models.market import HOUSES
from crossmargin.programmes.joint_margin import leg_tails_of
from crossmargin.programmes.loss_sharing import LossShares, shared_losses

if TYPE_CHECKING:
    from crossmargin.programmes.eligibility import JointAccounts
    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.joint_margin import JointMargin
    from crossmargin.programmes.programme import Programme

__all__ = ["Uncovered", "shared_tail", "uncovered"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Uncovered:
    """Expected shortfalls of the joint model beyond margin, in hundredths, at least 0.

    Parameters
    ----------
    apart : ndarray of int64, shape (joint accounts, houses)
        Of each leg by itself beyond what its house holds: what falls on the house if gains at the others do not
        reach it.
    before : ndarray of int64, shape (joint accounts, houses)
        The same beyond the stand-alone margin, without the programme.
    together : ndarray of int64, shape (joint accounts,)
        Of all legs as one beyond what all houses hold: what is left where gains pay losses.
    """

    apart: Int64[np.ndarray, "joint_accounts houses"]
    before: Int64[np.ndarray, "joint_accounts houses"]
    together: Int64[np.ndarray, " joint_accounts"]


def uncovered(houses: Houses, joint: JointAccounts, margin: JointMargin) -> Uncovered:
    """Return what the margins of joint accounts leave uncovered, apart and together.

    Positions without scenarios are left out of the losses. Over the longest of the houses' horizons, whatever
    the programme's own.
    """
    if not joint.count:
        none = np.zeros((0, len(HOUSES)), np.int64)
        return Uncovered(apart=none, before=none, together=none.sum(axis=1))
    legs = joint.legs.only(houses.joint_model("max").can_margin)
    tails = leg_tails_of(houses, joint, legs, "max")
    outcome = margin.outcome
    return Uncovered(
        apart=np.maximum(tails.alone - outcome.reduced, 0),
        before=np.maximum(tails.alone - outcome.own, 0),
        together=np.maximum(tails.subsets[:, -1] - outcome.reduced.sum(axis=1), 0),
    )


def shared_tail(
    programme: Programme,
    own: Int64[np.ndarray, " houses"],
    left: Int64[np.ndarray, " houses"],
    loss: Int64[np.ndarray, " houses"],
) -> LossShares:
    """Return who bears a loss of one joint account's legs beyond margin, by the programme's loss sharing.

    Parameters
    ----------
    programme : Programme
        Its ``default``.
    own, left : ndarray of int64, shape (houses,)
        Stand-alone margin and what is left of it, hundredths.
    loss : ndarray of int64, shape (houses,)
        Loss of each leg, gains negative.
    """
    return shared_losses(own[None], left[None], loss[None], programme.default)
