"""Transfers of futures between the pots of HKCC and HKSCC, from joint accounts and the houses' models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Bool, Int64

from crossmargin.models.market import HOUSES
from crossmargin.programmes.books import joined_books
from crossmargin.programmes.eligibility import HOUSE_COUNT
from crossmargin.programmes.transfer.accounts import transfers
from crossmargin.programmes.transfer.block import TransferInputs
from crossmargin.programmes.transfer.problem import LongMeasure

if TYPE_CHECKING:
    from crossmargin.programmes.eligibility import JointAccounts
    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.prime_house import PrimeHouse
    from crossmargin.programmes.programme import Programme
    from crossmargin.programmes.transfer.accounts import Transfers

__all__ = ["Transferred", "transferred"]

SCENARIO_COUNT = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Transferred:
    """What the best transfers come to by the houses' own models, in hundredths.

    Parameters
    ----------
    transfers : Transfers
        Which contracts move, with bound and gap.
    long_before, long_after : ndarray of int64, shape (accounts,)
        HKSCC's leg by the joint model, without the futures that move and with them.
    short_after : ndarray of int64, shape (accounts,)
        What stays at HKCC, by PRiME.
    any_moved : ndarray of bool, shape (accounts,)
        Whether a contract moves.
    """

    transfers: Transfers
    long_before: Int64[np.ndarray, " accounts"]
    long_after: Int64[np.ndarray, " accounts"]
    short_after: Int64[np.ndarray, " accounts"]
    any_moved: Bool[np.ndarray, " accounts"]

    @property
    def parts(self) -> Int64[np.ndarray, "accounts houses"]:
        """What each house asks for after the transfer; nothing at SEOCH, which takes no part."""
        amounts = {"HKSCC": self.long_after, "HKCC": self.short_after}
        return np.stack([amounts.get(house, np.zeros_like(self.long_after)) for house in HOUSES], axis=1)


def transferred(programme: Programme, houses: Houses, joint: JointAccounts) -> Transferred:
    """Choose which futures of HKCC's legs move to HKSCC's, and margin what results.

    Where HKSCC holds nothing, nothing moves: a future that hedges nothing there is no cross-margining, even if
    the joint model asks for less. The choice is by the scan and the tails alone; what is called is margined by PRiME with all its charges,
    and by the joint model over the longer horizon.
    """
    place = np.arange(joint.count) * HOUSE_COUNT
    short = joint.legs.select(place + HOUSES.index("HKCC"))
    long = joint.legs.select(place + HOUSES.index("HKSCC"))
    hedged = np.flatnonzero(np.diff(long.starts) > 0)
    horizon = programme.joint.horizon
    chosen = transfers(
        short.select(hedged), long.select(hedged), _inputs(houses, horizon), programme.transfer
    )
    taken = chosen.taken.regrouped(hedged, joint.count)
    kept = joined_books([chosen.kept, short]).regrouped(_kept_of(hedged, joint.count), joint.count)
    both = joined_books([long, taken]).regrouped(np.tile(np.arange(joint.count), 2), joint.count)
    return Transferred(
        transfers=chosen,
        long_before=houses.market_risk("expected_shortfall", long, horizon),
        long_after=houses.market_risk("expected_shortfall", both, horizon),
        short_after=houses.market_risk("prime", kept),
        any_moved=np.diff(taken.starts) > 0,
    )


def _kept_of(hedged: Int64[np.ndarray, " hedged"], count: int) -> Int64[np.ndarray, " books"]:
    """Return the account of each short pot after transfers, then of each that had no long pot to move into."""
    others = np.arange(count)
    others[hedged] = -1
    return np.concatenate([hedged, others])


def _inputs(houses: Houses, horizon: str) -> TransferInputs:
    """Return what both pots see of each instrument."""
    model, prime = houses.joint_model(horizon), houses.model("prime")
    losses, commodity = _scan(prime)  # type: ignore[arg-type]
    table = houses.snapshot.instruments
    movable = ((table["kind"] == "future") & (table["house"] == "HKCC")).to_numpy()
    return TransferInputs(
        movable=movable & (model.rows >= 0),
        losses=losses,
        commodity=commodity,
        cube=model.cube,
        cube_rows=model.rows.astype(np.int64),
        measure=LongMeasure.of_cube(model.cube, model.settings.buffer),
    )


def _scan(prime: PrimeHouse) -> tuple[np.ndarray, np.ndarray]:
    """Return scan losses of one long unit of each instrument, and the number of its combined commodity."""
    span = prime.span
    known = span.series >= 0
    losses = np.zeros((span.series.size, SCENARIO_COUNT))
    losses[known] = span.own.losses[span.series[known]]
    names = span.own.commodities["commodity"]
    places = span.own.series["commodity"].replace_strict(
        names.to_list(), list(range(len(names))), return_dtype=pl.Int64
    )
    commodity = np.zeros(span.series.size, np.int64)
    commodity[known] = places.to_numpy()[span.series[known]]
    return losses, commodity
