"""What stress tests of a programme come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from crossmargin.core.provenance import Provenance

__all__ = ["StressResult"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StressResult:
    """Stress losses over margin, and who pays them; amounts in ``currency``, losses positive.

    ``arrangement`` is "today" (each house with its stand-alone margin and fund), "linked" (margin of the programme,
    each house with its fund) or "merged" (margin of the programme, one fund).

    Parameters
    ----------
    programme, market : str
        Names.
    as_of : date
        The day.
    currency : str
        Of every amount.
    scenarios : DataFrame
        ``scenario``, ``family`` ("historical", "hypothetical", "theme"), ``source``, ``rationale``,
        ``confidence``.
    losses : DataFrame
        ``scenario``, ``arrangement``, ``group`` (of participants), ``house`` (null where merged), ``loss`` (gains
        negative), ``margin``, ``over_margin`` (at least 0).
    cover : DataFrame
        Largest loss over margin of one group and of two: ``arrangement``, ``house`` (null where merged), ``cover``
        (1 or 2), ``scenario``, ``groups``, ``over_margin``, ``guarantee`` ("none", or the programme's).
    funds : DataFrame
        ``arrangement``, ``house``, ``size``, ``rule`` (in words), ``standard`` (1 or 2), ``house_share``,
        ``members_share``, ``beyond_limit`` (called as additional margin), ``source``.
    contributions : DataFrame
        ``arrangement``, ``house``, ``participant``, ``group``, ``contribution``, ``additional_margin``.
    waterfall : DataFrame
        ``arrangement``, ``guarantee``, ``scenario``, ``defaulters`` (text), ``house``, ``layer`` (in order of use),
        ``available``, ``used``, which adds up to losses and what is paid to other houses; the last layer of each is
        "not covered".
    reverse : DataFrame
        Smallest multiple of each scenario's moves that exhausts a layer: ``arrangement``, ``house``, ``scenario``,
        ``layer``, ``multiple`` (null where none up to the largest tried does).
    close_out : DataFrame
        ``group``, ``strategy``, ``coordination`` ("joint", "each house": schedules of their own, losses and gains added;
        "each house, gains apart": the sum of their own worst losses), ``days``, ``transient_loss``, ``terminal_loss``,
        ``status``.
    findings : DataFrame
        ``subject``, ``kind``, ``action``.
    provenance : Provenance
        What it takes to make it again.
    """

    programme: str
    market: str
    as_of: date
    currency: str
    scenarios: pl.DataFrame
    losses: pl.DataFrame
    cover: pl.DataFrame
    funds: pl.DataFrame
    contributions: pl.DataFrame
    waterfall: pl.DataFrame
    reverse: pl.DataFrame
    close_out: pl.DataFrame
    findings: pl.DataFrame
    provenance: Provenance
