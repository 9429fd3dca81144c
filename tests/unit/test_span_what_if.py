"""What a trade changes, on the constructed Hang Seng calendar example (PSR 85,300, spread charge 19,650)."""

from __future__ import annotations

import polars as pl
import pytest

from crossmargin import InputError
from crossmargin.models.span.margin import span_margins
from crossmargin.models.span.what_if import what_if
from span_market import calendar_spread, future, future_losses, market, positions


@pytest.fixture
def margins():
    series = [future("HSI", month, future_losses(85_300)) for month in ("201907", "201908")]
    parameters = market(series, **calendar_spread("HSI", 19_650))
    held = pl.concat(
        positions(("HSI", "201907", quantity)).with_columns(account=pl.lit(name))
        for name, quantity in (("A", 10), ("B", 3))
    )
    return span_margins(held, parameters)


def trade(account: str, month: str, quantity: int) -> pl.DataFrame:
    return positions(("HSI", month, quantity)).with_columns(account=pl.lit(account))


def test_a_hedge_in_the_next_month_leaves_scan_on_the_rest_and_a_spread_charge(margins):
    (row,) = what_if(margins, trade("A", "201908", -7)).to_frame().iter_rows(named=True)
    assert (row["account"], row["before"], row["after"]) == ("A", 853_000, 393_450)
    assert row["change"] == row["after"] - row["before"]


def test_closing_out_leaves_nothing(margins):
    (row,) = what_if(margins, trade("B", "201907", -3)).to_frame().iter_rows(named=True)
    assert (row["before"], row["after"]) == (255_900, 0)


def test_an_account_that_holds_nothing_may_trade(margins):
    (row,) = what_if(margins, trade("C", "201907", -2)).to_frame().iter_rows(named=True)
    assert (row["before"], row["after"], row["change"]) == (0, 170_600, 170_600)


def test_a_series_that_the_file_does_not_have_is_refused(margins):
    with pytest.raises(InputError) as refused:
        what_if(margins, trade("A", "201909", 1))
    assert [(record.line, record.value) for record in refused.value.records] == [(1, "HSI 201909")]
