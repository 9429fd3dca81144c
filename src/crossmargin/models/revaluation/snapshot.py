"""The market on one day: marks, forwards and rates that a revaluation starts from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from crossmargin.models.market import Market

__all__ = ["DAYS_A_YEAR", "FINDINGS_SCHEMA", "Snapshot", "findings", "interest_rates", "make_snapshot"]

DAYS_A_YEAR: Final = 365.0

FINDINGS_SCHEMA: Final = {"subject": pl.String(), "kind": pl.String(), "action": pl.String()}
"""What was found amiss with which instrument or underlying, and what was done about it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot:
    """Instruments that can be valued on a day, with what that takes.

    Parameters
    ----------
    as_of : date
        The day.
    currency : str
        Currency of profit and loss.
    data_note : str
        What the market says of itself.
    instruments : DataFrame
        Columns of the market's table, sorted by instrument, and ``spot`` (of the underlying), ``mark``
        (spot of an equity or ETF, settlement price of others), ``days`` (to expiry, null for none),
        ``exchange_rate`` (to ``currency``), ``underlying_kind``, ``dividend_yield``.
    dividends : DataFrame
        ``underlying``, ``ex_date``, ``amount`` of days after ``as_of``.
    rates : DataFrame
        ``currency``, ``days``, ``rate`` of the latest day.
    findings : DataFrame
        What was left out or replaced, see ``FINDINGS_SCHEMA``.
    """

    as_of: date
    currency: str
    data_note: str
    instruments: pl.DataFrame
    dividends: pl.DataFrame
    rates: pl.DataFrame
    findings: pl.DataFrame

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all that valuation rests on."""
        digest = hashlib.sha256(repr((self.as_of.isoformat(), self.currency)).encode())
        for table in (self.instruments, self.dividends, self.rates):
            digest.update(table.write_csv().encode())
        return digest.hexdigest()


def make_snapshot(market: Market, as_of: date, *, stale_days: int = 7) -> Snapshot:
    """Return the market of a day.

    Instruments that have expired, or whose price, mark or exchange rate is missing or older than
    ``stale_days``, are left out and found; it is for the caller to refuse a position in one.

    Raises
    ------
    InputError
        If nothing is left to value.
    """
    instruments = _with_prices(market, as_of, as_of - timedelta(days=stale_days))
    reasons = pl.coalesce(
        pl.when(pl.col("days") <= 0).then(pl.lit("expired")),
        pl.when(pl.col("spot").is_null()).then(pl.lit("no price of the underlying")),
        pl.when(pl.col("mark").is_null()).then(pl.lit("no settlement price")),
        pl.when(pl.col("exchange_rate").is_null()).then(pl.lit("no exchange rate")),
    )
    judged = instruments.with_columns(reasons.alias("reason"))
    out = judged.filter(pl.col("reason").is_not_null())
    live = judged.filter(pl.col("reason").is_null()).drop("reason")
    if not len(live):
        rule = f"at least one instrument with a price up to {as_of.isoformat()}"
        raise InputError([BadRecord(file="market", line=0, field="instruments", value="none", rule=rule)])
    rates = market.latest("rates", as_of, "currency", "days").select("currency", "days", "rate")
    missing = sorted(set(live["currency"]) - set(rates["currency"]))
    found = [
        *((row["instrument"], row["reason"], "left out") for row in out.iter_rows(named=True)),
        *((currency, "no interest rate", "0 is used") for currency in missing),
    ]
    return Snapshot(
        as_of=as_of,
        currency=market.currency,
        data_note=market.data_note,
        instruments=live,
        dividends=market["dividends"].filter(pl.col("ex_date") > as_of),
        rates=rates,
        findings=findings(found),
    )


def findings(rows: Sequence[tuple[str, str, str]]) -> pl.DataFrame:
    """Return findings as a table."""
    return pl.DataFrame(rows, schema=FINDINGS_SCHEMA, orient="row")


def _with_prices(market: Market, as_of: date, oldest: date) -> pl.DataFrame:
    """Return every instrument with its spot, mark, days to expiry and exchange rate, null where missing."""
    spots = market.latest("prices", as_of, "underlying").filter(pl.col("date") >= oldest)
    marks = market.latest("marks", as_of, "instrument").filter(pl.col("date") >= oldest)
    fx = market.latest("exchange_rates", as_of, "currency").filter(pl.col("date") >= oldest)
    own = pl.DataFrame({"currency": [market.currency], "exchange_rate": [1.0]})
    foreign = fx.filter(pl.col("currency") != market.currency)
    rates = pl.concat([own, foreign.select("currency", pl.col("rate").alias("exchange_rate"))])
    terms = market["underlyings"].select(
        "underlying", pl.col("kind").alias("underlying_kind"), "dividend_yield"
    )
    is_linear = pl.col("kind").is_in(["equity", "etf"])
    return (
        market["instruments"]
        .join(spots.select("underlying", pl.col("close").alias("spot")), on="underlying", how="left")
        .join(marks.select("instrument", pl.col("price").alias("mark")), on="instrument", how="left")
        .join(rates, on="currency", how="left")
        .join(terms, on="underlying", how="left")
        .with_columns(
            pl.when(is_linear).then(pl.col("spot")).otherwise(pl.col("mark")).alias("mark"),
            (pl.col("expiry") - as_of).dt.total_days().alias("days"),
        )
        .sort("instrument")
    )


def interest_rates(
    rates: pl.DataFrame, currency: str, days: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Return continuous rates a year, linear between the days that are given, flat beyond; 0 where none is."""
    curve = rates.filter(pl.col("currency") == currency).sort("days")
    if not len(curve):
        return np.zeros_like(days)
    return np.interp(days, curve["days"].to_numpy(), curve["rate"].to_numpy())
