"""Liquidation risk add-on (guide §3.2.3): large positions, one by one and hedged together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Float64, Int32, Int64

from crossmargin.core.breakdown import Component, Fact
from crossmargin.core.rounding import exact_total, half_away
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.hkscc.book import Book
    from crossmargin.models.hkscc.parameters import HksccParameters
    from crossmargin.models.hkscc.participant import HksccParticipant

__all__ = ["LiquidationAddon", "liquidation_addon"]

RULE_INSTRUMENT, RULE_PORTFOLIO = "§3.2.3.1", "§3.2.3.2"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiquidationAddon:
    """Both levels of the add-on for every participant. Money in arrays of float64 is HKD.

    Parameters
    ----------
    instrument_level, portfolio_level : ndarray of int64, shape (participants,)
        The two add-ons in published units.
    owner : ndarray of int64, shape (groups,)
        Participant of each underlying group.
    group : ndarray of int64, shape (groups,)
        Row of the group in the parameters' ``liquidation`` table.
    demv : ndarray of float64, shape (groups,)
        Delta-equivalent market value.
    excess_charge : ndarray of float64, shape (groups,)
        Value above the threshold × bucket rate.
    hedge : ndarray of float64, shape (participants,)
        Beta-weighted sum of the delta-equivalent market values.
    """

    instrument_level: Int64[np.ndarray, " participants"]
    portfolio_level: Int64[np.ndarray, " participants"]
    owner: Int64[np.ndarray, " groups"]
    group: Int64[np.ndarray, " groups"]
    demv: Float64[np.ndarray, " groups"]
    excess_charge: Float64[np.ndarray, " groups"]
    hedge: Float64[np.ndarray, " participants"]

    @property
    def amount(self) -> Int64[np.ndarray, " participants"]:
        """The add-on in published units."""
        return exact_total(self.instrument_level, self.portfolio_level)

    def explain(
        self, place: int, book: Book, parameters: HksccParameters, participant: HksccParticipant
    ) -> Component:
        """Return the component of one participant."""
        parts = (
            self._instruments(place, book, parameters),
            self._portfolio(place, book, parameters, participant),
        )
        return Component(
            name="liquidation risk add-on",
            amount=int(self.amount[place]),
            decimals=book.decimals,
            rule="§3.2.3",
            parts=parts,
        )

    def _instruments(self, place: int, book: Book, parameters: HksccParameters) -> Component:
        mine = np.flatnonzero(self.owner == place)
        hit = mine[self.excess_charge[mine] > 0]
        charges = book.minor(self.excess_charge[hit])
        parts = [self._group(int(i), int(c), book, parameters) for i, c in zip(hit, charges, strict=True)]
        amount = int(self.instrument_level[place])
        if rest := amount - int(charges.sum()):
            parts.append(
                Component(name="rounding", amount=rest, decimals=book.decimals, rule=RULE_INSTRUMENT)
            )
        columns = ("group", "delta-equivalent market value, HKD", "threshold, HKD")
        table = parameters.liquidation
        rows = tuple(
            (table["instrument"][int(g)], float(v), int(table["threshold"][int(g)]))
            for g, v in zip(self.group[mine], self.demv[mine], strict=True)
        )
        return Component(
            name="instrument-level liquidation add-on",
            amount=amount,
            decimals=book.decimals,
            rule=RULE_INSTRUMENT,
            binding=f"{hit.size} of {mine.size} groups above their threshold",
            facts=(Fact("underlying groups", rows, columns),),
            parts=tuple(parts),
        )

    def _group(self, row: int, amount: int, book: Book, parameters: HksccParameters) -> Component:
        record = parameters.liquidation.row(int(self.group[row]), named=True)
        return Component(
            name=f"group {record['instrument']}",
            amount=amount,
            decimals=book.decimals,
            rule=RULE_INSTRUMENT,
            binding="above the threshold",
            facts=(
                Fact("delta-equivalent market value, HKD", float(self.demv[row])),
                Fact("threshold, HKD", record["threshold"]),
                Fact("bucket rate", record["bucket_rate"]),
            ),
        )

    def _portfolio(
        self, place: int, book: Book, parameters: HksccParameters, participant: HksccParticipant
    ) -> Component:
        amount = int(self.portfolio_level[place])
        facts = [Fact("sum of delta-equivalent market value × beta, HKD", float(self.hedge[place]))]
        row = parameters.rows(pl.Series([participant.hedging_instrument]))["liquidation"].item(0)
        if row >= 0:
            record = parameters.liquidation.row(row, named=True)
            facts += [
                Fact("hedging instrument", participant.hedging_instrument),
                Fact("hedging threshold, HKD", record["threshold"]),
                Fact("hedging bucket rate", record["bucket_rate"]),
            ]
        return Component(
            name="portfolio-level liquidation add-on",
            amount=amount,
            decimals=book.decimals,
            rule=RULE_PORTFOLIO,
            binding="above the hedging threshold" if amount else "within the hedging threshold",
            facts=tuple(facts),
        )


def liquidation_addon(
    book: Book, parameters: HksccParameters, participants: Sequence[HksccParticipant]
) -> LiquidationAddon:
    """Compute both levels of the liquidation risk add-on for every participant.

    The delta-equivalent market value of a group is the sum of quantity × cash delta over a stock and
    its structured products. Instrument level: what lies above the group's threshold × its bucket rate,
    summed and rounded. Portfolio level: the same rule, with the hedging instrument's threshold and
    rate, for the sum of value × beta.

    Raises
    ------
    InputError
        If the hedging instrument of a participant with such positions has no record of FieldType 4.
    """
    group_of = parameters.liquidation_group(book.rows)
    held = np.flatnonzero(group_of >= 0)
    table = parameters.liquidation
    keys, number = np.unique(
        book.owner[held].astype(np.int64) * max(len(table), 1) + group_of[held], return_inverse=True
    )
    owner, group = np.divmod(keys, max(len(table), 1))
    demv = np.bincount(number, book.quantity[held] * _cash_delta(book.rows, parameters)[held], keys.size)
    threshold, rate, beta = (table[name].to_numpy()[group] for name in ("threshold", "bucket_rate", "beta"))
    charge = np.maximum(np.abs(demv) - threshold, 0.0) * rate
    hedge = np.bincount(owner, demv * beta, len(participants))
    hedging = _hedging_rows(owner, parameters, participants)
    hedging_threshold, hedging_rate = (
        np.append(table[name].to_numpy().astype(np.float64), 0.0)[hedging]
        for name in ("threshold", "bucket_rate")
    )
    levels = (
        np.bincount(owner, charge, len(participants)),
        np.maximum(np.abs(hedge) - hedging_threshold, 0.0) * hedging_rate,
    )
    instrument_level, portfolio_level = (
        book.minor(half_away(level) if book.rounding == "guide" else level) for level in levels
    )
    return LiquidationAddon(
        instrument_level=instrument_level,
        portfolio_level=portfolio_level,
        owner=owner,
        group=group,
        demv=demv,
        excess_charge=charge,
        hedge=hedge,
    )


def _cash_delta(
    rows: dict[str, Int32[np.ndarray, " positions"]], parameters: HksccParameters
) -> Float64[np.ndarray, " positions"]:
    """Return HKD of the underlying that one unit of each position stands for; 0 where it has no record."""
    stock = np.append(parameters.liquidation["cash_delta"].to_numpy(), 0.0)[rows["liquidation"]]
    product = np.append(parameters.structured_product["cash_delta"].to_numpy(), 0.0)[
        rows["structured_product"]
    ]
    return np.where(rows["liquidation"] >= 0, stock, product)


def _hedging_rows(
    owner: Int64[np.ndarray, " groups"], parameters: HksccParameters, participants: Sequence[HksccParticipant]
) -> Int32[np.ndarray, " participants"]:
    names = pl.Series([participant.hedging_instrument for participant in participants], dtype=pl.String)
    rows = parameters.rows(names)["liquidation"]
    missing = sorted({names[int(place)] for place in np.unique(owner) if rows[place] < 0})
    if missing:
        rule = "an instrument with a record of FieldType 4, for the portfolio-level liquidation add-on"
        raise InputError(
            BadRecord(file="participant", line=0, field="hedging_instrument", value=name, rule=rule)
            for name in missing
        )
    return rows
