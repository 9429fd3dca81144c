"""Rules of SPAN XML: combined commodities, tiers, spreads, scenarios and rate classes of one organisation.

A clearing organisation and a business function each have one set of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from crossmargin.formats.span.xml_values import Children, Report
from crossmargin.models.span.parameters import SCENARIO_COUNT

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["Commodity", "Link", "Rows", "RuleSet"]

PRICE_RISK_METHODS: Final = {"NORMAL": "normal", "SCANRANGE_CAP": "capped", "SCANRANGE": "scan_range"}
SOM_METHODS: Final = {"GROSS": "sum", "MAX": "max"}
SPOT_METHODS: Final = {"NORMAL": "table", "NONE": "none"}
CHARGE_METHODS: Final = {"W": "price_risk", "F": "flat", "P": "flat"}
SIDES: Final = {"A": "A", "B": "B"}
TIER_KINDS: Final = {"scanTiers": "scan", "intraTiers": "intra", "interTiers": "inter", "somTiers": "som"}
CUSTOMERS: Final = {"M": "member", "H": "hedger", "S": "speculator"}
LEGS: Final = ("tLeg", "pLeg", "rpLeg", "sLeg")
MINIMUM_LEGS: Final = 2

Row = tuple[object, ...]


@dataclass(slots=True)
class Rows:
    """Rows of one table, and the line of each."""

    rows: list[Row] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def add(self, line: int, *values: object) -> None:
        """Add a row."""
        self.rows.append(values)
        self.lines.append(line)


@dataclass(slots=True)
class Link:
    """A product family that belongs to a combined commodity."""

    line: int
    exchange: str
    family: int
    product_type: str
    commodity: str
    scaling: float


@dataclass(slots=True)
class Commodity:
    """A combined commodity; what other elements decide is None, or is filled in later."""

    line: int
    code: str
    name: str
    currency: str
    cap_option_value: bool | None
    short_option_minimum: float
    som_method: str
    price_risk_method: str
    has_spreads: bool
    spot_method: str
    exchange: str
    adjustments: dict[int, tuple[int, float]]


@dataclass(slots=True)
class _RateClass:
    number: int
    is_customer: bool
    account_type: str
    is_maintenance: bool


@dataclass(slots=True)
class RuleSet:
    """The rules of one clearing organisation or business function, while being read."""

    report: Report
    rate: int = 1
    rates: list[_RateClass] = field(default_factory=list)
    commodities: list[Commodity] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    tables: dict[str, Rows] = field(
        default_factory=lambda: {
            name: Rows()
            for name in (
                "scan_points",
                "tiers",
                "intra_spreads",
                "intra_legs",
                "spot_charges",
                "inter_spreads",
                "inter_legs",
                "currency_rates",
            )
        }
    )
    point_sets: list[tuple[int, Rows]] = field(default_factory=list)
    open_legs: int = 0
    cap_option_value: bool = False
    code: str = ""
    function: str = ""
    line: int = 0
    exchanges: list[str] = field(default_factory=list)

    # --- of the whole organisation ---------------------------------------------------------------

    def add_currency_rate(self, element: _Element) -> None:
        """Take in a ``curConv``."""
        children = Children(element, self.report)
        self.tables["currency_rates"].add(
            children.line, children.text("fromCur"), children.text("toCur"), children.number("factor")
        )
        children.done()

    def add_rate_class(self, element: _Element) -> None:
        """Take in a ``pbRateDef``; maintenance at clearing level is the class whose values are read."""
        children = Children(element, self.report)
        self.rates.append(
            _RateClass(
                children.whole("r"),
                children.switch("isCust"),
                children.raw("acctType", required=True) or "",
                children.switch("isM"),
            )
        )
        children.raw("pbc")
        children.done()
        maintenance = [rate.number for rate in self.rates if rate.is_maintenance and not rate.is_customer]
        self.rate = maintenance[0] if maintenance else 1

    def add_points(self, element: _Element) -> None:
        """Take in a ``pointDef``: the sixteen scenarios of one rate class."""
        children = Children(element, self.report)
        rows = Rows()
        for point in children.all("scanPointDef"):
            single = Children(point, self.report)
            rows.add(
                single.line,
                self._scenario(single, "point"),
                self._move(single, "priceScanDef"),
                self._move(single, "volScanDef"),
                single.number("weight"),
                self._scenario(single, "pairedPoint"),
            )
            single.done()
        if {row[0] for row in rows.rows} != set(range(1, SCENARIO_COUNT + 1)) or len(
            rows.rows
        ) != SCENARIO_COUNT:
            shown = ", ".join(str(row[0]) for row in rows.rows)
            self.report.note(element, shown, f"points 1 to {SCENARIO_COUNT}, once each", "scanPointDef")
        self.point_sets.append((children.whole("r"), rows))
        children.done()

    def _scenario(self, children: Children, tag: str) -> int:
        value = children.whole(tag)
        if not 1 <= value <= SCENARIO_COUNT and tag in children.by_tag:
            children.bad(tag, str(value), f"a scenario from 1 to {SCENARIO_COUNT}")
        return value

    def _move(self, children: Children, tag: str) -> float:
        """Return a move in scan ranges: multiplier × numerator ÷ denominator."""
        found = children.all(tag)
        if len(found) != 1:
            self.report.note(children.element, str(len(found)), "one such element", tag)
            return 0.0
        single = Children(found[0], self.report)
        moved = single.number("mult") * single.number("numerator", 1.0)
        denominator = single.number("denominator", 1.0)
        if denominator == 0 and moved != 0:
            single.bad("denominator", "0", "a denominator that is not 0, unless nothing moves")
        single.raw("defType")
        single.done()
        return moved / (denominator or 1.0) + 0.0

    def close(self, element: _Element, *structural: str) -> None:
        """Take in what stands in the organisation's own element."""
        children = Children(element, self.report)
        self.line = children.line
        self.code = children.text("ec")
        self.cap_option_value = children.switch("capAnov", default=False)
        self.function = (children.raw("busFuncType", required=True) or "") if structural else ""
        children.raw("name")
        children.switch(
            "isContractScale", default=False
        )  # tells contracts from deltas, not the scale of arrays
        children.done(
            "curConv",
            "pbRateDef",
            "pointDef",
            "exchange",
            "ccDef",
            "superSpreads",
            "interSpreads",
            *structural,
        )
        numbers = [number for number, _ in self.point_sets]
        for wanted in (self.rate, 1, *numbers[:1]):
            if wanted in numbers:
                self.tables["scan_points"] = self.point_sets[numbers.index(wanted)][1]
                break
        self._check_legs()

    def _check_legs(self) -> None:
        """Resolve the tiers of inter-commodity legs: none where the commodity has no such tiers."""
        tiers = {(row[0], row[2]) for row in self.tables["tiers"].rows if row[1] == "inter"}
        tiered = {commodity for commodity, _ in tiers}
        known = {commodity.code for commodity in self.commodities}
        legs = self.tables["inter_legs"]
        for place, (row, line) in enumerate(zip(legs.rows, legs.lines, strict=True)):
            spread, leg, commodity, tier, *rest = row
            if commodity not in known:
                rule = "a combined commodity of the file"
                self.report.note_line(line, "leg/cc", str(commodity), rule)
            elif not tier or commodity not in tiered:
                legs.rows[place] = (spread, leg, commodity, None, *rest)
            elif (commodity, tier) not in tiers:
                self.report.note_line(line, "tLeg/tn", str(tier), f"a tier in interTiers of {commodity}")

    # --- combined commodities --------------------------------------------------------------------

    def add_commodity(self, element: _Element) -> None:
        """Take in a ``ccDef`` whose spreads have been taken in."""
        children = Children(element, self.report)
        code = children.text("cc")
        links = [self._link(Children(link, self.report), code) for link in children.all("pfLink")]
        minimum = self._tiers(children, code)
        spot = children.all("spotRate")
        has_spreads = self._close_spreads(code)
        self.links += links
        cap = children.switch("capAnov") if "capAnov" in children.by_tag else None
        self.commodities.append(
            Commodity(
                line=children.line,
                code=code,
                name=children.raw("name") or "",
                currency=children.text("currency"),
                cap_option_value=cap,
                short_option_minimum=minimum,
                som_method=children.choice("somMeth", SOM_METHODS, "sum"),
                price_risk_method=children.choice("wfprMeth", PRICE_RISK_METHODS, "normal"),
                has_spreads=has_spreads,
                spot_method=children.choice("spotMeth", SPOT_METHODS, "table" if spot else "none"),
                exchange=links[0].exchange if links else "",
                adjustments=dict(
                    self._adjustment(Children(rate, self.report)) for rate in children.all("adjRate")
                ),
            )
        )
        self._spot_charges([Children(rate, self.report) for rate in spot], code)
        children.done("dSpread", *TIER_KINDS)

    def _link(self, children: Children, commodity: str) -> Link:
        children.raw("pfCode")
        link = Link(
            line=children.line,
            exchange=children.text("exch"),
            family=children.whole("pfId"),
            product_type=children.raw("pfType") or "",
            commodity=commodity,
            scaling=children.number("sc"),
        )
        children.done()
        return link

    def _adjustment(self, children: Children) -> tuple[int, tuple[int, float]]:
        found = children.whole("r"), (children.whole("baseR"), children.number("val"))
        children.done()
        return found

    def _spot_charges(self, rates: list[Children], commodity: str) -> None:
        """Take in the delivery charges; of each month those of the rate class that is read."""
        classes = {rate.whole("r") for rate in rates}
        chosen = next((number for number in (self.rate, 1) if number in classes), min(classes, default=1))
        for rate in rates:
            month, spread, outright = rate.text("pe"), rate.number("sprd"), rate.number("outr")
            rate.done()
            if rate.whole("r") == chosen:
                self.tables["spot_charges"].add(rate.line, commodity, month, spread, outright)

    def _tiers(self, children: Children, commodity: str) -> float:
        """Take in the tiers; return the short option minimum where one tier without months gives it."""
        minimum = 0.0
        for tag, kind in TIER_KINDS.items():
            tiers = [tier for tiers in children.all(tag) for tier in self._tier_rows(tiers, kind)]
            if kind == "som" and len(tiers) == 1 and not tiers[0][2] and not tiers[0][3]:
                minimum = tiers[0][4] or 0.0
                continue
            for line, number, start, end, rate in tiers:
                self.tables["tiers"].add(line, commodity, kind, number, start, end, rate)
        return minimum

    def _tier_rows(self, element: _Element, kind: str) -> list[tuple[int, int, str, str, float | None]]:
        children = Children(element, self.report)
        rows = []
        for tier in children.all("tier"):
            single = Children(tier, self.report)
            number, start, end = single.whole("tn"), single.raw("sPe") or "", single.raw("ePe") or ""
            rate = single.of_rate("rate", self.rate) if kind == "som" else None
            value = rate.number("val") if rate is not None else 0.0 if kind == "som" else None
            rows.append((single.line, number, start, end, value))
            single.done()
        children.done()
        return rows

    # --- spreads ---------------------------------------------------------------------------------

    def add_intra_spread(self, element: _Element) -> None:
        """Take in a ``dSpread`` of a combined commodity that is still open."""
        children = Children(element, self.report)
        priority = children.whole("spread")
        flat = children.choice("chargeMeth", CHARGE_METHODS) == "flat"
        charge = self._flat_rate(children)
        if not flat or charge is None:
            rule = "F, or P with the same charge for any months: a charge of money for one spread"
            self.report.note(element, children.raw("chargeMeth"), rule, "chargeMeth")
        legs = [(tag, leg) for tag in ("tLeg", "pLeg") for leg in children.all(tag)]
        kind = "series" if "pLeg" in children.by_tag else "tier"
        if (
            not legs
            or {"tLeg", "pLeg"} <= children.by_tag.keys()
            or {"rpLeg", "dSpread"} & children.by_tag.keys()
        ):
            self.report.note(
                element, None, "legs that are all tLeg or all pLeg, and no spread inside", "legs"
            )
        spreads = self.tables["intra_spreads"]
        number = len(spreads.rows) + 1
        spreads.add(children.line, number, "", kind, priority, charge or 0.0)
        for place, (tag, leg) in enumerate(legs, 1):
            self._intra_leg(Children(leg, self.report), number, place, tag)
        children.raw("spreadType")
        children.done("rpLeg", "dSpread")

    def _intra_leg(self, children: Children, spread: int, place: int, tag: str) -> None:
        tier = children.whole("tn") if tag == "tLeg" else None
        month = None if tag == "tLeg" else children.text("pe")
        commodity = children.text("cc")
        ratio, side = self._ratio(children), children.choice("rs", SIDES)
        children.done()
        # The commodity stands in front until its own element closes and tells whether it is the same.
        self.tables["intra_legs"].add(children.line, commodity, spread, place, tier, month, ratio, side)

    def _ratio(self, children: Children, default: float | None = None) -> float:
        ratio = children.number("i", default)
        if ratio <= 0 and "i" in children.by_tag:
            children.bad("i", str(ratio), "a ratio above 0")
        return ratio

    def _close_spreads(self, commodity: str) -> bool:
        """Give the spreads since the last combined commodity to this one; return whether there are any."""
        spreads, legs = self.tables["intra_spreads"], self.tables["intra_legs"]
        tiers = {(row[0], row[2]) for row in self.tables["tiers"].rows if row[1] == "intra"}
        mine = len(spreads.rows)
        while mine and not spreads.rows[mine - 1][1]:
            number, _, *rest = spreads.rows[mine - 1]
            spreads.rows[mine - 1] = (number, commodity, *rest)
            mine -= 1
        for place in range(self.open_legs, len(legs.rows)):
            named, *row = legs.rows[place]
            if named != commodity:
                self.report.note_line(
                    legs.lines[place], "leg/cc", str(named), f"the commodity itself, {commodity}"
                )
            if row[2] is not None and (commodity, row[2]) not in tiers:
                rule = f"a tier in intraTiers of {commodity}"
                self.report.note_line(legs.lines[place], "tLeg/tn", str(row[2]), rule)
            legs.rows[place] = tuple(row)
        self.open_legs = len(legs.rows)
        return mine < len(spreads.rows)

    def add_inter_spread(self, element: _Element, *, first: bool) -> None:
        """Take in a ``dSpread`` or ``sSpread`` between combined commodities.

        A credit that cannot be held (legs that name months or rolling periods, a spread inside a spread, a
        charge by number of months) is counted as unused: margin without it is the higher. The format does not
        say which accounts may form a spread: all may.
        """
        children = Children(element, self.report)
        unheld = [tag for tag in ("pLeg", "rpLeg", "dSpread", "sPointDef") if tag in children.by_tag]
        scanning = element.tag == "sSpread"
        priority = children.whole("spread")
        credit = "price_risk" if scanning else children.choice("chargeMeth", CHARGE_METHODS)
        rate = self._flat_rate(children)
        if unheld or (rate is None and "pmpsRate" in children.by_tag):
            self.report.unused[unheld[0] if unheld else "pmpsRate"] += 1
            return
        spreads = self.tables["inter_spreads"]
        number = len(spreads.rows) + 1
        legs = [Children(leg, self.report) for leg in children.all("sLeg" if scanning else "tLeg")]
        if not legs:
            self.report.note(element, None, "legs", "sLeg" if scanning else "tLeg")
        if rate is None:
            self.report.note(element, None, "a rate", "rate")
        if scanning:
            minimum = children.whole("numLegsReq", MINIMUM_LEGS)
            target_required = children.switch("isTargetReq", default=False)
            for place, leg in enumerate(legs, 1):
                self._scanning_leg(leg, number, place, target_required=target_required)
        else:
            minimum = len(legs)
            for place, leg in enumerate(legs, 1):
                self._delta_leg(leg, number, place)
        method = "scanning" if scanning else "delta"
        spreads.add(children.line, number, "", priority, method, credit, rate or 0.0, first, minimum, "all")
        children.raw("spreadType")
        children.done()

    def _delta_leg(self, children: Children, spread: int, place: int) -> None:
        commodity, tier = children.text("cc"), children.whole("tn")
        ratio, side = self._ratio(children), children.choice("rs", SIDES)
        rate = children.of_rate("rate", self.rate)
        own = None if rate is None else rate.number("val")
        children.done()
        self.tables["inter_legs"].add(
            children.line, spread, place, commodity, tier, ratio, side, True, False, own
        )

    def _scanning_leg(self, children: Children, spread: int, place: int, *, target_required: bool) -> None:
        commodity, target = children.text("cc"), children.switch("isTarget")
        required = children.switch("isRequired", default=target and target_required)
        ratio = self._ratio(children, 1.0)
        rate = children.of_rate("rate", self.rate)
        own = None if rate is None else rate.number("val")
        children.done()
        self.tables["inter_legs"].add(
            children.line, spread, place, commodity, None, ratio, "A", required, target, own
        )

    def _flat_rate(self, children: Children) -> float | None:
        """Return the rate of a spread, None where there is none or where it grows with the months between."""
        by_months = children.of_rate("pmpsRate", self.rate)
        if by_months is not None:
            value = by_months.number("val")
            grows = by_months.number("pmRate") != 0 or by_months.number("psRate") != 0
            return None if grows else value
        rate = children.of_rate("rate", self.rate)
        return None if rate is None else rate.number("val")

    # --- rate classes ----------------------------------------------------------------------------

    def adjustment_factors(self, commodity: Commodity) -> tuple[list[float], list[float]]:
        """Return the adjustment factors of member, hedger and speculator, then initial ÷ maintenance of each."""
        adjustments, initials = [], []
        for account_type in CUSTOMERS:
            maintenance = self._class_of(account_type, is_maintenance=True)
            initial = self._class_of(account_type, is_maintenance=False)
            factor, _ = self._factor(commodity, maintenance, None)
            adjustments.append(factor)
            ratio, met = self._factor(commodity, initial, maintenance)
            initials.append(ratio if met or initial is None or factor == 0 else ratio / factor)
        return adjustments, initials

    def _class_of(self, account_type: str, *, is_maintenance: bool) -> int | None:
        return next(
            (
                rate.number
                for rate in self.rates
                if rate.is_customer
                and rate.account_type == account_type
                and rate.is_maintenance == is_maintenance
            ),
            None,
        )

    def _factor(self, commodity: Commodity, number: int | None, stop: int | None) -> tuple[float, bool]:
        """Multiply the adjustments from a class down to its base; the second value tells whether ``stop`` was met."""
        factor, seen = 1.0, set[int]()
        while number is not None and number in commodity.adjustments and number not in seen:
            if number == stop:
                return factor, True
            seen.add(number)
            number, value = commodity.adjustments[number]
            factor *= value
        return factor, number == stop and stop is not None
