"""Small jobs that compile every kernel, so that a first run of a process loads compiled code, as its user's does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmargin import (
    designs,
    evaluate,
    hkscc_margins,
    open_houses,
    read_rpf01,
    span_margins,
    synthetic_market,
    synthetic_positions,
)
from crossmargin.models.span.synthetic import synthetic_span_parameters, synthetic_span_positions
from margin_many import house
from span_many import SEED as SPAN_SEED

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["compile_kernels"]

SEED = 13


def compile_kernels(path: Path) -> None:
    """Margin a few positions by every model; what numba compiles for it is kept on disk."""
    parameters = read_rpf01(path)
    positions = synthetic_positions(SEED, parameters, 2, 20)
    settings = house(tuple(positions["instrument"].head(3)))
    hkscc_margins(positions, parameters, dict.fromkeys(positions["participant"].unique(), settings))
    span = synthetic_span_parameters(SPAN_SEED, stock_option_style="european")
    span_margins(synthetic_span_positions(SPAN_SEED, span, 2, 10), span)
    market = synthetic_market(seed=SEED)
    houses = open_houses(market, market["prices"]["date"].max())
    for design in designs():
        evaluate(design, houses)
