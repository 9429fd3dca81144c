"""Commands of the scenario engine: build scenarios and a cube, margin on it, try a trade."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date  # noqa: TC003  (the parser reads the annotations)
from functools import partial
from pathlib import Path  # noqa: TC003  (the same)
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from crossmargin.cli.cube_source import CubeSource, open_stored
from crossmargin.cli.notes import account_notes
from crossmargin.cli.pipeline import (
    Grouping,
    Method,
    Run,
    built,
    chosen_settings,
    keep,
    last_day,
    load_market,
    margins_by,
    rows_read,
)
from crossmargin.cli.places import require_places
from crossmargin.cli.shared import Format, all_read, deliver, printed, require_file
from crossmargin.cli.trades import read_trades, require_cleared
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from crossmargin.models.expected_shortfall.margin import EsMargins
    from crossmargin.models.expected_shortfall.what_if import EsChange
    from crossmargin.models.revaluation.cube import ScenarioCube

__all__ = ["app", "margin", "whatif"]

app = App(name="scenarios", help="Scenario sets and cubes of profit and loss.")


@app.command
def build(
    *,
    market: Path,
    as_of: date | None = None,
    method: Method = "blend",
    settings: Path | None = None,
    stress_factor: str | None = None,
    out: Path | None = None,
    findings: Path | None = None,
) -> None:
    """Make scenarios from a market's histories and value every instrument in each.

    Parameters
    ----------
    market
        Market folder.
    as_of
        Day of marks; the last day with a price unless given.
    method
        Filtered historical simulation, plain historical, stressed days, or filtered historical and
        stressed days blended.
    settings
        TOML file with settings of histories, scenarios and revaluation.
    stress_factor
        Risk factor whose worst days are the stressed ones, for example spot:HSI; the index with most
        prices unless given.
    out
        Folder for the scenario set and the cube; without it nothing is kept. A cube of the same inputs that
        stands there is verified, about a second a gigabyte or two, and left as it is; a damaged one is
        made anew.
    findings
        CSV file for everything that was found in histories, marks and volatilities, one row each.
    """
    from crossmargin.reports.engine import all_findings, build_report  # noqa: PLC0415

    require_places(market, {"--findings": findings}, out)
    run = Run()
    loaded = run.stage("read market", lambda: load_market(market), rows_read)
    day = as_of or last_day(loaded)
    chosen = chosen_settings(loaded, day, method, settings, stress_factor)
    made = built(run, loaded, day, chosen, out)
    if out is not None:
        keep(run, made, out)
    if findings is not None:
        deliver(all_findings(made.findings, made.cube.findings).write_csv().encode(), findings)
    deliver(printed(build_report(run.stages, made.scenarios, made.cube, made.findings)), None)


@app.command(name="show")
def show_cube(cube: Path, /, *, verify: bool = False) -> None:
    """Show what a stored cube is.

    Parameters
    ----------
    cube
        Folder that ``scenarios build`` wrote.
    verify
        Read every row and compare its hash with the one written: about a second a gigabyte or two.
    """
    from crossmargin.reports.engine import build_report  # noqa: PLC0415

    run = Run()
    scenarios, stored = open_stored(run, cube, verify=verify)
    deliver(printed(build_report(run.stages, scenarios, stored)), None)


def margin(
    *,
    market: Path,
    model: Literal["expected-shortfall"] = "expected-shortfall",
    as_of: date | None = None,
    cube: Path | None = None,
    method: Method | None = None,
    settings: Path | None = None,
    stress_factor: str | None = None,
    by: Grouping = "account",
    account: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    explain: bool = False,
    format: Format = "table",  # noqa: A002
    out: Path | None = None,
) -> None:
    """Margin every account of a market on one set of scenarios for all houses.

    Parameters
    ----------
    market
        Market folder.
    model
        Expected shortfall with full revaluation.
    as_of
        Day of positions and marks; that of the cube, or the last day with a price, unless given.
    cube
        Folder that ``scenarios build`` wrote; without it the cube is made anew. Every row is verified, which
        takes about a second a gigabyte or two.
    method
        As of ``scenarios build``, blend unless given; like the next two refused beside a cube, which has its own.
    settings
        As of ``scenarios build``.
    stress_factor
        As of ``scenarios build``.
    by
        Whose positions are margined together: each account's, or those of all accounts of an owner or a
        participant, whatever the house, the accounts' basis and consent to cross-margining.
    account
        Show the breakdown of these accounts (owners, participants) only.
    explain
        Show the scenarios of the tail and what each position brings, of every account unless some are named.
    format
        What to print. JSON always holds the explanation. CSV and Parquet hold a row an account or, of
        accounts that are named, a row a component.
    out
        Write to this file instead of printing; not in the market folder.
    """
    assert model == "expected-shortfall"
    require_file(format, out)
    require_places(market, {"--out": out})
    loaded, _, _, stored = CubeSource(market, as_of, cube, method, settings, stress_factor).open()
    margins = margins_by(loaded, stored, by)
    _require_known("--account", account or [], margins.accounts, f"{by}s with positions")
    notes = account_notes(loaded, stored.as_of, by, account or margins.accounts)
    results = _Results(margins, by, account or [], notes)
    deliver(results.content(format, explain=explain, plain=out is not None), out)


def whatif(
    *,
    market: Path,
    account: str,
    trade: Annotated[list[str], Parameter(consume_multiple=True, negative=())],
    as_of: date | None = None,
    cube: Path | None = None,
    method: Method | None = None,
    settings: Path | None = None,
    stress_factor: str | None = None,
    by: Grouping = "account",
    format: Literal["table", "json", "csv"] = "table",  # noqa: A002
    out: Path | None = None,
) -> None:
    """Show an account's margin before and after trades, and the scenarios that change.

    Parameters
    ----------
    market
        Market folder.
    account
        The account, or the owner or participant where ``by`` says so.
    trade
        Instrument and quantity, CODE:QTY, + bought and − sold; several are added up. An option that is
        not listed is UNDERLYING/YYYY-MM-DD/STRIKE/C:QTY, with C or P. By account, only what the
        account's house clears.
    as_of
        Day of positions and marks; that of the cube, or the last day with a price, unless given.
    cube
        Folder that ``scenarios build`` wrote; without it the cube is made anew. Every row is verified, which
        takes about a second a gigabyte or two.
    method
        Refused beside a cube, as the next two.
    settings
        As of ``scenarios build``.
    stress_factor
        As of ``scenarios build``.
    by
        Whose positions are margined together.
    format
        What to print.
    out
        Write to this file instead of printing; not in the market folder.
    """
    from crossmargin.models.expected_shortfall.what_if import WhatIf  # noqa: PLC0415
    from crossmargin.models.revaluation.new_series import NewSeries  # noqa: PLC0415
    from crossmargin.models.revaluation.pricing import SeriesPricer  # noqa: PLC0415

    require_places(market, {"--out": out})
    trades = read_trades(trade)
    loaded, snapshot, scenarios, stored = CubeSource(
        market, as_of, cube, method, settings, stress_factor
    ).open()
    _require_known("--account", [account], loaded["accounts"][by], f"{by}s of the market")
    unlisted = any(isinstance(instrument, NewSeries) for instrument, _ in trades)
    pricing = SeriesPricer(snapshot, scenarios, stored.settings) if unlisted else None
    tried = WhatIf(margins_by(loaded, stored, by), account, pricing)
    cleared = [partial(require_cleared, loaded, account, trades)] if by == "account" else []
    all_read(*cleared, *(partial(tried.add, instrument, quantity) for instrument, quantity in trades))
    notes = account_notes(loaded, stored.as_of, by, [account])
    deliver(_change_content(tried.change(), stored, by, notes, format, plain=out is not None), out)


@dataclass(frozen=True, slots=True)
class _Results:
    """Margins to be shown: of everyone, or the breakdowns of those who are named."""

    margins: EsMargins
    by: Grouping
    named: list[str]
    notes: list[str]

    def content(self, form: Format, *, explain: bool, plain: bool) -> bytes:
        if form == "json":
            shown = [self.margins.of(name) for name in self.named or self.margins.accounts]
            results = [result.to_dict() for result in shown]
            return _json({"by": self.by, "notes": self.notes, "results": results})
        return self._table(explain=explain, plain=plain) if form == "table" else self._rows(form)

    def _rows(self, form: Literal["csv", "parquet"]) -> bytes:
        import polars as pl  # noqa: PLC0415

        from crossmargin.reports.documents import frame_bytes  # noqa: PLC0415

        frames = [self.margins.of(name).to_frame() for name in self.named]
        frame = pl.concat(frames) if frames else self.margins.to_frame()
        return frame_bytes(frame.rename({"account": self.by}), form)

    def _table(self, *, explain: bool, plain: bool) -> bytes:
        from crossmargin.reports.engine import es_report, es_totals, noted  # noqa: PLC0415

        everyone = self.margins.accounts
        totals = [] if self.named or len(everyone) == 1 else [es_totals(self.margins, self.by)]
        names = self.named or (everyone if explain or not totals else ())
        reports = [es_report(self.margins.of(name), explain=explain) for name in names]
        return printed(*totals, *reports, *noted(self.notes), plain=plain)


def _change_content(
    change: EsChange,
    cube: ScenarioCube,
    by: Grouping,
    notes: list[str],
    form: Literal["table", "json", "csv"],
    *,
    plain: bool,
) -> bytes:
    from crossmargin.reports.documents import frame_bytes  # noqa: PLC0415
    from crossmargin.reports.engine import change_report, noted  # noqa: PLC0415

    if form == "json":
        source = {"as_of": cube.as_of.isoformat(), "cube": cube.key, "data_note": cube.data_note}
        return _json({"by": by, "notes": notes, **change.to_dict(), **source})
    if form == "csv":
        return frame_bytes(change.to_frame().rename({"account": by}), form)
    return printed(change_report(change, cube), *noted(notes), plain=plain)


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _require_known(flag: str, names: Sequence[str], known: Collection[str], noun: str) -> None:
    """List every name that is not known."""
    there = set(known)
    rule = f"one of the {len(there):,} {noun}"
    if bad := [
        BadRecord(file=flag, line=0, field="", value=name, rule=rule) for name in names if name not in there
    ]:
        raise InputError(bad)
