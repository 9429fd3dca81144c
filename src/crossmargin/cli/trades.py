"""Trades as they are written on the command line."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.new_series import NewSeries

__all__ = ["read_trades", "require_cleared"]

SERIES: Final = re.compile(
    r"(?P<underlying>[^/]+)/(?P<expiry>[0-9]{4}-[0-9]{2}-[0-9]{2})/(?P<strike>[0-9]+(\.[0-9]+)?)/(?P<right>[CP])"
)
STRIKE: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
TRADE: Final = re.compile(r"(?P<code>.+):(?P<quantity>[+-]?[0-9]{1,12})")


def read_trades(texts: list[str]) -> list[tuple[str | NewSeries, int]]:
    """Read trades: CODE:QTY, or UNDERLYING/YYYY-MM-DD/STRIKE/C:QTY for an option that is not listed.

    Raises
    ------
    InputError
        Listing every text that is no trade.
    """
    if bad := [
        BadRecord(file="--trade", line=0, field="", value=text, rule=rule)
        for text in texts
        if (rule := _broken_rule(text))
    ]:
        raise InputError(bad)
    found = [text.rpartition(":") for text in texts]
    return [(_instrument(code), int(quantity)) for code, _, quantity in found]


def _broken_rule(text: str) -> str:
    """Return the rule that a text breaks, nothing where it is a trade."""
    found = TRADE.fullmatch(text)
    if found is None:
        return "CODE:QTY, with a whole number of at most 12 digits"
    terms = SERIES.fullmatch(found["code"])
    if terms is None:
        return ""
    if not STRIKE.fullmatch(terms["strike"]):
        return "a strike of at most 12 digits before the point and 6 behind it"
    try:
        date.fromisoformat(terms["expiry"])
    except ValueError:
        return "an expiry that is a day"
    return ""


def _instrument(code: str) -> str | NewSeries:
    from crossmargin.models.revaluation.new_series import NewSeries  # noqa: PLC0415

    terms = SERIES.fullmatch(code)
    if terms is None:
        return code
    expiry, strike = date.fromisoformat(terms["expiry"]), float(terms["strike"])
    return NewSeries(terms["underlying"], expiry, strike, "C" if terms["right"] == "C" else "P")


def require_cleared(market: Market, account: str, trades: Sequence[tuple[str | NewSeries, int]]) -> None:
    """Refuse trades that no position of the account could come from.

    A listed instrument is cleared by its house; one that is not listed by the houses with options on the
    underlying. What the market does not know at all is passed over.

    Raises
    ------
    InputError
        Listing every trade in what another house clears.
    """
    house = dict(market["accounts"].select("account", "house").iter_rows())[account]
    options = market["instruments"].filter(kind="option")
    bad = []
    for trade, _ in trades:
        if isinstance(trade, str):
            code, homes = trade, market["instruments"].filter(instrument=trade)["house"]
        else:
            code, homes = trade.code, options.filter(underlying=trade.underlying)["house"]
        if len(homes) and house not in homes:
            rule = f"cleared by the account's house, {house}"
            bad.append(BadRecord(file="--trade", line=0, field="", value=code, rule=rule))
    if bad:
        raise InputError(bad)
