"""PRiME's dated parameter sets, as the package ships them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from crossmargin.errors import BadRecord, InputError
from crossmargin.models.span.prime import PrimeParameters
from crossmargin.parameters.loading import set_in_force

if TYPE_CHECKING:
    from datetime import date

__all__ = ["prime_parameters"]


def prime_parameters(as_of: date) -> PrimeParameters:
    """Return the set in force on a day.

    Raises
    ------
    InputError
        If none is known for the day.
    """
    found = set_in_force("prime", as_of)
    if found is None:
        rule = "a day on which a parameter set of PRiME is known"
        raise InputError([BadRecord(file="prime", line=0, field="as_of", value=as_of.isoformat(), rule=rule)])
    return PrimeParameters(
        parameter_set=found["id"],
        client_initial_multiplier=Fraction(found["client_initial_multiplier"]),
        client_maintenance_ratio=Fraction(found["client_maintenance_ratio"]),
        basis=found["basis"],
    )
