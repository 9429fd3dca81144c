"""SPAN parameters as the kernels want them: numbered, sorted and flat. Made once for a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.span_spreads import InterSpreads, Legs

if TYPE_CHECKING:
    from crossmargin.models.span.parameters import SpanParameters
    from crossmargin.models.span.settings import SpanSettings

__all__ = ["SpanTables", "make_tables"]

PRICE_RISK_METHODS: Final = {"normal": 0, "capped": 1, "scan_range": 2}
SIDES: Final = {"A": 1.0, "B": -1.0}
ELIGIBLE: Final = {
    "house": ("all", "non_segregated", "house"),
    "non_segregated": ("all", "non_segregated"),
    "segregated": ("all",),
}
"""Origin of an account → eligibilities of the spreads between commodities that it may form."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpanTables:
    """Numbered parameters.

    Parameters
    ----------
    months : DataFrame
        ``commodity`` (number) and ``month``, sorted: the slots of each commodity.
    slot_starts : ndarray of int64, shape (commodities + 1,)
        Slots of each commodity.
    series_commodity, series_slot : ndarray of int64, shape (series,)
        Commodity of each series, and its slot counted from the commodity's first.
    series_delta : ndarray of float64, shape (series,)
        Scaled composite delta of one long contract.
    series_minimum : ndarray of float64, shape (series,)
        Short option minimum of one contract; 0 for a future.
    losses : ndarray of float64, shape (series, 16)
        The parameters' losses, in the currency of the combined commodity.
    series_value : ndarray of float64, shape (series,)
        Price × contract size of one long option in that currency; 0 for a future, NaN where one is missing.
    value_counts : ndarray of bool, shape (series,)
        Whether the option value counts towards the requirement: it was paid up front.
    in_spreads, outright : ndarray of float64, shape (slots,)
        Delivery or spot month charges.
    both_sides : ndarray of bool, shape (commodities,)
        Whether every spread within a commodity has legs on both sides.
    intra_order, inter_order : ndarray of int64
        Row of the parameters' spread table by number of the spread.
    spread_starts, intra_charge, intra_legs
        Spreads within a commodity, see ``kernels.span_spreads``.
    first_spreads, inter_legs, inter_spreads
        How many super spreads stand at the head of the inter-commodity spreads; the spreads.
    tiered : bool
        Whether a leg of an inter-commodity spread names a tier.
    paired, price_risk_method, scan_range
        See ``kernels.span_spreads.Risks``.
    """

    months: pl.DataFrame
    slot_starts: Int64[np.ndarray, " commodities+1"]
    series_commodity: Int64[np.ndarray, " series"]
    series_slot: Int64[np.ndarray, " series"]
    series_delta: Float64[np.ndarray, " series"]
    series_minimum: Float64[np.ndarray, " series"]
    losses: Float64[np.ndarray, "series 16"]
    series_value: Float64[np.ndarray, " series"]
    value_counts: Bool[np.ndarray, " series"]
    in_spreads: Float64[np.ndarray, " slots"]
    outright: Float64[np.ndarray, " slots"]
    both_sides: Bool[np.ndarray, " commodities"]
    intra_order: Int64[np.ndarray, " intra"]
    spread_starts: Int64[np.ndarray, " commodities+1"]
    intra_charge: Float64[np.ndarray, " intra"]
    intra_legs: Legs
    inter_order: Int64[np.ndarray, " inter"]
    first_spreads: int
    inter_legs: Legs
    inter_spreads: InterSpreads
    tiered: bool
    paired: Int64[np.ndarray, " 16"]
    price_risk_method: Int64[np.ndarray, " commodities"]
    scan_range: Float64[np.ndarray, " commodities"]


def make_tables(parameters: SpanParameters, settings: SpanSettings) -> SpanTables:
    """Return the parameters numbered, with months and spreads in the order of the rules."""
    number = {code: i for i, code in enumerate(parameters.commodities["commodity"])}
    series = parameters.series.with_columns(number=_numbers(parameters.series["commodity"], number))
    slots, slot_starts = _slots(series, len(number))
    in_spreads, outright = _spot_charges(parameters, slots, number)
    spans = _Spans(parameters, slots, number)
    rate = _currency_rates(parameters)
    intra, inter = _intra_order(parameters, number), _inter_order(parameters, settings)
    intra_legs = _intra_legs(intra, parameters.intra_legs, spans)
    return SpanTables(
        months=slots.select("commodity", "month"),
        slot_starts=slot_starts,
        series_commodity=series["number"].to_numpy(),
        series_slot=_series_slots(series, slots),
        series_delta=(series["composite_delta"] * series["delta_scaling"]).to_numpy(),
        series_minimum=_minimums(parameters, series),
        losses=parameters.losses if np.all(rate == 1) else parameters.losses * rate[:, None],
        series_value=_option_values(series) * rate,
        value_counts=_value_counts(series, settings),
        in_spreads=in_spreads,
        outright=outright,
        both_sides=_both_sides(intra["number"].to_numpy(), intra_legs, len(number)),
        intra_order=intra["row"].cast(pl.Int64).to_numpy(),
        spread_starts=_starts(intra["number"].to_numpy(), len(number)),
        intra_charge=intra["charge"].to_numpy(),
        intra_legs=intra_legs,
        inter_order=inter["row"].cast(pl.Int64).to_numpy(),
        first_spreads=int(inter["first"].sum()),
        inter_legs=_inter_legs(inter, parameters.inter_legs, spans),
        inter_spreads=InterSpreads(
            _inter_methods(inter), inter["rate"].to_numpy(), inter["minimum_legs"].to_numpy()
        ),
        tiered=bool(parameters.inter_legs["tier"].is_not_null().any()),
        paired=parameters.scan_points.sort("scenario")["paired"].to_numpy() - 1,
        price_risk_method=_price_risk_methods(parameters, settings),
        scan_range=_scan_ranges(parameters, settings, series, rate),
    )


def _numbers(codes: pl.Series, number: dict[str, int]) -> pl.Series:
    return codes.replace_strict(number, return_dtype=pl.Int64)


def _starts(owner: Int64[np.ndarray, " n"], count: int) -> Int64[np.ndarray, " count+1"]:
    """Where the rows of each owner begin, in rows sorted by owner."""
    return np.searchsorted(owner, np.arange(count + 1)).astype(np.int64)


def _slots(series: pl.DataFrame, count: int) -> tuple[pl.DataFrame, Int64[np.ndarray, " commodities+1"]]:
    """Return ``commodity``, ``month`` and ``slot`` of every month with a series, and where each commodity begins."""
    months = series.select(commodity="number", month="delta_month").unique().sort("commodity", "month")
    owner = months["commodity"].to_numpy()
    starts = _starts(owner, count)
    return months.with_columns(slot=np.arange(len(months)) - starts[owner]), starts


def _series_slots(series: pl.DataFrame, slots: pl.DataFrame) -> Int64[np.ndarray, " series"]:
    months = series.select(commodity="number", month="delta_month")
    found = months.join(slots, on=["commodity", "month"], how="left", maintain_order="left")
    return found["slot"].to_numpy()


def _spot_charges(
    parameters: SpanParameters, slots: pl.DataFrame, number: dict[str, int]
) -> tuple[Float64[np.ndarray, " slots"], Float64[np.ndarray, " slots"]]:
    """Return the charges of every slot in spreads and outright; 0 where there is none."""
    charged = parameters.commodities.filter(pl.col("spot_method") != "none")["commodity"]
    charges = parameters.spot_charges.filter(pl.col("commodity").is_in(charged.implode()))
    charges = charges.with_columns(commodity=_numbers(charges["commodity"], number))
    found = slots.join(charges, on=["commodity", "month"], how="left", maintain_order="left")
    return found["in_spreads"].fill_null(0.0).to_numpy(), found["outright"].fill_null(0.0).to_numpy()


class _Spans:
    """Which slots a tier or a month of a commodity takes."""

    def __init__(self, parameters: SpanParameters, slots: pl.DataFrame, number: dict[str, int]) -> None:
        self.number = number
        self.months: dict[int, list[str]] = {}
        for commodity, month in slots.select("commodity", "month").iter_rows():
            self.months.setdefault(commodity, []).append(month)
        self.tiers = {
            (row["commodity"], row["kind"], row["tier"]): (row["start"], row["end"])
            for row in parameters.tiers.iter_rows(named=True)
        }

    def tier(self, commodity: str, kind: str, tier: int) -> tuple[int, int]:
        """Slots from and up to; an unknown tier takes none."""
        start, end = self.tiers.get((commodity, kind, tier), ("~", "~"))
        months = self.months.get(self.number[commodity], [])
        inside = [i for i, month in enumerate(months) if _within(month, start, end)]
        return (inside[0], inside[-1] + 1) if inside else (0, 0)

    def month(self, commodity: str, month: str) -> tuple[int, int]:
        """Slot of a month; a month without a series takes none."""
        months = self.months.get(self.number[commodity], [])
        return (months.index(month), months.index(month) + 1) if month in months else (0, 0)


def _within(month: str, start: str, end: str) -> bool:
    """Compare as many digits as the bound has, so that a month holds all of its days."""
    return (not start or month[: len(start)] >= start) and (not end or month[: len(end)] <= end)


def _intra_order(parameters: SpanParameters, number: dict[str, int]) -> pl.DataFrame:
    """Spreads of each commodity in order: of series before of tiers, then by priority."""
    tabled = parameters.commodities.filter(pl.col("intra_method") != "none")["commodity"]
    spreads = parameters.intra_spreads.with_row_index("row").filter(
        pl.col("commodity").is_in(tabled.implode())
    )
    numbered = spreads.with_columns(number=_numbers(spreads["commodity"], number))
    return numbered.sort("number", pl.col("kind") != "series", "priority", "spread")


def _inter_order(parameters: SpanParameters, settings: SpanSettings) -> pl.DataFrame:
    """Spreads that the account may have, in order: super spreads first, then by priority."""
    eligible = ELIGIBLE[settings.account_origin]
    spreads = parameters.inter_spreads.with_row_index("row").filter(pl.col("eligibility").is_in(eligible))
    return spreads.sort(pl.col("first").not_(), "priority", "group", "spread")


def _ordered(order: pl.Series, legs: pl.DataFrame) -> list[dict[str, Any]]:
    """Legs of these spreads in their order, with the place of the spread."""
    place = {spread: i for i, spread in enumerate(order)}
    known = legs.filter(pl.col("spread").is_in(order.implode()))
    placed = known.with_columns(place=known["spread"].replace_strict(place, return_dtype=pl.Int64))
    return placed.sort("place", "leg").to_dicts()


def _intra_legs(spreads: pl.DataFrame, legs: pl.DataFrame, spans: _Spans) -> Legs:
    """Return the legs of spreads within a commodity: each on a tier or a month of it."""
    rows = _ordered(spreads["spread"], legs)
    codes = spreads["commodity"].to_list()
    rows = [row | {"commodity": codes[row["place"]], "required": True, "rate": 0.0} for row in rows]
    spanned = [
        spans.month(row["commodity"], row["month"])
        if row["tier"] is None
        else spans.tier(row["commodity"], "intra", row["tier"])
        for row in rows
    ]
    return _numbered(rows, spanned, spans.number, len(spreads))


def _inter_legs(spreads: pl.DataFrame, legs: pl.DataFrame, spans: _Spans) -> Legs:
    """Return the legs of spreads between commodities: each on a whole one or a tier, at its own rate or the spread's."""
    rates = spreads["rate"].to_list()
    rows = _ordered(spreads["spread"], legs)
    rows = [row | {"rate": rates[row["place"]]} if row["rate"] is None else row for row in rows]
    spanned = [
        (-1, 0) if row["tier"] is None else spans.tier(row["commodity"], "inter", row["tier"]) for row in rows
    ]
    return _numbered(rows, spanned, spans.number, len(spreads))


def _numbered(
    rows: list[dict[str, Any]], spanned: list[tuple[int, int]], number: dict[str, int], count: int
) -> Legs:
    """Return the legs as arrays; those of a spread on the same slots and side need their ratios together."""
    keys = [
        (row["place"], row["commodity"], span, row["side"]) for row, span in zip(rows, spanned, strict=True)
    ]
    needs: dict[tuple[object, ...], float] = {}
    for key, row in zip(keys, rows, strict=True):
        needs[key] = needs.get(key, 0.0) + row["ratio"]
    return Legs(
        starts=_starts(np.array([row["place"] for row in rows], np.int64), count),
        commodity=np.array([number[row["commodity"]] for row in rows], np.int64),
        low=np.array([low for low, _ in spanned], np.int64),
        high=np.array([high for _, high in spanned], np.int64),
        ratio=np.array([row["ratio"] for row in rows], np.float64),
        need=np.array([needs[key] for key in keys], np.float64),
        side=np.array([SIDES[row["side"]] for row in rows], np.float64),
        rate=np.array([row["rate"] for row in rows], np.float64),
        required=np.array([row["required"] for row in rows], np.bool_),
    )


def _both_sides(
    commodity: Int64[np.ndarray, " intra"], legs: Legs, count: int
) -> Bool[np.ndarray, " commodities"]:
    spread = np.repeat(np.arange(commodity.size), np.diff(legs.starts))
    sides = [np.bincount(spread, legs.side == side, commodity.size) > 0 for side in SIDES.values()]
    one_sided = ~(sides[0] & sides[1])
    return np.bincount(commodity, one_sided, count) == 0


def _inter_methods(inter: pl.DataFrame) -> Int64[np.ndarray, " inter"]:
    scanning = (inter["method"] == "scanning").to_numpy()
    return np.where(scanning, 2, np.where((inter["credit"] == "flat").to_numpy(), 1, 0)).astype(np.int64)


def _minimums(parameters: SpanParameters, series: pl.DataFrame) -> Float64[np.ndarray, " series"]:
    """Short option minimum of one contract: its tier's rate where there is one, else the commodity's, × scaling."""
    of_commodity = series.join(
        parameters.commodities.select("commodity", "short_option_minimum"),
        on="commodity",
        how="left",
        maintain_order="left",
    )["short_option_minimum"]
    rate = of_commodity.to_numpy().copy()
    codes, months = series["commodity"], series["expiry"].to_list()
    for row in parameters.tiers.filter(kind="som").iter_rows(named=True):
        inside = np.array([_within(month, row["start"], row["end"]) for month in months], np.bool_)
        rate[(codes == row["commodity"]).to_numpy() & inside] = row["rate"]
    is_option: Bool[np.ndarray, " series"] = (series["right"] != "").to_numpy()
    return np.where(is_option, rate * series["delta_scaling"].to_numpy(), 0.0)


def _option_values(series: pl.DataFrame) -> Float64[np.ndarray, " series"]:
    value = (series["price"] * series["contract_size"]).fill_null(float("nan")).to_numpy()
    return np.where((series["right"] != "").to_numpy(), value, 0.0)


def _value_counts(series: pl.DataFrame, settings: SpanSettings) -> Bool[np.ndarray, " series"]:
    paid = (series["right"] != "") & (series["option_style"] == "premium")
    return paid.to_numpy() & (settings.option_value == "file")


def _price_risk_methods(
    parameters: SpanParameters, settings: SpanSettings
) -> Int64[np.ndarray, " commodities"]:
    methods = parameters.commodities["price_risk_method"]
    if settings.price_risk_method != "file":
        methods = pl.Series([settings.price_risk_method] * len(methods), dtype=pl.String)
    return methods.replace_strict(PRICE_RISK_METHODS, return_dtype=pl.Int64).to_numpy()


def _scan_ranges(
    parameters: SpanParameters,
    settings: SpanSettings,
    series: pl.DataFrame,
    rate: Float64[np.ndarray, " series"],
) -> Float64[np.ndarray, " commodities"]:
    """Scan range of each commodity in money for one delta: the largest of its series."""
    codes = parameters.commodities["commodity"]
    money = series["price_scan_range"] * series["contract_size"] / series["delta_scaling"]
    ranges = np.zeros(len(codes))
    np.maximum.at(ranges, series["number"].to_numpy(), money.fill_null(0.0).to_numpy() * rate)
    used = codes.is_in(parameters.inter_legs["commodity"].implode()).to_numpy()
    missing = used & (_price_risk_methods(parameters, settings) > 0) & (ranges == 0)
    if missing.any():
        rule = "a scan range of its series: weighted price risk is bounded by it"
        raise InputError(
            _bad("series", "price_scan_range", codes[row], rule) for row in np.flatnonzero(missing).tolist()
        )
    return ranges


def _currency_rates(parameters: SpanParameters) -> Float64[np.ndarray, " series"]:
    """Units of the combined commodity's currency for one of each series' own."""
    product = ["exchange", "product", "product_type"]
    own = parameters.products.select(*product, own="currency")
    margin = parameters.commodities.select("commodity", margin="currency")
    rates = parameters.currency_rates.select(own="currency", margin="to_currency", rate="multiplier")
    found = parameters.series.select(*product, "commodity")
    for table, keys in ((own, product), (margin, ["commodity"]), (rates, ["own", "margin"])):
        found = found.join(table, on=keys, how="left", maintain_order="left")
    same = found["own"].is_null() | (found["own"] == found["margin"])
    rate = found["rate"].set(same, 1.0)
    if rate.null_count():
        pairs = found.filter(rate.is_null()).select("own", "margin").unique().sort("own", "margin").rows()
        raise InputError(
            _bad("currency_rates", "currency", " to ".join(pair), "a rate of the file") for pair in pairs
        )
    return rate.to_numpy()


def _bad(table: str, field: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file=f"parameters.{table}", line=0, field=field, value=value, rule=rule)
