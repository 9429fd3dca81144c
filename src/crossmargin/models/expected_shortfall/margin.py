"""Expected-shortfall margin of every account on one cube, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float, Float64, Int64

from crossmargin.core.amounts import exact_decimals
from crossmargin.core.rounding import to_minor
from crossmargin.kernels.account_tails import account_tails
from crossmargin.models.expected_shortfall.book import EsBook, es_book
from crossmargin.models.expected_shortfall.contributions import contributions
from crossmargin.models.expected_shortfall.result import EsMargin, make_result
from crossmargin.models.expected_shortfall.settings import EsSettings
from crossmargin.models.scenarios.part_rules import anti_procyclical_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.revaluation.cube import ScenarioCube

__all__ = ["DECIMALS", "EsMargins", "es_margins"]

DECIMALS: Final = 2
"""Decimal places of published amounts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EsMargins:
    """Margin of every account, in arrays, with all that is needed to explain each.

    Parameters
    ----------
    cube : ScenarioCube
        Profit and loss of the instruments.
    book : EsBook
        Positions.
    settings : EsSettings
        The choices made.
    shortfalls : ndarray of float64, shape (accounts, parts)
        Expected shortfall of each part of the scenarios, loss-positive, before weights.
    requirement : ndarray of int64, shape (accounts,)
        In hundredths of the cube's currency, at least 0.
    """

    cube: ScenarioCube
    book: EsBook
    settings: EsSettings
    shortfalls: Float64[np.ndarray, "accounts parts"]
    requirement: Int64[np.ndarray, " accounts"]

    @property
    def accounts(self) -> tuple[str, ...]:
        """Names, in order."""
        return self.book.accounts

    def to_frame(self) -> pl.DataFrame:
        """Return a row an account: requirement and the expected shortfall of each part, exact decimals."""
        parts = {
            part.name.replace(" ", "_"): exact_decimals(to_minor(self.shortfalls[:, i], DECIMALS), DECIMALS)
            for i, part in enumerate(self.cube.parts)
        }
        return pl.DataFrame(
            {
                "account": pl.Series(self.accounts, dtype=pl.String),
                "currency": pl.repeat(self.cube.currency, len(self.accounts), eager=True),
                "requirement": exact_decimals(self.requirement, DECIMALS),
                **parts,
            }
        )

    def of(self, account: str) -> EsMargin:
        """Return the result of one account as a tree that explains itself.

        Raises
        ------
        InputError
            If there is no such account.
        """
        return make_result(self, account)

    def contributions(self, account: str) -> pl.DataFrame:
        """Return what each position of an account brings to its weighted expected shortfall.

        Returns
        -------
        DataFrame
            ``instrument``, ``quantity``, ``contribution`` (Euler: they add up to the weighted shortfall),
            ``incremental`` (by how much it would be lower without the position), in units of the currency;
            the largest contribution first.

        Raises
        ------
        InputError
            If there is no such account.
        """
        return contributions(self, account)

    def __iter__(self) -> Iterator[EsMargin]:
        return (self.of(account) for account in self.accounts)


def es_margins(positions: FrameInput, cube: ScenarioCube, settings: EsSettings | None = None) -> EsMargins:
    """Margin every account: weighted expected shortfalls of the parts, with buffer, not below 0.

    Parameters
    ----------
    positions : Polars or pandas frame, or mapping of columns
        ``account``, ``instrument``, ``quantity``; see ``es_book``. An "account" may as well be an owner
        or a participant whose accounts are margined together.
    cube : ScenarioCube
        Profit and loss of one unit of every instrument.
    settings : EsSettings, optional
        The buffer that the scenario set carries unless given.

    Raises
    ------
    InputError
        Listing every position that is bad or has no scenarios.
    """
    if settings is None:
        settings = EsSettings(buffer=anti_procyclical_of(cube.scenario_settings).buffer)
    book = es_book(positions, cube)
    tails = np.array([part.tail_count for part in cube.parts], np.int64)
    shortfalls = account_tails(
        book.starts, book.rows, book.quantities, cube.pnl, cube.layout.bounds, tails, scales=cube.scales
    )
    return EsMargins(
        cube=cube,
        book=book,
        settings=settings,
        shortfalls=shortfalls,
        requirement=requirement(shortfalls, cube, settings),
    )


def requirement(
    shortfalls: Float64[np.ndarray, "accounts parts"], cube: ScenarioCube, settings: EsSettings
) -> Int64[np.ndarray, " accounts"]:
    """Blend expected shortfalls by the weights of the parts, add the buffer, floor at 0, round to the cent."""
    return to_minor(np.maximum(blend(shortfalls, cube), 0.0) * (1.0 + settings.buffer), DECIMALS)


def blend(
    shortfalls: Float[np.ndarray, "accounts parts"], cube: ScenarioCube
) -> Float64[np.ndarray, " accounts"]:
    """Add the shortfalls of the parts, each times its weight, in the order of the parts."""
    total = np.zeros(shortfalls.shape[0])
    for i, part in enumerate(cube.parts):
        total += part.weight * shortfalls[:, i]
    return total
