"""Commands that margin as one house does, from its own files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path  # noqa: TC003  (the parser reads the annotations)
from typing import TYPE_CHECKING, Literal

from crossmargin.cli.shared import Format, all_read, in_file, show, some
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from crossmargin.models.hkscc.participant import HksccParticipant

__all__ = ["hkscc", "span"]

AccountType = Literal["house", "omnibus", "individual", "market-maker", "offset-claim"]


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

    table, parameters = all_read(lambda: read_marginable_positions(positions), lambda: read_rpf01(rpf))
    settings = _settings(table, participant, parameters.valuation_date)
    try:
        margins = hkscc_margins(table, parameters, settings, rounding=rounding)
    except InputError as error:
        raise InputError(in_file(record, positions) for record in error.records) from error
    show(some(list(margins), positions), format, out, explain=explain)


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
        CSV with the columns Product, Expiry, Quantity, and Right, Strike, Account, Exchange, Product type, Future month as
        needed.
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

    table, parameters, given = all_read(
        lambda: read_span_positions(positions),
        lambda: read_span_parameters(file),
        lambda: read_span_settings(settings) if settings else None,
    )
    prime = prime_parameters(parameters.business_date)
    chosen = prime.settings(account_type, given)
    try:
        margins = span_margins(table, parameters, chosen)
    except InputError as error:
        raise InputError(in_file(record, positions) for record in error.records) from error
    results = some(list(margins), positions)
    if client:
        owed = client_margin(margins, prime)
        results = [replace(result, client=owed.filter(account=result.account)) for result in results]
    show(results, format, out, explain=explain)


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
