"""Some accounts at once: the sums that their searches start from, and what each of them moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.account_tails import account_tails
from crossmargin.kernels.transfer_pairs import SCENARIOS, pair_transfers
from crossmargin.programmes.transfer.problem import TIE, LongMeasure, TransferProblem
from crossmargin.programmes.transfer.solve import PAIR, best_transfer

if TYPE_CHECKING:
    from crossmargin.models.revaluation.cube import ScenarioCube
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.programme import Transfer

__all__ = ["Block", "TransferInputs"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferInputs:
    """What both pots see of each instrument; rows are those of ``Snapshot.instruments``.

    Parameters
    ----------
    movable : ndarray of bool, shape (instruments,)
        Which may move: futures of the short pot. One without a row in the cube stays where it is.
    losses : ndarray of float64, shape (instruments, 16)
        Loss of one long contract in the scan of the short pot, in the cube's currency; 0 where it has none.
    commodity : ndarray of int64, shape (instruments,)
        Number, from 0, of the combined commodity with which an instrument is scanned; 0 for all scans
        everything as one.
    cube : ScenarioCube
        Scenarios at the horizon of the long pot.
    cube_rows : ndarray of int64, shape (instruments,)
        Row of the cube, −1 where it has none.
    measure : LongMeasure
        Of the long pot; see ``LongMeasure.of_cube``.

    Raises
    ------
    InputError
        If a loss is NaN or infinite.
    """

    movable: Bool[np.ndarray, " instruments"]
    losses: Float64[np.ndarray, "instruments 16"]
    commodity: Int64[np.ndarray, " instruments"]
    cube: ScenarioCube
    cube_rows: Int64[np.ndarray, " instruments"]
    measure: LongMeasure

    def __post_init__(self) -> None:
        instruments = self.movable.size
        assert self.losses.shape == (instruments, SCENARIOS), self.losses.shape
        assert self.commodity.shape == self.cube_rows.shape == (instruments,), self.cube_rows.shape
        bad = np.flatnonzero(~np.isfinite(self.losses).all(axis=1))
        if bad.size:
            raise InputError([_bad("losses", at, "finite losses") for at in bad.tolist()])

    def require_scenarios(self, rows: Int32[np.ndarray, " positions"]) -> None:
        """Refuse instruments that have no row in the cube."""
        missing = np.unique(rows[self.cube_rows[rows] < 0])
        if missing.size:
            raise InputError([_bad("cube_rows", at, "a row of the cube") for at in missing.tolist()])

    @cached_property
    def futures(self) -> Int64[np.ndarray, " futures"]:
        """The instruments that may move."""
        return np.flatnonzero(self.movable & (self.cube_rows >= 0))

    @cached_property
    def future_of(self) -> Int64[np.ndarray, " instruments"]:
        """Place of each instrument among ``futures``, −1 for none."""
        place = np.full(self.movable.size, -1)
        place[self.futures] = np.arange(self.futures.size)
        return place

    @cached_property
    def gains(self) -> Float64[np.ndarray, "futures columns"]:
        """Gain of one long contract of each of ``futures`` in the scenarios of the long pot."""
        return self.cube.rows(self.cube_rows[self.futures]).astype(np.float64)


class Block:
    """Some accounts.

    A position of the short pot that may move is a *mover*; a *scan* is one account's combined commodity.

    Parameters
    ----------
    short, long : Books
        Of the same accounts.
    inputs : TransferInputs
        Of the instruments.
    """

    def __init__(self, short: Books, long: Books, inputs: TransferInputs) -> None:
        self.short, self.inputs = short, inputs
        self.owner = short.book
        self.future = inputs.future_of[short.rows]
        self.movers = np.flatnonzero(self.future >= 0)
        keys = self.owner * (inputs.commodity.max(initial=0) + 1) + inputs.commodity[short.rows]
        scans, self.scan = np.unique(keys, return_inverse=True)
        self.scan_owner = np.zeros(scans.size, np.int64)
        self.scan_owner[self.scan] = self.owner
        self.scanned = self._sums(short.quantities)
        kind = np.float64 if inputs.cube.pnl.dtype == np.float64 else np.float32
        self.base = np.zeros((short.count, inputs.cube.layout.stride), kind)
        self.before = np.stack([self._short_pots(self.scanned), self._long_pots(long)], axis=1)

    def _sums(self, quantities: Int64[np.ndarray, " positions"]) -> Float64[np.ndarray, "scans 16"]:
        sums = np.zeros((self.scan_owner.size, SCENARIOS))
        np.add.at(sums, self.scan, quantities[:, None] * self.inputs.losses[self.short.rows])
        return sums

    def _short_pots(self, scanned: Float64[np.ndarray, "scans 16"]) -> Float64[np.ndarray, " accounts"]:
        largest = scanned.max(axis=1, initial=0.0)
        return np.bincount(self.scan_owner, largest, minlength=self.short.count)

    def _long_pots(self, long: Books) -> Float64[np.ndarray, " accounts"]:
        cube, measure = self.inputs.cube, self.inputs.measure
        shortfalls = account_tails(
            long.starts,
            self.inputs.cube_rows[long.rows].astype(np.int32),
            long.quantities.astype(np.float64),
            cube.pnl,
            measure.bounds,
            measure.tail_counts,
            scales=cube.scales,
            pnl=self.base,
        )
        total = np.zeros(long.count)
        for part, weight in enumerate(measure.weights):
            total += weight * shortfalls[:, part]
        return np.maximum(total, 0.0)

    def best(self, settings: Transfer) -> tuple[np.ndarray, ...]:
        """Return moved, before, after, lower_bound and exact: see ``Transfers``."""
        moved, long = np.zeros(self.owner.size, np.int64), self.before[:, 1].copy()
        lower, exact = np.full(self.short.count, np.inf), np.ones(self.short.count, bool)
        count = np.bincount(self.owner[self.movers], minlength=self.short.count)
        asked = self.before.sum(axis=1)
        few = np.flatnonzero((asked > 0) & (count >= 1) & (count <= PAIR))
        self._search(few, count[few], moved, long)
        for account in np.flatnonzero((asked > 0) & (count > PAIR)).tolist():
            mine = self.movers[self.owner[self.movers] == account]
            found = best_transfer(self._problem(account, mine), settings)
            moved[mine], long[account] = found.moved, found.after[1]
            lower[account], exact[account] = found.lower_bound, found.exact
        after = np.stack([self._short_pots(self.scanned - self._sums(moved)), long], axis=1)
        return moved, self.before, after, np.minimum(lower, after.sum(axis=1)), exact

    def _search(
        self,
        few: Int64[np.ndarray, " few"],
        count: Int64[np.ndarray, " few"],
        moved: Int64[np.ndarray, " positions"],
        long: Float64[np.ndarray, " accounts"],
    ) -> None:
        """Fill what accounts with one or two movers move, and what their long pots then ask for."""
        first = np.searchsorted(self.owner[self.movers], few)
        at = self.movers[np.stack([first, first + count - 1], axis=1)]
        quantities = self.short.quantities[at]
        quantities[count == 1, 1] = 0
        found, asks = np.zeros((few.size, PAIR), np.int64), np.zeros(few.size)
        pair_transfers(
            self.base[few],
            self.inputs.gains,
            self.future[at],
            quantities,
            self.scanned[self.scan[at]],
            self.inputs.losses[self.inputs.futures],
            self.scan[at[:, 0]] == self.scan[at[:, 1]],
            self.inputs.measure.arrays,
            TIE * self.before[few].sum(axis=1),
            found,
            asks,
        )
        np.add.at(moved, at, found)
        long[few] = asks

    def _problem(self, account: int, mine: Int64[np.ndarray, " futures"]) -> TransferProblem:
        """Return one account's choice by itself; ``mine`` are its movers."""
        losses = self.inputs.losses[self.short.rows[mine]]
        scans = np.flatnonzero(self.scan_owner == account)
        commodity = np.searchsorted(scans, self.scan[mine])
        staying = self.scanned[scans]
        np.subtract.at(staying, commodity, self.short.quantities[mine, None] * losses)
        return TransferProblem(
            quantities=self.short.quantities[mine],
            losses=losses,
            commodity=commodity,
            staying=staying,
            gains=self.inputs.gains[self.future[mine]],
            base=self.base[account].astype(np.float64),
            measure=self.inputs.measure,
        )


def _bad(field: str, at: int, rule: str) -> BadRecord:
    return BadRecord(file="transfer", line=at + 1, field=field, value=f"row {at}", rule=rule)
