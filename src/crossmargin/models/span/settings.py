"""What a house or a user chooses where the file leaves a choice."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal, cast, get_args, get_type_hints

from crossmargin.errors import BadRecord, InputError

__all__ = ["SpanSettings"]


class _Unstated(str):
    """A default that nobody chose: equal to its value, and told from one that was given by its type."""

    __slots__ = ()


NET: Final = cast("Literal['net']", _Unstated("net"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanSettings:
    """Settings of the SPAN calculation for one kind of account.

    Parameters
    ----------
    basis : {"net", "gross"}
        Net long against short of a series, and form spreads; or margin every long and every short. An account
        type decides it where it is not given, and refuses another one.
    gross_scan : {"per_contract", "per_side"}
        On a gross basis: the worst loss of each contract, or of all longs and of all shorts of a combined
        commodity together.
    som_method : {"file", "sum", "max"}
        Short option minimum of calls plus puts, or the larger of the two.
    price_risk_method : {"file", "normal", "capped", "scan_range"}
        Weighted price risk as computed, capped at the scan range, or the scan range itself.
    intra_spreads, inter_spreads : bool
        Whether spreads are formed within and between combined commodities (net basis only).
    account_origin : {"house", "non_segregated", "segregated"}
        Whose positions they are: the member's own, or those of customers whose money is or is not segregated.
        Spreads between commodities that the file keeps from such accounts are not formed.
    option_value : {"file", "none"}
        Whether the value of premium-style options counts, as the file says, or never.
    total_floor : {"account", "commodity"}
        Where a negative sum of risk margin and option value is cut off at 0: for an account and currency
        as a whole, or in each combined commodity.
    risk_class : {"member", "hedger", "speculator"}
        Column of the file's adjustment factors and initial-to-maintenance ratios.
    round_risk : {"none", "unit"}
        Round each risk component to a whole unit of currency, or only totals to the cent.
    parameter_set : str
        Id of the dated set that settings were taken from; empty where none.
    data_note : str
        Said wherever the result is shown, for example that the data are synthetic.
    """

    basis: Literal["net", "gross"] = NET
    gross_scan: Literal["per_contract", "per_side"] = "per_contract"
    som_method: Literal["file", "sum", "max"] = "file"
    price_risk_method: Literal["file", "normal", "capped", "scan_range"] = "file"
    intra_spreads: bool = True
    inter_spreads: bool = True
    account_origin: Literal["house", "non_segregated", "segregated"] = "house"
    option_value: Literal["file", "none"] = "file"
    total_floor: Literal["account", "commodity"] = "account"
    risk_class: Literal["member", "hedger", "speculator"] = "member"
    round_risk: Literal["none", "unit"] = "none"
    parameter_set: str = ""
    data_note: str = ""

    def __post_init__(self) -> None:
        hints: Final = get_type_hints(SpanSettings)
        bad = [
            BadRecord(
                file="settings",
                line=0,
                field=item.name,
                value=str(getattr(self, item.name)),
                rule=f"one of {', '.join(choices)}",
            )
            for item in fields(self)
            if (choices := get_args(hints[item.name])) and getattr(self, item.name) not in choices
        ]
        if bad:
            raise InputError(bad)

    @property
    def basis_is_given(self) -> bool:
        """Whether the basis was chosen, by whoever made these settings or an account type."""
        return not isinstance(self.basis, _Unstated)
