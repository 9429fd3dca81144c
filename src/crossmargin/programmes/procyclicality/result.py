"""How procyclical margins are, and the saving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from crossmargin.core.provenance import Provenance

__all__ = ["ProcyclicalityResult"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ProcyclicalityResult:
    """Measures of margins over time; amounts in ``currency``.

    ``series`` is a house ("HKSCC" …: its stand-alone margins), "silo" (their sum), "joint" (of the programme) or "saving".
    ``tool`` is "as set" (the houses' settings), "none", "25% buffer", "25% stress weight" or "10-year floor".

    Parameters
    ----------
    programme, market : str
        Names.
    days : tuple of date
        Days on which margins were computed, ascending.
    every : int
        Trading days from one of them to the next.
    currency : str
        Of every amount.
    history : DataFrame
        ``date``, ``tool``, ``series``, ``margin``.
    measures : DataFrame
        ``series``, ``tool``, ``mean``, ``peak_to_trough``, ``peak_date``, ``trough_date``, ``n_day_1``, ``n_day_5``,
        ``n_day_20``, ``n_day_30`` (largest ratio of margin n trading days later; null where days are too sparse),
        ``largest_call`` (largest rise over one step, currency), ``largest_call_date``, ``stability`` (standard
        deviation of log changes), ``cost`` (mean margin over that without a tool, less 1).
    impulse : DataFrame
        Margin after volatility jumps, and stays up, as a multiple of that before: ``series``, ``tool``, ``day`` (0 is the jump),
        ``multiple``.
    findings : DataFrame
        ``subject``, ``kind``, ``action``.
    provenance : Provenance
        What it takes to make it again.
    """

    programme: str
    market: str
    days: tuple[date, ...]
    every: int
    currency: str
    history: pl.DataFrame
    measures: pl.DataFrame
    impulse: pl.DataFrame
    findings: pl.DataFrame
    provenance: Provenance
