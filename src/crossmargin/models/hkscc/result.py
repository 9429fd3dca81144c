"""The result of one participant: a total and the tree that adds up to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from crossmargin.core.breakdown import Component, Fact

if TYPE_CHECKING:
    from decimal import Decimal

    from crossmargin.core.provenance import Provenance
    from crossmargin.models.hkscc.margin import HksccMargins

__all__ = ["HksccMargin", "make_result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HksccMargin:
    """Margin of one participant.

    Parameters
    ----------
    participant : str
        Name.
    breakdown : Component
        The total MTM and margin requirement; its parts add up to it, down to scenario or position.
    guarantee_fund_collateral : Component
        Risk collateral for the guarantee fund, outside the total (§4.2).
    warnings : tuple of str
        What a careful reader should know of this number.
    provenance : Provenance
        What it takes to make it again.
    """

    participant: str
    breakdown: Component
    guarantee_fund_collateral: Component
    warnings: tuple[str, ...]
    provenance: Provenance
    currency: str = "HKD"

    @property
    def total(self) -> Decimal:
        """Total MTM and margin requirement, HKD, exact."""
        return self.breakdown.value

    def amount(self, component: str) -> Decimal:
        """Return the amount of a component by its name, HKD, exact; ``KeyError`` lists the names."""
        return self.breakdown.find(component).value

    def to_frame(self) -> pl.DataFrame:
        """Return the tree as rows, parents first, with the participant in front."""
        return self.breakdown.to_frame().select(pl.lit(self.participant).alias("participant"), pl.all())

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain objects that JSON holds; amounts are decimal strings."""
        return {
            "participant": self.participant,
            "currency": self.currency,
            "total": str(self.total),
            "breakdown": self.breakdown.to_dict(),
            "guarantee_fund_collateral": self.guarantee_fund_collateral.to_dict(),
            "warnings": list(self.warnings),
            "provenance": self.provenance.to_dict(),
        }


def make_result(margins: HksccMargins, place: int, provenance: Provenance) -> HksccMargin:
    """Build the tree of one participant from the arrays of the pass."""
    settings = margins.settings[place]
    portfolio, warnings = margins.portfolio.explain(place, margins.book, margins.parameters, settings)
    if settings.usable_liquid_capital is None and settings.position_limit_addon_reported is None:
        warnings = [*warnings, "position-limit add-on: not computed, no apportioned liquid capital is given"]
    tree = _Tree(margins, place)
    return HksccMargin(
        participant=margins.participants[place],
        breakdown=tree.total(portfolio),
        guarantee_fund_collateral=tree.guarantee_fund_collateral(),
        warnings=tuple(warnings),
        provenance=provenance,
    )


@dataclass(frozen=True, slots=True)
class _Tree:
    """One participant's view of the arrays, with a method a branch."""

    margins: HksccMargins
    place: int

    def _leaf(
        self, name: str, column: str, rule: str, binding: str = "", *facts: Fact, sign: int = 1
    ) -> Component:
        amount = sign * int(self.margins.amount(column)[self.place])
        decimals = self.margins.book.decimals
        return Component(name=name, amount=amount, decimals=decimals, rule=rule, binding=binding, facts=facts)

    def _whole(self, column: str) -> float:
        """Return an amount in HKD, for a fact."""
        return int(self.margins.amount(column)[self.place]) / 10**self.margins.book.decimals

    def total(self, portfolio: Component) -> Component:
        parts = (
            self._net_margin(portfolio),
            self._leaf("mark-to-market requirement", "mark_requirement", "§3.2.5", self._mark_source()),
            self._position_limit(),
            self._leaf("credit-risk add-on", "credit_risk_addon", "§3.2.6"),
            self._leaf("ad-hoc add-on", "adhoc_addon", "§3.2.6"),
        )
        return Component(
            name="total MTM and margin requirement",
            amount=int(self.margins.total[self.place]),
            decimals=self.margins.book.decimals,
            rule="§3.2.7",
            parts=parts,
        )

    def _net_margin(self, portfolio: Component) -> Component:
        margins, place, settings = self.margins, self.place, self.margins.settings[self.place]
        parts = (
            portfolio,
            margins.flat_rate.explain(place, margins.book, settings),
            margins.liquidation.explain(place, margins.book, margins.parameters, settings),
            margins.structured_product.explain(place, margins.book),
            margins.corporate_action.explain(place, margins.book),
            self._holiday(),
            self._leaf(
                "rounding up", "rounding_up", "§3.2.5", "", Fact("multiple, HKD", margins.parameters.rounding)
            ),
            self._favourable_mark(),
            self._credit(),
        )
        return Component(
            name="net margin after credit",
            amount=int(margins.requirement.net_margin_after_credit[place]),
            decimals=margins.book.decimals,
            rule="§3.2.5",
            facts=(Fact("aggregate margin, rounded up, HKD", self._whole("aggregate")),),
            parts=parts,
        )

    def _holiday(self) -> Component:
        in_force = self.margins.settings[self.place].holiday_addon_in_force
        factor = Fact("holiday factor", self.margins.parameters.holiday_factor)
        return self._leaf(
            "holiday add-on", "holiday_addon", "§3.2.3.5", "in force" if in_force else "not in force", factor
        )

    def _favourable_mark(self) -> Component:
        available = Fact("favourable mark-to-market, HKD", self._whole("favourable_mark"))
        return self._leaf(
            "favourable mark-to-market",
            "favourable_mark_used",
            "§3.2.5",
            self._mark_source(),
            available,
            sign=-1,
        )

    def _mark_source(self) -> str:
        return "" if self.margins.marks is None else "mark as given"

    def _credit(self) -> Component:
        available = Fact("margin credit, HKD", self.margins.settings[self.place].margin_credit)
        return self._leaf("margin credit", "margin_credit_used", "§3.2.5", "", available, sign=-1)

    def _position_limit(self) -> Component:
        settings = self.margins.settings[self.place]
        name, column = "position-limit add-on", "position_limit_addon"
        if settings.position_limit_addon_reported is not None:
            return self._leaf(name, column, "§3.2.6.2", "as reported")
        capital = settings.usable_liquid_capital
        if capital is None:
            return self._leaf(name, column, "§4.1", "not computed: no liquid capital given")
        positive = self.margins.requirement.net_margin_after_credit[self.place] > 0
        facts = (
            Fact("net market value, HKD", self._whole("net_market_value")),
            Fact("usable liquid capital, HKD", capital),
            Fact("share beyond the capital", float(self.margins.requirement.limit_share[self.place])),
            Fact("charges rounded up, HKD", self._whole("limit_base")),
            Fact("rate", settings.position_limit_addon_rate + (0 if positive else 1)),
        )
        capped = settings.liquid_capital_cap_in_force and capital == settings.liquid_capital_cap
        binding = (
            ("cap on liquid capital" if capped else "liquid capital")
            if facts[2].value
            else "within the capital"
        )
        return self._leaf(name, column, "§4.1", binding, *facts)

    def guarantee_fund_collateral(self) -> Component:
        settings = self.margins.settings[self.place]
        facts = (
            Fact(
                "expected uncollateralised loss of the group, HKD",
                settings.group_expected_uncollateralised_loss,
            ),
            Fact("predefined limit, HKD", settings.guarantee_fund_predefined_limit),
        )
        return self._leaf(
            "guarantee fund risk collateral", "guarantee_fund_collateral", "§4.2", "outside the total", *facts
        )
