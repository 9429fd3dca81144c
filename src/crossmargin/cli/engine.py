"""Commands of the scenario engine: build scenarios and a cube, margin on it, try a trade."""

from __future__ import annotations

import json
from datetime import date  # noqa: TC003  (the parser reads the annotations)
from functools import partial
from pathlib import Path  # noqa: TC003  (the same)
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from crossmargin.cli.cube_source import CubeSource, open_stored
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
    require_places,
    rows_read,
)
from crossmargin.cli.shared import Format, all_read, deliver, printed, require_file
from crossmargin.cli.trades import read_trades
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
        Folder for the scenario set and the cube; without it nothing is kept.
    findings
        CSV file for everything that was found in the histories, one row each.
    """
    from crossmargin.reports.engine import build_report  # noqa: PLC0415

    require_places(market, out, findings)
    run = Run()
    loaded = run.stage("read market", lambda: load_market(market), rows_read)
    day = as_of or last_day(loaded)
    chosen = chosen_settings(loaded, method, settings, stress_factor)
    found, _, scenarios, cube = built(run, loaded, day, chosen, out)
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
        Folder that ``scenarios build`` wrote; without it the cube is made anew.
    method
        As of ``scenarios build``, blend unless given; like the next two refused beside a cube, which has its own.
    settings
        As of ``scenarios build``.
    stress_factor
        As of ``scenarios build``.
    by
        Whose positions are margined together: each account's, or those of all accounts of an owner or a
        participant, whatever the house.
    account
        Show the breakdown of these accounts (owners, participants) only.
    explain
        Show the scenarios of the tail and what each position brings, of every account unless some are named.
    format
        What to print. JSON always holds the explanation. CSV and Parquet hold a row an account or, of
        accounts that are named, a row a component.
    out
        Write to this file instead of printing.
    """
    assert model == "expected-shortfall"
    require_file(format, out)
    loaded, _, _, stored = CubeSource(market, as_of, cube, method, settings, stress_factor).open()
    margins = margins_by(loaded, stored, by)
    _require_known("--account", account or [], margins.accounts, f"{by}s with positions")
    content = _margin_content(margins, by, account or [], format, explain=explain, plain=out is not None)
    deliver(content, out)


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
        not listed is UNDERLYING/YYYY-MM-DD/STRIKE/C:QTY, with C or P.
    as_of
        Day of positions and marks; that of the cube, or the last day with a price, unless given.
    cube
        Folder that ``scenarios build`` wrote; without it the cube is made anew.
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
        Write to this file instead of printing.
    """
    from crossmargin.models.expected_shortfall.what_if import WhatIf  # noqa: PLC0415
    from crossmargin.models.revaluation.new_series import NewSeries  # noqa: PLC0415
    from crossmargin.models.revaluation.pricing import SeriesPricer  # noqa: PLC0415

    trades = read_trades(trade)
    loaded, snapshot, scenarios, stored = CubeSource(
        market, as_of, cube, method, settings, stress_factor
    ).open()
    _require_known("--account", [account], loaded["accounts"][by], f"{by}s of the market")
    unlisted = any(isinstance(instrument, NewSeries) for instrument, _ in trades)
    pricing = SeriesPricer(snapshot, scenarios, stored.settings) if unlisted else None
    tried = WhatIf(margins_by(loaded, stored, by), account, pricing)
    all_read(*(partial(tried.add, instrument, quantity) for instrument, quantity in trades))
    deliver(_change_content(tried.change(), stored, by, format, plain=out is not None), out)


def _margin_content(
    margins: EsMargins, by: Grouping, accounts: list[str], form: Format, *, explain: bool, plain: bool
) -> bytes:
    import polars as pl  # noqa: PLC0415

    from crossmargin.reports.documents import frame_bytes  # noqa: PLC0415
    from crossmargin.reports.engine import es_report, es_totals  # noqa: PLC0415

    results = [margins.of(name) for name in accounts]
    if form == "json":
        shown = results or list(margins)
        return _json({"by": by, "results": [result.to_dict() for result in shown]})
    if form != "table":
        frames = [result.to_frame() for result in results]
        frame = pl.concat(frames) if frames else margins.to_frame()
        return frame_bytes(frame.rename({"account": by}), form)
    totals = [] if results or len(margins.accounts) == 1 else [es_totals(margins, by)]
    if not results and (explain or not totals):
        results = list(margins)
    return printed(*totals, *(es_report(result, explain=explain) for result in results), plain=plain)


def _change_content(
    change: EsChange,
    cube: ScenarioCube,
    by: Grouping,
    form: Literal["table", "json", "csv"],
    *,
    plain: bool,
) -> bytes:
    from crossmargin.reports.documents import frame_bytes  # noqa: PLC0415
    from crossmargin.reports.engine import change_report  # noqa: PLC0415

    if form == "json":
        source = {"as_of": cube.as_of.isoformat(), "cube": cube.key, "data_note": cube.data_note}
        return _json({"by": by, **change.to_dict(), **source})
    if form == "csv":
        return frame_bytes(change.to_frame().rename({"account": by}), form)
    return printed(change_report(change, cube), plain=plain)


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
