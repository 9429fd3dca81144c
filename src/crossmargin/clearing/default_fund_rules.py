"""By what rules each house sizes its default fund and asks for contributions, from dated data files."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from crossmargin.core.columns import require_choice
from crossmargin.errors import BadRecord, InputError
from crossmargin.parameters.loading import set_in_force

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

__all__ = ["FUNDS", "STANDARDS", "FundRules", "fund_rules"]

FUNDS: Final = ("HKSCC", "HKCC", "SEOCH", "merged")
"""Funds that the package knows: one of each house, and a hypothetical one of a merged house."""

STANDARDS: Final = (1, 2)
"""Cover-1 and Cover-2."""

MINOR_UNITS: Final = 100
AMOUNTS: Final = ("limit", "basic_total", "basic_direct", "basic_general", "credit")
SHARES: Final = ("limit_share", "house_share", "review_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class FundRules:
    """Rules of one default fund; amounts in minor units of the market's currency.

    Parameters
    ----------
    parameter_set : str
        Id of the dated set.
    house, fund : str
        Of whom, and its name there.
    standard : {1, 2}
        Number of groups whose losses over margin in one scenario the fund covers.
    limit : int or None
        Largest size; None where there is none.
    limit_share : Fraction
        Where the fund reaches its limit, a group is called for what its loss over margin exceeds this share of the
        limit by.
    call : str
        The house's name of that call.
    limit_first : bool
        True: groups are called only where the fund reaches its limit; False: whenever one exceeds its share of it.
    house_share : Fraction
        Part of the fund that the house brings, below 1.
    basic_total, basic_direct, basic_general : int
        Least sum of basic contributions; least of a direct and of a general participant. All 0: there are none.
    credit : int
        Of each participant's further contribution, what it need not pay in.
    key : str
        What contributions are in proportion to.
    key_days : int
        Business days over which that is averaged.
    review_share : Fraction
        A day's risk above this share of fund and credits asks for a review of contributions.
    source, confidence : mapping of str to str
        Of each value: where it stands; "published", "secondary" or "choice".

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    parameter_set: str
    house: str
    fund: str
    standard: int
    limit: int | None
    limit_share: Fraction
    call: str
    house_share: Fraction
    key: str
    key_days: int
    review_share: Fraction
    limit_first: bool = True
    basic_total: int = 0
    basic_direct: int = 0
    basic_general: int = 0
    credit: int = 0
    source: Mapping[str, str] = field(default_factory=dict)
    confidence: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shares = {name: 0 <= getattr(self, name) <= 1 for name in SHARES}
        whole = {name: (getattr(self, name) or 0) >= 0 for name in AMOUNTS}
        holds = {
            "1 or 2": {"standard": self.standard in STANDARDS},
            "from 0 to 1": shares,
            "below 1": {"house_share": self.house_share < 1},
            "at least 0": whole,
            "at least 1": {"key_days": self.key_days >= 1},
        }
        bad = [
            BadRecord(file=self.parameter_set, line=0, field=name, value=str(getattr(self, name)), rule=rule)
            for rule, found in holds.items()
            for name, right in found.items()
            if not right
        ]
        if bad:
            raise InputError(bad)


def fund_rules(house: str, as_of: date) -> FundRules:
    """Return the rules of a house's default fund that are in force on a day.

    Parameters
    ----------
    house : {"HKSCC", "HKCC", "SEOCH", "merged"}
        The last is one fund of a merged house, and hypothetical.
    as_of : date
        The day.

    Raises
    ------
    InputError
        If the house is not one of these, or no rules are known for the day.
    """
    require_choice(house, "house", FUNDS)
    found = set_in_force(f"default_funds/{house.lower()}", as_of)
    if found is None:
        rule = f"a day on which rules of the default fund of {house} are known"
        raise InputError([BadRecord(file=house, line=0, field="as_of", value=as_of.isoformat(), rule=rule)])
    given: dict[str, Any] = {key: value for key, value in found.items() if key not in {"id", "effective"}}
    amounts = {key: given[key] * MINOR_UNITS for key in AMOUNTS if key in given}
    shares = {key: Fraction(given[key]) for key in SHARES}
    return FundRules(parameter_set=found["id"], **given | amounts | shares)
