"""HKSCC's view of other houses' products: a delta equivalent in an instrument that it has scenarios for.

An index product becomes a fund on the index, a product on a stock the stock. What a delta equivalent does not
see is charged: that fund and index come apart, measured over the historical scenarios, and for options the
difference between the equivalent and a full revaluation. A volatility that moves by itself is not seen; the
rule by which the smallest saving of all models counts covers that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.core.columns import require_columns, require_known
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.tail_means import tail_mean
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.deltas import cash_deltas
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioPart, ScenarioSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float64

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.snapshot import Snapshot

__all__ = ["CONVERSION_SCHEMA", "Conversion", "hkscc_conversion"]

CONVERSION_SCHEMA: Final[dict[str, pl.DataType]] = {
    "native": pl.String(),
    "proxy": pl.String(),
    "factor": pl.Float64(),
    "basis_charge": pl.Float64(),
    "long_charge": pl.Float64(),
    "short_charge": pl.Float64(),
    "reason": pl.String(),
}
"""Columns of ``Conversion.table``."""

DEFAULTS: Final = {"basis_charge": 0.0, "long_charge": 0.0, "short_charge": 0.0, "reason": "as given"}
HOUSE: Final = "HKSCC"
CASH: Final = ("equity", "etf")

SCAN_STEPS: Final = np.array([-1.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1.0])
"""Moves of a price at which options are revalued, in parts of its scan."""

SCAN_MAX: Final = 0.9
"""A price keeps a tenth, however wild its scenarios."""

NO_STOCK: Final = "HKSCC has no instrument on the underlying"
NO_FUND: Final = "no fund on the index, both with scenarios"
NO_VALUE: Final = "no scenarios of the underlying, or no volatility"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conversion:
    """Delta equivalents at HKSCC of other houses' products.

    Parameters
    ----------
    table : DataFrame
        ``native`` and ``proxy``, an instrument of HKSCC; ``factor``, units of the proxy that one long unit of
        the native stands for; ``basis_charge``, a fraction of the absolute market value of what it is converted
        into, and ``long_charge`` and ``short_charge``, market currency for each unit held long or short: these
        three are added to margin, line by line, and never netted; ``reason``, in words. Sorted by native.
    unconverted : DataFrame
        ``instrument`` and ``reason`` of products that the house cannot margin.
    """

    table: pl.DataFrame
    unconverted: pl.DataFrame

    def replaced(self, rows: FrameInput) -> Conversion:
        """Return the conversion with some rows replaced by others, or added for what had none.

        Parameters
        ----------
        rows : Polars or pandas frame, or mapping of columns
            Columns of ``table``; the charges may be left out and are then 0, the reason too.

        Raises
        ------
        InputError
            Listing every bad row: a native that is no other house's product or stands twice, a charge below 0.
        """
        charges = ("basis_charge", "long_charge", "short_charge")
        rules = {name: (pl.col(name) >= 0, "at least 0") for name in charges}
        rules["basis_charge"] = (pl.col("basis_charge").is_between(0, 1), "from 0 to 1")
        given = require_columns(
            rows, "conversion", CONVERSION_SCHEMA, defaults=DEFAULTS, key=["native"], rules=rules
        )
        known = pl.concat([self.table["native"], self.unconverted["instrument"].alias("native")])
        require_known(given["native"], known, "conversion", "a product of another house on that day")
        kept = self.table.join(given, on="native", how="anti", maintain_order="left")
        left = self.unconverted.join(given, left_on="instrument", right_on="native", how="anti")
        return Conversion(table=pl.concat([kept, given]).sort("native"), unconverted=left.sort("instrument"))


def hkscc_conversion(
    snapshot: Snapshot,
    market: Market,
    scenarios: ScenarioSet,
    *,
    deltas: Float64[np.ndarray, " instruments"] | None = None,
    revaluation: RevaluationSettings | None = None,
) -> Conversion:
    """Convert every future and option of other houses into HKSCC's instruments.

    The factor is the cash delta over the value of one unit of the proxy. Of several funds on an index that
    in the market's currency is taken, then the one with the longer history. The basis charge is the expected
    shortfall, with the tail of the historical part, of index move less fund move in either direction; a
    stock's is 0. Charges of an option are the largest excess of its delta equivalent over a full revaluation,
    long, and the reverse, short, for eight moves up to the expected shortfall of the underlying's moves,
    volatilities following by the rule of ``revaluation``.

    Parameters
    ----------
    snapshot : Snapshot
        Instruments and prices of a day.
    market : Market
        Its weights name the funds on an index; its prices tell how old a fund is.
    scenarios : ScenarioSet
        Of that day; the first part is the historical one.
    deltas : ndarray of float64, shape (instruments,), optional
        As ``cash_deltas`` returns them, which is called otherwise.
    revaluation : RevaluationSettings, optional
        How options are revalued; the defaults unless given. Precision is float64 in any case.

    Raises
    ------
    InputError
        If the scenarios are of another day.
    """
    if snapshot.as_of != scenarios.as_of:
        rule = f"scenarios of {snapshot.as_of}, the day of the marks"
        value = str(scenarios.as_of)
        raise InputError([BadRecord(file="scenarios", line=0, field="as_of", value=value, rule=rule)])
    exposure = pl.Series("cash_delta", cash_deltas(snapshot) if deltas is None else deltas)
    others = snapshot.instruments.with_columns(exposure).filter(pl.col("house") != HOUSE)
    proxies = pl.concat([_stocks(snapshot), _funds(snapshot, market, scenarios)])
    charges = _option_charges(others, snapshot, scenarios, revaluation or RevaluationSettings())
    table = others.join(proxies, on="underlying", how="left").join(charges, on="instrument", how="left")
    judged = table.with_columns(why_not=_why_not()).sort("instrument")
    out = pl.col("why_not")
    return Conversion(
        table=judged.filter(out.is_null()).select(
            pl.col("instrument").alias("native"),
            "proxy",
            (pl.col("cash_delta") / pl.col("proxy_value")).alias("factor"),
            "basis_charge",
            *(pl.col(name).fill_null(0.0) for name in ("long_charge", "short_charge")),
            "reason",
        ),
        unconverted=judged.filter(out.is_not_null()).select("instrument", out.alias("reason")),
    )


def _why_not() -> pl.Expr:
    """Say why a product has no equivalent; null where it has."""
    is_index = pl.col("underlying_kind") == "index"
    unvalued = (pl.col("kind") == "option") & pl.col("long_charge").is_null()
    return pl.coalesce(
        pl.when(pl.col("proxy").is_null() & is_index).then(pl.lit(NO_FUND)),
        pl.when(pl.col("proxy").is_null()).then(pl.lit(NO_STOCK)),
        pl.when(unvalued).then(pl.lit(NO_VALUE)),
    )


def _cash(snapshot: Snapshot) -> pl.DataFrame:
    """Return HKSCC's instruments that can stand for others: ``proxy``, ``proxy_value`` of a unit, and terms."""
    value = pl.col("mark") * pl.col("multiplier") * pl.col("exchange_rate")
    held = snapshot.instruments.filter((pl.col("house") == HOUSE) & pl.col("kind").is_in(CASH))
    return held.select(
        "underlying", "currency", pl.col("instrument").alias("proxy"), value.alias("proxy_value")
    )


def _stocks(snapshot: Snapshot) -> pl.DataFrame:
    """Return for each underlying that trades at HKSCC its first instrument by name."""
    first = _cash(snapshot).sort("underlying", "proxy").unique("underlying", keep="first")
    words = pl.format("cash delta in the underlying {}", "proxy")
    return first.select("underlying", "proxy", "proxy_value", basis_charge=0.0, reason=words)


def _funds(snapshot: Snapshot, market: Market, scenarios: ScenarioSet) -> pl.DataFrame:
    """Return for each index the fund that stands for it, with its basis charge."""
    candidates = _candidates(snapshot, market)
    names = candidates.select("underlying", "fund", "currency").iter_rows()
    charges = [_basis(scenarios, index, fund, currency, market.currency) for index, fund, currency in names]
    judged = candidates.with_columns(pl.Series("basis_charge", charges, pl.Float64))
    return (
        judged.filter(pl.col("basis_charge").is_not_null())
        .unique("underlying", keep="first", maintain_order=True)
        .select(
            "underlying",
            "proxy",
            "proxy_value",
            "basis_charge",
            pl.format("cash delta in the fund {} on {}", "proxy", "underlying").alias("reason"),
        )
    )


def _candidates(snapshot: Snapshot, market: Market) -> pl.DataFrame:
    """Return the funds whose one constituent is an index, the preferred first: by currency, history, name."""
    weights = market.weights_on(snapshot.as_of)
    single = weights.filter(pl.len().over("underlying") == 1)
    history = market["prices"].filter(pl.col("date") <= snapshot.as_of).group_by("underlying").len("days")
    funds = single.join(_cash(snapshot), on="underlying").join(history, on="underlying")
    foreign = pl.col("currency") != market.currency
    ranked = funds.sort("constituent", foreign, -pl.col("days").cast(pl.Int64), "proxy")
    return ranked.select(
        pl.col("constituent").alias("underlying"),
        pl.col("underlying").alias("fund"),
        "currency",
        "proxy",
        "proxy_value",
    )


def _basis(scenarios: ScenarioSet, index: str, fund: str, currency: str, home: str) -> float | None:
    """Return the expected shortfall of index move less fund move over the historical part, the worse side.

    None where one of them, or the exchange rate of a fund in another currency than ``home``, has no scenarios.
    """
    codes = [f"spot:{index}", f"spot:{fund}", *([] if currency == home else [f"exchange_rate:{currency}"])]
    columns = [scenarios.columns.get(code) for code in codes]
    if any(column is None for column in columns):
        return None
    part = scenarios.parts[0]
    moves = scenarios.moves[part.start : part.stop]
    of_index, *of_fund = (moves[:, column] for column in columns)
    apart = 1.0 + of_index - np.prod([1.0 + move for move in of_fund], axis=0)
    return max(0.0, tail_mean(apart, part.tail_count), tail_mean(-apart, part.tail_count))


def _option_charges(
    others: pl.DataFrame, snapshot: Snapshot, scenarios: ScenarioSet, settings: RevaluationSettings
) -> pl.DataFrame:
    """Return ``long_charge`` and ``short_charge`` of one unit of every option that can be revalued."""
    options = others.filter(pl.col("kind") == "option").select("instrument", "underlying", "cash_delta")
    schema = {"instrument": pl.String, "long_charge": pl.Float64, "short_charge": pl.Float64}
    names = [name for name in options["underlying"].unique().sort() if f"spot:{name}" in scenarios.columns]
    if not names:
        return pl.DataFrame(schema=schema)
    scan = {name: _scan(scenarios, name) * SCAN_STEPS for name in names}
    cube = make_cube(snapshot, _scan_set(snapshot, scan), replace(settings, precision="float64"))
    valued = options.filter(pl.col("instrument").is_in(cube.instruments["instrument"].implode()))
    at = np.array([cube.row_of[name] for name in valued["instrument"]], np.int64)
    moves = np.array([scan[name] for name in valued["underlying"]]).reshape(-1, SCAN_STEPS.size)
    apart = valued["cash_delta"].to_numpy()[:, None] * moves - cube.rows(at)[:, cube.layout.columns]
    return valued.select(
        "instrument",
        pl.Series("long_charge", np.maximum(apart, 0.0).max(axis=1)),
        pl.Series("short_charge", np.maximum(-apart, 0.0).max(axis=1)),
    )


def _scan(scenarios: ScenarioSet, underlying: str) -> float:
    """Return the weighted expected shortfall of a price's moves, of a rise or of a fall, the larger."""
    moves = scenarios.moves[:, scenarios.columns[f"spot:{underlying}"]]

    def shortfall(side: float) -> Iterator[float]:
        for part in scenarios.parts:
            own = np.ascontiguousarray(side * moves[part.start : part.stop])
            yield part.weight * tail_mean(own, part.tail_count)

    return float(np.clip(max(sum(shortfall(1.0)), sum(shortfall(-1.0))), 0.0, SCAN_MAX))


def _scan_set(snapshot: Snapshot, scan: dict[str, Float64[np.ndarray, " steps"]]) -> ScenarioSet:
    """Return every price at each step of its own scan; exchange rates are there, and stand still."""
    instruments = snapshot.instruments
    foreign = instruments.filter(pl.col("currency") != snapshot.currency)["currency"].unique().sort()
    factors = [RiskFactor("spot", name) for name in scan]
    factors += [RiskFactor("exchange_rate", currency) for currency in foreign]
    moves = np.zeros((SCAN_STEPS.size, len(factors)))
    moves[:, : len(scan)] = np.stack([*scan.values()], axis=1)
    return ScenarioSet(
        as_of=snapshot.as_of,
        horizon_days=1,
        factors=tuple(factors),
        moves=moves,
        labels=tuple(f"{step:+.2f} of the scan" for step in SCAN_STEPS),
        parts=(ScenarioPart("scan", 0, SCAN_STEPS.size, 1, 1.0),),
        method="steps of each price's scan",
        settings=(),
        input_hash="",
    )
