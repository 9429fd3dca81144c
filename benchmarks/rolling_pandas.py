"""Daily margins on rolling scenarios as a careful analyst would write them with pandas, one day after the other.

Independent of the package's scenarios and tails: it shares the returns, the exposures and the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Rules", "by_column", "by_partition", "margins_of_day", "variances"]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Numbers of the two parts: scaled returns of the last days, returns of the worst days as they were."""

    decay: float
    warm_up_days: int
    ratio_min: float
    ratio_max: float
    window_days: int
    scenarios: tuple[int, int]
    tails: tuple[int, int]
    weights: tuple[float, float]
    worst_of: str
    skip_days: int


def variances(returns: pd.DataFrame, counted: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Return the variance known before each day, and that after the last, one row more than returns."""
    squares = returns.where(counted) ** 2
    start = squares.apply(lambda series: series.dropna().head(rules.warm_up_days).mean())
    whole = pd.concat([start.to_frame().T, squares], ignore_index=True)
    return whole.ewm(alpha=1 - rules.decay, adjust=False, ignore_na=True).mean()


def by_column(pnl: pd.DataFrame, tail: int) -> pd.Series:
    """Return the mean of the worst of each column, one column after the other."""
    return pnl.apply(lambda account: account.nsmallest(tail).mean())


def by_partition(pnl: pd.DataFrame, tail: int) -> pd.Series:
    """Return the same from one call of NumPy for all columns."""
    worst = np.partition(pnl.to_numpy().T, tail - 1, axis=1)[:, :tail]
    return pd.Series(worst.mean(axis=1), pnl.columns)


def margins_of_day(
    returns: pd.DataFrame,
    variance: pd.DataFrame,
    exposures: pd.DataFrame,
    place: int,
    rules: Rules,
    tail_means: Callable[[pd.DataFrame, int], pd.Series] = by_column,
) -> pd.Series:
    """Return the margin of each account (a column of ``exposures``) on the day in a row of the returns."""
    first = place + 2 - rules.scenarios[0] - rules.window_days
    recent = returns.iloc[first : place + 1]
    ratio = np.sqrt(variance.iloc[place + 1] / variance.iloc[first : place + 1])
    scaled = recent * ratio.clip(rules.ratio_min, rules.ratio_max)
    moves = scaled.rolling(rules.window_days).sum().tail(rules.scenarios[0])
    plain = returns.iloc[: place + 1].rolling(rules.window_days).sum()
    ranked = plain[rules.worst_of].abs().iloc[rules.skip_days :]
    worst = plain.loc[ranked.nlargest(rules.scenarios[1]).index]
    shortfalls = [
        -tail_means(np.expm1(part) @ exposures, tail)
        for part, tail in zip((moves, worst), rules.tails, strict=True)
    ]
    total = rules.weights[0] * shortfalls[0] + rules.weights[1] * shortfalls[1]
    return total.clip(lower=0.0)
