"""Returns of holding an underlying: net of splits, and with the dividend on the ex-day.

Let C be the product of the ratios of all splits up to a day: how many shares one original share has
become. One original share is then worth X = price × C, and a dividend gives it E = amount × C of its
ex-day, the amount being that of one share as it trades that day. From one price to the next the holder's
return is (X + E of the ex-days since) ÷ X before. Where prices are already adjusted for splits, X is the
price × C of all splits known, a constant; where they are adjusted for dividends too, nothing is left to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

if TYPE_CHECKING:
    from crossmargin.models.market import Market
    from crossmargin.models.scenarios.findings import Days

__all__ = ["CorporateActions", "corporate_actions"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorporateActions:
    """Splits and dividends of one underlying, ascending by day.

    Parameters
    ----------
    adjustment : {"none", "splits", "total"}
        What the prices are adjusted for.
    split_days, dividend_days : ndarray of datetime64[D]
        Ex-days.
    ratios : ndarray of float64, shape (splits,)
        New shares for an old one.
    amounts : ndarray of float64, shape (dividends,)
        For one share as it trades on the ex-day.
    """

    adjustment: str
    split_days: Days
    ratios: Float64[np.ndarray, " splits"]
    dividend_days: Days
    amounts: Float64[np.ndarray, " dividends"]

    def _shares(self, days: Days) -> Float64[np.ndarray, " days"]:
        """Return how many shares one original share has become by each day."""
        products = np.concatenate([[1.0], np.cumprod(self.ratios)])
        return products[np.searchsorted(self.split_days, days, side="right")]

    def log_returns(self, days: Days, prices: Float64[np.ndarray, " days"]) -> Float64[np.ndarray, " days"]:
        """Return the holder's log return from each price to the next; 0 for the first.

        An ex-day without a price counts on the next day that has one.
        """
        if self.adjustment == "total" or not prices.size:
            return np.diff(np.log(prices), prepend=np.log(prices[:1]))
        adjusted = self.adjustment == "splits"
        shares = np.full(days.size, self.ratios.prod()) if adjusted else self._shares(days)
        worth = prices * shares
        income = np.zeros(days.size + 1)  # the last place takes ex-days after the last price
        np.add.at(income, self._places(days), self.amounts * self._shares(self.dividend_days))
        returns = np.zeros(days.size)
        returns[1:] = np.log((worth[1:] + income[1:-1]) / worth[:-1])
        return returns

    def _places(self, days: Days) -> Int64[np.ndarray, " dividends"]:
        return np.searchsorted(days, self.dividend_days)


def corporate_actions(market: Market) -> dict[str, CorporateActions]:
    """Return the splits and dividends of every underlying of a market, by its name."""
    splits = market["splits"].partition_by("underlying", as_dict=True)
    dividends = (
        market["dividends"].sort("underlying", "ex_date", "amount").partition_by("underlying", as_dict=True)
    )
    none = (pl.DataFrame(schema=market["splits"].schema), pl.DataFrame(schema=market["dividends"].schema))
    return {
        name: _of_one(adjustment, splits.get((name,), none[0]), dividends.get((name,), none[1]))
        for name, adjustment in market["underlyings"].select("underlying", "adjustment").iter_rows()
    }


def _of_one(adjustment: str, splits: pl.DataFrame, dividends: pl.DataFrame) -> CorporateActions:
    return CorporateActions(
        adjustment=adjustment,
        split_days=splits["ex_date"].to_numpy(),
        ratios=splits["ratio"].to_numpy(),
        dividend_days=dividends["ex_date"].to_numpy(),
        amounts=dividends["amount"].to_numpy(),
    )
