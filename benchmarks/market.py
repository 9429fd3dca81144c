"""The synthetic market that the benchmarks share: a full-size RPF01 file, made once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from crossmargin.formats.hkscc.rpf01_writer import write_rpf01
from crossmargin.models.hkscc.synthetic import synthetic_parameters

__all__ = ["STOCKS", "STRUCTURED_PRODUCTS", "make_rpf01"]

SEED = 20260630
STOCKS, STRUCTURED_PRODUCTS, TIER_N = 3_000, 12_500, 500
VALUATION_DATE = date(2026, 6, 30)
FOLDER = Path(__file__).parents[1] / "build" / "bench"


def make_rpf01() -> Path:
    """Write the file unless it is there; delete ``build/bench`` after a change of the generator."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"RPF01-{SEED}-{STOCKS}-{STRUCTURED_PRODUCTS}-{TIER_N}.csv"
    if not path.exists():
        write_rpf01(
            synthetic_parameters(SEED, STOCKS, STRUCTURED_PRODUCTS, TIER_N, VALUATION_DATE, 1000, 1018), path
        )
    return path
