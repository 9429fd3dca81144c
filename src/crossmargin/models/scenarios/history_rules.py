"""How histories are judged and mended: every choice a named setting."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from crossmargin.core.columns import require_choice, require_within
from crossmargin.models.scenarios.scenario_set import FACTOR_KINDS

__all__ = ["HistoryRules", "require_within", "settings_of"]

CHOICES: Final = {
    "returns": ("log", "simple"),
    "missing_days": ("carry", "leave out"),
    "bad_prints": ("drop", "keep", "refuse"),
    "possible_splits": ("keep", "take out", "refuse"),
    "ends_early": ("leave out", "refuse"),
    "proxy_method": ("residual", "scaled", "none"),
}

RANGES: Final = {
    "bad_print_move": (0.0, 10.0),
    "bad_print_rest": (0.0, 1.0),
    "split_ratio_max": (2, 10_000),
    "split_tolerance": (0.0, 0.2),
    "break_ratio": (1.5, 1e9),
    "jump_move": (0.0, 10.0),
    "stale_days": (1, 10_000),
    "end_gap_days": (0, 250),
    "trading_share": (0.0, 1.0),
    "proxy_days_min": (2, 10_000),
    "proxy_sample_days": (2, 100_000),
    "seed": (0, 2**63 - 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRules:
    """Rules for making histories out of a market's tables.

    Parameters
    ----------
    kinds : tuple of str
        Kinds of risk factors to take; spots are always taken.
    returns : {"log", "simple"}
        How moves of levels are measured, scaled and added up; rates are always differences. Scaled
        simple returns can lose more than everything, which a scenario set refuses.
    missing_days : {"carry", "leave out"}
        On a trading day without a price the last level is carried: no return that day, all of the move
        on the next day with a price. Or neither return is used.
    bad_prints : {"drop", "keep", "refuse"}
        What to do with a price whose excess move (see ``price_checks``), beyond ``bad_print_move``, the next
        one takes back but for the share ``bad_print_rest`` of it.
    bad_print_move, bad_print_rest : float
        See there; the move is a simple return.
    possible_splits : {"keep", "take out", "refuse"}
        What to do with a move whose excess ratio, or its inverse, is within ``split_tolerance`` (a
        fraction) of a whole number from 2 to ``split_ratio_max``. A true loss of a half looks the same.
    split_tolerance : float
        See there.
    split_ratio_max : int
        See there.
    break_ratio : float
        A price more than so many times the one before, or less than such a part of it, starts the history
        anew: what lies before is dropped.
    jump_move : float
        Size of a simple return from which it is reported; it is kept.
    stale_days : int
        From so many unchanged days in a row on they are reported and do not count for volatility; they
        are kept, but at the start of a series dropped, together with the move that ends them.
    ends_early : {"leave out", "refuse"}
        What to do with a series that has no price on the last ``end_gap_days`` + 1 trading days.
    end_gap_days : int
        See there; the market as a whole may not end earlier than that (in weekdays) either.
    trading_share : float
        Share of prices that must change to make a trading day where no calendar speaks.
    proxy_method : {"residual", "scaled", "none"}
        How days before the first price are filled for an underlying with a proxy: beta × the proxy's
        return + a residual drawn from those of the common days; or the proxy's return × the ratio of
        standard deviations; or not.
    proxy_days_min : int
        Common days that a regression needs.
    proxy_sample_days : int
        Residuals are drawn from those of so many common days, the first ones; of all there are, where
        there are fewer.
    seed : int
        Of the drawn residuals.

    Raises
    ------
    InputError
        Listing every value that is not one of these or out of range.
    """

    kinds: tuple[str, ...] = FACTOR_KINDS
    returns: str = "log"
    missing_days: str = "carry"
    bad_prints: str = "drop"
    bad_print_move: float = 0.25
    bad_print_rest: float = 0.1
    possible_splits: str = "keep"
    split_tolerance: float = 0.025
    split_ratio_max: int = 50
    break_ratio: float = 10.0
    jump_move: float = 0.3
    stale_days: int = 10
    ends_early: str = "leave out"
    end_gap_days: int = 5
    trading_share: float = 0.5
    proxy_method: str = "residual"
    proxy_days_min: int = 60
    proxy_sample_days: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        for kind in self.kinds:
            require_choice(kind, "kinds", FACTOR_KINDS)
        for name, choices in CHOICES.items():
            require_choice(getattr(self, name), name, choices)
        require_within(self, RANGES)


def settings_of(settings: object, prefix: str) -> tuple[tuple[str, str], ...]:
    """Return every field of a settings object as (``prefix.name``, text)."""
    return tuple(
        (f"{prefix}.{field.name}", str(getattr(settings, field.name)))
        for field in fields(settings)  # type: ignore[arg-type]  # any dataclass
    )
