"""Trades as they are written on the command line."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from crossmargin.models.revaluation.new_series import NewSeries

__all__ = ["read_trades"]

SERIES: Final = re.compile(
    r"(?P<underlying>[^/]+)/(?P<expiry>\d{4}-\d{2}-\d{2})/(?P<strike>\d+(\.\d+)?)/(?P<right>[CP])"
)
TRADE: Final = re.compile(r"(?P<code>.+):(?P<quantity>[+-]?\d{1,12})")


def read_trades(texts: list[str]) -> list[tuple[str | NewSeries, int]]:
    """Read trades: CODE:QTY, or UNDERLYING/YYYY-MM-DD/STRIKE/C:QTY for an option that is not listed.

    Raises
    ------
    InputError
        Listing every text that is no trade.
    """
    trades, bad = [], []
    for text in texts:
        found = TRADE.fullmatch(text)
        rule = "CODE:QTY, with a whole number of at most 12 digits"
        try:
            if found:
                trades.append((_instrument(found["code"]), int(found["quantity"])))
        except ValueError:
            found, rule = None, "an expiry that is a day"
        if found is None:
            bad.append(BadRecord(file="--trade", line=0, field="", value=text, rule=rule))
    if bad:
        raise InputError(bad)
    return trades


def _instrument(code: str) -> str | NewSeries:
    from crossmargin.models.revaluation.new_series import NewSeries  # noqa: PLC0415

    terms = SERIES.fullmatch(code)
    if terms is None:
        return code
    expiry, strike = date.fromisoformat(terms["expiry"]), float(terms["strike"])
    return NewSeries(terms["underlying"], expiry, strike, "C" if terms["right"] == "C" else "P")
