"""Products and series with their arrays, from records 81 to 84, B and P.

Prices and strikes are integers with the decimals that record P gives; without one they are whole points, as
in HKEX's file of 2013, which has no sizes either: ``contract_size`` is then null. An array value is its
integer times ten to the power of the risk exponent less the decimal locator of record 2, so that scenario 13
of a future is its price scan range times its size.

Source: CME, SPAN expanded unpacked positional layout; HKEX, Risk Parameter File Descriptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.formats.span.layout_series import FIRST_VALUES, SECOND_VALUES
from crossmargin.formats.span.positional_fields import scaled
from crossmargin.formats.span.positional_records import title
from crossmargin.models.span.parameters import DEFAULT_SCAN_POINTS, SPAN_SCHEMAS, scan_points

if TYPE_CHECKING:
    from jaxtyping import Float64

    from crossmargin.formats.span.positional_records import Records

__all__ = ["OPTION_TYPES", "UNDERLYING_MONTH_TYPES", "product_table", "scan_point_table", "series_tables"]

OPTION_TYPES: Final = ("OOF", "OOP", "OOC")
UNDERLYING_MONTH_TYPES: Final = ("OOF", "OOC")
"""Options whose delta counts in the month of what they are on."""

VALUATION_STYLES: Final = {"EQTY": "premium", "FUT": "futures", "FUTDA": "futures"}
PRODUCT: Final = ("exchange", "product", "product_type")
DECIMALS_MIN, DECIMALS_MAX = -9, 15
EXPONENT_MAX: Final = 15
FACTOR_DECIMALS: Final = 7
VOLATILITY_DECIMALS: Final = 6


def _power_of_ten(frame: pl.DataFrame, column: str, powers: pl.Series) -> pl.Series:
    """Integers of a column times ten to the powers; null where the column is."""
    values = scaled(frame[column].fill_null(0).to_numpy(), powers.fill_null(0).to_numpy())
    return pl.select(pl.when(frame[column].is_not_null()).then(pl.Series(values))).to_series()


def _factor(frame: pl.DataFrame, column: str, exponent: str) -> pl.Series:
    """Return a value factor, null where blank or zero."""
    powers = frame[exponent].fill_null(0) - FACTOR_DECIMALS
    factor = _power_of_ten(frame, column, powers)
    return pl.select(pl.when(factor != 0).then(factor)).to_series().alias(column)


def _check_exponent(records: Records, record: str, name: str) -> None:
    value = pl.col(name)
    records.refuse(records[record], value.abs() > EXPONENT_MAX, title(record, name), value, "within ±15")


def _conversions(records: Records) -> pl.DataFrame:
    """Record P by product: decimals, size, currency, style and name."""
    for name in ("price_decimals", "strike_decimals"):
        outside = ~pl.col(name).is_between(DECIMALS_MIN, DECIMALS_MAX)
        rule = f"from {DECIMALS_MIN} to {DECIMALS_MAX}"
        records.refuse(records["P"], outside, title("P", name), pl.col(name), rule)
    _check_exponent(records, "P", "value_factor_exponent")
    records.refuse_repeated(records["P"], PRODUCT, ", ".join(PRODUCT))
    negative = pl.col("value_factor_exponent_sign") == "-"
    exponent = pl.col("value_factor_exponent").fill_null(0)
    frame = records["P"].with_columns(
        value_factor_exponent=pl.when(negative).then(-exponent).otherwise(exponent).clip(-15, 15)
    )
    return frame.with_columns(_factor(frame, "value_factor", "value_factor_exponent")).select(
        *PRODUCT,
        pl.col("price_decimals").fill_null(0).clip(DECIMALS_MIN, DECIMALS_MAX),
        pl.col("strike_decimals").fill_null(0).clip(DECIMALS_MIN, DECIMALS_MAX),
        product_size="value_factor",
        product_currency="currency",
        valuation="valuation",
        name=pl.when(pl.col("long_name") != "").then("long_name").otherwise("short_name"),
    )


def product_table(records: Records, products: pl.DataFrame, commodities: pl.DataFrame) -> pl.DataFrame:
    """Return the products of record 2 with what their record P says.

    Returns
    -------
    DataFrame
        The columns of ``SPAN_SCHEMAS`` and ``price_decimals``, ``strike_decimals`` and ``power``.
    """
    parents = commodities.select("commodity", parent_currency="currency", parent_style="option_style")
    table = products.join(parents, on="commodity", how="left", maintain_order="left")
    conversions = _conversions(records).unique(PRODUCT, keep="first", maintain_order=True)
    table = table.join(conversions, on=PRODUCT, how="left", maintain_order="left")
    style = pl.col("valuation").replace_strict(VALUATION_STYLES, default=None, return_dtype=pl.String)
    return table.select(
        *PRODUCT,
        pl.col("name").fill_null(""),
        "commodity",
        currency=pl.when(pl.col("product_currency") != "")
        .then("product_currency")
        .otherwise("parent_currency"),
        contract_size="product_size",
        option_style=pl.when(pl.col("product_type").is_in(OPTION_TYPES))
        .then(pl.coalesce(style, "parent_style"))
        .otherwise(pl.lit("futures")),
        price_decimals=pl.col("price_decimals").fill_null(0),
        strike_decimals=pl.col("strike_decimals").fill_null(0),
        power="power",
    )


def scan_point_table(records: Records) -> pl.DataFrame:
    """Return the sixteen scenarios that all records B agree on, else those of classic SPAN.

    The parameters hold one list while a record B is of one series; the losses themselves are final either
    way, and only what builds arrays anew reads the list.
    """
    given = (
        records["B"]
        .filter((pl.col("extreme_multiplier") > 0) & (pl.col("covered_fraction") > 0))
        .select("extreme_multiplier", "covered_fraction")
        .unique()
    )
    return scan_points(*given.row(0)) if len(given) == 1 else DEFAULT_SCAN_POINTS


def series_tables(
    records: Records, products: pl.DataFrame
) -> tuple[pl.DataFrame, Float64[np.ndarray, "series 16"]]:
    """Return the series in the order of the file, with ``line``, and their losses."""
    pairs = _pairs(records)
    field = "exchange, product, product_type"
    unknown = pairs.join(products, on=PRODUCT, how="anti")
    shown = pl.concat_str(PRODUCT, separator=" ")
    records.refuse(unknown, pl.lit(value=True), field, shown, "a product of a record 2")
    _check_contracts(records, pairs)
    series = pairs.join(products, on=PRODUCT, how="inner", maintain_order="left")
    values = [series[name].to_numpy() for name in (*FIRST_VALUES, *SECOND_VALUES)]
    powers = np.broadcast_to(series["power"].to_numpy()[:, None], (len(series), len(values)))
    losses = np.ascontiguousarray(scaled(np.stack(values, axis=1), powers)) + 0.0
    return _series(_with_calculation(records, series)), losses


def _pairs(records: Records) -> pl.DataFrame:
    """Record 81 or 83 beside the 82 or 84 of the same contract, the n-th of one by the n-th of the other."""
    first = _joined(records, "81", "83")
    second = _joined(records, "82", "84")
    for one, other, rule in (
        (first, second, "followed by the record 82 or 84 of the same contract"),
        (second, first, "preceded by the record 81 or 83 of the same contract"),
    ):
        alone = one.join(other, on=["key", "nth"], how="anti")
        records.refuse(alone, pl.lit(value=True), "contract (columns 3-54)", pl.col("key"), rule)
    own = [name for name in second.columns if name in {"key", "nth"} or name not in first.columns]
    return first.join(second.select(own), on=["key", "nth"], how="inner", maintain_order="left")


def _joined(records: Records, record: str, wide: str) -> pl.DataFrame:
    frame = pl.concat([records[record], records[wide]]).sort("line")
    return frame.with_columns(nth=pl.int_range(pl.len()).over("key"))


def _check_contracts(records: Records, pairs: pl.DataFrame) -> None:
    is_option = pl.col("product_type").is_in(OPTION_TYPES) | (pl.col("right") != "")
    right, month = pl.col("right"), pl.col("option_month")
    on_known = pl.col("product_type").is_in(["FUT", "PHY", "CMB"])
    records.refuse(pairs, is_option & (right == ""), title("81", "right"), right, "C or P for an option")
    records.refuse(pairs, on_known & (right != ""), title("81", "right"), right, "blank but for an option")
    rule = "a month CCYYMM for an option"
    records.refuse(pairs, is_option & (month == ""), title("81", "option_month"), month, rule)
    absent = pl.col("strike").is_null() & is_option
    records.refuse(pairs, absent, title("81", "strike"), pl.col("strike"), "7 digits for an option")
    future = pl.col("future_month")
    absent = (future == "") & (pl.col("product_type") == "FUT")
    records.refuse(pairs, absent, title("81", "future_month"), future, "a month CCYYMM for a future")
    absent = (pl.col("precise_price_flag") == "Y") & pl.col("precise_price").is_null()
    records.refuse(pairs, absent, title("81", "precise_price"), pl.lit(""), "14 digits where its flag is Y")
    for name in ("volatility_exponent", "value_factor_exponent"):
        records.refuse(
            pairs, pl.col(name).abs() > EXPONENT_MAX, title("82", name), pl.col(name), "within ±15"
        )


def _with_calculation(records: Records, series: pl.DataFrame) -> pl.DataFrame:
    """Series beside their record B: of both months, else of the option month alone."""
    for name in ("value_factor_exponent", "volatility_range_exponent", "price_range_exponent"):
        _check_exponent(records, "B", name)
    months = ["future_month", "future_day", "option_month", "option_day"]
    key = [*PRODUCT, *months]
    records.refuse_repeated(records["B"], key, ", ".join(key))
    frame = records["B"].with_columns(
        pl.col(name).clip(-EXPONENT_MAX, EXPONENT_MAX)
        for name in ("value_factor_exponent", "volatility_range_exponent", "price_range_exponent")
    )
    exponent = frame["volatility_range_exponent"].fill_null(0) - VOLATILITY_DECIMALS
    frame = frame.with_columns(
        _factor(frame, "value_factor", "value_factor_exponent").alias("month_size"),
        _power_of_ten(frame, "volatility_scan_range", exponent).alias("volatility_range"),
    ).select(
        *key,
        "month_size",
        "price_scan_range",
        pl.col("price_range_exponent").fill_null(0),
        "price_quotation",
        "years_to_expiry",
        volatility_scan_range=pl.when(pl.col("volatility_quotation") != "P").then("volatility_range"),
        delta_scaling=pl.when(pl.col("delta_scaling") > 0).then("delta_scaling"),
    )
    frame = frame.unique(key, keep="first", maintain_order=True).with_columns(has=pl.lit(value=True))
    series = series.join(frame, on=key, how="left", maintain_order="left")
    loose_key = [*PRODUCT, "option_month", "option_day"]
    loose = frame.filter((pl.col("future_month") == "") & (pl.col("option_month") != ""))
    loose = loose.drop("future_month", "future_day")
    series = series.join(loose, on=loose_key, how="left", suffix="_loose", maintain_order="left")
    names = [name for name in loose.columns if name not in loose_key]
    return series.with_columns(
        pl.when(pl.col("has").is_null()).then(f"{name}_loose").otherwise(name).alias(name) for name in names
    )


def _series(series: pl.DataFrame) -> pl.DataFrame:
    future = pl.col("future_month") + pl.col("future_day")
    option = pl.col("option_month") + pl.col("option_day")
    is_option = pl.col("right") != ""
    negative_strike = pl.when(pl.col("strike_sign") == "-").then(-1).otherwise(1)
    negative_price = pl.when(pl.col("price_sign") == "-").then(-1).otherwise(1)
    precise = pl.col("precise_price_flag") == "Y"
    series = series.with_columns(
        strike=pl.when(is_option).then(pl.col("strike") * negative_strike).otherwise(0),
        price=pl.when(precise).then("precise_price").otherwise("price") * negative_price,
    )
    price_powers = -series["price_decimals"]
    volatility_powers = series["volatility_exponent"].fill_null(0) - VOLATILITY_DECIMALS
    range_powers = series["price_range_exponent"].fill_null(0) - series["price_decimals"]
    price_range = _power_of_ten(series, "price_scan_range", range_powers)
    factor = _factor(series, "value_factor", "value_factor_exponent")
    return series.select(
        "line",
        *PRODUCT,
        "commodity",
        "right",
        expiry=pl.when(is_option).then(option).otherwise(future),
        future_month=pl.when(is_option).then(future).otherwise(pl.lit("")),
        delta_month=pl.when(pl.col("product_type").is_in(UNDERLYING_MONTH_TYPES) & (future != ""))
        .then(future)
        .when(is_option)
        .then(option)
        .otherwise(future),
        strike=_power_of_ten(series, "strike", -series["strike_decimals"]) + 0.0,
        composite_delta=pl.col("composite_delta") + 0.0,
        delta_scaling=pl.col("delta_scaling").fill_null(1.0),
        contract_size=pl.coalesce(factor, "month_size", "contract_size"),
        option_style="option_style",
        price=_power_of_ten(series, "price", price_powers) + 0.0,
        implied_volatility=_power_of_ten(series, "implied_volatility", volatility_powers),
        price_scan_range=pl.when(series["price_quotation"].fill_null("") != "P").then(price_range),
        volatility_scan_range="volatility_scan_range",
        years_to_expiry="years_to_expiry",
    ).select("line", *SPAN_SCHEMAS["series"])
