"""Section of the page on one joint account: where its saving comes from and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.reports.programmes import summary
from crossmargin.reports.programmes.figures import account_figure, correlation_figure, tail_figure
from crossmargin.reports.tables import PageTable, page_table

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmargin.core.breakdown import Component
    from crossmargin.programmes.result import Comparison, JointAccount

__all__ = ["AccountSection", "account_section"]

POSITIONS: Final = 20
SCENARIOS: Final = 20
ACROSS: Final = ("programme", "houses", "stand_alone", "joint", "left", "saving", "share", "binding")
ACROSS_NAMES: Final = {
    "joint": "asked for before limits",
    "left": "market risk left",
    "share": "saving, % of stand-alone",
    "binding": "decided by",
}


LOSSES: Final = {"own_fund_loss": "falls on own fund"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AccountSection:
    """One joint account: under every programme, and explained under the one in which it saves most."""

    name: str
    programme: str
    across: PageTable
    chart: Markup
    breakdown: list[tuple[int, Component]]
    steps: PageTable
    tail_chart: Markup
    tail: PageTable
    correlation_chart: Markup | None
    correlations: PageTable
    positions: PageTable
    default: PageTable


def account_section(comparison: Comparison, name: str) -> AccountSection:
    """Return what the page shows of a joint account.

    Raises
    ------
    InputError
        If no programme makes it.
    """
    result = summary.explained_by(comparison, name)
    account, currency = result.of(name), result.currency
    across = summary.account_across(comparison, name)
    joined = across.filter(pl.col("programme") == result.programme.name)["houses"][0].split(" + ")
    return AccountSection(
        name=name,
        programme=result.programme.name,
        across=page_table(
            f"The account under each programme, {currency}", across.select(ACROSS), ACROSS_NAMES
        ),
        chart=account_figure(account, len(joined), currency),
        breakdown=list(account.breakdown.walk()),
        steps=page_table(f"Steps, {currency}", account.steps),
        tail_chart=tail_figure(account, currency),
        tail=_tail(account, currency),
        correlation_chart=correlation_figure(account) if len(account.correlations) else None,
        correlations=_correlations(account),
        positions=_positions(account, currency),
        default=page_table(f"Who bears the worst of these scenarios, {currency}", account.default, LOSSES),
    )


def _tail(account: JointAccount, currency: str) -> PageTable:
    caption = f"Profit and loss in the worst scenarios, {currency}"
    return page_table(caption, account.tail.head(SCENARIOS), grouped=True)


def _correlations(account: JointAccount) -> PageTable:
    names = {"part": "scenarios", "in_tail": "in the worst tenth", "lowest": "lowest in 250"}
    return page_table("Correlation of two houses' profit and loss", account.correlations, names, grouped=True)


def _positions(account: JointAccount, currency: str) -> PageTable:
    by_size = account.positions.sort(pl.col("contribution").abs(), descending=True, maintain_order=True)
    caption = f"Positions with the largest contributions to the joint expected shortfall, {currency}"
    return page_table(caption, by_size.head(POSITIONS))
