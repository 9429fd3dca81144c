"""Who bears the loss after a default: margins held against losses, and what houses pay one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from crossmargin.core.proportions import pro_rata

if TYPE_CHECKING:
    from crossmargin.programmes.programme import Default

__all__ = ["LossShares", "shared_losses"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LossShares:
    """Defaults by house; amounts in minor units. net + received + own_fund_loss = paid + returned, in each cell.

    Parameters
    ----------
    net : ndarray of int64, shape (defaults, houses)
        Margin held less loss: surplus positive, deficit negative.
    paid, received : ndarray of int64, shape (defaults, houses)
        To and from the other houses, at least 0; over the houses they add up to the same.
    own_fund_loss : ndarray of int64, shape (defaults, houses)
        What falls on the house's own default resources, at least 0.
    returned : ndarray of int64, shape (defaults, houses)
        What goes back to the defaulter's estate or client, at least 0.
    """

    net: Int64[np.ndarray, "defaults houses"]
    paid: Int64[np.ndarray, "defaults houses"]
    received: Int64[np.ndarray, "defaults houses"]
    own_fund_loss: Int64[np.ndarray, "defaults houses"]
    returned: Int64[np.ndarray, "defaults houses"]


def shared_losses(
    stand_alone: Int64[np.ndarray, "defaults houses"],
    margin: Int64[np.ndarray, "defaults houses"],
    loss: Int64[np.ndarray, "defaults houses"],
    rule: Default,
) -> LossShares:
    """Share losses beyond margin between the houses.

    "none": a deficit falls on the house's own fund, a surplus is returned. "surplus_transfer": surpluses pay
    deficits, pro rata on both sides; what remains of a deficit falls on its house's own fund. "pool": the
    same while the sum is in surplus; a shortfall of the sum falls on the funds by ``rule.split`` whatever house it
    arose at.

    Parameters
    ----------
    stand_alone : ndarray of int64, shape (defaults, houses)
        Margin without the arrangement, at least 0.
    margin : ndarray of int64, shape (defaults, houses)
        Margin held, at least 0.
    loss : ndarray of int64, shape (defaults, houses)
        Loss of closing out, gains negative.
    rule : Default
        Guarantee and split.

    Raises
    ------
    RangeError
        If a sum of amounts is not below ``AMOUNT_LIMIT``.
    """
    net = margin - loss
    surplus, deficit = np.maximum(net, 0), np.maximum(-net, 0)
    if rule.guarantee == "none":
        fund, returned = deficit, surplus
    else:
        pooled = rule.guarantee == "pool"
        bearing = _split_weights(stand_alone, margin, loss, rule.split) if pooled else deficit
        total = net.sum(axis=1)
        fund, returned = pro_rata(np.maximum(-total, 0), bearing), pro_rata(np.maximum(total, 0), surplus)
    flow = net + fund - returned
    return LossShares(
        net=net,
        paid=np.maximum(flow, 0),
        received=np.maximum(-flow, 0),
        own_fund_loss=fund,
        returned=returned,
    )


def _split_weights(
    stand_alone: Int64[np.ndarray, "defaults houses"],
    margin: Int64[np.ndarray, "defaults houses"],
    loss: Int64[np.ndarray, "defaults houses"],
    split: str,
) -> Int64[np.ndarray, "defaults houses"]:
    """Return by what the shortfall of a pool is split; all 0 means equally among all houses.

    "equal" counts the houses where the defaulter had margin or made a loss or gain. "loss" counts losses before
    margin.
    """
    had_leg = (stand_alone > 0) | (margin > 0) | (loss != 0)
    weights = {
        "equal": had_leg.astype(np.int64),
        "stand_alone": stand_alone,
        "reduced": margin,
        "reduction": np.maximum(stand_alone - margin, 0),
        "loss": np.maximum(loss, 0),
    }
    return weights[split]
