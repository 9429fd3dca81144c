"""A cross-margining programme: every choice that a design of the arrangement leaves open, as a frozen value."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Final

from crossmargin.core.columns import require_choice, require_within
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.market import HOUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ATTRIBUTIONS",
    "GUARANTEES",
    "MODELS",
    "MODES",
    "SPLITS",
    "Attribution",
    "Default",
    "Eligibility",
    "Joint",
    "Matching",
    "Programme",
    "Saving",
    "Transfer",
]

MODES: Final = (
    "silo",
    "spread_credit",
    "two_pot_lesser",
    "one_pot_joint",
    "transfer_optimise",
    "merged_ccp",
)
MODELS: Final = ("hkscc_var", "prime", "expected_shortfall")
ATTRIBUTIONS: Final = ("pro_rata", "euler", "shapley")
GUARANTEES: Final = ("none", "surplus_transfer", "pool")
SPLITS: Final = ("equal", "stand_alone", "reduced", "reduction", "loss")
IN_FORCE: Final = "in force: the houses' own rules of today, reproduced"
HYPOTHETICAL: Final = "hypothetical: no such arrangement is in force"
ACCOUNT_TYPES: Final = ("house", "omnibus", "individual", "market-maker", "offset-claim")
KINDS: Final = ("equity", "etf", "future", "option")
MISSING: Final = ("last_good", "zero", "silo")
NAME: Final = re.compile(r"[^\W_]")
PAIRS: Final = tuple("-".join(pair) for pair in combinations(HOUSES, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligibility:
    """Whose accounts and which positions may be margined together; law and opt-in as switches.

    Parameters
    ----------
    account_types : tuple of str
        DCASS account types that may join. An account on a gross basis never does: it holds positions of many
        clients, which do not offset each other.
    kinds : tuple of str
        Kinds of instruments that may join.
    underlyings : tuple of str
        Underlyings whose instruments may join; empty for all.
    without_instruments : tuple of str
        Instruments that may not.
    same_owner : bool
        Only accounts of one owner are joined; otherwise all eligible accounts of a participant's group.
    consent : bool
        Whether an account joins only if its owner agreed.
    without_opinion : tuple of str
        Pairs of houses, as in "HKSCC-SEOCH", between which close-out netting is not held enforceable: nothing is
        joined across them.
    hkscc_origin : {"split", "participant"}
        HKSCC nets all positions of a participant. "split": positions that join are taken out of that net and
        margined apart; "participant": they stay in it, and a joint account has its part of the participant's
        margin, pro rata. What nets there against others' positions and hedges at another house is then counted
        twice: the saving is larger, and not all of it is covered.
    """

    account_types: tuple[str, ...] = ("house", "market-maker", "individual")
    kinds: tuple[str, ...] = KINDS
    underlyings: tuple[str, ...] = ()
    without_instruments: tuple[str, ...] = ()
    same_owner: bool = True
    consent: bool = True
    without_opinion: tuple[str, ...] = ()
    hkscc_origin: str = "split"

    def __post_init__(self) -> None:
        require_choice(self.hkscc_origin, "hkscc_origin", ("split", "participant"))
        _require_all(self.account_types, "account_types", ACCOUNT_TYPES)
        _require_all(self.kinds, "kinds", KINDS)
        _require_all(self.without_opinion, "without_opinion", PAIRS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What bounds the saving of one joint account.

    Parameters
    ----------
    minimum : float
        A smaller share of the stand-alone sum saves nothing.
    cap : float
        Largest saving as a share of the stand-alone sum (CME and FICC: 0.80); 1 for no cap.
    emir_share : float
        Largest saving as a share of stand-alone sum less joint margin (EU 153/2013, Art. 27: 0.80); 1 for none.
    allow_increase : bool
        Whether a joint margin above the stand-alone sum is called, or only told.
    enters : {"market_risk", "requirement"}
        Where a saving enters a house's order of operations: the aggregated market risk, before holiday add-on,
        rounding, favourable marks, credits and option value; or the requirement that comes out of them, which
        a margin credit may already have taken away.
    """

    minimum: float = 0.01
    cap: float = 0.80
    emir_share: float = 1.0
    allow_increase: bool = False
    enters: str = "market_risk"

    def __post_init__(self) -> None:
        require_choice(self.enters, "enters", ("market_risk", "requirement"))
        require_within(self, {"minimum": (0.0, 1.0), "cap": (0.0, 1.0), "emir_share": (0.0, 1.0)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """How several houses' positions are margined as one.

    Parameters
    ----------
    combine : {"joint", "min", "max"}
        One pot: the joint expected shortfall, or the lower or higher of the houses' own models on all positions.
    horizon : {"max", "square root", "per_house"}
        Of the joint model: the longest of the houses' horizons, as overlapping windows or as one-day moves ×
        √days; or each house's products over that house's own.
    concentration : {"per_house", "joint"}
        Whether liquidation add-ons look at each house's positions alone, or at one name's shares, futures and
        options together; together they may be higher.
    basis_charge : float
        Charged on each HKD of index exposure that offsets across different kinds of instruments (future, fund,
        basket), for what their prices may come apart beyond the scenarios; a fraction.
    """

    combine: str = "joint"
    horizon: str = "max"
    concentration: str = "per_house"
    basis_charge: float = 0.0

    def __post_init__(self) -> None:
        require_choice(self.combine, "combine", ("joint", "min", "max"))
        require_choice(self.horizon, "horizon", ("max", "square root", "per_house"))
        require_choice(self.concentration, "concentration", ("per_house", "joint"))
        require_within(self, {"basis_charge": (0.0, 1.0)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """How a joint requirement falls on the houses.

    Parameters
    ----------
    rule : {"pro_rata", "euler", "shapley"}
        By stand-alone margin; by expected shortfall in the joint tail; by mean marginal contribution.
    floor : float
        No house holds less than this share of its stand-alone margin; the rest falls on the others.
    """

    rule: str = "pro_rata"
    floor: float = 0.0

    def __post_init__(self) -> None:
        require_choice(self.rule, "rule", ATTRIBUTIONS)
        require_within(self, {"floor": (0.0, 1.0)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Spread credit: what matched legs still pay.

    Parameters
    ----------
    index_charge : float
        Share of stand-alone margin that index futures matched with a fund or a replica of the index pay.
    far_charge : float
        The same where the future is not of the nearest expiry.
    stock_charge : float
        The same of stock options, by delta, matched with their stock.
    minimum_coverage : float
        Share of the constituents' weight that a basket must have to be a replica; 1 as in India.
    """

    index_charge: float = 0.25
    far_charge: float = 0.35
    stock_charge: float = 0.25
    minimum_coverage: float = 1.0

    def __post_init__(self) -> None:
        require_within(
            self,
            dict.fromkeys(("index_charge", "far_charge", "stock_charge"), (0.0, 1.0))
            | {"minimum_coverage": (0.01, 1.0)},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Moving futures into the pot with the longer horizon.

    Parameters
    ----------
    exact_futures : int
        Accounts with at most so many futures are solved exactly, larger ones with a proven gap.
    gap : float
        Relative gap at which the exact solver may stop.
    """

    exact_futures: int = 8
    gap: float = 1e-6

    def __post_init__(self) -> None:
        require_within(self, {"exact_futures": (0, 1_000), "gap": (0.0, 1.0)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """Who bears the loss after a default.

    Parameters
    ----------
    guarantee : {"none", "surplus_transfer", "pool"}
        Each house alone; surpluses cover other houses' deficits; all is pooled.
    split : {"equal", "stand_alone", "reduced", "reduction", "loss"}
        How the shortfall of a pool falls on the houses: equally, or by stand-alone margin, margin held,
        reduction received, or own loss.
    """

    guarantee: str = "none"
    split: str = "equal"

    def __post_init__(self) -> None:
        require_choice(self.guarantee, "guarantee", GUARANTEES)
        require_choice(self.split, "split", SPLITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """A design of cross-margining.

    Parameters
    ----------
    name : str
        Said in every result.
    mode : {"silo", "spread_credit", "two_pot_lesser", "one_pot_joint", "transfer_optimise", "merged_ccp"}
        Each house alone; matched legs pay a share; each house's model on all positions, the lesser saving for
        all; one requirement on all positions; futures moved to the longer pot; one house.
    houses : tuple of str
        Houses that take part; the others stay as they are.
    description : str
        One sentence for reports.
    legal_status : str
        What holds in law; said on every result. Unless given, that silos are in force and all else is not.
    models : tuple of str
        Of each of ``houses``, the method by which it margins its own and the other's products: ``hkscc_var``,
        ``prime`` or ``expected_shortfall``.
    eligibility, saving, joint, attribution, matching, transfer, default
        See there.
    counterpart_missing : {"last_good", "zero", "silo"}
        What an account does while the file of another of its houses is missing: keep the saving of the last
        good run; keep its books and save nothing; or go back to the books of today.
    """

    name: str
    mode: str
    houses: tuple[str, ...] = HOUSES
    description: str = ""
    legal_status: str = ""
    models: tuple[str, ...] = ()
    eligibility: Eligibility = field(default_factory=Eligibility)
    saving: Saving = field(default_factory=Saving)
    joint: Joint = field(default_factory=Joint)
    attribution: Attribution = field(default_factory=Attribution)
    matching: Matching = field(default_factory=Matching)
    transfer: Transfer = field(default_factory=Transfer)
    default: Default = field(default_factory=Default)
    counterpart_missing: str = "last_good"

    def __post_init__(self) -> None:
        bad = [*_repeated_or_unknown(self.houses, "houses", HOUSES), *self._bad()]
        bad += [
            _bad(name, str(getattr(self, name)), f"one of {', '.join(choices)}")
            for name, choices in (("mode", MODES), ("counterpart_missing", MISSING))
            if getattr(self, name) not in choices
        ]
        if bad:
            raise InputError(bad)

    def _bad(self) -> Iterator[BadRecord]:
        if not NAME.match(self.name):
            yield _bad("name", self.name, "a name that begins with a letter or a digit")
        if self.mode != "silo" and len(self.houses) < 2:  # noqa: PLR2004
            yield _bad("houses", ", ".join(self.houses), "at least two")
        if self.models and len(self.models) != len(self.houses):
            yield _bad("models", ", ".join(self.models), "one of each house")
        if unknown := [model for model in self.models if model not in MODELS]:
            yield _bad("models", ", ".join(unknown), f"each of {', '.join(MODELS)}")

    @property
    def status(self) -> str:
        """What holds in law."""
        return self.legal_status or (IN_FORCE if self.mode == "silo" else HYPOTHETICAL)

    def model_of(self, house: str) -> str:
        """Return the method of a house: as chosen, or its own of today."""
        if self.models and house in self.houses:
            return self.models[self.houses.index(house)]
        return "hkscc_var" if house == "HKSCC" else "prime"


def _require_all(values: tuple[str, ...], name: str, choices: tuple[str, ...]) -> None:
    if bad := _repeated_or_unknown(values, name, choices):
        raise InputError(bad)


def _repeated_or_unknown(values: tuple[str, ...], name: str, choices: tuple[str, ...]) -> list[BadRecord]:
    """Return a record of each value that is none of the choices, or stands twice."""
    rule = f"each of {', '.join(choices)} at most once"
    return [
        _bad(name, str(value), rule)
        for place, value in enumerate(values)
        if value not in choices or value in values[:place]
    ]


def _bad(field_name: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file="programme", line=0, field=field_name, value=value, rule=rule)
