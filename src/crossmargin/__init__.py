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
    from crossmargin.formats.market.folder_reader import read_market
    from crossmargin.formats.market.folder_writer import write_market
    from crossmargin.formats.market.hkex_files import read_hkex_settlements, read_hkex_stock_options
    from crossmargin.formats.market.price_files import read_price_file
    from crossmargin.formats.prime import prime_parameters
    from crossmargin.formats.programme_files import chosen_programme, designs, read_programme
    from crossmargin.formats.scenario_files import read_scenarios, write_scenarios
    from crossmargin.formats.scenario_settings import EngineSettings, engine_settings, read_engine_settings
    from crossmargin.formats.span.positional_writer import write_positional
    from crossmargin.formats.span.positions import read_span_positions
    from crossmargin.formats.span.recognition import read_span_parameters
    from crossmargin.formats.span.settings import read_span_settings
    from crossmargin.formats.span.xml_writer import write_spn
    from crossmargin.formats.stress_files import read_stress_scenarios, stress_library
    from crossmargin.models.expected_shortfall.margin import EsMargins, es_margins
    from crossmargin.models.expected_shortfall.measure import expected_shortfall, value_at_risk_at
    from crossmargin.models.expected_shortfall.result import EsMargin
    from crossmargin.models.expected_shortfall.settings import EsSettings
    from crossmargin.models.expected_shortfall.what_if import EsChange, WhatIf
    from crossmargin.models.hkscc.collateral_cover import cover_with_specific_cash, cover_with_specific_stock
    from crossmargin.models.hkscc.corporate_actions import apply_corporate_actions
    from crossmargin.models.hkscc.from_scenarios import rpf01_parameters
    from crossmargin.models.hkscc.margin import HksccMargins, hkscc_margin, hkscc_margins
    from crossmargin.models.hkscc.marginable_positions import marginable_positions
    from crossmargin.models.hkscc.mark_to_market import intraday_mark, mark_to_market
    from crossmargin.models.hkscc.multi_counter import chinaclear_haircut, combine_counters
    from crossmargin.models.hkscc.netting import net_across_days
    from crossmargin.models.hkscc.parameters import HksccParameters, TailMeasure
    from crossmargin.models.hkscc.participant import HksccParticipant
    from crossmargin.models.hkscc.result import HksccMargin
    from crossmargin.models.hkscc.synthetic import synthetic_parameters, synthetic_positions
    from crossmargin.models.market import Market, make_market
    from crossmargin.models.revaluation.cube import ScenarioCube, make_cube
    from crossmargin.models.revaluation.deltas import cash_deltas
    from crossmargin.models.revaluation.new_series import NewSeries
    from crossmargin.models.revaluation.pricing import SeriesPricer
    from crossmargin.models.revaluation.settings import RevaluationSettings
    from crossmargin.models.revaluation.snapshot import Snapshot, make_snapshot
    from crossmargin.models.revaluation.surface import OptionPairs, arbitrage_findings, option_pairs
    from crossmargin.models.scenarios.build import ScenarioSettings, build_scenarios, scenarios_from_histories
    from crossmargin.models.scenarios.filtered import FilteredHistorical
    from crossmargin.models.scenarios.histories import Histories, make_histories
    from crossmargin.models.scenarios.history_rules import HistoryRules
    from crossmargin.models.scenarios.hypothetical import hypothetical_scenarios
    from crossmargin.models.scenarios.part_rules import AntiProcyclical, PartRules, hkscc_parts
    from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioPart, ScenarioSet
    from crossmargin.models.scenarios.selection import LookBack, StressPeriods, WorstDays
    from crossmargin.models.span.from_market import MarketSpan, market_span
    from crossmargin.models.span.from_market_rules import MarketSpanRules
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
    from crossmargin.models.synthetic_market.market import synthetic_market
    from crossmargin.models.synthetic_market.sizes import MarketSize
    from crossmargin.programmes.backtest.history import BacktestInputs
    from crossmargin.programmes.backtest.result import BacktestResult
    from crossmargin.programmes.backtest.run import BacktestSettings, run_backtest
    from crossmargin.programmes.compare import compare
    from crossmargin.programmes.conversion import Conversion
    from crossmargin.programmes.evaluate import evaluate
    from crossmargin.programmes.examples import book_market, etf_futures
    from crossmargin.programmes.houses import Houses, HouseSettings
    from crossmargin.programmes.loss_sharing import LossShares, shared_losses
    from crossmargin.programmes.opening import open_houses
    from crossmargin.programmes.procyclicality.result import ProcyclicalityResult
    from crossmargin.programmes.procyclicality.run import ProcyclicalitySettings, run_procyclicality
    from crossmargin.programmes.programme import (
        Attribution,
        Default,
        Eligibility,
        Joint,
        Matching,
        Programme,
        Saving,
        Transfer,
    )
    from crossmargin.programmes.result import Comparison, JointAccount, ProgrammeResult
    from crossmargin.programmes.stress.result import StressResult
    from crossmargin.programmes.stress.run import run_stress
    from crossmargin.programmes.stress.settings import StressSettings
    from crossmargin.programmes.what_if import ProgrammeChange, programme_what_if
    from crossmargin.reports.programmes.documents import write_report
    from crossmargin.reports.programmes.page import comparison_page
    from crossmargin.reports.validation.documents import write_validation
    from crossmargin.reports.validation.page import validation_page
    from crossmargin.reports.validation.pqd import pqd_rows
    from crossmargin.store.cubes import open_cube, write_cube
    from crossmargin.validation.backtest import Backtest, backtest

_HOMES = {
    "formats.market.folder_reader": ("read_market",),
    "formats.market.folder_writer": ("write_market",),
    "formats.market.price_files": ("read_price_file",),
    "formats.market.hkex_files": ("read_hkex_settlements", "read_hkex_stock_options"),
    "formats.scenario_files": ("read_scenarios", "write_scenarios"),
    "formats.scenario_settings": ("EngineSettings", "engine_settings", "read_engine_settings"),
    "models.expected_shortfall.margin": ("EsMargins", "es_margins"),
    "models.expected_shortfall.measure": ("expected_shortfall", "value_at_risk_at"),
    "models.expected_shortfall.result": ("EsMargin",),
    "models.expected_shortfall.settings": ("EsSettings",),
    "models.expected_shortfall.what_if": ("EsChange", "WhatIf"),
    "models.hkscc.from_scenarios": ("rpf01_parameters",),
    "models.market": ("Market", "make_market"),
    "models.revaluation.cube": ("ScenarioCube", "make_cube"),
    "models.revaluation.new_series": ("NewSeries",),
    "models.revaluation.pricing": ("SeriesPricer",),
    "models.revaluation.settings": ("RevaluationSettings",),
    "models.revaluation.snapshot": ("Snapshot", "make_snapshot"),
    "models.revaluation.surface": ("OptionPairs", "arbitrage_findings", "option_pairs"),
    "models.scenarios.build": ("ScenarioSettings", "build_scenarios", "scenarios_from_histories"),
    "models.scenarios.filtered": ("FilteredHistorical",),
    "models.scenarios.histories": ("Histories", "make_histories"),
    "models.scenarios.history_rules": ("HistoryRules",),
    "models.scenarios.hypothetical": ("hypothetical_scenarios",),
    "models.scenarios.part_rules": ("AntiProcyclical", "PartRules", "hkscc_parts"),
    "models.scenarios.scenario_set": ("RiskFactor", "ScenarioPart", "ScenarioSet"),
    "models.scenarios.selection": ("LookBack", "StressPeriods", "WorstDays"),
    "models.synthetic_market.market": ("synthetic_market",),
    "models.synthetic_market.sizes": ("MarketSize",),
    "store.cubes": ("open_cube", "write_cube"),
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
    "programmes.programme": (
        "Attribution",
        "Default",
        "Eligibility",
        "Joint",
        "Matching",
        "Programme",
        "Saving",
        "Transfer",
    ),
    "programmes.houses": ("HouseSettings", "Houses"),
    "programmes.opening": ("open_houses",),
    "programmes.evaluate": ("evaluate",),
    "programmes.compare": ("compare",),
    "programmes.result": ("Comparison", "JointAccount", "ProgrammeResult"),
    "programmes.what_if": ("ProgrammeChange", "programme_what_if"),
    "programmes.examples": ("book_market", "etf_futures"),
    "programmes.loss_sharing": ("LossShares", "shared_losses"),
    "programmes.conversion": ("Conversion",),
    "validation.backtest": ("Backtest", "backtest"),
    "reports.validation.pqd": ("pqd_rows",),
    "reports.validation.page": ("validation_page",),
    "reports.validation.documents": ("write_validation",),
    "programmes.stress.run": ("run_stress",),
    "programmes.stress.settings": ("StressSettings",),
    "formats.stress_files": ("read_stress_scenarios", "stress_library"),
    "programmes.stress.result": ("StressResult",),
    "programmes.procyclicality.run": ("ProcyclicalitySettings", "run_procyclicality"),
    "programmes.procyclicality.result": ("ProcyclicalityResult",),
    "programmes.backtest.run": ("BacktestSettings", "run_backtest"),
    "programmes.backtest.result": ("BacktestResult",),
    "programmes.backtest.history": ("BacktestInputs",),
    "formats.programme_files": ("chosen_programme", "designs", "read_programme"),
    "models.span.from_market": ("MarketSpan", "market_span"),
    "models.span.from_market_rules": ("MarketSpanRules",),
    "models.revaluation.deltas": ("cash_deltas",),
    "reports.programmes.documents": ("write_report",),
    "reports.programmes.page": ("comparison_page",),
}

__all__ = [
    "AntiProcyclical",
    "Attribution",
    "Backtest",
    "BacktestInputs",
    "BacktestResult",
    "BacktestSettings",
    "BadRecord",
    "CashDividends",
    "Comparison",
    "Component",
    "Conversion",
    "CrossMarginError",
    "Default",
    "Eligibility",
    "EngineSettings",
    "EsChange",
    "EsMargin",
    "EsMargins",
    "EsSettings",
    "Fact",
    "FilteredHistorical",
    "Histories",
    "HistoryRules",
    "HksccMargin",
    "HksccMargins",
    "HksccParameters",
    "HksccParticipant",
    "HouseSettings",
    "Houses",
    "InputError",
    "Joint",
    "JointAccount",
    "LookBack",
    "LossShares",
    "Market",
    "MarketSize",
    "MarketSpan",
    "MarketSpanRules",
    "Matching",
    "NewSeries",
    "OptionPairs",
    "PartRules",
    "PrimeParameters",
    "ProcyclicalityResult",
    "ProcyclicalitySettings",
    "Programme",
    "ProgrammeChange",
    "ProgrammeResult",
    "Provenance",
    "RangeError",
    "RevaluationSettings",
    "RiskFactor",
    "Saving",
    "ScanSettings",
    "ScenarioCube",
    "ScenarioPart",
    "ScenarioSet",
    "ScenarioSettings",
    "SeriesPricer",
    "Snapshot",
    "SpanMargin",
    "SpanMargins",
    "SpanParameters",
    "SpanSettings",
    "SpanWhatIf",
    "StressPeriods",
    "StressResult",
    "StressSettings",
    "TailMeasure",
    "Transfer",
    "WhatIf",
    "WorstDays",
    "__version__",
    "add_series",
    "american_losses",
    "apply_corporate_actions",
    "arbitrage_findings",
    "backtest",
    "black76_losses",
    "book_market",
    "build_scenarios",
    "cash_deltas",
    "chinaclear_haircut",
    "chosen_programme",
    "client_margin",
    "client_rates",
    "client_totals",
    "combine_counters",
    "compare",
    "comparison_page",
    "cover_with_specific_cash",
    "cover_with_specific_stock",
    "designs",
    "engine_settings",
    "es_margins",
    "etf_futures",
    "evaluate",
    "expected_shortfall",
    "futures_losses",
    "hkscc_margin",
    "hkscc_margins",
    "hkscc_participant",
    "hkscc_parts",
    "hypothetical_scenarios",
    "intraday_mark",
    "make_cube",
    "make_histories",
    "make_market",
    "make_snapshot",
    "marginable_positions",
    "mark_to_market",
    "market_span",
    "net_across_days",
    "open_cube",
    "open_houses",
    "option_pairs",
    "pqd_rows",
    "prime_parameters",
    "programme_what_if",
    "read_corporate_actions",
    "read_engine_settings",
    "read_hkex_settlements",
    "read_hkex_stock_options",
    "read_marginable_positions",
    "read_market",
    "read_participant",
    "read_price_file",
    "read_programme",
    "read_rpf01",
    "read_scenarios",
    "read_span_parameters",
    "read_span_positions",
    "read_span_settings",
    "read_stress_scenarios",
    "rpf01_parameters",
    "run_backtest",
    "run_procyclicality",
    "run_stress",
    "scan_points",
    "scenarios_from_histories",
    "shared_losses",
    "span_margin",
    "span_margins",
    "stress_library",
    "synthetic_market",
    "synthetic_parameters",
    "synthetic_positions",
    "validation_page",
    "value_at_risk_at",
    "what_if",
    "write_corporate_actions",
    "write_cube",
    "write_marginable_positions",
    "write_market",
    "write_participant",
    "write_positional",
    "write_report",
    "write_rpf01",
    "write_scenarios",
    "write_spn",
    "write_validation",
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
