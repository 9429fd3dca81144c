"""What every page of the package shares: templates that escape, the style, and the script with its hash."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crossmargin.reports.amounts import full_amount, millions, percent

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["PageFrame", "page_frame", "page_templates"]


@dataclass(frozen=True, slots=True)
class PageFrame:
    """Style and script of a page, and the hash by which the page allows its script and no other."""

    style: Markup
    script: Markup
    script_hash: str


def page_templates(package: str) -> Environment:
    """Return templates of a package, and the shared ones behind them.

    They escape what comes from data and fail on a name they do not know.

    Parameters
    ----------
    package : str
        Dotted name of the package whose folder ``templates`` has the page.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("crossmargin.reports")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(full=full_amount, millions=millions, percent=percent)
    return environment


def page_frame(environment: Environment, *styles: str) -> PageFrame:
    """Return the shared style, followed by others of the page, and the shared script.

    Parameters
    ----------
    styles : str
        Names of templates with further rules.
    """
    script = _source(environment, "page.js")
    style = "\n".join(_source(environment, name) for name in ("page.css", *styles))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return PageFrame(_own(style), _own(script), digest)


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()


def _own(text: str) -> Markup:
    from markupsafe import Markup  # noqa: PLC0415

    return Markup(text)  # noqa: S704 - the package's own style and script
