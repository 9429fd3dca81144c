"""The command that stresses a programme."""

from __future__ import annotations

from datetime import date  # noqa: TC003  (the parser reads the annotations)
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from crossmargin.cli.pipeline import last_day, load_market
from crossmargin.cli.places import require_report_folder
from crossmargin.cli.progress import progress_bar
from crossmargin.cli.shared import all_read, deliver, printed, solver_output_to_error

if TYPE_CHECKING:
    from crossmargin.programmes.programme import Programme
    from crossmargin.programmes.stress.library import StressScenario
    from crossmargin.programmes.stress.result import StressResult

__all__ = ["stress"]

Files = Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())]
Groups = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]


def stress(
    *,
    market: Path,
    programme: str = "three-linked",
    as_of: date | None = None,
    scenarios: Files = None,
    defaulters: Groups = None,
    horizon: int = 2,
    cover: Literal[1, 2] | None = None,
    client_gains: bool = False,
    fund_rules_of: date | None = None,
    close_out: bool = True,
    out: Path | None = None,
    form: Annotated[Literal["table", "json"], Parameter(name="--format")] = "table",
) -> None:
    """Stress a programme: losses over margin, default funds, waterfall and reverse stress, before and after.

    Each house with its stand-alone margin and fund, linked by the programme with and without its guarantee, and with
    one fund.

    Parameters
    ----------
    market
        Market folder.
    programme
        A TOML file, or the name of a design: silo, hkcc-seoch-linked, three-linked, one-pot, merged.
    as_of
        Day of positions and marks; the last day with a price unless given.
    scenarios
        TOML files of scenarios in place of the library that ships with the package.
    defaulters
        Groups of participants whose default runs down the waterfall; unless given those that lose most over margin.
    horizon
        Trading days over which past moves are taken; stated moves are taken as they are.
    cover
        Groups that default together; each fund's own standard unless given.
    client_gains
        Let gains and margin of one client of a group pay for another's losses.
    fund_rules_of
        Day of the rules of default funds; the day of the stress test unless given.
    close_out
        Close the books of the groups in default out, over several days, together and house by house.
    out
        Folder for the report: one HTML page, tables as CSV, disclosure rows, everything as JSON.
    """
    from crossmargin.programmes.stress.run import run_stress  # noqa: PLC0415
    from crossmargin.programmes.stress.settings import StressSettings  # noqa: PLC0415

    require_report_folder(market, out)
    chosen, library = _read(programme, scenarios)
    settings = StressSettings(
        scenarios=library,
        horizon_days=horizon,
        cover=cover,
        defaulters=tuple(defaulters or ()),
        client_gains=client_gains,
        rules_day=fund_rules_of,
        closes_out=close_out,
    )
    with progress_bar(None) as note:
        note("read market")
        loaded = load_market(market)
        with solver_output_to_error():
            result = run_stress(loaded, chosen, as_of or last_day(loaded), settings, note)
        note("report")
        content = _content(result, form)
        _write(result, out)
    deliver(content, None)


def _read(programme: str, scenarios: list[Path] | None) -> tuple[Programme, tuple[StressScenario, ...]]:
    """Read programme and scenarios, listing what is wrong with any file."""
    from crossmargin.formats.programme_files import chosen_programme  # noqa: PLC0415
    from crossmargin.formats.stress_files import read_stress_scenarios, stress_library  # noqa: PLC0415

    chosen, library = all_read(
        lambda: chosen_programme(programme),
        lambda: stress_library() if scenarios is None else read_stress_scenarios(scenarios),
    )
    return chosen, library


def _content(result: StressResult, form: Literal["table", "json"]) -> bytes:
    from crossmargin.reports.validation.documents import validation_document  # noqa: PLC0415
    from crossmargin.reports.validation.terminal import stress_report  # noqa: PLC0415

    return validation_document(result, "json") if form == "json" else printed(stress_report(result))


def _write(result: StressResult, out: Path | None) -> None:
    from crossmargin.reports.validation.documents import write_validation  # noqa: PLC0415

    if out is not None:
        write_validation(out, None, result, None)
