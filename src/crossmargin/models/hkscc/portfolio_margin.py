"""Portfolio margin of Tier P instruments (guide §3.2.1): blended expected shortfall with a floor.

Each IPO stock with its own structured products is a portfolio; everything else is one more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Float64, Int32, Int64

from crossmargin.core.breakdown import Component, Fact
from crossmargin.core.rounding import half_away
from crossmargin.kernels.portfolio_tails import portfolio_tails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.hkscc.book import Book
    from crossmargin.models.hkscc.parameters import HksccParameters, TailMeasure
    from crossmargin.models.hkscc.participant import HksccParticipant

__all__ = ["PortfolioMargin", "portfolio_margin"]

RULE = "§3.2.1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PortfolioMargin:
    """Portfolio margin of every participant, and what it is made of.

    Parameters
    ----------
    amount : ndarray of int64, shape (participants,)
        The requirement in published units.
    shortfall : ndarray of float64, shape (participants,)
        What the blended tails ask for before the floor, HKD.
    gross_long, gross_short, floor : ndarray of float64, shape (participants,)
        Gross market values and the floor that the larger one gives, HKD.
    owner : ndarray of int32, shape (portfolios,)
        Participant of each portfolio.
    stock : tuple of str, length portfolios
        The IPO stock; empty for the portfolio of everything else.
    tail_values, tail_ids : pairs of ndarray, shape (portfolios, tail count)
        Profit and loss of the worst scenarios (gain-positive, HKD), worst first, and their numbers from 0.
    blended : ndarray of float64, shape (portfolios,)
        Weighted sum of the two tail means, gain-positive, HKD.
    """

    amount: Int64[np.ndarray, " participants"]
    shortfall: Float64[np.ndarray, " participants"]
    gross_long: Float64[np.ndarray, " participants"]
    gross_short: Float64[np.ndarray, " participants"]
    floor: Float64[np.ndarray, " participants"]
    owner: Int32[np.ndarray, " portfolios"]
    stock: tuple[str, ...]
    tail_values: tuple[Float64[np.ndarray, "portfolios tail"], Float64[np.ndarray, "portfolios tail2"]]
    tail_ids: tuple[Int32[np.ndarray, "portfolios tail"], Int32[np.ndarray, "portfolios tail2"]]
    blended: Float64[np.ndarray, " portfolios"]

    def explain(
        self, place: int, book: Book, parameters: HksccParameters, participant: HksccParticipant
    ) -> tuple[Component, list[str]]:
        """Return the component of one participant and warnings about tails that are gains."""
        mine = np.flatnonzero(self.owner == place)
        total = float(self.blended[mine].sum())
        sign = 1 if total > 0 and participant.gain_tail == "absolute" else -1
        parts = [self._portfolio(i, sign, book, parameters) for i in mine.tolist()]
        rest = int(self.amount[place]) - sum(part.amount for part in parts)
        floored = bool(self.floor[place] > self.shortfall[place])
        if rest:
            name = (
                "uplift to the floor"
                if floored
                else "gain not paid out"
                if total > 0 and participant.gain_tail == "zero"
                else "rounding"
            )
            parts.append(Component(name=name, amount=rest, decimals=book.decimals, rule=RULE))
        facts = (
            Fact("blended expected shortfall, HKD", float(self.shortfall[place])),
            Fact("gross long market value, HKD", float(self.gross_long[place])),
            Fact("gross short market value, HKD", float(self.gross_short[place])),
            Fact("floor rate", participant.portfolio_margin_floor_rate),
            Fact("floor, HKD", float(self.floor[place])),
        )
        component = Component(
            name="portfolio margin",
            amount=int(self.amount[place]),
            decimals=book.decimals,
            rule=RULE,
            binding="floor" if floored else "expected shortfall",
            facts=facts,
            parts=tuple(parts),
        )
        return component, list(self._warnings(mine, total, participant))

    def _portfolio(self, portfolio: int, sign: int, book: Book, parameters: HksccParameters) -> Component:
        measures = (("HVaR", parameters.historical), ("SVaR", parameters.stressed))
        facts = [
            fact
            for which, (label, measure) in enumerate(measures)
            for fact in self._tail_facts(portfolio, which, label, measure)
        ]
        stock = self.stock[portfolio]
        return Component(
            name=f"IPO stock {stock}" if stock else "all other Tier P instruments",
            amount=int(book.minor(sign * self.blended[portfolio : portfolio + 1])[0]),
            decimals=book.decimals,
            rule=RULE,
            facts=tuple(facts),
        )

    def _tail_facts(self, portfolio: int, which: int, label: str, measure: TailMeasure) -> list[Fact]:
        values, ids = self.tail_values[which][portfolio], self.tail_ids[which][portfolio]
        tail = tuple((int(i) + 1, float(v)) for i, v in zip(ids, values, strict=True))
        return [
            Fact(
                f"{label}, mean of the {measure.tail_count} worst of {measure.scenario_count:,}, HKD",
                float(values.mean()),
            ),
            Fact(f"{label} weight", measure.weight),
            Fact(f"{label} tail", tail, ("scenario", "profit and loss, HKD")),
        ]

    def _warnings(
        self, mine: Int64[np.ndarray, " mine"], total: float, participant: HksccParticipant
    ) -> Sequence[str]:
        names = [self.stock[i] or "the other Tier P instruments" for i in mine if self.blended[i] > 0]
        if not names:
            return []
        effect = (
            "the sum over portfolios is a gain and gain_tail = " + repr(participant.gain_tail) + " decides"
            if total > 0
            else "the gain reduces the loss of the other portfolios"
        )
        return [f"portfolio margin: the blended tail of {', '.join(names)} is a gain; {effect}"]


def portfolio_margin(
    book: Book, parameters: HksccParameters, participants: Sequence[HksccParticipant]
) -> PortfolioMargin:
    """Compute the portfolio margin of every participant.

    HVaR and SVaR are means of the ``tail_count`` worst scenario results of a portfolio; a scenario
    result is the sum of market value × return, each term rounded to the nearest integer. The margin is
    the absolute sum over portfolios of the weighted means, at least the floor, rounded to the nearest
    integer.
    """
    held = np.flatnonzero(book.rows["returns"] >= 0)
    portfolio_code, stocks = _portfolio_codes(book, parameters, participants, held)
    order = np.lexsort((portfolio_code, book.owner[held]))
    held, portfolio_code = held[order], portfolio_code[order]
    owner = book.owner[held]
    changes = (np.diff(owner) != 0) | (np.diff(portfolio_code) != 0)
    starts = (
        np.concatenate([[0], np.flatnonzero(changes) + 1, [held.size]])
        if held.size
        else np.zeros(1, np.int64)
    )
    firsts = starts[:-1]
    tail_values, tail_ids = _tails(book, parameters, held, starts)
    means = [values.sum(axis=1) / values.shape[1] for values in tail_values]
    blended = means[0] * parameters.historical.weight + means[1] * parameters.stressed.weight
    shortfall = _shortfall(np.bincount(owner[firsts], blended, len(participants)), participants)
    value = book.market_value[held]
    gross_long = np.bincount(owner, np.maximum(value, 0.0), len(participants))
    gross_short = np.bincount(owner, np.maximum(-value, 0.0), len(participants))
    rates = np.array([participant.portfolio_margin_floor_rate for participant in participants])
    floor = rates * np.maximum(gross_long, gross_short)
    margin = np.maximum(shortfall, floor)
    return PortfolioMargin(
        amount=book.minor(half_away(margin) if book.rounding == "guide" else margin),
        shortfall=shortfall,
        gross_long=gross_long,
        gross_short=gross_short,
        floor=floor,
        owner=owner[firsts],
        stock=tuple(stocks[code] for code in portfolio_code[firsts].tolist()),
        tail_values=tail_values,
        tail_ids=tail_ids,
        blended=blended,
    )


def _portfolio_codes(
    book: Book,
    parameters: HksccParameters,
    participants: Sequence[HksccParticipant],
    held: Int64[np.ndarray, " held"],
) -> tuple[Int64[np.ndarray, " held"], list[str]]:
    """Return the portfolio of each held position, and the IPO stock of each code; code 0 is everything else."""
    pairs = [(place, stock) for place, item in enumerate(participants) for stock in item.ipo_stocks]
    names = sorted({stock for _, stock in pairs})
    if not names:
        return np.zeros(held.size, np.int64), [""]
    group = parameters.liquidation_group(book.rows)[held]
    ipo = pl.DataFrame(pairs, schema={"owner": pl.Int32, "stock": pl.String}, orient="row").unique()
    codes = pl.DataFrame({"stock": names, "code": np.arange(1, len(names) + 1)})
    stock = pl.DataFrame(
        {"owner": book.owner[held], "stock": parameters.liquidation["instrument"].gather(group)}
    )
    found = stock.join(ipo.join(codes, on="stock"), on=["owner", "stock"], how="left", maintain_order="left")
    return found["code"].fill_null(0).to_numpy(), ["", *names]


def _tails(
    book: Book,
    parameters: HksccParameters,
    held: Int64[np.ndarray, " held"],
    starts: Int64[np.ndarray, " n+1"],
) -> tuple[
    tuple[Float64[np.ndarray, "n tail"], Float64[np.ndarray, "n tail2"]],
    tuple[Int32[np.ndarray, "n tail"], Int32[np.ndarray, "n tail2"]],
]:
    shapes = [(starts.size - 1, m.tail_count) for m in (parameters.historical, parameters.stressed)]
    tail_values = (np.empty(shapes[0]), np.empty(shapes[1]))
    tail_ids = (np.empty(shapes[0], np.int32), np.empty(shapes[1], np.int32))
    portfolio_tails(
        starts,
        book.rows["returns"][held],
        book.market_value[held],
        parameters.returns,
        parameters.historical.scenario_count,
        tail_values,
        tail_ids,
        book.rounding == "guide",
    )
    return tail_values, tail_ids


def _shortfall(
    blended: Float64[np.ndarray, " participants"], participants: Sequence[HksccParticipant]
) -> Float64[np.ndarray, " participants"]:
    absolute = np.array([participant.gain_tail == "absolute" for participant in participants])
    return np.where(absolute, np.abs(blended), np.maximum(-blended, 0.0))
