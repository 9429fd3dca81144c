"""Benchmark: the margin of a whole house, against pandas."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crossmargin.formats.hkscc.rpf01 import read_rpf01
from crossmargin.models.hkscc.margin import hkscc_margins
from crossmargin.models.hkscc.parameters import BENEFIT_PREFIXES, HksccParameters
from crossmargin.models.hkscc.participant import HksccParticipant
from crossmargin.models.hkscc.synthetic import synthetic_positions
from hkscc_pandas import Market, Settings, margin_total
from machine import in_fresh_process, seconds, share_of_bandwidth
from report import Row, Table, ratio_row

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

__all__ = ["bench_margining", "house"]

SEED = 7
PARTICIPANTS, POSITIONS = 600, 300
SPEED_GOAL = 50.0
RUNS, PANDAS_RUNS = 15, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Margining:
    """Times of both, and the sizes of the work."""

    first: float
    warm: float
    pandas: float
    scenarios: int
    scenario_positions: int
    distinct_rows: int
    position_bytes: int
    total: float


def pandas_market(parameters: HksccParameters) -> Market:
    """Return the parameters as an analyst would hold them, indexed by instrument."""
    split = parameters.historical.scenario_count
    index = pd.Index(parameters.scenario_instruments.to_list())
    tables = {
        name: pd.DataFrame(parameters.table(name).to_dict(as_series=False)).set_index("instrument")
        for name in ("flat_rate", "liquidation", "structured_product", "tick", "benefit")
    }
    benefit = tables["benefit"]
    benefit.index = benefit["benefit_type"].map(BENEFIT_PREFIXES) + benefit.index
    return Market(
        historical=pd.DataFrame(parameters.returns[:, :split].copy(), index=index),
        stressed=pd.DataFrame(parameters.returns[:, split:].copy(), index=index),
        **tables,
        weights=(parameters.historical.weight, parameters.stressed.weight),
        tails=(parameters.historical.tail_count, parameters.stressed.tail_count),
        rounding=parameters.rounding,
        holiday_factor=parameters.holiday_factor,
    )


def house(ipo_stocks: tuple[str, ...]) -> HksccParticipant:
    """Return the settings of every participant."""
    return HksccParticipant(
        portfolio_margin_floor_rate=0.032,
        margin_credit=5e6,
        hedging_instrument="2800",
        minimum_tick=0.001,
        guarantee_fund_predefined_limit=3.65e9,
        flat_rate_multiplier=2.0,
        ipo_stocks=ipo_stocks,
        apportioned_liquid_capital=5e7,
        position_limit_addon_rate=0.25,
    )


def measure(path: Path) -> Margining:
    """Margin every participant with both, and require the same totals to the cent."""
    parameters = read_rpf01(path)
    positions = synthetic_positions(SEED, parameters, PARTICIPANTS, POSITIONS)
    ipo_stocks = tuple(positions["instrument"].head(3))
    names = positions["participant"].unique(maintain_order=True).to_list()
    participants = dict.fromkeys(names, house(ipo_stocks))
    first = seconds(lambda: hkscc_margins(positions, parameters, participants), 1)[0]
    warm = median(seconds(lambda: hkscc_margins(positions, parameters, participants), RUNS))
    margins = hkscc_margins(positions, parameters, participants)
    rows = margins.book.rows["returns"]

    market = pandas_market(parameters)
    settings = Settings(
        floor_rate=0.032, credit=5e6, multiplier=2.0, capital=5e7, limit_rate=0.25, ipo_stocks=ipo_stocks
    )
    frame = pd.DataFrame(positions.to_dict(as_series=False))
    totals = pandas_totals(frame, market, settings)
    difference = np.abs(np.rint(totals.loc[names].to_numpy() * 100) - margins.total)
    assert not difference.any(), (
        f"{np.count_nonzero(difference)} totals differ, by up to {difference.max()} cents"
    )
    theirs = median(seconds(lambda: pandas_totals(frame, market, settings), PANDAS_RUNS))
    return Margining(
        first=first,
        warm=warm,
        pandas=theirs,
        scenarios=parameters.returns.shape[1],
        scenario_positions=int((rows >= 0).sum()),
        distinct_rows=int(np.unique(rows[rows >= 0]).size),
        position_bytes=_bytes(positions),
        total=float(margins.total.sum()) / 100,
    )


def pandas_totals(frame: pd.DataFrame, market: Market, settings: Settings) -> pd.Series:
    """Return the total of each participant, one after the other."""
    groups = frame.groupby("participant", sort=False)
    return pd.Series({name: margin_total(held, market, settings) for name, held in groups})


def _bytes(positions: pl.DataFrame) -> int:
    return int(positions.estimated_size())


def bench_margining(path: Path, bandwidth: float) -> Table:
    """Compare both on the file, in a fresh process."""
    found = in_fresh_process(measure, path)
    row_bytes = found.scenarios * 8
    touched = found.distinct_rows * row_bytes + found.position_bytes
    streamed = found.scenario_positions * row_bytes + found.position_bytes
    return Table(
        f"Margining {PARTICIPANTS} participants × {POSITIONS} positions",
        f"{found.scenario_positions:,} positions with scenario returns × {found.scenarios:,} scenarios × 8 bytes = "
        f"{streamed / 1e9:.2f} GB streamed through the cores, {found.distinct_rows:,} different rows = "
        f"{touched / 1e6:,.0f} MB to be read from memory at least once; one multiplication, rounding and "
        f"addition for each position and scenario.",
        [
            Row(
                "CrossMargin, warm",
                f"{1e3 * found.warm:,.0f} ms ({1e6 * found.warm / PARTICIPANTS:,.0f} µs each)",
            ),
            Row("CrossMargin, first run of a process", f"{1e3 * found.first:,.0f} ms"),
            Row("pandas", f"{found.pandas:,.1f} s ({1e3 * found.pandas / PARTICIPANTS:,.1f} ms each)"),
            ratio_row("times faster than pandas, warm", found.pandas / found.warm, SPEED_GOAL),
            ratio_row("times faster than pandas, first run", found.pandas / found.first, SPEED_GOAL),
            Row(
                "share of the time that reading the different rows and the positions once would take",
                share_of_bandwidth(touched, bandwidth, found.warm),
            ),
            Row(
                "the same for a row a position, as if no row stayed in a cache",
                share_of_bandwidth(streamed, bandwidth, found.warm),
            ),
        ],
        [
            f"Every total agrees to the cent; together they are HKD {found.total:,.2f} (asserted in the run).",
            (
                "pandas margins all participants one after the other (`benchmarks/hkscc_pandas.py`): one merge of all "
                f"positions with the returns would take {2 * streamed / 1e9:.0f} GB or more at once. Its frames are "
                "indexed before the clock starts."
            ),
            (
                "CrossMargin starts from a Polars frame of positions in memory and checks every one; the first run "
                "also loads compiled code from disk and makes the index of the parameters."
            ),
        ],
    )
