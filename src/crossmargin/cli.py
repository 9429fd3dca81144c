"""The command line: thin commands over the same functions that Python users call.

Exit codes: 0 done, 1 bad input or an unreadable file, 2 wrong usage.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date  # noqa: TC003  (the parser reads the annotations)
from pathlib import Path  # noqa: TC003  (the same)
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from crossmargin._version import __version__
from crossmargin.errors import BadRecord, CrossMarginError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from crossmargin.models.hkscc.participant import HksccParticipant
    from crossmargin.models.hkscc.result import HksccMargin
    from crossmargin.models.span.result import SpanMargin

__all__ = ["app", "main"]

Format = Literal["table", "json", "csv", "parquet"]
AccountType = Literal["house", "omnibus", "individual", "market-maker", "offset-claim"]
EXIT_INPUT, EXIT_USAGE = 1, 2

app = App(name="crossmargin", version=__version__, help="Clearing-house margin for Hong Kong.")
sample = App(name="sample", help="Write synthetic sample data.")
app.command(sample)


@app.command
def hkscc(
    *,
    rpf: Path,
    positions: Path,
    participant: Path | None = None,
    explain: bool = False,
    format: Format = "table",  # noqa: A002
    rounding: Literal["guide", "none"] = "guide",
    out: Path | None = None,
) -> None:
    """Margin marginable positions as HKSCC does, from the house's own files.

    Parameters
    ----------
    rpf
        Initial margin risk parameter file (RPF01).
    positions
        Marginable position report; with a ParticipantID column, of several participants.
    participant
        Participant settings (TOML), or a folder with one such file for each, named by its ParticipantID. Without it the
        house's own values and no participant-specific add-on.
    explain
        Show inputs, rules and intermediate numbers of every component.
    format
        What to print. JSON always holds the explanation.
    rounding
        Round where the guide rounds, or nowhere.
    out
        Write to this file instead of printing.
    """
    from crossmargin.formats.hkscc.reports import read_marginable_positions  # noqa: PLC0415
    from crossmargin.formats.hkscc.rpf01 import read_rpf01  # noqa: PLC0415
    from crossmargin.models.hkscc.margin import hkscc_margins  # noqa: PLC0415

    table, parameters = _all_read(lambda: read_marginable_positions(positions), lambda: read_rpf01(rpf))
    settings = _settings(table, participant, parameters.valuation_date)
    try:
        margins = hkscc_margins(table, parameters, settings, rounding=rounding)
    except InputError as error:
        raise InputError(_in_file(record, positions) for record in error.records) from error
    _show(_some(list(margins), positions), format, out, explain=explain)


@app.command
def span(
    *,
    file: Path,
    positions: Path,
    account_type: AccountType = "house",
    client: bool = False,
    explain: bool = False,
    settings: Path | None = None,
    format: Format = "table",  # noqa: A002
    out: Path | None = None,
) -> None:
    """Margin positions in futures and options with SPAN, as HKCC, SEOCH and other houses do.

    Parameters
    ----------
    file
        Risk parameter file: HKEX or CME positional, or SPAN XML; zip and gzip are opened.
    positions
        CSV with the columns Product, Expiry, Quantity, and Right, Strike, Account, Exchange as needed.
    account_type
        DCASS account type; it decides between net and gross margining.
    client
        Add client initial and maintenance margin.
    explain
        Show scenarios, deltas and spreads behind every component.
    settings
        TOML file with settings of the method that the file leaves open.
    format
        What to print. JSON always holds the explanation.
    out
        Write to this file instead of printing.
    """
    from crossmargin.formats.prime import prime_parameters  # noqa: PLC0415
    from crossmargin.formats.span.positions import read_span_positions  # noqa: PLC0415
    from crossmargin.formats.span.recognition import read_span_parameters  # noqa: PLC0415
    from crossmargin.formats.span.settings import read_span_settings  # noqa: PLC0415
    from crossmargin.models.span.margin import span_margins  # noqa: PLC0415
    from crossmargin.models.span.prime import client_margin  # noqa: PLC0415

    table, parameters, given = _all_read(
        lambda: read_span_positions(positions),
        lambda: read_span_parameters(file),
        lambda: read_span_settings(settings) if settings else None,
    )
    prime = prime_parameters(parameters.business_date)
    chosen = prime.settings(account_type, given)
    try:
        margins = span_margins(table, parameters, chosen)
    except InputError as error:
        raise InputError(_in_file(record, positions) for record in error.records) from error
    results = _some(list(margins), positions)
    if client:
        owed = client_margin(margins, prime)
        results = [replace(result, client=owed.filter(account=result.account)) for result in results]
    _show(results, format, out, explain=explain)


def _some(results: list[Any], positions: Path) -> list[Any]:
    """Refuse a file of positions with nothing to margin in it."""
    if not results:
        rule = "at least one position"
        raise InputError([BadRecord(file=str(positions), line=0, field="", value="", rule=rule)])
    return results


def _all_read(*reads: Callable[[], Any]) -> list[Any]:
    """Read several files and list what is wrong with any of them."""
    contents: list[Any] = []
    bad: list[BadRecord] = []
    for read in reads:
        try:
            contents.append(read())
        except InputError as error:
            bad += error.records
    if bad:
        raise InputError(bad)
    return contents


def _settings(positions: pl.DataFrame, path: Path | None, as_of: date) -> dict[str, HksccParticipant]:
    """Return the settings of every participant that has positions, listing every file that is bad."""
    from crossmargin.formats.hkscc.participant import hkscc_participant, read_participant  # noqa: PLC0415
    from crossmargin.models.hkscc.margin import UNNAMED  # noqa: PLC0415

    named = "participant" in positions.columns
    names = positions["participant"].unique().sort().to_list() if named else [UNNAMED]
    if path is None:
        return dict.fromkeys(names, hkscc_participant(as_of))
    if not path.is_dir():
        return dict.fromkeys(names, read_participant(path, as_of))
    settings: dict[str, HksccParticipant] = {}
    bad: list[BadRecord] = []
    for name in names:
        try:
            settings[name] = read_participant(path / f"{name}.toml", as_of)
        except InputError as error:
            bad += error.records
        except FileNotFoundError:
            rule = f"a file of settings for participant {name}"
            bad.append(
                BadRecord(file=str(path / f"{name}.toml"), line=0, field="", value="no such file", rule=rule)
            )
    if bad:
        raise InputError(bad)
    return settings


def _in_file(record: BadRecord, positions: Path) -> BadRecord:
    """Say a row of the positions as the line of their file, which has one header line."""
    return (
        replace(record, file=str(positions), line=record.line + 1) if record.file == "positions" else record
    )


def _show(
    results: Sequence[HksccMargin] | Sequence[SpanMargin], form: Format, out: Path | None, *, explain: bool
) -> None:
    from crossmargin.formats.files import whole_file  # noqa: PLC0415
    from crossmargin.reports.documents import document  # noqa: PLC0415

    if form == "table":
        content = _text(results, explain=explain, plain=out is not None)
    elif form == "parquet" and out is None and sys.stdout.isatty():
        raise InputError(
            [BadRecord(file="--out", line=0, field="", value="", rule="a file for Parquet, which is binary")]
        )
    else:
        content = document(results, form)
    if out is None:
        sys.stdout.buffer.write(content)
    else:
        with whole_file(out) as stream:
            stream.write(content)


def _text(results: Sequence[HksccMargin] | Sequence[SpanMargin], *, explain: bool, plain: bool) -> bytes:
    from rich.console import Console  # noqa: PLC0415

    from crossmargin.reports.terminal import report, totals_table  # noqa: PLC0415

    terminal = sys.stdout.isatty() and not plain
    console = Console(
        force_terminal=terminal, width=None if terminal else 120, soft_wrap=not terminal, markup=False
    )
    with console.capture() as captured:
        if len(results) > 1:
            console.print(totals_table(results))
        if len(results) == 1 or explain:
            for result in results:
                console.print(report(result, explain=explain))
    return captured.get().encode()


@sample.command(name="hkscc")
def sample_hkscc(
    *,
    out: Path,
    seed: int = 11,
    stocks: Annotated[int, Parameter(help="Tier P stocks and ETFs.")] = 24,
    structured_products: int = 12,
    tier_n: int = 8,
    positions: int = 30,
    valuation_date: date | None = None,
) -> None:
    """Write a synthetic RPF01, position report and participant file into a folder.

    Parameters
    ----------
    out
        Folder, made if it is not there.
    seed
        Same seed, same files.
    structured_products
        Warrants and CBBCs.
    tier_n
        Instruments under the flat rate.
    positions
        Positions of the participant.
    valuation_date
        Business date of the files; 2026-01-05 unless given.
    """
    from crossmargin.formats.hkscc.sample import write_hkscc_sample  # noqa: PLC0415

    write_hkscc_sample(
        out,
        seed=seed,
        stocks=stocks,
        structured_products=structured_products,
        tier_n=tier_n,
        positions=positions,
        valuation_date=valuation_date,
    )


@sample.command(name="span")
def sample_span(
    *,
    out: Path,
    seed: int = 12,
    index_families: Annotated[int, Parameter(help="Standard and mini contract, futures and options.")] = 2,
    stock_futures: int = 3,
    stock_classes: Annotated[int, Parameter(help="Classes of stock options.")] = 4,
    months: int = 4,
    strikes: int = 9,
    accounts: int = 1,
    positions: int = 24,
    business_date: date | None = None,
) -> None:
    """Write synthetic SPAN risk parameters, positional and XML, and positions into a folder.

    Parameters
    ----------
    out
        Folder, made if it is not there.
    seed
        Same seed, same files.
    stock_futures
        Single stock futures.
    months
        Contract months of every product.
    strikes
        Strikes of every option month, each with a call and a put.
    accounts
        Accounts with positions.
    positions
        Positions of each account.
    business_date
        Business date of the files; 2026-01-05 unless given.
    """
    from crossmargin.formats.span.sample import write_span_sample  # noqa: PLC0415

    write_span_sample(
        out,
        seed=seed,
        index_families=index_families,
        stock_futures=stock_futures,
        stock_classes=stock_classes,
        months=months,
        strikes=strikes,
        accounts=accounts,
        positions=positions,
        business_date=business_date,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    try:
        app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return EXIT_USAGE
    except CrossMarginError as error:
        print(f"crossmargin: refused: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_INPUT
    except OSError as error:
        print(f"crossmargin: {error.strerror}: {error.filename}", file=sys.stderr)  # noqa: T201
        return EXIT_INPUT
    return 0
