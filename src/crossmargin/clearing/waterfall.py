"""In what order default resources pay for a default, and what each survivor loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from crossmargin.core.proportions import pro_rata, require_exact

__all__ = ["LAYERS", "Waterfall", "waterfall"]

LAYERS: Final = (
    "margin",
    "received from other houses",
    "defaulters' contributions",
    "own resources",
    "survivors' contributions",
    "assessments",
    "not covered",
)
"""Layers in order of use. The place of the house's own layer is not confirmed for the houses of Hong Kong."""

SURVIVORS: Final = LAYERS.index("survivors' contributions")
ASSESSMENTS: Final = LAYERS.index("assessments")


@dataclass(frozen=True, kw_only=True, eq=False)
class Waterfall:
    """Who pays for defaults; amounts in minor units, at least 0. Over the layers, ``used`` adds up to ``owed``.

    Parameters
    ----------
    owed : ndarray of int64, shape (cases, houses)
        Losses of closing out, and what the house pays other houses out of the defaulter's surplus.
    available, used : ndarray of int64, shape (cases, houses, layers)
        What each of ``LAYERS`` has, and what of it is needed. Of the last, "not covered", nothing is available.
    contributions_lost, assessments_paid : ndarray of int64, shape (cases, houses, groups)
        What each surviving group loses of its contribution, and pays in assessments; 0 for those in default.
    returned : ndarray of int64, shape (cases, groups, houses)
        Margin and gains that are left to the estate of a group in default, or its clients.
    """

    owed: Int64[np.ndarray, "cases houses"]
    available: Int64[np.ndarray, "cases houses layers"]
    used: Int64[np.ndarray, "cases houses layers"]
    contributions_lost: Int64[np.ndarray, "cases houses groups"]
    assessments_paid: Int64[np.ndarray, "cases houses groups"]
    returned: Int64[np.ndarray, "cases groups houses"]

    @property
    def unpaid(self) -> Int64[np.ndarray, "cases houses layers"]:
        """What is still owed after each layer: above 0 where the layer is exhausted."""
        return self.owed[..., None] - np.cumsum(self.used, axis=-1)

    @property
    def not_covered(self) -> Int64[np.ndarray, "cases houses"]:
        """What no layer pays."""
        return self.used[..., -1]


def waterfall(
    loss: Int64[np.ndarray, "cases groups houses"],
    margin: Int64[np.ndarray, "#cases groups houses"],
    contributions: Int64[np.ndarray, "groups houses"],
    own_resources: Int64[np.ndarray, " houses"],
    defaulting: Bool[np.ndarray, "#cases groups"],
    *,
    paid: Int64[np.ndarray, "cases groups houses"] | None = None,
    received: Int64[np.ndarray, "cases groups houses"] | None = None,
    assessment_multiple: int = 1,
) -> Waterfall:
    """Run the default waterfall of each house in each case.

    A group's margin and gains pay for its own losses only, and for what its house owes other houses out of its
    surplus; so do amounts received for it. Margin of groups not in default, and so segregated client margin of other
    participants, is never used. Contributions of all groups in default come before anybody else's; each
    further layer pays what those before it leave. Survivors bear their layers in proportion to their contributions.

    Parameters
    ----------
    loss : ndarray of int64, shape (cases, groups, houses)
        Loss of closing out each group in each case (a scenario, or a scenario and a set of defaulting groups), gains
        negative. Read for groups in default only.
    margin : ndarray of int64, shape (cases or 1, groups, houses)
        Margin held that may be used for the group's losses, with what was called beyond the fund's limit; at least 0.
    contributions : ndarray of int64, shape (groups, houses)
        Paid in to each house's fund, at least 0.
    own_resources : ndarray of int64, shape (houses,)
        What each house itself brings, at least 0: its share of the fund and the credits it stands in for.
    defaulting : ndarray of bool, shape (cases or 1, groups)
        Which groups default.
    paid, received : ndarray of int64, shape (cases, groups, houses), optional
        Under a cross-guarantee, for each group in default, to and from other houses; at least 0. None: without one.
    assessment_multiple : int
        Times its contribution that a survivor may be called for in further calls, at least 0.

    Raises
    ------
    RangeError
        If a sum of amounts is not below ``AMOUNT_LIMIT``.
    """
    chosen = defaulting[:, :, None]
    estates = _estates(loss, margin, paid, received, chosen)
    owed = estates.owed.sum(axis=1)
    first = [estates.from_own.sum(axis=1), estates.from_others.sum(axis=1)]
    surviving = np.where(chosen, 0, contributions).transpose(0, 2, 1)
    surviving = np.broadcast_to(surviving, (*owed.shape, surviving.shape[2]))
    layers = [
        estates.own.sum(axis=1),
        estates.received.sum(axis=1),
        np.where(chosen, contributions, 0).sum(axis=1),
        own_resources[None],
        surviving.sum(axis=2),
        assessment_multiple * surviving.sum(axis=2),
        np.zeros((1, 1), np.int64),
    ]
    available = np.stack([np.broadcast_to(layer, owed.shape) for layer in layers], axis=-1)
    require_exact(available, owed)
    used = _used(owed, available, first)
    return Waterfall(
        owed=owed,
        available=available,
        used=used,
        contributions_lost=_shared(used[..., SURVIVORS], surviving),
        assessments_paid=_shared(used[..., ASSESSMENTS], surviving),
        returned=estates.own + estates.received - estates.from_own - estates.from_others,
    )


class _Estates(NamedTuple):
    """Of each case, group in default and house: what is owed, what there is to pay it, and what of that is used."""

    owed: Int64[np.ndarray, "cases groups houses"]
    own: Int64[np.ndarray, "cases groups houses"]
    received: Int64[np.ndarray, "cases groups houses"]
    from_own: Int64[np.ndarray, "cases groups houses"]
    from_others: Int64[np.ndarray, "cases groups houses"]


def _estates(
    loss: Int64[np.ndarray, "cases groups houses"],
    margin: Int64[np.ndarray, "#cases groups houses"],
    paid: Int64[np.ndarray, "cases groups houses"] | None,
    received: Int64[np.ndarray, "cases groups houses"] | None,
    chosen: Bool[np.ndarray, "#cases groups 1"],
) -> _Estates:
    """Let each group's margin and gains pay first, then what was received for it; 0 for groups not in default."""
    lost, held, out, came = (
        np.where(chosen, np.zeros_like(loss) if amount is None else amount, 0)
        for amount in (loss, margin, paid, received)
    )
    owed, own = np.maximum(lost, 0) + out, held + np.maximum(-lost, 0)
    from_own = np.minimum(owed, own)
    return _Estates(owed, own, came, from_own, np.minimum(owed - from_own, came))


def _used(
    owed: Int64[np.ndarray, "cases houses"],
    available: Int64[np.ndarray, "cases houses layers"],
    first: list[Int64[np.ndarray, "cases houses"]],
) -> Int64[np.ndarray, "cases houses layers"]:
    """Return what is used of each layer: the first as given, the next until nothing is owed, the last the rest."""
    used = np.zeros_like(available)
    left = owed - sum(first)
    for layer, amount in enumerate(first):
        used[..., layer] = amount
    for layer in range(len(first), available.shape[-1] - 1):
        used[..., layer] = np.minimum(left, available[..., layer])
        left = left - used[..., layer]
    used[..., -1] = left
    return used


def _shared(
    total: Int64[np.ndarray, "cases houses"], weights: Int64[np.ndarray, "cases houses groups"]
) -> Int64[np.ndarray, "cases houses groups"]:
    """Split what is used of a layer by contribution, where anything is."""
    parts = np.zeros_like(weights)
    needed = total > 0
    parts[needed] = pro_rata(total[needed], weights[needed])
    return parts
