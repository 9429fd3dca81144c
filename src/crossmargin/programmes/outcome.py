"""What a mode makes of each joint account, in arrays: the requirement that each house is left with, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64, Int8, Int64

__all__ = ["BINDINGS", "Outcome"]

BINDINGS: Final = (
    "nothing to save",
    "joint margin",
    "lesser of the houses' savings",
    "minimum saving",
    "supervisory cap on the sum",
    "supervisory cap on the difference",
    "no worse off",
    "matched positions",
    "joint margin is higher",
    "another house's file is missing",
    "floors of the houses",
)
"""What decided; a code is a place here."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """Joint accounts under one mode; amounts in hundredths of the market's currency.

    Parameters
    ----------
    own : ndarray of int64, shape (accounts, houses)
        Stand-alone market risk of each leg by its own house's model.
    reduced : ndarray of int64, shape (accounts, houses)
        What each house is left with.
    joint : ndarray of int64, shape (accounts,)
        What the mode asked for before limits; may be above the sum of ``own``.
    binding : ndarray of int8, shape (accounts,)
        See ``BINDINGS``.
    model_savings : ndarray of float64, shape (accounts, models)
        Saving that each model finds by itself, as a share of its own stand-alone sum; may be negative.
    models : tuple of str
        Whose savings these are.
    """

    own: Int64[np.ndarray, "accounts houses"]
    reduced: Int64[np.ndarray, "accounts houses"]
    joint: Int64[np.ndarray, " accounts"]
    binding: Int8[np.ndarray, " accounts"]
    model_savings: Float64[np.ndarray, "accounts models"]
    models: tuple[str, ...]

    @property
    def saving(self) -> Int64[np.ndarray, " accounts"]:
        """Stand-alone sum less what is left; negative where the joint margin is higher and admitted."""
        return self.own.sum(axis=1) - self.reduced.sum(axis=1)

    @property
    def share(self) -> Float64[np.ndarray, " accounts"]:
        """Saving as a share of the stand-alone sum; 0 where there is none."""
        total = self.own.sum(axis=1)
        return np.divide(self.saving, total, out=np.zeros(total.size), where=total > 0)
