"""Amounts and shares as text: full where a table is exact, in millions where a reader compares."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

__all__ = [
    "MINUS",
    "currency_sign",
    "full_amount",
    "millions",
    "percent",
    "plain_number",
    "signed",
    "whole_amount",
]

MINUS: Final = "\N{MINUS SIGN}"
SIGNS: Final = {"HKD": "HK$", "USD": "US$"}


def currency_sign(currency: str) -> str:
    """Return what stands before an amount: HK$ for HKD, otherwise the code and a no-break space."""
    return SIGNS.get(currency, f"{currency}\N{NO-BREAK SPACE}")


def full_amount(amount: Decimal) -> str:
    """Return thousands separated, with every decimal: 1,234,567.80."""
    return signed(f"{amount:,f}")


def whole_amount(amount: Decimal) -> str:
    """Return thousands separated, without decimals, a half away from zero: 1,234,568; never −0."""
    return signed(f"{amount.quantize(Decimal(1), ROUND_HALF_UP) + 0:,f}")


def millions(amount: Decimal, currency: str) -> str:
    """Return millions with one decimal, a half away from zero: HK$1,234.6m."""
    rounded = (amount / 1_000_000).quantize(Decimal("0.1"), ROUND_HALF_UP)
    sign = MINUS if rounded < 0 else ""
    return f"{sign}{currency_sign(currency)}{abs(rounded):,f}m"


def percent(share: float) -> str:
    """Return a fraction as a percentage with one decimal; never −0.0."""
    return signed(f"{round(share * 100, 1) + 0.0:,.1f}%")


def plain_number(number: float) -> str:
    """Return thousands separated; two decimals unless it is whole."""
    return signed(f"{number:,}" if isinstance(number, int) else f"{number + 0.0:,.2f}")


def signed(text: str) -> str:
    """Return a number with a minus sign in place of a hyphen."""
    return text.replace("-", MINUS)
