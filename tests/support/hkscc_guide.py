"""The worked example of the HKSCC guide as files: the house's excerpt, completed to a whole RPF01.

The guide prints ten of the 1,000 and 1,018 scenarios and gives HVaR and SVaR of each portfolio. The
excerpt's ten scenarios are kept; behind them stand scenarios in which one instrument of each portfolio
moves just so that the tail means are the given ones, and quiet scenarios to fill the count.
"""

from __future__ import annotations

import os
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

DATA = Path(os.environ.get("CROSSMARGIN_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
GUIDE = DATA / "hkscc_guide"

needs_guide = pytest.mark.skipif(
    not GUIDE.is_dir(),
    reason="the HKSCC guide's sample inputs are not here: set CROSSMARGIN_TEST_DATA to the data folder",
)

PORTFOLIOS = {"1876": ["1876"], "3690": ["3690"], "700": ["700", "1299", "2823", "26883", "60954"]}
"""Instrument that carries the completed tail → instruments of the portfolio."""

TAIL_MEANS = {
    1: {"1876": "-7546.5", "3690": "-19369", "700": "-4793885.67"},
    2: {"1876": "-23535.29", "3690": "-60407.67", "700": "-16147985.33"},
}
"""FieldType → portfolio → HVaR or SVaR as the guide prints them (§3.2.1)."""

TAIL_COUNTS = {1: 6, 2: 21}
SCENARIO_COUNTS = {1: 1000, 2: 1018}

PARTICIPANT = """\
flat_rate_multiplier = 2
margin_credit = 5_000_000
portfolio_margin_floor_rate = 0.025
ipo_stocks = ["1876", "3690"]
hedging_instrument = "2800"
minimum_tick = 0.001
apportioned_liquid_capital = 140_000_000
liquid_capital_multiplier = 2
position_limit_addon_rate = 0.25
credit_risk_addon = 12_000_000
adhoc_addon = 600_000
holiday_addon_in_force = true
group_expected_uncollateralised_loss = 0
guarantee_fund_predefined_limit = 3_650_000_000
"""
"""§3.1.3 and §4.1; 280,000,000 of liquid capital is 300,550,000 less the 20,550,000 beyond it."""


def records() -> list[list[str]]:
    return [line.split(",") for line in (GUIDE / "rpf01_excerpt.csv").read_text().splitlines()]


def market_values() -> dict[str, Decimal]:
    lines = (GUIDE / "marginable_positions.csv").read_text().splitlines()[1:]
    return {fields[0]: Decimal(fields[3]) for fields in (line.split(",") for line in lines)}


def rounded(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))  # of a Decimal, half away from zero


def excerpt_pnl(field_type: int, portfolio: str) -> list[int]:
    """Scenario results of a portfolio in the excerpt's ten scenarios, in exact decimal arithmetic."""
    returns = {row[0]: row[2:] for row in records() if row[1:2] == [str(field_type)]}
    values = market_values()
    return [
        sum(rounded(values[name] * Decimal(returns[name][s])) for name in PORTFOLIOS[portfolio])
        for s in range(10)
    ]


def tail_sum(field_type: int, portfolio: str) -> int:
    """Return the whole number whose mean over the tail prints as the guide's figure."""
    return rounded(Decimal(TAIL_MEANS[field_type][portfolio]) * TAIL_COUNTS[field_type])


def completing_pnl(field_type: int, portfolio: str) -> list[int]:
    """Scenario results to add so that the tail mean is the given one; the rest of the count stays quiet."""
    count, needed = TAIL_COUNTS[field_type], tail_sum(field_type, portfolio)
    excerpt = sorted(excerpt_pnl(field_type, portfolio))
    for kept in range(min(count, len(excerpt)), -1, -1):  # so many of the excerpt's results are in the tail
        each, over = divmod(needed - sum(excerpt[:kept]), count - kept) if kept < count else (0, 0)
        added = [each + 1] * over + [each] * (count - kept - over)
        quiet = [0, *excerpt[kept:]]
        if sum(excerpt[:kept]) + sum(added) == needed and max([*excerpt[:kept], *added]) <= min(quiet):
            return added
    raise AssertionError(f"no completion for FieldType {field_type}, portfolio {portfolio}")


def completed_returns(field_type: int, instrument: str, excerpt: list[str]) -> list[str]:
    count = SCENARIO_COUNTS[field_type]
    added: list[str] = []
    if instrument in PORTFOLIOS:
        value = market_values()[instrument]
        added = [
            f"{(Decimal(pnl) / value).quantize(Decimal('0.0000000001')):f}"
            for pnl in completing_pnl(field_type, instrument)
        ]
    return [*excerpt, *added, *["0"] * (count - len(excerpt) - len(added))]


def rpf01_text() -> str:
    """Return the completed RPF01 file."""
    lines = []
    for row in records():
        if row[0] == "InstrumentId":
            lines.append(",".join(["InstrumentId", "FieldType", *(str(i + 1) for i in range(1018))]))
        elif row[1] in {"1", "2"} and len(row) > 2:
            lines.append(",".join([*row[:2], *completed_returns(int(row[1]), row[0], row[2:])]))
        else:
            lines.append(",".join(row))
    return "\n".join(lines) + "\n"


def write_files(folder: Path, *, participant: str = PARTICIPANT) -> dict[str, Path]:
    """Write the worked example's three files into a folder."""
    paths = {
        "rpf": folder / "RPF01.csv",
        "positions": folder / "positions.csv",
        "participant": folder / "participant.toml",
    }
    paths["rpf"].write_text(rpf01_text())
    paths["positions"].write_text((GUIDE / "marginable_positions.csv").read_text())
    paths["participant"].write_text(participant)
    return paths
