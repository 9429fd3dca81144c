"""Find the dated set in force in a data file of this package."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

__all__ = ["set_in_force"]


def set_in_force(name: str, as_of: date) -> dict[str, Any] | None:
    """Return the latest set of ``name``.toml that is effective on a day; None before the first."""
    text = resources.files("crossmargin.parameters").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    in_force = [item for item in tomllib.loads(text)["set"] if item["effective"] <= as_of]
    return max(in_force, key=lambda item: item["effective"]) if in_force else None
