"""One account's choice in plain arrays: what each pot would ask for with so many contracts moved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.tail_means import check_parts, tail_mean, tail_scenarios

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.kernels.transfer_search import Measure
    from crossmargin.models.revaluation.cube import ScenarioCube

__all__ = ["TIE", "LongMeasure", "TransferProblem", "TransferResult"]

TIE: Final = 1e-9
"""Requirements that differ by no more than this share of what is asked for without a transfer are equal."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LongMeasure:
    """How the long pot is margined: weighted expected shortfalls of the parts of its scenarios, at least 0.

    Parameters
    ----------
    bounds : ndarray of int64, shape (parts, 2)
        First column of each part and the one behind its last.
    tail_counts : ndarray of int64, shape (parts,)
        Scenarios in the tail of each part.
    weights : ndarray of float64, shape (parts,)
        At least 0; a buffer on the margin is in them.
    """

    bounds: Int64[np.ndarray, "parts 2"]
    tail_counts: Int64[np.ndarray, " parts"]
    weights: Float64[np.ndarray, " parts"]

    def __post_init__(self) -> None:
        assert self.weights.shape == self.tail_counts.shape, self.weights.shape
        bad = np.flatnonzero(~(np.isfinite(self.weights) & (self.weights >= 0)))
        if bad.size:
            rule = "a finite weight of at least 0: with another the requirement is not convex"
            raise InputError([_bad("weights", at, str(self.weights[at]), rule) for at in bad.tolist()])

    @classmethod
    def of_cube(cls, cube: ScenarioCube, buffer: float = 0.0) -> LongMeasure:
        """Return the measure of a cube's parts, with a share added to the margin as a buffer."""
        return cls(
            bounds=cube.layout.bounds,
            tail_counts=np.array([part.tail_count for part in cube.parts], np.int64),
            weights=np.array([part.weight for part in cube.parts]) * (1.0 + buffer),
        )

    @property
    def arrays(self) -> Measure:
        """As the kernels take it."""
        return self.bounds, self.tail_counts, self.weights

    def requirement(self, results: Float64[np.ndarray, " columns"]) -> float:
        """Return the requirement of results by scenario, gain-positive."""
        total = 0.0
        for (start, stop), count, weight in zip(*self.arrays, strict=True):
            total += float(weight) * tail_mean(results[start:stop], int(count))
        return max(total, 0.0)

    def tails(self, results: Float64[np.ndarray, " columns"]) -> Iterator[Int64[np.ndarray, " tail"]]:
        """Yield the columns of the worst results of each part, ascending."""
        for (start, stop), count in zip(self.bounds, self.tail_counts, strict=True):
            yield np.sort(start + tail_scenarios(results[start:stop], int(count)).astype(np.int64))


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferProblem:
    """An account's futures and both pots; amounts in units of one currency.

    Parameters
    ----------
    quantities : ndarray of int64, shape (futures,)
        Contracts held, + long, − short.
    losses : ndarray of float64, shape (futures, 16)
        Loss of one long contract in the scan of the short pot.
    commodity : ndarray of int64, shape (futures,)
        Row of ``staying`` with which a future is scanned; each combined commodity asks for its largest loss.
    staying : ndarray of float64, shape (commodities, 16)
        Losses of what stays in the short pot, such as options.
    gains : ndarray of float64, shape (futures, columns)
        Gain of one long contract in the scenarios of the long pot.
    base : ndarray of float64, shape (columns,)
        Gains of what the long pot holds already.
    measure : LongMeasure
        Of the long pot.

    Raises
    ------
    InputError
        If a number is NaN or infinite.
    """

    quantities: Int64[np.ndarray, " futures"]
    losses: Float64[np.ndarray, "futures 16"]
    commodity: Int64[np.ndarray, " futures"]
    staying: Float64[np.ndarray, "commodities 16"]
    gains: Float64[np.ndarray, "futures columns"]
    base: Float64[np.ndarray, " columns"]
    measure: LongMeasure

    def __post_init__(self) -> None:
        futures = self.quantities.size
        assert self.quantities.dtype == np.int64, self.quantities.dtype
        assert self.losses.shape == (futures, self.staying.shape[1]), self.losses.shape
        assert self.commodity.shape == (futures,), self.commodity.shape
        assert self.gains.shape == (futures, self.base.size), self.gains.shape
        check_parts(self.measure.bounds, self.measure.tail_counts, self.base.size)
        if bad := [
            _bad(name, at, str(array.flat[at]), "a finite number")
            for name in ("losses", "staying", "gains", "base")
            for array in [getattr(self, name)]
            for at in np.flatnonzero(~np.isfinite(array)).tolist()
        ]:
            raise InputError(bad)

    @cached_property
    def sides(self) -> Int64[np.ndarray, " futures"]:
        """+1 of a long, −1 of a short position."""
        return np.sign(self.quantities)

    @cached_property
    def contracts(self) -> Int64[np.ndarray, " futures"]:
        """How many of each future may move."""
        return np.abs(self.quantities)

    @cached_property
    def lost(self) -> Float64[np.ndarray, "futures 16"]:
        """Losses of one contract of the side held."""
        return self.sides[:, None] * self.losses

    @cached_property
    def gained(self) -> Float64[np.ndarray, "futures columns"]:
        """Gains of one contract of the side held."""
        return self.sides[:, None] * self.gains

    def scanned(self, taken: Float64[np.ndarray, " futures"]) -> Float64[np.ndarray, "commodities 16"]:
        """Return the losses left in the short pot with so many contracts of each future taken out."""
        left = self.staying.copy()
        np.add.at(left, self.commodity, (self.contracts - taken)[:, None] * self.lost)
        return left

    def results(self, taken: Float64[np.ndarray, " futures"]) -> Float64[np.ndarray, " columns"]:
        """Return the gains of the long pot with so many contracts taken in."""
        total = self.base.copy()
        for contracts, gains in zip(taken, self.gained, strict=True):
            if contracts != 0:
                total += contracts * gains  # one after the other: the order of a matrix product may change
        return total

    def pots(self, taken: Float64[np.ndarray, " futures"]) -> tuple[float, float]:
        """Return what the short and the long pot ask for with so many contracts moved, unsigned."""
        short = float(np.cumsum(self.scanned(taken).max(axis=1, initial=0.0))[-1])
        return short, self.measure.requirement(self.results(taken))

    def requirement(self, taken: Float64[np.ndarray, " futures"]) -> float:
        """Return what both pots ask for with so many contracts moved, unsigned."""
        return sum(self.pots(taken))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransferResult:
    """What moves, and what that comes to; amounts in units of the currency.

    Parameters
    ----------
    moved : ndarray of int64, shape (futures,)
        Contracts, of the sign of the position.
    before, after : tuple of float
        What the short and the long pot ask for without and with the transfer.
    lower_bound : float
        No transfer of whole contracts asks for less, to the solver's accuracy.
    exact : bool
        Whether the transfer was searched until it was proven best, to the relative gap of the settings.
    """

    moved: Int64[np.ndarray, " futures"]
    before: tuple[float, float]
    after: tuple[float, float]
    lower_bound: float
    exact: bool

    @property
    def saving(self) -> float:
        """How much less both pots ask for; never negative."""
        return sum(self.before) - sum(self.after)

    @property
    def gap(self) -> float:
        """How much of what is asked for a better transfer could save at most, as a fraction."""
        after = sum(self.after)
        return (after - self.lower_bound) / after if after > 0 else 0.0

    @property
    def words(self) -> str:
        """The transfer in a sentence."""
        before, after = (
            f"{sum(pots):,.2f} (short pot {pots[0]:,.2f}, long pot {pots[1]:,.2f})"
            for pots in (self.before, self.after)
        )
        count = f"{int(np.abs(self.moved).sum()):,} contracts moved"
        bound = "no transfer asks for less" if self.exact else f"at most {self.gap:.2%} above the least"
        return f"{count}: {after} instead of {before}; {bound}"


def _bad(field: str, at: int, value: str, rule: str) -> BadRecord:
    return BadRecord(file="transfer", line=at + 1, field=field, value=value, rule=rule)
