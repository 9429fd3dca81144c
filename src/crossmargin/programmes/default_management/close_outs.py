"""Defaulters' books closed out, each as if it alone defaulted.

Positions of all of a defaulter's accounts are netted by instrument, since what is traded in the market is the net.
Losses are before margin: what the defaulter left is set against them elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from crossmargin.clearing.close_out.problem import close_out_problem
from crossmargin.core.columns import require_known
from crossmargin.core.rounding import exact_sums, to_minor
from crossmargin.models.market import HOUSES
from crossmargin.programmes.default_management.liquidity import daily_caps, hedging_rows, trading_costs
from crossmargin.programmes.default_management.paths import gain_paths
from crossmargin.programmes.default_management.settings import CloseOutSettings
from crossmargin.programmes.default_management.ways import DefaultCloseOut, joint_ways, ways_of_each_house
from crossmargin.programmes.frames import DECIMALS, money

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crossmargin.programmes.default_management.paths import GainPaths
    from crossmargin.programmes.houses import Houses

__all__ = ["close_outs", "close_outs_frame", "default_close_outs"]

Book = Int64[np.ndarray, " instruments"]


def close_outs(
    houses: Houses, groups: Sequence[str], settings: CloseOutSettings | None = None
) -> pl.DataFrame:
    """Close out groups of participants, each as if it alone defaulted.

    Parameters
    ----------
    houses : Houses
        The houses on the day of default.
    groups : sequence of str
        Groups of participants; all accounts of each are closed out as one book.
    settings : CloseOutSettings, optional
        The defaults unless given.

    Returns
    -------
    DataFrame
        See ``close_outs_frame``.

    Raises
    ------
    InputError
        Listing every group that has no account; and as ``default_close_outs``.
    """
    known = pl.Series(list(houses.accounts.groups), dtype=pl.String)
    require_known(pl.Series("group", list(groups), pl.String), known, "groups", "a group with an account")
    table = houses.accounts.table
    defaulters = {group: table.filter(group=group)["account"].to_list() for group in groups}
    return close_outs_frame(default_close_outs(houses, defaulters, settings))


def close_outs_frame(found: Sequence[DefaultCloseOut]) -> pl.DataFrame:
    """Return ``group``, ``strategy``, ``coordination``, ``days``, ``transient_loss``, ``terminal_loss``, ``status``.

    ``group`` is the defaulter. Losses are exact decimals, negative for gains; where gains are kept apart they are
    sums of amounts of at least 0.
    """
    rows = [row for one in found for row in one.rows()]
    texts = [
        pl.Series(name, [row[at] for row in rows], pl.String)
        for at, name in enumerate(("group", "strategy", "coordination"))
    ]
    amounts = np.array([row[4:6] for row in rows], np.float64).reshape(-1, 2)
    transient, terminal = (money(to_minor(column, DECIMALS)) for column in amounts.T)
    return pl.DataFrame(texts).with_columns(
        pl.Series("days", [row[3] for row in rows], pl.Int64),
        transient.alias("transient_loss"),
        terminal.alias("terminal_loss"),
        pl.Series("status", [row[6] for row in rows], pl.String),
    )


def default_close_outs(
    houses: Houses, defaulters: Mapping[str, Sequence[str]], settings: CloseOutSettings | None = None
) -> list[DefaultCloseOut]:
    """Close out the books of defaulters, each as if it alone defaulted.

    Parameters
    ----------
    houses : Houses
        The houses on the day of default.
    defaulters : mapping of str to sequence of str
        Name → accounts: those of a group, of one owner, or of one joint account.
    settings : CloseOutSettings, optional
        The defaults unless given.

    Raises
    ------
    InputError
        Listing every account that is not known; if a cap or a hedging instrument is of no instrument with a
        mark, or the histories are too short for the windows.
    """
    settings = settings or CloseOutSettings()
    _require_accounts(houses, defaulters)
    market = _Liquidity(
        caps=daily_caps(houses, settings),
        costs=trading_costs(houses, settings),
        hedges=hedging_rows(houses, settings),
    )
    books = {name: _book(houses, accounts, settings) for name, accounts in defaulters.items()}
    wanted = np.unique(np.concatenate([market.hedges, *(np.flatnonzero(book) for book in books.values())]))
    if not wanted.size:
        return []
    paths = gain_paths(houses, settings.scenarios or houses.scenarios, settings.days, wanted)
    return [_closed_out(houses, name, book, market, paths) for name, book in books.items()]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Liquidity:
    """Units that can be traded each day, cost of a unit, and rows of the hedging instruments."""

    caps: Float64[np.ndarray, "instruments days"]
    costs: Float64[np.ndarray, " instruments"]
    hedges: Int64[np.ndarray, " hedges"]


def _require_accounts(houses: Houses, defaulters: Mapping[str, Sequence[str]]) -> None:
    named = [account for accounts in defaulters.values() for account in accounts]
    known = houses.accounts.table["account"]
    require_known(pl.Series("account", named, pl.String), known, "defaulters", "an account with a book")


def _book(houses: Houses, accounts: Sequence[str], settings: CloseOutSettings) -> Book:
    """Return the net quantity of each instrument of the snapshot in some accounts."""
    table, books = houses.accounts.table, houses.accounts.books
    chosen = table["account"].is_in(list(accounts))
    if settings.account_types is not None:
        chosen &= table["type"].is_in(list(settings.account_types))
    mine = chosen.to_numpy()[books.book]
    rows = books.rows[mine].astype(np.int64)
    return exact_sums(books.quantities[mine], rows, len(houses.snapshot.instruments))


def _closed_out(
    houses: Houses, name: str, book: Book, market: _Liquidity, paths: GainPaths
) -> DefaultCloseOut:
    """Close one book out in every way."""
    instruments = houses.snapshot.instruments
    wanted = np.union1d(np.flatnonzero(book), market.hedges)
    rows = wanted[np.isin(wanted, paths.rows)]
    problem = close_out_problem(
        book[rows].astype(np.float64), paths.at(rows), market.caps[rows], costs=market.costs[rows]
    )
    hedges = np.isin(rows, market.hedges)
    house = instruments["house"].gather(rows)
    return DefaultCloseOut(
        name=name,
        positions=instruments.select("instrument", "house")[rows].with_columns(
            pl.Series("quantity", book[rows])
        ),
        problem=problem,
        labels=paths.labels,
        without_scenarios=tuple(instruments["instrument"].gather(np.setdiff1d(wanted, rows))),
        joint=joint_ways(problem, hedges),
        each_house=ways_of_each_house(problem, hedges, [(house == one).to_numpy() for one in HOUSES]),
    )
