"""Default resources of an arrangement in use: the waterfall of a default, and what multiple exhausts each layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.clearing.default_fund import cover
from crossmargin.clearing.reverse_stress import interpolated, reverse_stress
from crossmargin.clearing.waterfall import LAYERS, Waterfall, waterfall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.programmes.stress.arrangements import Arrangement
    from crossmargin.programmes.stress.funds import DefaultFund
    from crossmargin.programmes.stress.losses import StressLosses

__all__ = [
    "FUND_LAYERS",
    "MARGIN",
    "Resources",
    "exhausting_multiples",
    "resources_of",
    "run_waterfall",
    "worst_case",
]

MARGIN: Final = "margin of a first account"
"""Not a layer of the waterfall: the first unit whose margin is used up, whoever it is."""

FUND_LAYERS: Final = ("own resources", "survivors' contributions", "assessments")
"""Layers whose exhaustion is looked for: contributions of defaulters go with the house's own resources."""

SHARED: Final = LAYERS.index("defaulters' contributions")
"""First layer that is there for every defaulter."""

AT: Final = [LAYERS.index(layer) - SHARED for layer in FUND_LAYERS]
TOLERANCE: Final = 0.001


@dataclass(frozen=True, kw_only=True, eq=False)
class Resources:
    """What the funds of an arrangement have; hundredths.

    Parameters
    ----------
    contributions, called : ndarray of int64, shape (groups, funds)
        Paid in by each group, and called of it beyond the limit.
    own : ndarray of int64, shape (funds,)
        What each house brings.
    """

    contributions: Int64[np.ndarray, "groups funds"]
    called: Int64[np.ndarray, "groups funds"]
    own: Int64[np.ndarray, " funds"]


def resources_of(arrangement: Arrangement, funds: Sequence[DefaultFund]) -> Resources:
    """Return what the funds have, by group; 0 at houses without a fund."""
    groups, count = arrangement.losses.margin.shape
    found = Resources(
        contributions=np.zeros((groups, count), np.int64),
        called=np.zeros((groups, count), np.int64),
        own=np.zeros(count, np.int64),
    )
    for fund in funds:
        found.contributions[:, fund.fund] = fund.by_group
        found.called[:, fund.fund] = fund.called
        found.own[fund.fund] = fund.parts.own_resources
    return found


def run_waterfall(
    losses: StressLosses,
    resources: Resources,
    scenarios: Sequence[int] | Int64[np.ndarray, " cases"],
    defaulting: Bool[np.ndarray, "#cases groups"],
    funds: slice = slice(None),
) -> Waterfall:
    """Run the waterfall of some funds in some scenarios.

    Of margin there is what pays for the losses of the units that it was called for, and what was called of the group
    beyond the fund's limit.
    """
    at = np.asarray(scenarios, np.int64)
    return waterfall(
        (losses.owed - losses.paid)[at][:, :, funds],
        (losses.usable[at] + resources.called)[:, :, funds],
        resources.contributions[:, funds],
        resources.own[funds],
        defaulting,
        paid=losses.paid[at][:, :, funds],
        received=losses.received[at][:, :, funds],
    )


def worst_case(losses: StressLosses, groups: Sequence[int], standard: int) -> tuple[int, tuple[int, ...]]:
    """Return the scenario and the groups of a default: those given, or the ``standard`` ones that lose most.

    By losses over margin at all houses together; where nothing is over margin, by losses.
    """
    for amounts in (losses.over, np.maximum(losses.loss, 0)):
        total = amounts.sum(axis=2)
        if groups:
            scenario = int(total[:, list(groups)].sum(axis=1).argmax())
            if total[scenario, list(groups)].any():
                return scenario, tuple(groups)
            continue
        found = cover(total, standard)
        if found.scenario >= 0:
            return found.scenario, tuple(found.groups.tolist())
    return 0, tuple(groups)


def exhausting_multiples(
    losses: StressLosses,
    resources: Resources,
    fund: int,
    multiples: Float64[np.ndarray, " grid"],
    standard: int,
) -> Float64[np.ndarray, "scenarios layers"]:
    """Return the smallest multiple of each scenario that exhausts each of ``FUND_LAYERS``; infinite where none does.

    At each multiple those ``standard`` groups default that lose most over margin at the house. What is owed beyond a layer
    is known at the multiples tried, and joined by straight lines between them.

    Parameters
    ----------
    losses : StressLosses
        Of each scenario at each multiple, scenario by scenario.
    resources : Resources
        Of the arrangement.
    fund : int
        Place of the fund.
    multiples : ndarray of float64, shape (grid,)
        Rising.
    standard : int
        Groups that default together.
    """
    over = losses.over[:, :, fund]
    worst = np.argsort(-over, axis=1, kind="stable")[:, :standard]
    defaulting = np.zeros(over.shape, bool)
    np.put_along_axis(defaulting, worst, values=True, axis=1)
    found = run_waterfall(
        losses, resources, np.arange(over.shape[0]), defaulting & (over > 0), slice(fund, fund + 1)
    )
    # margin of one defaulter, and what other houses pay for him, pay no other defaulter's loss: what is used of them counts
    left = found.owed - found.used[..., :SHARED].sum(axis=-1)
    beyond = (left[..., None] - np.cumsum(found.available[..., SHARED:], axis=-1))[:, 0, AT]
    by_multiple = beyond.reshape(-1, multiples.size, len(AT)).swapaxes(0, 1)
    answer = reverse_stress(interpolated(multiples, by_multiple), multiples, TOLERANCE)
    return np.where(answer.exhausted, answer.multiple, np.inf)
