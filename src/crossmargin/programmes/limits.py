"""What bounds a saving: a minimum, two supervisory caps, and that nobody is worse off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64

from crossmargin.core.proportions import at_least, at_most
from crossmargin.programmes.outcome import BINDINGS

if TYPE_CHECKING:
    from crossmargin.programmes.programme import Saving

__all__ = ["BINDING", "capped_saving", "limited", "savings_found", "several_legs"]

BINDING: Final = {name: np.int8(code) for code, name in enumerate(BINDINGS)}
"""Code of each rule that may decide."""


def several_legs(own: Int64[np.ndarray, "accounts houses"]) -> Bool[np.ndarray, " accounts"]:
    """Tell which accounts have stand-alone margin at two houses or more; no other may save.

    "No saving when a leg's stand-alone margin is zero": what nothing is asked for hedges nothing that was
    margined, so margin at one house alone is not reduced. Where two other legs are margined, a third without
    margin does not forbid what those two save.
    """
    return np.count_nonzero(own > 0, axis=1) > 1


def savings_found(
    alone: Int64[np.ndarray, "accounts models"], joint: Int64[np.ndarray, "accounts models"]
) -> Float64[np.ndarray, "accounts models"]:
    """Return 1 − joint ÷ alone of each model: negative where joint is higher, 0 where nothing stands alone."""
    return np.divide(alone - joint, alone, out=np.zeros(alone.shape), where=alone > 0)


def capped_saving(
    asked: Int64[np.ndarray, "accounts parts"], own: Int64[np.ndarray, "accounts parts"], saving: Saving
) -> tuple[Int64[np.ndarray, "accounts parts"], Int8[np.ndarray, " accounts"]]:
    """Bound savings by both caps, part by part.

    Parameters
    ----------
    asked : ndarray of int64, shape (accounts, parts)
        Saving before the caps, from 0 to ``own``.
    own : ndarray of int64, shape (accounts, parts)
        Stand-alone margin.
    saving : Saving
        The caps.

    Returns
    -------
    tuple
        The saving, rounded down so that no requirement falls below a floor, and by account what decided
        on the sum of its parts: "joint margin" where no cap did.
    """
    by_sum, by_difference = at_most(own, saving.cap), at_most(asked, saving.emir_share)
    totals = [part.sum(axis=1) for part in (asked, by_sum, by_difference)]
    names = ("joint margin", "supervisory cap on the sum", "supervisory cap on the difference")
    codes = np.array([BINDING[name] for name in names])
    return np.minimum(asked, np.minimum(by_sum, by_difference)), codes[np.argmin(totals, axis=0)]


def limited(
    own: Int64[np.ndarray, "accounts houses"],
    joint: Int64[np.ndarray, " accounts"],
    saving: Saving,
    *,
    lone: bool = False,
) -> tuple[Int64[np.ndarray, " accounts"], Int8[np.ndarray, " accounts"]]:
    """Return what may be asked for instead of stand-alone margins, given a joint margin.

    In order: a joint margin above the stand-alone sum is called only if increases are admitted; a saving needs
    margin at two houses (``several_legs``) unless ``lone``; a saving below the minimum is none; then the largest
    saving is ``cap`` × sum and ``emir_share`` × (sum − joint). With 220 alone and 85.32 jointly, the floors of
    caps of 80% are 44 and 112.26. Bounds are rounded up: the requirement is never below a floor.

    Parameters
    ----------
    own : ndarray of int64, shape (accounts, houses)
        Stand-alone margins in minor units, at least 0.
    joint : ndarray of int64, shape (accounts,)
        What the mode asks for, at least 0; may be above the sum.
    saving : Saving
        The limits.
    lone : bool
        Whether margin at one house alone may be reduced too: so it is in one merged house, which asks for
        nothing but the joint margin.

    Returns
    -------
    requirement : ndarray of int64, shape (accounts,)
        Not above the stand-alone sum unless increases are admitted.
    binding : ndarray of int8, shape (accounts,)
        What decided: a place in ``BINDINGS``.
    """
    alone = own.sum(axis=1)
    asked = alone - joint
    granted, code = capped_saving(np.maximum(asked, 0)[:, None], alone[:, None], saving)
    cases = [
        ((asked < 0) & saving.allow_increase, "joint margin is higher", asked),
        (asked < 0, "no worse off", 0),
        ((asked == 0) | ~(several_legs(own) | lone), "nothing to save", 0),
        (asked < at_least(alone, saving.minimum), "minimum saving", 0),
    ]
    held = [case for case, _, _ in cases]
    saved = np.select(held, [saved for _, _, saved in cases], granted[:, 0])
    return alone - saved, np.select(held, [BINDING[name] for _, name, _ in cases], code)
