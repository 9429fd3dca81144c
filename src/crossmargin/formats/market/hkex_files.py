"""Files of the exchange: daily settlement prices of derivatives, contract sizes, board lots.

Codes of series: ``HSI.F.2024-05`` is the future of May 2024, ``HSI.C.18000.2024-05`` the call of that month
struck at 18,000.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.core.columns import NUMBER_LIMIT
from crossmargin.core.exchange_days import last_trading_day
from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.market.layout import FreeText
from crossmargin.formats.market.quoted_csv import LINE, broken_rows, read_columns
from crossmargin.formats.records import Field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

__all__ = [
    "OptionClass",
    "read_hkex_board_lots",
    "read_hkex_option_classes",
    "read_hkex_settlements",
    "read_hkex_stock_options",
]

MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), start=1
    )
}
MONTH: Final = rf"^({'|'.join(MONTHS)})-?([0-9]{{2}})$"
MONTH_RULE: Final = "a month and year such as APR-24 or APR24"

TRADE_DATE: Final = Field("date", "date", label="trade_date")
LAST_DAY: Final = Field("expiry", "date", label="last_trading_day")
RIGHT: Final = Field("right", "text", label="right")
STRIKE: Final = Field("strike", "decimal", 0, NUMBER_LIMIT, above=True, label="strike")
FUTURES_FIELDS: Final = (
    TRADE_DATE,
    Field("month", "text", label="ContractMonth"),
    LAST_DAY,
    Field("price", "decimal", 0, NUMBER_LIMIT, above=True, label="DAY_SettlementPrice"),
)
OPTIONS_FIELDS: Final = (
    TRADE_DATE,
    Field("month", "text", label="contract_month"),
    LAST_DAY,
    RIGHT,
    STRIKE,
    Field("price", "decimal", 0, NUMBER_LIMIT, label="settlement"),
)
STOCK_OPTIONS_FIELDS: Final = (
    TRADE_DATE,
    Field("class", "text"),
    Field("month", "text", label="expiry"),
    STRIKE,
    RIGHT,
    Field("price", "decimal", 0, NUMBER_LIMIT, label="settle"),
)
OPTION_CLASS_FIELDS: Final = (
    Field("stock", "integer", 1, 99_999, label="sehk_code"),
    Field("class", "text", label="hkats_code"),
    Field("contract_size", "integer", 1, NUMBER_LIMIT, label="contract_size_shares"),
)
SECURITY_FIELDS: Final = (
    FreeText("code", "text", label="Stock Code"),
    FreeText("name", "text", label="Name of Securities"),
    FreeText("category", "text", label="Category"),
    FreeText("lot", "text", label="Board Lot"),
)


@dataclass(frozen=True, slots=True)
class OptionClass:
    """A class of stock options: its underlying, and how many shares one contract is."""

    underlying: str
    multiplier: float


def read_hkex_settlements(
    *,
    futures: str | Path | None = None,
    options: str | Path | None = None,
    underlying: str,
    multiplier: float,
    house: str = "HKCC",
    currency: str = "HKD",
    settlement: str = "average",
) -> dict[str, pl.DataFrame]:
    """Read daily settlement prices of one product's futures and European options.

    Parameters
    ----------
    futures : str or Path, optional
        CSV with ``trade_date``, ``ContractMonth`` (APR-24), ``last_trading_day``, ``DAY_SettlementPrice``.
    options : str or Path, optional
        CSV with ``trade_date``, ``contract_month``, ``last_trading_day``, ``right`` (C or P), ``strike``,
        ``settlement``.
    underlying : str
        Underlying, and first part of the codes.
    multiplier : float
        Money for one point.
    house, currency, settlement : str
        See the table ``instruments`` of a market; for Hang Seng contracts the final price is an average.

    Returns
    -------
    dict of str to DataFrame
        Tables ``instruments`` and ``marks`` of a market.

    Raises
    ------
    InputError
        Listing every bad record of both files: a series twice on a day, or with two last trading days,
        among them.
    """
    frames: list[pl.DataFrame] = []
    bad: list[BadRecord] = []
    for path, fields in ((futures, FUTURES_FIELDS), (options, OPTIONS_FIELDS)):
        if path is not None:
            try:
                frames.append(_series(Path(path), fields, underlying))
            except InputError as error:
                bad += error.records
    if bad:
        raise InputError(bad)
    terms = {"house": house, "currency": currency, "settlement": settlement, "style": "european"}
    return _tables([_with_terms(frame, terms, underlying, multiplier) for frame in frames])


def _series(path: Path, fields: tuple[Field, ...], code: str) -> pl.DataFrame:
    """Read a file of settlement prices and give each row its instrument."""
    frame = read_columns(path, fields)
    month = next(field for field in fields if field.name == "month")
    bad = list(_wrong_terms(path, frame, month.title))
    if bad:
        raise InputError(bad)
    frame = frame.with_columns(_instrument(frame, pl.lit(code)).alias("instrument"))
    if bad := list(_contradictions(path, frame)):
        raise InputError(bad)
    return frame


def _wrong_terms(path: Path, frame: pl.DataFrame, month_title: str) -> Iterator[BadRecord]:
    wrong_month = ~pl.col("month").str.contains(MONTH)
    yield from broken_rows(path, frame, wrong_month, month_title, "month", MONTH_RULE)
    if "right" in frame.columns:
        yield from broken_rows(path, frame, ~pl.col("right").is_in(["C", "P"]), "right", "right", "C or P")


def _instrument(frame: pl.DataFrame, code: pl.Expr) -> pl.Expr:
    """Return code.F.month of futures, code.right.strike.month of options."""
    name, year = (pl.col("month").str.extract(MONTH, group) for group in (1, 2))
    month = name.replace_strict(MONTHS, return_dtype=pl.Int64).cast(pl.String).str.zfill(2)
    parts = [pl.lit("F")]
    if "right" in frame.columns:
        parts = [pl.col("right"), pl.col("strike").cast(pl.String).str.strip_suffix(".0")]
    return pl.concat_str(
        [code, *parts, pl.concat_str([pl.lit("20"), year, pl.lit("-"), month])], separator="."
    )


def _contradictions(path: Path, frame: pl.DataFrame) -> Iterator[BadRecord]:
    again = ~pl.struct("instrument", "date").is_first_distinct()
    yield from broken_rows(path, frame, again, "series", "instrument", "a series that stands once a day")
    other = pl.col("expiry") != pl.col("expiry").first().over("instrument")
    rule = "the last trading day that the series has elsewhere"
    yield from broken_rows(path, frame, other, "last_trading_day", "expiry", rule)


def _with_terms(
    frame: pl.DataFrame, terms: Mapping[str, str], underlying: str, multiplier: float
) -> pl.DataFrame:
    is_option = "right" in frame.columns
    given = {**terms, "underlying": underlying, "kind": "option" if is_option else "future"}
    if not is_option:
        del given["style"]
    return frame.with_columns(
        pl.lit(multiplier).alias("multiplier"), *(pl.lit(value).alias(name) for name, value in given.items())
    )


def _tables(frames: list[pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Split rows into the terms of series and their prices by day."""
    if not frames:
        return {}
    rows = pl.concat(frames, how="diagonal_relaxed").drop(LINE, "month")
    return {
        "instruments": rows.drop("date", "price")
        .unique("instrument", maintain_order=True)
        .sort("instrument"),
        "marks": rows.select("date", "instrument", "price").sort("instrument", "date"),
    }


def read_hkex_option_classes(path: str | Path) -> dict[str, OptionClass]:
    """Read the classes of stock options: columns ``sehk_code``, ``hkats_code``, ``contract_size_shares``.

    Returns
    -------
    dict of str to OptionClass
        By HKATS code; the underlying is the stock code without leading zeros.

    Raises
    ------
    InputError
        Listing every bad record, and every class that stands twice.
    """
    frame = read_columns(Path(path), OPTION_CLASS_FIELDS)
    again = ~pl.col("class").is_first_distinct()
    if bad := list(broken_rows(Path(path), frame, again, "hkats_code", "class", "a class that stands once")):
        raise InputError(bad)
    rows = frame.select("class", "stock", "contract_size").iter_rows()
    return {name: OptionClass(str(stock), float(size)) for name, stock, size in rows}


def read_hkex_stock_options(
    path: str | Path,
    classes: Mapping[str, OptionClass],
    *,
    calendar: str = "XHKG",
    currency: str = "HKD",
) -> dict[str, pl.DataFrame]:
    """Read settlement prices of American stock options from an extract of the daily report.

    Parameters
    ----------
    path : str or Path
        CSV with ``trade_date``, ``class``, ``expiry`` (JUN22), ``strike``, ``right``, ``settle``.
    classes : mapping of str to OptionClass
        The classes to take, by HKATS code; others are passed over.
    calendar : str
        Of the exchange: series trade until the business day before the last one of their month.
    currency : str
        Of the prices.

    Returns
    -------
    dict of str to DataFrame
        Tables ``instruments``, their codes beginning with the HKATS code, and ``marks`` of a market.

    Raises
    ------
    InputError
        Listing every bad record, a series twice on a day, and every class that the file lacks.
    """
    path = Path(path)
    frame = read_columns(path, STOCK_OPTIONS_FIELDS)
    bad = [
        BadRecord(file=str(path), line=0, field="class", value=name, rule="a class that the file has")
        for name in sorted(set(classes) - set(frame["class"]))
    ]
    frame = frame.filter(pl.col("class").is_in([*classes]))
    bad += _wrong_terms(path, frame, "expiry")
    if bad:
        raise InputError(bad)
    days = {month: _last_day(month, calendar) for month in frame["month"].unique().sort()}
    frame = frame.with_columns(
        _instrument(frame, pl.col("class")).alias("instrument"),
        pl.col("month").replace_strict(days, return_dtype=pl.Date).alias("expiry"),
    )
    if bad := list(_contradictions(path, frame)):
        raise InputError(bad)
    sizes = {name: item.multiplier for name, item in classes.items()}
    underlyings = {name: item.underlying for name, item in classes.items()}
    return _tables(
        [
            frame.with_columns(
                pl.col("class").replace_strict(underlyings, return_dtype=pl.String).alias("underlying"),
                pl.col("class").replace_strict(sizes, return_dtype=pl.Float64).alias("multiplier"),
                house=pl.lit("SEOCH"),
                kind=pl.lit("option"),
                currency=pl.lit(currency),
                style=pl.lit("american"),
                settlement=pl.lit("close"),
            ).drop("class")
        ]
    )


def _last_day(month: str, calendar: str) -> date:
    return last_trading_day(2000 + int(month[-2:]), MONTHS[month[:3]], calendar)


def read_hkex_board_lots(path: str | Path) -> pl.DataFrame:
    """Read the list of securities: columns Stock Code, Name of Securities, Category, Board Lot.

    Returns
    -------
    DataFrame
        ``stock`` (code without leading zeros), ``name``, ``category``, ``board_lot`` (shares), sorted as the
        file is.

    Raises
    ------
    InputError
        Listing every code and lot that is no whole number above 0, and every code that stands twice.
    """
    path = Path(path)
    frame = read_columns(path, SECURITY_FIELDS)
    whole = frame.with_columns(
        pl.col("code").str.strip_chars_start("0").alias("stock"),
        pl.when(pl.col("lot").str.contains(r"^[0-9]{1,3}(?:,?[0-9]{3}){0,2}$"))
        .then(pl.col("lot").str.replace_all(",", ""))
        .cast(pl.Int64, strict=False)
        .alias("board_lot"),
    )
    bad = [
        *broken_rows(
            path, whole, ~pl.col("code").str.contains("^[0-9]{1,5}$"), "Stock Code", "code", "digits"
        ),
        *broken_rows(
            path, whole, ~pl.col("stock").is_first_distinct(), "Stock Code", "code", "a code that stands once"
        ),
        *broken_rows(
            path,
            whole,
            (pl.col("board_lot") > 0).fill_null(value=False).not_(),
            "Board Lot",
            "lot",
            "a whole number above 0",
        ),
    ]
    if bad:
        raise InputError(bad)
    return whole.select("stock", "name", "category", "board_lot")
