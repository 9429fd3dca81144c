"""The result of one account: a total, the parts of the scenarios, and which positions bring them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from crossmargin.core.breakdown import Component, Fact
from crossmargin.core.provenance import Provenance
from crossmargin.core.rounding import to_minor
from crossmargin.models.expected_shortfall.tails import AccountTail, account_tail

if TYPE_CHECKING:
    from decimal import Decimal

    from crossmargin.models.expected_shortfall.margin import EsMargins
    from crossmargin.models.scenarios.scenario_set import ScenarioPart

__all__ = ["EsMargin", "make_result", "provenance_of"]

DECIMALS: Final = 2
METHOD: Final = "expected shortfall on common scenarios, full revaluation"
LEGAL_STATUS: Final = "hypothetical: no clearing house calls margin by this method"


@dataclass(frozen=True, slots=True, kw_only=True)
class EsMargin:
    """Margin of one account.

    Parameters
    ----------
    account : str
        Name.
    currency : str
        Of every amount.
    breakdown : Component
        The requirement; its parts add up to it.
    provenance : Provenance
        What it takes to make it again.
    """

    account: str
    currency: str
    breakdown: Component
    provenance: Provenance

    @property
    def total(self) -> Decimal:
        """The requirement, exact."""
        return self.breakdown.value

    def to_frame(self) -> pl.DataFrame:
        """Return the tree as rows, parents first, with account and currency in front."""
        return self.breakdown.to_frame().select(
            pl.lit(self.account).alias("account"), pl.lit(self.currency).alias("currency"), pl.all()
        )

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain objects that JSON holds; amounts are decimal strings."""
        return {
            "account": self.account,
            "currency": self.currency,
            "total": str(self.total),
            "breakdown": self.breakdown.to_dict(),
            "provenance": self.provenance.to_dict(),
        }


def make_result(margins: EsMargins, account: str) -> EsMargin:
    """Build the tree of one account."""
    held = margins.book.held(account)
    total = int(margins.requirement[margins.book.number[account]])
    parts = [
        _part(margins, part, account_tail(margins, held, i)) for i, part in enumerate(margins.cube.parts)
    ]
    parts = [part for part in parts if part.amount or part.facts]
    blended = sum(part.amount for part in parts)
    if blended < 0:
        parts.append(_leaf("gain in the tail, not paid out", -blended))
    if margins.settings.buffer:
        parts.append(_leaf("anti-procyclical buffer", total - max(blended, 0)))
    elif total != max(blended, 0):
        parts.append(_leaf("rounding", total - max(blended, 0)))
    tree = Component(
        name="requirement",
        amount=total,
        decimals=DECIMALS,
        binding="floor at 0" if blended < 0 else "",
        parts=tuple(parts),
    )
    return EsMargin(
        account=account,
        currency=margins.cube.currency,
        breakdown=tree,
        provenance=provenance_of(margins),
    )


def provenance_of(margins: EsMargins) -> Provenance:
    """Return what it takes to make margins again."""
    cube = margins.cube
    return Provenance(
        method=METHOD,
        as_of=cube.as_of,
        parameter_sets=(),
        settings=(*cube.scenario_settings, *cube.settings.described(), *margins.settings.described()),
        input_hashes=(*cube.input_hashes, ("positions", margins.book.content_hash)),
        legal_status=LEGAL_STATUS,
        data_note=cube.data_note,
    )


def _leaf(name: str, amount: int) -> Component:
    return Component(name=name, amount=amount, decimals=DECIMALS)


def _part(margins: EsMargins, part: ScenarioPart, tail: AccountTail) -> Component:
    """Return one part of the scenarios, weighted, split over houses."""
    amount = int(to_minor(part.weight * tail.shortfall, DECIMALS))
    houses = _houses(margins, part, tail)
    rest = amount - sum(house.amount for house in houses)
    if houses and rest:
        houses.append(_leaf("rounding", rest))
    facts = (
        Fact("expected shortfall", tail.shortfall),
        Fact("weight", part.weight),
        Fact("scenarios in the tail", part.tail_count),
        Fact("scenarios in all", part.size),
        Fact("value at risk, the best scenario of the tail", -float(tail.pnl[-1])),
        Fact("worst scenarios", _worst(margins, tail), ("scenario", "profit and loss")),
    )
    return Component(
        name=f"{part.name} scenarios", amount=amount, decimals=DECIMALS, facts=facts, parts=tuple(houses)
    )


def _worst(margins: EsMargins, tail: AccountTail) -> tuple[tuple[str, float], ...]:
    labels = margins.cube.labels
    return tuple((labels[at], float(pnl)) for at, pnl in zip(tail.scenarios, tail.pnl, strict=True))


def _houses(margins: EsMargins, part: ScenarioPart, tail: AccountTail) -> list[Component]:
    """Return what each house's positions contribute to the weighted shortfall."""
    houses = margins.cube.instruments["house"].gather(tail.rows)
    names = margins.cube.instruments["instrument"].gather(tail.rows)
    amounts = part.weight * tail.contributions
    components = []
    for house in sorted(set(houses)):
        mine = (houses == house).to_numpy()
        amount = int(to_minor(_total(amounts[mine]), DECIMALS))
        fact = Fact(
            "contributions, before weights",
            _table(names.filter(pl.Series(mine)), tail.quantities[mine], tail.contributions[mine]),
            ("instrument", "quantity", "contribution"),
        )
        components.append(Component(name=house, amount=amount, decimals=DECIMALS, facts=(fact,)))
    return components


def _total(amounts: Float64[np.ndarray, " n"]) -> float:
    """Add in order, so that the same positions give the same bits."""
    return float(np.cumsum(amounts)[-1])


def _table(
    names: pl.Series, quantities: Float64[np.ndarray, " n"], contributions: Float64[np.ndarray, " n"]
) -> tuple[tuple[str, float, float], ...]:
    """Return positions, the largest contribution first."""
    order: Int64[np.ndarray, " n"] = np.argsort(-contributions, kind="stable")
    return tuple((names[i], float(quantities[i]), float(contributions[i])) for i in order.tolist())
