"""How each column of a validation is shown, whether its figures are exact decimals or floating numbers."""

from __future__ import annotations

from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Final

from crossmargin.reports.amounts import full_amount, percent, signed, whole_amount
from crossmargin.reports.tables import NOTHING, cell_text, page_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from crossmargin.reports.tables import PageTable

__all__ = ["coverage_text", "exact", "shown", "shown_in_millions", "validation_table"]

SMALL: Final = 0.001


def coverage_text(coverage: Decimal | float) -> str:
    """Return a coverage as a percentage with two decimals, rounded down: 98.996% is not shown as the 99% it misses.

    The last bits of a floating number do not count: 0.9899999999999999 is 99%.
    """
    rounded = exact(coverage).quantize(Decimal("1e-12"), ROUND_HALF_UP)
    return f"{(rounded * 100).quantize(Decimal('0.01'), ROUND_FLOOR):f}%"


def exact(number: Decimal | float) -> Decimal:
    """Return the decimal that a number is written as."""
    return number if isinstance(number, Decimal) else Decimal(repr(number))


def _amount(value: Decimal | float) -> str:
    return whole_amount(exact(value))


def _probability(value: Decimal | float) -> str:
    return f"below {SMALL}" if value < SMALL else f"{value:.3f}"


def _multiple(value: Decimal | float) -> str:
    return f"{exact(value).quantize(Decimal('0.01'), ROUND_HALF_UP):f} ×"


def _statistic(value: Decimal | float) -> str:
    return signed(f"{value:.2f}")


def _deviation(value: Decimal | float) -> str:
    return f"{value:.4f}"


def _added(value: Decimal | float) -> str:
    text = percent(float(value))
    return text if value <= 0 else f"+{text}"


_COLUMNS: Final[tuple[tuple[Callable[[Decimal | float], str], str], ...]] = (
    (
        _amount,
        (
            "average_uncovered peak_uncovered mean_margin loss margin over_margin size house_share members_share"
            " beyond_limit contribution additional_margin available used transient_loss terminal_loss mean"
            " largest_call effective_observations fund left one two mean_one mean_two joint apart"
        ),
    ),
    (coverage_text, "coverage coverage_before"),
    (_probability, "kupiec_p independence_p conditional_p"),
    (_multiple, "multiple peak_to_trough n_day_1 n_day_5 n_day_20 n_day_30"),
    (_statistic, "kupiec independence conditional z1 z2 z2_critical"),
    (_deviation, "stability"),
    (_added, "cost"),
)

FORMS: Final[Mapping[str, Callable[[Decimal | float], str]]] = {
    name: form for form, names in _COLUMNS for name in names.split()
}
"""Form of each column that is not shown as its type alone says; amounts in whole units of the currency."""


def _form(name: str) -> Callable[[Decimal | float], str] | None:
    """Return the form of a column.

    Columns named by a year hold coverage, by a day multiples, by a house and what its layers have or used amounts.
    """
    if name.isdigit():
        return coverage_text
    if name.endswith((": available", ": used")):
        return _amount
    return _multiple if name.startswith("day ") else FORMS.get(name)


COUNTED: Final = ("effective_observations",)
"""Columns that are shown as amounts are, and are none."""


def shown(name: str, value: object) -> str:
    """Return the text of a cell.

    Parameters
    ----------
    name : str
        Of the column, as a result names it.
    value : object
        Null is a dash; a Decimal and a float of the same column look alike.
    """
    if value is None:
        return NOTHING
    if name == "guarantee":
        return str(value).replace("_", " ")
    form = _form(name)
    if form is not None and isinstance(value, Decimal | float | int):
        return form(value)
    return full_amount(value) if isinstance(value, Decimal) else cell_text(name, value)


def shown_in_millions(name: str, value: object) -> str:
    """Return the text of a cell as ``shown`` does, but an amount in millions with one decimal, without a unit."""
    if isinstance(value, Decimal | float | int) and _form(name) is _amount and name not in COUNTED:
        return signed(f"{(exact(value) / 1_000_000).quantize(Decimal('0.1'), ROUND_HALF_UP) + 0:,f}")
    return shown(name, value)


def validation_table(
    caption: str, frame: pl.DataFrame, names: Mapping[str, str] | None = None, *, grouped: bool = False
) -> PageTable:
    """Return a frame as a table of the page; arguments as of ``page_table``."""
    return page_table(caption, frame, names, grouped=grouped, text=shown)
