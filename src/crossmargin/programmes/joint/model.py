"""The joint expected-shortfall model: any book, of any house's products, on one cube of scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int32, Int64

from crossmargin.core.rounding import exact_sums
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.account_tails import account_tails
from crossmargin.models.expected_shortfall.margin import requirement
from crossmargin.models.expected_shortfall.settings import EsSettings
from crossmargin.models.scenarios.part_rules import anti_procyclical_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.revaluation.cube import ScenarioCube
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.programmes.books import Books

__all__ = ["JointModel", "joint_model"]


@dataclass(frozen=True, kw_only=True, eq=False)
class JointModel:
    """Weighted expected shortfall with buffer, not below 0; see ``joint_model``.

    Parameters
    ----------
    cube : ScenarioCube
        Profit and loss of one unit of each instrument.
    settings : EsSettings
        The buffer.
    instruments : tuple of str
        Those of the snapshot, in its order.
    rows : ndarray of int32, shape (instruments,)
        Row of the cube of each, −1 where the cube left it out.
    """

    cube: ScenarioCube
    settings: EsSettings
    instruments: tuple[str, ...]
    rows: Int32[np.ndarray, " instruments"]

    @property
    def name(self) -> str:
        """Its name in a programme."""
        return "expected_shortfall"

    @property
    def can_margin(self) -> Bool[np.ndarray, " instruments"]:
        """Whether there are scenarios of each instrument of the snapshot."""
        return self.rows >= 0

    @property
    def tail_counts(self) -> Int64[np.ndarray, " parts"]:
        """Scenarios in the tail of each part."""
        return np.array([part.tail_count for part in self.cube.parts], np.int64)

    @property
    def weights(self) -> Float64[np.ndarray, " parts"]:
        """What a unit of each part's shortfall adds to the margin: its weight × (1 + buffer)."""
        return np.array([part.weight for part in self.cube.parts]) * (1.0 + self.settings.buffer)

    def market_risk(self, books: Books) -> Int64[np.ndarray, " books"]:
        """Return the margin of each book in hundredths of the cube's currency, at least 0.

        The expected shortfalls of the parts times their weights, times 1 + buffer, rounded to the hundredth,
        a half up. A gross book: the sum of its positions, each margined and rounded by itself. Cost:
        positions × scenarios × 4 bytes read from memory.

        Raises
        ------
        InputError
            Listing every position without scenarios, see ``cube_rows``.
        ValueError
            If a scenario result is NaN or infinite.
        """
        starts, owner = _margined_apart(books)
        shortfalls = account_tails(
            starts,
            self.cube_rows(books),
            books.quantities.astype(np.float64),
            self.cube.pnl,
            self.cube.layout.bounds,
            self.tail_counts,
            scales=self.cube.scales,
        )
        amounts = requirement(shortfalls, self.cube, self.settings)
        return amounts if starts is books.starts else exact_sums(amounts, owner, books.count)

    def cube_rows(self, books: Books, names: Sequence[str] = ()) -> Int32[np.ndarray, " positions"]:
        """Return the row of the cube of each position.

        Parameters
        ----------
        books : Books
            Positions.
        names : sequence of str
            Name of each book for errors; "book 0", "book 1", … unless given.

        Raises
        ------
        InputError
            Listing every position in an instrument that the cube left out, by book and instrument.
        """
        rows = self.rows[books.rows]
        missing = np.flatnonzero(rows < 0)
        if missing.size:
            raise InputError(self._without_scenarios(books, names, int(at)) for at in missing)
        return rows

    def _without_scenarios(self, books: Books, names: Sequence[str], at: int) -> BadRecord:
        """Say which position has no row, and why the cube has none."""
        book = int(np.searchsorted(books.starts, at, side="right")) - 1
        instrument = self.instruments[books.rows[at]]
        why = self.cube.findings.filter(subject=instrument, action="left out")["kind"]
        rule = "an instrument with scenarios" + (f"; it was left out: {why[0]}" if len(why) else "")
        value = f"{names[book] if names else f'book {book}'}: {instrument}"
        return BadRecord(file="positions", line=0, field="instrument", value=value, rule=rule)


def joint_model(snapshot: Snapshot, cube: ScenarioCube, settings: EsSettings | None = None) -> JointModel:
    """Tie a cube to the instruments of the snapshot that it was made from.

    Parameters
    ----------
    snapshot : Snapshot
        Its instruments are what the rows of ``Books`` number.
    cube : ScenarioCube
        See ``joint_cube`` for the horizon.
    settings : EsSettings, optional
        The buffer that the scenario set carries unless given.

    Raises
    ------
    InputError
        If the cube was made from other marks.
    """
    if dict(cube.input_hashes).get("market") != snapshot.content_hash:
        rule = f"made from the marks of {snapshot.as_of} that the books are of"
        value = f"a cube of {cube.as_of} from other marks"
        raise InputError([BadRecord(file="scenario cube", line=0, field="market", value=value, rule=rule)])
    if settings is None:
        settings = EsSettings(buffer=anti_procyclical_of(cube.scenario_settings).buffer)
    names = snapshot.instruments.select("instrument")
    known = cube.instruments.select("instrument").with_row_index("row")
    placed = names.join(known, on="instrument", how="left", maintain_order="left")
    return JointModel(
        cube=cube,
        settings=settings,
        instruments=tuple(names["instrument"]),
        rows=placed["row"].cast(pl.Int32).fill_null(-1).to_numpy(),
    )


def _margined_apart(
    books: Books,
) -> tuple[Int64[np.ndarray, " margined+1"], Int64[np.ndarray, " margined"]]:
    """Return the positions of what is margined by itself, and the book that each belongs to."""
    if not books.gross.any():
        return books.starts, np.arange(books.count)
    lengths = np.diff(books.starts)
    counts = np.where(books.gross, lengths, 1)
    sizes = np.repeat(np.where(books.gross, 1, lengths), counts)
    return np.concatenate([[0], np.cumsum(sizes)]), np.repeat(np.arange(books.count), counts)
