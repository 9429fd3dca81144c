"""The three houses on one day: instruments, accounts, each house's model, and what each calls today.

Made once; every programme is evaluated on it. Market risks are kept by what a book holds, so that programmes
that ask for the same books share one calculation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.columns import require_within
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.market import HOUSES
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.scenarios.build import scenarios_from_histories
from crossmargin.programmes.calls import Calls, calls_of_today
from crossmargin.programmes.joint.horizons import joint_cube
from crossmargin.programmes.joint.model import JointModel, joint_model
from crossmargin.programmes.known_risks import KnownRisks, margined_once
from crossmargin.programmes.replicas import StandIns, make_stand_ins

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from crossmargin.models.hkscc.margin import HksccMargins
    from crossmargin.models.hkscc.participant import HksccParticipant
    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.build import ScenarioSettings
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.programmes.accounts import ClearingAccounts
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.hkscc_house import HksccHouse
    from crossmargin.programmes.house_model import HouseModel
    from crossmargin.programmes.look_through import LookThrough
    from crossmargin.programmes.prime_house import PrimeHouse, PrimeMargins
    from crossmargin.programmes.programme import Programme

__all__ = ["HouseSettings", "Houses", "models_of"]

Model = TypeVar("Model")

TODAY: Final = {"HKSCC": "hkscc_var", "HKCC": "prime", "SEOCH": "prime"}
"""Each house's own model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseSettings:
    """How the houses' models are made from a market.

    Parameters
    ----------
    hkscc_days : int
        Trading days that HKSCC's scenarios cover: a trade settles two days after it is made. The house does
        not publish the horizon of its scenarios; this is ours.
    prime_days : int
        The same of PRiME's scan ranges: one day, as its procedures say.
    scenarios : ScenarioSettings, optional
        Parts and rules of the scenarios; HKSCC's published numbers with the worst days of the index with most
        prices unless given. Its horizon is not looked at.
    revaluation : RevaluationSettings
        How instruments are revalued in a scenario.
    hedging_instrument : str
        Fund against which HKSCC's liquidation add-on takes betas; where the market lacks it, the first
        instrument of HKSCC in order of name.
    participant : HksccParticipant, optional
        Settings of every participant at HKSCC without its own; those of the house's set in force unless given.
    participants : mapping of str to HksccParticipant
        Settings of single participants at HKSCC.
    """

    hkscc_days: int = 2
    prime_days: int = 1
    scenarios: ScenarioSettings | None = None
    revaluation: RevaluationSettings = field(default_factory=RevaluationSettings)
    hedging_instrument: str = "2800"
    participant: HksccParticipant | None = None
    participants: Mapping[str, HksccParticipant] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_within(self, {"hkscc_days": (1, 250), "prime_days": (1, 250)})

    @property
    def days(self) -> dict[str, int]:
        """Horizon of each house."""
        return {"HKSCC": self.hkscc_days, "HKCC": self.prime_days, "SEOCH": self.prime_days}

    def described(self) -> tuple[tuple[str, str], ...]:
        """Return every choice as text, for the provenance of a result."""
        own = [
            (name, str(getattr(self, name))) for name in ("hkscc_days", "prime_days", "hedging_instrument")
        ]
        return (*own, *((f"revaluation.{name}", text) for name, text in self.revaluation.described()))


@dataclass(frozen=True, kw_only=True, eq=False)
class Houses:
    """HKSCC, HKCC and SEOCH on one day; made by ``open_houses``.

    Parameters
    ----------
    market : Market
        Where everything comes from.
    snapshot : Snapshot
        Instruments and marks of the day; what the rows of ``Books`` number.
    accounts : ClearingAccounts
        Accounts and what they hold.
    histories : Histories
        From which the joint model's scenarios are made.
    hkscc : HksccHouse or None
        HKSCC's model; None where the market has no instrument of the house.
    prime : PrimeHouse or None
        PRiME, of HKCC and SEOCH; None where the market has no future and no option.
    look_through : LookThrough
        What instruments have in common.
    deltas : ndarray of float64, shape (instruments,)
        Cash delta of one unit of each instrument of the snapshot.
    scenarios : ScenarioSettings
        Parts and rules of every scenario set.
    settings : HouseSettings
        The choices made.
    findings : DataFrame
        ``subject``, ``kind``, ``action``: what was left out or replaced.
    """

    market: Market
    snapshot: Snapshot
    accounts: ClearingAccounts
    histories: Histories
    hkscc: HksccHouse | None
    prime: PrimeHouse | None
    look_through: LookThrough
    deltas: Float64[np.ndarray, " instruments"]
    scenarios: ScenarioSettings
    settings: HouseSettings
    findings: pl.DataFrame
    joint_models: dict[str, JointModel] = field(default_factory=dict)
    stand_ins_over: dict[int, StandIns] = field(default_factory=dict)
    kept: dict[tuple[str, str], KnownRisks] = field(default_factory=dict)

    @property
    def as_of(self) -> date:
        """The day."""
        return self.snapshot.as_of

    def holding(self, accounts: ClearingAccounts) -> Houses:
        """Return the same houses with other accounts or books."""
        return replace(self, accounts=accounts)

    def joint_model(self, horizon: str) -> JointModel:
        """Return the joint expected-shortfall model over a horizon, see ``Joint.horizon``; made once."""
        if horizon not in self.joint_models:
            cube = joint_cube(
                self.snapshot,
                self.histories,
                self.scenarios,
                horizon=horizon,
                days=self.settings.days,
                revaluation=self.settings.revaluation,
            )
            self.joint_models[horizon] = joint_model(self.snapshot, cube)
        return self.joint_models[horizon]

    def model(self, name: str, horizon: str = "max") -> HouseModel:
        """Return a margin method by its name in a programme.

        Raises
        ------
        InputError
            If the market has no instrument that the method starts from.
        """
        if name == "expected_shortfall":
            return self.joint_model(horizon)
        return self.prime_model if name == "prime" else self._present(self.hkscc, name)

    @property
    def prime_model(self) -> PrimeHouse:
        """PRiME; errors as ``model``."""
        return self._present(self.prime, "prime")

    @staticmethod
    def _present(model: Model | None, name: str) -> Model:
        if model is None:
            rule = "a market with instruments of the houses that use it"
            raise InputError([BadRecord(file="programme", line=0, field="models", value=name, rule=rule)])
        return model

    def market_risk(self, model: str, books: Books, horizon: str = "max") -> Int64[np.ndarray, " books"]:
        """Return the market risk of books by a model; of books asked for before, what was found then."""
        key = (model, horizon if model == "expected_shortfall" else "")
        known = self.kept.get(key, KnownRisks.none())
        risk, self.kept[key] = margined_once(known, books, self.model(model, horizon).market_risk)
        return risk

    @property
    def own_settings(self) -> bool:
        """Whether a participant has settings of its own at HKSCC."""
        return self.hkscc is not None and bool(self.hkscc.own_settings)

    def hkscc_risk(self, books: Books, participants: Sequence[str]) -> Int64[np.ndarray, " books"]:
        """Return HKSCC's market risk of books, by the settings of the participant of each."""
        if self.hkscc is None or not self.own_settings:
            return self.market_risk("hkscc_var", books)
        return self.hkscc.market_risk(books, participants)

    def union_risk(self, programme: Programme, model: str, books: Books) -> Int64[np.ndarray, " books"]:
        """Return the market risk of books of one owner's legs by a model of a programme.

        PRiME looks replicas of an index through where that lowers its margin; the joint model and HKSCC's have
        the moves of every share, and need not.
        """
        plain = self.market_risk(model, books, programme.joint.horizon)
        if model != "prime":
            return plain
        found = self.stand_ins.looked_through(books, minimum_coverage=programme.matching.minimum_coverage)
        return found.lower(plain, self.market_risk(model, found.books)) if found.number.size else plain

    @property
    def stand_ins(self) -> StandIns:
        """What stands in PRiME for replicas of indices, made once; errors as ``model``."""
        days = self.settings.prime_days
        if days not in self.stand_ins_over:
            scenarios = scenarios_from_histories(self.histories, replace(self.scenarios, horizon_days=days))
            span = self.prime_model.span
            self.stand_ins_over[days] = make_stand_ins(self.snapshot, span, self.look_through, scenarios)
        return self.stand_ins_over[days]

    def can_margin(self, programme: Programme) -> Bool[np.ndarray, " instruments"]:
        """Return which instruments may join: those of houses whose own model and whose common ones can margin them."""
        able = np.ones(len(self.snapshot.instruments), bool)
        horizon = programme.joint.horizon
        present = self.present
        for name in models_of(programme, present):
            able &= self.model(name, horizon).can_margin
        for house in present & {*programme.houses} if programme.mode != "silo" else ():
            cleared = (self.snapshot.instruments["house"] == house).to_numpy()
            able &= ~cleared | self.model(TODAY[house]).can_margin
        return able

    @cached_property
    def present(self) -> set[str]:
        """Houses that have an instrument with a mark; the others take no part in anything."""
        return set(self.snapshot.instruments["house"].unique())

    @cached_property
    def account_risk(self) -> Int64[np.ndarray, " accounts"]:
        """Market risk of each account by itself, by its house's own model of today."""
        risk = np.zeros(len(self.accounts), np.int64)
        books, cash = self.accounts.books, self.accounts.at("HKSCC")
        if cash.any():
            names = self.accounts.table["participant"].filter(pl.Series(cash)).to_list()
            risk[cash] = self.hkscc_risk(books.select(np.flatnonzero(cash)), names)
        if not cash.all():
            risk[~cash] = self.market_risk("prime", books.select(np.flatnonzero(~cash)))
        return risk

    @cached_property
    def prime_today(self) -> PrimeMargins:
        """What PRiME asks today of each account that is not at HKSCC; errors as ``model``."""
        return self.prime_model.accounts(
            self.accounts.books.select(np.flatnonzero(~self.accounts.at("HKSCC")))
        )

    def rest_risk(self, rest: Books) -> Int64[np.ndarray, " participants"]:
        """Return HKSCC's market risk of what its participants hold outside joint accounts, netted by participant."""
        if not self.accounts.at("HKSCC").any():
            return np.zeros(len(self.accounts.participants), np.int64)
        return self.hkscc_risk(self.by_participant(rest), self.accounts.participants)

    def by_participant(self, books: Books) -> Books:
        """Return what each participant holds at HKSCC; the house knows no gross basis."""
        owner = np.where(self.accounts.at("HKSCC"), self.accounts.participant, -1)
        netted = books.regrouped(owner, len(self.accounts.participants))
        return replace(netted, gross=np.zeros(netted.count, bool))

    @cached_property
    def hkscc_today(self) -> HksccMargins | None:
        """HKSCC's margin of every participant today; None where nobody has an account there."""
        if self.hkscc is None or not self.accounts.at("HKSCC").any():
            return None
        return self.hkscc.participants(self.by_participant(self.accounts.books), self.accounts.participants)

    @cached_property
    def hkscc_risk_today(self) -> Int64[np.ndarray, " participants"]:
        """HKSCC's market risk of every participant today; 0 of those without an account there."""
        margins = self.hkscc_today
        if margins is None:
            return np.zeros(len(self.accounts.participants), np.int64)
        return margins.charges.portfolio_margin + margins.charges.flat_rate_margin

    def hkscc_requirement(
        self, market_risk: Int64[np.ndarray, " participants"]
    ) -> Int64[np.ndarray, " participants"]:
        """Return HKSCC's call of each participant where its market risk is this."""
        margins = self.hkscc_today
        if margins is None or self.hkscc is None:
            return np.zeros(len(self.accounts.participants), np.int64)
        present = np.bincount(self.accounts.participant, self.accounts.at("HKSCC"), market_risk.size) > 0
        return np.where(present, self.hkscc.calls(margins, market_risk).total, 0)

    @cached_property
    def today(self) -> Calls:
        """What each house calls today."""
        return calls_of_today(self)

    def described(self) -> tuple[tuple[str, str], ...]:
        """Return every choice behind the models as text, for the provenance of a result."""
        scenarios = ((f"scenarios.{name}", text) for name, text in self.scenarios.described())
        own = [] if self.hkscc is None else sorted(self.hkscc.own_settings.items())
        participants = ((f"participants.{name}", one.content_hash) for name, one in own)
        return (*self.settings.described(), *scenarios, *participants)

    @property
    def parameter_sets(self) -> tuple[str, ...]:
        """Ids of the dated parameter sets that were used."""
        return () if self.hkscc is None else (self.hkscc.settings.parameter_set,)

    @cached_property
    def input_hashes(self) -> tuple[tuple[str, str], ...]:
        """SHA-256 of what went in."""
        hashes = [
            ("market", self.market.content_hash),
            ("marks", self.snapshot.content_hash),
            ("accounts and positions", self.accounts.content_hash),
        ]
        if self.hkscc is not None:
            hashes.append(("HKSCC risk parameters", self.hkscc.parameters.content_hash))
        if self.prime is not None:
            hashes.append(("PRiME risk parameters", self.prime.span.own.content_hash))
        return tuple(hashes)


def models_of(programme: Programme, present: Collection[str] = HOUSES) -> tuple[str, ...]:
    """Return the models that margin several houses' positions as one, each once, in the order of the houses.

    Parameters
    ----------
    programme : Programme
        Its mode, houses and models.
    present : collection of str
        Houses that there are in the market; the models of others are not asked.
    """
    if programme.mode in {"silo", "spread_credit"}:
        return ()
    own = [programme.model_of(house) for house in programme.houses if house in present]
    if programme.mode == "two_pot_lesser":
        return tuple(dict.fromkeys(own))
    pooled = programme.mode != "transfer_optimise" and programme.joint.combine != "joint"
    return tuple(dict.fromkeys([*(own if pooled else []), "expected_shortfall"]))
