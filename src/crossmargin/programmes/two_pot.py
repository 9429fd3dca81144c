"""Two pots: each house scales its own requirement by the lesser of the savings that the houses' models find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int8, Int64

from crossmargin.core.proportions import at_least, proportion
from crossmargin.programmes.limits import BINDING, capped_saving, savings_found, several_legs
from crossmargin.programmes.outcome import Outcome

if TYPE_CHECKING:
    from crossmargin.programmes.programme import Saving

__all__ = ["two_pot_lesser"]

UNCAPPED, LESSER = BINDING["joint margin"], BINDING["lesser of the houses' savings"]


def two_pot_lesser(
    own: Int64[np.ndarray, "accounts houses"],
    by_model: Int64[np.ndarray, "accounts models houses"],
    joint_by_model: Int64[np.ndarray, "accounts models"],
    saving: Saving,
    models: tuple[str, ...],
    *,
    consulted: Bool[np.ndarray, "accounts models"] | None = None,
) -> Outcome:
    """Reduce each house's requirement by the smallest share that any house's model would save.

    A model margins the positions of each house alone and all together; its saving is 1 − joint ÷ sum, at
    least 0. The least of them counts for nothing where it is below the minimum, and is bounded by the cap and
    by ``emir_share`` × itself. Each house applies it to its own figure and rounds what is left up to the unit:
    with 120 and 100 alone and savings of 71.43% and 54.76%, they keep 54.29 and 45.24. No requirement rises.

    Parameters
    ----------
    own : ndarray of int64, shape (accounts, houses)
        Stand-alone margin of each leg by its own house's model, in minor units, at least 0.
    by_model : ndarray of int64, shape (accounts, models, houses)
        The same by each model.
    joint_by_model : ndarray of int64, shape (accounts, models)
        All legs as one, by each model.
    saving : Saving
        The limits; ``allow_increase`` has no bearing.
    models : tuple of str
        Names of the models.
    consulted : ndarray of bool, shape (accounts, models), optional
        Whether a house with a leg in the account uses the model; without it, all are.

    Returns
    -------
    Outcome
        ``joint`` is the sum less the lesser saving before limits; where a consulted model's joint margin is
        above its sum, it is the sum plus the largest such rise, so that no rise is hidden. ``model_savings``
        are as found, also where negative and of models not consulted.

    Raises
    ------
    RangeError
        If an amount is not below ``AMOUNT_LIMIT``.

    Notes
    -----
    CME and FICC since January 2024: SR-FICC-2023-010; the minimum of 1% and the cap of 80% are theirs.
    """
    alone = by_model.sum(axis=2)
    heard = np.ones(alone.shape, bool) if consulted is None else consulted
    found = np.where(heard, alone - joint_by_model, 0)
    lesser = _lesser(own, alone, found, heard)
    granted, capped = capped_saving(lesser, own, saving)
    none, code = _without_saving(
        own, found, heard, too_small=heard & (found < at_least(alone, saving.minimum))
    )
    rise = np.maximum(-found, 0).max(axis=1, initial=0)  # then some model finds no saving, and lesser is 0
    return Outcome(
        own=own,
        reduced=own - np.where(none[:, None], 0, granted),
        joint=own.sum(axis=1) - lesser.sum(axis=1) + rise,
        binding=np.where(none, code, np.where(capped == UNCAPPED, LESSER, capped)),
        model_savings=savings_found(alone, joint_by_model),
        models=models,
    )


def _lesser(
    own: Int64[np.ndarray, "accounts houses"],
    alone: Int64[np.ndarray, "accounts models"],
    found: Int64[np.ndarray, "accounts models"],
    heard: Bool[np.ndarray, "accounts models"],
) -> Int64[np.ndarray, "accounts houses"]:
    """Return the least of the consulted models' savings on each house's figure; 0 where none is consulted.

    Rounding down keeps the order of the shares, so the least amount is that of the least share.
    """
    shares = np.maximum(found, 0)[:, :, None], np.maximum(alone, 1)[:, :, None]
    amounts, _ = proportion(own[:, None, :], *shares)
    least = np.asarray(np.where(heard[:, :, None], amounts, own[:, None, :]).min(axis=1))
    return np.where(heard.any(axis=1, keepdims=True), least, 0)


def _without_saving(
    own: Int64[np.ndarray, "accounts houses"],
    found: Int64[np.ndarray, "accounts models"],
    heard: Bool[np.ndarray, "accounts models"],
    *,
    too_small: Bool[np.ndarray, "accounts models"],
) -> tuple[Bool[np.ndarray, " accounts"], Int8[np.ndarray, " accounts"]]:
    """Tell which accounts save nothing, and why: a place in ``BINDINGS``."""
    nobody = ~(found > 0).any(axis=1)
    cases = [
        (nobody & (found < 0).any(axis=1), "no worse off"),
        (nobody | ~several_legs(own), "nothing to save"),
        ((heard & (found <= 0)).any(axis=1), "lesser of the houses' savings"),
        (too_small.any(axis=1), "minimum saving"),
    ]
    held = [case for case, _ in cases]
    return np.asarray(np.stack(held).any(axis=0)), np.select(
        held, [BINDING[name] for _, name in cases], np.int8(0)
    )
