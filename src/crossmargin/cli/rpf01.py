"""Commands that make HKSCC's risk parameter files from a user's own histories."""

from __future__ import annotations

from datetime import date  # noqa: TC003  (the parser reads the annotations)
from pathlib import Path  # noqa: TC003  (the same)

from cyclopts import App

from crossmargin.cli.pipeline import chosen_settings, last_day, load_market

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
        The file.
    as_of
        Valuation date; the last day with a price unless given.
    settings
        TOML file as of ``scenarios build``.
    stress_factor
        Risk factor whose worst days are the stressed ones; the index with most prices unless given.
    """
    from crossmargin.formats.hkscc.rpf01_writer import write_rpf01  # noqa: PLC0415
    from crossmargin.models.hkscc.from_scenarios import rpf01_parameters  # noqa: PLC0415
    from crossmargin.models.scenarios.build import build_scenarios  # noqa: PLC0415

    loaded = load_market(market)
    chosen = chosen_settings(loaded, "blend", settings, stress_factor).scenarios
    scenarios = build_scenarios(loaded, as_of or last_day(loaded), chosen)
    write_rpf01(rpf01_parameters(scenarios, loaded), out)
