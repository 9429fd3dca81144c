"""PRiME: account types and client margin of HKCC and SEOCH on top of SPAN.

Source: HKEX, Margining System Overview; Client Margining Methodology; HKCC margin circulars of 2017 to 2019.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from jaxtyping import Bool

from crossmargin.core.amounts import exact_decimals
from crossmargin.core.rounding import to_minor
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.span.margin import DECIMALS
from crossmargin.models.span.settings import SpanSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from crossmargin.models.span.margin import SpanMargins

__all__ = ["PrimeParameters", "client_margin", "client_rates", "client_totals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimeParameters:
    """A dated set of PRiME's own values.

    Parameters
    ----------
    parameter_set : str
        Id of the set.
    client_initial_multiplier : Fraction
        Client margin ÷ clearing house margin.
    client_maintenance_ratio : Fraction
        Maintenance ÷ initial margin of a client.
    basis : mapping of str to {"net", "gross"}
        Account type → margining basis.
    """

    parameter_set: str
    client_initial_multiplier: Fraction
    client_maintenance_ratio: Fraction
    basis: Mapping[str, Literal["net", "gross"]]

    def settings(self, account_type: str, settings: SpanSettings | None = None) -> SpanSettings:
        """Return the settings of an account type: those given, with its basis and this parameter set.

        Raises
        ------
        InputError
            If the type is unknown (the rule lists those that are), or the basis given is not that of the type.
        """
        given = settings or SpanSettings()
        if account_type not in self.basis:
            raise _refused("account_type", account_type, f"one of {', '.join(self.basis)}")
        basis = self.basis[account_type]
        if given.basis_is_given and given.basis != basis:
            rule = f"{basis}, as accounts of type {account_type} are margined, or nothing; or another account type"
            raise _refused("basis", given.basis, rule)
        return replace(given, basis=basis, parameter_set=self.parameter_set)


def _refused(field: str, value: str, rule: str) -> InputError:
    return InputError([BadRecord(file="settings", line=0, field=field, value=value, rule=rule)])


def client_rates(rate: int, parameters: PrimeParameters) -> tuple[int, int]:
    """Return initial and maintenance rate of a client from a clearing house rate, all whole currency units.

    The integer parts of rate × multiplier, and of that × maintenance ratio: 60,100 gives 79,933 and 63,946.
    """
    initial = floor(rate * parameters.client_initial_multiplier)
    return initial, floor(initial * parameters.client_maintenance_ratio)


def client_margin(margins: SpanMargins, parameters: PrimeParameters) -> pl.DataFrame:
    """Return client initial and maintenance margin by account and combined commodity.

    Client risk margin is the risk margin × the multiplier; a client that holds nothing but long options
    in the commodity pays no more than their value, initial and maintenance. Mark-to-market margin (less the option value, where
    premiums are paid up front) is added and not multiplied.

    Returns
    -------
    DataFrame
        ``account``, ``commodity``, ``currency``, ``capped`` (whether the value of long options was the
        bound), ``client_risk_margin``, ``mark_to_market_margin``, ``initial``, ``maintenance``: exact
        decimals.
    """
    risk, book = margins.risk, margins.book
    commodities = margins.parameters.commodities
    multiplied = risk.risk_margin * float(parameters.client_initial_multiplier)
    limit = np.where(_only_long_options(margins), risk.long_option_value, np.nan)
    capped = limit < multiplied
    client_risk = np.where(capped, limit, multiplied)
    maintained = np.fmin(multiplied * float(parameters.client_maintenance_ratio), client_risk)
    mark = -risk.option_value
    amounts = {
        "client_risk_margin": client_risk,
        "mark_to_market_margin": mark,
        "initial": client_risk + mark,
        "maintenance": maintained + mark,
    }
    return pl.DataFrame(
        {
            "account": pl.Series(margins.accounts, dtype=pl.String).gather(book.account),
            "commodity": commodities["commodity"].gather(book.commodity),
            "currency": commodities["currency"].gather(book.commodity),
            "capped": capped,
            **{
                name: exact_decimals(to_minor(amount, DECIMALS), DECIMALS) for name, amount in amounts.items()
            },
        }
    )


def client_totals(client: pl.DataFrame) -> pl.DataFrame:
    """Return a row an account and currency: initial and maintenance margin of ``client_margin``, not below 0."""
    keys = ["account", "currency"]
    sums = client.group_by(keys).agg(pl.col("initial", "maintenance").sum()).sort(keys)
    return sums.with_columns(pl.col("initial", "maintenance").clip(0, None))


def _only_long_options(margins: SpanMargins) -> Bool[np.ndarray, " portfolios"]:
    book = margins.book
    is_option = margins.parameters.is_option.to_numpy()[book.series]
    short = book.short if margins.settings.basis == "gross" else np.maximum(-book.net, 0.0)
    other = (short > 0) | (~is_option & (book.long != book.short))
    return np.bincount(book.portfolio, other, book.account.size) == 0
