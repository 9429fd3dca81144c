"""What netting is worth in markets simple enough for a closed form: numbers to hold a simulation against."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
from jaxtyping import Float64

from crossmargin.errors import BadRecord, InputError

__all__ = [
    "bilateral_exposure",
    "cleared_exposure",
    "duffie_zhu_threshold",
    "merge_ratio",
    "merge_ratio_unequal",
]


def merge_ratio(books: int, correlation: float) -> float:
    """Return joint ÷ sum of margins of equal books with one correlation, √(C + C(C − 1)ρ) ÷ C.

    Margins in proportion to standard deviation. Two independent books: 0.707.

    Parameters
    ----------
    books : int
        C, at least 1.
    correlation : float
        ρ of any two books, from −1 ÷ (C − 1), below which there are no such books, to 1.

    Raises
    ------
    InputError
        If there are no such books.
    """
    _require(books >= 1, "books", books, "at least 1")
    relative = 1 + (books - 1) * correlation  # of the variance, to that of independent books
    _require(relative >= 0 and correlation <= 1, "correlation", correlation, "from −1 ÷ (books − 1) to 1")
    return sqrt(relative / books)


def merge_ratio_unequal(
    deviations: Float64[np.ndarray, " books"], correlations: Float64[np.ndarray, "books books"]
) -> float:
    """Return joint ÷ sum of margins of books of any size, √(σ'ρσ) ÷ Σσ; independent 100, 80, 40: 0.610.

    Parameters
    ----------
    deviations : ndarray of float64, shape (books,)
        Standard deviations σ, at least 0, not all 0.
    correlations : ndarray of float64, shape (books, books)
        Symmetric, positive semidefinite, 1 on the diagonal.
    """
    variance = np.einsum("i,ij,j->", deviations, correlations, deviations)
    return sqrt(max(float(variance), 0.0)) / float(deviations.sum())


def duffie_zhu_threshold(classes: int) -> int:
    """Return the fewest participants for which clearing one of several equal classes lowers exposure.

    Exposures are independent normal, all of one size. Clearing one of K classes at one house helps if and only if
    N > 1 + (√K + √(K − 1))² = 2K + √(4K(K − 1)). The root lies from 2K − 2 to below 2K − 1, so the
    fewest is N = 4K − 1. Duffie and Zhu, "Does a central clearing counterparty reduce counterparty risk?" (2011).

    Parameters
    ----------
    classes : int
        K, at least 1.

    Raises
    ------
    InputError
        If there is no class.
    """
    _require(classes >= 1, "classes", classes, "at least 1")
    return 4 * classes - 1


def bilateral_exposure(participants: int, classes: int, deviation: float) -> float:
    """Return a participant's expected positive exposure to all others without clearing, (N − 1)σ√(K ÷ 2π).

    Parameters
    ----------
    participants : int
        N, at least 2.
    classes : int
        K, netted pair by pair; at least 0.
    deviation : float
        σ of the exposure of a pair in one class, independent normal; at least 0.

    Raises
    ------
    InputError
        If a number is below its bound.
    """
    _require_market(participants, deviation)
    _require(classes >= 0, "classes", classes, "at least 0")
    return (participants - 1) * deviation * sqrt(classes / (2 * pi))


def cleared_exposure(participants: int, deviation: float) -> float:
    """Return a participant's expected positive exposure to a house that clears one class, σ√((N − 1) ÷ 2π).

    Arguments and errors as of ``bilateral_exposure``. Houses that each clear a class cost the sum.
    """
    _require_market(participants, deviation)
    return deviation * sqrt((participants - 1) / (2 * pi))


def _require_market(participants: int, deviation: float) -> None:
    _require(participants >= 2, "participants", participants, "at least 2")  # noqa: PLR2004
    _require(0 <= deviation < float("inf"), "deviation", deviation, "at least 0")


def _require(holds: bool, field: str, value: float, rule: str) -> None:
    if not holds:
        raise InputError(
            [BadRecord(file="netting benchmark", line=0, field=field, value=str(value), rule=rule)]
        )
