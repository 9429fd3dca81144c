"""A folder of synthetic sample files: SPAN risk parameters in both formats, and positions."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from crossmargin.core.files import whole_file
from crossmargin.formats.span.positional_writer import write_positional
from crossmargin.formats.span.positions import FIELDS
from crossmargin.formats.span.xml_writer import write_spn
from crossmargin.models.span.synthetic import synthetic_span_parameters, synthetic_span_positions

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_span_sample"]

BUSINESS_DATE: Final = date(2026, 1, 5)


def write_span_sample(
    folder: Path,
    *,
    seed: int,
    index_families: int,
    stock_futures: int,
    stock_classes: int,
    months: int,
    strikes: int,
    accounts: int,
    positions: int,
    business_date: date | None = None,
) -> None:
    """Write ``rpf.lis``, the same parameters as ``rpf.spn``, ``positions.csv`` and ``settings.toml``, all synthetic.

    Parameters
    ----------
    folder : Path
        Made if it is not there; files of these names are replaced.
    seed : int
        Same seed and sizes, same bytes.
    index_families, stock_futures, stock_classes, months, strikes : int
        Sizes of the market, see ``synthetic_span_parameters``; stock options are American.
    accounts, positions : int
        How many accounts, and positions of each.
    business_date : date, optional
        Business date, 2026-01-05 unless given.
    """
    parameters = synthetic_span_parameters(
        seed,
        index_families=index_families,
        stock_futures=stock_futures,
        stock_classes=stock_classes,
        months=months,
        strikes=strikes,
        business_date=business_date or BUSINESS_DATE,
    )
    held = synthetic_span_positions(seed, parameters, accounts, positions)
    folder.mkdir(parents=True, exist_ok=True)
    write_positional(parameters, folder / "rpf.lis")
    write_spn(parameters, folder / "rpf.spn")
    fields = [field for field in FIELDS if field.name in held.columns]
    texts = held.select(field.text(held[field.name]).alias(field.title) for field in fields)
    with whole_file(folder / "positions.csv") as stream:
        texts.write_csv(stream, quote_style="never")
    note = f"SYNTHETIC sample data (seed {seed}): no real series, price or account."
    with whole_file(folder / "settings.toml") as stream:
        stream.write(f'data_note = "{note}"\n'.encode())
