"""SPAN margin of one account, or of all of them in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
from jaxtyping import Int64

from crossmargin.core.amounts import exact_decimals
from crossmargin.core.rounding import to_minor
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.span.book import SpanBook, locate, make_book
from crossmargin.models.span.result import SpanMargin, make_result
from crossmargin.models.span.scanning import DECIMALS, PortfolioRisk, portfolio_risk
from crossmargin.models.span.settings import SpanSettings
from crossmargin.models.span.tables import SpanTables, make_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.span.parameters import SpanParameters

__all__ = ["DECIMALS", "SpanMargins", "margins_of", "span_margin", "span_margins"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpanMargins:
    """Margin of every account, in arrays, with all that is needed to explain each.

    Parameters
    ----------
    parameters : SpanParameters
        The house's risk parameters.
    settings : SpanSettings
        The choices made.
    tables : SpanTables
        The parameters, numbered.
    located : DataFrame
        ``account``, ``series`` row and ``quantity`` of each position.
    book : SpanBook
        The positions in order.
    risk : PortfolioRisk
        Components of every portfolio, one combined commodity of one account.
    requirement : ndarray of int64, shape (portfolios,)
        Risk margin less option value, in hundredths of the commodity's currency; may be negative where
        the floor is at the account.
    """

    parameters: SpanParameters
    settings: SpanSettings
    tables: SpanTables
    located: pl.DataFrame
    book: SpanBook
    risk: PortfolioRisk
    requirement: Int64[np.ndarray, " portfolios"]

    @property
    def accounts(self) -> tuple[str, ...]:
        """Names, in order."""
        return self.book.accounts

    def to_frame(self) -> pl.DataFrame:
        """Return a row a combined commodity of an account, amounts as exact decimals."""
        commodities = self.parameters.commodities
        risk, names = self.risk, commodities["commodity"].gather(self.book.commodity)
        amounts = {
            "scan_risk": risk.scan_risk,
            "intra_charge": risk.intra_charge,
            "spot_charge": risk.spot_charge,
            "inter_credit": risk.inter_credit,
            "short_option_minimum": risk.short_option_minimum,
            "risk_margin": risk.risk_margin,
            "initial_risk_margin": risk.initial_risk_margin,
            "option_value": risk.option_value,
        }
        return pl.DataFrame(
            {
                "account": self.book.names.gather(self.book.account),
                "commodity": names,
                "currency": commodities["currency"].gather(self.book.commodity),
                "active_scenario": risk.active + 1,
                **{
                    name: exact_decimals(to_minor(amount, DECIMALS), DECIMALS)
                    for name, amount in amounts.items()
                },
                "requirement": exact_decimals(self.requirement, DECIMALS),
            }
        )

    def totals(self) -> pl.DataFrame:
        """Return a row an account and currency: the requirement, not below 0."""
        currency = self.parameters.commodities["currency"].gather(self.book.commodity)
        rows = pl.DataFrame({"account": self.book.account, "currency": currency, "amount": self.requirement})
        added = rows.group_by("account", "currency").agg(pl.col("amount").sum()).sort("account", "currency")
        names = self.book.names.gather(added["account"])
        floored = added["amount"].clip(0, None).to_numpy()
        return pl.DataFrame(
            {
                "account": names,
                "currency": added["currency"],
                "requirement": exact_decimals(floored, DECIMALS),
            }
        )

    def of(self, account: str) -> SpanMargin:
        """Return the result of one account as trees that explain themselves, one a currency.

        Raises
        ------
        KeyError
            If there is no such account.
        """
        if account not in self.accounts:
            raise KeyError(f"no account {account!r}; there are: {', '.join(self.accounts[:20])}")
        mine = self.located.filter(account=account)
        return make_result(_margins(mine, self.parameters, self.settings, self.tables))

    def __iter__(self) -> Iterator[SpanMargin]:
        return (self.of(account) for account in self.accounts)


def span_margins(
    positions: FrameInput, parameters: SpanParameters, settings: SpanSettings | None = None
) -> SpanMargins:
    """Margin every account in one pass.

    Parameters
    ----------
    positions : Polars or pandas frame, or mapping of columns
        ``product``, ``expiry`` (the file's month or day), ``quantity`` (contracts, + long, − short);
        ``right`` ("C", "P" or null), ``strike`` for options; ``account`` and ``exchange`` if there are
        several; ``product_type`` and ``future_month`` where series differ in nothing else. Longs and shorts
        of one series may stand in rows of their own.
    parameters : SpanParameters
        From a file or built by hand.
    settings : SpanSettings, optional
        Net basis and the file's own methods unless given.

    Raises
    ------
    InputError
        Listing every position that is bad or has no series.
    """
    settings = settings or SpanSettings()
    tables = make_tables(parameters, settings)
    return _margins(locate(positions, parameters), parameters, settings, tables)


def span_margin(
    positions: FrameInput, parameters: SpanParameters, settings: SpanSettings | None = None
) -> SpanMargin:
    """Margin the positions of one account; arguments as ``span_margins``, without ``account``."""
    settings = settings or SpanSettings()
    located = locate(positions, parameters)
    if located["account"].n_unique() > 1:
        rule = "one account; span_margins takes several"
        value = str(located["account"].n_unique())
        raise InputError([BadRecord(file="positions", line=0, field="account", value=value, rule=rule)])
    tables = make_tables(parameters, settings)
    return make_result(_margins(located, parameters, settings, tables))


def margins_of(margins: SpanMargins, located: pl.DataFrame) -> SpanMargins:
    """Margin other located positions with the same parameters and settings."""
    return _margins(located, margins.parameters, margins.settings, margins.tables)


def _margins(
    located: pl.DataFrame, parameters: SpanParameters, settings: SpanSettings, tables: SpanTables
) -> SpanMargins:
    book = make_book(located, tables)
    risk = portfolio_risk(book, parameters, tables, settings)
    return SpanMargins(
        parameters=parameters,
        settings=settings,
        tables=tables,
        located=located,
        book=book,
        risk=risk,
        requirement=risk.requirement,
    )
