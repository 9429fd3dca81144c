"""Streamed reader of SPAN XML (.spn).

A file of a large market has several million elements. They are looked at when the contract, family,
commodity or spread around them closes, put into columns, and freed; memory is the columns and one
family's tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from lxml import etree

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.span.compressed import open_compressed
from crossmargin.formats.span.xml_contracts import CONTRACT_FAMILIES, OPTION_FAMILIES, ContractColumns
from crossmargin.formats.span.xml_result import span_parameters
from crossmargin.formats.span.xml_rules import RuleSet
from crossmargin.formats.span.xml_values import Children, Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml.etree import _Element

    from crossmargin.models.span.parameters import SpanParameters

__all__ = ["is_spn", "read_spn"]

ROOT: Final = "spanFile"
ORGANIZATIONS: Final = frozenset({"clearingOrg", "businessFunction"})
FAMILIES: Final = (*CONTRACT_FAMILIES.values(), *OPTION_FAMILIES)
SPREAD_LISTS: Final = {"superSpreads": True, "interSpreads": False}

# Families that the model has no place for, and what they hold.
OTHER_FAMILIES: Final = {
    "debtPf": "debt",
    "equityPf": "equity",
    "fwdPf": "fwd",
    "IRSwapPf": "IRSwap",
    "CDSwapPf": "CDSwap",
    "eDebtPf": "eDebt",
}

PARENTS: Final[dict[str, frozenset[str]]] = {
    "opt": frozenset({"series"}),
    "series": frozenset(OPTION_FAMILIES),
    **{tag: frozenset({family}) for tag, family in CONTRACT_FAMILIES.items()},
    **{tag: frozenset({family}) for family, tag in OTHER_FAMILIES.items()},
    **dict.fromkeys([*FAMILIES, *OTHER_FAMILIES], frozenset({"exchange"})),
    "exchange": frozenset({"clearingOrg"}),
    **dict.fromkeys(
        ["curConv", "pbRateDef", "ccDef", *SPREAD_LISTS, "superInterClearSpreads", "interClearSpreads"],
        ORGANIZATIONS,
    ),
    "pointDef": ORGANIZATIONS | {"ccDef"},
    "dSpread": frozenset({"ccDef", *SPREAD_LISTS, "superInterClearSpreads", "dSpread"}),
    "sSpread": frozenset({"superSpreads", "interSpreads"}),
    "busFuncCoLink": frozenset({"businessFunction"}),
    "busFuncExchLink": frozenset({"busFuncCoLink"}),
    "bfPfLink": frozenset({"busFuncExchLink"}),
    "bfC": frozenset({"bfPfLink", "bfSeries"}),
    "zeroCurve": frozenset({"clearingOrg"}),
    "hvarMarginParams": frozenset({"clearingOrg"}),
    "clearingOrg": frozenset({"pointInTime"}),
    "businessFunction": frozenset({"pointInTime"}),
    "portfolio": frozenset({"pointInTime"}),
    "ecPort": frozenset({"portfolio"}),
    "ccPort": frozenset({"ecPort"}),
    "definitions": frozenset({ROOT}),
    "pointInTime": frozenset({ROOT}),
    ROOT: frozenset(),
}
"""Elements that are looked at when they close, and where each may stand."""

SETTLEMENTS: Final = {"final": "final", "complete": "final", "early": "early"}
DAY: Final = re.compile(r"[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}")
HEAD_BYTES: Final = 1 << 16
DOCUMENT_TYPE: Final = re.compile(rb"<!DOCTYPE")
OPENING: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*<spanFile[\s>/]", re.DOTALL)


def is_spn(head: bytes) -> bool:
    """Tell whether a file that begins with these bytes is SPAN XML, by its first element."""
    return OPENING.match(head) is not None


def read_spn(
    path: str | Path, *, exchange: str | None = None, business_function: str | None = None
) -> SpanParameters:
    """Read a SPAN XML file.

    Of several points in time the last one that has the asked-for organisation counts. Values are those of
    the rate class that ``pbRateDef`` gives to maintenance at clearing level; where an element has no value
    of that class, class 1 stands for it, then the only one there is. Array values are losses of one long
    contract as they stand in the file: neither ``isContractScale`` nor the risk exponent scales them.

    Parameters
    ----------
    path : str or Path
        The file; a compressed one is read through.
    exchange : str, optional
        Clearing organisation, by its own code or that of one of its exchanges; needed where there are
        several.
    business_function : str, optional
        Type of the business function whose rules and arrays to read, such as "XM"; those of normal
        clearing unless given.

    Returns
    -------
    SpanParameters
        ``skipped`` counts each element that was not used by its name; what is inside it is not counted.
        Contracts without an array, or of a family that no combined commodity takes, count too.

    Raises
    ------
    InputError
        If the file is not XML as it should be (one record, with line and column), or else listing every
        element that breaks a rule, with its line and path; also if it has several organisations to choose
        from, or none.

    Notes
    -----
    Source: CME SPAN XML schema, fileFormat 4.00.
    """
    path = Path(path)
    report = Report(str(path))
    walk = _Walk(report, exchange, business_function)
    with open_compressed(path) as stream:
        _parse(stream, walk, path)
    if report.bad:
        raise InputError(report.bad)
    return walk.parameters()


def _parse(stream: IO[bytes], walk: _Walk, path: Path) -> None:
    """Hand every element that closes to the walk, then free it."""
    handlers = {tag: walk.handler(tag) for tag in PARENTS}
    parser = etree.iterparse(
        stream,
        events=("end",),
        tag=list(PARENTS),
        remove_blank_text=True,
        remove_comments=True,
        remove_pis=True,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
    )
    started = False
    try:
        for _, element in parser:
            if not started:
                _check_root(element, path)
                started = True
            tag = element.tag
            parent = element.getparent()
            above = None if parent is None else parent.tag
            if above in PARENTS[tag] or (above is None and tag == ROOT):  # type: ignore[index]
                handlers[tag](element)  # type: ignore[index]
            else:
                walk.report.note(
                    element, str(above), f"an element of {' or '.join(sorted(PARENTS[str(tag)]))}"
                )
            if not (tag == "dSpread" and above == "dSpread"):
                element.clear()
    except etree.XMLSyntaxError as error:
        raise InputError([_syntax_record(error, parser.error_log, path)]) from None
    if not started and parser.root is not None:
        _check_root(parser.root, path)


def _syntax_record(error: etree.XMLSyntaxError, log: etree._ListErrorLog, path: Path) -> BadRecord:
    """Return the parser's first error; what it raises may be a consequence and have no place."""
    first = next((entry for entry in log if entry.level == etree.ErrorLevels.FATAL), None)
    line, column, message = (
        (0, 0, error.msg or "") if first is None else (first.line, first.column, first.message)
    )
    rule = "well-formed XML, complete to its last tag"
    return BadRecord(file=str(path), line=line, field=f"column {column}", value=message, rule=rule)


def _check_root(element: _Element, path: Path) -> None:
    """Refuse a document with a DTD, which may define entities, and one of another kind."""
    tree = element.getroottree()
    if tree.docinfo.internalDTD is not None or tree.docinfo.doctype:
        line, column = _document_type_place(path)
        rule = "SPAN XML without a document type; one could define entities"
        raise InputError(
            [BadRecord(file=str(path), line=line, field=f"column {column}", value="<!DOCTYPE", rule=rule)]
        )
    root = tree.getroot()
    if root.tag != ROOT:
        line = root.sourceline or 0
        raise InputError(
            [
                BadRecord(
                    file=str(path), line=line, field="column 1", value=str(root.tag), rule=f"the root {ROOT}"
                )
            ]
        )


def _document_type_place(path: Path) -> tuple[int, int]:
    with open_compressed(path) as stream:
        head = stream.read(HEAD_BYTES)
    found = DOCUMENT_TYPE.search(head)
    if found is None:
        return 0, 0
    before = head[: found.start()]
    return before.count(b"\n") + 1, found.start() - (before.rfind(b"\n") + 1) + 1


@dataclass(slots=True)
class Point:
    """One point in time with what was asked for."""

    business_date: date
    settlement: str
    contracts: ContractColumns
    organizations: list[RuleSet]
    functions: list[RuleSet]


@dataclass(slots=True)
class _Walk:
    """What has been read so far."""

    report: Report
    exchange: str | None
    business_function: str | None
    chosen: Point | None = None
    contracts: ContractColumns = field(init=False)
    rules: RuleSet = field(init=False)
    organizations: list[RuleSet] = field(default_factory=list)
    functions: list[RuleSet] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)
    points: int = 0

    def __post_init__(self) -> None:
        self.contracts = ContractColumns(self.report)
        self.rules = RuleSet(self.report)

    def handler(self, tag: str) -> Callable[[_Element], object]:
        """Return what takes in a closed element of that name."""
        handlers: dict[str, Callable[[_Element], object]] = {
            **dict.fromkeys(CONTRACT_FAMILIES, self._contract),
            **dict.fromkeys(FAMILIES, self._family),
            "opt": self._option,
            "series": self._series,
            "exchange": self._exchange,
            "curConv": self._currency_rate,
            "pbRateDef": self._rate_class,
            "ccDef": self._commodity,
            "pointDef": self._points,
            "dSpread": self._spread,
            "sSpread": self._spread,
            **dict.fromkeys(SPREAD_LISTS, self._spread_list),
            "bfC": self._override,
            "bfPfLink": self._override_family,
            "busFuncExchLink": self._override_exchange,
            "clearingOrg": self._clearing_organization,
            "businessFunction": self._business_function,
            "pointInTime": self._point_in_time,
            ROOT: self._root,
        }
        return handlers.get(tag, _nothing)

    def _option(self, element: _Element) -> None:
        self.contracts.add_option(element)

    def _contract(self, element: _Element) -> None:
        self.contracts.add_contract(element)

    def _currency_rate(self, element: _Element) -> None:
        self.rules.add_currency_rate(element)

    def _commodity(self, element: _Element) -> None:
        self.rules.add_commodity(element)

    def _override(self, element: _Element) -> None:
        self.contracts.add_override(element)

    def _series(self, element: _Element) -> None:
        self.contracts.add_series(element)

    def _family(self, element: _Element) -> None:
        self.contracts.add_family(element)

    def _exchange(self, element: _Element) -> None:
        self.rules.exchanges.append(self.contracts.add_exchange(element))

    def _rate_class(self, element: _Element) -> None:
        before = self.contracts.rate
        self.rules.add_rate_class(element)
        self.contracts.rate = self.rules.rate
        earlier = {sibling.tag for sibling in element.itersiblings(preceding=True)}
        if self.rules.rate != before and earlier & {"exchange", "ccDef", "busFuncCoLink"}:
            self.report.note(element, None, "a rate class before the exchanges and combined commodities")

    def _points(self, element: _Element) -> None:
        parent = element.getparent()
        if parent is not None and parent.tag != "ccDef":
            self.rules.add_points(element)

    def _spread(self, element: _Element) -> None:
        parent = element.getparent()
        above = "" if parent is None else str(parent.tag)
        if above == "ccDef":
            self.rules.add_intra_spread(element)
        elif above in SPREAD_LISTS:
            self.rules.add_inter_spread(element, first=SPREAD_LISTS[above])

    def _spread_list(self, element: _Element) -> None:
        Children(element, self.report).done("dSpread", "sSpread")

    def _override_family(self, element: _Element) -> None:
        children = Children(element, self.report)
        self.contracts.end_override_family(children.whole("pfId"))

    def _override_exchange(self, element: _Element) -> None:
        children = Children(element, self.report)
        self.contracts.end_override_exchange(children.text("exch"))

    def _clearing_organization(self, element: _Element) -> None:
        self.rules.close(element)
        self.contracts.end_organization(len(self.organizations))
        self.organizations.append(self.rules)
        self._start_rules()

    def _business_function(self, element: _Element) -> None:
        self.rules.close(element, "busFuncCoLink")
        self.functions.append(self.rules)
        self._start_rules()

    def _start_rules(self) -> None:
        self.rules = RuleSet(self.report)
        self.contracts.rate = 1

    def _point_in_time(self, element: _Element) -> None:
        children = Children(element, self.report)
        business_date = self._business_date(children)
        is_settlement = children.switch("isSetl")
        qualifier = children.choice("setlQualifier", SETTLEMENTS, "final")
        for tag in ("time", "run"):
            children.raw(tag)
        children.done("clearingOrg", "businessFunction")
        self.contracts.close()
        found = self._matching(self.functions if self.business_function else self.organizations)
        if found:
            self.chosen = Point(
                business_date=business_date,
                settlement=qualifier if is_settlement else "intraday",
                contracts=self.contracts,
                organizations=self.organizations,
                functions=self.functions,
            )
        self.offered += [
            f"{rules.function} {rules.code}".strip() for rules in self.organizations + self.functions
        ]
        self.contracts = ContractColumns(self.report)
        self.organizations, self.functions = [], []
        self.points += 1

    def _business_date(self, children: Children) -> date:
        text = children.raw("date", required=True)
        if text is None:
            return date.min
        try:
            if not DAY.fullmatch(text):
                raise ValueError  # noqa: TRY301
            digits = text.replace("-", "")
            return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        except ValueError:
            children.bad("date", text, "a date, YYYYMMDD")
            return date.min

    def _root(self, element: _Element) -> None:
        children = Children(element, self.report)
        for tag in ("spanVersion", "fileFormat", "created"):
            children.raw(tag)
        children.done("pointInTime")
        if not self.points:
            self.report.note(element, None, "a point in time", "pointInTime")

    def _matching(self, offered: list[RuleSet]) -> list[RuleSet]:
        """Return the organisations or functions that the caller may mean."""
        exchange, function = self.exchange, self.business_function
        return [
            rules
            for rules in offered
            if (exchange is None or exchange == rules.code or exchange in rules.exchanges)
            and (function is None or function == rules.function)
        ]

    def parameters(self) -> SpanParameters:
        """Return what was asked for as parameters."""
        asked = " ".join(part for part in (self.business_function, self.exchange) if part)
        if self.chosen is None:
            rule = f"one of those in the file: {', '.join(dict.fromkeys(self.offered))}"
            raise InputError(
                [BadRecord(file=self.report.file, line=0, field="choice", value=asked, rule=rule)]
            )
        point = self.chosen
        found = self._matching(point.functions if self.business_function else point.organizations)
        if len(found) > 1:
            names = ", ".join(f"{rules.code} (line {rules.line})" for rules in found)
            rule = f"an exchange or business function that leaves one of {names}"
            raise InputError(
                [BadRecord(file=self.report.file, line=0, field="choice", value=asked, rule=rule)]
            )
        return span_parameters(
            rules=found[0],
            contracts=point.contracts,
            organization=None if self.business_function else point.organizations.index(found[0]),
            business_date=point.business_date,
            settlement=point.settlement,
        )


def _nothing(_: _Element) -> None:
    """Leave an element to the one around it, which counts it."""
