"""What a programme comes to: for the system, each house, participant, account and joint account.

Amounts in frames are exact decimals of the market's currency; shares are fractions of what is called today.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from crossmargin.core.breakdown import Component
    from crossmargin.core.provenance import Provenance
    from crossmargin.programmes.programme import Programme

__all__ = ["Comparison", "Explainer", "JointAccount", "ProgrammeResult"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointAccount:
    """One joint account, explained.

    Parameters
    ----------
    name : str
        Participant and owner.
    breakdown : Component
        The requirement; its parts are the steps from the stand-alone margins to it.
    steps : DataFrame
        ``step``, ``amount``: the same as a waterfall; the first rows are what each house calls of these accounts
        today, the last is what they call under the programme, those between are signed.
    tail : DataFrame
        ``part``, ``scenario``, then profit and loss of each house's leg in the worst scenarios of the joint
        account by the joint model, and ``joint``: gain-positive, worst first.
    correlations : DataFrame
        ``house``, ``other``, ``part`` of the scenarios, ``correlation`` of the two legs' profit and loss,
        ``in_tail`` (over the worst tenth of the joint account's scenarios), ``lowest`` (in blocks of 250).
    positions : DataFrame
        ``house``, ``instrument``, ``quantity``, ``contribution`` to the joint expected shortfall.
    default : DataFrame
        Who bears the worst scenario of ``tail``, a row a house: ``house``, ``margin`` (market risk held),
        ``loss`` (gains negative), ``net``, ``paid`` and ``received`` under the programme's loss sharing,
        ``own_fund_loss``, ``returned``.
    """

    name: str
    breakdown: Component
    steps: pl.DataFrame
    tail: pl.DataFrame
    correlations: pl.DataFrame
    positions: pl.DataFrame
    default: pl.DataFrame


class Explainer(Protocol):
    """What explains one joint account of a result."""

    def __call__(self, name: str) -> JointAccount:
        """Return the joint account of a name; ``InputError`` where there is none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgrammeResult:
    """One programme on one day.

    Parameters
    ----------
    programme : Programme
        What was evaluated.
    as_of : date
        The day.
    currency : str
        Of every amount.
    accounts : DataFrame
        A row an account: ``account``, ``participant``, ``group``, ``owner``, ``house``, ``type``,
        ``joint_account`` (null where it is in none), ``why_not`` (empty where it is in one), ``today``,
        ``requirement``, ``saving``, ``share``. HKSCC margins participants: an account has its part of
        the participant's requirement, by stand-alone market risk; parts add up to the cent.
    joint_accounts : DataFrame
        A row a joint account: ``joint_account``, ``participant``, ``owner``, ``houses`` ("HKSCC + HKCC"),
        ``stand_alone`` (market risk, sum of the houses' own), ``joint`` (asked for before limits), ``left`` (market
        risk that is left), ``saving``, ``share``, ``binding``; for each house ``stand_alone:HKSCC`` … and
        ``left:HKSCC`` …; for each model ``found:prime`` … (saving that the model finds, a fraction);
        ``uncovered_before``, ``uncovered_apart`` (expected shortfall of each leg beyond what its house holds
        without the programme, and with it: what falls on houses if gains elsewhere do not reach them) and
        ``uncovered_together`` (of all legs beyond what all houses hold).
    participants : DataFrame
        ``participant``, ``group``, ``house``, ``today``, ``requirement``, ``saving``, ``share``.
    houses : DataFrame
        ``house``, ``today``, ``requirement``, ``saving``, ``share``, ``joint_accounts``.
    steps : DataFrame
        ``step``, ``amount``: waterfall of the system from today's requirement to the programme's.
    risen : DataFrame
        Where the joint margin is higher than the sum of stand-alone ones, or the split costs more than is saved:
        ``subject``, ``stand_alone``, ``joint``, ``rise``, ``called`` (whether the programme calls it), ``why``.
    provenance : Provenance
        What it takes to make it again.
    explain : callable
        Joint account by name → ``JointAccount``.
    missing : tuple of str
        Houses whose positions were not known: they call nothing here, which is no requirement of 0.
    """

    programme: Programme
    as_of: date
    currency: str
    accounts: pl.DataFrame
    joint_accounts: pl.DataFrame
    participants: pl.DataFrame
    houses: pl.DataFrame
    steps: pl.DataFrame
    risen: pl.DataFrame
    provenance: Provenance
    explain: Explainer
    missing: tuple[str, ...] = ()

    @property
    def today(self) -> Decimal:
        """What the houses call today, in all."""
        return self._total("today")

    @property
    def requirement(self) -> Decimal:
        """What they call under the programme."""
        return self._total("requirement")

    @property
    def saving(self) -> Decimal:
        """How much less that is."""
        return self.today - self.requirement

    @property
    def share(self) -> float:
        """The saving as a share of what is called today."""
        return float(self.saving / self.today) if self.today else 0.0

    def _total(self, column: str) -> Decimal:
        return sum(self.houses[column], Decimal(0))

    def of(self, joint_account: str) -> JointAccount:
        """Return one joint account, explained.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        return self.explain(joint_account)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Several programmes on the same market and day, side by side.

    Parameters
    ----------
    market : str
        Its name.
    data_note : str
        What the data say of themselves.
    results : tuple of ProgrammeResult
        In the order asked for.
    findings : DataFrame
        ``subject``, ``kind``, ``action``: what was left out or replaced on the way.
    """

    market: str
    data_note: str
    results: tuple[ProgrammeResult, ...]
    findings: pl.DataFrame
