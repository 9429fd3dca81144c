"""HKSCC margin as a careful analyst would write it with pandas: one participant at a time.

Independent of the package's models: it shares the formulas of the guide and nothing else. Amounts that
the guide rounds are rounded a half away from zero, and a decimal tie counts as one although float64
may miss it by a few units in the last place; ``NUDGE`` does that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, isclose

import numpy as np
import pandas as pd

__all__ = ["Market", "Settings", "margin_total"]

NUDGE = 1 + 2.0**-50


@dataclass(frozen=True, kw_only=True)
class Market:
    """Risk parameters as frames indexed by instrument; returns in two frames, a column a scenario."""

    historical: pd.DataFrame
    stressed: pd.DataFrame
    flat_rate: pd.DataFrame
    liquidation: pd.DataFrame
    structured_product: pd.DataFrame
    tick: pd.DataFrame
    benefit: pd.DataFrame
    weights: tuple[float, float] = (0.75, 0.25)
    tails: tuple[int, int] = (6, 21)
    rounding: int = 10_000
    holiday_factor: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the house sets for a participant."""

    floor_rate: float
    credit: float
    multiplier: float
    capital: float
    limit_rate: float
    hedging_instrument: str = "2800"
    minimum_tick: float = 0.001
    ipo_stocks: tuple[str, ...] = field(default_factory=tuple)


def half_away(values: float | pd.Series | pd.DataFrame) -> float | pd.Series | pd.DataFrame:
    """Round to the nearest integer, a half away from zero."""
    return np.sign(values) * np.floor(np.abs(values) * NUDGE + 0.5)


def cents(values: float | pd.Series) -> float | pd.Series:
    """Round to the cent."""
    return half_away(values * 100) / 100


def portfolio_margin(held: pd.DataFrame, market: Market, settings: Settings) -> float:
    """Blend the tail means of each portfolio, and apply the floor."""
    held = held[market.historical.index.get_indexer(held["instrument"]) >= 0]
    if held.empty:
        return 0.0
    stock = held["instrument"].map(market.structured_product["underlying"]).fillna(held["instrument"])
    portfolio = stock.where(stock.isin(settings.ipo_stocks), "").to_numpy()
    total = 0.0
    measures = zip((market.historical, market.stressed), market.weights, market.tails, strict=True)
    for returns, weight, tail in measures:
        rows = held[["instrument", "market_value"]].merge(returns, left_on="instrument", right_index=True)
        pnl = half_away(rows[returns.columns].mul(rows["market_value"], axis=0))
        by_portfolio = pnl.groupby(portfolio).sum()
        total += weight * sum(scenarios.nsmallest(tail).mean() for _, scenarios in by_portfolio.iterrows())
    value = held["market_value"]
    floor = settings.floor_rate * max(value.clip(lower=0).sum(), -value.clip(upper=0).sum())
    return half_away(max(abs(total), floor))


def flat_rate_margin(held: pd.DataFrame, market: Market, settings: Settings) -> float:
    """Charge the larger side of each rate's group."""
    rated = held.merge(market.flat_rate, left_on="instrument", right_index=True)
    sides = pd.DataFrame(
        {
            "rate": rated["rate"],
            "long": rated["market_value"].clip(lower=0),
            "short": -rated["market_value"].clip(upper=0),
        }
    )
    sums = sides.groupby("rate").sum()
    margin = sums.max(axis=1) * sums.index * settings.multiplier
    return cents(margin).sum()


def liquidation_addon(held: pd.DataFrame, market: Market, settings: Settings) -> float:
    """Charge what lies above the thresholds, group by group and for the hedged whole."""
    stocks = held.merge(market.liquidation[["cash_delta"]], left_on="instrument", right_index=True)
    products = held.merge(
        market.structured_product[["underlying", "cash_delta"]], left_on="instrument", right_index=True
    )
    both = pd.concat([stocks.assign(underlying=stocks["instrument"]), products])
    exposure = (both["quantity"] * both["cash_delta"]).groupby(both["underlying"]).sum()
    groups = market.liquidation.loc[exposure.index]
    excess = (exposure.abs() - groups["threshold"]).clip(lower=0)
    hedging = market.liquidation.loc[settings.hedging_instrument]
    hedged = abs((exposure * groups["beta"]).sum()) - hedging["threshold"]
    return half_away((excess * groups["bucket_rate"]).sum()) + half_away(
        max(hedged, 0.0) * hedging["bucket_rate"]
    )


def structured_product_addon(held: pd.DataFrame, market: Market, settings: Settings) -> float:
    """Charge long positions in low-priced structured products."""
    low = held[held["quantity"] > 0].merge(market.tick, left_on="instrument", right_index=True)
    charge = low["quantity"] * (10 * low["tick_multiplier_tenth"]) * settings.minimum_tick
    return cents(charge).sum()


def corporate_action_margin(held: pd.DataFrame, market: Market) -> float:
    """Charge the net market value of entitlements."""
    entitled = held.merge(market.benefit, left_on="instrument", right_index=True)
    net = entitled["market_value"] - entitled["contract_value"]
    rate = entitled["long_rate"].where(net > 0, entitled["short_rate"])
    return half_away((net * rate).abs()).sum()


def round_up(amount: float, multiple: int) -> float:
    """Round up to a multiple; a multiple stays what it is."""
    whole = round(amount / multiple)
    return (whole if isclose(whole * multiple, amount, abs_tol=1e-6) else ceil(amount / multiple)) * multiple


def margin_total(held: pd.DataFrame, market: Market, settings: Settings) -> float:
    """Return the total MTM and margin requirement of one participant, HKD."""
    portfolio = portfolio_margin(held, market, settings)
    flat_rate = flat_rate_margin(held, market, settings)
    charges = portfolio + flat_rate
    charges += liquidation_addon(held, market, settings)
    charges += structured_product_addon(held, market, settings)
    charges += corporate_action_margin(held, market)
    holiday = half_away((portfolio + flat_rate) * market.holiday_factor)
    aggregate = round_up(charges + holiday, market.rounding)
    mark = round((held["market_value"] - held["contract_value"]).sum(), 2)
    net_margin = max(aggregate - max(mark, 0.0), 0.0)
    after_credit = max(net_margin - settings.credit, 0.0)
    net_value = abs(round(held["market_value"].sum(), 2))
    share = max(net_value - settings.capital, 0.0) / net_value if net_value else 0.0
    rate = settings.limit_rate if after_credit > 0 else 1 + settings.limit_rate
    limit = half_away(share * round_up(charges, market.rounding) * rate)
    return round(after_credit + max(-mark, 0.0) + limit, 2)
