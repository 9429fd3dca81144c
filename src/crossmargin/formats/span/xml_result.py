"""From what was read of SPAN XML to parameters: rows of blocks, families and rules are brought together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.errors import InputError
from crossmargin.formats.span.xml_contracts import RIGHTS, ContractColumns, Family, family_type
from crossmargin.models.span.parameters import DEFAULT_SCAN_POINTS, SPAN_KEYS, SPAN_SCHEMAS, SpanParameters

if TYPE_CHECKING:
    from datetime import date

    from jaxtyping import Bool, Float64, Int64

    from crossmargin.formats.span.xml_contracts import Block
    from crossmargin.formats.span.xml_rules import Link, Row, RuleSet
    from crossmargin.formats.span.xml_values import Report

__all__ = ["span_parameters"]

READ_FAMILIES: Final = frozenset({"phyPf", "futPf", "cmbPf", "oopPf", "oofPf", "oocPf"})
UNDERLYING_OPTIONS: Final = frozenset({"oofPf", "oocPf"})
"""Options whose delta counts in the month of the future or combination beneath them."""

Linked = dict[int, "Link"]
Tables = dict[str, pl.DataFrame]


def span_parameters(
    *,
    rules: RuleSet,
    contracts: ContractColumns,
    organization: int | None,
    business_date: date,
    settlement: str,
) -> SpanParameters:
    """Bring rules and contracts together.

    Parameters
    ----------
    rules : RuleSet
        Of the clearing organisation or business function.
    contracts : ContractColumns
        Of the same point in time.
    organization : int, optional
        The clearing organisation whose contracts count; None for a business function, which may take those
        of any and replaces their arrays by its own.
    business_date : date
        Of the point in time.
    settlement : str
        "final", "early" or "intraday".

    Raises
    ------
    InputError
        Listing every family that two combined commodities take, unknown underlying contract, and value
        that stands twice where once is right, by line.
    """
    report = rules.report
    links = _links(rules, contracts.families, organization)
    rows, series, losses = _series(rules, contracts, links)
    tables = _rule_tables(rules)
    lines = {name: table.lines for name, table in rules.tables.items()}
    tables["series"], lines["series"] = series, np.frombuffer(contracts.line, np.int64)[rows].tolist()
    taken = [place for place in range(len(contracts.families)) if place in links]
    tables["products"] = _products(contracts.families, links, taken)
    lines["products"] = [contracts.families[place].line for place in taken]
    tables["commodities"] = _commodities(rules, tables["products"])
    lines["commodities"] = [commodity.line for commodity in rules.commodities]
    if organization is None:
        losses = _with_overrides(contracts, rows, tables, losses)
    _check_keys(tables, lines, report)
    if report.bad:
        raise InputError(report.bad)
    tables["skipped"] = _skipped(report)
    return SpanParameters(
        organization=rules.code,
        business_date=business_date,
        settlement=settlement,
        source_format="SPN",
        losses=losses,
        **tables,
    )


def _links(rules: RuleSet, families: list[Family], organization: int | None) -> Linked:
    """Return the link of each family that a combined commodity takes, by the family's place."""
    by_key: dict[tuple[str, int, str], Link] = {}
    for link in rules.links:
        key = (link.exchange, link.family, link.product_type)
        if key in by_key:
            rule = f"a family of one combined commodity; line {by_key[key].line} has it too"
            rules.report.note_line(link.line, "ccDef/pfLink", f"{link.exchange} {link.family}", rule)
        by_key[key] = link
    found: Linked = {}
    used = set[int]()
    for place, family in enumerate(families):
        if family.tag not in READ_FAMILIES or organization not in {None, family.organization}:
            continue
        for product_type in (family_type(family.tag), ""):
            link_here = by_key.get((family.exchange, family.identifier, product_type))
            if link_here is not None:
                found[place] = link_here
                used.add(id(link_here))
                break
        else:
            rules.report.unused[family.tag] += 1
    rules.report.unused["pfLink"] += sum(id(link) not in used for link in rules.links)
    return found


def _series(
    rules: RuleSet, contracts: ContractColumns, links: Linked
) -> tuple[Int64[np.ndarray, " rows"], pl.DataFrame, Float64[np.ndarray, "rows 16"]]:
    """Return the rows that a combined commodity takes, their table and their arrays."""
    blocks = contracts.blocks
    linked = np.array([block.family in links for block in blocks], bool)
    row_block = contracts.row_blocks()
    taken = linked[row_block] if blocks else np.empty(0, bool)
    _count_untaken(contracts, taken, row_block)
    rows = np.flatnonzero(taken)
    shared = _block_table(rules, contracts, links, linked)
    place_of = np.cumsum(linked) - 1
    here = shared[place_of[row_block[rows]]] if len(rows) else shared.clear()

    def column(values: object) -> pl.Series:
        whole = np.frombuffer(values, np.float64) if len(values) else np.empty(0)  # type: ignore[call-overload, arg-type]
        return pl.Series(whole[rows] + 0.0).fill_nan(None)

    right = np.frombuffer(contracts.right, np.int8)[rows] if len(contracts.right) else np.empty(0, np.int8)
    table = here.select(
        "exchange",
        "product",
        "product_type",
        "commodity",
        pl.Series("right", right, pl.Int64).replace_strict(dict(enumerate(RIGHTS)), return_dtype=pl.String),
        "expiry",
        "future_month",
        "delta_month",
        column(contracts.strike).alias("strike"),
        column(contracts.delta).alias("composite_delta"),
        (pl.col("delta_scaling") * column(contracts.scaling)).alias("delta_scaling"),
        pl.coalesce(column(contracts.contract_size), "contract_size").alias("contract_size"),
        "option_style",
        column(contracts.price).alias("price"),
        pl.coalesce(column(contracts.implied_volatility), "implied_volatility").alias("implied_volatility"),
        "price_scan_range",
        "volatility_scan_range",
        "years_to_expiry",
    ).cast(dict(SPAN_SCHEMAS["series"]))  # type: ignore[arg-type]
    losses = contracts.risk_arrays() if len(contracts.losses) else np.empty((0, 16))
    losses = losses[rows]
    losses += 0.0  # no negative zero
    return rows, table, losses


def _count_untaken(
    contracts: ContractColumns, taken: Bool[np.ndarray, " rows"], row_block: Int64[np.ndarray, " rows"]
) -> None:
    """Count the contracts of families that no combined commodity takes."""
    places, counts = np.unique(row_block[~taken], return_counts=True)
    for place, count in zip(places.tolist(), counts.tolist(), strict=True):
        tag = contracts.blocks[place].tag
        contracts.report.unused["opt" if tag == "series" else tag] += count


def _block_table(
    rules: RuleSet, contracts: ContractColumns, links: Linked, linked: Bool[np.ndarray, " blocks"]
) -> pl.DataFrame:
    """Return what rows of a block share, one row a block that is taken."""
    periods = _periods(contracts)
    names = [
        *("exchange", "product", "product_type", "commodity", "expiry", "future_month", "delta_month"),
        *("delta_scaling", "contract_size", "option_style", "implied_volatility", "price_scan_range"),
        *("volatility_scan_range", "years_to_expiry"),
    ]
    rows = []
    for block, is_linked in zip(contracts.blocks, linked.tolist(), strict=True):
        if not is_linked:
            continue
        family, link = contracts.families[block.family], links[block.family]
        size = family.contract_size if np.isnan(block.contract_size) else block.contract_size
        future_month, delta_month = _months(rules, block, family, periods)
        rows.append(
            (
                *(family.exchange, family.code, family_type(family.tag), link.commodity),
                *(block.period, future_month, delta_month, link.scaling * block.scaling, size, family.style),
                *(block.implied_volatility, block.price_scan_range, block.volatility_scan_range, block.years),
            )
        )
    schema = {name: SPAN_SCHEMAS["series"][name] for name in names}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))


def _periods(contracts: ContractColumns) -> dict[tuple[str, int, int], str]:
    """Return the period of each contract that is no option, by exchange, family and contract."""
    found = {}
    for block in contracts.blocks:
        if block.tag != "series" and block.family >= 0:
            family = contracts.families[block.family]
            found[family.exchange, family.identifier, block.underlying[2]] = block.period
    return found


def _months(
    rules: RuleSet, block: Block, family: Family, periods: dict[tuple[str, int, int], str]
) -> tuple[str, str]:
    """Return the month of the future, "" where there is none, and that in which the delta counts."""
    if family.tag in UNDERLYING_OPTIONS:
        month = periods.get(block.underlying, "")
        if not month:
            exchange, identifier, contract = block.underlying
            shown = f"{exchange} {identifier} {contract}" if exchange else ""
            rules.report.note_line(
                block.line, "series/undC", shown, "a contract of the file that has a month"
            )
        return month, month
    return "", block.period


def _products(families: list[Family], links: Linked, taken: list[int]) -> pl.DataFrame:
    rows = [
        (
            *(family.exchange, family.code, family_type(family.tag), family.name, links[place].commodity),
            *(family.currency, family.contract_size, family.style),
        )
        for place in taken
        for family in [families[place]]
    ]
    return pl.DataFrame(rows, schema=SPAN_SCHEMAS["products"], orient="row")


def _commodities(rules: RuleSet, products: pl.DataFrame) -> pl.DataFrame:
    """Return the combined commodities; premium style where one of their options is."""
    options = products.filter(pl.col("product_type").str.starts_with("OO"), option_style="premium")
    premium = set(options["commodity"])
    rows: list[Row] = []
    for commodity in rules.commodities:
        adjustments, initials = rules.adjustment_factors(commodity)
        cap = commodity.cap_option_value
        rows.append(
            (
                *(commodity.code, commodity.exchange, commodity.name, commodity.currency),
                "premium" if commodity.code in premium else "futures",
                rules.cap_option_value if cap is None else cap,
                *(commodity.short_option_minimum, commodity.som_method, commodity.price_risk_method),
                *("table" if commodity.has_spreads else "none", commodity.spot_method),
                *(*adjustments, *initials),
            )
        )
    return pl.DataFrame(rows, schema=SPAN_SCHEMAS["commodities"], orient="row")


def _rule_tables(rules: RuleSet) -> Tables:
    tables = {}
    for name, table in rules.tables.items():
        if name == "scan_points" and not table.rows:
            tables[name] = DEFAULT_SCAN_POINTS
        else:
            tables[name] = pl.DataFrame(table.rows, schema=SPAN_SCHEMAS[name], orient="row")
    tables["scan_points"] = tables["scan_points"].sort("scenario")
    return tables


def _with_overrides(
    contracts: ContractColumns,
    rows: Int64[np.ndarray, " rows"],
    tables: Tables,
    losses: Float64[np.ndarray, "rows 16"],
) -> Float64[np.ndarray, "rows 16"]:
    """Put the business function's own arrays and deltas in place of the contracts'."""
    row_block = contracts.row_blocks()[rows]
    keys = {}
    for place, (row, block) in enumerate(zip(rows.tolist(), row_block.tolist(), strict=True)):
        family = contracts.families[contracts.blocks[block].family]
        keys[family.exchange, family.identifier, contracts.contract[row]] = place
    deltas = tables["series"]["composite_delta"].to_numpy().copy()
    for override in contracts.overrides:
        found = keys.get((override.exchange, override.family, override.contract))
        if found is None:
            contracts.report.unused["bfC"] += 1
        else:
            losses[found], deltas[found] = override.losses, override.delta
    tables["series"] = tables["series"].with_columns(pl.Series("composite_delta", deltas))
    return losses


def _check_keys(tables: Tables, lines: dict[str, list[int]], report: Report) -> None:
    """Report by line what stands twice, before the parameters would by row."""
    for name, key in SPAN_KEYS.items():
        if name not in tables or name in {"scan_points", "skipped"}:
            continue
        table = tables[name]
        again = ~table.select(pl.struct(key).is_first_distinct()).to_series()
        for row in np.flatnonzero(again.to_numpy()).tolist():
            shown = " ".join(str(value) for value in table.select(key).row(row))
            report.note_line(lines[name][row], f"{name}: {', '.join(key)}", shown, "stands once")


def _skipped(report: Report) -> pl.DataFrame:
    rows = [(tag, count) for tag, count in sorted(report.unused.items()) if count]
    return pl.DataFrame(rows, schema=SPAN_SCHEMAS["skipped"], orient="row")
