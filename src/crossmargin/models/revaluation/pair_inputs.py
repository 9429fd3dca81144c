"""Pairs of options as the revaluation kernels want them: numbered, flat, and in the cube's precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float, Float64, Int64

from crossmargin.kernels.black76 import black76_values
from crossmargin.kernels.european_pairs import FactorVectors, PairGroups, Pairs
from crossmargin.models.revaluation.factors import distinct_rows
from crossmargin.models.revaluation.snapshot import DAYS_A_YEAR

if TYPE_CHECKING:
    import polars as pl

    from crossmargin.models.revaluation.factors import FactorMoves

__all__ = ["EuropeanInputs", "base_prices", "european_inputs", "factor_vectors", "pair_groups"]

VOLATILITY_FLOOR: Final = 0.005
"""No volatility is lower in a scenario, nor for what has none left."""

DEVIATION_FLOOR: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class EuropeanInputs:
    """Arguments of the European kernel."""

    groups: PairGroups
    pairs: Pairs
    vectors: FactorVectors


def european_inputs(
    table: pl.DataFrame, rows: Int64[np.ndarray, " instruments"], moves: FactorMoves, dtype: np.dtype
) -> EuropeanInputs:
    """Return the kernel's arguments for pairs.

    Parameters
    ----------
    table : DataFrame
        Of ``option_pairs``, every volatility finite.
    rows : ndarray of int64, shape (instruments,)
        Row of the cube for each instrument of the snapshot.
    moves : FactorMoves
        The scenarios.
    dtype : dtype
        float32 or float64.
    """
    groups, vectors = factor_vectors(table, moves, dtype)
    return EuropeanInputs(groups, _pairs(table, rows, moves, dtype), vectors)


def pair_groups(table: pl.DataFrame) -> tuple[Int64[np.ndarray, " groups+1"], pl.DataFrame]:
    """Return the pairs of each group and its first row."""
    first = table.with_row_index("at").group_by("group", maintain_order=True).first()
    return np.append(first["at"].to_numpy(), len(table)).astype(np.int64), first


def factor_vectors(
    table: pl.DataFrame, moves: FactorMoves, dtype: np.dtype
) -> tuple[PairGroups, FactorVectors]:
    """Return rows of scenario vectors, each made once, and which of them each group uses."""
    starts, first = pair_groups(table)
    forwards, forward_row = distinct_rows(first, "underlying", "currency", "days")
    volatilities, volatility_row = distinct_rows(first, "underlying", "days")
    discounts, discount_row = distinct_rows(first, "currency", "days")
    growth = _stacked([moves.growth(*row) for row in forwards.iter_rows()], moves, dtype)
    factor = _stacked([moves.volatility(*row) for row in volatilities.iter_rows()], moves, dtype)
    skews = [moves.slope(row[0]) for row in volatilities.iter_rows()] if moves.settings.slope_response else []
    ratios = [moves.discount(*row) for row in discounts.iter_rows()] if moves.has_rates else []
    skew, discount = _stacked(skews, moves, dtype), _stacked(ratios, moves, dtype)
    log_return = np.log(growth.astype(np.float64)).astype(dtype)
    groups = PairGroups(starts, forward_row, volatility_row, discount_row)
    return groups, FactorVectors(log_return, growth, factor, skew, discount)


def _stacked(
    vectors: list[Float64[np.ndarray, " stride"]], moves: FactorMoves, dtype: np.dtype
) -> Float[np.ndarray, "rows stride"]:
    return np.array(vectors).reshape(len(vectors), moves.layout.stride).astype(dtype)


def base_prices(table: pl.DataFrame, side: float) -> Float64[np.ndarray, " pairs"]:
    """Return today's Black-76 prices of one side, discounted."""
    strikes, years, rates, forwards, volatilities = (
        table[name].to_numpy() for name in ("strike", "years", "rate", "forward", "volatility")
    )
    sides = np.full(len(table), side)
    return black76_values(sides, strikes, years, rates, forwards[:, None], volatilities[:, None])[0][:, 0]


def _pairs(
    table: pl.DataFrame, rows: Int64[np.ndarray, " instruments"], moves: FactorMoves, dtype: np.dtype
) -> Pairs:
    """Return terms of each strike; a scenario begins after ``decay_days``."""
    settings = moves.settings
    strike, forward, rate, years, volatility, slope, scale = (
        table[name].to_numpy()
        for name in ("strike", "forward", "rate", "years", "volatility", "smile_slope", "multiplier")
    )
    left = np.maximum(years - settings.decay_days / DAYS_A_YEAR, 0.0)
    root, discount = np.sqrt(left), np.exp(-rate * left)
    moneyness = np.log(forward / strike)
    sticky = np.zeros_like(slope) if settings.smile == "strike" else -slope * root
    call_row, put_row = (_cube_rows(table[side], rows) for side in ("call", "put"))
    numbers = {
        "log_moneyness": moneyness,
        "deviation": volatility * root,
        "least_deviation": np.maximum(VOLATILITY_FLOOR * root, DEVIATION_FLOOR),
        "smile": sticky,
        "skew": -moneyness * root,
        "forward_leg": forward * discount,
        "strike_leg": strike * discount,
        "call_base": base_prices(table, 1.0),
        "put_base": base_prices(table, -1.0),
        "call_scale": scale,
        "put_scale": scale,
    }
    converted = {name: np.ascontiguousarray(column, dtype) for name, column in numbers.items()}
    return Pairs(call_row=call_row, put_row=put_row, **converted)


def _cube_rows(side: pl.Series, rows: Int64[np.ndarray, " instruments"]) -> Int64[np.ndarray, " pairs"]:
    """Return the cube's row of each option, −1 where the pair lacks the side."""
    return np.append(rows, -1)[side.fill_null(-1).to_numpy()]
