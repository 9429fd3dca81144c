"""SPAN parameters built by hand, a few lines a market."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from crossmargin.models.span.parameters import DEFAULT_SCAN_POINTS, SPAN_SCHEMAS, SpanParameters

COMMODITY = {
    "exchange": "HKF",
    "name": "",
    "currency": "HKD",
    "option_style": "futures",
    "cap_option_value": False,
    "short_option_minimum": 0.0,
    "som_method": "sum",
    "price_risk_method": "normal",
    "intra_method": "table",
    "spot_method": "table",
    "adjustment_member": 1.0,
    "adjustment_hedger": 1.0,
    "adjustment_speculator": 1.0,
    "initial_member": 1.0,
    "initial_hedger": 1.0,
    "initial_speculator": 1.0,
}

SERIES = {
    "exchange": "HKF",
    "product_type": "FUT",
    "right": "",
    "strike": 0.0,
    "future_month": "",
    "composite_delta": 1.0,
    "delta_scaling": 1.0,
    "contract_size": 1.0,
    "option_style": "futures",
    "price": None,
    "implied_volatility": None,
    "price_scan_range": None,
    "volatility_scan_range": None,
    "years_to_expiry": None,
}


def table(name: str, rows: list[dict]) -> pl.DataFrame:
    schema = SPAN_SCHEMAS[name]
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in rows], schema=schema)


def future(product: str, month: str, losses, commodity: str | None = None, **more) -> dict:
    commodity = commodity or product
    own = {
        "product": product,
        "commodity": commodity,
        "expiry": month,
        "delta_month": month,
    }
    return SERIES | own | {"losses": losses} | more


def option(
    product: str, month: str, right: str, strike: float, losses, commodity: str | None = None, **more
) -> dict:
    own = {"product_type": "OOP", "right": right, "strike": strike}
    return future(product, month, losses, commodity) | own | more


def future_losses(scan_range: float, extreme: float = 0.7) -> list[float]:
    """Losses of one long future: scan range × (0, ∓1/3, ∓2/3, ∓1 twice each, ∓extreme)."""
    moves = [0, 0, -1 / 3, -1 / 3, 1 / 3, 1 / 3, -2 / 3, -2 / 3, 2 / 3, 2 / 3, -1, -1, 1, 1]
    return [move * scan_range for move in moves] + [-extreme * scan_range, extreme * scan_range]


def market(
    series: list[dict], commodities: dict[str, dict] | None = None, **tables: list[dict]
) -> SpanParameters:
    """Build parameters: series with their losses, settings by commodity, and rows of other tables."""
    codes = dict.fromkeys(row["commodity"] for row in series)
    rows = [COMMODITY | {"commodity": code} | (commodities or {}).get(code, {}) for code in codes]
    frames = {
        name: table(name, tables.get(name, []))
        for name in SPAN_SCHEMAS
        if name not in {"commodities", "series"}
    }
    if "scan_points" not in tables:
        frames["scan_points"] = DEFAULT_SCAN_POINTS
    return SpanParameters(
        organization="TEST",
        business_date=date(2019, 7, 2),
        settlement="final",
        source_format="",
        losses=np.array([row["losses"] for row in series], np.float64).reshape(len(series), 16),
        commodities=table("commodities", rows),
        series=table("series", series),
        **frames,
    )


def calendar_spread(
    commodity: str, charge: float, spread: int = 1, priority: int = 1
) -> dict[str, list[dict]]:
    """One tier over all months, paired with itself at a charge."""
    legs = [
        {"spread": spread, "leg": i + 1, "tier": 1, "ratio": 1.0, "side": side} for i, side in enumerate("AB")
    ]
    return {
        "tiers": [{"commodity": commodity, "kind": "intra", "tier": 1, "start": "", "end": ""}],
        "intra_spreads": [
            {"spread": spread, "commodity": commodity, "kind": "tier", "priority": priority, "charge": charge}
        ],
        "intra_legs": legs,
    }


def inter_spread(
    legs: list[tuple[str, float, str]], rate: float, *, spread: int = 1, priority: int = 1, **more
) -> dict[str, list[dict]]:
    """One spread between commodities: (commodity, ratio, side) of each leg, and the credit rate."""
    own = {"group": "ALL", "method": "delta", "credit": "price_risk", "first": False, "minimum_legs": 2}
    own["eligibility"] = "all"
    leg = {"required": True, "target": False, "rate": None, "tier": None}
    return {
        "inter_spreads": [own | {"spread": spread, "priority": priority, "rate": rate} | more],
        "inter_legs": [
            leg | {"spread": spread, "leg": i + 1, "commodity": code, "ratio": ratio, "side": side}
            for i, (code, ratio, side) in enumerate(legs)
        ],
    }


def positions(*rows: tuple) -> pl.DataFrame:
    """Rows of (product, expiry, quantity) or (product, expiry, right, strike, quantity)."""
    full = [row if len(row) == 5 else (row[0], row[1], None, None, row[2]) for row in rows]
    schema = {
        "product": pl.String(),
        "expiry": pl.String(),
        "right": pl.String(),
        "strike": pl.Float64(),
        "quantity": pl.Int64(),
    }
    return pl.DataFrame(full, schema=schema, orient="row")
