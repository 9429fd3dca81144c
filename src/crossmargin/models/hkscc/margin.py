"""HKSCC margin of one participant, or of all of them in one pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from jaxtyping import Int64

from crossmargin.core.amounts import exact_decimals
from crossmargin.core.columns import require_choice
from crossmargin.core.provenance import Provenance
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.hkscc.book import DECIMALS, Book, Rounding, make_book
from crossmargin.models.hkscc.flat_rate_margin import FlatRateMargin, flat_rate_margin
from crossmargin.models.hkscc.liquidation_addon import LiquidationAddon, liquidation_addon
from crossmargin.models.hkscc.portfolio_margin import PortfolioMargin, portfolio_margin
from crossmargin.models.hkscc.position_addons import (
    PositionCharge,
    corporate_action_margin,
    structured_product_addon,
)
from crossmargin.models.hkscc.requirement import Charges, Requirement, requirement
from crossmargin.models.hkscc.result import HksccMargin, make_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.hkscc.parameters import HksccParameters
    from crossmargin.models.hkscc.participant import HksccParticipant

__all__ = ["UNNAMED", "HksccMargins", "hkscc_margin", "hkscc_margins", "margins_of_book"]

UNNAMED: Final = "unnamed"
"""Name of the participant where the positions give none."""

METHOD: Final = "HKEX, HKSCC – VaR Platform, Initial Margin Calculation Guide, version 1.4, October 2025"
LEGAL_STATUS: Final = "a reproduction of the published method; not a statement or a call by HKSCC"

COLUMNS: Final = (
    "portfolio_margin",
    "flat_rate_margin",
    "liquidation_addon",
    "structured_product_addon",
    "corporate_action_margin",
    "holiday_addon",
    "rounding_up",
    "favourable_mark_used",
    "margin_credit_used",
    "net_margin_after_credit",
    "mark_requirement",
    "position_limit_addon",
    "credit_risk_addon",
    "adhoc_addon",
    "total",
    "guarantee_fund_collateral",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HksccMargins:
    """Margin of every participant, in arrays, with all that is needed to explain each.

    Parameters
    ----------
    book : Book
        The positions as margined.
    parameters : HksccParameters
        The house's risk parameters.
    settings : tuple of HksccParticipant
        Settings in the order of ``book.participants``.
    portfolio, flat_rate, liquidation, structured_product, corporate_action
        The components with their intermediate numbers.
    requirement : Requirement
        The steps from the components to the total.
    marks : mapping of str to float, optional
        Marks as they were given, HKD; None where they were computed from the positions.
    """

    book: Book
    parameters: HksccParameters
    settings: tuple[HksccParticipant, ...]
    portfolio: PortfolioMargin
    flat_rate: FlatRateMargin
    liquidation: LiquidationAddon
    structured_product: PositionCharge
    corporate_action: PositionCharge
    charges: Charges
    requirement: Requirement
    marks: Mapping[str, float] | None = None

    @property
    def participants(self) -> tuple[str, ...]:
        """Names, in the order of every array."""
        return self.book.participants

    @property
    def total(self) -> Int64[np.ndarray, " participants"]:
        """Total MTM and margin requirement, in integer units of 10^-``book.decimals`` HKD."""
        return self.requirement.total

    def amount(self, column: str) -> Int64[np.ndarray, " participants"]:
        """Return one of the columns of ``to_frame`` in integer units."""
        is_charge = column in {item.name for item in fields(self.charges)}
        return getattr(self.charges if is_charge else self.requirement, column)

    def to_frame(self) -> pl.DataFrame:
        """Return a row a participant and a column a component, exact decimals in HKD."""
        decimals = self.book.decimals
        columns = {name: exact_decimals(self.amount(name), decimals) for name in COLUMNS}
        return pl.DataFrame({"participant": list(self.participants), **columns})

    def requirement_with(self, market_risk: Int64[np.ndarray, " participants"]) -> Requirement:
        """Carry another market risk on to the total, in place of portfolio margin and flat rate margin.

        Parameters
        ----------
        market_risk : ndarray of int64, shape (participants,)
            At least 0, in integer units of 10^-``book.decimals`` HKD.

        Returns
        -------
        Requirement
            As today where the market risk is that of today; what follows from it by the order of operations,
            the holiday add-on first, otherwise.
        """
        assert np.all(market_risk >= 0)
        charges = replace(
            self.charges, portfolio_margin=market_risk, flat_rate_margin=np.zeros_like(market_risk)
        )
        return _requirement(self.book, self.parameters, self.settings, charges, self.marks)

    def of(self, participant: str) -> HksccMargin:
        """Return the result of one participant as a tree that explains itself.

        Raises
        ------
        KeyError
            If there is no such participant.
        """
        if participant not in self.participants:
            raise KeyError(f"no participant {participant!r}; there are: {', '.join(self.participants[:20])}")
        return make_result(self, self.participants.index(participant), self._provenance(participant))

    def __iter__(self) -> Iterator[HksccMargin]:
        return (self.of(name) for name in self.participants)

    def _provenance(self, participant: str) -> Provenance:
        settings = self.settings[self.participants.index(participant)]
        return Provenance(
            method=METHOD,
            as_of=self.parameters.valuation_date,
            parameter_sets=(settings.parameter_set,) if settings.parameter_set else (),
            settings=(
                ("rounding", self.book.rounding),
                ("gain_tail", settings.gain_tail),
                (
                    "mark_to_market",
                    "computed" if self.marks is None else repr(float(self.marks[participant])),
                ),
            ),
            input_hashes=(
                ("risk parameters", self.parameters.content_hash),
                ("positions", self.book.content_hash(participant)),
                ("participant", settings.content_hash),
            ),
            legal_status=LEGAL_STATUS,
            data_note=settings.data_note,
        )


def hkscc_margin(
    positions: FrameInput,
    parameters: HksccParameters,
    participant: HksccParticipant,
    *,
    rounding: Rounding = "guide",
    mark_to_market: float | None = None,
) -> HksccMargin:
    """Margin the marginable positions of one participant as HKSCC does.

    Parameters
    ----------
    positions : Polars or pandas frame, or mapping of columns
        ``instrument``; ``quantity``, + long, − short; ``contract_value`` and ``market_value`` in HKD
        equivalent, signed. Rows of one instrument are netted.
    parameters : HksccParameters
        The day's risk parameters, as ``read_rpf01`` returns them.
    participant : HksccParticipant
        Settings and reported amounts of the participant.
    rounding : {"guide", "none"}
        Round exactly where the guide rounds, or nowhere (for research; published to 10^-6 HKD).
    mark_to_market : float, optional
        Mark of the portfolio in HKD, gain-positive, where it is made with cross-currency haircuts
        (``mark_to_market`` of §4.7); else market value − contract value of the positions.

    Returns
    -------
    HksccMargin
        The total and the tree of components that adds up to it.

    Raises
    ------
    InputError
        Listing every bad position or setting.
    RangeError
        If an amount does not fit the published integers.
    """
    name = _only_name(positions)
    marks = None if mark_to_market is None else {name: mark_to_market}
    many = hkscc_margins(positions, parameters, {name: participant}, rounding=rounding, marks_to_market=marks)
    return many.of(name)


def _only_name(positions: FrameInput) -> str:
    names: Any = getattr(positions, "columns", positions if isinstance(positions, Mapping) else ())
    given = positions["participant"] if "participant" in list(names) else ()
    return str(next(iter([given] if isinstance(given, str) else given), UNNAMED))


def hkscc_margins(
    positions: FrameInput,
    parameters: HksccParameters,
    participants: Mapping[str, HksccParticipant],
    *,
    rounding: Rounding = "guide",
    marks_to_market: Mapping[str, float] | None = None,
) -> HksccMargins:
    """Margin many participants in one pass; arguments as ``hkscc_margin``, by participant.

    Parameters
    ----------
    positions : Polars or pandas frame, or mapping of columns
        As ``hkscc_margin``, with a column ``participant``.
    parameters : HksccParameters
        The day's risk parameters.
    participants : mapping of str to HksccParticipant
        Settings by name; the order of the results. One without a position has a result too.
    rounding : {"guide", "none"}
        As ``hkscc_margin``.
    marks_to_market : mapping of str to float, optional
        Marks made elsewhere, for every participant.
    """
    require_choice(rounding, "rounding", tuple(DECIMALS))
    names, settings = list(participants), tuple(participants.values())
    if marks_to_market is not None:
        _require_marks(marks_to_market, names)
    book = make_book(positions, parameters, names, rounding)
    return margins_of_book(book, parameters, settings, marks_to_market)


def margins_of_book(
    book: Book,
    parameters: HksccParameters,
    settings: tuple[HksccParticipant, ...],
    marks_to_market: Mapping[str, float] | None = None,
) -> HksccMargins:
    """Margin a book that is already checked; settings in the order of its participants."""
    portfolio = portfolio_margin(book, parameters, settings)
    flat_rate = flat_rate_margin(book, parameters, settings)
    liquidation = liquidation_addon(book, parameters, settings)
    structured_product = structured_product_addon(book, parameters, settings)
    corporate_action = corporate_action_margin(book, parameters)
    charges = Charges(
        portfolio_margin=portfolio.amount,
        flat_rate_margin=flat_rate.amount,
        liquidation_addon=liquidation.amount,
        structured_product_addon=structured_product.amount,
        corporate_action_margin=corporate_action.amount,
    )
    return HksccMargins(
        book=book,
        parameters=parameters,
        settings=settings,
        portfolio=portfolio,
        flat_rate=flat_rate,
        liquidation=liquidation,
        structured_product=structured_product,
        corporate_action=corporate_action,
        charges=charges,
        requirement=_requirement(book, parameters, settings, charges, marks_to_market),
        marks=marks_to_market,
    )


def _requirement(
    book: Book,
    parameters: HksccParameters,
    settings: tuple[HksccParticipant, ...],
    charges: Charges,
    marks: Mapping[str, float] | None,
) -> Requirement:
    given = None if marks is None else book.minor(np.array([marks[name] for name in book.participants]))
    return requirement(book, parameters, settings, charges, given)


def _require_marks(marks: Mapping[str, float], names: list[str]) -> None:
    """Refuse marks that are not those of exactly the participants, or not finite."""
    odd = [(name, "absent", "a mark for every participant") for name in names if name not in marks]
    odd += [
        (name, str(mark), "a participant with settings") for name, mark in marks.items() if name not in names
    ]
    odd += [(name, str(mark), "a finite number") for name, mark in marks.items() if not math.isfinite(mark)]
    if odd:
        raise InputError(
            BadRecord(file="marks_to_market", line=0, field=name, value=value, rule=rule)
            for name, value, rule in odd
        )
