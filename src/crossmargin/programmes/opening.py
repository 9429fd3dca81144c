"""From a market to the houses on a day: scenarios, each house's risk parameters, models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from crossmargin.errors import BadRecord, InputError
from crossmargin.models.hkscc.from_scenarios import Rpf01Rules, rpf01_parameters
from crossmargin.models.hkscc.participant import HksccParticipant
from crossmargin.models.revaluation.deltas import cash_deltas
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.scenarios.build import ScenarioSettings, scenarios_from_histories
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.index_factor import index_factor
from crossmargin.models.scenarios.part_rules import hkscc_parts
from crossmargin.models.scenarios.selection import WorstDays
from crossmargin.models.span.from_market import market_span
from crossmargin.models.span.from_market_rules import MarketSpanRules
from crossmargin.parameters.loading import set_in_force
from crossmargin.programmes.accounts import clearing_accounts
from crossmargin.programmes.conversion import hkscc_conversion
from crossmargin.programmes.hkscc_house import HksccHouse
from crossmargin.programmes.houses import Houses, HouseSettings
from crossmargin.programmes.look_through import make_look_through
from crossmargin.programmes.prime_house import PrimeHouse

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    import numpy as np
    from jaxtyping import Float64

    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.models.scenarios.scenario_set import ScenarioSet
    from crossmargin.programmes.accounts import ClearingAccounts
    from crossmargin.programmes.look_through import LookThrough

__all__ = ["OPENING_STAGES", "default_scenarios", "house_participant", "open_houses", "reopen"]

OPENING_STAGES: Final = 5
"""Stages that ``open_houses`` notes."""

HOUSE_VALUES: Final = (
    "portfolio_margin_floor_rate",
    "margin_credit",
    "hedging_instrument",
    "minimum_tick",
    "guarantee_fund_predefined_limit",
)
CASH_KINDS: Final = ("equity", "etf")


def open_houses(
    market: Market,
    as_of: date,
    settings: HouseSettings | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Houses:
    """Make the houses' models of a market on a day, and put its accounts in order.

    Parameters
    ----------
    market : Market
        Accounts, positions, instruments and histories; nothing after the day is looked at.
    as_of : date
        The day.
    settings : HouseSettings, optional
        The defaults unless given.
    note : callable, optional
        Told the name of each of ``OPENING_STAGES`` stages as it begins.

    Raises
    ------
    InputError
        Listing what is missing: prices, marks, history, the house's parameters of the day.
    """
    settings = settings or HouseSettings()
    note("marks and positions")
    snapshot = make_snapshot(market, as_of, stale_days=settings.revaluation.stale_days)
    accounts = clearing_accounts(market, snapshot)
    note("histories")
    scenarios = settings.scenarios or default_scenarios(market, as_of)
    histories = make_histories(market, as_of, scenarios.rules)
    opening = _Opening(market, snapshot, histories, scenarios, settings)
    deltas = cash_deltas(snapshot)
    look_through = make_look_through(snapshot, market.weights_on(as_of), deltas)
    houses = opening.houses(accounts, look_through, deltas, note)
    note("margins of today")
    _ = houses.today
    return houses


def reopen(houses: Houses, histories: Histories) -> Houses:
    """Return houses with the same positions and marks, whose models know other histories.

    Parameters
    ----------
    houses : Houses
        Open on a day.
    histories : Histories
        As of that day, though they may end before it: what was known on a day of the past, for a backtest of
        today's positions.

    Raises
    ------
    InputError
        If the histories are of another day, or too short for a part of the scenarios.
    """
    if histories.as_of != houses.as_of:
        rule = f"histories as of {houses.as_of}, the day of the marks"
        value = str(histories.as_of)
        raise InputError([BadRecord(file="histories", line=0, field="as_of", value=value, rule=rule)])
    opening = _Opening(houses.market, houses.snapshot, histories, houses.scenarios, houses.settings)
    return opening.houses(houses.accounts, houses.look_through, houses.deltas)


def default_scenarios(market: Market, as_of: date) -> ScenarioSettings:
    """Return HKSCC's published parts, with the worst days of the index with most prices as the stressed ones."""
    return ScenarioSettings(parts=hkscc_parts(WorstDays(factor=index_factor(market, as_of))))


@dataclass(frozen=True, slots=True)
class _Opening:
    """What the houses' models are made from."""

    market: Market
    snapshot: Snapshot
    histories: Histories
    scenarios: ScenarioSettings
    settings: HouseSettings

    def over(self, days: int) -> ScenarioSet:
        """Return the scenarios over a horizon."""
        return scenarios_from_histories(self.histories, replace(self.scenarios, horizon_days=days))

    def houses(
        self,
        accounts: ClearingAccounts,
        look_through: LookThrough,
        deltas: Float64[np.ndarray, " instruments"],
        note: Callable[[str], None] = lambda _: None,
    ) -> Houses:
        """Return the houses with their models."""
        note("HKSCC's model")
        hkscc = self.hkscc(deltas)
        note("PRiME's model")
        prime = self.prime()
        others = self.snapshot.findings if prime is None else prime.span.findings
        return Houses(
            market=self.market,
            snapshot=self.snapshot,
            accounts=accounts,
            histories=self.histories,
            hkscc=hkscc,
            prime=prime,
            look_through=look_through,
            deltas=deltas,
            scenarios=self.scenarios,
            settings=self.settings,
            findings=_findings(self.histories, others),
        )

    def hkscc(self, deltas: Float64[np.ndarray, " instruments"]) -> HksccHouse | None:
        """Return HKSCC's model; None where the market has no instrument of the house."""
        cash = self.snapshot.instruments.filter(house="HKSCC")["instrument"].sort()
        if not len(cash):
            return None
        scenarios = self.over(self.settings.hkscc_days)
        wanted = self.settings.hedging_instrument
        hedge = wanted if wanted in cash else cash[0]
        parameters = rpf01_parameters(scenarios, self.market, rules=Rpf01Rules(hedging_instrument=hedge))
        return HksccHouse(
            snapshot=self.snapshot,
            parameters=parameters,
            settings=self._participant(hedge),
            conversion=hkscc_conversion(
                self.snapshot, self.market, scenarios, deltas=deltas, revaluation=self.settings.revaluation
            ),
            own_settings=self.settings.participants,
        )

    def _participant(self, hedge: str) -> HksccParticipant:
        """Return the settings of participants, with a hedging instrument that the market has."""
        given = self.settings.participant or house_participant(self.market, self.snapshot.as_of)
        return replace(given, hedging_instrument=hedge)

    def prime(self) -> PrimeHouse | None:
        """Return PRiME; None where the market has no future and no option."""
        if not len(self.snapshot.instruments.filter(pl.col("house") != "HKSCC")):
            return None
        scenarios = self.over(self.settings.prime_days)
        weights = self.market.weights_on(self.snapshot.as_of)
        span = market_span(
            self.snapshot,
            scenarios,
            weights,
            rules=MarketSpanRules(horizon_days=self.settings.prime_days),
            revaluation=self.settings.revaluation,
        )
        return PrimeHouse(span=span)


def house_participant(market: Market, as_of: date) -> HksccParticipant:
    """Return the settings of the house's set in force on a day.

    Raises
    ------
    InputError
        If no set is known.
    """
    found = set_in_force("hkscc", as_of)
    if found is None:
        rule = "a day on which a parameter set of HKSCC is known"
        raise InputError([BadRecord(file="hkscc", line=0, field="as_of", value=str(as_of), rule=rule)])
    values: dict[str, Any] = {name: found[name] for name in HOUSE_VALUES}
    return HksccParticipant(**values, parameter_set=found["id"], data_note=market.data_note)


def _findings(histories: Histories, others: pl.DataFrame) -> pl.DataFrame:
    """Return each kind of finding of a subject once, in order."""
    found = histories.findings.select(pl.col("factor").alias("subject"), "kind", "action")
    return pl.concat([found, others.select("subject", "kind", "action")]).unique().sort(pl.all())
