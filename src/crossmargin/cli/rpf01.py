"""Commands that make HKSCC's risk parameter files from a user's own histories."""

from __future__ import annotations

from datetime import date  # noqa: TC003  (the parser reads the annotations)
from pathlib import Path  # noqa: TC003  (the same)
from typing import TYPE_CHECKING

from cyclopts import App

from crossmargin.cli.pipeline import Run, chosen_settings, last_day, load_market, rows_read, scenarios_of
from crossmargin.cli.places import require_places
from crossmargin.cli.shared import deliver, printed
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from crossmargin.models.hkscc.parameters import HksccParameters
    from crossmargin.models.scenarios.part_rules import AntiProcyclical

__all__ = ["app"]

app = App(name="rpf01", help="Risk parameter files in HKSCC's format.")


@app.command
def build(
    *,
    market: Path,
    out: Path,
    as_of: date | None = None,
    settings: Path | None = None,
    stress_factor: str | None = None,
) -> None:
    """Write an RPF01 file from a market's histories, which the hkscc command reads.

    Filtered historical scenarios are its HVaR, stressed days its SVaR; what has no scenarios of its own
    gets a flat rate. The numbers are those of this program, not the house's.

    Parameters
    ----------
    market
        Market folder with instruments of HKSCC.
    out
        The file; not in the market folder.
    as_of
        Valuation date; the last day with a price unless given.
    settings
        TOML file as of ``scenarios build``, without an anti-procyclical buffer, which the file cannot carry.
    stress_factor
        Risk factor whose worst days are the stressed ones; the index with most prices unless given.
    """
    from crossmargin.formats.hkscc.rpf01_writer import write_rpf01  # noqa: PLC0415
    from crossmargin.models.hkscc.from_scenarios import rpf01_parameters  # noqa: PLC0415
    from crossmargin.reports.engine import rpf01_report  # noqa: PLC0415

    require_places(market, {"--out": out})
    run = Run()
    loaded = run.stage("read market", lambda: load_market(market), rows_read)
    day = as_of or last_day(loaded)
    rules = chosen_settings(loaded, day, "blend", settings, stress_factor).scenarios
    _require_no_buffer(rules.anti_procyclical, settings)
    findings, scenarios = scenarios_of(run, loaded, day, rules)
    made = run.stage("make parameters", lambda: rpf01_parameters(scenarios, loaded), _parameters_size)
    run.stage("write file", lambda: write_rpf01(made, out), lambda _: _file_size(out))
    shown = rpf01_report(run.stages, scenarios, made, findings, loaded.data_note)
    deliver(printed(shown), None)


def _parameters_size(made: HksccParameters) -> tuple[str, int]:
    scenarios, flat = len(made.scenario_instruments), len(made.flat_rate)
    words = f"{scenarios:,} instruments with scenarios, {flat:,} with a flat rate"
    return words, made.returns.nbytes


def _file_size(out: Path) -> tuple[str, int]:
    return out.name, out.stat().st_size


def _require_no_buffer(anti: AntiProcyclical, settings: Path | None) -> None:
    """Refuse a buffer, which the file could not carry: its reader would ask for less than was set."""
    if anti.multiplier > 1.0:
        rule = "0, or all of it drawn: a risk parameter file has no place for a buffer"
        value = str(anti.buffer_rate)
        record = BadRecord(
            file=str(settings), line=0, field="anti_procyclical.buffer_rate", value=value, rule=rule
        )
        raise InputError([record])
