"""What a trade would change: the accounts that trade, before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from crossmargin.errors import BadRecord, InputError
from crossmargin.models.span.book import ACCOUNT, locate
from crossmargin.models.span.margin import SpanMargins, margins_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crossmargin.core.columns import FrameInput

__all__ = ["SpanWhatIf", "what_if"]


@dataclass(frozen=True, slots=True, eq=False)
class SpanWhatIf:
    """Margin of the accounts that trade, before and after the trades."""

    before: SpanMargins
    after: SpanMargins

    def to_frame(self) -> pl.DataFrame:
        """Return a row an account and currency: requirement before, after, and the change."""
        keys = ["account", "currency"]
        before = self.before.totals().rename({"requirement": "before"})
        after = self.after.totals().rename({"requirement": "after"})
        both = before.join(after, on=keys, how="full", coalesce=True).sort(keys).fill_null(0)
        return both.with_columns(change=pl.col("after") - pl.col("before"))


def what_if(margins: SpanMargins, trades: FrameInput) -> SpanWhatIf:
    """Margin the accounts of ``trades`` without and with them; nothing else is computed again.

    Parameters
    ----------
    margins : SpanMargins
        What is held, as ``span_margins`` returned it.
    trades : Polars or pandas frame, or mapping of columns
        As the positions of ``span_margins``; ``account`` may be left out where one account holds all. An
        account that holds nothing yet may trade too. A series
        that the file does not have is added to the parameters first (``add_series``).

    Raises
    ------
    InputError
        Listing every trade that is bad or has no series.
    """
    traded = locate(trades, margins.parameters)
    if ACCOUNT not in list(_names(trades)):
        traded = traded.with_columns(pl.lit(_only_account(margins)).alias(ACCOUNT))
    accounts = traded[ACCOUNT].unique()
    held = margins.located.filter(pl.col(ACCOUNT).is_in(accounts.implode()))
    return SpanWhatIf(margins_of(margins, held), margins_of(margins, pl.concat([held, traded])))


def _only_account(margins: SpanMargins) -> str:
    if len(margins.accounts) == 1:
        return margins.accounts[0]
    rule = f"a column that says which of {len(margins.accounts):,} accounts trades"
    raise InputError([BadRecord(file="trades", line=0, field=ACCOUNT, value="absent", rule=rule)])


def _names(trades: Any) -> Iterable[str]:
    return getattr(trades, "columns", trades)
