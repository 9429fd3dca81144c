"""What trades would change under a programme: the groups that trade, evaluated before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from crossmargin.core.columns import require_columns, require_known
from crossmargin.errors import BadRecord, InputError
from crossmargin.programmes.accounts import clearing_accounts
from crossmargin.programmes.evaluate import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.core.columns import FrameInput
    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.programme import Programme
    from crossmargin.programmes.result import ProgrammeResult

__all__ = ["ProgrammeChange", "programme_what_if"]

TRADES = {"account": pl.String(), "instrument": pl.String(), "quantity": pl.Int64()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProgrammeChange:
    """A programme before and after trades, for the groups of participants that trade.

    Parameters
    ----------
    trades : DataFrame
        ``account``, ``instrument``, ``quantity``, + bought, − sold.
    before, after : ProgrammeResult
        Of these groups alone.
    """

    trades: pl.DataFrame
    before: ProgrammeResult
    after: ProgrammeResult

    def to_frame(self) -> pl.DataFrame:
        """Return a row a participant and house: called today and under the programme, before and after."""
        keys = ["participant", "group", "house"]
        columns = ["today", "requirement", "saving"]
        tables = [result.participants.select(*keys, *columns) for result in (self.before, self.after)]
        joined = tables[0].join(tables[1], on=keys, how="full", coalesce=True, suffix="_after")
        return joined.select(
            *keys,
            *(
                expression
                for name in columns
                for expression in (
                    pl.col(name).fill_null(0).alias(f"{name}_before"),
                    pl.col(f"{name}_after").fill_null(0),
                )
            ),
        ).sort(keys)


def programme_what_if(programme: Programme, houses: Houses, trades: FrameInput) -> ProgrammeChange:
    """Evaluate a programme with trades added, for the groups whose accounts trade.

    Models, scenarios and marks are those of ``houses``; only the books change.

    Parameters
    ----------
    programme : Programme
        The design.
    houses : Houses
        The houses on a day.
    trades : Polars or pandas frame, or mapping of columns
        ``account``, ``instrument``, ``quantity``, + bought, − sold.

    Raises
    ------
    InputError
        Listing every bad trade: an account or instrument that is not known, or another house's instrument.
    """
    table = require_columns(trades, "trades", TRADES)
    _require_trades(table, houses)
    market, accounts = houses.market, houses.accounts.table
    groups = accounts.filter(pl.col("account").is_in(table["account"].implode()))["group"].unique()
    theirs = accounts.filter(pl.col("group").is_in(groups.implode()))["account"]
    held = _held(houses).filter(pl.col("account").is_in(theirs.implode()))
    traded = pl.concat([held, table]).group_by("account", "instrument").agg(pl.col("quantity").sum())
    books = [
        clearing_accounts(market, houses.snapshot, positions.sort("account", "instrument"), only=theirs)
        for positions in (held, traded.filter(pl.col("quantity") != 0))
    ]
    before, after = (evaluate(programme, houses.holding(one)) for one in books)
    return ProgrammeChange(trades=table, before=before, after=after)


def _held(houses: Houses) -> pl.DataFrame:
    """Return the books of the houses as positions: they may be others than the market's."""
    books = houses.accounts.books
    return pl.DataFrame(
        {
            "account": houses.accounts.table["account"].gather(books.book),
            "instrument": houses.snapshot.instruments["instrument"].gather(books.rows),
            "quantity": books.quantities,
        }
    )


def _require_trades(table: pl.DataFrame, houses: Houses) -> None:
    if not len(table):
        raise InputError([BadRecord(file="trades", line=0, field="", value="", rule="at least one trade")])
    accounts, instruments = houses.accounts.table, houses.snapshot.instruments
    bad = [*_elsewhere(table, accounts, instruments)]
    for column, known, rule in (
        ("account", accounts, "an account of the market"),
        ("instrument", instruments, "an instrument with a mark"),
    ):
        try:
            require_known(table[column], known[column], "trades", rule)
        except InputError as error:
            bad += error.records
    if bad:
        raise InputError(bad)


def _elsewhere(table: pl.DataFrame, accounts: pl.DataFrame, instruments: pl.DataFrame) -> Iterator[BadRecord]:
    """Yield trades in what another house clears."""
    placed = table.with_row_index("row").join(accounts.select("account", "house"), on="account")
    placed = placed.join(instruments.select("instrument", clears="house"), on="instrument").sort("row")
    for row, code, house in (
        placed.filter(pl.col("house") != pl.col("clears")).select("row", "instrument", "house").iter_rows()
    ):
        yield BadRecord(
            file="trades", line=row + 1, field="instrument", value=code, rule=f"cleared by {house}"
        )
