"""Layout of the records of combined commodities, tiers and spreads: ids 0 to 6, C, E, S and T.

Column numbers count from 1 and both ends are included. Where the layouts of HKEX (2013) and CME name the
same record they agree; HKEX's lines end sooner, so that the columns behind are blank.

Source: CME, SPAN expanded unpacked positional layout; HKEX, Risk Parameter File Descriptions.
"""

from __future__ import annotations

from typing import Final

from crossmargin.formats.span.positional_fields import Column

__all__ = [
    "COMMODITY_LAYOUTS",
    "GROUP_CODES",
    "PRODUCT_GROUPS",
    "SCAN_TIERS",
    "SERIES_LEGS",
    "SPREAD_LEGS",
    "TIERS",
    "TIER_LEGS",
]

PRODUCT_GROUPS: Final = 6
"""Products that one record 2 lists."""

TIERS: Final = 4
"""Tiers that one record 3 defines."""

SCAN_TIERS: Final = 5
"""Tiers that one record S defines."""

TIER_LEGS: Final = 8
"""Legs of a record C."""

SERIES_LEGS: Final = 4
"""Legs of a record E."""

SPREAD_LEGS: Final = 4
"""Legs of a record 6, a target apart."""

GROUP_CODES: Final = 10
"""Combined commodities of a record 5."""

YES_NO: Final = ("", "Y", "N")
SIDES: Final = ("", "A", "B")

COMMODITY: Final = Column("commodity", 3, 8, required=True)

HEADER: Final = (
    Column("organization", 3, 8, required=True),
    Column("business_date", 9, 16, "date", required=True),
    Column("settlement", 17, 17, choices=("S", "I")),
    Column("identifier", 18, 19),
    Column("business_time", 20, 23, "whole"),
    Column("created", 24, 31, "date"),
    Column("created_time", 32, 35, "whole"),
    Column("format", 36, 37, choices=("U2",)),
    Column("flags", 38, 39),
    Column("business_function", 40, 44),
    Column("code", 51, 51),
    Column("acronym", 53, 57),
    Column("account_type", 59, 59),
    Column("account_acronym", 61, 65),
    Column("bond_class", 67, 67),
    Column("bond_class_acronym", 69, 73),
    Column("maintenance_or_initial", 75, 75),
    Column("maintenance_acronym", 77, 81),
)

EXCHANGE: Final = (Column("exchange", 3, 5, required=True), Column("exchange_code", 8, 9))

CURRENCY: Final = (
    Column("currency", 3, 5, required=True),
    Column("currency_code", 6, 6),
    Column("to_currency", 7, 9, required=True),
    Column("to_currency_code", 10, 10),
    Column("multiplier", 11, 20, "number", 6, required=True),
)

FIRST: Final = (
    Column("exchange", 3, 5),
    Column("commodity", 7, 12, required=True),
    Column("risk_exponent", 13, 13, "whole"),
    Column("currency", 14, 16),
    Column("currency_code", 17, 17),
    Column("option_style", 18, 18, choices=("", "P", "F")),
    Column("limit_option_value", 19, 19, choices=YES_NO),
    Column("combination_method", 20, 20),
    *(
        column
        for group in range(PRODUCT_GROUPS)
        for start in [23 + 16 * group]
        for column in (
            Column(f"product_{group + 1}", start, start + 9),
            Column(f"product_type_{group + 1}", start + 10, start + 12),
            Column(f"decimal_locator_{group + 1}", start + 13, start + 13, "whole", sign=start + 14),
        )
    ),
)


def _tiers(count: int, first: int, first_day: int) -> tuple[Column, ...]:
    """Columns of tiers: number, start and end month, and far behind them the days of both."""
    months = tuple(
        column
        for tier in range(count)
        for start in [first + 14 * tier]
        for column in (
            Column(f"tier_{tier + 1}", start, start + 1, "whole"),
            Column(f"start_{tier + 1}", start + 2, start + 7, "period"),
            Column(f"end_{tier + 1}", start + 8, start + 13, "period"),
        )
    )
    days = tuple(
        column
        for tier in range(count)
        for start in [first_day + 4 * tier]
        for column in (
            Column(f"start_day_{tier + 1}", start, start + 1),
            Column(f"end_day_{tier + 1}", start + 2, start + 3),
        )
    )
    return (*months, *days)


SECOND: Final = (
    COMMODITY,
    Column("method", 9, 10, choices=("", "00", "01", "10")),
    *_tiers(TIERS, 11, 81),
    Column("initial_member", 69, 72, "number", 3),
    Column("initial_hedger", 73, 76, "number", 3),
    Column("initial_speculator", 77, 80, "number", 3),
)

THIRD: Final = (
    COMMODITY,
    Column("method", 9, 10, choices=("", "00", "01", "10")),
    Column("month_count", 11, 12, "whole"),
    *(
        column
        for slot, start in ((1, 13), (2, 35))
        for column in (
            Column(f"number_{slot}", start, start + 1, "whole"),
            Column(f"month_{slot}", start + 2, start + 7, "month"),
            Column(f"in_spreads_{slot}", start + 8, start + 14, "whole"),
            Column(f"outright_{slot}", start + 15, start + 21, "whole"),
        )
    ),
    Column("short_option_minimum", 63, 69, "whole"),
    Column("adjustment_member", 70, 72, "number", 2),
    Column("adjustment_hedger", 73, 75, "number", 2),
    Column("adjustment_speculator", 76, 78, "number", 2),
    Column("som_method", 79, 79, choices=("", "0", "1", "2")),
)

GROUP: Final = (
    Column("group", 3, 5, required=True),
    *(Column(f"commodity_{code + 1}", 13 + 6 * code, 18 + 6 * code) for code in range(GROUP_CODES)),
)

INTER: Final = (
    Column("group", 3, 5),
    Column("priority", 6, 9, "whole", required=True),
    Column("rate", 10, 16, "whole", required=True),
    *(
        column
        for leg in range(SPREAD_LEGS)
        for start in [17 + 18 * leg]
        for column in (
            Column(f"exchange_{leg + 1}", start, start + 2),
            Column(f"required_{leg + 1}", start + 3, start + 3),
            Column(f"commodity_{leg + 1}", start + 4, start + 9),
            Column(f"ratio_{leg + 1}", start + 10, start + 16, "number", 4),
            Column(f"side_{leg + 1}", start + 17, start + 17, choices=SIDES),
        )
    ),
    Column("method", 89, 90, choices=("", "01", "02", "04", "10", "20")),
    Column("exchange_target", 91, 93),
    Column("required_target", 94, 94),
    Column("commodity_target", 95, 100),
    Column("credit", 101, 101, choices=("", "W", "F")),
    *(Column(f"tier_{leg + 1}", 102 + 2 * leg, 103 + 2 * leg, "whole") for leg in range(SPREAD_LEGS)),
    Column("spread_group", 110, 110, choices=("", "N", "S")),
    Column("ratio_target", 111, 117, "number", 4),
    Column("minimum_legs", 118, 121, "whole"),
    Column("rates_by_leg", 122, 122, choices=YES_NO),
    *(Column(f"rate_{leg + 1}", 123 + 7 * leg, 129 + 7 * leg, "whole") for leg in range(SPREAD_LEGS)),
    Column("eligibility", 151, 151),
)

TIER_SPREAD: Final = (
    COMMODITY,
    Column("method", 9, 10, choices=("", "01", "10")),
    Column("priority", 11, 12, "whole", required=True),
    Column("leg_count", 13, 14, "whole", required=True),
    Column("charge", 15, 21, "whole", required=True),
    *(
        column
        for leg in range(TIER_LEGS)
        for start in [22 + 7 * leg]
        for column in (
            Column(f"leg_{leg + 1}", start, start + 1, "whole"),
            Column(f"tier_{leg + 1}", start + 2, start + 3, "whole"),
            Column(f"ratio_{leg + 1}", start + 4, start + 5, "whole"),
            Column(f"side_{leg + 1}", start + 6, start + 6, choices=SIDES),
        )
    ),
)

SERIES_SPREAD: Final = (
    COMMODITY,
    Column("priority", 9, 13, "whole", required=True),
    Column("charge", 14, 20, "whole", required=True),
    *(
        column
        for leg in range(SERIES_LEGS)
        for start in [21 + 14 * leg]
        for column in (
            Column(f"month_{leg + 1}", start, start + 3, "whole"),
            Column(f"period_{leg + 1}", start + 4, start + 6),
            Column(f"ratio_{leg + 1}", start + 7, start + 12, "number", 4),
            Column(f"side_{leg + 1}", start + 13, start + 13, choices=SIDES),
        )
    ),
)

SCANNING: Final = (
    COMMODITY,
    Column("method", 9, 10, choices=("01", "02", "10", "20", "21", "22", "23", "30")),
    Column("tier_count", 11, 12, "whole"),
    *_tiers(SCAN_TIERS, 13, 84),
    Column("price_risk_method", 83, 83, choices=("", "1", "2", "3")),
    *(Column(f"rate_{tier + 1}", 104 + 7 * tier, 110 + 7 * tier, "whole") for tier in range(SCAN_TIERS)),
)

COMMODITY_LAYOUTS: Final[dict[str, tuple[Column, ...]]] = {
    "0": HEADER,
    "1": EXCHANGE,
    "T": CURRENCY,
    "2": FIRST,
    "3": SECOND,
    "4": THIRD,
    "5": GROUP,
    "6": INTER,
    "C": TIER_SPREAD,
    "E": SERIES_SPREAD,
    "S": SCANNING,
}
"""Record id → its fields."""
