"""The house's risk parameters of a day, made from a market and a set of scenarios (guide §2).

What HKSCC publishes each evening is made here from histories: FieldTypes 1 and 2 from the moves of the two
parts of a scenario set, FieldType 4 from closing prices and a regression on the hedging instrument, and
FieldType 3 for what has no scenarios. The house's own file remains the authority on its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64

from crossmargin.core.columns import require_columns, require_known
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.hkscc.parameters import TABLE_SCHEMAS, HksccParameters, TailMeasure
from crossmargin.models.scenarios.history_rules import require_within
from crossmargin.models.scenarios.proxies import regression

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.market import Market
    from crossmargin.models.scenarios.scenario_set import ScenarioPart, ScenarioSet

__all__ = ["Rpf01Rules", "confidence_of", "rpf01_parameters"]

PARTS: Final = 2
DECIMALS: Final = 10
"""Of a return in the file."""
PRICE_DECIMALS: Final = 6
BETA_DECIMALS: Final = 4
RETURN_MAX: Final = 100.0
"""Largest return that a file and the kernel of tails take."""

RANGES: Final = {
    "flat_rate": (0.0, 10.0),
    "bucket_rate": (0.0, 10.0),
    "threshold": (0, 10**12),
    "rounding": (1, 10**12),
    "holiday_factor": (0.0, 100.0),
    "stress_test_count": (0, 10**6),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpf01Rules:
    """What a risk parameter file says that no history tells.

    Parameters
    ----------
    hedging_instrument : str
        Betas are against its moves in the historical part.
    flat_rate : float
        Of instruments without scenarios; the highest of the rates published (group 3, from 2025-10-27).
    bucket_rate, threshold : float, int
        Liquidation add-on of every instrument with scenarios: a fraction, and HKD of delta-equivalent
        market value; those of the guide's sample for the most liquid stock.
    rounding : int
        The aggregate is rounded up to a multiple of this, HKD.
    holiday_factor : float
        √H − 1 for H consecutive holidays.
    stress_test_count : int
        Carried, not used.

    Raises
    ------
    InputError
        Listing every value out of range.
    """

    hedging_instrument: str = "2800"
    flat_rate: float = 0.55
    bucket_rate: float = 0.0022
    threshold: int = 300_000_000
    rounding: int = 10_000
    holiday_factor: float = 0.0
    stress_test_count: int = 200

    def __post_init__(self) -> None:
        require_within(self, RANGES)


def rpf01_parameters(
    scenarios: ScenarioSet,
    market: Market,
    *,
    rules: Rpf01Rules | None = None,
    flat_rates: FrameInput | None = None,
) -> HksccParameters:
    """Make the risk parameters of a market's instruments at HKSCC.

    An instrument has scenarios if its underlying's spot is a risk factor and, where the underlying trades
    in another currency than the market's, that currency's exchange rate is one too: the return in the
    market's currency is (1 + spot) × (1 + exchange rate) − 1. Every other instrument, and each one in
    ``flat_rates``, has a flat rate.

    Parameters
    ----------
    scenarios : ScenarioSet
        Of two parts, HVaR and SVaR in this order; its day is the valuation date.
    market : Market
        Instruments of HKSCC, closing prices and exchange rates up to that day.
    rules : Rpf01Rules, optional
        The defaults unless given.
    flat_rates : Polars or pandas frame, or mapping of columns, optional
        ``instrument`` and ``rate``, a fraction, of instruments whose flat rate is known.

    Returns
    -------
    HksccParameters
        Returns with ten decimals, betas with four; a price is HKD for one unit of quantity.

    Raises
    ------
    InputError
        If there are not two parts, no instrument has scenarios, the hedging instrument has none or does
        not move, one has no price, or a return is beyond what a file takes.
    """
    rules = rules or Rpf01Rules()
    if len(scenarios.parts) != PARTS:
        names = ", ".join(part.name for part in scenarios.parts)
        raise InputError([_bad("scenarios", "parts", names, "two parts: HVaR and SVaR")])
    held = _instruments(scenarios, market)
    flat = _flat_rates(held, flat_rates, rules)
    held = held.join(flat, on="instrument", how="anti", maintain_order="left")
    returns = _returns(scenarios, held)
    historical, stressed = (_measure(part) for part in scenarios.parts)
    return HksccParameters(
        valuation_date=scenarios.as_of,
        historical=historical,
        stressed=stressed,
        stress_test_count=rules.stress_test_count,
        rounding=rules.rounding,
        holiday_factor=rules.holiday_factor,
        scenario_instruments=held["instrument"],
        returns=returns,
        flat_rate=flat,
        liquidation=_liquidation(
            market, held, returns[:, : historical.scenario_count], scenarios.as_of, rules
        ),
        **{
            name: pl.DataFrame(schema=TABLE_SCHEMAS[name])
            for name in ("structured_product", "tick", "benefit")
        },
    )


def confidence_of(tail_count: int, scenario_count: int) -> Decimal:
    """Return the shortest decimal confidence whose tail of a number of scenarios has a given size.

    0.994 for 6 of 1,000, and 0.98 for 21 of 1,018: ⌈0.02 × 1,018⌉ = 21.
    """
    for digits in range(1, 20):
        share = min(tail_count * 10**digits // scenario_count, 10**digits - 1)  # of 10^digits
        if share * scenario_count > (tail_count - 1) * 10**digits:
            return 1 - Decimal(share).scaleb(-digits)
    raise AssertionError((tail_count, scenario_count))


def _measure(part: ScenarioPart) -> TailMeasure:
    confidence = confidence_of(part.tail_count, part.size)
    return TailMeasure(weight=part.weight, confidence=confidence, scenario_count=part.size)


def _instruments(scenarios: ScenarioSet, market: Market) -> pl.DataFrame:
    """Return the cash instruments of HKSCC with the columns of their factors, null where they have none.

    ``spot`` and ``exchange`` are columns of the moves; ``exchange`` is −1 in the market's own currency.
    """
    cash = market["instruments"].filter(
        (pl.col("house") == "HKSCC") & pl.col("kind").is_in(["equity", "etf"])
    )
    currency = market["underlyings"].select("underlying", pl.col("currency").alias("trades_in"))
    table = cash.join(currency, on="underlying", how="left", maintain_order="left")
    columns = scenarios.columns
    spot = [columns.get(f"spot:{name}") for name in table["underlying"]]
    exchange = [
        -1 if code == market.currency else columns.get(f"exchange_rate:{code}") for code in table["trades_in"]
    ]
    return table.select(
        "instrument",
        "underlying",
        "multiplier",
        "trades_in",
        pl.Series("spot", spot, pl.Int64),
        pl.Series("exchange", exchange, pl.Int64),
    ).sort("instrument")


def _flat_rates(held: pl.DataFrame, given: FrameInput | None, rules: Rpf01Rules) -> pl.DataFrame:
    schema = TABLE_SCHEMAS["flat_rate"]
    known = pl.DataFrame(schema=schema)
    if given is not None:
        rate_rule = (pl.col("rate").is_between(0, 10), "from 0 to 10")
        known = require_columns(given, "flat_rates", schema, key=["instrument"], rules={"rate": rate_rule})
        require_known(known["instrument"], held["instrument"], "flat_rates", "a cash instrument of HKSCC")
    without = pl.col("spot").is_null() | pl.col("exchange").is_null()
    rated = held.join(known, on="instrument", how="left", maintain_order="left")
    return rated.filter(without | pl.col("rate").is_not_null()).select(
        "instrument", pl.col("rate").fill_null(rules.flat_rate)
    )


def _returns(scenarios: ScenarioSet, held: pl.DataFrame) -> Float64[np.ndarray, "instruments scenarios"]:
    exchange = held["exchange"].to_numpy()
    rates = np.where(exchange[:, None] >= 0, scenarios.moves.T[exchange], 0.0)
    moves = (1.0 + scenarios.moves.T[held["spot"].to_numpy()]) * (1.0 + rates) - 1.0
    returns = np.round(moves, DECIMALS) + 0.0  # no negative zero
    beyond = (np.abs(returns) > RETURN_MAX).any(axis=1)
    if bad := [
        _bad("scenarios", "move", name, f"returns of at most {RETURN_MAX:.0f} in size")
        for name in held["instrument"].filter(pl.Series(beyond))
    ]:
        raise InputError(bad)
    return np.ascontiguousarray(returns)


def _liquidation(
    market: Market,
    held: pl.DataFrame,
    historical: Float64[np.ndarray, "instruments scenarios"],
    day: date,
    rules: Rpf01Rules,
) -> pl.DataFrame:
    columns = {
        "instrument": held["instrument"],
        "bucket_rate": np.full(len(held), rules.bucket_rate),
        "beta": _betas(historical, held["instrument"], rules.hedging_instrument),
        "threshold": np.full(len(held), rules.threshold),
        "cash_delta": _prices(market, held, day),
    }
    return pl.DataFrame(columns, schema=TABLE_SCHEMAS["liquidation"])


def _prices(market: Market, held: pl.DataFrame, day: date) -> pl.Series:
    """Return the price of one unit of each instrument in the market's currency."""
    closes = market.latest("prices", day, "underlying").select("underlying", "close")
    rates = market.latest("exchange_rates", day, "currency").select(trades_in="currency", rate="rate")
    table = held.join(closes, on="underlying", how="left", maintain_order="left")
    table = table.join(rates, on="trades_in", how="left", maintain_order="left")
    own = pl.col("trades_in") == market.currency
    price = pl.col("close") * pl.col("multiplier") * pl.when(own).then(1.0).otherwise(pl.col("rate"))
    prices = table.select(price.round(PRICE_DECIMALS).alias("price")).to_series()
    missing = prices.is_null() | (prices <= 0)
    if bad := [
        _bad("market", "price", name, f"a price, and an exchange rate, up to {day}")
        for name in held["instrument"].filter(missing)
    ]:
        raise InputError(bad)
    return prices


def _betas(
    returns: Float64[np.ndarray, "instruments scenarios"], names: pl.Series, hedging_instrument: str
) -> Float64[np.ndarray, " instruments"]:
    rows = np.flatnonzero((names == hedging_instrument).to_numpy())
    if not rows.size or not returns[rows[0]].any():
        rule = "an instrument of HKSCC with scenarios that moves"
        raise InputError([_bad("rules", "hedging_instrument", hedging_instrument, rule)])
    hedge = returns[rows[0]]
    betas = np.array([regression(row, hedge)[0] for row in returns])
    return np.round(betas, BETA_DECIMALS) + 0.0


def _bad(file: str, field: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file=file, line=0, field=field, value=value, rule=rule)
