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

from crossmargin.core.columns import require_date
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from crossmargin.models.market import Market

__all__ = ["DAYS_A_YEAR", "FINDINGS_SCHEMA", "Snapshot", "findings", "interest_rates", "make_snapshot"]

DAYS_A_YEAR: Final = 365.0

FAR: Final = 0.25
"""Relative distance of a future from its underlying beyond which it is found."""

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
    history_hash : str
        SHA-256 of the market's histories up to the day.
    findings : DataFrame
        What was left out or replaced, see ``FINDINGS_SCHEMA``.
    """

    as_of: date
    currency: str
    data_note: str
    instruments: pl.DataFrame
    dividends: pl.DataFrame
    rates: pl.DataFrame
    history_hash: str
    findings: pl.DataFrame

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all that valuation rests on, and the histories that scenarios are made from."""
        said = (self.as_of.isoformat(), self.currency, self.data_note, self.history_hash)
        digest = hashlib.sha256(repr(said).encode())
        for table in (self.instruments, self.dividends, self.rates):
            digest.update(table.write_csv().encode())
        return digest.hexdigest()


def make_snapshot(market: Market, as_of: date, *, stale_days: int = 7) -> Snapshot:
    """Return the market of a day.

    Instruments that have expired, or whose price, mark or exchange rate is missing or older than
    ``stale_days``, are left out and found; it is for the caller to refuse a position in one. What is used
    although it is of an earlier day, and a future far from its underlying, is found too.

    Raises
    ------
    InputError
        If nothing is left to value.
    """
    oldest = as_of - timedelta(days=stale_days)
    instruments = _with_prices(market, require_date(as_of, "as_of"), oldest)
    judged = instruments.with_columns(_reason().alias("reason"))
    live = judged.filter(pl.col("reason").is_null()).drop("reason")
    if not len(live):
        rule = f"at least one instrument with a price up to {as_of.isoformat()}"
        raise InputError([BadRecord(file="market", line=0, field="instruments", value="none", rule=rule)])
    rates = market.latest("rates", as_of, "currency", "days")
    out = judged.filter(pl.col("reason").is_not_null()).select("instrument", "reason")
    found = [
        *((instrument, reason, "left out") for instrument, reason in out.iter_rows()),
        *_earlier(live, as_of),
        *_rate_findings(live, rates, oldest),
        *_far_futures(live),
    ]
    return Snapshot(
        as_of=as_of,
        currency=market.currency,
        data_note=market.data_note,
        instruments=live.drop("spot_date", "mark_date"),
        dividends=market["dividends"].filter(pl.col("ex_date") > as_of),
        rates=rates.select("currency", "days", "rate"),
        history_hash=market.history_hash(as_of),
        findings=findings(found),
    )


def _reason() -> pl.Expr:
    """Say why an instrument cannot be valued; null where it can."""
    no_mark = pl.col("mark").is_null() | ((pl.col("kind") == "future") & (pl.col("mark") <= 0))
    return pl.coalesce(
        pl.when(pl.col("days") <= 0).then(pl.lit("expired")),
        pl.when(pl.col("spot").is_null()).then(pl.lit("no price of the underlying")),
        pl.when(no_mark).then(pl.lit("no settlement price")),
        pl.when(pl.col("exchange_rate").is_null()).then(pl.lit("no exchange rate")),
    )


def _earlier(live: pl.DataFrame, as_of: date) -> Iterator[tuple[str, str, str]]:
    """Find prices and marks of an earlier day."""
    spots = (
        live.filter(pl.col("spot_date") < as_of).select("underlying", "spot_date").unique().sort("underlying")
    )
    for underlying, day in spots.iter_rows():
        yield underlying, "price of an earlier day", f"that of {day} is used"
    marks = live.filter(pl.col("mark_date") < as_of).select("instrument", "mark_date")
    for instrument, day in marks.iter_rows():
        yield instrument, "settlement price of an earlier day", f"that of {day} is used"


def _rate_findings(live: pl.DataFrame, rates: pl.DataFrame, oldest: date) -> Iterator[tuple[str, str, str]]:
    for currency in sorted(set(live["currency"]) - set(rates["currency"])):
        yield currency, "no interest rate", "0 is used"
    old = rates.filter(pl.col("date") < oldest).select("currency", "days", "date")
    for currency, days, day in old.iter_rows():
        yield f"{currency} {days} days", "old interest rate", f"that of {day} is used"


def _far_futures(live: pl.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Find futures whose price is so far from the underlying's that one of the two may be wrong."""
    ratio = pl.col("mark") / pl.col("spot")
    far = live.filter(pl.col("kind") == "future", ~ratio.is_between(1 / (1 + FAR), 1 + FAR))
    for instrument in far["instrument"]:
        yield instrument, f"more than {FAR:.0%} from its underlying", "used"


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
        .join(
            spots.select("underlying", pl.col("close").alias("spot"), pl.col("date").alias("spot_date")),
            on="underlying",
            how="left",
        )
        .join(
            marks.select("instrument", pl.col("price").alias("mark"), pl.col("date").alias("mark_date")),
            on="instrument",
            how="left",
        )
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
