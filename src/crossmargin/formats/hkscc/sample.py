"""A folder of synthetic sample files: risk parameters, positions and settings of one participant."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from crossmargin.formats.hkscc.participant import hkscc_participant, write_participant
from crossmargin.formats.hkscc.reports import write_marginable_positions
from crossmargin.formats.hkscc.rpf01_writer import write_rpf01
from crossmargin.models.hkscc.synthetic import synthetic_parameters, synthetic_positions

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from crossmargin.models.hkscc.parameters import HksccParameters

__all__ = ["write_hkscc_sample"]

VALUATION_DATE: Final = date(2026, 1, 5)

WEALTH: Final = 8.0
"""Large enough for a margin beyond the credit, and for a liquidation add-on."""


def write_hkscc_sample(
    folder: Path,
    *,
    seed: int,
    stocks: int,
    structured_products: int,
    tier_n: int,
    positions: int,
    valuation_date: date | None = None,
) -> None:
    """Write ``RPF01.csv``, ``positions.csv`` and ``participant.toml``, all synthetic, into a folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there; files of these names are replaced.
    seed : int
        Same seed and sizes, same bytes.
    stocks, structured_products, tier_n : int
        Instruments of each kind.
    positions : int
        Positions of the participant.
    valuation_date : date, optional
        Business date, 2026-01-05 unless given.
    """
    parameters = synthetic_parameters(
        seed=seed,
        stocks=stocks,
        structured_products=structured_products,
        tier_n=tier_n,
        valuation_date=valuation_date or VALUATION_DATE,
    )
    held = synthetic_positions(
        seed=seed, parameters=parameters, participants=1, positions_per_participant=positions, wealth=WEALTH
    )
    settings = hkscc_participant(
        parameters.valuation_date,
        data_note=f"SYNTHETIC sample data (seed {seed}): no real instrument, price or participant.",
        flat_rate_multiplier=1.5,
        ipo_stocks=_one_held_stock(parameters, held),
        apportioned_liquid_capital=400_000_000.0,
        position_limit_addon_rate=0.25,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_rpf01(parameters, folder / "RPF01.csv")
    write_marginable_positions(held.drop("participant"), folder / "positions.csv")
    write_participant(settings, folder / "participant.toml")


def _one_held_stock(parameters: HksccParameters, held: pl.DataFrame) -> tuple[str, ...]:
    """Return the held Tier P stock of the highest beta, to stand for a recent listing."""
    stocks = parameters.liquidation.join(held, on="instrument", how="semi").sort("beta", "instrument")
    return tuple(stocks["instrument"].tail(1))
