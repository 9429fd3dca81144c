"""A small RPF01 file as lines of text: 20 + 21 scenarios, two stocks, a warrant, one Tier N stock.

Line i of the file is ``rpf01_lines()[i - 1]``; ``HEADING_LINE`` and ``LINE`` say where things stand. The
tails are 2 of 20 and 3 of 21 (⌈0.1 × 21⌉).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEADER = {
    "Valuation_DT": "5/1/2026",
    "HVaR_WGT": "0.75",
    "SVaR_WGT": "0.25",
    "HVaR_Scen_Count": "20",
    "SVaR_Scen_Count": "21",
    "STV_Count": "200",
    "HVaR_CL": "0.9",
    "SVaR_CL": "0.9",
    "HVaR_Measure": "4",
    "SVaR_Measure": "4",
    "Rounding": "10000",
    "Holiday_Factor": "0.7320508075",
}
HEADING_LINE = len(HEADER) + 1
COUNTS = {1: 20, 2: 21}


def returns_record(instrument: str, field_type: int, seed: int) -> str:
    """Returns from -0.2 to 0.2 in thousandths, from a fixed rule."""
    values = [((seed * 31 + field_type * 17 + s * 53) % 401 - 200) / 1000 for s in range(COUNTS[field_type])]
    return ",".join([instrument, str(field_type), *(f"{value:.3f}" for value in values)])


RECORDS = {
    "700 HVaR": returns_record("700", 1, 1),
    "2800 HVaR": returns_record("2800", 1, 2),
    "26883 HVaR": returns_record("26883", 1, 3),
    "700 SVaR": returns_record("700", 2, 1),
    "2800 SVaR": returns_record("2800", 2, 2),
    "26883 SVaR": returns_record("26883", 2, 3),
    "8001 rate": "8001,3,0.3",
    "700 liquidation": "700,4,0.0022,1.2,300000000,400",
    "2800 liquidation": "2800,4,0.002,1,250000000,25",
    "26883 product": "26883,5,700,-0.5,100,-2",
    "26883 tick": "26883,6,0.02,0.5",
    "700 DSP": "700,7,1,12.5,-0.5,0.5",
    "700 DIV": "700,7,3,1,-1,0",
}
LINE = {name: HEADING_LINE + 1 + place for place, name in enumerate(RECORDS)}
LAST_LINE = HEADING_LINE + len(RECORDS)


def heading(columns: int = 21) -> str:
    return ",".join(["InstrumentId", "FieldType", *(str(i + 1) for i in range(columns))])


def rpf01_lines(*, without: tuple[str, ...] = (), **changed: str) -> list[str]:
    """Lines of the file, records ``without`` left out; keys of ``changed`` are header keys."""
    header = [f"{key},{value}" for key, value in (HEADER | changed).items()]
    return [*header, heading(), *(line for name, line in RECORDS.items() if name not in without)]


def write_lines(folder: Path, lines: list[str], end: str = "\n") -> Path:
    path = folder / "RPF01.csv"
    path.write_bytes("".join(line + end for line in lines).encode())
    return path
