"""Books that show what cross-margining is about, put into any market that has the instruments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from crossmargin.core.columns import NUMBER_LIMIT
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.market import MARKET_SCHEMAS
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.scenarios.index_factor import index_factor
from crossmargin.programmes.houses import HouseSettings
from crossmargin.programmes.opening import house_participant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from crossmargin.models.market import Market

__all__ = ["AMOUNT", "OWNER", "book_market", "etf_futures", "example_settings"]

AMOUNT: Final = 10_000_000.0
"""Market value of each leg, in the market's currency."""

OWNER: Final = "the desk"


def etf_futures(
    market: Market,
    as_of: date,
    *,
    amount: float = AMOUNT,
    index: str | None = None,
    fund: str | None = None,
) -> Market:
    """Return a market in which one owner holds a fund on an index and is short as much in its futures.

    Parameters
    ----------
    market : Market
        With the index, a fund on it (its one constituent in the table of weights), and a future.
    as_of : date
        Day of prices; the nearest future that has a mark is sold.
    amount : float
        Market value of each leg, above 0, in the market's currency; in whole units, the nearest.
    index : str, optional
        The index; unless given that with most constituents, of equal ones that with most prices.
    fund : str, optional
        The fund's underlying; the first on the index unless given.

    Raises
    ------
    InputError
        If there is no such pair, or the amount is out of range or less than one unit of either.
    """
    if not 0 < amount <= NUMBER_LIMIT:  # nor NaN
        rule = f"above 0, at most {NUMBER_LIMIT:,.0f}"
        raise InputError([BadRecord(file="example", line=0, field="amount", value=str(amount), rule=rule)])
    table = make_snapshot(market, as_of).instruments
    bought, sold = _pair(market, table, as_of, index, fund)
    positions = {
        bought["instrument"]: round(amount / _value(bought)),
        sold["instrument"]: -round(amount / _value(sold)),
    }
    if not all(positions.values()):
        worth = ", ".join(f"{name} {quantity}" for name, quantity in positions.items())
        raise InputError(
            [BadRecord(file="example", line=0, field="amount", value=str(amount), rule=f"a unit: {worth}")]
        )
    return book_market(market, positions, name=f"{bought['underlying']} against {sold['instrument']}")


def example_settings(market: Market, as_of: date) -> HouseSettings:
    """Return house settings in which HKSCC's margin credit is used up by what else the participant holds.

    The credit is a participant's, for its whole book: a small book alone would pay nothing at HKSCC.
    """
    participant = house_participant(market, as_of)
    return HouseSettings(participant=replace(participant, margin_credit=0.0))


def _pair(
    market: Market, table: pl.DataFrame, as_of: date, index: str | None, fund: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the rows of a fund and of the nearest future on its index."""
    tracks = market.weights_on(as_of).filter(pl.col("weight").min().over("underlying") == 1.0)
    longest = pl.format("spot:{}", "constituent") == index_factor(market, as_of)
    sizes = market.weights_on(as_of).group_by(pl.col("underlying").alias("constituent")).len("size")
    tracks = tracks.join(sizes, on="constituent", how="left").with_columns(
        pl.col("size").fill_null(0), longest=longest
    )
    if index is not None:
        tracks = tracks.filter(constituent=index)
    if fund is not None:
        tracks = tracks.filter(underlying=fund)
    funds = (
        table.filter(kind="etf")
        .join(tracks, on="underlying")
        .sort("size", "longest", "constituent", "instrument", descending=[True, True, False, False])
    )
    futures = table.filter(kind="future").sort("expiry", "instrument")
    for row in funds.iter_rows(named=True):
        near = futures.filter(underlying=row["constituent"])
        if len(near):
            return row, near.row(0, named=True)
    value = " ".join(filter(None, (index, fund))) or market.name
    rule = f"a fund on an index and a future on it, both with prices on {as_of}"
    raise InputError([BadRecord(file="example", line=0, field="market", value=value, rule=rule)])


def _value(row: Mapping[str, Any]) -> float:
    """Return the value of one unit in the market's currency."""
    return float(row["mark"] * row["multiplier"] * row["exchange_rate"])


def book_market(
    market: Market, positions: Mapping[str, int], *, name: str, participant: str = "example"
) -> Market:
    """Return a market in which one participant holds positions for one owner that agreed to cross-margining.

    Parameters
    ----------
    market : Market
        Instruments and histories are kept; participants, accounts and positions are not.
    positions : mapping of str to int
        Quantity by instrument.
    name : str
        Of the market made.
    participant : str
        Name of the participant.

    Raises
    ------
    InputError
        Listing every instrument that the market lacks.
    """
    houses = dict(market["instruments"].select("instrument", "house").iter_rows())
    rule = f"an instrument of {market.name}"
    if bad := [
        BadRecord(file="positions", line=0, field="instrument", value=instrument, rule=rule)
        for instrument in positions
        if instrument not in houses
    ]:
        raise InputError(bad)
    used = sorted({houses[instrument] for instrument in positions})
    accounts: dict[str, Any] = {
        "account": [f"{OWNER}, {house}" for house in used],
        "participant": participant,
        "house": used,
        "type": "house",
        "basis": "net",
        "owner": OWNER,
        "consent": 1,
    }
    rows: dict[str, Any] = {
        "date": None,
        "account": [f"{OWNER}, {houses[instrument]}" for instrument in positions],
        "instrument": list(positions),
        "quantity": list(positions.values()),
    }
    tables: dict[str, dict[str, Any]] = {
        "participants": {"participant": [participant], "name": "an example", "group": participant},
        "accounts": accounts,
        "positions": rows,
    }
    frames = {table: pl.DataFrame(columns, schema=MARKET_SCHEMAS[table]) for table, columns in tables.items()}
    return replace(market, name=name, tables={**market.tables, **frames})
