"""Profit and loss of every instrument in every scenario: priced once, read ever after."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float, Float32, Float64, Int, Int16, Int64

from crossmargin._version import __version__
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.american_pairs import american_pairs
from crossmargin.kernels.european_pairs import european_pairs
from crossmargin.kernels.linear_rows import linear_rows
from crossmargin.kernels.quantised_rows import dequantise_rows, quantise_rows
from crossmargin.kernels.row_sums import aligned_zeros
from crossmargin.models.revaluation.american_inputs import american_inputs
from crossmargin.models.revaluation.factors import FactorMoves, distinct_rows
from crossmargin.models.revaluation.layout import ScenarioLayout, scenario_layout
from crossmargin.models.revaluation.pair_inputs import european_inputs
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import findings
from crossmargin.models.revaluation.surface import OptionPairs, arbitrage_findings, option_pairs

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.scenario_set import ScenarioPart, ScenarioSet

__all__ = ["MarkedOptions", "ScenarioCube", "cube_key", "fill_options", "make_cube", "marked_options"]

LINEAR: Final = ("equity", "etf", "future")


@dataclass(frozen=True, kw_only=True, eq=False)
class ScenarioCube:
    """Rows of profit and loss, gain-positive, of one long unit of quantity, in one currency.

    Parameters
    ----------
    as_of : date
        The day of marks and positions.
    currency : str
        Of profit and loss.
    instruments : DataFrame
        ``instrument``, ``house``, ``kind``, ``underlying``, ``expiry``, ``value`` (of one unit, 0 for a
        future); row i describes row i of ``pnl``. Sorted by instrument.
    pnl : ndarray of float32, float64 or int16, shape (instruments, stride)
        Scenarios stand in the columns of ``layout``; every other column is 0.
    scales : ndarray of float32, shape (instruments, stride / 64), or None
        Of int16 rows: the value of one unit in each span of 64 columns.
    parts : tuple of ScenarioPart
        Of the scenario set.
    labels : tuple of str
        Of each scenario.
    key : str
        SHA-256 over marks, terms, scenarios, settings and engine version: the same key, the same rows.
    settings : RevaluationSettings
        How the rows were made.
    scenario_settings : tuple of (str, str)
        How the scenarios were made.
    input_hashes : tuple of (str, str)
        SHA-256 of snapshot and scenario set.
    data_note : str
        What the market says of itself.
    findings : DataFrame
        What was left out or replaced on the way.
    """

    as_of: date
    currency: str
    instruments: pl.DataFrame
    pnl: Float[np.ndarray, "instruments stride"] | Int16[np.ndarray, "instruments stride"]
    scales: Float32[np.ndarray, "instruments spans"] | None
    parts: tuple[ScenarioPart, ...]
    labels: tuple[str, ...]
    key: str
    settings: RevaluationSettings
    scenario_settings: tuple[tuple[str, str], ...]
    input_hashes: tuple[tuple[str, str], ...]
    data_note: str
    findings: pl.DataFrame

    @cached_property
    def layout(self) -> ScenarioLayout:
        """Columns of the scenarios."""
        return scenario_layout(self.parts)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row of each instrument."""
        return {name: row for row, name in enumerate(self.instruments["instrument"])}

    def row(self, instrument: str) -> Float[np.ndarray, " stride"]:
        """Return the row of an instrument.

        Raises
        ------
        InputError
            If the cube has none.
        """
        if instrument not in self.row_of:
            rule = "an instrument of the cube"
            raise InputError(
                [BadRecord(file="trade", line=0, field="instrument", value=instrument, rule=rule)]
            )
        return self.rows(np.array([self.row_of[instrument]]))[0]

    def rows(self, at: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "rows stride"]:
        """Return rows by number, those in sixteen bits turned back to float32."""
        return self.pnl[at] if self.scales is None else dequantise_rows(self.pnl[at], self.scales[at])


def cube_key(snapshot: Snapshot, scenarios: ScenarioSet, settings: RevaluationSettings) -> str:
    """Return the key of the cube that ``make_cube`` would make."""
    parts = (__version__, _methods(), snapshot.content_hash, scenarios.content_hash, settings.described())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@cache
def _methods() -> str:
    """SHA-256 over the source of what values instruments: a changed method is another cube."""
    package = Path(__file__).parents[2]
    files = sorted([*package.glob("kernels/*.py"), *package.glob("models/revaluation/*.py")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class MarkedOptions:
    """What a cube takes of options from marks alone: pairs, and findings on them."""

    pairs: OptionPairs
    findings: pl.DataFrame


def marked_options(snapshot: Snapshot, settings: RevaluationSettings) -> MarkedOptions:
    """Return what every cube of a snapshot has in common, whatever the scenarios."""
    pairs = option_pairs(snapshot, settings)
    found = arbitrage_findings(pairs, settings.arbitrage_tolerance)
    return MarkedOptions(pairs, pl.concat([pairs.findings, found]))


def make_cube(
    snapshot: Snapshot,
    scenarios: ScenarioSet,
    settings: RevaluationSettings | None = None,
    *,
    options: MarkedOptions | None = None,
) -> ScenarioCube:
    """Value every instrument of a snapshot in every scenario.

    Instruments whose underlying has no scenarios, and options without a volatility, are left out and found.
    ``options`` spares what ``marked_options`` of the same snapshot and settings has found already.

    Raises
    ------
    InputError
        If the scenarios are of another day, or nothing is left.
    """
    settings = settings or RevaluationSettings()
    if snapshot.as_of != scenarios.as_of:
        rule = f"scenarios of {snapshot.as_of}, the day of the marks"
        value = str(scenarios.as_of)
        raise InputError([BadRecord(file="scenarios", line=0, field="as_of", value=value, rule=rule)])
    moves = FactorMoves.of(scenarios, settings)
    instruments, pairs, found = _valued(snapshot, moves, options or marked_options(snapshot, settings))
    rows = instruments["row"].to_numpy()
    dtype = np.dtype(settings.computed)
    pnl = aligned_zeros((int(rows.max()) + 1, moves.layout.stride), dtype.type)
    _fill_linear(instruments, moves, pnl)
    values = fill_options(pairs, rows, moves, pnl)
    kept = instruments.filter(pl.col("row") >= 0)
    owned = pl.when(pl.col("kind").is_in(["equity", "etf"])).then(pl.col("mark") * pl.col("multiplier"))
    values += kept.select(owned.otherwise(0.0)).to_series().to_numpy()
    _convert(kept, values, moves, pnl)
    stored, scales = quantise_rows(pnl) if settings.precision == "int16" else (pnl, None)
    columns = ("instrument", "house", "kind", "underlying", "expiry")
    return ScenarioCube(
        as_of=snapshot.as_of,
        currency=snapshot.currency,
        instruments=kept.select(*columns, pl.Series("value", values * kept["exchange_rate"].to_numpy())),
        pnl=stored,
        scales=scales,
        parts=scenarios.parts,
        labels=scenarios.labels,
        key=cube_key(snapshot, scenarios, settings),
        settings=settings,
        scenario_settings=scenarios.settings,
        input_hashes=(("market", snapshot.content_hash), ("scenarios", scenarios.content_hash)),
        data_note=snapshot.data_note,
        findings=found,
    )


def _valued(
    snapshot: Snapshot, moves: FactorMoves, options: MarkedOptions
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the snapshot's instruments with their row in the cube (−1 for none), pairs, and findings."""
    reason = _without_scenarios(snapshot, moves)
    has = reason.is_null().to_numpy()
    known = options.pairs.table.filter(pl.col("volatility").is_finite())
    optional = np.zeros(len(snapshot.instruments), np.bool_)
    for side in ("call", "put"):
        optional[known[side].drop_nulls().to_numpy()] = True
    is_option = (snapshot.instruments["kind"] == "option").to_numpy()
    kept = has & (optional | ~is_option)
    if not kept.any():
        rule = "at least one instrument with scenarios"
        raise InputError([BadRecord(file="market", line=0, field="instruments", value="none", rule=rule)])
    rows = np.where(kept, np.cumsum(kept) - 1, -1)
    named = snapshot.instruments.select("instrument", reason).filter(pl.Series(~has))
    missing = findings([(name, why, "left out") for name, why in named.iter_rows()])
    found = pl.concat([snapshot.findings, options.findings, missing])
    there = pl.Series(kept)
    sides = [pl.when(there.gather(known[side])).then(pl.col(side)).alias(side) for side in ("call", "put")]
    known = known.with_columns(sides).filter(pl.col("call").is_not_null() | pl.col("put").is_not_null())
    return snapshot.instruments.with_columns(pl.Series("row", rows)), known, found


def _without_scenarios(snapshot: Snapshot, moves: FactorMoves) -> pl.Series:
    """Say why an instrument has no scenarios; null where it has."""
    no_spot = ~pl.col("underlying").is_in(_moving(snapshot, moves))
    fixed = [
        currency
        for currency in snapshot.instruments["currency"].unique().sort()
        if currency != snapshot.currency and not moves.has_exchange_rate(currency)
    ]
    reason = pl.coalesce(
        pl.when(no_spot).then(pl.lit("no scenarios of the underlying")),
        pl.when(pl.col("currency").is_in(fixed)).then(pl.lit("no scenarios of the exchange rate")),
    )
    return snapshot.instruments.select(reason.alias("reason")).to_series()


def _moving(snapshot: Snapshot, moves: FactorMoves) -> pl.Series:
    names = snapshot.instruments["underlying"].unique().sort()
    return names.filter(pl.Series([moves.has(name) for name in names], dtype=pl.Boolean)).implode()


def _fill_linear(
    instruments: pl.DataFrame, moves: FactorMoves, pnl: Float[np.ndarray, "instruments stride"]
) -> None:
    """Value equities, ETFs and futures: mark × multiplier × return, of a future that of the forward."""
    linear = instruments.filter(pl.col("kind").is_in(LINEAR) & (pl.col("row") >= 0))
    if not len(linear):
        return
    linear = linear.with_columns(pl.col("days").fill_null(0))
    sources, at = distinct_rows(linear, "underlying", "currency", "days")
    returns = np.array([moves.growth(*row) - 1 for row in sources.iter_rows()]).astype(pnl.dtype)
    amounts = (linear["mark"] * linear["multiplier"]).to_numpy().astype(pnl.dtype)
    linear_rows(amounts, at, linear["row"].to_numpy(), returns, pnl)


def fill_options(
    pairs: pl.DataFrame,
    rows: Int64[np.ndarray, " instruments"],
    moves: FactorMoves,
    pnl: Float[np.ndarray, "instruments stride"],
) -> Float64[np.ndarray, " instruments"]:
    """Value options by pairs; ``rows`` gives the row of ``pnl`` for each instrument that a pair names.

    Returns
    -------
    ndarray of float64, shape (rows of pnl,)
        Today's value of one contract in its own currency; 0 in rows of others.
    """
    values = np.zeros(pnl.shape[0])
    european = _renumbered(pairs.filter(pl.col("style") == "european"))
    if len(european):
        inputs = european_inputs(european, rows, moves, pnl.dtype)
        european_pairs(inputs.groups, inputs.pairs, inputs.vectors, moves.layout.gaps, pnl)
        _put_values(values, european, rows, inputs.bases)
    american = _renumbered(pairs.filter(pl.col("style") == "american"))
    if len(american):
        stock = american_inputs(american, rows, moves, pnl.dtype)
        american_pairs(stock.groups, stock.pairs, stock.vectors, stock.premiums, moves.layout.gaps, pnl)
        _put_values(values, american, rows, stock.bases)
    return values


def _put_values(
    values: Float64[np.ndarray, " rows"],
    pairs: pl.DataFrame,
    rows: Int64[np.ndarray, " instruments"],
    bases: tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]],
) -> None:
    for name, prices in zip(("call", "put"), bases, strict=True):
        held = pairs[name].is_not_null().to_numpy()
        at = rows[pairs[name].drop_nulls().to_numpy()]
        values[at] = (prices * pairs["multiplier"].to_numpy())[held]


def _renumbered(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return pairs with groups numbered from 0 without gaps."""
    return pairs.with_columns(pl.col("group").rle_id().cast(pl.Int64))


def _convert(
    kept: pl.DataFrame,
    values: Float64[np.ndarray, " rows"],
    moves: FactorMoves,
    pnl: Float[np.ndarray, "instruments stride"],
) -> None:
    """Turn rows of foreign currencies into the market's: what was gained and the value itself move with it."""
    for currency, rate in kept.select("currency", "exchange_rate").unique().sort("currency").iter_rows():
        move = moves.exchange_rate(currency)
        if rate == 1.0 and not move.any():
            continue
        mine = np.flatnonzero((kept["currency"] == currency).to_numpy())
        pnl[mine] = rate * ((1 + move) * pnl[mine] + values[mine, None] * move)
