"""Writer of SPAN XML (.spn), in the element order of the schema, family by family."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

import numpy as np

from crossmargin.core.files import whole_file
from crossmargin.errors import InputError
from crossmargin.formats.span.xml_checks import FAMILY_TYPES, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import polars as pl

    from crossmargin.models.span.parameters import SpanParameters

__all__ = ["write_spn"]

VALUATIONS: Final = {"premium": "EQTY", "futures": "FUT"}
PRICE_RISK_WORDS: Final = {"normal": "NORMAL", "capped": "SCANRANGE_CAP", "scan_range": "SCANRANGE"}
SOM_WORDS: Final = {"sum": "GROSS", "max": "MAX"}
SPOT_WORDS: Final = {"table": "NORMAL", "none": "NONE"}
CREDIT_WORDS: Final = {"price_risk": "W", "flat": "F"}
TIER_TAGS: Final = {"scan": "scanTiers", "intra": "intraTiers", "inter": "interTiers", "som": "somTiers"}
CONTRACT_TAGS: Final = {"PHY": "phy", "FUT": "fut", "CMB": "cmb"}
UNDERLYING_TYPES: Final = {"OOF": "FUT", "OOC": "CMB"}

CLEARING: Final = 1
ACCOUNTS: Final = (("M", "member"), ("H", "hedger"), ("S", "speculator"))
MAINTENANCE: Final = {kind: number for number, (_, kind) in enumerate(ACCOUNTS, 2)}
INITIAL: Final = {kind: number + len(ACCOUNTS) for kind, number in MAINTENANCE.items()}

Row = dict[str, object]


def write_spn(parameters: SpanParameters, path: str | Path) -> None:
    """Write parameters as SPAN XML.

    Reading the file back gives the same parameters, bit for bit, but for what is said of the source
    (``source_format``, ``skipped``), the numbers of spreads and legs, which are counted anew, and the order
    of rows: series and products by exchange, kind of product and product, other rows by commodity. Same
    parameters, same bytes.

    Parameters
    ----------
    parameters : SpanParameters
        From any source.
    path : str or Path
        Takes its name only when it is complete.

    Raises
    ------
    InputError
        Listing everything that the format does not hold: groups of inter-commodity spreads, tiered
        credits, a charge method that contradicts the charges, texts that XML would change, and the like.

    Notes
    -----
    Source: CME SPAN XML schema, fileFormat 4.00. What the schema requires and the parameters do not know
    (underlyings, cabinet prices, pricing models) is filled in by something harmless.
    """
    if bad := list(unwritable(parameters)):
        raise InputError(bad)
    with whole_file(path) as stream:
        for text in _Document(parameters).parts():
            stream.write(text.encode())


def _element(tag: str, value: object) -> str:
    """Return an element with a value, nothing where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"<{tag}>{int(value)}</{tag}>"
    if isinstance(value, float):
        return f"<{tag}>{value + 0.0!r}</{tag}>"
    return f"<{tag}>{escape(str(value))}</{tag}>"


def _elements(values: Mapping[str, object]) -> str:
    return "".join(_element(tag, value) for tag, value in values.items())


def _rate(value: object) -> str:
    return "" if value is None else f"<rate><r>{CLEARING}</r>{_element('val', value)}</rate>"


def _grouped(table: pl.DataFrame, column: str) -> dict[object, list[Row]]:
    groups: dict[object, list[Row]] = defaultdict(list)
    for row in table.iter_rows(named=True):
        groups[row[column]].append(row)
    return groups


@dataclass(slots=True)
class _Family:
    """A product with its place in the file and its rows of ``series``."""

    number: int
    product: Row
    rows: list[int]
    first_contract: int = 0


@dataclass(slots=True)
class _Document:
    """The file in parts, in order."""

    parameters: SpanParameters
    families: list[_Family] = field(init=False)
    underlyings: dict[tuple[object, object, object], tuple[_Family, int]] = field(init=False)

    def __post_init__(self) -> None:
        order = list(FAMILY_TYPES)
        products = list(self.parameters.products.iter_rows(named=True))
        exchanges = list(dict.fromkeys(product["exchange"] for product in products))
        products.sort(key=lambda row: (exchanges.index(row["exchange"]), order.index(row["product_type"])))
        key = ["exchange", "product", "product_type"]
        rows = _rows_by_key(self.parameters.series, key)
        self.families = []
        contract = 1
        for number, product in enumerate(products, 1):
            family = _Family(number, product, rows.get(tuple(product[name] for name in key), []), contract)
            contract += len(family.rows)
            self.families.append(family)
        self.underlyings = self._find_underlyings()

    def _find_underlyings(self) -> dict[tuple[object, object, object], tuple[_Family, int]]:
        """Return the first contract of each commodity, type and month that options may stand on."""
        found: dict[tuple[object, object, object], tuple[_Family, int]] = {}
        months = self.parameters.series["expiry"].to_list()
        for family in self.families:
            if family.product["product_type"] in CONTRACT_TAGS:
                for contract, row in enumerate(family.rows, family.first_contract):
                    key = (family.product["commodity"], family.product["product_type"], months[row])
                    found.setdefault(key, (family, contract))
        return found

    def parts(self) -> Iterator[str]:
        """Yield the file from its first line to its last."""
        parameters = self.parameters
        day = parameters.business_date
        stamp = f"{day.year:04d}{day.month:02d}{day.day:02d}"
        yield '<?xml version="1.0" encoding="UTF-8"?>\n<spanFile>\n<fileFormat>4.00</fileFormat>\n'
        yield f"<created>{stamp}0000</created>\n"
        yield from self._definitions()
        is_settlement = parameters.settlement != "intraday"
        yield f"<pointInTime>\n<date>{stamp}</date>{_element('isSetl', is_settlement)}"
        yield _element("setlQualifier", parameters.settlement if is_settlement else None)
        yield f"\n<clearingOrg>\n{_element('ec', parameters.organization)}{_element('name', parameters.organization)}"
        yield "<isContractScale>1</isContractScale><isNetMargin>1</isNetMargin><finalizeMeth>BY</finalizeMeth>\n"
        for row in parameters.currency_rates.iter_rows(named=True):
            values = {"fromCur": row["currency"], "toCur": row["to_currency"], "factor": row["multiplier"]}
            yield f"<curConv>{_elements(values)}</curConv>\n"
        yield from self._rate_classes()
        yield from self._points()
        yield from self._exchanges()
        yield from self._commodities()
        yield from self._inter_spreads()
        yield "</clearingOrg>\n</pointInTime>\n</spanFile>\n"

    def _definitions(self) -> Iterator[str]:
        tables = (self.parameters.commodities["currency"], self.parameters.products["currency"])
        currencies = sorted({currency for table in tables for currency in table}) or ["XXX"]
        yield "<definitions>\n"
        for currency in currencies:
            values = {"currency": currency, "symbol": currency[0], "name": currency, "decimalPos": 2}
            yield f"<currencyDef>{_elements(values)}</currencyDef>\n"
        for priority, (account, is_customer) in enumerate(
            [("N", 0), *((code, 1) for code, _ in ACCOUNTS)], 1
        ):
            values = {"isCust": is_customer, "acctType": account, "isNetMargin": 1, "priority": priority}
            yield f"<acctTypeDef>{_elements(values)}</acctTypeDef>\n"
        yield "</definitions>\n"

    def _rate_classes(self) -> Iterator[str]:
        classes = [(CLEARING, 0, "N", 1)]
        classes += [(MAINTENANCE[kind], 1, code, 1) for code, kind in ACCOUNTS]
        classes += [(INITIAL[kind], 1, code, 0) for code, kind in ACCOUNTS]
        for number, is_customer, account, is_maintenance in classes:
            values = {"r": number, "isCust": is_customer, "acctType": account, "isM": is_maintenance}
            yield f"<pbRateDef>{_elements(values)}<pbc>CORE</pbc></pbRateDef>\n"

    def _points(self) -> Iterator[str]:
        yield f"<pointDef><r>{CLEARING}</r>\n"
        for row in self.parameters.scan_points.sort("scenario").iter_rows(named=True):
            price, volatility = _element("mult", row["price_move"]), _element("mult", row["volatility_move"])
            yield (
                f"<scanPointDef>{_element('point', row['scenario'])}<priceScanDef>{price}</priceScanDef>"
                f"<volScanDef>{volatility}</volScanDef>{_element('weight', row['weight'])}"
                f"{_element('pairedPoint', row['paired'])}</scanPointDef>\n"
            )
        yield "</pointDef>\n"

    # --- contracts -------------------------------------------------------------------------------

    def _exchanges(self) -> Iterator[str]:
        exchange = None
        for family in self.families:
            if family.product["exchange"] != exchange:
                yield "</exchange>\n" if exchange is not None else ""
                exchange = family.product["exchange"]
                yield f"<exchange>{_element('exch', exchange)}\n"
            yield from self._family(family)
        if exchange is None:
            yield f"<exchange>{_element('exch', self.parameters.organization)}"
        yield "</exchange>\n"

    def _family(self, family: _Family) -> Iterator[str]:
        product = family.product
        kind = str(product["product_type"])
        tag = FAMILY_TYPES[kind]
        valuation = VALUATIONS[str(product["option_style"])]
        values = {
            "pfId": family.number,
            "pfCode": product["product"],
            "name": product["name"] or None,
            "currency": product["currency"],
            "cvf": product["contract_size"],
        }
        yield f"<{tag}>{_elements(values)}"
        if kind in CONTRACT_TAGS:
            yield f"<valueMeth>{valuation}</valueMeth>"
        else:
            yield f"<cab>0</cab><valueMeth>{valuation}</valueMeth><priceModel></priceModel>"
        if kind != "PHY":
            under = self._family_beneath(family)
            names = {
                "exch": under.product["exchange"],
                "pfId": under.number,
                "pfCode": under.product["product"],
            }
            yield f"<undPf>{_elements(names)}<s>A</s><i>1</i></undPf>\n"
        columns = self.parameters.series[family.rows]
        losses = np.asarray(self.parameters.losses[family.rows])
        if kind in CONTRACT_TAGS:
            yield from self._contracts(family, CONTRACT_TAGS[kind], columns, losses)
        else:
            yield from self._option_series(family, columns, losses)
        yield f"</{tag}>\n"

    def _family_beneath(self, family: _Family) -> _Family:
        """Return the family that another stands on, itself where the parameters tell of none."""
        product_type = UNDERLYING_TYPES.get(str(family.product["product_type"]), "PHY")
        for other in self.families:
            if (
                other.product["product_type"] == product_type
                and other.product["commodity"] == family.product["commodity"]
            ):
                return other
        return family

    def _contracts(
        self, family: _Family, tag: str, series: pl.DataFrame, losses: np.ndarray
    ) -> Iterator[str]:
        under = self._family_beneath(family)
        beneath = "" if tag == "phy" else _contract_beneath(under, under.first_contract)
        rows = zip(series.iter_rows(named=True), losses.tolist(), strict=True)
        for contract, (row, values) in enumerate(rows, family.first_contract):
            yield (
                f"<{tag}>{_element('cId', contract)}{_element('pe', row['expiry'] or None)}"
                f"{_element('p', row['price'])}{_element('v', row['implied_volatility'])}"
                f"{_own(family, row)}{_element('t', row['years_to_expiry'])}{beneath}{_scan_rate(row)}"
                f"{_risk_array(values, row)}</{tag}>\n"
            )

    def _option_series(self, family: _Family, series: pl.DataFrame, losses: np.ndarray) -> Iterator[str]:
        shared = None
        rows = zip(series.iter_rows(named=True), losses.tolist(), strict=True)
        for contract, (row, values) in enumerate(rows, family.first_contract):
            now = tuple(row[name] for name in SHARED)
            if now != shared:
                yield "</series>\n" if shared is not None else ""
                shared = now
                yield (
                    f"<series>{_element('pe', row['expiry'])}{_element('t', row['years_to_expiry'])}<sc>1</sc>"
                    f"{self._series_beneath(family, row)}{_scan_rate(row)}\n"
                )
            yield (
                f"<opt><cId>{contract}</cId><o>{row['right']}</o>{_element('k', row['strike'])}"
                f"{_element('p', row['price'])}{_element('v', row['implied_volatility'])}{_own(family, row)}"
                f"{_risk_array(values, row)}</opt>\n"
            )
        yield "</series>\n" if shared is not None else ""

    def _series_beneath(self, family: _Family, row: Row) -> str:
        kind = UNDERLYING_TYPES.get(str(family.product["product_type"]))
        if kind is None:
            under = self._family_beneath(family)
            return _contract_beneath(under, under.first_contract)
        return _contract_beneath(*self.underlyings[row["commodity"], kind, row["future_month"]])

    # --- rules -----------------------------------------------------------------------------------

    def _commodities(self) -> Iterator[str]:
        parameters = self.parameters
        families: dict[object, list[_Family]] = defaultdict(list)
        for family in self.families:
            families[family.product["commodity"]].append(family)
        tiers = _grouped(parameters.tiers, "commodity")
        spreads = _grouped(parameters.intra_spreads, "commodity")
        legs = _grouped(parameters.intra_legs, "spread")
        spot = _grouped(parameters.spot_charges, "commodity")
        for row in parameters.commodities.iter_rows(named=True):
            code = row["commodity"]
            values = {
                "cc": code,
                "name": row["name"] or None,
                "currency": row["currency"],
                "capAnov": row["cap_option_value"],
                "wfprMeth": PRICE_RISK_WORDS[row["price_risk_method"]],
                "spotMeth": SPOT_WORDS[row["spot_method"]],
                "somMeth": SOM_WORDS[row["som_method"]],
            }
            yield f"<ccDef>{_elements(values)}\n"
            yield from (_link(family) for family in families[code])
            yield from _adjustments(row)
            yield from _tiers(tiers[code], row["short_option_minimum"])
            for spread in spreads[code]:
                yield from _intra_spread(spread, legs[spread["spread"]])
            for charge in spot[code]:
                rates = {
                    "r": CLEARING,
                    "pe": charge["month"],
                    "sprd": charge["in_spreads"],
                    "outr": charge["outright"],
                }
                yield f"<spotRate>{_elements(rates)}</spotRate>\n"
            yield "</ccDef>\n"

    def _inter_spreads(self) -> Iterator[str]:
        legs = _grouped(self.parameters.inter_legs, "spread")
        for tag, first in (("superSpreads", True), ("interSpreads", False)):
            yield f"<{tag}>\n"
            for row in self.parameters.inter_spreads.filter(first=first).iter_rows(named=True):
                write = _scanning_spread if row["method"] == "scanning" else _delta_spread
                yield from write(row, legs[row["spread"]])
            yield f"</{tag}>\n"


SHARED: Final = (
    "expiry",
    "future_month",
    "years_to_expiry",
    "price_scan_range",
    "volatility_scan_range",
)
"""What options of one ``series`` element have in common."""


def _rows_by_key(series: pl.DataFrame, key: list[str]) -> dict[tuple[object, ...], list[int]]:
    rows = series.select(key).with_row_index("row").group_by(key, maintain_order=True).agg("row")
    return {tuple(values): places for *values, places in rows.iter_rows()}


def _contract_beneath(family: _Family, contract: int) -> str:
    values = {"exch": family.product["exchange"], "pfId": family.number, "cId": contract}
    return f"<undC>{_elements(values)}<s>A</s><i>1</i></undC>"


def _own(family: _Family, row: Row) -> str:
    """Return what a contract has of its own: its size and its scaling, where they are not the usual ones."""
    size, scaling = row["contract_size"], row["delta_scaling"]
    return (_element("cvf", size) if size != family.product["contract_size"] else "") + (
        _element("sc", scaling) if scaling != 1 else ""
    )


def _scan_rate(row: Row) -> str:
    price, volatility = row["price_scan_range"], row["volatility_scan_range"]
    if price is None and volatility is None:
        return ""
    return f"<scanRate><r>{CLEARING}</r>{_element('priceScan', price)}{_element('volScan', volatility)}</scanRate>"


def _risk_array(losses: list[float], row: Row) -> str:
    values = "</a><a>".join([repr(loss + 0.0) for loss in losses])
    return f"<ra><r>{CLEARING}</r><a>{values}</a>{_element('d', row['composite_delta'])}</ra>"


def _link(family: _Family) -> str:
    product = family.product
    values = {
        "exch": product["exchange"],
        "pfId": family.number,
        "pfCode": product["product"],
        "pfType": product["product_type"],
        "sc": 1,
    }
    return f"<pfLink>{_elements(values)}</pfLink>\n"


def _adjustments(row: Row) -> Iterator[str]:
    rates = [(MAINTENANCE[kind], CLEARING, row[f"adjustment_{kind}"]) for _, kind in ACCOUNTS]
    rates += [(INITIAL[kind], MAINTENANCE[kind], row[f"initial_{kind}"]) for _, kind in ACCOUNTS]
    for number, base, value in rates:
        yield f"<adjRate>{_elements({'r': number, 'baseR': base, 'val': value})}</adjRate>\n"


def _tiers(tiers: list[Row], short_option_minimum: float) -> Iterator[str]:
    for kind, tag in TIER_TAGS.items():
        rows = [
            f"<tier>{_element('tn', tier['tier'])}{_element('sPe', tier['start'] or None)}"
            f"{_element('ePe', tier['end'] or None)}{_rate(tier['rate'])}</tier>"
            for tier in tiers
            if tier["kind"] == kind
        ]
        if kind == "som" and not rows:
            rows = [f"<tier><tn>0</tn>{_rate(short_option_minimum)}</tier>"]
        if rows:
            yield f"<{tag}>{''.join(rows)}</{tag}>\n"


def _intra_spread(spread: Row, legs: Iterable[Row]) -> Iterator[str]:
    yield f"<dSpread>{_element('spread', spread['priority'])}<chargeMeth>F</chargeMeth>{_rate(spread['charge'])}"
    tag, place, value = ("tLeg", "tn", "tier") if spread["kind"] == "tier" else ("pLeg", "pe", "month")
    for leg in sorted(legs, key=_leg_number):
        values = {"cc": spread["commodity"], place: leg[value], "rs": leg["side"], "i": leg["ratio"]}
        yield f"<{tag}>{_elements(values)}</{tag}>"
    yield "</dSpread>\n"


def _delta_spread(spread: Row, legs: Iterable[Row]) -> Iterator[str]:
    method = CREDIT_WORDS[str(spread["credit"])]
    yield f"<dSpread>{_element('spread', spread['priority'])}<chargeMeth>{method}</chargeMeth>{_rate(spread['rate'])}"
    for leg in sorted(legs, key=_leg_number):
        values = {"cc": leg["commodity"], "tn": leg["tier"] or 0, "rs": leg["side"], "i": leg["ratio"]}
        yield f"<tLeg>{_elements(values)}{_rate(leg['rate'])}</tLeg>"
    yield "</dSpread>\n"


def _scanning_spread(spread: Row, legs: Iterable[Row]) -> Iterator[str]:
    values = {"spread": spread["priority"], "numLegsReq": spread["minimum_legs"]}
    yield f"<sSpread>{_elements(values)}{_rate(spread['rate'])}"
    for leg in sorted(legs, key=_leg_number):
        values = {
            "cc": leg["commodity"],
            "isTarget": leg["target"],
            "isRequired": leg["required"],
            "i": leg["ratio"],
        }
        yield f"<sLeg>{_elements(values)}{_rate(leg['rate'])}</sLeg>"
    yield "</sSpread>\n"


def _leg_number(leg: Row) -> int:
    number = leg["leg"]
    assert isinstance(number, int)
    return number
