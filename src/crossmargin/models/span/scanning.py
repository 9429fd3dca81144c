"""The SPAN calculation over all accounts in one pass: from positions to risk margin, by portfolio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.core.rounding import half_away
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.span_scan import scan_sums
from crossmargin.kernels.span_spreads import (
    Deltas,
    InterSpreads,
    Legs,
    Risks,
    inter_credits,
    intra_charges,
)

if TYPE_CHECKING:
    from crossmargin.models.span.book import SpanBook
    from crossmargin.models.span.parameters import SpanParameters
    from crossmargin.models.span.settings import SpanSettings
    from crossmargin.models.span.tables import SpanTables

__all__ = ["PortfolioRisk", "portfolio_risk"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PortfolioRisk:
    """Every component of every portfolio. Money is float64 in the combined commodity's currency.

    Parameters
    ----------
    sums : ndarray of float64, shape (portfolios, 16)
        Scan sums, loss-positive; on a gross basis per side, of all longs plus all shorts at their worst.
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
    deltas : Deltas
        Before and after spreads.
    intra_counts, intra_count_starts
        Spreads formed within each portfolio.
    inter_counts, inter_leg_credits
        Spreads formed between portfolios and what each leg earned, by account; no rows unless explained.
    """

    sums: Float64[np.ndarray, "portfolios 16"]
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
    deltas: Deltas
    intra_counts: Float64[np.ndarray, " formed"]
    intra_count_starts: Int64[np.ndarray, " portfolios+1"]
    inter_counts: Float64[np.ndarray, "accounts_or_0 spreads"]
    inter_leg_credits: Float64[np.ndarray, "accounts_or_0 legs"]


def portfolio_risk(
    book: SpanBook,
    parameters: SpanParameters,
    tables: SpanTables,
    settings: SpanSettings,
    *,
    explained: bool,
) -> PortfolioRisk:
    """Compute the risk margin of every portfolio.

    The order is SPAN's: scan risk; super spreads; spreads within a commodity; delivery charge; spreads
    between commodities by priority; risk margin as the larger of their sum and the short option minimum.
    A gross basis margins every contract by itself and forms no spread.

    Raises
    ------
    InputError
        Listing the series whose option value counts and that have no price.
    """
    gross = settings.basis == "gross"
    minimum = _minimum(book, parameters, tables, settings, gross=gross)
    sums, active, scan_risk = _scan(book, tables, settings)
    deltas = _deltas(book, tables, gross=gross)
    account_count = len(book.accounts) if explained else 0
    counts = np.zeros((account_count, tables.inter_order.size))
    leg_credits = np.zeros((account_count, tables.inter_legs.commodity.size))
    risks = _risks(book, tables, sums)
    used = np.zeros(book.account.size, np.bool_)
    switched = settings.inter_spreads and not gross
    credit = _inter(book, tables, deltas, risks, used, counts, leg_credits, first=True) if switched else 0.0
    intra_charge, intra_counts, count_starts = _intra(
        book, tables, deltas, formed=settings.intra_spreads and not gross
    )
    spot_charge = _spot(book, tables, deltas)
    if switched:
        credit = credit + _inter(book, tables, deltas, risks, used, counts, leg_credits, first=False)
    parts = [scan_risk, intra_charge, spot_charge, credit + np.zeros_like(scan_risk), minimum]
    if settings.round_risk == "unit":
        parts = [half_away(part) for part in parts]
    before_credit = parts[0] + parts[1] + parts[2]
    parts[3] = np.minimum(parts[3], before_credit)
    risk = before_credit - parts[3]
    risk_margin = np.maximum(risk, parts[4]) * _factor(book, parameters, f"adjustment_{settings.risk_class}")
    if settings.round_risk == "unit":
        risk_margin = half_away(risk_margin)
    return PortfolioRisk(
        sums=sums,
        active=active,
        scan_risk=parts[0],
        intra_charge=parts[1],
        spot_charge=parts[2],
        inter_credit=parts[3],
        short_option_minimum=parts[4],
        risk_margin=risk_margin,
        initial_risk_margin=risk_margin * _factor(book, parameters, f"initial_{settings.risk_class}"),
        option_value=_option_value(book, tables),
        long_option_value=_long_option_value(book, tables, gross=gross),
        deltas=deltas,
        intra_counts=intra_counts,
        intra_count_starts=count_starts,
        inter_counts=counts,
        inter_leg_credits=leg_credits,
    )


def _scan(
    book: SpanBook, tables: SpanTables, settings: SpanSettings
) -> tuple[
    Float64[np.ndarray, "portfolios 16"], Int64[np.ndarray, " portfolios"], Float64[np.ndarray, " portfolios"]
]:
    """Return scan sums, active scenario and scan risk."""
    if settings.basis == "net":
        sums = scan_sums(book.starts, book.series, book.net, tables.losses)
        return sums, sums.argmax(axis=1), np.maximum(sums.max(axis=1, initial=0.0), 0.0)
    nowhere = np.full(book.account.size, -1, np.int64)
    longs = scan_sums(book.starts, book.series, book.long, tables.losses)
    shorts = scan_sums(book.starts, book.series, -book.short, tables.losses)
    if settings.gross_scan == "per_side":
        worst = longs.max(axis=1, initial=0.0) + shorts.max(axis=1, initial=0.0)
        return longs + shorts, nowhere, worst
    losses = tables.losses[book.series]
    long_risk = np.maximum(losses.max(axis=1), 0.0)
    short_risk = np.maximum((-losses).max(axis=1), tables.series_minimum[book.series])
    each = book.long * long_risk + book.short * np.maximum(short_risk, 0.0)
    return longs + shorts, nowhere, np.bincount(book.portfolio, each, book.account.size)


def _factor(book: SpanBook, parameters: SpanParameters, column: str) -> Float64[np.ndarray, " portfolios"]:
    """Return a factor of each portfolio's commodity."""
    return parameters.commodities[column].to_numpy()[book.commodity]


def _minimum(
    book: SpanBook, parameters: SpanParameters, tables: SpanTables, settings: SpanSettings, *, gross: bool
) -> Float64[np.ndarray, " portfolios"]:
    """Return the short option minimum of calls and puts, added or the larger; per contract it is in the scan."""
    if gross and settings.gross_scan == "per_contract":
        return np.zeros(book.account.size)
    short = book.short if gross else np.maximum(-book.net, 0.0)
    each = short * tables.series_minimum[book.series]
    is_call = (parameters.series["right"] == "C").to_numpy()[book.series]
    calls, puts = (
        np.bincount(book.portfolio, np.where(is_call == side, each, 0.0), book.account.size)
        for side in (True, False)
    )
    methods = (parameters.commodities["som_method"] == "max").to_numpy()[book.commodity]
    larger = methods if settings.som_method == "file" else np.full_like(methods, settings.som_method == "max")
    return np.where(larger, np.maximum(calls, puts), calls + puts)


def _deltas(book: SpanBook, tables: SpanTables, *, gross: bool) -> Deltas:
    """Lay the deltas out by portfolio and month; on a gross basis both sides add up, as nothing nets."""
    sizes = np.diff(tables.slot_starts)[book.commodity]
    slot_starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    contracts = book.long + book.short if gross else book.net
    delta = contracts * tables.series_delta[book.series]
    slot = slot_starts[book.portfolio] + tables.series_slot[book.series]
    whole = np.bincount(slot, np.abs(delta) if gross else delta, int(slot_starts[-1]))
    return Deltas(book.commodity, slot_starts, whole, whole.copy())


def _risks(book: SpanBook, tables: SpanTables, sums: Float64[np.ndarray, "portfolios 16"]) -> Risks:
    slot_sums = np.zeros((0, sums.shape[1]))
    if tables.tiered:
        sizes = np.diff(tables.slot_starts)[book.commodity]
        slot_starts = np.concatenate([[0], np.cumsum(sizes)])
        slot = slot_starts[book.portfolio] + tables.series_slot[book.series]
        slot_sums = np.zeros((int(slot_starts[-1]), sums.shape[1]))
        np.add.at(slot_sums, slot, book.net[:, None] * tables.losses[book.series])
    return Risks(sums, slot_sums, tables.paired, tables.price_risk_method, tables.scan_range)


def _intra(
    book: SpanBook, tables: SpanTables, deltas: Deltas, *, formed: bool
) -> tuple[
    Float64[np.ndarray, " portfolios"], Float64[np.ndarray, " formed"], Int64[np.ndarray, " portfolios+1"]
]:
    sizes = np.diff(tables.spread_starts)[book.commodity]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    counts = np.zeros(int(starts[-1]))
    if not formed:
        return np.zeros(book.account.size), counts, starts
    charge = intra_charges(
        deltas,
        tables.intra_legs,
        tables.both_sides,
        tables.spread_starts,
        tables.intra_charge,
        starts,
        counts,
    )
    return charge, counts, starts


def _spot(book: SpanBook, tables: SpanTables, deltas: Deltas) -> Float64[np.ndarray, " portfolios"]:
    """Charge deltas of delivery months, those in spreads and those left at their own rates."""
    rates = np.add.reduceat(np.append(tables.in_spreads + tables.outright, 0.0), tables.slot_starts[:-1])
    charged = np.flatnonzero(rates[book.commodity] != 0)
    sizes = np.diff(deltas.slot_starts)[charged]
    owner = np.repeat(charged, sizes)
    place = np.arange(owner.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    mine, slot = deltas.slot_starts[owner] + place, tables.slot_starts[book.commodity[owner]] + place
    left = np.abs(deltas.left[mine])
    charge = (np.abs(deltas.whole[mine]) - left) * tables.in_spreads[slot] + left * tables.outright[slot]
    return np.bincount(owner, charge, book.account.size)


def _inter(
    book: SpanBook,
    tables: SpanTables,
    deltas: Deltas,
    risks: Risks,
    used: np.ndarray,
    counts: Float64[np.ndarray, "accounts_or_0 spreads"],
    leg_credits: Float64[np.ndarray, "accounts_or_0 legs"],
    *,
    first: bool,
) -> Float64[np.ndarray, " portfolios"]:
    """Form the super spreads, or the others."""
    at = tables.first_spreads
    part = slice(0, at) if first else slice(at, None)
    spreads = InterSpreads(*(column[part] for column in tables.inter_spreads))
    legs = tables.inter_legs
    chosen = slice(legs.starts[0], legs.starts[at]) if first else slice(legs.starts[at], None)
    starts = legs.starts[: at + 1] if first else legs.starts[at:] - legs.starts[at]
    columns = (column[chosen] for column in legs[1:])
    return inter_credits(
        book.account_starts,
        deltas,
        Legs(starts, *columns),
        spreads,
        risks,
        used,
        counts[:, part],
        leg_credits[:, chosen],
    )


def _option_value(book: SpanBook, tables: SpanTables) -> Float64[np.ndarray, " portfolios"]:
    value = np.where(tables.value_counts[book.series], tables.series_value[book.series], 0.0)
    missing = np.unique(book.series[np.isnan(value)])
    if missing.size:
        rule = "a price and a contract size: its option value counts"
        raise InputError(
            BadRecord(file="parameters.series", line=row + 1, field="price", value="null", rule=rule)
            for row in missing.tolist()
        )
    return np.bincount(book.portfolio, book.net * value, book.account.size)


def _long_option_value(
    book: SpanBook, tables: SpanTables, *, gross: bool
) -> Float64[np.ndarray, " portfolios"]:
    contracts = book.long if gross else np.maximum(book.net, 0.0)
    value = np.where(contracts > 0, tables.series_value[book.series], 0.0)
    return np.bincount(book.portfolio, contracts * value, book.account.size)
