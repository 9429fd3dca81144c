"""A synthetic market from a seed and a size."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np

from crossmargin.core.columns import require_date, require_size
from crossmargin.models.market import make_market
from crossmargin.models.synthetic_market.accounts import synthetic_accounts
from crossmargin.models.synthetic_market.contracts import synthetic_contracts
from crossmargin.models.synthetic_market.histories import CALENDAR, CURRENCIES, synthetic_histories
from crossmargin.models.synthetic_market.sizes import market_size

if TYPE_CHECKING:
    from crossmargin.models.market import Market
    from crossmargin.models.synthetic_market.sizes import MarketSize

__all__ = ["synthetic_market"]

AS_OF: Final = date(2026, 1, 5)
SEED_MAX: Final = 2**63


def synthetic_market(*, seed: int, size: str | MarketSize = "small", as_of: date = AS_OF) -> Market:
    """Invent a market of the three houses: synthetic data, labelled as such.

    Same arguments, same bytes. Where the houses' participants stay the same, more desks or accounts leave the
    others as they are, and so do more participants that are at every house; of a market with a number of
    accounts, a participant's last desk may change.

    Parameters
    ----------
    seed : int
        Of the random numbers, 0 or more.
    size : str or MarketSize
        "small", which is made in a second, "full", with 100,000 accounts, or counts.
    as_of : date
        Histories end on the last business day that is not after it.

    Returns
    -------
    Market
        Participants, not all at every house, some of one group; accounts of desks that arbitrage between index
        futures and a fund or a basket of all shares, make markets, trade dispersion, write covered calls, hold
        for clients in omnibus accounts or take a view, most with consent; positions that hold always and
        do not add up to 0 over a house. Two indices with their weights, funds on them, shares; index futures and
        options, American stock options. Prices, volatilities, interest and exchange rates of every business
        day, dividends, a split, one late listing. Every number fits a CSV file.

    Raises
    ------
    InputError
        If an argument is out of range.

    Notes
    -----
    Sizes of books are chosen so that the full market's total at HKSCC, margined by its model for each
    participant, is about the HK$3.1bn that HKEX published as mean of month-end margin from September 2023 to
    August 2024. Totals of HKCC and SEOCH are not published: those here are of the order of their reserve funds, HK$7.3bn
    (threshold) and HK$1.3bn (October 2022), measured as expected shortfall by account.
    """
    require_size(seed, "seed", 0, SEED_MAX)
    counts = market_size(size)
    histories = synthetic_histories(
        np.random.default_rng(seed), counts.stocks, counts.years, require_date(as_of, "as_of")
    )
    contracts = synthetic_contracts(histories, counts)
    return make_market(
        {
            **histories.tables(),
            "instruments": contracts.instruments,
            "marks": contracts.marks,
            **synthetic_accounts(seed, histories, contracts, counts),
        },
        name=f"synthetic market {seed}",
        currency=CURRENCIES[0],
        calendar=CALENDAR,
        data_note=f"SYNTHETIC sample data (seed {seed}): no real instrument, price or participant.",
    )
