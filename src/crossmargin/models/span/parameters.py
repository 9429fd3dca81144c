"""What a SPAN risk parameter file says, in columns: the same from every file format.

Signs and units, converted once by the reader: a loss is positive; ``losses`` are of ONE LONG contract,
final (extreme scenarios already weighted) and in the currency of the product, which the method converts. Charges, rates
and minimums are money per spread or contract; inter-commodity credit rates are fractions. Months are
texts: ``YYYYMM``, or ``YYYYMMDD`` where the file names a day or a week, kept as the file has them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = [
    "DEFAULT_SCAN_POINTS",
    "SCENARIO_COUNT",
    "SPAN_KEYS",
    "SPAN_SCHEMAS",
    "SpanParameters",
    "scan_points",
]

SCENARIO_COUNT: Final = 16

TEXT, WHOLE, NUMBER, SWITCH = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()

SPAN_SCHEMAS: Final[dict[str, dict[str, pl.DataType]]] = {
    # price_move and volatility_move in scan ranges; paired = scenario with the opposite volatility move.
    "scan_points": {
        "scenario": WHOLE,
        "price_move": NUMBER,
        "volatility_move": NUMBER,
        "weight": NUMBER,
        "paired": WHOLE,
    },
    # One row a combined commodity. option_style: "premium" (paid up front: option value counts) or
    # "futures" (marked daily: it does not). som_method: "sum" or "max". price_risk_method: "normal",
    # "capped" (at the scan range) or "scan_range". spot_method, intra_method: "none" or "table".
    # adjustment_*: factor on risk; initial_*: initial ÷ maintenance, for member, hedger, speculator.
    "commodities": {
        "commodity": TEXT,
        "exchange": TEXT,
        "name": TEXT,
        "currency": TEXT,
        "option_style": TEXT,
        "cap_option_value": SWITCH,
        "short_option_minimum": NUMBER,
        "som_method": TEXT,
        "price_risk_method": TEXT,
        "intra_method": TEXT,
        "spot_method": TEXT,
        "adjustment_member": NUMBER,
        "adjustment_hedger": NUMBER,
        "adjustment_speculator": NUMBER,
        "initial_member": NUMBER,
        "initial_hedger": NUMBER,
        "initial_speculator": NUMBER,
    },
    # product_type: FUT future, PHY physical, OOF option on a future, OOP on a physical, OOC on a
    # combination, CMB combination, or the file's own word. contract_size: money for one point of price.
    "products": {
        "exchange": TEXT,
        "product": TEXT,
        "product_type": TEXT,
        "name": TEXT,
        "commodity": TEXT,
        "currency": TEXT,
        "contract_size": NUMBER,
        "option_style": TEXT,
    },
    # One row a series, in the order of ``losses``. right: "C", "P", or "" for what is no option, whose
    # strike is 0. expiry: option month of an option, else the month of the contract. future_month: month
    # of the future under an option on one, else "". delta_month: where its delta counts, the month of the future for an option on one.
    # composite_delta is of one long contract; delta_scaling multiplies it (family × series).
    # price, implied_volatility (fraction), scan ranges (points, fraction), years: null where not given.
    "series": {
        "exchange": TEXT,
        "product": TEXT,
        "product_type": TEXT,
        "commodity": TEXT,
        "right": TEXT,
        "expiry": TEXT,
        "future_month": TEXT,
        "delta_month": TEXT,
        "strike": NUMBER,
        "composite_delta": NUMBER,
        "delta_scaling": NUMBER,
        "contract_size": NUMBER,
        "option_style": TEXT,
        "price": NUMBER,
        "implied_volatility": NUMBER,
        "price_scan_range": NUMBER,
        "volatility_scan_range": NUMBER,
        "years_to_expiry": NUMBER,
    },
    # kind: "intra", "scan", "inter" or "som"; a tier is all months from start to end, both included;
    # empty texts leave an end open. rate: money a short option of that tier, for kind "som".
    "tiers": {"commodity": TEXT, "kind": TEXT, "tier": WHOLE, "start": TEXT, "end": TEXT, "rate": NUMBER},
    # kind: "series" (legs name months; formed first) or "tier" (legs name tiers of kind "intra").
    "intra_spreads": {"spread": WHOLE, "commodity": TEXT, "kind": TEXT, "priority": WHOLE, "charge": NUMBER},
    "intra_legs": {
        "spread": WHOLE,
        "leg": WHOLE,
        "tier": WHOLE,
        "month": TEXT,
        "ratio": NUMBER,
        "side": TEXT,
    },
    # Delivery or spot month charge for one delta in spreads, and for one left outright.
    "spot_charges": {"commodity": TEXT, "month": TEXT, "in_spreads": NUMBER, "outright": NUMBER},
    # method: "delta", "scanning" or "tiered". credit: "price_risk" (rate a fraction of weighted price
    # risk) or "flat" (rate an amount of money for one spread). first: a super spread, before intracommodity.
    # eligibility: the accounts that may form it: "all", "non_segregated" (house and customers whose money is
    # not segregated) or "house".
    "inter_spreads": {
        "spread": WHOLE,
        "group": TEXT,
        "priority": WHOLE,
        "method": TEXT,
        "credit": TEXT,
        "rate": NUMBER,
        "first": SWITCH,
        "minimum_legs": WHOLE,
        "eligibility": TEXT,
    },
    # side: "A" or "B". tier: of kind "inter", null for the whole commodity. rate: the leg's own credit
    # rate, null where the spread's holds. target: the leg that a scanning-based credit goes to.
    "inter_legs": {
        "spread": WHOLE,
        "leg": WHOLE,
        "commodity": TEXT,
        "tier": WHOLE,
        "ratio": NUMBER,
        "side": TEXT,
        "required": SWITCH,
        "target": SWITCH,
        "rate": NUMBER,
    },
    "currency_rates": {"currency": TEXT, "to_currency": TEXT, "multiplier": NUMBER},
    # What the reader met and did not need, by record type or element name.
    "skipped": {"record": TEXT, "count": WHOLE},
}
"""Tables of ``SpanParameters`` by name, with their columns."""

SPAN_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "scan_points": ("scenario",),
    "commodities": ("commodity",),
    "products": ("exchange", "product", "product_type"),
    "series": ("exchange", "product", "product_type", "right", "expiry", "future_month", "strike"),
    "tiers": ("commodity", "kind", "tier"),
    "intra_spreads": ("spread",),
    "intra_legs": ("spread", "leg"),
    "spot_charges": ("commodity", "month"),
    "inter_spreads": ("spread",),
    "inter_legs": ("spread", "leg"),
    "currency_rates": ("currency", "to_currency"),
    "skipped": ("record",),
}
"""Columns that together stand once in each table."""

COMMODITY_TABLES: Final = ("products", "series", "tiers", "intra_spreads", "spot_charges", "inter_legs")


def scan_points(extreme_multiplier: float, covered_fraction: float) -> pl.DataFrame:
    """Return the sixteen scenarios of SPAN.

    Parameters
    ----------
    extreme_multiplier : float
        Price move of the two extreme scenarios, in scan ranges.
    covered_fraction : float
        Part of an extreme loss that counts.

    Source: CME, Components of SPAN; PRiME is said to use the same list.
    """
    thirds = [0, 1, -1, 2, -2, 3, -3]
    price = [third / 3 for third in thirds for _ in range(2)] + [extreme_multiplier, -extreme_multiplier]
    columns = {
        "scenario": range(1, SCENARIO_COUNT + 1),
        "price_move": price,
        "volatility_move": [1.0, -1.0] * len(thirds) + [0.0, 0.0],
        "weight": [1.0] * 2 * len(thirds) + [covered_fraction] * 2,
        "paired": [pair for first in range(1, 2 * len(thirds), 2) for pair in (first + 1, first)] + [15, 16],
    }
    return pl.DataFrame(columns, schema=SPAN_SCHEMAS["scan_points"])


DEFAULT_SCAN_POINTS: Final = scan_points(2.0, 0.35)
"""Classic SPAN, for a file that does not give its own: twice the scan range, of which 35% counts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpanParameters:
    """The risk parameters of one house and one time, checked and in columns.

    Parameters
    ----------
    organization : str
        Clearing organisation or exchange complex, as the file names it.
    business_date : date
        The day the parameters are of.
    settlement : str
        "final", "early" or "intraday".
    source_format : str
        "U2", "PA2" or "SPN"; "" where built by hand.
    losses : ndarray of float64, shape (series, 16)
        Loss of one long contract in each scenario, in the currency of its product.
    scan_points, commodities, products, series, tiers, intra_spreads, intra_legs, spot_charges : DataFrame
        See ``SPAN_SCHEMAS``.
    inter_spreads, inter_legs, currency_rates, skipped : DataFrame
        The same.

    Raises
    ------
    InputError
        If a key stands twice, a table names a commodity or a leg a spread that is not there, or a loss is
        not finite.
    """

    organization: str
    business_date: date
    settlement: str
    source_format: str
    losses: Float64[np.ndarray, "series 16"]
    scan_points: pl.DataFrame
    commodities: pl.DataFrame
    products: pl.DataFrame
    series: pl.DataFrame
    tiers: pl.DataFrame
    intra_spreads: pl.DataFrame
    intra_legs: pl.DataFrame
    spot_charges: pl.DataFrame
    inter_spreads: pl.DataFrame
    inter_legs: pl.DataFrame
    currency_rates: pl.DataFrame
    skipped: pl.DataFrame

    def __post_init__(self) -> None:
        for name, schema in SPAN_SCHEMAS.items():
            assert dict(self.table(name).schema) == schema, f"{name}: {self.table(name).schema}"
        assert self.losses.shape == (len(self.series), SCENARIO_COUNT), self.losses.shape
        if bad := [*self._repeated(), *self._orphans(), *self._not_finite()]:
            raise InputError(bad)

    def table(self, name: str) -> pl.DataFrame:
        """Return the table of that name, one of ``SPAN_SCHEMAS``."""
        frame: pl.DataFrame = getattr(self, name)
        return frame

    def _repeated(self) -> Iterator[BadRecord]:
        for name, key in SPAN_KEYS.items():
            table = self.table(name)
            again = ~table.select(pl.struct(key).is_first_distinct()).to_series()
            for row in np.flatnonzero(again.to_numpy()).tolist():
                values = " ".join(str(value) for value in table.select(key).row(row))
                yield _bad(name, row, ", ".join(key), values, "stands once")

    def _orphans(self) -> Iterator[BadRecord]:
        for name in COMMODITY_TABLES:
            yield from self._missing(name, "commodity", "commodities", "a combined commodity of the file")
        for name, home in (("intra_legs", "intra_spreads"), ("inter_legs", "inter_spreads")):
            yield from self._missing(name, "spread", home, "a spread of the file")

    def _missing(self, name: str, column: str, home: str, rule: str) -> Iterator[BadRecord]:
        values = self.table(name)[column]
        unknown = ~values.is_in(self.table(home)[column].implode())
        for row in np.flatnonzero(unknown.to_numpy()).tolist():
            yield _bad(name, row, column, str(values[row]), rule)

    def _not_finite(self) -> Iterator[BadRecord]:
        for row, scenario in np.argwhere(~np.isfinite(self.losses)).tolist():
            value = str(self.losses[row, scenario])
            yield _bad("losses", row, f"scenario {scenario + 1}", value, "a finite number")

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over everything the parameters say: equal content, equal hash, whatever file it came in."""
        digest = hashlib.sha256(repr((self.organization, self.business_date, self.settlement)).encode())
        digest.update(np.ascontiguousarray(self.losses).data)
        for name in SPAN_SCHEMAS:
            if name != "skipped":
                digest.update(self.table(name).write_csv().encode())
        return digest.hexdigest()

    @cached_property
    def is_option(self) -> pl.Series:
        """Whether each series is an option."""
        return self.series["right"] != ""


def _bad(table: str, row: int, field: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file=f"parameters.{table}", line=row + 1, field=field, value=value, rule=rule)
