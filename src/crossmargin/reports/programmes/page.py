"""A comparison of programmes as one page that needs nothing else: no network, no font, not even a script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crossmargin.models.market import HOUSES
from crossmargin.reports.page import page_frame, page_templates
from crossmargin.reports.programmes.account_section import account_section
from crossmargin.reports.programmes.figures import COLOURS
from crossmargin.reports.programmes.origin_section import origin_section
from crossmargin.reports.programmes.participant_section import participant_section
from crossmargin.reports.programmes.summary import largest_saving
from crossmargin.reports.programmes.system_section import risen_section, system_section
from crossmargin.reports.sources import legal_statuses

if TYPE_CHECKING:
    from crossmargin.programmes.result import Comparison

__all__ = ["PARTICIPANTS", "comparison_page"]

PARTICIPANTS: Final = 50
"""How many of the largest participants are listed unless told otherwise."""


def comparison_page(
    comparison: Comparison, *, highlighted: str | None = None, participants: int = PARTICIPANTS
) -> bytes:
    """Return the page: HTML with everything inside, the same bytes for the same comparison.

    Parameters
    ----------
    comparison : Comparison
        What was evaluated; at least one result.
    highlighted : str, optional
        Joint account that is explained, under the programme in which it saves most; the one with the largest
        saving unless given.
    participants : int
        How many of the participants with the largest requirements of today are listed.

    Raises
    ------
    InputError
        If no programme makes the joint account.
    """
    name = largest_saving(comparison) if highlighted is None else highlighted
    account = None if name is None else account_section(comparison, name)
    environment = page_templates("crossmargin.reports.programmes")
    text = environment.get_template("page.html.j2").render(
        comparison=comparison,
        first=comparison.results[0],
        legal_status=legal_statuses(
            [(result.programme.name, result.provenance) for result in comparison.results]
        ),
        houses=[(house, COLOURS[house]) for house in HOUSES],
        frame=page_frame(environment),
        system=system_section(comparison),
        people=participant_section(comparison, participants),
        account=account,
        risen=risen_section(comparison),
        origin=origin_section(comparison),
    )
    return text.encode()
