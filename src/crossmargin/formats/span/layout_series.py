"""Layout of the records of products and series: ids 81 to 84, B and P; and of those that margin does not use.

Source: CME, SPAN expanded unpacked positional layout; HKEX, Risk Parameter File Descriptions.
"""

from __future__ import annotations

from typing import Final

from crossmargin.formats.span.positional_fields import Column

__all__ = ["FIRST_VALUES", "SECOND_VALUES", "SERIES_LAYOUTS", "UNUSED_LAYOUTS"]

FIRST_VALUES: Final = tuple(f"value_{scenario}" for scenario in range(1, 10))
"""Fields of records 81 and 83 that carry scenarios 1 to 9."""

SECOND_VALUES: Final = tuple(f"value_{scenario}" for scenario in range(10, 17))
"""Fields of records 82 and 84 that carry scenarios 10 to 16."""

CONTRACT: Final = (
    Column("key", 3, 54),
    Column("exchange", 3, 5),
    Column("product", 6, 15, required=True),
    Column("underlying", 16, 25),
    Column("product_type", 26, 28, required=True),
    Column("right", 29, 29, choices=("", "C", "P")),
    Column("future_month", 30, 35, "month"),
    Column("future_day", 36, 37),
    Column("option_month", 39, 44, "month"),
    Column("option_day", 45, 46),
    Column("strike", 48, 54, "whole"),
)


def _values(names: tuple[str, ...], digits: int) -> tuple[Column, ...]:
    step = digits + 1
    return tuple(
        Column(name, start, start + digits - 1, "whole", sign=start + digits, required=True)
        for place, name in enumerate(names)
        for start in [55 + step * place]
    )


def _first(digits: int) -> tuple[Column, ...]:
    start = 55 + (digits + 1) * len(FIRST_VALUES)
    return (
        *CONTRACT,
        *_values(FIRST_VALUES, digits),
        Column("precise_price", start, start + 13, "whole"),
        Column("precise_price_flag", start + 14, start + 14, choices=("", "Y", "N")),
    )


def _second(digits: int) -> tuple[Column, ...]:
    start = 55 + (digits + 1) * len(SECOND_VALUES)
    return (
        *CONTRACT,
        *_values(SECOND_VALUES, digits),
        Column("composite_delta", start, start + 4, "number", 4, sign=start + 5, required=True),
        Column("implied_volatility", start + 6, start + 13, "whole"),
        Column("price", start + 14, start + 20, "whole"),
        Column("price_sign", start + 21, start + 21, choices=("", "+", "-")),
        Column("strike_sign", start + 22, start + 22, choices=("", "+", "-")),
        Column("current_delta", start + 23, start + 27, "number", 4, sign=start + 28),
        Column("current_delta_day", start + 29, start + 29),
        Column("start_price", start + 30, start + 36, "whole", sign=start + 37),
        Column("volatility_exponent", start + 38, start + 39, "whole", sign=start + 40),
        Column("value_factor", start + 41, start + 54, "whole"),
        Column("value_factor_exponent", start + 55, start + 56, "whole", sign=start + 57),
        Column("strike_value_factor", start + 58, start + 71, "whole"),
        Column("strike_value_factor_exponent", start + 72, start + 73, "whole", sign=start + 74),
    )


ARRAY_CALCULATION: Final = (
    Column("exchange", 3, 5),
    Column("product", 6, 15, required=True),
    Column("product_type", 16, 18, required=True),
    Column("future_month", 19, 24, "month"),
    Column("future_day", 25, 26),
    Column("option_month", 28, 33, "month"),
    Column("option_day", 34, 35),
    Column("base_volatility", 37, 44, "whole"),
    Column("volatility_scan_range", 45, 52, "whole"),
    Column("price_scan_range", 53, 57, "whole"),
    Column("extreme_multiplier", 58, 62, "number", 3),
    Column("covered_fraction", 63, 67, "number", 4),
    Column("interest_rate", 68, 72, "number", 4),
    Column("years_to_expiry", 73, 79, "number", 6),
    Column("lookahead_years", 80, 85, "number", 6),
    Column("delta_scaling", 86, 91, "number", 4),
    Column("expiry_date", 92, 99, "date"),
    Column("underlying", 100, 109),
    Column("pricing_model", 110, 111),
    Column("yield", 112, 119, "number", 6),
    Column("reference_price_flag", 120, 120),
    Column("reference_price", 121, 127, "whole", sign=128),
    Column("value_factor", 129, 142, "whole"),
    Column("value_factor_exponent", 143, 144, "whole", sign=145),
    Column("base_volatility_exponent", 146, 147, "whole", sign=148),
    Column("volatility_range_exponent", 149, 150, "whole", sign=151),
    Column("discount_factor", 152, 163, "number", 10),
    Column("volatility_quotation", 164, 164, choices=("", "A", "P")),
    Column("price_quotation", 165, 165, choices=("", "A", "P")),
    Column("price_range_exponent", 166, 167, "whole", sign=168),
    Column("delivery_margin_method", 169, 173),
)

PRICE_CONVERSION: Final = (
    Column("exchange", 3, 5),
    Column("product", 6, 15, required=True),
    Column("product_type", 16, 18, required=True),
    Column("short_name", 19, 33),
    Column("price_decimals", 34, 36, "whole", leads=True),
    Column("strike_decimals", 37, 39, "whole", leads=True),
    Column("price_alignment", 40, 40),
    Column("strike_alignment", 41, 41),
    Column("value_factor", 42, 55, "whole"),
    Column("cabinet_value", 56, 63, "number", 2),
    Column("quantity_per_contract", 64, 65, "whole"),
    Column("currency", 66, 68),
    Column("currency_code", 69, 69),
    Column("price_quotation", 70, 72),
    Column("value_factor_exponent_sign", 73, 73, choices=("", "0", "+", "-")),
    Column("value_factor_exponent", 74, 75, "whole"),
    Column("exercise", 76, 79),
    Column("long_name", 80, 114),
    Column("positionable", 115, 115),
    Column("money_method", 116, 116),
    Column("valuation", 117, 121),
    Column("settlement", 122, 126),
    Column("credit_fields", 127, 143),
    Column("position_factor", 144, 160),
    Column("variable_tick", 161, 161),
    Column("quote_currency", 162, 164),
)

SERIES_LAYOUTS: Final[dict[str, tuple[Column, ...]]] = {
    "81": _first(5),
    "82": _second(5),
    "83": _first(8),
    "84": _second(8),
    "B": ARRAY_CALCULATION,
    "P": PRICE_CONVERSION,
}
"""Record id → its fields."""

UNUSED_LAYOUTS: Final[dict[str, tuple[Column, ...]]] = {
    "R": (
        Column("exchange", 3, 5),
        Column("product", 6, 15),
        Column("commodity", 16, 21),
        Column("new_exchange", 22, 24),
        Column("new_product", 25, 34),
        Column("new_commodity", 35, 40),
    ),
    "V": (
        Column("exchange", 3, 5),
        Column("product", 6, 15, required=True),
        Column("future_month", 16, 21, "period"),
        Column("future_day", 22, 23),
        Column("business_date", 24, 31, "date"),
        Column("long_rate", 32, 44, "number", 8, sign=45),
        Column("long_premium_or_discount", 46, 46, choices=("", "P", "D")),
        Column("short_rate", 47, 59, "number", 8, sign=60),
        Column("short_premium_or_discount", 61, 61, choices=("", "P", "D")),
        Column("short_rate_flag", 62, 62),
        Column("long_maintenance_rate", 63, 65, "number", 2),
        Column("short_maintenance_rate", 66, 68, "number", 2),
        Column("reset_long", 69, 69),
        Column("reset_long_down", 70, 72, "number", 2),
        Column("reset_long_up", 73, 75, "number", 2),
        Column("reset_short", 76, 76),
        Column("reset_short_down", 77, 79, "number", 2),
        Column("reset_short_up", 80, 82, "number", 2),
        Column("product_class", 83, 88),
    ),
    "X": (Column("method", 3, 3), Column("product", 4, 13), Column("offset", 14, 20, "whole")),
    "Y": (Column("combination", 3, 12), Column("option_product", 13, 22)),
    "Z": (
        Column("exchange", 3, 5),
        Column("product", 6, 15, required=True),
        Column("combination_type", 16, 20),
        Column("month", 21, 26, "period"),
        Column("day", 27, 28),
        Column("leg", 36, 38, "whole"),
        Column("side", 39, 39, choices=("", "A", "B")),
        Column("ratio", 40, 42, "whole"),
        Column("leg_product", 43, 52),
        Column("leg_product_type", 53, 55),
        Column("leg_month", 56, 61, "period"),
        Column("leg_day", 62, 63),
        Column("ratio_fraction", 64, 67),
        Column("price_available", 68, 68),
        Column("price_usage", 69, 70),
        Column("price", 71, 77, "whole", sign=78),
    ),
}
"""Record id → its fields, of records that are checked and then counted only."""
