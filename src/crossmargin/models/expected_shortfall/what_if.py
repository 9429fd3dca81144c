"""What trades would change in one account: its vector is kept, and a trade is one row added to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl
from jaxtyping import Float, Int64

from crossmargin.core.amounts import exact_decimals
from crossmargin.core.columns import NUMBER_LIMIT
from crossmargin.core.rounding import to_minor
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.incremental_tails import IncrementalTails
from crossmargin.kernels.tail_means import tail_mean, tail_scenarios
from crossmargin.models.expected_shortfall.margin import DECIMALS, requirement
from crossmargin.models.expected_shortfall.result import provenance_of
from crossmargin.models.expected_shortfall.tails import account_vector
from crossmargin.models.revaluation.new_series import NewSeries

if TYPE_CHECKING:
    from crossmargin.core.provenance import Provenance
    from crossmargin.models.expected_shortfall.margin import EsMargins

__all__ = ["EsChange", "SeriesPricing", "WhatIf"]

STATUS: Final = {(True, True): "stays", (False, True): "enters", (True, False): "leaves"}


class SeriesPricing(Protocol):
    """What gives a row for an option that the cube lacks: ``models.revaluation.pricing.SeriesPricer``."""

    def row(self, series: NewSeries) -> Float[np.ndarray, " stride"]:
        """Return profit and loss of one contract, laid out as the cube's rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EsChange:
    """An account before and after trades.

    Parameters
    ----------
    account, currency : str
        Whose margin, and in what.
    trades : tuple of (str, int)
        Instrument and quantity of each trade, in order.
    before, after : int
        Requirement in hundredths of the currency.
    shortfalls : DataFrame
        ``part``, ``weight``, ``before``, ``after``: expected shortfalls, loss-positive, before weights.
    tail_scenarios : DataFrame
        ``part``, ``scenario`` (label), ``before``, ``after`` (profit and loss), ``status`` ("stays",
        "enters" or "leaves" the tail); of each part the worst afterwards first.
    provenance : Provenance
        What it takes to make it again.
    """

    account: str
    currency: str
    trades: tuple[tuple[str, int], ...]
    before: int
    after: int
    shortfalls: pl.DataFrame
    tail_scenarios: pl.DataFrame
    provenance: Provenance

    @property
    def difference(self) -> int:
        """What the trades add to the requirement, in hundredths."""
        return self.after - self.before

    def to_frame(self) -> pl.DataFrame:
        """Return one row: account, currency, requirement before, after, and the difference."""
        amounts = {"before": self.before, "after": self.after, "difference": self.difference}
        return pl.DataFrame(
            {
                "account": [self.account],
                "currency": [self.currency],
                **{name: exact_decimals(np.array([value]), DECIMALS) for name, value in amounts.items()},
            }
        )

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain objects that JSON holds; amounts are decimal strings."""
        row = self.to_frame().cast(pl.String).row(0, named=True)
        return {
            **row,
            "trades": [{"instrument": code, "quantity": quantity} for code, quantity in self.trades],
            "shortfalls": self.shortfalls.to_dicts(),
            "tail_scenarios": self.tail_scenarios.to_dicts(),
            "provenance": self.provenance.to_dict(),
        }


def require_quantity(quantity: object) -> int:
    """Return a whole number of units within ±10^12.

    Raises
    ------
    InputError
        If it is none.
    """
    whole = isinstance(quantity, (int, np.integer)) and not isinstance(quantity, bool)
    if not whole or abs(int(quantity)) > NUMBER_LIMIT:  # type: ignore[call-overload]
        rule = "a whole number from −10^12 to 10^12"
        raise InputError([BadRecord(file="trade", line=0, field="quantity", value=str(quantity), rule=rule)])
    return int(quantity)  # type: ignore[call-overload]


class WhatIf:
    """Trades tried on one account.

    Parameters
    ----------
    margins : EsMargins
        Of all accounts; nothing in it changes.
    account : str
        The account; one without positions starts from nothing.
    pricing : SeriesPricing, optional
        For options that the cube has no row for; without it they are refused.

    Examples
    --------
    >>> what_if = WhatIf(margins, "A1")  # doctest: +SKIP
    >>> what_if.add("HSI.F.2024-05-30", -10).difference  # doctest: +SKIP
    """

    def __init__(self, margins: EsMargins, account: str, pricing: SeriesPricing | None = None) -> None:
        self.account = account
        self._margins, self._pricing = margins, pricing
        held = margins.book.held(account) if account in margins.book.number else slice(0, 0)
        self._start = account_vector(margins, held)
        self._now = self._start.copy()
        self._trades: list[tuple[str, int]] = []
        self._rows: dict[str, Float[np.ndarray, " stride"]] = {}

    def add(self, trade: str | NewSeries, quantity: int) -> EsChange:
        """Trade, + bought, − sold, on top of the trades before; return what all of them change.

        Trades of one instrument are netted before they reach the vector, so that what is taken back leaves
        no trace. A trade that is refused changes nothing.

        Raises
        ------
        InputError
            If there is no row for the instrument, or the quantity is no whole number up to 10^12.
        """
        code = trade.code if isinstance(trade, NewSeries) else trade
        rows = self._rows if code in self._rows else {**self._rows, code: self._row(trade)}
        trades = [*self._trades, (code, require_quantity(quantity))]
        now = self._vector(rows, trades)
        change = self._change(now, trades)
        self._rows, self._trades, self._now = rows, trades, now
        return change

    def _vector(
        self, rows: dict[str, Float[np.ndarray, " stride"]], trades: list[tuple[str, int]]
    ) -> Float[np.ndarray, " stride"]:
        """Return the account's vector with trades, net by instrument, in the order of the first of each."""
        net: dict[str, int] = {}
        for code, quantity in trades:
            net[code] = net.get(code, 0) + quantity
        now = self._start.copy()
        for code, quantity in net.items():
            if quantity:
                now += now.dtype.type(quantity) * rows[code]
        return now

    def remove(self, trade: str | NewSeries, quantity: int) -> EsChange:
        """Take a quantity away: the opposite of ``add``."""
        return self.add(trade, -quantity)

    def trials(self) -> IncrementalTails:
        """Return the account as it stands now, bound for trials of one trade in microseconds each.

        ``trials().add(row, quantity)`` gives the expected shortfall of each part, before weights, with that
        trade; ``row`` is a row of the cube (``cube.row_of``). Nothing is kept; later trades do not reach it.

        Raises
        ------
        InputError
            If the cube's rows are in sixteen bits.
        """
        cube = self._margins.cube
        if cube.scales is not None:
            rule = "a cube of float32 or float64 rows"
            raise InputError([BadRecord(file="cube", line=0, field="precision", value="int16", rule=rule)])
        tails = np.array([part.tail_count for part in cube.parts], np.int64)
        return IncrementalTails(self._now, cube.pnl, cube.layout.bounds, tails)

    def reset(self) -> None:
        """Forget every trade."""
        self._now, self._trades, self._rows = self._start.copy(), [], {}

    def _row(self, trade: str | NewSeries) -> Float[np.ndarray, " stride"]:
        if isinstance(trade, str):
            return self._margins.cube.row(trade)
        if self._pricing is None:
            rule = "an instrument of the cube, as there are no marks to price another from"
            raise InputError(
                [BadRecord(file="trade", line=0, field="instrument", value=trade.code, rule=rule)]
            )
        return self._pricing.row(trade)

    def change(self) -> EsChange:
        """Return the account before and after the trades so far."""
        return self._change(self._now, self._trades)

    def _change(self, now: Float[np.ndarray, " stride"], trades: list[tuple[str, int]]) -> EsChange:
        margins, cube = self._margins, self._margins.cube
        shortfalls = np.array([self._shortfalls(vector) for vector in (self._start, now)])
        before, after = requirement(shortfalls, cube, margins.settings).tolist()
        rounded = to_minor(shortfalls, DECIMALS)
        parts = pl.DataFrame(
            {
                "part": [part.name for part in cube.parts],
                "weight": [part.weight for part in cube.parts],
                "before": rounded[0] / 10**DECIMALS,
                "after": rounded[1] / 10**DECIMALS,
            }
        )
        return EsChange(
            account=self.account,
            currency=cube.currency,
            trades=tuple(trades),
            before=before,
            after=after,
            shortfalls=parts,
            tail_scenarios=pl.concat(self._tail(now, part) for part in range(len(cube.parts))),
            provenance=provenance_of(margins),
        )

    def _shortfalls(self, vector: Float[np.ndarray, " stride"]) -> list[float]:
        cube = self._margins.cube
        bounds = zip(cube.layout.bounds.tolist(), cube.parts, strict=True)
        return [tail_mean(vector[start:stop], part.tail_count) for (start, stop), part in bounds]

    def _tail(self, now: Float[np.ndarray, " stride"], part: int) -> pl.DataFrame:
        """Return the scenarios that are in the tail of a part before or after."""
        cube = self._margins.cube
        (start, stop), rules = cube.layout.bounds[part], cube.parts[part]
        before, after = self._start[start:stop], now[start:stop]
        old, new = (set(tail_scenarios(pnl, rules.tail_count).tolist()) for pnl in (before, after))
        either: Int64[np.ndarray, " tail"] = np.array(sorted(old | new), np.int64)
        order = either[np.lexsort((either, after[either]))].tolist()
        return pl.DataFrame(
            {
                "part": [rules.name] * len(order),
                "scenario": [cube.labels[rules.start + at] for at in order],
                "before": before[order],
                "after": after[order],
                "status": [STATUS[at in old, at in new] for at in order],
            }
        )
