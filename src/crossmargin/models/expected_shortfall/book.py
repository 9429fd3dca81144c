"""Positions of many accounts, tied to rows of a cube and in order: by account, then by row."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64, Int32, Int64

from crossmargin.core.columns import NUMBER_LIMIT, require_columns
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from crossmargin.core.columns import FrameInput
    from crossmargin.models.revaluation.cube import ScenarioCube

__all__ = ["EsBook", "es_book"]

POSITION_SCHEMA: Final[dict[str, pl.DataType]] = {
    "account": pl.String(),
    "instrument": pl.String(),
    "quantity": pl.Int64(),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class EsBook:
    """Net positions in columns.

    Parameters
    ----------
    accounts : tuple of str
        Names, sorted; each has at least one position in the input, maybe none after netting.
    starts : ndarray of int64, shape (accounts + 1,)
        Positions of each account.
    rows : ndarray of int32, shape (positions,)
        Row of the cube, ascending within an account, each once.
    quantities : ndarray of float64, shape (positions,)
        + long, − short, never 0.
    """

    accounts: tuple[str, ...]
    starts: Int64[np.ndarray, " accounts+1"]
    rows: Int32[np.ndarray, " positions"]
    quantities: Float64[np.ndarray, " positions"]

    @cached_property
    def number(self) -> dict[str, int]:
        """Number of each account."""
        return {name: number for number, name in enumerate(self.accounts)}

    def held(self, account: str) -> slice:
        """Return the positions of an account.

        Raises
        ------
        InputError
            If there is no such account.
        """
        if account not in self.number:
            rule = f"one of {len(self.accounts):,} accounts with positions"
            raise InputError([BadRecord(file="accounts", line=0, field="account", value=account, rule=rule)])
        at = self.number[account]
        return slice(int(self.starts[at]), int(self.starts[at + 1]))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the positions in order, whatever order they came in."""
        digest = hashlib.sha256("\n".join(self.accounts).encode())
        for column in (self.starts, self.rows, self.quantities):
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()


def es_book(positions: FrameInput, cube: ScenarioCube) -> EsBook:
    """Net positions of each account and instrument and put them in order.

    Parameters
    ----------
    positions : Polars or pandas frame, or mapping of columns
        ``account``, ``instrument``, ``quantity`` (+ long, − short); several rows of one pair add up.
    cube : ScenarioCube
        With a row for every instrument held.

    Raises
    ------
    InputError
        Listing every bad position and every position in an instrument that the cube has no row for.
    """
    table = require_columns(positions, "positions", POSITION_SCHEMA)
    known = cube.instruments.select("instrument").with_row_index("row")
    placed = table.join(known, on="instrument", how="left", maintain_order="left")
    if bad := [_unknown(placed, at, cube) for at in placed["row"].is_null().arg_true().to_list()]:
        raise InputError(bad)
    names = placed["account"].unique().sort()
    numbered = placed.select(
        pl.col("account").cast(pl.Enum(names)).to_physical().cast(pl.Int64),
        pl.col("row").cast(pl.Int32),
        "quantity",
    )
    net = numbered.group_by("account", "row").agg(pl.col("quantity").sum()).filter(pl.col("quantity") != 0)
    net = net.sort("account", "row")
    if bad := [_too_large(net, names, cube, at) for at in (net["quantity"].abs() > NUMBER_LIMIT).arg_true()]:
        raise InputError(bad)
    account = net["account"].to_numpy()
    return EsBook(
        accounts=tuple(names),
        starts=np.searchsorted(account, np.arange(len(names) + 1)).astype(np.int64),
        rows=np.ascontiguousarray(net["row"].to_numpy()),
        quantities=net["quantity"].to_numpy().astype(np.float64),
    )


def _unknown(placed: pl.DataFrame, at: int, cube: ScenarioCube) -> BadRecord:
    """Say which position has no row, and why the cube has none."""
    account, instrument = placed.select("account", "instrument").row(at)
    why = cube.findings.filter(subject=instrument, action="left out")["kind"]
    rule = "an instrument with scenarios" + (f"; it was left out: {why[0]}" if len(why) else "")
    value = f"{account}: {instrument}"
    return BadRecord(file="positions", line=at + 1, field="instrument", value=value, rule=rule)


def _too_large(net: pl.DataFrame, names: pl.Series, cube: ScenarioCube, at: int) -> BadRecord:
    account, row, quantity = net.row(at)
    value = f"{names[account]} {cube.instruments['instrument'][row]} {quantity}"
    return BadRecord(file="positions", line=0, field="quantity", value=value, rule="a net of at most 10^12")
