"""What HKSCC sets for one participant, outside the risk parameter file (guide §3.1.3 to §3.2.6)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, Literal

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["GainTail", "HksccParticipant"]

GainTail = Literal["absolute", "zero"]
GAIN_TAILS: Final = ("absolute", "zero")
AMOUNT_LIMIT: Final = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class HksccParticipant:
    """Settings and reported amounts of one clearing participant. Money is HKD, rates are fractions.

    Parameters
    ----------
    portfolio_margin_floor_rate : float
        Tier P minimum margin level, of the larger gross side (§3.2.1).
    margin_credit : float
        Taken off the net margin (§3.2.5).
    hedging_instrument : str
        Instrument whose FieldType 4 record prices the portfolio-level liquidation add-on (§3.2.3.2).
    minimum_tick : float
        Tick of structured products, HKD (§3.2.3.3).
    guarantee_fund_predefined_limit : float
        Expected uncollateralised loss of a group above this calls risk collateral (§4.2).
    parameter_set : str
        Id of the dated set from which the house's own values above were taken, and which of them were
        replaced ("… with own margin_credit"); empty where all were given by hand.
    data_note : str
        Said wherever the result is shown, for example that the data are synthetic.
    flat_rate_multiplier : float
        Multiplier of the flat rate margin, report DWH0081C (§3.2.2).
    ipo_stocks : tuple of str
        Stocks listed within 180 days, report DWH0303: each is a portfolio of its own (§3.2.1).
    sub_margin_groups : mapping of str to str
        Instrument → sub-margin group; an instrument that is not named belongs to the group of its rate.
    holiday_addon_in_force : bool
        Whether the holiday add-on is charged (§3.2.3.5).
    gain_tail : {"absolute", "zero"}
        What a blended tail that is a gain asks for: its absolute value, as the guide prints, or nothing.
    apportioned_liquid_capital : float, optional
        Liquid capital set against the net market value; without it the position-limit add-on is not computed.
    liquid_capital_multiplier : float
        Factor on the liquid capital (§4.1).
    liquid_capital_cap : float, optional
        Cap on capital × multiplier, used only where ``liquid_capital_cap_in_force``.
    liquid_capital_cap_in_force : bool
        Whether the cap applies.
    position_limit_addon_rate : float
        Rate of the position-limit add-on (§4.1).
    position_limit_addon_reported : float, optional
        The add-on as the participant's report states it (§3.2.6.2); replaces the computation.
    credit_risk_addon, adhoc_addon : float
        Add-ons set by the house (§3.2.6).
    group_expected_uncollateralised_loss : float
        Of the participant's group, for the guarantee fund risk collateral (§4.2).

    Raises
    ------
    InputError
        Listing every value that is not finite or out of its range.
    """

    portfolio_margin_floor_rate: float
    margin_credit: float
    hedging_instrument: str
    minimum_tick: float
    guarantee_fund_predefined_limit: float
    parameter_set: str = ""
    data_note: str = ""
    flat_rate_multiplier: float = 1.0
    ipo_stocks: tuple[str, ...] = ()
    sub_margin_groups: Mapping[str, str] = field(default_factory=dict)
    holiday_addon_in_force: bool = False
    gain_tail: GainTail = "absolute"
    apportioned_liquid_capital: float | None = None
    liquid_capital_multiplier: float = 1.0
    liquid_capital_cap: float | None = None
    liquid_capital_cap_in_force: bool = False
    position_limit_addon_rate: float = 0.0
    position_limit_addon_reported: float | None = None
    credit_risk_addon: float = 0.0
    adhoc_addon: float = 0.0
    group_expected_uncollateralised_loss: float = 0.0

    def __post_init__(self) -> None:
        if bad := list(self._bad_values()):
            raise InputError(bad)

    def _bad_values(self) -> Iterator[BadRecord]:
        for name, value in self._numbers():
            if not (math.isfinite(value) and 0 <= value <= AMOUNT_LIMIT):
                yield _bad(name, value, f"a finite number from 0 to {AMOUNT_LIMIT:.0e}")
        stocks = self.ipo_stocks
        if not isinstance(stocks, tuple) or not all(isinstance(stock, str) for stock in stocks):
            yield _bad("ipo_stocks", stocks, "a tuple of codes")
        if self.gain_tail not in GAIN_TAILS:
            yield _bad("gain_tail", self.gain_tail, f"one of {', '.join(GAIN_TAILS)}")
        if self.liquid_capital_cap_in_force and self.liquid_capital_cap is None:
            yield _bad("liquid_capital_cap", None, "needed while liquid_capital_cap_in_force is true")

    def _numbers(self) -> Iterator[tuple[str, float]]:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield item.name, value

    @property
    def content_hash(self) -> str:
        """SHA-256 of every setting."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        plain |= {name: float(value) for name, value in self._numbers()}
        plain["sub_margin_groups"] = sorted(self.sub_margin_groups.items())
        return hashlib.sha256(repr(plain).encode()).hexdigest()

    @property
    def usable_liquid_capital(self) -> float | None:
        """Capital × multiplier, capped where the cap is in force, HKD; None where no capital is given (§4.1)."""
        if self.apportioned_liquid_capital is None:
            return None
        capital = self.apportioned_liquid_capital * self.liquid_capital_multiplier
        if self.liquid_capital_cap_in_force and self.liquid_capital_cap is not None:
            return min(capital, self.liquid_capital_cap)
        return capital


def _bad(name: str, value: object, rule: str) -> BadRecord:
    return BadRecord(file="participant", line=0, field=name, value=str(value), rule=rule)
