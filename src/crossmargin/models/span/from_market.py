"""SPAN parameters of a market: what HKCC and SEOCH would publish, made from marks and scenarios.

One combined commodity holds everything on one underlying. Shares and funds of HKSCC stand in it too, as
physical products, so that the same method can margin them: a share in the commodity of its option class, a
fund in that of its index, every other one in a commodity of its own. No house margins them so today.

Risk arrays are read off one revaluation: the scan points are scenarios of a hypothetical set, in which each
underlying moves by its own scan ranges. The price of every month moves by the same share, so that put–call
parity holds in every scenario.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from crossmargin.core.columns import require_columns
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.market import MARKET_SCHEMAS
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import findings
from crossmargin.models.span.from_market_arrays import option_arrays
from crossmargin.models.span.from_market_rules import (
    MarketSpanRules,
    credit_rate,
    lowest_correlations,
    residual_shortfall,
    scan_range,
)
from crossmargin.models.span.from_market_tables import inter_tables, series_of, shared_tables
from crossmargin.models.span.parameters import SpanParameters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.scenario_set import ScenarioSet

__all__ = ["CONVERSION_SCHEMA", "MarketSpan", "market_span"]

DERIVATIVE_HOUSES: Final = ("HKCC", "SEOCH")
CASH_HOUSE: Final = "HKSCC"
ORGANIZATION: Final = "crossmargin model of PRiME"

WEIGHTS: Final = {name: MARKET_SCHEMAS["weights"][name] for name in ("underlying", "constituent", "weight")}

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
    arrays = option_arrays(snapshot, commodities, rules, revaluation or RevaluationSettings())
    series, losses, unpriced = series_of(listed, commodities, arrays, rules)
    _require_any(series)
    commodities = commodities.filter(pl.col("commodity").is_in(series["commodity"].implode()))
    credit = _credits(commodities, moves, rules)
    tables: dict[str, Any] = {"losses": losses, **shared_tables(snapshot, series, commodities, rules)}
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
        **(tables | inter_tables(credit, commodities)),
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
    funds = set(listed.filter(~pl.col("derivative"))["underlying"]) - classes
    only = weights.filter(pl.len().over("underlying") == 1).select("underlying", "constituent")
    proxies, weak = {}, []
    for fund, index in only.sort("underlying").iter_rows():
        if fund not in funds or index not in classes:
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
