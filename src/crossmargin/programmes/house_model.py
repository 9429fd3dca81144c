"""What a programme asks of a margin method: the market risk of any book, of any house's products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool, Int64

    from crossmargin.programmes.books import Books

__all__ = ["HouseModel"]


class HouseModel(Protocol):
    """A margin method."""

    @property
    def name(self) -> str:
        """The name by which a programme chooses it, such as ``hkscc_var``, ``prime``, ``expected_shortfall``."""

    @property
    def can_margin(self) -> Bool[np.ndarray, " instruments"]:
        """Whether the method can margin each instrument of the snapshot."""

    def market_risk(self, books: Books) -> Int64[np.ndarray, " books"]:
        """Return the market risk of each book in hundredths of the market's currency, at least 0.

        What a cross-margining saving may reduce: without marks, option values, add-ons and credits. Products
        of another house are margined through the model's own view of them (see ``Conversion``).
        A book without positions has none.
        """
