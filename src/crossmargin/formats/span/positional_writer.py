"""Writer of SPAN risk parameters in the expanded unpacked positional format, as a PA2 file.

The lines are made in columns by the layouts that read them. Then they are read back and compared: what the
format does not hold is an error, so that the file says what the parameters say or is not written.

Source: CME, SPAN expanded unpacked positional layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.core.files import whole_file
from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.span.layout import PRODUCT_GROUPS
from crossmargin.formats.span.positional import parse_positional
from crossmargin.formats.span.positional_records import CURRENCY_BYTES
from crossmargin.formats.span.positional_rendered import Rendered, exponent_of
from crossmargin.formats.span.positional_series import OPTION_TYPES
from crossmargin.formats.span.positional_series_writer import array_powers, series_lines
from crossmargin.formats.span.positional_spreads_writer import (
    inter_spread_lines,
    intra_spread_lines,
    spot_charge_lines,
    tier_lines,
)
from crossmargin.models.span.parameters import SPAN_KEYS, SPAN_SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crossmargin.models.span.parameters import SpanParameters

__all__ = ["write_positional"]

SETTLEMENTS: Final = {"final": ("S", "F"), "early": ("S", "E"), "intraday": ("I", "")}
RULE: Final = "a value that the positional format holds; this one would read as"
SPREADS: Final = {"intra_spreads": "intra_legs", "inter_spreads": "inter_legs"}


def write_positional(parameters: SpanParameters, path: str | Path) -> None:
    """Write parameters as a PA2 file; reading it back gives the same parameters.

    Not written, because the format has no place for them: names of combined commodities, ``skipped``,
    ``source_format``; and of what is no option its strike, the month of its underlying and its option
    style, which mean nothing. Spreads and their legs are renumbered from 1 in their order.

    Raises
    ------
    InputError
        Listing every value that the format does not hold; no file is then written.
    """
    rendered = Rendered()
    exponents = _risk_exponents(parameters)
    _header(rendered, parameters)
    powers = array_powers(parameters)
    _commodity_lines(rendered, parameters, exponents, powers)
    tier_lines(rendered, parameters, exponents)
    spot_charge_lines(rendered, parameters, exponents)
    inter_spread_lines(rendered, parameters)
    series_lines(rendered, parameters, powers)
    intra_spread_lines(rendered, parameters, exponents)
    rendered.refuse()
    content = rendered.content()
    if bad := list(_differences(parameters, parse_positional(content, str(path)))):
        raise InputError(bad)
    with whole_file(path) as stream:
        stream.write(content)


def _risk_exponents(parameters: SpanParameters) -> pl.DataFrame:
    """Smallest risk exponent of each commodity with which its money stands in seven digits."""
    money = [
        parameters.commodities.select("commodity", value="short_option_minimum"),
        parameters.intra_spreads.select("commodity", value="charge"),
        parameters.spot_charges.select("commodity", value="in_spreads"),
        parameters.spot_charges.select("commodity", value="outright"),
        parameters.tiers.select("commodity", value="rate"),
    ]
    return (
        pl.concat(money)
        .group_by("commodity", maintain_order=True)
        .agg(pl.col("value").abs().max().fill_null(0.0))
        .select("commodity", risk_exponent=pl.col("value").map_elements(exponent_of, pl.Int64))
    )


def _header(rendered: Rendered, parameters: SpanParameters) -> None:
    flag, identifier = SETTLEMENTS.get(parameters.settlement, (parameters.settlement, ""))
    header = {
        "organization": parameters.organization,
        "business_date": parameters.business_date,
        "settlement": flag,
        "identifier": identifier,
        "business_time": 0,
        "created": parameters.business_date,
        "created_time": 0,
        "format": "U2",
    }
    rendered.add("0", pl.DataFrame({name: [value] for name, value in header.items()}))
    code = pl.col("currency").replace_strict(CURRENCY_BYTES, default="", return_dtype=pl.String)
    to_code = pl.col("to_currency").replace_strict(CURRENCY_BYTES, default="", return_dtype=pl.String)
    rendered.add("T", parameters.currency_rates.with_columns(currency_code=code, to_currency_code=to_code))
    exchanges = pl.concat([parameters.commodities["exchange"], parameters.products["exchange"]])
    exchanges = exchanges.unique(maintain_order=True)
    rendered.add("1", pl.DataFrame({"exchange": exchanges.filter(exchanges != "")}))


def _commodity_lines(
    rendered: Rendered, parameters: SpanParameters, exponents: pl.DataFrame, powers: pl.DataFrame
) -> None:
    """Record 2: one for each exchange and each six products of a commodity, its own exchange first."""
    key = ["exchange", "product", "product_type"]
    own = parameters.commodities.select("commodity", "exchange", own=pl.lit(value=True))
    groups = (
        parameters.products.select("commodity", *key)
        .join(powers, on=key, how="left", maintain_order="left")
        .join(exponents, on="commodity", how="left", maintain_order="left")
        .with_columns(locator=pl.col("risk_exponent") - pl.col("power"))
        .with_columns(place=pl.int_range(pl.len()).over("commodity", "exchange"))
        .with_columns(chunk=pl.col("place") // PRODUCT_GROUPS, slot=pl.col("place") % PRODUCT_GROUPS + 1)
    )
    chunks = ["commodity", "exchange", "chunk"]
    rows = (
        pl.concat([own.select("commodity", "exchange", chunk=pl.lit(0, pl.Int64)), groups.select(chunks)])
        .unique(maintain_order=True)
        .join(own, on=["commodity", "exchange"], how="left", maintain_order="left")
    )
    for slot in range(1, PRODUCT_GROUPS + 1):
        of_slot = groups.filter(slot=slot).select(
            *chunks,
            pl.col("product").alias(f"product_{slot}"),
            pl.col("product_type").alias(f"product_type_{slot}"),
            pl.col("locator").alias(f"decimal_locator_{slot}"),
        )
        rows = rows.join(of_slot, on=chunks, how="left", maintain_order="left")
    table = parameters.commodities.with_row_index("at").select(
        "at",
        "commodity",
        "currency",
        currency_code=pl.col("currency").replace_strict(CURRENCY_BYTES, default="", return_dtype=pl.String),
        option_style=pl.col("option_style").replace({"premium": "P", "futures": "F"}),
        limit_option_value=pl.when("cap_option_value").then(pl.lit("Y")).otherwise(pl.lit("N")),
    )
    rows = rows.join(table, on="commodity", how="left").join(exponents, on="commodity", how="left")
    rows = rows.sort("at", pl.col("own").fill_null(value=False).not_(), "exchange", "chunk")
    rendered.add("2", rows.with_columns(where="commodity"))


def _differences(parameters: SpanParameters, read: SpanParameters) -> Iterator[BadRecord]:
    """Every value that was not read back as it was."""
    for name in ("organization", "business_date", "settlement"):
        was, now = str(getattr(parameters, name)), str(getattr(read, name))
        if was != now:
            yield BadRecord(file="parameters", line=0, field=name, value=was, rule=f"{RULE} {now!r}")
    for name in SPAN_SCHEMAS:
        if name != "skipped":
            yield from _table_differences(name, _comparable(parameters, name), _comparable(read, name))
    losses, again = parameters.losses, read.losses
    for row in range(len(losses)) if losses.shape == again.shape else ():
        if (losses[row] != again[row]).any():
            value = str(losses[row].tolist())
            rule = f"{RULE} {again[row].tolist()}"
            yield BadRecord(file="parameters.losses", line=row + 1, field="", value=value, rule=rule)


def _table_differences(name: str, was: pl.DataFrame, now: pl.DataFrame) -> Iterator[BadRecord]:
    file = f"parameters.{name}"
    if len(was) != len(now):
        rule = f"{RULE} {len(now)} rows"
        yield BadRecord(file=file, line=0, field="", value=f"{len(was)} rows", rule=rule)
        return
    for column in was.columns:
        for row in was[column].ne_missing(now[column]).arg_true().to_list():
            rule = f"{RULE} {now[column][row]!r}"
            yield BadRecord(file=file, line=row + 1, field=column, value=str(was[column][row]), rule=rule)


def _comparable(parameters: SpanParameters, name: str) -> pl.DataFrame:
    """Return a table without what the format does not hold, in an order that does not depend on the file."""
    table = parameters.table(name)
    if name in {"products", "series"}:
        is_option = pl.col("product_type").is_in(OPTION_TYPES)
        if name == "series":
            is_option |= pl.col("right") != ""
            table = table.with_columns(
                pl.when(is_option).then("strike").otherwise(0.0).alias("strike"),
                pl.when(is_option).then("future_month").otherwise(pl.lit("")).alias("future_month"),
            )
        style = pl.when(is_option).then("option_style").otherwise(pl.lit("futures"))
        table = table.with_columns(style.alias("option_style"))
    if name == "commodities":
        table = table.with_columns(pl.lit("").alias("name"))
    for spreads, legs in SPREADS.items():
        numbers = parameters.table(spreads).select("spread", new=pl.int_range(1, pl.len() + 1))
        if name in {spreads, legs}:
            table = table.join(numbers, on="spread", how="left").with_columns(spread="new").drop("new")
        if name == legs:
            table = table.sort("spread", "leg").with_columns(
                leg=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("spread")
            )
    return table if name in {"series", "scan_points"} else table.sort(SPAN_KEYS[name])
