"""The synthetic SPAN markets that the benchmarks share: a large file of each format, made once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from crossmargin.formats.span.positional_writer import write_positional
from crossmargin.formats.span.xml_writer import write_spn
from crossmargin.models.span.synthetic import synthetic_span_parameters

__all__ = ["make_positional", "make_spn"]

SEED = 20260630
BUSINESS_DATE = date(2026, 6, 30)
FOLDER = Path(__file__).parents[1] / "build" / "bench"
XML_SIZES = {"index_families": 3, "stock_futures": 60, "stock_classes": 140, "months": 12, "strikes": 93}
POSITIONAL_SIZES = {
    "index_families": 3,
    "stock_futures": 60,
    "stock_classes": 100,
    "months": 8,
    "strikes": 47,
}


def make_spn() -> Path:
    """Write 100 MB of SPAN XML unless it is there; delete ``build/bench`` after a change of the generator."""
    path = _path(XML_SIZES, "spn")
    if not path.exists():
        write_spn(_parameters(XML_SIZES), path)
    return path


def make_positional() -> Path:
    """Write 20 MB of positional records unless it is there."""
    path = _path(POSITIONAL_SIZES, "lis")
    if not path.exists():
        write_positional(_parameters(POSITIONAL_SIZES), path)
    return path


def _path(sizes: dict[str, int], ending: str) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    shown = "-".join(str(size) for size in sizes.values())
    return FOLDER / f"span-{SEED}-{shown}.{ending}"


def _parameters(sizes: dict[str, int]):  # noqa: ANN202
    return synthetic_span_parameters(
        SEED, **sizes, business_date=BUSINESS_DATE, stock_option_style="european"
    )
