"""Marginable positions of many participants, netted, in order, and tied to their risk parameters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int32, Int64

from crossmargin.core.columns import require_columns
from crossmargin.core.rounding import exact_sums, to_minor
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.hkscc.netting import net

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.hkscc.parameters import HksccParameters

__all__ = ["DECIMALS", "POSITION_SCHEMA", "Book", "Rounding", "make_book"]

Rounding = Literal["guide", "none"]

DECIMALS: Final[dict[Rounding, int]] = {"guide": 2, "none": 6}
"""Decimal places in which results are published: cents, or fine enough to see what rounding does."""

POSITION_SCHEMA: Final[dict[str, pl.DataType]] = {
    "participant": pl.String(),
    "instrument": pl.String(),
    "quantity": pl.Int64(),
    "contract_value": pl.Float64(),
    "market_value": pl.Float64(),
}


SIGN_RULE: Final = "the sign of the quantity, and 0 for no quantity"
NET_RULE: Final = f"{SIGN_RULE}, after netting: rows of one instrument stand at one price"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Book:
    """Positions in columns, sorted by participant and then by the order of the parameter file.

    Parameters
    ----------
    participants : tuple of str
        Names; a participant without a position has its place too.
    owner : ndarray of int32, shape (positions,)
        Participant of each position.
    instrument : Series of str
        Position codes.
    quantity : ndarray of float64
        Whole units, + long, − short.
    contract_value, market_value : ndarray of float64
        HKD; a negative contract value is a receivable of the participant.
    rows : dict of str to ndarray of int32
        Row of each position in each parameter table, −1 where it has none.
    rounding : {"guide", "none"}
        Round where the guide rounds, or nowhere.
    """

    participants: tuple[str, ...]
    owner: Int32[np.ndarray, " positions"]
    instrument: pl.Series
    quantity: Float64[np.ndarray, " positions"]
    contract_value: Float64[np.ndarray, " positions"]
    market_value: Float64[np.ndarray, " positions"]
    rows: dict[str, Int32[np.ndarray, " positions"]]
    rounding: Rounding

    @property
    def decimals(self) -> int:
        """Decimal places of published amounts."""
        return DECIMALS[self.rounding]

    def minor(self, amount: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Cross from HKD to published integer units."""
        return to_minor(amount, self.decimals)

    def content_hash(self, participant: str) -> str:
        """SHA-256 of one participant's netted positions."""
        mine = np.flatnonzero(self.owner == self.participants.index(participant))
        columns = (self.quantity, self.contract_value, self.market_value)
        digest = hashlib.sha256("\n".join(self.instrument.gather(mine)).encode())
        for column in columns:
            digest.update(np.ascontiguousarray(column[mine]).data)
        return digest.hexdigest()

    def sums(
        self, minor: Int64[np.ndarray, " n"], owner: Int32[np.ndarray, " n"]
    ) -> Int64[np.ndarray, " participants"]:
        """Add integer amounts by participant; ``RangeError`` where a sum does not fit."""
        return exact_sums(minor, owner, len(self.participants))


def make_book(
    positions: FrameInput,
    parameters: HksccParameters,
    participants: Sequence[str],
    rounding: Rounding,
) -> Book:
    """Check, net and order positions and look their parameters up.

    Parameters
    ----------
    positions : Polars or pandas frame, or mapping of columns
        ``instrument``, ``quantity``, ``contract_value``, ``market_value`` and, unless there is one
        participant only, ``participant``.
    parameters : HksccParameters
        The house's risk parameters.
    participants : sequence of str
        Names of the participants, in the order of the results.
    rounding : {"guide", "none"}
        Kept for the components.

    Raises
    ------
    InputError
        Listing every bad position: a broken value, a participant that is not named, an instrument
        without the parameters it needs.
    """
    only = {"participant": participants[0]} if len(participants) == 1 else None
    frame = require_columns(positions, "positions", POSITION_SCHEMA, defaults=only)
    order = {name: place for place, name in enumerate(participants)}
    owner = frame["participant"].replace_strict(order, default=-1, return_dtype=pl.Int32)
    rows = parameters.rows(frame["instrument"])
    if bad := [*_bad_values(frame, owner.to_numpy()), *_bad_instruments(frame, rows, parameters)]:
        raise InputError(bad)
    placed = frame.with_columns(owner=owner, place=rows["directory"])
    keys = ["owner", "place", "instrument"]
    twice = placed.select(pl.struct(keys[:2]).is_duplicated().any()).item()
    netted = net(placed, keys) if twice else placed.sort(keys[:2])
    if bad := [replace(record, line=0) for record in _bad_signs(netted, NET_RULE)]:
        raise InputError(bad)
    return Book(
        participants=tuple(participants),
        owner=netted["owner"].to_numpy(),
        instrument=netted["instrument"],
        quantity=netted["quantity"].cast(pl.Float64).to_numpy(),
        contract_value=netted["contract_value"].to_numpy(),
        market_value=netted["market_value"].to_numpy(),
        rows=parameters.rows(netted["instrument"]),
        rounding=rounding,
    )


def _bad_values(frame: pl.DataFrame, owner: Int32[np.ndarray, " positions"]) -> Iterator[BadRecord]:
    yield from _bad(frame, "participant", owner < 0, "a participant with settings")
    yield from _bad_signs(frame, SIGN_RULE)


def _bad_signs(frame: pl.DataFrame, rule: str) -> Iterator[BadRecord]:
    signs = np.sign(frame["quantity"].to_numpy()) * np.sign(frame["market_value"].to_numpy())
    flat = (frame["quantity"] == 0).to_numpy() & (frame["market_value"] != 0).to_numpy()
    yield from _bad(frame, "market_value", (signs < 0) | flat, rule)


def _bad_instruments(
    frame: pl.DataFrame, rows: dict[str, Int32[np.ndarray, " positions"]], parameters: HksccParameters
) -> Iterator[BadRecord]:
    has = {name: row >= 0 for name, row in rows.items()}
    margined = has["returns"] | has["flat_rate"] | has["benefit"]
    yield from _bad(
        frame, "instrument", ~margined, "an instrument with records of FieldTypes 1 and 2, of 3, or of 7"
    )
    liquid = has["liquidation"] | has["structured_product"]
    yield from _bad(
        frame, "instrument", has["returns"] & ~liquid, "a record of FieldType 4 or 5 beside 1 and 2"
    )
    orphan = has["structured_product"] & (parameters.liquidation_group(rows) < 0)
    yield from _bad(frame, "instrument", orphan, "a record of FieldType 4 for the underlying of FieldType 5")


def _bad(
    frame: pl.DataFrame, field: str, where: Bool[np.ndarray, " positions"], rule: str
) -> Iterator[BadRecord]:
    for row in np.flatnonzero(where).tolist():
        yield BadRecord(file="positions", line=row + 1, field=field, value=str(frame[field][row]), rule=rule)
