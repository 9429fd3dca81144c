"""Lines of products and series: records P, 81 to 84 and B.

Source: CME, SPAN expanded unpacked positional layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.errors import BadRecord
from crossmargin.formats.span.layout_series import FIRST_VALUES, SECOND_VALUES
from crossmargin.formats.span.positional_fields import unscaled
from crossmargin.formats.span.positional_records import CURRENCY_BYTES
from crossmargin.formats.span.positional_rendered import fit
from crossmargin.formats.span.positional_series import OPTION_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jaxtyping import Bool, Float64, Int64

    from crossmargin.formats.span.positional_rendered import Rendered
    from crossmargin.models.span.parameters import SpanParameters

__all__ = ["array_powers", "series_lines"]

PRODUCT: Final = ["exchange", "product", "product_type"]
WHOLE_FIRST: Final = (0, *range(-1, -10, -1), *range(1, 10))
"""Powers of ten for arrays and prices: units, then ever more decimals, then tens and more."""

EXPONENTS: Final = (0, *range(-1, -16, -1), *range(1, 16))
NARROW_MAX, WIDE_DIGITS = 99_999, 8
PRICE_DIGITS, PRECISE_DIGITS, STRIKE_DIGITS = 7, 14, 7
NAME_WIDTH: Final = 15


def array_powers(parameters: SpanParameters) -> pl.DataFrame:
    """Return for each product the power of ten whose multiples its losses are; 0 if none does."""
    place = _product_places(parameters)
    largest = [_common_power(parameters.losses[rows], WIDE_DIGITS) for rows in place]
    return parameters.products.select(PRODUCT).with_columns(power=pl.Series(largest, dtype=pl.Int64))


def _product_places(parameters: SpanParameters) -> list[Int64[np.ndarray, " rows"]]:
    """Rows of the series of each product."""
    series = parameters.series.select(PRODUCT).with_row_index("row")
    rows = parameters.products.select(PRODUCT).join(
        series.group_by(PRODUCT).agg("row"), on=PRODUCT, how="left", maintain_order="left"
    )["row"]
    return [np.array([] if row is None else row, np.int64) for row in rows.to_list()]


def _common_power(values: Float64[np.ndarray, ...], digits: int) -> int:
    """Return the first power of ten with which all values are integers of so many digits; 0 if none is."""
    finite = values[np.isfinite(values)]
    for power in WHOLE_FIRST:
        whole, held = unscaled(finite, np.full(finite.shape, power, np.int64))
        if held.all() and (np.abs(whole) < 10**digits).all():
            return power
    return 0


def series_lines(rendered: Rendered, parameters: SpanParameters, powers: pl.DataFrame) -> None:
    """Add records P, then 81 and 82 (83 and 84 where a value has more than five digits), then B."""
    decimals = _decimals(parameters)
    _product_lines(rendered, parameters, decimals)
    parents = parameters.products.select(*PRODUCT, product_size="contract_size")
    series = parameters.series.join(parents, on=PRODUCT, how="left", maintain_order="left")
    series = series.join(decimals, on=PRODUCT, how="left", maintain_order="left")
    series = series.join(powers, on=PRODUCT, how="left", maintain_order="left")
    series = _months(series).with_columns(pl.col("power", "price_decimals", "strike_decimals").fill_null(0))
    _array_lines(rendered, series, parameters.losses)
    _calculation_lines(rendered, parameters, series)


def _decimals(parameters: SpanParameters) -> pl.DataFrame:
    """Decimals of prices and strikes of each product."""
    price = parameters.series["price"].fill_null(0.0).to_numpy()
    strike = parameters.series["strike"].fill_null(0.0).to_numpy()
    place = _product_places(parameters)
    return parameters.products.select(PRODUCT).with_columns(
        price_decimals=pl.Series(
            [-_common_power(price[rows], PRECISE_DIGITS) for rows in place], dtype=pl.Int64
        ),
        strike_decimals=pl.Series(
            [-_common_power(strike[rows], STRIKE_DIGITS) for rows in place], dtype=pl.Int64
        ),
    )


def _fitted(
    rendered: Rendered, values: pl.Series, digits: int, power: int | Int64[np.ndarray, " rows"], table: str
) -> tuple[pl.Series, pl.Series]:
    """Integers and exponents for the values, null where they are; what does not fit is added as bad."""
    numbers = values.fill_null(0.0).to_numpy()
    base = np.broadcast_to(np.asarray(power, np.int64), numbers.shape)
    whole, exponent, held = fit(numbers, digits, base, EXPONENTS)
    _refuse(rendered, table, values, held, f"a number of at most {digits} digits and an exponent")
    given = pl.when(values.is_not_null())
    frame = pl.select(given.then(pl.Series(whole)).alias("whole"), given.then(pl.Series(exponent)).alias("e"))
    return frame["whole"], frame["e"]


def _refuse(
    rendered: Rendered, table: str, values: pl.Series, held: Bool[np.ndarray, " rows"], rule: str
) -> None:
    rendered.bad.extend(
        BadRecord(
            file=f"parameters.{table}", line=row + 1, field=values.name, value=str(values[row]), rule=rule
        )
        for row in np.flatnonzero(~held).tolist()
    )


def _product_lines(rendered: Rendered, parameters: SpanParameters, decimals: pl.DataFrame) -> None:
    products = parameters.products
    factor, exponent = _fitted(rendered, products["contract_size"], 14, -7, "products")
    is_option = pl.col("product_type").is_in(OPTION_TYPES)
    valuation = pl.col("option_style").replace({"premium": "EQTY", "futures": "FUT"})
    code = pl.col("currency").replace_strict(CURRENCY_BYTES, default="", return_dtype=pl.String)
    rows = products.join(decimals, on=PRODUCT, how="left", maintain_order="left").with_columns(
        short_name=pl.col("name").str.slice(0, NAME_WIDTH).str.strip_chars(" "),
        long_name="name",
        currency_code=code,
        value_factor=factor,
        value_factor_exponent=exponent.abs(),
        value_factor_exponent_sign=pl.Series(exponent < 0).replace_strict(
            {True: "-", False: ""}, return_dtype=pl.String
        ),
        valuation=pl.when(is_option).then(valuation).otherwise(pl.lit("FUT")),
        where="product",
    )
    rendered.add("P", rows)


def _months(series: pl.DataFrame) -> pl.DataFrame:
    is_option = pl.col("right") != ""
    future = pl.when(is_option).then("future_month").otherwise("expiry")
    option = pl.when(is_option).then("expiry").otherwise(pl.lit(""))
    return series.with_columns(
        future_month=future.str.slice(0, 6),
        future_day=future.str.slice(6),
        option_month=option.str.slice(0, 6),
        option_day=option.str.slice(6),
    )


def _array_lines(rendered: Rendered, series: pl.DataFrame, losses: Float64[np.ndarray, "series 16"]) -> None:
    power = np.broadcast_to(series["power"].to_numpy()[:, None], losses.shape)
    values, exact = unscaled(losses, power)
    names = (*FIRST_VALUES, *SECOND_VALUES)
    for scenario in range(len(names)):
        held = exact[:, scenario] & (np.abs(values[:, scenario]) < 10**WIDE_DIGITS)
        rule = f"integers of at most {WIDE_DIGITS} digits of one scale for all series of a product"
        column = pl.Series(f"scenario {scenario + 1}", losses[:, scenario])
        _refuse(rendered, "losses", column, held, rule)
    rows = _contracts(rendered, series).with_columns(
        pl.Series(name, values[:, scenario]) for scenario, name in enumerate(names)
    )
    wide = pl.Series((np.abs(values) > NARROW_MAX).any(axis=1))
    rows = rows.with_columns(wide=wide, at=pl.int_range(pl.len()))
    made: list[tuple[int, int, bytes]] = []
    for is_wide, first, second in ((False, "81", "82"), (True, "83", "84")):
        of_width = rows.filter(pl.col("wide") == is_wide)
        for order, record in enumerate((first, second)):
            lines = rendered.lines(record, of_width)
            made.extend((at, order, line) for at, line in zip(of_width["at"], lines, strict=True))
    rendered.parts.extend(line for *_, line in sorted(made))


def _contracts(rendered: Rendered, series: pl.DataFrame) -> pl.DataFrame:
    """Return what records 81 to 84 say beside the arrays."""
    price, price_held = unscaled(
        series["price"].fill_null(0.0).to_numpy(), -series["price_decimals"].to_numpy()
    )
    price_held &= np.abs(price) < 10**PRECISE_DIGITS
    _refuse(rendered, "series", series["price"], price_held, "a price of at most 14 digits")
    is_option = series["right"] != ""
    strikes = pl.select(pl.when(is_option).then(series["strike"]).otherwise(0.0)).to_series().alias("strike")
    powers = -series["strike_decimals"].to_numpy()
    strike, strike_held = unscaled(strikes.fill_null(np.nan).to_numpy(), powers)
    _refuse(rendered, "series", strikes, strike_held, "a strike of at most 7 digits")
    volatility, volatility_exponent = _fitted(rendered, series["implied_volatility"], 8, -6, "series")
    own_size = series["contract_size"].ne_missing(series["product_size"])
    sizes = pl.select(pl.when(own_size).then(series["contract_size"])).to_series().alias("contract_size")
    factor, factor_exponent = _fitted(rendered, sizes, 14, -7, "series")
    given = series["price"].is_not_null()
    precise = given & pl.Series(np.abs(price) >= 10**PRICE_DIGITS)
    return series.select(
        *PRODUCT,
        "right",
        "future_month",
        "future_day",
        "option_month",
        "option_day",
        "composite_delta",
        pl.Series("strike", np.abs(strike)),
        pl.Series("strike_sign", _signs(strike)),
        pl.when(precise).then(0).when(given).then(pl.Series(np.abs(price))).alias("price"),
        pl.Series("price_sign", _signs(price)),
        pl.when(precise).then(pl.Series(np.abs(price))).alias("precise_price"),
        pl.when(precise).then(pl.lit("Y")).otherwise(pl.lit("")).alias("precise_price_flag"),
        volatility.alias("implied_volatility"),
        volatility_exponent.alias("volatility_exponent"),
        factor.alias("value_factor"),
        factor_exponent.alias("value_factor_exponent"),
        where=pl.col("product") + pl.lit(" ") + pl.col("expiry"),
    )


def _signs(values: Int64[np.ndarray, " rows"]) -> Iterable[str]:
    return np.where(values < 0, "-", "+").tolist()


def _calculation_lines(rendered: Rendered, parameters: SpanParameters, series: pl.DataFrame) -> None:
    """One record B for each product and month; series that differ in it show when the file is read back."""
    key = [*PRODUCT, "future_month", "future_day", "option_month", "option_day"]
    rows = series.unique(key, keep="first", maintain_order=True)
    base = -rows["price_decimals"].to_numpy()
    price_range, price_exponent = _fitted(rendered, rows["price_scan_range"], 5, base, "series")
    volatility, volatility_exponent = _fitted(rendered, rows["volatility_scan_range"], 8, -6, "series")
    extreme = parameters.scan_points.filter(scenario=15)
    multiplier, fraction = extreme.select("price_move", "weight").row(0) if len(extreme) else (None, None)
    rows = rows.select(*key, "years_to_expiry", "delta_scaling")
    rendered.add(
        "B",
        rows.with_columns(
            price_scan_range=price_range,
            price_range_exponent=price_exponent,
            volatility_scan_range=volatility,
            volatility_range_exponent=volatility_exponent,
            extreme_multiplier=pl.lit(multiplier, pl.Float64),
            covered_fraction=pl.lit(fraction, pl.Float64),
            where=pl.col("product"),
        ),
    )
