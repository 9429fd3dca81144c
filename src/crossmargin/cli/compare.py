"""Commands that put designs of cross-margining side by side."""

from __future__ import annotations

from datetime import date  # noqa: TC003  (the parser reads the annotations)
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from crossmargin.cli.pipeline import last_day, load_market
from crossmargin.cli.places import require_report_folder
from crossmargin.cli.progress import progress_bar
from crossmargin.cli.shared import all_read, deliver, printed, solver_output_to_error
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from crossmargin.models.market import Market
    from crossmargin.programmes.houses import HouseSettings
    from crossmargin.programmes.programme import Programme
    from crossmargin.programmes.result import Comparison

__all__ = ["compare", "demo"]

SEED = 13
"""Of the sample market where no other is given."""


def compare(
    *,
    market: Path | None = None,
    programme: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())] = None,
    as_of: date | None = None,
    example: Literal["etf-futures"] | None = None,
    amount: float = 10_000_000.0,
    joint_account: str | None = None,
    out: Path | None = None,
    form: Annotated[Literal["table", "json"], Parameter(name="--format")] = "table",
) -> None:
    """Put designs of cross-margining side by side: what each house calls today, linked, and merged.

    Every result but that of today's silos is hypothetical.

    Parameters
    ----------
    market
        Market folder; with --example a synthetic sample market unless given.
    programme
        TOML files of programmes, in the order of the report; unless given the five designs that ship with
        the package: silos, HKCC and SEOCH linked, all three linked, one pot, one merged house.
    as_of
        Day of positions and marks; the last day with a price unless given.
    example
        A book in place of the market's: a fund on an index and as much of its futures sold.
    amount
        Market value of each leg of the example, in the market's currency.
    joint_account
        One joint account to explain, from each house's margin alone to the joint one.
    out
        Folder for the report: one HTML page, tables as CSV, everything as JSON.
    """
    if market is None and example is None:
        rule = "a market folder, or --example"
        raise InputError([BadRecord(file="--market", line=0, field="", value="", rule=rule)])
    programmes = _programmes(programme)
    require_report_folder(market, out)
    with progress_bar(_stages(programmes)) as note:
        note("read market")
        loaded = _sample() if market is None else load_market(market)
        day = as_of or last_day(loaded)
        chosen, settings = _example(loaded, day, amount) if example else (loaded, None)
        compared = _compared(chosen, programmes, day, note, settings)
        shown = joint_account or (_owner(compared) if example else None)
        note("report")
        content = _content(compared, shown, form)
        if out is not None:
            _write(compared, out, shown)
    deliver(content, None)


def demo(
    *, out: Path = Path("build/demo"), size: Literal["small", "full"] = "small", seed: int = SEED
) -> None:
    """Write a synthetic sample market, put the five designs side by side on it, and write the report.

    Parameters
    ----------
    out
        Folder: the market is written into ``market`` in it, the report into ``report``.
    size
        A handful of participants, or about 600 with 100,000 accounts.
    seed
        Same seed, same market and report.
    """
    from crossmargin.formats.market.folder_writer import write_market  # noqa: PLC0415
    from crossmargin.models.synthetic_market.market import synthetic_market  # noqa: PLC0415

    programmes = _programmes(None)
    require_report_folder(None, out)
    with progress_bar(_stages(programmes) + 1) as note:
        note("invent the market")
        market = synthetic_market(seed=seed, size=size)
        note("write and read market")
        write_market(market, out / "market")
        loaded = load_market(out / "market")
        compared = _compared(loaded, programmes, last_day(loaded), note)
        note("report")
        content = _content(compared, None, "table")
        _write(compared, out / "report", None)
    deliver(content, None)
    deliver(printed(f"Market in {out / 'market'}, report in {out / 'report' / 'report.html'}."), None)


def _programmes(paths: list[Path] | None) -> tuple[Programme, ...]:
    """Read programmes, listing what is wrong with any of them."""
    from crossmargin.formats.programme_files import designs, read_programme  # noqa: PLC0415
    from crossmargin.programmes.compare import require_names  # noqa: PLC0415

    if paths is None:
        return designs()
    read: list[Programme] = all_read(*(lambda path=path: read_programme(path) for path in paths))
    require_names(read)
    return tuple(read)


def _stages(programmes: tuple[Programme, ...]) -> int:
    from crossmargin.programmes.opening import OPENING_STAGES  # noqa: PLC0415

    return 2 + OPENING_STAGES + len(programmes)


def _sample() -> Market:
    from crossmargin.models.synthetic_market.market import synthetic_market  # noqa: PLC0415

    return synthetic_market(seed=SEED)


def _example(market: Market, day: date, amount: float) -> tuple[Market, HouseSettings]:
    from crossmargin.programmes.examples import etf_futures, example_settings  # noqa: PLC0415

    return etf_futures(market, day, amount=amount), example_settings(market, day)


def _compared(
    market: Market,
    programmes: tuple[Programme, ...],
    day: date,
    note: Callable[[str], None],
    settings: HouseSettings | None = None,
) -> Comparison:
    from crossmargin.programmes.compare import compare as compare_programmes  # noqa: PLC0415

    with solver_output_to_error():
        return compare_programmes(market, programmes, day, settings, note)


def _owner(compared: Comparison) -> str | None:
    """Return the one joint account of an example."""
    names = [name for result in compared.results for name in result.joint_accounts["joint_account"]]
    return names[0] if names else None


def _content(compared: Comparison, joint_account: str | None, form: Literal["table", "json"]) -> bytes:
    from crossmargin.reports.programmes.documents import comparison_document  # noqa: PLC0415
    from crossmargin.reports.programmes.summary import explained_by  # noqa: PLC0415
    from crossmargin.reports.programmes.terminal import comparison_report, joint_account_report  # noqa: PLC0415

    result = None if joint_account is None else explained_by(compared, joint_account)
    if form == "json":
        return comparison_document(compared, "json")
    shown = [comparison_report(compared)]
    if result is not None and joint_account is not None:
        shown.append(joint_account_report(result.of(joint_account), result.currency))
    return printed(*shown)


def _write(compared: Comparison, out: Path, joint_account: str | None) -> None:
    from crossmargin.reports.programmes.documents import write_report  # noqa: PLC0415

    out.mkdir(parents=True, exist_ok=True)
    write_report(compared, out, highlighted=joint_account)
