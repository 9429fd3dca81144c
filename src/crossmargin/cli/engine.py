"""Commands of the scenario engine: build scenarios and a cube, margin on it, try a trade."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path  # noqa: TC003  (the parser reads the annotations)
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from crossmargin.cli.pipeline import (
    CUBE,
    SCENARIOS,
    Grouping,
    Method,
    Run,
    built,
    chosen_settings,
    cube_of,
    cube_size,
    keep,
    last_day,
    load_market,
    margins_by,
    no_findings,
    rows_read,
    set_size,
)
from crossmargin.cli.shared import Format, deliver, printed, require_file
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from crossmargin.models.expected_shortfall.margin import EsMargins
    from crossmargin.models.expected_shortfall.what_if import EsChange
    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.new_series import NewSeries

__all__ = ["app", "margin", "whatif"]

SERIES = re.compile(
    r"(?P<underlying>[^/]+)/(?P<expiry>\d{4}-\d{2}-\d{2})/(?P<strike>\d+(\.\d+)?)/(?P<right>[CP])"
)
TRADE = re.compile(r"(?P<code>.+):(?P<quantity>[+-]?\d{1,12})")

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
        Risk factor whose worst days are the stressed ones, for example spot:HSI; the first index unless
        given.
    out
        Folder for the scenario set and the cube; without it nothing is kept.
    findings
        CSV file for everything that was found in the histories, one row each.
    """
    from crossmargin.reports.engine import build_report  # noqa: PLC0415

    run = Run()
    loaded = run.stage("read market", lambda: load_market(market), rows_read)
    day = as_of or last_day(loaded)
    chosen = chosen_settings(loaded, method, settings, stress_factor)
    found, scenarios, cube = built(run, loaded, day, chosen, out)
    if out is not None:
        keep(run, scenarios, cube, out)
    if findings is not None:
        deliver(found.write_csv().encode(), findings)
    deliver(printed(build_report(run.stages, scenarios, cube, found)), None)


@app.command(name="show")
def show_cube(cube: Path, /, *, verify: bool = False) -> None:
    """Show what a stored cube is.

    Parameters
    ----------
    cube
        Folder that ``scenarios build`` wrote.
    verify
        Read every row and compare its hash with the one written.
    """
    from crossmargin.formats.scenario_files import read_scenarios  # noqa: PLC0415
    from crossmargin.reports.engine import build_report  # noqa: PLC0415
    from crossmargin.store.cubes import open_cube  # noqa: PLC0415

    run = Run()
    scenarios = run.stage("read scenarios", lambda: read_scenarios(cube / SCENARIOS), set_size)
    stored = run.stage("open cube", lambda: open_cube(cube / CUBE, verify=verify), cube_size)
    deliver(printed(build_report(run.stages, scenarios, stored, no_findings())), None)


def margin(
    *,
    market: Path,
    model: Literal["expected-shortfall"] = "expected-shortfall",
    as_of: date | None = None,
    cube: Path | None = None,
    method: Method = "blend",
    settings: Path | None = None,
    stress_factor: str | None = None,
    by: Grouping = "account",
    account: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
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
        Folder that ``scenarios build`` wrote; without it the cube is made anew.
    method, settings, stress_factor
        As of ``scenarios build``; only without a cube.
    by
        Whose positions are margined together: each account's, or those of all accounts of an owner or a
        participant, whatever the house.
    account
        Show the breakdown of these accounts (owners, participants) only.
    explain
        Show the scenarios of the tail and what each position brings.
    format
        What to print. CSV and Parquet hold a row an account, JSON the whole breakdown of those shown.
    out
        Write to this file instead of printing.
    """
    assert model == "expected-shortfall"
    require_file(format, out)
    loaded, stored, _ = cube_of(market, as_of, cube, method, settings, stress_factor)
    margins = margins_by(loaded, stored, by)
    deliver(_margin_content(margins, account or [], format, explain=explain, plain=out is not None), out)


def whatif(
    *,
    market: Path,
    account: str,
    trade: Annotated[list[str], Parameter(consume_multiple=True)],
    as_of: date | None = None,
    cube: Path | None = None,
    method: Method = "blend",
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
        not listed is UNDERLYING/YYYY-MM-DD/STRIKE/C:QTY, with C or P.
    as_of, cube, method, settings, stress_factor, by
        As of ``margin``.
    format
        What to print.
    out
        Write to this file instead of printing.
    """
    from crossmargin.models.expected_shortfall.what_if import WhatIf  # noqa: PLC0415

    trades = _trades(trade)
    loaded, stored, pricing = cube_of(market, as_of, cube, method, settings, stress_factor)
    _require_account(loaded, account, by)
    tried = WhatIf(margins_by(loaded, stored, by), account, pricing)
    for instrument, quantity in trades:
        tried.add(instrument, quantity)
    deliver(_change_content(tried.change(), format, plain=out is not None), out)


def _margin_content(
    margins: EsMargins, accounts: list[str], form: Format, *, explain: bool, plain: bool
) -> bytes:
    from crossmargin.reports.documents import document, frame_bytes  # noqa: PLC0415
    from crossmargin.reports.engine import es_report, es_totals  # noqa: PLC0415

    results = [margins.of(name) for name in accounts]
    if form == "json":
        return document(results or list(margins), form)
    if form != "table":
        return document(results, form) if results else frame_bytes(margins.to_frame(), form)
    if not results and len(margins.accounts) == 1:
        results = [margins.of(margins.accounts[0])]
    shown = [es_report(result, explain=explain) for result in results] or [es_totals(margins)]
    return printed(*shown, plain=plain)


def _change_content(change: EsChange, form: Literal["table", "json", "csv"], *, plain: bool) -> bytes:
    from crossmargin.reports.documents import frame_bytes  # noqa: PLC0415
    from crossmargin.reports.engine import change_report  # noqa: PLC0415

    if form == "json":
        return (json.dumps(change.to_dict(), indent=2, ensure_ascii=False) + "\n").encode()
    if form == "csv":
        return frame_bytes(change.to_frame(), form)
    return printed(change_report(change), plain=plain)


def _trades(texts: list[str]) -> list[tuple[str | NewSeries, int]]:
    """Read trades; list everything that is none."""
    from crossmargin.models.revaluation.new_series import NewSeries  # noqa: PLC0415

    trades: list[tuple[str | NewSeries, int]] = []
    bad = []
    for text in texts:
        found = TRADE.fullmatch(text)
        if found is None:
            rule = "CODE:QTY, with a whole number"
            bad.append(BadRecord(file="--trade", line=0, field="", value=text, rule=rule))
            continue
        code, quantity = found["code"], int(found["quantity"])
        series = SERIES.fullmatch(code)
        try:
            terms = series and NewSeries(
                series["underlying"],
                date.fromisoformat(series["expiry"]),
                float(series["strike"]),
                "C" if series["right"] == "C" else "P",
            )
        except ValueError:
            rule = "a day that exists"
            bad.append(BadRecord(file="--trade", line=0, field="expiry", value=text, rule=rule))
            continue
        trades.append((terms or code, quantity))
    if bad:
        raise InputError(bad)
    return trades


def _require_account(market: Market, name: str, by: Grouping) -> None:
    if name not in set(market["accounts"][by]):
        rule = f"one of the {len(market['accounts'][by].unique()):,} {by}s of the market"
        raise InputError([BadRecord(file="--account", line=0, field=by, value=name, rule=rule)])
