"""Clearing-house margin for Hong Kong, house by house and cross-margined.

The names below are the public face; everything else may change. They are loaded when first used, so
that ``import crossmargin`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from crossmargin._version import __version__

if TYPE_CHECKING:
    from crossmargin.core.breakdown import Component, Fact
    from crossmargin.core.provenance import Provenance
    from crossmargin.errors import BadRecord, CrossMarginError, InputError, RangeError
    from crossmargin.formats.hkscc.participant import hkscc_participant, read_participant, write_participant
    from crossmargin.formats.hkscc.reports import (
        read_corporate_actions,
        read_marginable_positions,
        write_corporate_actions,
        write_marginable_positions,
    )
    from crossmargin.formats.hkscc.rpf01 import read_rpf01
    from crossmargin.formats.hkscc.rpf01_writer import write_rpf01
    from crossmargin.formats.prime import prime_parameters
    from crossmargin.formats.span.positional_writer import write_positional
    from crossmargin.formats.span.positions import read_span_positions
    from crossmargin.formats.span.recognition import read_span_parameters
    from crossmargin.formats.span.settings import read_span_settings
    from crossmargin.formats.span.xml_writer import write_spn
    from crossmargin.models.hkscc.collateral_cover import cover_with_specific_cash, cover_with_specific_stock
    from crossmargin.models.hkscc.corporate_actions import apply_corporate_actions
    from crossmargin.models.hkscc.margin import HksccMargins, hkscc_margin, hkscc_margins
    from crossmargin.models.hkscc.marginable_positions import marginable_positions
    from crossmargin.models.hkscc.mark_to_market import intraday_mark, mark_to_market
    from crossmargin.models.hkscc.multi_counter import chinaclear_haircut, combine_counters
    from crossmargin.models.hkscc.netting import net_across_days
    from crossmargin.models.hkscc.parameters import HksccParameters, TailMeasure
    from crossmargin.models.hkscc.participant import HksccParticipant
    from crossmargin.models.hkscc.result import HksccMargin
    from crossmargin.models.hkscc.synthetic import synthetic_parameters, synthetic_positions
    from crossmargin.models.span.margin import SpanMargins, span_margin, span_margins
    from crossmargin.models.span.parameters import SpanParameters, scan_points
    from crossmargin.models.span.prime import PrimeParameters, client_margin, client_rates, client_totals
    from crossmargin.models.span.result import SpanMargin
    from crossmargin.models.span.risk_arrays import (
        CashDividends,
        ScanSettings,
        add_series,
        american_losses,
        black76_losses,
        futures_losses,
    )
    from crossmargin.models.span.settings import SpanSettings
    from crossmargin.models.span.what_if import SpanWhatIf, what_if

_HOMES = {
    "core.breakdown": ("Component", "Fact"),
    "core.provenance": ("Provenance",),
    "errors": ("BadRecord", "CrossMarginError", "InputError", "RangeError"),
    "formats.hkscc.participant": ("hkscc_participant", "read_participant", "write_participant"),
    "formats.hkscc.reports": (
        "read_corporate_actions",
        "read_marginable_positions",
        "write_corporate_actions",
        "write_marginable_positions",
    ),
    "formats.hkscc.rpf01": ("read_rpf01",),
    "formats.hkscc.rpf01_writer": ("write_rpf01",),
    "models.hkscc.collateral_cover": ("cover_with_specific_cash", "cover_with_specific_stock"),
    "models.hkscc.corporate_actions": ("apply_corporate_actions",),
    "models.hkscc.margin": ("HksccMargins", "hkscc_margin", "hkscc_margins"),
    "models.hkscc.marginable_positions": ("marginable_positions",),
    "models.hkscc.mark_to_market": ("intraday_mark", "mark_to_market"),
    "models.hkscc.multi_counter": ("chinaclear_haircut", "combine_counters"),
    "models.hkscc.netting": ("net_across_days",),
    "models.hkscc.parameters": ("HksccParameters", "TailMeasure"),
    "models.hkscc.participant": ("HksccParticipant",),
    "models.hkscc.result": ("HksccMargin",),
    "models.hkscc.synthetic": ("synthetic_parameters", "synthetic_positions"),
    "formats.prime": ("prime_parameters",),
    "formats.span.positional_writer": ("write_positional",),
    "formats.span.positions": ("read_span_positions",),
    "formats.span.recognition": ("read_span_parameters",),
    "formats.span.settings": ("read_span_settings",),
    "formats.span.xml_writer": ("write_spn",),
    "models.span.margin": ("SpanMargins", "span_margin", "span_margins"),
    "models.span.parameters": ("SpanParameters", "scan_points"),
    "models.span.prime": ("PrimeParameters", "client_margin", "client_rates", "client_totals"),
    "models.span.result": ("SpanMargin",),
    "models.span.risk_arrays": (
        "CashDividends",
        "ScanSettings",
        "add_series",
        "american_losses",
        "black76_losses",
        "futures_losses",
    ),
    "models.span.settings": ("SpanSettings",),
    "models.span.what_if": ("SpanWhatIf", "what_if"),
}

__all__ = [
    "BadRecord",
    "CashDividends",
    "Component",
    "CrossMarginError",
    "Fact",
    "HksccMargin",
    "HksccMargins",
    "HksccParameters",
    "HksccParticipant",
    "InputError",
    "PrimeParameters",
    "Provenance",
    "RangeError",
    "ScanSettings",
    "SpanMargin",
    "SpanMargins",
    "SpanParameters",
    "SpanSettings",
    "SpanWhatIf",
    "TailMeasure",
    "__version__",
    "add_series",
    "american_losses",
    "apply_corporate_actions",
    "black76_losses",
    "chinaclear_haircut",
    "client_margin",
    "client_rates",
    "client_totals",
    "combine_counters",
    "cover_with_specific_cash",
    "cover_with_specific_stock",
    "futures_losses",
    "hkscc_margin",
    "hkscc_margins",
    "hkscc_participant",
    "intraday_mark",
    "marginable_positions",
    "mark_to_market",
    "net_across_days",
    "prime_parameters",
    "read_corporate_actions",
    "read_marginable_positions",
    "read_participant",
    "read_rpf01",
    "read_span_parameters",
    "read_span_positions",
    "read_span_settings",
    "scan_points",
    "span_margin",
    "span_margins",
    "synthetic_parameters",
    "synthetic_positions",
    "what_if",
    "write_corporate_actions",
    "write_marginable_positions",
    "write_participant",
    "write_positional",
    "write_rpf01",
    "write_spn",
]


def __getattr__(name: str) -> object:
    """Load a public name from the module where it lives."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"crossmargin.{home}"), name)
    raise AttributeError(f"module 'crossmargin' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name the public face."""
    return sorted(__all__)
