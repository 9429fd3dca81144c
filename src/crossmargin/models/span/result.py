"""The result of one account: for each currency a total and the tree that adds up to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import polars.selectors as cs

from crossmargin.core.breakdown import Component, Fact
from crossmargin.core.provenance import Provenance
from crossmargin.core.rounding import to_minor

if TYPE_CHECKING:
    from decimal import Decimal

    from crossmargin.models.span.margin import SpanMargins

__all__ = ["SpanMargin", "make_result"]

DECIMALS = 2
NOTES = ("parameter_set", "data_note")
METHOD = "SPAN, as CME's Components of SPAN describes it; PRiME where its settings are used"
LEGAL_STATUS = "a reproduction of a published method; not a statement or a call by any clearing house"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanMargin:
    """Margin of one account.

    Parameters
    ----------
    account : str
        Name.
    breakdowns : dict of str to Component
        Currency → requirement; its parts add up to it, down to the components of a combined commodity.
    provenance : Provenance
        What it takes to make it again.
    client : DataFrame, optional
        Client initial and maintenance margin by combined commodity, as ``client_margin`` returns them.
    """

    account: str
    breakdowns: dict[str, Component]
    provenance: Provenance
    client: pl.DataFrame | None = None

    @property
    def total(self) -> dict[str, Decimal]:
        """Requirement by currency, exact."""
        return {currency: tree.value for currency, tree in self.breakdowns.items()}

    def commodity(self, code: str) -> Component:
        """Return the branch of a combined commodity; ``KeyError`` lists those that there are."""
        branches = {part.name: part for tree in self.breakdowns.values() for part in tree.parts}
        name = f"combined commodity {code}"
        if name not in branches:
            raise KeyError(f"no {name}; there are: {', '.join(branches)}")
        return branches[name]

    def to_frame(self) -> pl.DataFrame:
        """Return the trees as rows, parents first, with account and currency in front."""
        nothing = Component(name="requirement", amount=0, decimals=DECIMALS)
        return pl.concat(
            tree.to_frame().select(
                pl.lit(self.account).alias("account"), pl.lit(currency).alias("currency"), pl.all()
            )
            for currency, tree in (self.breakdowns or {"": nothing}).items()
        )

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain objects that JSON holds; amounts are decimal strings."""
        return {
            "account": self.account,
            "totals": {currency: str(amount) for currency, amount in self.total.items()},
            "breakdowns": {currency: tree.to_dict() for currency, tree in self.breakdowns.items()},
            "client_margin": []
            if self.client is None
            else self.client.cast({cs.decimal(): pl.String}).to_dicts(),
            "provenance": self.provenance.to_dict(),
        }


def make_result(margins: SpanMargins) -> SpanMargin:
    """Build the trees of the only account of an explained pass."""
    branches: dict[str, list[Component]] = {}
    for portfolio in range(margins.book.account.size):
        row = margins.parameters.commodities.row(int(margins.book.commodity[portfolio]), named=True)
        branches.setdefault(row["currency"], []).append(_Branch(margins, portfolio).component())
    trees = {currency: _total(parts) for currency, parts in sorted(branches.items())}
    sets = (
        f"{margins.parameters.organization} {margins.parameters.settlement}",
        margins.settings.parameter_set,
    )
    provenance = Provenance(
        method=METHOD,
        as_of=margins.parameters.business_date,
        parameter_sets=tuple(filter(None, sets)),
        settings=tuple(
            (name, str(getattr(margins.settings, name)))
            for name in type(margins.settings).__slots__
            if name not in NOTES
        ),
        data_note=margins.settings.data_note,
        input_hashes=(
            ("risk parameters", margins.parameters.content_hash),
            ("positions", margins.book.content_hash),
        ),
        legal_status=LEGAL_STATUS,
    )
    account = margins.accounts[0] if margins.accounts else ""
    return SpanMargin(account=account, breakdowns=trees, provenance=provenance)


def _total(parts: list[Component]) -> Component:
    amount = sum(part.amount for part in parts)
    if amount < 0:
        name = "option value beyond the risk, not paid out"
        parts = [*parts, Component(name=name, amount=-amount, decimals=DECIMALS)]
    return Component(name="requirement", amount=max(amount, 0), decimals=DECIMALS, parts=tuple(parts))


@dataclass(frozen=True, slots=True)
class _Branch:
    """One combined commodity of the account."""

    margins: SpanMargins
    portfolio: int

    def component(self) -> Component:
        margins, risk = self.margins, self.margins.risk
        code = margins.parameters.commodities["commodity"][int(margins.book.commodity[self.portfolio])]
        leaves = [
            self._leaf("scan risk", risk.scan_risk, *self._scan_facts()),
            self._leaf("inter-month spread charge", risk.intra_charge, *self._intra_facts()),
            self._leaf("spot month charge", risk.spot_charge),
            self._leaf("inter-commodity credit", -risk.inter_credit, *self._inter_facts()),
        ]
        value = self._leaf("net option value", -risk.option_value)
        requirement = int(margins.requirement[self.portfolio])
        risk_margin = int(to_minor(risk.risk_margin[self.portfolio : self.portfolio + 1], DECIMALS)[0])
        leaves += self._uplifts(risk_margin - sum(leaf.amount for leaf in leaves))
        parts = [
            Component(
                name="risk margin",
                amount=risk_margin,
                decimals=DECIMALS,
                binding="short option minimum" if self._minimum_binds() else "risk",
                facts=(
                    Fact("short option minimum", float(risk.short_option_minimum[self.portfolio])),
                    Fact("adjustment factor", self._adjustment_factor()),
                ),
                parts=tuple(leaves),
            ),
            value,
        ]
        parts += self._rest(
            "option value not counted, and rounding", requirement - risk_margin - value.amount
        )
        return Component(
            name=f"combined commodity {code}", amount=requirement, decimals=DECIMALS, parts=tuple(parts)
        )

    def _before_minimum(self) -> float:
        risk, i = self.margins.risk, self.portfolio
        return float(risk.scan_risk[i] + risk.intra_charge[i] + risk.spot_charge[i] - risk.inter_credit[i])

    def _minimum_binds(self) -> bool:
        return bool(self.margins.risk.short_option_minimum[self.portfolio] > self._before_minimum())

    def _adjustment_factor(self) -> float:
        margins = self.margins
        column = margins.parameters.commodities[f"adjustment_{margins.settings.risk_class}"]
        return float(column[int(margins.book.commodity[self.portfolio])])

    def _uplifts(self, rest: int) -> list[Component]:
        """Return what lies between the four charges and the risk margin: minimum, adjustment, cents."""
        risk, before = self.margins.risk, self._before_minimum()
        least = max(before, float(risk.short_option_minimum[self.portfolio]))
        steps = np.array([least - before, float(risk.risk_margin[self.portfolio]) - least])
        minimum, adjustment = to_minor(steps, DECIMALS).tolist()
        return [
            *self._rest("uplift to the short option minimum", minimum),
            *self._rest("adjustment", adjustment),
            *self._rest("rounding", rest - minimum - adjustment),
        ]

    def _leaf(self, name: str, amounts: np.ndarray, *facts: Fact) -> Component:
        amount = int(to_minor(amounts[self.portfolio : self.portfolio + 1], DECIMALS)[0])
        return Component(name=name, amount=amount, decimals=DECIMALS, facts=facts)

    def _rest(self, name: str, amount: int) -> list[Component]:
        return [Component(name=name, amount=amount, decimals=DECIMALS)] if amount else []

    def _scan_facts(self) -> tuple[Fact, ...]:
        risk = self.margins.risk
        sums = tuple((i + 1, float(loss)) for i, loss in enumerate(risk.sums[self.portfolio]))
        active = int(risk.active[self.portfolio]) + 1
        return (
            Fact("active scenario", active or "none: every contract by itself"),
            Fact("scan sums", sums, ("scenario", "loss")),
            Fact("composite deltas", self._delta_rows(), ("month", "delta", "left after spreads")),
        )

    def _delta_rows(self) -> tuple[tuple[str, float, float], ...]:
        margins, deltas = self.margins, self.margins.risk.deltas
        first, last = deltas.slot_starts[self.portfolio : self.portfolio + 2]
        months = margins.tables.months.filter(commodity=int(margins.book.commodity[self.portfolio]))["month"]
        rows = zip(months, deltas.whole[first:last], deltas.left[first:last], strict=True)
        return tuple((month, float(whole), float(left)) for month, whole, left in rows if whole)

    def _intra_facts(self) -> tuple[Fact, ...]:
        margins, risk = self.margins, self.margins.risk
        first, last = risk.intra_count_starts[self.portfolio : self.portfolio + 2]
        begin = int(margins.tables.spread_starts[margins.book.commodity[self.portfolio]])
        rows = []
        for i, count in enumerate(risk.intra_counts[first:last].tolist()):
            if count:
                spread = margins.parameters.intra_spreads.row(
                    int(margins.tables.intra_order[begin + i]), named=True
                )
                rows.append((spread["priority"], spread["kind"], count, spread["charge"]))
        return (
            (Fact("spreads formed", tuple(rows), ("priority", "kind", "spreads", "charge")),) if rows else ()
        )

    def _inter_facts(self) -> tuple[Fact, ...]:
        margins, risk, legs = self.margins, self.margins.risk, self.margins.tables.inter_legs
        commodity, rows = int(margins.book.commodity[self.portfolio]), []
        for spread in np.flatnonzero(risk.inter_counts[0]).tolist():
            record = margins.parameters.inter_spreads.row(int(margins.tables.inter_order[spread]), named=True)
            for leg in range(legs.starts[spread], legs.starts[spread + 1]):
                if legs.commodity[leg] == commodity:
                    formed, credit = risk.inter_counts[0, spread], risk.inter_leg_credits[0, leg]
                    ratio, rate = float(legs.ratio[leg]), float(legs.rate[leg])
                    rows.append(
                        (record["priority"], record["method"], float(formed), ratio, rate, float(credit))
                    )
        columns = ("priority", "method", "spreads", "ratio", "rate", "credit")
        return (Fact("spreads formed", tuple(rows), columns),) if rows else ()
