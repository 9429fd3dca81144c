"""One pot: one requirement on all legs, and each house's part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.programmes.attribution import attributed, capped, fitted
from crossmargin.programmes.limits import BINDING, limited, savings_found
from crossmargin.programmes.outcome import Outcome

if TYPE_CHECKING:
    from crossmargin.programmes.programme import Saving

__all__ = ["combined", "one_pot"]


def combined(
    joint_by_model: Int64[np.ndarray, "accounts models"],
    combine: str,
    consulted: Bool[np.ndarray, "accounts models"],
) -> Int64[np.ndarray, " accounts"]:
    """Return the lower or higher of the joint margins that the houses' own models find.

    Parameters
    ----------
    joint_by_model : ndarray of int64, shape (accounts, models)
        All legs as one, by each model.
    combine : {"min", "max"}
        Which.
    consulted : ndarray of bool, shape (accounts, models)
        Whether a house with a leg in the account uses the model; at least one of each account.
    """
    assert consulted.any(axis=1).all(), "an account has a house, and a house a model"
    if combine == "min":
        return np.where(consulted, joint_by_model, np.iinfo(np.int64).max).min(axis=1)
    assert combine == "max", "the lower or the higher"
    return np.where(consulted, joint_by_model, 0).max(axis=1)


def one_pot(
    own: Int64[np.ndarray, "accounts houses"],
    joint: Int64[np.ndarray, " accounts"],
    parts: Float64[np.ndarray, "accounts houses"] | Int64[np.ndarray, "accounts houses"],
    saving: Saving,
    *,
    floor: float = 0.0,
    model: str = "joint",
    lone: bool = False,
) -> Outcome:
    """Ask one requirement of all legs, within the limits, and split it between the houses.

    What the limits leave of the saving falls on the houses as the whole would have: the difference between a
    house's stand-alone margin and its part of the joint margin is scaled by saving granted ÷ saving asked for.
    So an account that saves nothing stays as it is, and a house's figure is always between the two.

    Parameters
    ----------
    own : ndarray of int64, shape (accounts, houses)
        Stand-alone margins in minor units, at least 0.
    joint : ndarray of int64, shape (accounts,)
        Joint margin, at least 0.
    parts : ndarray of float64 or int64, shape (accounts, houses)
        Each house's part of ``joint`` by any rule of attribution; any sign. ``pro_rata(joint, own)``, or the
        exact quotas of it, for the rule of that name. Parts of another model's joint margin are fitted.
    saving : Saving
        The limits.
    floor : float
        Share of its stand-alone margin that a house keeps at least. Where the floors together exceed the requirement
        they are what is called, and bind.
    model : str
        Name of the model that ``joint`` is of.
    lone : bool
        Whether margin at one house alone may be reduced too, see ``limited``.

    Raises
    ------
    RangeError
        If a part or an amount is not a number below ``AMOUNT_LIMIT``.
    """
    requirement, binding = limited(own, joint, saving, lone=lone)
    alone = own.sum(axis=1)
    asked, granted = alone - joint, alone - requirement
    scale = np.divide(granted, asked, out=np.zeros(asked.size), where=asked != 0)
    split = attributed(requirement, own + (fitted(joint, parts) - own) * scale[:, None])
    reduced = capped(split, own, floor)
    raised = reduced.sum(axis=1) > requirement
    return Outcome(
        own=own,
        reduced=reduced,
        joint=joint,
        binding=np.where(raised, BINDING["floors of the houses"], binding),
        model_savings=savings_found(alone[:, None], joint[:, None]),
        models=(model,),
    )
