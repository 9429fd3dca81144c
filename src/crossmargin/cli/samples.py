"""Commands that write synthetic sample data."""

from __future__ import annotations

from datetime import date  # noqa: TC003  (the parser reads the annotations)
from pathlib import Path  # noqa: TC003  (the same)
from typing import Annotated, Literal

from cyclopts import App, Parameter

__all__ = ["app"]

app = App(name="sample", help="Write synthetic sample data.")


@app.command(name="hkscc")
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


@app.command(name="span")
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


@app.command(name="market")
def sample_market(
    *,
    out: Path,
    seed: int = 13,
    size: Literal["small", "full"] = "small",
    as_of: date | None = None,
    histories: Literal["parquet", "csv"] = "parquet",
) -> None:
    """Write a synthetic market of the three houses: accounts, positions, instruments and histories.

    Parameters
    ----------
    out
        Market folder, made if it is not there.
    seed
        Same seed, same files.
    size
        small: 9 participants, made in seconds; full: 620 with 100,000 accounts, made in less than a minute.
    as_of
        Last day of the histories; 2026-01-05 unless given.
    histories
        Format of the dated tables.
    """
    from crossmargin.formats.market.folder_writer import write_market  # noqa: PLC0415
    from crossmargin.models.synthetic_market.market import synthetic_market  # noqa: PLC0415

    dated = {} if as_of is None else {"as_of": as_of}
    write_market(synthetic_market(seed=seed, size=size, **dated), out, histories=histories)
