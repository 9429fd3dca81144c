"""Contracts of SPAN XML, one row each in plain columns, as their elements close.

Options are nearly all of a file, so their elements take a short way: every child is looked at once, all
numbers of a contract pass one check of their characters, and whatever is unusual (a child twice, an
empty value, several rate classes) falls back to the careful way that also reads the other contracts.
What options of a series share is kept once, as a block of rows.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from crossmargin.core.columns import NUMBER_LIMIT
from crossmargin.formats.span.xml_values import MISSING, NUMBER_RULE, Children, Report, checked_number
from crossmargin.models.span.parameters import SCENARIO_COUNT

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64
    from lxml.etree import _Element

__all__ = [
    "CONTRACT_FAMILIES",
    "OPTION_FAMILIES",
    "RIGHTS",
    "Block",
    "ContractColumns",
    "Family",
    "Override",
    "family_type",
]

RIGHTS: Final = ("", "C", "P")
"""Code of a right → the right; 0 is no option."""

CONTRACT_FAMILIES: Final = {"phy": "phyPf", "fut": "futPf", "cmb": "cmbPf"}
OPTION_FAMILIES: Final = ("oopPf", "oofPf", "oocPf", "ooePf")
STYLES: Final = {"EQTY": "premium", "FUT": "futures", "FUTDA": "futures", "FWD": "futures"}
RIGHT_CODES: Final = {"C": 1, "P": 2}

# The characters of numbers, no more: float() alone would take 1_000, nan or digits of other scripts.
NUMBER_CHARACTERS: Final = re.compile(r"[-+.0-9eE \t\r\n]*")
ARRAY_CHILDREN: Final = SCENARIO_COUNT + 2
PERIOD: Final = re.compile(r"[0-9]{6}\w{0,3}", re.ASCII)
PERIOD_RULE: Final = "a period: YYYYMM, then up to three letters or digits"

OPTIONAL_NUMBERS: Final = ("v", "cvf", "sc")
READ_OF_OPTION: Final = {"cId", "o", "k", "p", "ra", *OPTIONAL_NUMBERS}


@dataclass(slots=True)
class Family:
    """One product family."""

    line: int
    tag: str
    identifier: int
    code: str
    name: str
    currency: str
    contract_size: float
    style: str
    exchange: str = ""
    organization: int = -1


@dataclass(slots=True)
class Block:
    """What a run of rows shares: an option series, or one future, physical or combination."""

    line: int
    tag: str
    rows: int
    period: str
    implied_volatility: float
    years: float
    contract_size: float
    scaling: float
    price_scan_range: float
    volatility_scan_range: float
    underlying: tuple[str, int, int]
    family: int = -1


@dataclass(slots=True)
class Override:
    """An array of a contract that holds in a business function only."""

    line: int
    contract: int
    delta: float
    losses: list[float]
    exchange: str = ""
    family: int = -1


@dataclass(slots=True)
class _Array:
    """A risk array as read."""

    losses: list[float]
    delta: float


@dataclass(slots=True)
class ContractColumns:
    """Every contract of one point in time."""

    report: Report
    rate: int = 1
    families: list[Family] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    overrides: list[Override] = field(default_factory=list)
    rows_in_blocks: int = 0
    line: array[int] = field(default_factory=lambda: array("q"))
    contract: array[int] = field(default_factory=lambda: array("q"))
    right: array[int] = field(default_factory=lambda: array("b"))
    strike: array[float] = field(default_factory=lambda: array("d"))
    price: array[float] = field(default_factory=lambda: array("d"))
    implied_volatility: array[float] = field(default_factory=lambda: array("d"))
    contract_size: array[float] = field(default_factory=lambda: array("d"))
    scaling: array[float] = field(default_factory=lambda: array("d"))
    delta: array[float] = field(default_factory=lambda: array("d"))
    losses: array[float] = field(default_factory=lambda: array("d"))
    layouts: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def add_option(self, element: _Element) -> None:
        """Take in an ``opt`` element."""
        children = {child.tag: child for child in element}
        try:
            self._add_plain_option(element, children)
        except (KeyError, TypeError, ValueError):
            self._add_option_carefully(element)
        else:
            self.layouts[tuple(children)] += 1  # type: ignore[arg-type]

    def _add_plain_option(self, element: _Element, children: dict[Any, _Element]) -> None:
        """Add the row of an option in which nothing is unusual, or add nothing and raise."""
        risk = children["ra"]
        first, last = risk[0], risk[-1]
        texts = [child.text for child in risk.iterchildren("a")]
        plain = (
            len(children) == len(element)
            and len(risk) == ARRAY_CHILDREN
            and len(texts) == SCENARIO_COUNT
            and first.tag == "r"
            and last.tag == "d"
            and first.text in {"1", str(self.rate)}
        )
        texts += (children["k"].text, children["p"].text, last.text, children["cId"].text)
        for tag in OPTIONAL_NUMBERS:
            child = children.get(tag)
            texts.append("1" if child is None else child.text)
        if not plain or not NUMBER_CHARACTERS.fullmatch("".join(texts)):  # type: ignore[arg-type]
            raise ValueError
        right = RIGHT_CODES[children["o"].text]  # type: ignore[index]
        contract = int(texts.pop(SCENARIO_COUNT + 3))  # type: ignore[arg-type]
        if not 0 <= contract <= NUMBER_LIMIT:
            raise ValueError
        numbers = list(map(float, texts))  # type: ignore[arg-type]
        for place, tag in enumerate(OPTIONAL_NUMBERS, SCENARIO_COUNT + 3):
            if tag not in children:
                numbers[place] = 1.0 if tag == "sc" else MISSING
        self._add_row(
            element.sourceline or 0, contract, right, numbers[SCENARIO_COUNT:], numbers[:SCENARIO_COUNT]
        )

    def _add_option_carefully(self, element: _Element) -> None:
        children = Children(element, self.report)
        contract = children.whole("cId")
        right = children.choice("o", RIGHT_CODES)
        strike, price = children.number("k"), children.number("p")
        found = self._risk_array(children)
        volatility, size = children.number("v", MISSING), children.number("cvf", MISSING)
        scaling = children.number("sc", 1.0)
        children.done()
        if found is None:
            self.report.unused["opt"] += 1
            return
        numbers = [strike, price, found.delta, volatility, size, scaling]
        self._add_row(children.line, contract, right, numbers, found.losses)

    def _add_row(
        self, line: int, contract: int, right: int, numbers: list[float], losses: list[float]
    ) -> None:
        strike, price, delta, volatility, size, scaling = numbers
        self.line.append(line)
        self.contract.append(contract)
        self.right.append(right)
        self.strike.append(strike)
        self.price.append(price)
        self.delta.append(delta)
        self.implied_volatility.append(volatility)
        self.contract_size.append(size)
        self.scaling.append(scaling)
        self.losses.extend(losses)

    def _risk_array(self, children: Children) -> _Array | None:
        found = children.of_rate("ra", self.rate)
        if found is None:
            return None
        points = found.all("a")
        if len(points) != SCENARIO_COUNT:
            rule = f"{SCENARIO_COUNT} values of a risk array"
            self.report.note(found.element, str(len(points)), rule, "a")
        losses = [checked_number(point, self.report) for point in points]
        delta = found.number("d")
        found.done()
        if len(losses) != SCENARIO_COUNT:
            losses = [0.0] * SCENARIO_COUNT
        return _Array(losses, delta)

    def add_series(self, element: _Element) -> None:
        """Take in a ``series`` element whose options have been taken in."""
        children = Children(element, self.report)
        rows = len(self.line) - self.rows_in_blocks
        self._add_block(children, rows, period=self._period(children, required=True))
        children.done("opt")

    def add_contract(self, element: _Element) -> None:
        """Take in a ``fut``, ``phy`` or ``cmb`` element."""
        children = Children(element, self.report)
        contract = children.whole("cId")
        period = self._period(children, required=element.tag != "phy")
        price = children.number("p", MISSING)
        found = self._risk_array(children)
        if found is not None:
            numbers = [0.0, price, found.delta, MISSING, MISSING, 1.0]
            self._add_row(children.line, contract, 0, numbers, found.losses)
        else:
            self.report.unused[str(element.tag)] += 1
        self._add_block(children, int(found is not None), period=period, contract=contract)
        children.done()

    def _period(self, children: Children, *, required: bool) -> str:
        period = children.raw("pe", required=required)
        if period is not None and not PERIOD.fullmatch(period):
            children.bad("pe", period, PERIOD_RULE)
        return period or ""

    def _add_block(self, children: Children, rows: int, *, period: str, contract: int = -1) -> None:
        tag = str(children.element.tag)
        scan = children.of_rate("scanRate", self.rate)
        scan_ranges = (MISSING, MISSING)
        if scan is not None:
            scan_ranges = (scan.number("priceScan", MISSING), scan.number("volScan", MISSING))
            scan.done()
        self.blocks.append(
            Block(
                line=children.line,
                tag=tag,
                rows=rows,
                period=period,
                implied_volatility=children.number("v", MISSING),
                years=children.number("t", MISSING),
                contract_size=children.number("cvf", MISSING),
                scaling=children.number("sc", 1.0),
                price_scan_range=scan_ranges[0],
                volatility_scan_range=scan_ranges[1],
                underlying=("", -1, contract) if tag != "series" else self._underlying(children),
            )
        )
        self.rows_in_blocks += rows

    def _underlying(self, children: Children) -> tuple[str, int, int]:
        found = children.all("undC")
        if not found:
            return ("", -1, -1)
        single = Children(found[0], self.report)
        return (single.text("exch"), single.whole("pfId"), single.whole("cId"))

    def add_family(self, element: _Element) -> None:
        """Take in a product family whose contracts have been taken in."""
        children = Children(element, self.report)
        tag = str(element.tag)
        contracts = [contract for contract, family in CONTRACT_FAMILIES.items() if family == tag]
        family = Family(
            line=children.line,
            tag=tag,
            identifier=children.whole("pfId"),
            code=children.text("pfCode"),
            name=children.raw("name") or "",
            currency=children.text("currency"),
            contract_size=children.number("cvf", 1.0),
            style=children.choice("valueMeth", STYLES),
        )
        for block in reversed(self.blocks):
            if block.family >= 0:
                break
            block.family = len(self.families)
        self.families.append(family)
        children.done(*(contracts or ["series"]))

    def add_exchange(self, element: _Element) -> str:
        """Take in an ``exchange`` whose families have been taken in; return its code."""
        children = Children(element, self.report)
        code = children.text("exch")
        for family in reversed(self.families):
            if family.exchange:
                break
            family.exchange = code or "?"
        families = [
            tag for tag in children.by_tag if tag in OPTION_FAMILIES or tag in CONTRACT_FAMILIES.values()
        ]
        children.raw("name")
        children.done(*families)
        return code

    def end_organization(self, organization: int) -> None:
        """Tell that the exchanges since the last such call belong to one clearing organisation."""
        for family in reversed(self.families):
            if family.organization >= 0:
                break
            family.organization = organization

    def add_override(self, element: _Element) -> None:
        """Take in a ``bfC``: a contract's array in a business function."""
        children = Children(element, self.report)
        contract = children.whole("cId")
        found = self._risk_array(children)
        if found is not None:
            self.overrides.append(Override(children.line, contract, found.delta, found.losses))
        children.done()

    def end_override_family(self, family: int) -> None:
        """Tell that the overrides since the last such call belong to one product family."""
        for override in reversed(self.overrides):
            if override.family >= 0:
                break
            override.family = family

    def end_override_exchange(self, exchange: str) -> None:
        """Tell that the overrides since the last such call belong to one exchange."""
        for override in reversed(self.overrides):
            if override.exchange:
                break
            override.exchange = exchange or "?"

    def row_blocks(self) -> Int64[np.ndarray, " rows"]:
        """Return the block of each row."""
        return np.repeat(np.arange(len(self.blocks)), [block.rows for block in self.blocks])

    def risk_arrays(self) -> Float64[np.ndarray, "rows 16"]:
        """Return the arrays, a view of the buffer."""
        return np.frombuffer(self.losses, np.float64).reshape(-1, SCENARIO_COUNT)

    def close(self) -> None:
        """Report the numbers of the short way that are too large, and count what it did not use."""
        for layout, count in self.layouts.items():
            for tag in layout:
                if tag not in READ_OF_OPTION:
                    self.report.unused[tag] += count
        self.layouts.clear()
        columns = {
            "k": self.strike,
            "p": self.price,
            "v": self.implied_volatility,
            "cvf": self.contract_size,
            "sc": self.scaling,
            "ra/d": self.delta,
        }
        for tag, column in columns.items():
            values = np.frombuffer(column, np.float64) if column else np.empty(0)
            for row in np.flatnonzero(np.abs(values) > NUMBER_LIMIT).tolist():
                self._note_large(row, tag, values.item(row))
        if self.losses:
            for row, point in np.argwhere(np.abs(self.risk_arrays()) > NUMBER_LIMIT).tolist():
                self._note_large(row, f"ra/a[{point + 1}]", self.risk_arrays().item(row, point))

    def _note_large(self, row: int, path: str, value: float) -> None:
        self.report.note_line(self.line[row], f"opt/{path}", f"{value:g}", NUMBER_RULE)


def family_type(tag: str) -> str:
    """Return the product type of a family's element: ``futPf`` is FUT."""
    return tag.removesuffix("Pf").upper()
