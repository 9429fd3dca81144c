"""Risk arrays of a market's series: every option revalued once at the scan points, all others by their price.

The scan points are scenarios of a hypothetical set, in which each underlying moves by its own scan ranges.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float64

from crossmargin.kernels.row_sums import aligned_zeros
from crossmargin.models.revaluation.cube import fill_options
from crossmargin.models.revaluation.factors import FactorMoves
from crossmargin.models.revaluation.surface import option_pairs
from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioPart, ScenarioSet
from crossmargin.models.span.parameters import SCENARIO_COUNT, scan_points
from crossmargin.models.span.risk_arrays import COMPOSITE_DELTA_WEIGHTS, ScanSettings, futures_losses

if TYPE_CHECKING:
    from crossmargin.models.revaluation.settings import RevaluationSettings
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.span.from_market_rules import MarketSpanRules

__all__ = ["DECIMALS", "OptionArrays", "option_arrays", "points_of", "series_arrays"]

VOLATILITY_DAYS: Final = 30
"""Days of the one volatility of an underlying that a scan point moves: all expiries move alike."""

DELTA_BUMP: Final = 1 / 60
"""Half the distance, in scan ranges, of the two prices whose values give the delta between them.

Against deltas by formula that is 1e-5 for European options of a month and more, and 1e-4 where an American
one is about to be exercised and its delta has a kink.
"""

DECIMALS: Final = 8
"""Of deltas and volatilities: hides the last bits in which two machines, or two Pythons, may differ."""

LOSS_DECIMALS: Final = 6
"""Of losses, in currency: a contract's value is up to 1e6, and its last bits reach 1e-8."""


def points_of(rules: MarketSpanRules) -> pl.DataFrame:
    """Return the table of scan points."""
    return scan_points(rules.extreme_multiplier, rules.covered_fraction)


def _price_moves(rules: MarketSpanRules) -> Float64[np.ndarray, " points"]:
    """Return the scan points' moves and, behind them, those above and below each price of the delta."""
    at = np.array([move for move, _ in COMPOSITE_DELTA_WEIGHTS])
    return np.concatenate([points_of(rules)["price_move"].to_numpy(), at + DELTA_BUMP, at - DELTA_BUMP])


def _scan_scenarios(snapshot: Snapshot, optionable: pl.DataFrame, rules: MarketSpanRules) -> ScenarioSet:
    """Return the scan points as scenarios: every underlying moves by its own ranges."""
    price = np.outer(_price_moves(rules), optionable["price_scan_range"].to_numpy())
    shift = np.zeros(price.shape[0])
    shift[:SCENARIO_COUNT] = points_of(rules)["volatility_move"].to_numpy()
    volatility = np.outer(shift, optionable["volatility_scan_range"].to_numpy())
    names = optionable["commodity"].to_list()
    size = price.shape[0]
    return ScenarioSet(
        as_of=snapshot.as_of,
        horizon_days=rules.horizon_days,
        factors=(
            *(RiskFactor("spot", name) for name in names),
            *(RiskFactor("volatility", name, VOLATILITY_DAYS) for name in names),
        ),
        moves=np.concatenate([np.maximum(price, -1.0 + 1e-4), volatility], axis=1),
        labels=tuple(f"point {number}" for number in range(1, size + 1)),
        parts=(ScenarioPart(name="scan points", start=0, stop=size, tail_count=1, weight=1.0),),
        method="scan points of SPAN, and prices of the composite delta",
        settings=(),
        input_hash=snapshot.content_hash,
    )


class OptionArrays(NamedTuple):
    """Options that have a volatility, and what all instruments gain.

    Parameters
    ----------
    table : DataFrame
        ``row`` of the snapshot, ``price_now`` of the underlying that the delta is of, ``volatility``.
    pnl : ndarray of float64, shape (instruments, points)
        Profit and loss of one long contract at every scan point and price of the delta, in its own currency;
        0 for what is no option.
    findings : DataFrame
        Volatilities that could not be had from a price, and what stands instead.
    """

    table: pl.DataFrame
    pnl: Float64[np.ndarray, "instruments points"]
    findings: pl.DataFrame


def option_arrays(
    snapshot: Snapshot, commodities: pl.DataFrame, rules: MarketSpanRules, revaluation: RevaluationSettings
) -> OptionArrays:
    """Revalue every option at the scan points and the prices of the delta.

    Parameters
    ----------
    snapshot : Snapshot
        Marks of the day.
    commodities : DataFrame
        ``commodity``, ``derivative`` (whether it has futures or options), ``price_scan_range`` and
        ``volatility_scan_range``, shares of price and volatility.
    rules : MarketSpanRules
        Scan points and lookahead.
    revaluation : RevaluationSettings
        How volatilities follow from marks, and stay with strike or delta.
    """
    settings = replace(
        revaluation,
        precision="float64",
        volatility_response=0.0,
        slope_response=0.0,
        decay_days=rules.lookahead_days,
    )
    optionable = commodities.filter("derivative")
    paired = option_pairs(snapshot, settings)
    pairs = paired.table.filter(
        pl.col("underlying").is_in(optionable["commodity"].implode()), pl.col("volatility").is_finite()
    )
    count = len(snapshot.instruments)
    if not len(pairs):
        return OptionArrays(_by_option(pairs), np.zeros((count, _price_moves(rules).size)), paired.findings)
    moves = FactorMoves.of(_scan_scenarios(snapshot, optionable, rules), settings)
    pnl = aligned_zeros((count, moves.layout.stride), np.float64)
    fill_options(pairs, np.arange(count), moves, pnl)
    return OptionArrays(_by_option(pairs), pnl[:, moves.layout.columns], paired.findings)


def _by_option(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return a row an option: its row in the snapshot, the price that its delta is of, and its volatility."""
    stock = pl.col("style") == "american"
    price = pl.when(stock).then(pl.col("spot")).otherwise(pl.col("forward")).alias("price_now")
    sides = [
        pairs.filter(pl.col(side).is_not_null()).select(pl.col(side).alias("row"), price, "volatility")
        for side in ("call", "put")
    ]
    return pl.concat(sides).cast({"row": pl.Int64}).sort("row")


def series_arrays(
    table: pl.DataFrame, pnl: Float64[np.ndarray, "instruments points"], rules: MarketSpanRules
) -> tuple[Float64[np.ndarray, "series 16"], Float64[np.ndarray, " series"]]:
    """Return losses of one long contract, in its own currency, and composite deltas.

    Parameters
    ----------
    table : DataFrame
        ``row`` of the snapshot, ``kind``, ``mark``, ``multiplier``, ``price_scan_range`` (a share) and, of an
        option, ``price_now`` of what its delta is of.
    pnl : ndarray of float64, shape (instruments, points)
        See ``OptionArrays``.
    rules : MarketSpanRules
        Scan points.
    """
    points = points_of(rules)
    ranges, sizes = table["price_scan_range"].to_numpy(), table["multiplier"].to_numpy()
    linear = futures_losses(ranges * table["mark"].to_numpy(), sizes, ScanSettings(points=points))
    losses, deltas = linear.losses, linear.composite_delta
    rows = np.flatnonzero((table["kind"] == "option").to_numpy())
    gained = pnl[table["row"].to_numpy()[rows]]
    losses[rows] = 0.0 - gained[:, :SCENARIO_COUNT] * points["weight"].to_numpy()
    unit = (ranges * sizes * table["price_now"].fill_null(0.0).to_numpy())[rows]
    deltas[rows] = _composite(gained[:, SCENARIO_COUNT:], unit)
    return np.round(losses, LOSS_DECIMALS) + 0.0, np.round(deltas, DECIMALS) + 0.0


def _composite(
    values: Float64[np.ndarray, "options bumped"], unit: Float64[np.ndarray, " options"]
) -> Float64[np.ndarray, " options"]:
    """Return the weighted mean of deltas: differences of value over those of price; ``unit`` one scan range."""
    composite, count = np.zeros(unit.size), len(COMPOSITE_DELTA_WEIGHTS)
    for place, (_, weight) in enumerate(COMPOSITE_DELTA_WEIGHTS):  # one by one: the order is fixed
        composite += weight * (values[:, place] - values[:, count + place])
    return composite / (2 * DELTA_BUMP * unit)
