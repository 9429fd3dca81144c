"""A synthetic market from a seed and a size."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np

from crossmargin.core.columns import require_date, require_size
from crossmargin.models.market import make_market
from crossmargin.models.synthetic_market.contracts import synthetic_contracts
from crossmargin.models.synthetic_market.desks import synthetic_desks
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

    Same arguments, same bytes. A larger number of participants or desks leaves the smaller one's as they are.

    Parameters
    ----------
    seed : int
        Of the random numbers, 0 or more.
    size : str or MarketSize
        "small", or counts.
    as_of : date
        Histories end on the last business day that is not after it.

    Returns
    -------
    Market
        Participants, some of one group; accounts of index-arbitrage desks, option market makers, writers of
        covered calls, clients in omnibus accounts and directional traders; positions that hold always. Two
        indices, funds on them, shares; index futures and options, American stock options. Prices,
        volatilities, interest and exchange rates of every business day, dividends, a split, one late
        listing. Every number fits a CSV file.

    Raises
    ------
    InputError
        If an argument is out of range.
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
            **synthetic_desks(seed, histories, contracts, counts.participants, counts.desks),
        },
        name=f"synthetic market {seed}",
        currency=CURRENCIES[0],
        calendar=CALENDAR,
        data_note=f"SYNTHETIC sample data (seed {seed}): no real instrument, price or participant.",
    )
