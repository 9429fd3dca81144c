"""Pairs of options as the revaluation kernels want them: numbered, flat, and in the cube's precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float, Float64, Int64

from crossmargin.kernels.black76 import black76_values
from crossmargin.kernels.european_pairs import FactorVectors, PairGroups, Pairs
from crossmargin.models.revaluation.factors import distinct_rows
from crossmargin.models.revaluation.settings import VOLATILITY_FLOOR
from crossmargin.models.revaluation.snapshot import DAYS_A_YEAR

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import DTypeLike

    from crossmargin.models.revaluation.factors import FactorMoves
    from crossmargin.models.revaluation.settings import RevaluationSettings

__all__ = [
    "EuropeanInputs",
    "base_prices",
    "european_inputs",
    "factor_vectors",
    "option_pairs_of",
    "pair_groups",
    "years_left",
]

DEVIATION_FLOOR: Final = 1e-6
GROWTH_FLOOR: Final = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class EuropeanInputs:
    """Arguments of the European kernel, and today's prices of calls and puts."""

    groups: PairGroups
    pairs: Pairs
    vectors: FactorVectors
    bases: tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]


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
    bases = base_prices(table)
    return EuropeanInputs(groups, option_pairs_of(table, rows, moves.settings, bases, dtype), vectors, bases)


def pair_groups(table: pl.DataFrame) -> tuple[Int64[np.ndarray, " groups+1"], pl.DataFrame]:
    """Return the pairs of each group and its first row."""
    first = table.with_row_index("at").group_by("group", maintain_order=True).first()
    return np.append(first["at"].to_numpy(), len(table)).astype(np.int64), first


def factor_vectors(
    table: pl.DataFrame, moves: FactorMoves, dtype: np.dtype, *, rates: bool = True
) -> tuple[PairGroups, FactorVectors]:
    """Return rows of scenario vectors, each made once, and which of them each group uses.

    Without ``rates`` forwards move with the spot alone and discount factors stand still.
    """
    starts, first = pair_groups(table)
    forwards, forward_row = distinct_rows(first, "underlying", "currency", "days")
    volatilities, volatility_row = distinct_rows(first, "underlying", "days")
    discounts, discount_row = distinct_rows(first, "currency", "days")
    moving = rates and moves.has_rates
    growth = _stacked([_growth(moves, *row, rates=moving) for row in forwards.iter_rows()], moves, np.float64)
    factor = _stacked([moves.volatility(*row) for row in volatilities.iter_rows()], moves, dtype)
    skews = [moves.slope(row[0]) for row in volatilities.iter_rows()] if moves.settings.slope_response else []
    ratios = [moves.discount(*row) for row in discounts.iter_rows()] if moving else []
    skew, discount = _stacked(skews, moves, dtype), _stacked(ratios, moves, dtype)
    groups = PairGroups(starts, forward_row, volatility_row, discount_row)
    vectors = FactorVectors(np.log(growth).astype(dtype), growth.astype(dtype), factor, skew, discount)
    return groups, vectors


def _growth(
    moves: FactorMoves, underlying: str, currency: str, days: int, *, rates: bool
) -> Float64[np.ndarray, " stride"]:
    """Return forward in the scenario ÷ forward now; dividends to come move with the spot."""
    whole = moves.growth(underlying, currency, days) if rates else 1 + moves.spot(underlying)
    return np.maximum(whole, GROWTH_FLOOR)


def _stacked(
    vectors: list[Float64[np.ndarray, " stride"]], moves: FactorMoves, dtype: DTypeLike
) -> Float[np.ndarray, "rows stride"]:
    return np.array(vectors).reshape(len(vectors), moves.layout.stride).astype(dtype)


def base_prices(table: pl.DataFrame) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """Return today's Black-76 prices of calls and puts, discounted."""
    strikes, years, rates, forwards, volatilities = (
        table[name].to_numpy() for name in ("strike", "years", "rate", "forward", "volatility")
    )
    calls, puts = (
        black76_values(
            np.full(len(table), side), strikes, years, rates, forwards[:, None], volatilities[:, None]
        )
        for side in (1.0, -1.0)
    )
    return calls[0][:, 0], puts[0][:, 0]


def option_pairs_of(
    table: pl.DataFrame,
    rows: Int64[np.ndarray, " instruments"],
    settings: RevaluationSettings,
    bases: tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]],
    dtype: np.dtype,
) -> Pairs:
    """Return terms of each strike, ``bases`` the prices of call and put now; a scenario begins after ``decay_days``."""
    forward, rate, years, slope, scale = (
        table[name].to_numpy() for name in ("forward", "rate", "years", "smile_slope", "multiplier")
    )
    left = years_left(table, settings.decay_days)
    root, discount = np.sqrt(left), np.exp(-rate * left)
    forward = forward * np.exp(table["carry"].to_numpy() * (left - years))
    moneyness = np.log(forward / table["strike"].to_numpy())
    sticky = np.zeros_like(slope) if settings.smile == "strike" else -slope * root
    call_row, put_row = (_cube_rows(table[side], rows) for side in ("call", "put"))
    numbers = {
        "log_moneyness": moneyness,
        "deviation": table["volatility"].to_numpy() * root,
        "least_deviation": np.maximum(VOLATILITY_FLOOR * root, DEVIATION_FLOOR),
        "smile": sticky,
        "skew": -moneyness * root,
        "forward_leg": forward * discount,
        "strike_leg": table["strike"].to_numpy() * discount,
        "call_base": bases[0],
        "put_base": bases[1],
        "call_scale": scale,
        "put_scale": scale,
    }
    converted = {name: np.ascontiguousarray(column, dtype) for name, column in numbers.items()}
    return Pairs(call_row=call_row, put_row=put_row, **converted)


def years_left(table: pl.DataFrame, decay_days: float) -> Float64[np.ndarray, " pairs"]:
    """Return years to expiry when a scenario begins, at least a millionth of what they are."""
    years = table["years"].to_numpy()
    return np.maximum(years - decay_days / DAYS_A_YEAR, 1e-6 * years)


def _cube_rows(side: pl.Series, rows: Int64[np.ndarray, " instruments"]) -> Int64[np.ndarray, " pairs"]:
    """Return the cube's row of each option, −1 where the pair lacks the side."""
    return np.append(rows, -1)[side.fill_null(-1).to_numpy()]
