"""A comparison of programmes, and one joint account, in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
import polars.selectors as cs
from rich.console import Group
from rich.text import Text

from crossmargin.reports.amounts import percent
from crossmargin.reports.programmes.summary import binding_table, safety_table, stacked, system_table
from crossmargin.reports.terminal import breakdown_table, explanation, frame_table, note, stamp

if TYPE_CHECKING:
    from rich.console import RenderableType

    from crossmargin.programmes.result import Comparison, JointAccount

__all__ = ["comparison_report", "joint_account_report"]

RISES_SHOWN: Final = 5
"""The files of the report hold all of them."""


def comparison_report(comparison: Comparison) -> RenderableType:
    """Return the system, the houses, what decided and what rose, a row a programme and subject.

    Parameters
    ----------
    comparison : Comparison
        What was evaluated.
    """
    first = comparison.results[0]
    risen = stacked(comparison, "risen")
    stamps = dict.fromkeys(str(line) for result in comparison.results for line in stamp(result.provenance))
    return Group(
        *note(comparison.data_note),
        frame_table(
            f"{comparison.market}, {first.as_of}, {first.currency}", _shown(system_table(comparison))
        ),
        frame_table("Houses", _shown(stacked(comparison, "houses"))),
        frame_table("What decided the savings of joint accounts", binding_table(comparison)),
        frame_table(
            "Expected shortfall of joint accounts that is not covered: by the houses today, each apart, together",
            safety_table(comparison),
        ),
        *_risen(risen),
        *(Text(line, "dim") for line in stamps),
    )


def _risen(risen: pl.DataFrame) -> list[RenderableType]:
    """Show the largest rises, and say how many more there are."""
    if not len(risen):
        return [Text("Where the joint margin is higher: nowhere")]
    shown = risen.sort("rise", descending=True).head(RISES_SHOWN)
    title = f"Where the joint margin is higher: the largest {len(shown)} of {len(risen):,}"
    return [frame_table(title, shown)]


def joint_account_report(account: JointAccount, currency: str) -> RenderableType:
    """Return the waterfall of one joint account, its requirement as a tree, and the tail behind it.

    Parameters
    ----------
    account : JointAccount
        What ``ProgrammeResult.of`` returns.
    currency : str
        Of its amounts.
    """
    return Group(
        frame_table(
            f"{account.name}: from what is called today to the requirement, {currency}", account.steps
        ),
        breakdown_table(f"Requirement of {account.name}, {currency}", account.breakdown),
        explanation(account.breakdown),
        frame_table("Worst scenarios of the joint account, profit and loss", _rounded(account.tail)),
        frame_table("Correlation of the houses' profit and loss", _rounded(account.correlations, 4)),
        frame_table(f"Who bears the worst of these scenarios, {currency}", account.default),
    )


def _shown(frame: pl.DataFrame) -> pl.DataFrame:
    """Shares as percentages."""
    shares = [name for name in ("share", "joined") if name in frame.columns]
    return frame.with_columns(pl.Series(name, map(percent, frame[name]), pl.String) for name in shares)


def _rounded(frame: pl.DataFrame, decimals: int = 2) -> pl.DataFrame:
    return frame.with_columns(cs.float().round(decimals))
