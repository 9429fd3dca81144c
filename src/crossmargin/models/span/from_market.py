"""SPAN parameters of a market: what HKCC and SEOCH would publish, made from marks and scenarios.

One combined commodity holds everything on one underlying. Shares and funds of HKSCC stand in it too, as
physical products, so that the same method can margin them: a share in the commodity of its option class, a
fund in that of its index, every other one in a commodity of its own. No house margins them so today.

Risk arrays are read off one revaluation: the scan points are scenarios of a hypothetical set, in which each
underlying moves by its own scan ranges. The price of every month moves by the same share, so that put–call
parity holds in every scenario.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from crossmargin.core.columns import require_columns
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.row_sums import aligned_zeros
from crossmargin.models.market import MARKET_SCHEMAS
from crossmargin.models.revaluation.cube import fill_options
from crossmargin.models.revaluation.factors import FactorMoves
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import DAYS_A_YEAR, findings
from crossmargin.models.revaluation.surface import option_pairs
from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioPart, ScenarioSet
from crossmargin.models.span.from_market_rules import (
    MarketSpanRules,
    credit_rate,
    lowest_correlations,
    residual_shortfall,
    scan_range,
)
from crossmargin.models.span.parameters import SCENARIO_COUNT, SPAN_SCHEMAS, SpanParameters, scan_points
from crossmargin.models.span.risk_arrays import COMPOSITE_DELTA_WEIGHTS, ScanSettings, futures_losses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.revaluation.snapshot import Snapshot

__all__ = ["CONVERSION_SCHEMA", "MarketSpan", "market_span"]

DERIVATIVE_HOUSES: Final = ("HKCC", "SEOCH")
CASH_HOUSE: Final = "HKSCC"
ORGANIZATION: Final = "crossmargin model of PRiME"

WEIGHTS: Final = {name: MARKET_SCHEMAS["weights"][name] for name in ("underlying", "constituent", "weight")}

VOLATILITY_DAYS: Final = 30
"""Days of the one volatility of an underlying that a scan point moves: all expiries move alike."""

DELTA_BUMP: Final = 1 / 60
"""Half the distance, in scan ranges, of the two prices whose values give the delta between them.

Against deltas by formula that is 1e-5 for European options of a month and more, and 1e-4 where an American
one is about to be exercised and its delta has a kink.
"""

DECIMALS: Final = 8
"""Of losses, in currency, and of deltas: hides the last bits in which two machines may differ."""

PHYSICAL_TIER, MONTHS_TIER = 1, 2
FIRST_MONTH: Final = "0"
"""Every month is at or behind this text; a physical product has none, and stands before."""

CONVERSION_SCHEMA: Final = {
    "instrument": pl.String(),
    "commodity": pl.String(),
    "factor": pl.Float64(),
    "basis_charge": pl.Float64(),
}
"""A cash instrument, the combined commodity it stands in, its deltas there of one unit, and the share of its
absolute market value charged for what the two may come apart."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MarketSpan:
    """SPAN parameters made from a market, and what ties them to its instruments.

    Parameters
    ----------
    own : SpanParameters
        As today: credits between commodities only within one house.
    linked : SpanParameters
        The same with credits across houses too.
    rules : MarketSpanRules
        By which they were made.
    instruments : DataFrame
        ``instrument`` and ``house`` of each row of the snapshot, and ``value``: of one unit of a share or
        fund in the market's currency, 0 for others.
    series : ndarray of int64, shape (instruments,)
        Row of each in the parameters' series, −1 where it has none.
    conversion : DataFrame
        See ``CONVERSION_SCHEMA``.
    scan_ranges : DataFrame
        ``commodity``, ``price_scan_range`` and ``volatility_scan_range`` (shares of price and volatility),
        ``delta_value``: price of what one delta stands for, in the market's currency.
    credits : DataFrame
        ``commodity``, ``other``, ``correlation`` (lowest over blocks), ``rate``, ``own``: whether one house
        gives it by itself.
    findings : DataFrame
        ``subject``, ``kind``, ``action``: those of the snapshot and of volatilities, instruments left out,
        proxies refused.
    """

    own: SpanParameters
    linked: SpanParameters
    rules: MarketSpanRules
    instruments: pl.DataFrame
    series: Int64[np.ndarray, " instruments"]
    conversion: pl.DataFrame
    scan_ranges: pl.DataFrame
    credits: pl.DataFrame
    findings: pl.DataFrame


def market_span(
    snapshot: Snapshot,
    scenarios: ScenarioSet,
    weights: FrameInput,
    *,
    rules: MarketSpanRules | None = None,
    revaluation: RevaluationSettings | None = None,
) -> MarketSpan:
    """Make the SPAN parameters of a market's derivatives, and of its shares and funds as physical products.

    Parameters
    ----------
    snapshot : Snapshot
        Marks of the day.
    scenarios : ScenarioSet
        Of moves over the horizon of the rules; the first part is the historical one, from which scan ranges
        come.
    weights : Polars or pandas frame, or mapping of columns
        ``underlying``, ``constituent``, ``weight``, as ``Market.weights_on`` returns them.
    rules : MarketSpanRules, optional
        The defaults unless given.
    revaluation : RevaluationSettings, optional
        How options are valued; its precision, decay and response of volatility to the price do not count.

    Raises
    ------
    InputError
        If the scenarios are of another day or horizon, a weight is none, or nothing is left.
    """
    rules = rules or MarketSpanRules()
    _require_same_days(snapshot, scenarios, rules)
    moves = _Moves(snapshot, scenarios)
    listed, found = _listed(snapshot, moves, require_columns(weights, "weights", WEIGHTS), rules)
    commodities = _commodities(listed, moves, rules)
    arrays = _option_arrays(snapshot, commodities, rules, revaluation or RevaluationSettings())
    series, losses, unpriced = _series(listed, commodities, arrays, rules)
    commodities = commodities.filter(pl.col("commodity").is_in(series["commodity"].implode()))
    credit = _credits(commodities, moves, rules)
    tables: dict[str, Any] = {"losses": losses, **_tables(snapshot, series, commodities, rules)}
    place = np.full(len(snapshot.instruments), -1, np.int64)
    place[series["row"].to_numpy()] = np.arange(len(series))
    return MarketSpan(
        own=_parameters(snapshot, tables, credit.filter("own"), commodities),
        linked=_parameters(snapshot, tables, credit, commodities),
        rules=rules,
        instruments=snapshot.instruments.select("instrument", "house", _cash_value().alias("value")),
        series=place,
        conversion=_conversion(series, moves, rules),
        scan_ranges=commodities.select(
            "commodity", "price_scan_range", "volatility_scan_range", "delta_value"
        ),
        credits=credit,
        findings=pl.concat([snapshot.findings, arrays.findings, findings([*found, *unpriced])]),
    )


def _parameters(
    snapshot: Snapshot, tables: dict[str, Any], credit: pl.DataFrame, commodities: pl.DataFrame
) -> SpanParameters:
    return SpanParameters(
        organization=ORGANIZATION,
        business_date=snapshot.as_of,
        settlement="final",
        source_format="",
        **(tables | _inter_tables(credit, commodities)),
    )


def _cash_value() -> pl.Expr:
    """Value of one unit of a share or fund in the market's currency, 0 of others."""
    value = pl.col("mark") * pl.col("multiplier") * pl.col("exchange_rate")
    return pl.when(pl.col("kind").is_in(["equity", "etf"])).then(value).otherwise(0.0)


def _require_any(left: pl.DataFrame) -> None:
    if not len(left):
        rule = "at least one instrument with scenarios"
        raise InputError([BadRecord(file="market", line=0, field="instruments", value="none", rule=rule)])


def _require_same_days(snapshot: Snapshot, scenarios: ScenarioSet, rules: MarketSpanRules) -> None:
    bad = []
    if scenarios.as_of != snapshot.as_of:
        rule = f"scenarios of {snapshot.as_of}, the day of the marks"
        bad.append(("as_of", str(scenarios.as_of), rule))
    if scenarios.horizon_days != rules.horizon_days:
        bad.append(("horizon_days", str(scenarios.horizon_days), f"{rules.horizon_days}, as the rules say"))
    if bad:
        raise InputError(
            BadRecord(file="scenarios", line=0, field=field, value=value, rule=rule)
            for field, value, rule in bad
        )


class _Moves:
    """Moves of underlyings in the market's currency, where a share or fund is of another one."""

    def __init__(self, snapshot: Snapshot, scenarios: ScenarioSet) -> None:
        self.scenarios = scenarios
        cash = snapshot.instruments.filter(pl.col("kind").is_in(["equity", "etf"]))
        foreign = cash.filter(pl.col("currency") != snapshot.currency)
        self.currency = dict(foreign.select("underlying", "currency").iter_rows())

    def has(self, underlying: str) -> bool:
        """Tell whether the spot has scenarios."""
        return f"spot:{underlying}" in self.scenarios.columns

    def unmoved_currencies(self) -> Iterator[tuple[str, str, str]]:
        """Find underlyings in a currency whose exchange rate has no scenarios."""
        for underlying, currency in sorted(self.currency.items()):
            if self.has(underlying) and f"exchange_rate:{currency}" not in self.scenarios.columns:
                yield underlying, "no scenarios of the exchange rate", "taken not to move"

    def of(self, underlying: str) -> Float64[np.ndarray, " scenarios"]:
        """Return simple returns."""
        columns, moves = self.scenarios.columns, self.scenarios.moves
        spot = moves[:, columns[f"spot:{underlying}"]]
        exchange = columns.get(f"exchange_rate:{self.currency.get(underlying)}")
        return spot.copy() if exchange is None else (1.0 + spot) * (1.0 + moves[:, exchange]) - 1.0

    def historical(self, underlying: str) -> Float64[np.ndarray, " scenarios"]:
        """Return those of the first part."""
        first = self.scenarios.parts[0]
        return self.of(underlying)[first.start : first.stop]


# --- instruments and commodities ---------------------------------------------------------------------


def _listed(
    snapshot: Snapshot, moves: _Moves, weights: pl.DataFrame, rules: MarketSpanRules
) -> tuple[pl.DataFrame, list[tuple[str, str, str]]]:
    """Return the instruments that can be margined, with ``row`` and ``commodity``, and what was found."""
    derivative = pl.col("kind").is_in(["future", "option"])
    home = pl.when(derivative).then(pl.col("house").is_in(DERIVATIVE_HOUSES))
    names = snapshot.instruments["underlying"].unique().sort()
    moving = names.filter(pl.Series([moves.has(name) for name in names], dtype=pl.Boolean))
    reason = pl.coalesce(
        pl.when(~home.otherwise(pl.col("house") == CASH_HOUSE)).then(pl.lit("not a product of its house")),
        pl.when(~pl.col("underlying").is_in(moving.implode())).then(pl.lit("no scenarios of the underlying")),
    )
    judged = snapshot.instruments.with_row_index("row").with_columns(
        pl.col("row").cast(pl.Int64), derivative.alias("derivative"), reason.alias("reason")
    )
    out = judged.filter(pl.col("reason").is_not_null()).select("instrument", "reason")
    found = [(name, why, "left out") for name, why in out.iter_rows()]
    listed = judged.filter(pl.col("reason").is_null())
    _require_any(listed)
    proxies, weak = _proxies(listed, moves, weights, rules)
    commodity = pl.col("underlying").replace(proxies)
    return listed.with_columns(commodity.alias("commodity")), [*found, *moves.unmoved_currencies(), *weak]


def _proxies(
    listed: pl.DataFrame, moves: _Moves, weights: pl.DataFrame, rules: MarketSpanRules
) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Return the index in whose commodity each fund stands, and funds that move too differently."""
    classes = set(listed.filter("derivative")["underlying"])
    cash = set(listed.filter(~pl.col("derivative"))["underlying"])
    only = weights.filter(pl.len().over("underlying") == 1).select("underlying", "constituent")
    proxies, weak = {}, []
    for fund, index in only.sort("underlying").iter_rows():
        if fund not in cash - classes or index not in classes:
            continue
        parts, block = moves.scenarios.parts, rules.correlation_block
        lowest = lowest_correlations(moves.of(index), moves.of(fund)[:, None], parts, block)[0]
        if lowest >= rules.correlation_minimum:
            proxies[fund] = index
        else:
            kind = f"correlation with {index} down to {lowest:.2f}"
            weak.append((fund, kind, "a commodity of its own"))
    return proxies, weak


def _commodities(listed: pl.DataFrame, moves: _Moves, rules: MarketSpanRules) -> pl.DataFrame:
    """Return the combined commodities with their scan ranges, sorted.

    One delta stands for one unit of the largest derivative, and of the instrument itself where there is none.
    """
    first = listed.sort(
        "commodity", "derivative", "multiplier", "instrument", descending=[False, True, True, False]
    )
    houses = listed.filter("derivative").group_by("commodity").agg(houses=pl.col("house").unique().sort())
    table = first.group_by("commodity", maintain_order=True).first().join(houses, on="commodity", how="left")
    table = table.sort("commodity")
    ranges = [scan_range(moves.historical(name), rules) for name in table["commodity"]]
    index = pl.col("underlying_kind") == "index"
    scans = (rules.index_volatility_scan, rules.stock_volatility_scan)
    return table.select(
        "commodity",
        "house",
        "derivative",
        "houses",
        index.alias("is_index"),
        pl.Series("price_scan_range", ranges),
        pl.when(index).then(pl.lit(scans[0])).otherwise(pl.lit(scans[1])).alias("volatility_scan_range"),
        (pl.col("spot") * pl.col("multiplier") * pl.col("exchange_rate")).alias("delta_value"),
    )


# --- risk arrays -------------------------------------------------------------------------------------


def _points(rules: MarketSpanRules) -> pl.DataFrame:
    return scan_points(rules.extreme_multiplier, rules.covered_fraction)


def _price_moves(rules: MarketSpanRules) -> Float64[np.ndarray, " points"]:
    """Return the scan points' moves and, behind them, those above and below each price of the delta."""
    at = np.array([move for move, _ in COMPOSITE_DELTA_WEIGHTS])
    return np.concatenate([_points(rules)["price_move"].to_numpy(), at + DELTA_BUMP, at - DELTA_BUMP])


def _scan_scenarios(snapshot: Snapshot, optionable: pl.DataFrame, rules: MarketSpanRules) -> ScenarioSet:
    """Return the scan points as scenarios: every underlying moves by its own ranges."""
    price = np.outer(_price_moves(rules), optionable["price_scan_range"].to_numpy())
    shift = np.zeros(price.shape[0])
    shift[:SCENARIO_COUNT] = _points(rules)["volatility_move"].to_numpy()
    volatility = np.outer(shift, optionable["volatility_scan_range"].to_numpy())
    names = optionable["commodity"].to_list()
    size = price.shape[0]
    return ScenarioSet(
        as_of=snapshot.as_of,
        horizon_days=rules.horizon_days,
        factors=(
            *(RiskFactor("spot", name) for name in names),
            *(RiskFactor("volatility", name, VOLATILITY_DAYS) for name in names),
        ),
        moves=np.concatenate([np.maximum(price, -1.0 + 1e-4), volatility], axis=1),
        labels=tuple(f"point {number}" for number in range(1, size + 1)),
        parts=(ScenarioPart(name="scan points", start=0, stop=size, tail_count=1, weight=1.0),),
        method="scan points of SPAN, and prices of the composite delta",
        settings=(),
        input_hash=snapshot.content_hash,
    )


class _OptionArrays(NamedTuple):
    """Options that have a volatility, and what all instruments gain.

    Parameters
    ----------
    table : DataFrame
        ``row`` of the snapshot, ``price_now`` of the underlying that the delta is of, ``volatility``.
    pnl : ndarray of float64, shape (instruments, points)
        Profit and loss of one long contract at every scan point and price of the delta, in its own currency;
        0 for what is no option.
    findings : DataFrame
        Volatilities that could not be had from a price, and what stands instead.
    """

    table: pl.DataFrame
    pnl: Float64[np.ndarray, "instruments points"]
    findings: pl.DataFrame


def _option_arrays(
    snapshot: Snapshot, commodities: pl.DataFrame, rules: MarketSpanRules, revaluation: RevaluationSettings
) -> _OptionArrays:
    """Revalue every option at the scan points and the prices of the delta."""
    settings = replace(
        revaluation,
        precision="float64",
        volatility_response=0.0,
        slope_response=0.0,
        decay_days=rules.lookahead_days,
    )
    optionable = commodities.filter("derivative")
    paired = option_pairs(snapshot, settings)
    pairs = paired.table.filter(
        pl.col("underlying").is_in(optionable["commodity"].implode()), pl.col("volatility").is_finite()
    )
    count = len(snapshot.instruments)
    if not len(pairs):
        return _OptionArrays(_by_option(pairs), np.zeros((count, _price_moves(rules).size)), paired.findings)
    moves = FactorMoves.of(_scan_scenarios(snapshot, optionable, rules), settings)
    pnl = aligned_zeros((count, moves.layout.stride), np.float64)
    fill_options(pairs, np.arange(count), moves, pnl)
    return _OptionArrays(_by_option(pairs), pnl[:, moves.layout.columns], paired.findings)


def _by_option(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return a row an option: its row in the snapshot, the price that its delta is of, and its volatility."""
    stock = pl.col("style") == "american"
    price = pl.when(stock).then(pl.col("spot")).otherwise(pl.col("forward")).alias("price_now")
    sides = [
        pairs.filter(pl.col(side).is_not_null()).select(pl.col(side).alias("row"), price, "volatility")
        for side in ("call", "put")
    ]
    return pl.concat(sides).cast({"row": pl.Int64}).sort("row")


def _series(
    listed: pl.DataFrame, commodities: pl.DataFrame, arrays: _OptionArrays, rules: MarketSpanRules
) -> tuple[pl.DataFrame, Float64[np.ndarray, "series 16"], list[tuple[str, str, str]]]:
    """Return the series with all columns of ``SPAN_SCHEMAS`` and more, their losses, and options left out."""
    ranges = commodities.select("commodity", "price_scan_range", "volatility_scan_range", "delta_value")
    table = listed.join(ranges, on="commodity", how="left", maintain_order="left")
    table = table.join(arrays.table, on="row", how="left", maintain_order="left")
    option = pl.col("kind") == "option"
    out = table.filter(option & pl.col("volatility").is_null())["instrument"]
    table = table.filter(~option | pl.col("volatility").is_not_null())
    _require_any(table)
    losses, deltas = _arrays(table, arrays.pnl, rules)
    unit = pl.col("spot") * pl.col("multiplier") * pl.col("exchange_rate")
    price = pl.coalesce("price_now", "mark")
    columns = table.with_columns(
        *_codes(table, rules),
        pl.Series("composite_delta", deltas),
        (unit / pl.col("delta_value")).alias("delta_scaling"),
        pl.col("multiplier").alias("contract_size"),
        pl.col("mark").alias("price"),
        pl.col("volatility").alias("implied_volatility"),
        (pl.col("price_scan_range") * price).alias("price_scan_range"),
        pl.when(option)
        .then(pl.col("volatility_scan_range") * pl.col("volatility"))
        .alias("volatility_scan_range"),
        pl.when("derivative").then(pl.col("days") / DAYS_A_YEAR).alias("years_to_expiry"),
    )
    return columns, losses, [(name, "neither volatility nor forward", "left out") for name in out]


def _codes(table: pl.DataFrame, rules: MarketSpanRules) -> list[pl.Expr | pl.Series]:
    """Return what names each series; a product is all contracts of one kind, size and style on an underlying."""
    option, derivative = pl.col("kind") == "option", pl.col("derivative")
    kinds = pl.when(option).then(pl.lit("OOP")).when(derivative).then(pl.lit("FUT")).otherwise(pl.lit("PHY"))
    paid = pl.when(pl.col("house").is_in(rules.marked_daily)).then(pl.lit("futures"))
    return [
        pl.col("house").alias("exchange"),
        _products(table),
        kinds.alias("product_type"),
        pl.col("right").fill_null(""),
        pl.when(derivative)
        .then(pl.col("expiry").dt.strftime("%Y%m%d"))
        .otherwise(pl.lit(""))
        .alias("expiry"),
        pl.lit("").alias("future_month"),
        pl.when(derivative)
        .then(pl.col("expiry").dt.strftime("%Y%m"))
        .otherwise(pl.lit(""))
        .alias("delta_month"),
        pl.col("strike").fill_null(0.0),
        pl.when(option)
        .then(paid.otherwise(pl.lit("premium")))
        .otherwise(pl.lit("futures"))
        .alias("option_style"),
    ]


PRODUCT_KEY: Final = ("house", "kind", "underlying", "currency", "multiplier", "style", "settlement")
SERIES_KEY: Final = (*PRODUCT_KEY, "expiry", "right", "strike")


def _products(table: pl.DataFrame) -> pl.Series:
    """Return the code of each series' product: its instrument for a share or fund, else its underlying.

    A number stands behind it where it is not the largest of its kind, or where two series have equal terms.
    """
    again = table.select(pl.int_range(pl.len()).over(SERIES_KEY)).to_series()
    keyed = table.with_columns(again=again)
    key = ["house", "kind", "underlying"]
    kinds = (
        keyed.select(*PRODUCT_KEY, "again")
        .unique()
        .sort(
            *key,
            "again",
            "multiplier",
            "currency",
            "style",
            "settlement",
            descending=[False] * 4 + [True] + [False] * 3,
        )
    )
    number = pl.int_range(pl.len()).over(key)
    suffix = pl.when(number > 0).then(pl.format(".{}", number + 1)).otherwise(pl.lit(""))
    named = kinds.with_columns((pl.col("underlying") + suffix).alias("product"))
    found = keyed.join(named, on=[*PRODUCT_KEY, "again"], how="left", nulls_equal=True, maintain_order="left")
    product = pl.when("derivative").then(pl.col("product")).otherwise(pl.col("instrument"))
    return found.select(product.alias("product")).to_series()


def _arrays(
    table: pl.DataFrame, pnl: Float64[np.ndarray, "instruments points"], rules: MarketSpanRules
) -> tuple[Float64[np.ndarray, "series 16"], Float64[np.ndarray, " series"]]:
    """Return losses of one long contract, in its own currency, and composite deltas."""
    points = _points(rules)
    ranges, sizes = table["price_scan_range"].to_numpy(), table["multiplier"].to_numpy()
    linear = futures_losses(ranges * table["mark"].to_numpy(), sizes, ScanSettings(points=points))
    losses, deltas = linear.losses, linear.composite_delta
    rows = np.flatnonzero((table["kind"] == "option").to_numpy())
    gained = pnl[table["row"].to_numpy()[rows]]
    losses[rows] = 0.0 - gained[:, :SCENARIO_COUNT] * points["weight"].to_numpy()
    unit = (ranges * sizes * table["price_now"].fill_null(0.0).to_numpy())[rows]
    deltas[rows] = _composite(gained[:, SCENARIO_COUNT:], unit)
    return np.round(losses, DECIMALS) + 0.0, np.round(deltas, DECIMALS) + 0.0


def _composite(
    values: Float64[np.ndarray, "options bumped"], unit: Float64[np.ndarray, " options"]
) -> Float64[np.ndarray, " options"]:
    """Return the weighted mean of deltas: differences of value over those of price; ``unit`` one scan range."""
    composite, count = np.zeros(unit.size), len(COMPOSITE_DELTA_WEIGHTS)
    for place, (_, weight) in enumerate(COMPOSITE_DELTA_WEIGHTS):  # one by one: the order is fixed
        composite += weight * (values[:, place] - values[:, count + place])
    return composite / (2 * DELTA_BUMP * unit)


# --- tables ------------------------------------------------------------------------------------------


def _table(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SPAN_SCHEMAS[name], orient="row")


def _tables(
    snapshot: Snapshot, series: pl.DataFrame, commodities: pl.DataFrame, rules: MarketSpanRules
) -> dict[str, Any]:
    """Return the tables that both parameter sets share."""
    products = series.with_columns(name=pl.col("product")).unique(
        ["exchange", "product", "product_type"], keep="first", maintain_order=True
    )
    foreign = snapshot.instruments.filter(pl.col("currency") != snapshot.currency)
    rates = foreign.select("currency", multiplier="exchange_rate").unique().sort("currency")
    own = pl.lit(snapshot.currency)
    return {
        "scan_points": _points(rules),
        "commodities": _commodity_table(snapshot, commodities, rules),
        "products": products.select(list(SPAN_SCHEMAS["products"])).sort(
            "exchange", "product_type", "product"
        ),
        "series": series.select(list(SPAN_SCHEMAS["series"])),
        "spot_charges": _table("spot_charges", []),
        "currency_rates": rates.select("currency", own.alias("to_currency"), "multiplier"),
        "skipped": _table("skipped", []),
        **_intra_tables(commodities, rules),
    }


def _commodity_table(snapshot: Snapshot, commodities: pl.DataFrame, rules: MarketSpanRules) -> pl.DataFrame:
    one = ("member", "hedger", "speculator")
    daily = pl.col("house").is_in(rules.marked_daily)
    table = commodities.with_columns(
        pl.col("house").alias("exchange"),
        pl.col("commodity").alias("name"),
        pl.lit(snapshot.currency).alias("currency"),
        pl.when(daily).then(pl.lit("futures")).otherwise(pl.lit("premium")).alias("option_style"),
        pl.lit(value=False).alias("cap_option_value"),
        (rules.short_option_minimum * _scan_money()).alias("short_option_minimum"),
        pl.lit("sum").alias("som_method"),
        pl.lit("normal").alias("price_risk_method"),
        pl.lit("table").alias("intra_method"),
        pl.lit("none").alias("spot_method"),
        *(pl.lit(1.0).alias(f"{factor}_{who}") for factor in ("adjustment", "initial") for who in one),
    )
    return table.select(list(SPAN_SCHEMAS["commodities"]))


def _scan_money() -> pl.Expr:
    """Scan range of one delta in the market's currency."""
    return (pl.col("price_scan_range") * pl.col("delta_value")).round(DECIMALS)


def _intra_tables(commodities: pl.DataFrame, rules: MarketSpanRules) -> dict[str, pl.DataFrame]:
    """Return two spreads of each commodity with derivatives: physical against months, then month against month."""
    tiers: list[dict[str, Any]] = []
    spreads: list[dict[str, Any]] = []
    legs: list[dict[str, Any]] = []
    charged = commodities.filter("derivative").select("commodity", "is_index", _scan_money().alias("money"))
    for commodity, is_index, money in charged.iter_rows():
        for tier, start, end in ((PHYSICAL_TIER, "", FIRST_MONTH), (MONTHS_TIER, FIRST_MONTH, "")):
            bounds = {"start": start, "end": end, "rate": 0.0}
            tiers.append({"commodity": commodity, "kind": "intra", "tier": tier, **bounds})
        months = rules.index_month_charge if is_index else rules.stock_month_charge
        for priority, tier, share in ((1, PHYSICAL_TIER, rules.physical_charge), (2, MONTHS_TIER, months)):
            number = len(spreads) + 1
            spread = {"spread": number, "commodity": commodity, "kind": "tier", "priority": priority}
            spreads.append(spread | {"charge": share * money})
            for leg, (of, side) in enumerate(((tier, "A"), (MONTHS_TIER, "B")), 1):
                legs.append(
                    {"spread": number, "leg": leg, "tier": of, "month": "", "ratio": 1.0, "side": side}
                )
    return {
        "tiers": _table("tiers", tiers),
        "intra_spreads": _table("intra_spreads", spreads),
        "intra_legs": _table("intra_legs", legs),
    }


def _credits(commodities: pl.DataFrame, moves: _Moves, rules: MarketSpanRules) -> pl.DataFrame:
    """Return the pairs of commodities that earn a credit: indices, and an index with a class of options.

    One house gives a credit by itself between indices whose derivatives it clears both. Classes of stocks
    have none among themselves.
    """
    listed = commodities.filter("derivative")
    indices = listed.filter("is_index").select("commodity", "houses").rows()
    classes = listed.filter(~pl.col("is_index"))["commodity"].to_list()
    pairs = [(a, b, bool(set(first) & set(second))) for (a, first), (b, second) in combinations(indices, 2)]
    pairs += [(index, other, False) for index, _ in indices for other in classes]
    lowest = _pair_correlations(pairs, moves, rules)
    columns = ("commodity", "other", "own")
    table = pl.DataFrame(
        pairs, schema=dict(zip(columns, (pl.String, pl.String, pl.Boolean), strict=True)), orient="row"
    )
    table = table.with_columns(correlation=lowest, rate=credit_rate(lowest, rules))
    earning = table.filter(pl.col("rate") > 0.0)
    order = ["own", "rate", "commodity", "other"]
    return earning.sort(order, descending=[True, True, False, False]).select(
        "commodity", "other", "correlation", "rate", "own"
    )


def _pair_correlations(
    pairs: list[tuple[str, str, bool]], moves: _Moves, rules: MarketSpanRules
) -> Float64[np.ndarray, " pairs"]:
    lowest = np.zeros(len(pairs))
    owners = [pair[0] for pair in pairs]
    for name in dict.fromkeys(owners):
        at = [row for row, owner in enumerate(owners) if owner == name]
        others = np.stack([moves.of(pairs[row][1]) for row in at], axis=1)
        parts, block = moves.scenarios.parts, rules.correlation_block
        lowest[at] = lowest_correlations(moves.of(name), others, parts, block)
    return lowest


def _inter_tables(chosen: pl.DataFrame, commodities: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return delta-based spreads whose two legs have equal scan ranges: one delta against so many of the other."""
    money = dict(commodities.select("commodity", _scan_money()).iter_rows())
    usual = {"group": "", "method": "delta", "credit": "price_risk", "first": False}
    spreads, legs = [], []
    for number, (one, other, rate) in enumerate(chosen.select("commodity", "other", "rate").iter_rows(), 1):
        key = {"spread": number, "priority": number, "rate": rate}
        spreads.append(usual | key | {"minimum_legs": 2, "eligibility": "all"})
        for leg, (code, ratio, side) in enumerate(
            ((one, 1.0, "A"), (other, money[one] / money[other], "B")), 1
        ):
            names = {"spread": number, "leg": leg, "commodity": code, "tier": None, "ratio": ratio}
            legs.append(names | {"side": side, "required": True, "target": False, "rate": None})
    return {"inter_spreads": _table("inter_spreads", spreads), "inter_legs": _table("inter_legs", legs)}


def _conversion(series: pl.DataFrame, moves: _Moves, rules: MarketSpanRules) -> pl.DataFrame:
    """Return the proxy of each share and fund, and what is charged for coming apart from it."""
    cash = series.filter(~pl.col("derivative"))
    charges = [
        0.0
        if underlying == commodity
        else residual_shortfall(
            moves.of(underlying), moves.of(commodity), moves.scenarios.parts, rules.confidence
        )
        for underlying, commodity in cash.select("underlying", "commodity").iter_rows()
    ]
    table = cash.select("instrument", "commodity", factor="delta_scaling")
    columns = table.with_columns(pl.Series("basis_charge", charges, pl.Float64))
    return pl.DataFrame(columns, schema=CONVERSION_SCHEMA)
