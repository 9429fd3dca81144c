"""The SPAN calculation over all accounts in one pass: from positions to risk margin, by portfolio."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.core.rounding import to_minor
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.span_accounts import (
    BEYOND,
    NET,
    PER_CONTRACT,
    PER_SIDE,
    Commodities,
    Contracts,
    Desk,
    Held,
    PriceRisks,
    Rules,
    explain_accounts,
    margin_accounts,
)
from crossmargin.kernels.span_spreads import InterSpreads, IntraSpreads, Legs

if TYPE_CHECKING:
    from crossmargin.models.span.book import SpanBook
    from crossmargin.models.span.parameters import SpanParameters
    from crossmargin.models.span.settings import SpanSettings
    from crossmargin.models.span.tables import SpanTables

__all__ = ["DECIMALS", "Deltas", "PortfolioRisk", "portfolio_risk"]

DECIMALS: Final = 2
"""Decimal places of published amounts, in every currency."""

GROSS: Final = {"per_side": PER_SIDE, "per_contract": PER_CONTRACT}

Arrays = TypeVar("Arrays", bound=NamedTuple)


class Deltas(NamedTuple):
    """Deltas by month of many portfolios.

    Parameters
    ----------
    slot_starts : ndarray of int64, shape (portfolios + 1,)
        Slots of each portfolio: all months of its commodity, ascending.
    whole, left : ndarray of float64, shape (slots,)
        Deltas before any spread, and those that no spread has taken.
    """

    slot_starts: Int64[np.ndarray, " portfolios+1"]
    whole: Float64[np.ndarray, " slots"]
    left: Float64[np.ndarray, " slots"]


class _Inputs(NamedTuple):
    """What the kernel takes."""

    held: Held
    contracts: Contracts
    commodities: Commodities
    intra: IntraSpreads
    intra_legs: Legs
    inter: InterSpreads
    inter_legs: Legs
    risks: PriceRisks
    rules: Rules


@dataclass(frozen=True, kw_only=True, eq=False)
class PortfolioRisk:
    """Every component of every portfolio. Money is float64 in the combined commodity's currency.

    Parameters
    ----------
    active : ndarray of int64, shape (portfolios,)
        Active scenario from 0; −1 on a gross basis, where there is none.
    scan_risk, intra_charge, spot_charge, inter_credit, short_option_minimum, risk_margin
        The components; the credit is positive, reduces, and is no more than the three charges before it;
        ``risk_margin`` = max(sum, minimum) × adjustment, a maintenance margin.
    initial_risk_margin : ndarray of float64, shape (portfolios,)
        Risk margin × the file's initial-to-maintenance ratio.
    option_value : ndarray of float64, shape (portfolios,)
        Long less short value of premium-style options.
    long_option_value : ndarray of float64, shape (portfolios,)
        Value of long options alone, of either style; NaN where one of them has no price.
    requirement : ndarray of int64, shape (portfolios,)
        Risk margin less option value in hundredths; at least 0 where the commodity caps option value at
        its risk.
    inputs : tuple
        What it was made from.
    """

    active: Int64[np.ndarray, " portfolios"]
    scan_risk: Float64[np.ndarray, " portfolios"]
    intra_charge: Float64[np.ndarray, " portfolios"]
    spot_charge: Float64[np.ndarray, " portfolios"]
    inter_credit: Float64[np.ndarray, " portfolios"]
    short_option_minimum: Float64[np.ndarray, " portfolios"]
    risk_margin: Float64[np.ndarray, " portfolios"]
    initial_risk_margin: Float64[np.ndarray, " portfolios"]
    option_value: Float64[np.ndarray, " portfolios"]
    long_option_value: Float64[np.ndarray, " portfolios"]
    requirement: Int64[np.ndarray, " portfolios"]
    inputs: _Inputs

    @cached_property
    def _desk(self) -> Desk:
        """What explains the components, computed when it is first asked for: 128 bytes a portfolio and more."""
        return explain_accounts(*self.inputs)

    @property
    def sums(self) -> Float64[np.ndarray, "portfolios 16"]:
        """Scan sums, loss-positive; on a gross basis of all longs plus all shorts."""
        return self._desk.sums

    @property
    def deltas(self) -> Deltas:
        """Deltas before and after spreads."""
        slot_starts = self._desk.slot_starts
        return Deltas(slot_starts, self._desk.whole[: slot_starts[-1]], self._desk.left[: slot_starts[-1]])

    @property
    def intra_counts(self) -> Float64[np.ndarray, " formed"]:
        """Spreads formed within each portfolio, in the order of its commodity's spreads."""
        return self._desk.intra_counts[: self._desk.intra_starts[-1]]

    @property
    def intra_count_starts(self) -> Int64[np.ndarray, " portfolios+1"]:
        """Where those of each portfolio stand."""
        return self._desk.intra_starts

    @property
    def inter_counts(self) -> Float64[np.ndarray, "accounts spreads"]:
        """Spreads formed between the portfolios of each account."""
        return self._desk.inter_counts

    @property
    def inter_leg_credits(self) -> Float64[np.ndarray, "accounts legs"]:
        """What each leg earned, by account."""
        return self._desk.leg_credits


def portfolio_risk(
    book: SpanBook, parameters: SpanParameters, tables: SpanTables, settings: SpanSettings
) -> PortfolioRisk:
    """Compute the risk margin of every portfolio.

    The order is SPAN's: scan risk; super spreads; spreads within a commodity; delivery charge; spreads
    between commodities by priority; risk margin as the larger of their sum and the short option minimum.
    A gross basis margins every contract by itself and forms no spread.

    Raises
    ------
    InputError
        Listing the series whose option value counts and that have no price.
    RangeError
        If an amount is beyond what 64 bits hold.
    """
    inputs = _Inputs(
        _fixed(Held(book.starts, book.series, book.long, book.short, book.commodity, book.account_starts)),
        _contracts(parameters, tables),
        _commodities(parameters, tables, settings),
        _fixed(IntraSpreads(tables.spread_starts, tables.both_sides, tables.intra_charge)),
        _fixed(tables.intra_legs),
        _fixed(tables.inter_spreads),
        _fixed(tables.inter_legs),
        _fixed(PriceRisks(tables.paired, tables.price_risk_method, tables.scan_range)),
        _rules(tables, settings),
    )
    components, active, cents = margin_accounts(*inputs)
    scan, intra, spot, credit, minimum, margin, initial, value, long_value = components
    if np.isnan(value).any():
        raise InputError(_unpriced(book, tables))
    if (cents == BEYOND).any():
        to_minor((margin - value)[cents == BEYOND], DECIMALS)
    return PortfolioRisk(
        active=active,
        scan_risk=scan,
        intra_charge=intra,
        spot_charge=spot,
        inter_credit=credit,
        short_option_minimum=minimum,
        risk_margin=margin,
        initial_risk_margin=initial,
        option_value=value,
        long_option_value=long_value,
        requirement=cents,
        inputs=inputs,
    )


def _fixed(arrays: Arrays) -> Arrays:
    """Return views that may not be written to, so that the kernel is compiled for one kind of array only."""
    views = [array.view() for array in arrays]
    for view in views:
        view.setflags(write=False)
    return type(arrays)(*views)


def _contracts(parameters: SpanParameters, tables: SpanTables) -> Contracts:
    columns = (tables.losses, tables.series_delta, tables.series_slot, tables.series_minimum)
    is_call = (parameters.series["right"] == "C").to_numpy()
    return _fixed(Contracts(*columns, tables.series_value, tables.value_counts, is_call))


def _commodities(parameters: SpanParameters, tables: SpanTables, settings: SpanSettings) -> Commodities:
    table = parameters.commodities
    count = len(table)
    rates = np.abs(tables.in_spreads) + np.abs(tables.outright)
    owner = np.repeat(np.arange(count), np.diff(tables.slot_starts))
    by_file = (table["som_method"] == "max").to_numpy()
    larger = by_file if settings.som_method == "file" else np.full(count, settings.som_method == "max")
    floored = table["cap_option_value"].to_numpy() | (settings.total_floor == "commodity")
    return _fixed(
        Commodities(
            slot_starts=tables.slot_starts,
            in_spreads=tables.in_spreads,
            outright=tables.outright,
            charged=np.bincount(owner, rates, count) > 0,
            larger=larger,
            adjustment=table[f"adjustment_{settings.risk_class}"].to_numpy(),
            initial=table[f"initial_{settings.risk_class}"].to_numpy(),
            floored=floored,
        )
    )


def _rules(tables: SpanTables, settings: SpanSettings) -> Rules:
    basis = NET if settings.basis == "net" else GROSS[settings.gross_scan]
    rounded = settings.round_risk == "unit"
    formed = settings.intra_spreads, settings.inter_spreads
    return Rules(basis, rounded, *formed, tables.tiered, tables.first_spreads)


def _unpriced(book: SpanBook, tables: SpanTables) -> list[BadRecord]:
    value = np.where(tables.value_counts[book.series], tables.series_value[book.series], 0.0)
    rule = "a price and a contract size: its option value counts"
    return [
        BadRecord(file="parameters.series", line=row + 1, field="price", value="null", rule=rule)
        for row in np.unique(book.series[np.isnan(value)]).tolist()
    ]
