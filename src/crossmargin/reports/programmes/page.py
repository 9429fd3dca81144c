"""A comparison of programmes as one page that needs nothing else: no network, no font, not even a script."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

from crossmargin.models.market import HOUSES
from crossmargin.reports.programmes.account_section import account_section
from crossmargin.reports.programmes.amounts import full_amount, millions, percent
from crossmargin.reports.programmes.figures import COLOURS
from crossmargin.reports.programmes.origin_section import origin_section
from crossmargin.reports.programmes.participant_section import participant_section
from crossmargin.reports.programmes.summary import largest_saving
from crossmargin.reports.programmes.system_section import risen_section, system_section

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

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
    environment = _environment()
    script = _source(environment, "page.js")
    text = environment.get_template("page.html.j2").render(
        comparison=comparison,
        first=comparison.results[0],
        legal_status=_legal_status(comparison),
        houses=[(house, COLOURS[house]) for house in HOUSES],
        style=_own(_source(environment, "page.css")),
        script=_own(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        system=system_section(comparison),
        people=participant_section(comparison, participants),
        account=account,
        risen=risen_section(comparison),
        origin=origin_section(comparison),
    )
    return text.encode()


def _legal_status(comparison: Comparison) -> list[tuple[str, str]]:
    """Return each legal status with the names of the programmes that have it."""
    names: dict[str, list[str]] = {}
    for result in comparison.results:
        names.setdefault(result.provenance.legal_status, []).append(result.programme.name)
    return [(status, ", ".join(having)) for status, having in names.items()]


def _environment() -> Environment:
    """Return templates that escape what comes from data and fail on a name they do not know."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("crossmargin.reports.programmes"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(full=full_amount, millions=millions, percent=percent)
    return environment


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()


def _own(text: str) -> Markup:
    from markupsafe import Markup  # noqa: PLC0415

    return Markup(text)  # noqa: S704 - the package's own style and script
