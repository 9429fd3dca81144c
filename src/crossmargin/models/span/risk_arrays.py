"""Risk arrays made here instead of read from a file: what-if series, stale strikes, checks of a file.

A SPAN risk array says what one long contract loses, loss-positive, when the price and the volatility of
its underlying move as each scan point says and the lookahead passes:

    loss = weight × [V(price, σ, T) − V(price + price_move × price scan range,
                                        σ + volatility_move × volatility scan range, T − lookahead)] × size

V is Black's formula for European options and a binomial tree for American ones. Which model, rate and
lookahead a clearing house uses is its own; HKEX has not published its own, so every choice is an
argument. Columns are arrays of one length, or one number that holds for all; nothing is changed in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.american import american_values
from crossmargin.kernels.black76 import black76_values
from crossmargin.models.span.parameters import (
    DEFAULT_SCAN_POINTS,
    SCENARIO_COUNT,
    SPAN_KEYS,
    SPAN_SCHEMAS,
    SpanParameters,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "AMERICAN_STEPS",
    "COMPOSITE_DELTA_WEIGHTS",
    "CashDividends",
    "RiskArrays",
    "ScanSettings",
    "add_series",
    "american_losses",
    "black76_losses",
    "futures_losses",
]

Column: TypeAlias = "float | Float64[np.ndarray, ' series']"
Line: TypeAlias = "Float64[np.ndarray, ' series']"
Grid: TypeAlias = "Float64[np.ndarray, 'series points']"

COMPOSITE_DELTA_WEIGHTS: Final = (
    (0.0, 0.270),
    (1 / 3, 0.217),
    (-1 / 3, 0.217),
    (2 / 3, 0.111),
    (-2 / 3, 0.111),
    (1.0, 0.037),
    (-1.0, 0.037),
)
"""Price move in scan ranges, and weight of the delta there.

Source: the definitions in NSE Clearing's SPAN file, which print 0.217, 0.111 and 0.037; 0.270 is the
remainder to 1.
"""

AMERICAN_STEPS: Final = 200
"""Fewest steps of the coarser tree: within 1e-5 of the spot without dividends, 1e-4 with them."""

STEPS_MIN: Final = 2
STEPS_MAX: Final = 1000
VARIANCE_LIMIT: Final = 100.0
VOLATILITY_LIMIT: Final = 10.0
YEARS_LIMIT: Final = 100.0
AMOUNT_LIMIT: Final = 1e12
WEIGHT_SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScanSettings:
    """How arrays are scanned.

    Parameters
    ----------
    points : DataFrame
        Table ``scan_points`` of ``SpanParameters``.
    lookahead_years : float
        Time that passes in every scenario; CME's method takes one day.
    volatility_scan : "absolute" or "relative"
        Whether a volatility scan range is added, as a fraction a year (0.05 = five volatility points), or
        is a part of the volatility it moves.
    volatility_minimum : float
        A scenario does not take the volatility below this, nor below where it stands if that is lower.
    delta_weights : tuple of (price move, weight)
        For the composite delta; weights add up to 1.
    """

    points: pl.DataFrame = field(default_factory=lambda: DEFAULT_SCAN_POINTS)
    lookahead_years: float = 1 / 365
    volatility_scan: Literal["absolute", "relative"] = "absolute"
    volatility_minimum: float = 0.01
    delta_weights: tuple[tuple[float, float], ...] = COMPOSITE_DELTA_WEIGHTS

    def __post_init__(self) -> None:
        assert dict(self.points.schema) == SPAN_SCHEMAS["scan_points"], self.points.schema
        assert len(self.points) == SCENARIO_COUNT, len(self.points)
        assert 0.0 <= self.lookahead_years <= 1.0, self.lookahead_years
        assert self.volatility_scan in ("absolute", "relative"), self.volatility_scan
        assert 0.0 <= self.volatility_minimum <= VOLATILITY_LIMIT, self.volatility_minimum
        assert abs(sum(weight for _, weight in self.delta_weights) - 1.0) <= WEIGHT_SLACK, self.delta_weights


DEFAULT_SETTINGS: Final = ScanSettings()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CashDividends:
    """The cash dividends that each series' stock will pay.

    Parameters
    ----------
    starts : ndarray of int64, shape (series + 1,)
        Dividends ``starts[i]`` up to ``starts[i + 1]`` are those of series i.
    years : ndarray of float64, shape (dividends,)
        Time to the ex-date, 0 or more; the price given is with every one of them.
    amounts : ndarray of float64, shape (dividends,)
        Money for one share.
    """

    starts: Int64[np.ndarray, " series+1"]
    years: Float64[np.ndarray, " dividends"]
    amounts: Float64[np.ndarray, " dividends"]

    def __post_init__(self) -> None:
        assert self.years.shape == self.amounts.shape == (int(self.starts[-1]),), "starts end with the count"
        assert self.starts[0] == 0, "starts begin with 0"
        assert (np.diff(self.starts) >= 0).all(), "starts do not fall"
        _require(
            ("dividend years", self.years, (self.years >= 0) & (self.years <= YEARS_LIMIT), "from 0 to 100"),
            (
                "dividend amounts",
                self.amounts,
                (self.amounts >= 0) & (self.amounts <= AMOUNT_LIMIT),
                "from 0 to 10^12",
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskArrays:
    """What a risk parameter file would say of each series.

    Parameters
    ----------
    losses : ndarray of float64, shape (series, 16)
        Loss of one long contract in each scenario, weighted, in money.
    composite_delta : ndarray of float64, shape (series,)
        Of one long contract, after the lookahead, in contracts of its underlying.
    """

    losses: Float64[np.ndarray, "series 16"]
    composite_delta: Float64[np.ndarray, " series"]


def futures_losses(
    price_scan_ranges: Column, contract_sizes: Column, settings: ScanSettings = DEFAULT_SETTINGS
) -> RiskArrays:
    """Return the arrays of futures: −price move × price scan range × contract size × weight.

    Parameters
    ----------
    price_scan_ranges : ndarray of float64, shape (series,)
        In points, 0 or more.
    contract_sizes : ndarray of float64, shape (series,)
        Money for one point.
    settings : ScanSettings, optional
        Only its points count.

    A scan range of 1,500 points at 50 a point loses 75,000 in scenario 13, where the price falls by one
    scan range, and 0 in scenarios 1 and 2, where it stands still.
    """
    columns = _columns(price_scan_ranges=price_scan_ranges, contract_sizes=contract_sizes)
    _require(
        _from_zero(columns, "price_scan_ranges"),
        _above_zero(columns, "contract_sizes"),
    )
    scanned = columns["price_scan_ranges"] * columns["contract_sizes"]
    moves = settings.points["price_move"].to_numpy() * settings.points["weight"].to_numpy()
    return RiskArrays(losses=0.0 - np.outer(scanned, moves), composite_delta=np.ones(scanned.size))


def black76_losses(
    is_call: bool | Bool[np.ndarray, " series"],
    strikes: Column,
    prices: Column,
    volatilities: Column,
    years: Column,
    price_scan_ranges: Column,
    volatility_scan_ranges: Column,
    contract_sizes: Column,
    *,
    rates: Column,
    carry_rates: Column = 0.0,
    settings: ScanSettings = DEFAULT_SETTINGS,
) -> RiskArrays:
    """Return the arrays and composite deltas of European options by Black's formula.

    Parameters
    ----------
    is_call : ndarray of bool, shape (series,)
        False for a put.
    strikes, prices : ndarray of float64, shape (series,)
        In points, above 0; the price of the underlying is what the scan moves, and is not taken below 0.
    volatilities, years : ndarray of float64, shape (series,)
        Fraction a year, from 0 to 10; time to expiry, 0 or more (less than the lookahead: expired then).
    price_scan_ranges, volatility_scan_ranges : ndarray of float64, shape (series,)
        In points; and as ``settings.volatility_scan`` says. 0 or more.
    contract_sizes : ndarray of float64, shape (series,)
        Money for one point.
    rates : ndarray of float64, shape (series,)
        Continuous rate a year at which a payment at expiry is discounted; 0 for options marked daily.
    carry_rates : ndarray of float64, shape (series,)
        Rate at which the price grows to the forward of the option's expiry: 0 where the underlying is the
        future; the interest rate where it is a spot price without dividends.
    settings : ScanSettings, optional
        Scan points, lookahead and delta weights.

    Raises
    ------
    InputError
        Listing every number out of its range.
    """
    columns = _option_columns(
        strikes,
        prices,
        volatilities,
        years,
        price_scan_ranges,
        volatility_scan_ranges,
        contract_sizes,
        rates=rates,
        carry_rates=carry_rates,
        is_call=is_call,
    )

    def values(underlying: Grid, volatility: Grid, years: Line, _: float) -> tuple[Grid, Grid]:
        growth = np.exp(columns["carry_rates"] * years)[:, None]
        terms = columns["sides"], columns["strikes"], years, columns["rates"]
        found, deltas = black76_values(*terms, underlying * growth, volatility)
        return found, deltas * growth

    return _arrays(columns, _scenarios(columns, settings), values, settings)


def american_losses(
    is_call: bool | Bool[np.ndarray, " series"],
    strikes: Column,
    prices: Column,
    volatilities: Column,
    years: Column,
    price_scan_ranges: Column,
    volatility_scan_ranges: Column,
    contract_sizes: Column,
    *,
    rates: Column,
    dividends: CashDividends | None = None,
    steps: int = AMERICAN_STEPS,
    settings: ScanSettings = DEFAULT_SETTINGS,
) -> RiskArrays:
    """Return the arrays and composite deltas of American options on stocks by a binomial tree.

    The price of the stock, in every scenario, is with the dividends it has not paid: a dividend keeps its
    amount when the price moves, and one that goes ex within the lookahead is still to come at its end.

    Parameters
    ----------
    is_call, strikes, prices, volatilities, years : ndarray, shape (series,)
        As in ``black76_losses``; the volatility is of the stock without the dividends up to expiry.
    price_scan_ranges, volatility_scan_ranges, contract_sizes : ndarray of float64, shape (series,)
        As in ``black76_losses``.
    rates : ndarray of float64, shape (series,)
        Continuous interest rate a year.
    dividends : CashDividends, optional
        Of each series' stock; left out where none pays before expiry.
    steps : int, optional
        Fewest steps of the coarser tree, from 2 to 1,000; time grows with its square.
    settings : ScanSettings, optional
        Scan points, lookahead and delta weights.

    Raises
    ------
    InputError
        Listing every number out of its range.
    """
    columns = _option_columns(
        strikes,
        prices,
        volatilities,
        years,
        price_scan_ranges,
        volatility_scan_ranges,
        contract_sizes,
        rates=rates,
        carry_rates=0.0,
        is_call=is_call,
    )
    paid = _dividends_of(dividends, columns["strikes"].size)
    assert STEPS_MIN <= steps <= STEPS_MAX, steps
    moved, shifted = _scenarios(columns, settings)
    variance = shifted.max(axis=1, initial=0.0) ** 2 * columns["years"]
    _require(("volatility² × years", variance, variance <= VARIANCE_LIMIT, "at most 100 in every scenario"))

    def values(underlying: Grid, volatility: Grid, years: Line, elapsed: float) -> tuple[Grid, Grid]:
        terms = columns["sides"], columns["strikes"], years, columns["rates"]
        to_come = paid.starts, np.maximum(paid.years - elapsed, 0.0), paid.amounts
        return american_values(*terms, underlying, volatility, *to_come, steps)

    return _arrays(columns, (moved, shifted), values, settings)


def _dividends_of(dividends: CashDividends | None, count: int) -> CashDividends:
    """Return the dividends of so many series, none where none are given."""
    if dividends is None:
        none = np.empty(0)
        return CashDividends(starts=np.zeros(count + 1, np.int64), years=none, amounts=none)
    assert dividends.starts.size == count + 1, (
        f"dividends are of {dividends.starts.size - 1} series, not of {count}"
    )
    return dividends


def add_series(
    parameters: SpanParameters,
    series: pl.DataFrame,
    losses: Float64[np.ndarray, "added 16"],
    composite_delta: Float64[np.ndarray, " added"],
) -> SpanParameters:
    """Return parameters that also have series which their file lacks.

    Parameters
    ----------
    parameters : SpanParameters
        Left as they are.
    series : DataFrame
        Columns of ``SPAN_SCHEMAS["series"]`` with their types, without ``composite_delta``.
    losses : ndarray of float64, shape (added, 16)
        Loss of one long contract in each scenario, in the currency of the product.
    composite_delta : ndarray of float64, shape (added,)
        Of one long contract.

    Raises
    ------
    InputError
        If a column is missing or of another type, a series is there already or names a product that the
        parameters lack or place in another combined commodity, or a number is missing or not finite.
    """
    schema = {name: kind for name, kind in SPAN_SCHEMAS["series"].items() if name != "composite_delta"}
    if wrong := [*_wrong_columns(series, schema)]:
        raise InputError(wrong)
    count = len(series)
    assert losses.shape == (count, SCENARIO_COUNT), losses.shape
    assert composite_delta.shape == (count,), composite_delta.shape
    if wrong := [*_bad_series(parameters, series, losses, composite_delta)]:
        raise InputError(wrong)
    added = series.with_columns(composite_delta=pl.Series(composite_delta, dtype=pl.Float64))
    return replace(
        parameters,
        series=pl.concat([parameters.series, added.select(list(SPAN_SCHEMAS["series"]))]),
        losses=np.concatenate([parameters.losses, losses]),
    )


OPTIONAL_NUMBERS: Final = (
    "price",
    "implied_volatility",
    "price_scan_range",
    "volatility_scan_range",
    "years_to_expiry",
)
"""Columns of a series that may be null: no rule of margin needs them."""


def _wrong_columns(series: pl.DataFrame, schema: dict[str, pl.DataType]) -> Iterator[BadRecord]:
    for name in dict.fromkeys([*schema, *series.columns]):
        found = series.schema.get(name)
        if found != schema.get(name):
            value = "absent" if found is None else f"type {found}"
            yield _bad("series", -1, name, value, f"type {schema[name]}" if name in schema else "left out")


def _bad_series(
    parameters: SpanParameters,
    series: pl.DataFrame,
    losses: Float64[np.ndarray, "added 16"],
    composite_delta: Float64[np.ndarray, " added"],
) -> Iterator[BadRecord]:
    for name in series.columns:
        values = series[name]
        wrong = pl.Series(np.zeros(len(series), bool)) if name in OPTIONAL_NUMBERS else values.is_null()
        if values.dtype == pl.Float64:
            wrong |= ~values.is_finite().fill_null(value=True)
        for row in np.flatnonzero(wrong.to_numpy()).tolist():
            yield _bad("series", row, name, str(values[row]), "a value, finite where it is a number")
    key = list(SPAN_KEYS["series"])
    keys = pl.concat([parameters.series.select(key), series.select(key)])
    again = ~keys.select(pl.struct(key).is_first_distinct()).to_series()[len(parameters.series) :]
    for row in np.flatnonzero(again.to_numpy()).tolist():
        shown = " ".join(str(value) for value in series.select(key).row(row))
        yield _bad("series", row, ", ".join(key), shown, "a series that is not there yet")
    home = ["exchange", "product", "product_type", "commodity"]
    products = pl.struct(home)
    known = (
        series.select(products).to_series().is_in(parameters.products.select(products).to_series().implode())
    )
    for row in np.flatnonzero(~known.to_numpy()).tolist():
        shown = " ".join(str(value) for value in series.select(home).row(row))
        yield _bad("series", row, ", ".join(home), shown, "a product of the parameters and its commodity")
    for row, scenario in np.argwhere(~np.isfinite(losses)).tolist():
        yield _bad("losses", row, f"scenario {scenario + 1}", str(losses[row, scenario]), "a finite number")
    for row in np.flatnonzero(~np.isfinite(composite_delta)).tolist():
        yield _bad("composite_delta", row, "", str(composite_delta[row]), "a finite number")


def _bad(file: str, row: int, name: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file=file, line=row + 1, field=name, value=value, rule=rule)


Rule: TypeAlias = "tuple[str, np.ndarray, np.ndarray, str]"
"""Name, values, whether each is right, and how to say what is right."""


def _require(*rules: Rule) -> None:
    """Refuse numbers that break a rule, every one named; a NaN breaks any."""
    bad = [
        _bad(name, row, "", str(values[row]), rule)
        for name, values, holds, rule in rules
        for row in np.flatnonzero(~holds).tolist()
    ]
    if bad:
        raise InputError(bad)


def _above_zero(columns: dict[str, np.ndarray], name: str) -> Rule:
    values = columns[name]
    return name, values, (values > 0.0) & (values <= AMOUNT_LIMIT), "above 0, at most 10^12"


def _from_zero(columns: dict[str, np.ndarray], name: str, limit: float = AMOUNT_LIMIT) -> Rule:
    values = columns[name]
    return name, values, (values >= 0.0) & (values <= limit), f"from 0 to {limit:g}"


def _columns(**given: object) -> dict[str, Float64[np.ndarray, " series"]]:
    """Return every column as contiguous float64 of one length."""
    arrays = [np.asarray(values, dtype=np.float64) for values in given.values()]
    assert all(values.ndim <= 1 for values in arrays), "a column is one number or one-dimensional"
    spread = np.broadcast_arrays(*map(np.atleast_1d, arrays))
    return {name: np.ascontiguousarray(values) for name, values in zip(given, spread, strict=True)}


def _option_columns(
    strikes: Column,
    prices: Column,
    volatilities: Column,
    years: Column,
    price_scan_ranges: Column,
    volatility_scan_ranges: Column,
    contract_sizes: Column,
    *,
    rates: Column,
    carry_rates: Column,
    is_call: bool | Bool[np.ndarray, " series"],
) -> dict[str, Float64[np.ndarray, " series"]]:
    columns = _columns(
        sides=np.where(is_call, 1.0, -1.0),
        strikes=strikes,
        prices=prices,
        volatilities=volatilities,
        years=years,
        price_scan_ranges=price_scan_ranges,
        volatility_scan_ranges=volatility_scan_ranges,
        contract_sizes=contract_sizes,
        rates=rates,
        carry_rates=carry_rates,
    )
    _require(
        *(_above_zero(columns, name) for name in ("strikes", "prices", "contract_sizes")),
        *(_from_zero(columns, name, VOLATILITY_LIMIT) for name in ("volatilities", "volatility_scan_ranges")),
        _from_zero(columns, "years", YEARS_LIMIT),
        _from_zero(columns, "price_scan_ranges"),
        *(
            (name, columns[name], np.abs(columns[name]) <= 1.0, "from −1 to 1")
            for name in ("rates", "carry_rates")
        ),
    )
    return columns


def _scenarios(
    columns: dict[str, Float64[np.ndarray, " series"]], settings: ScanSettings
) -> tuple[Float64[np.ndarray, "series points"], Float64[np.ndarray, "series points"]]:
    """Return the price and the volatility at every scan point, and after them at those of the delta."""
    delta_moves = [move for move, _ in settings.delta_weights]
    price_moves = np.concatenate([settings.points["price_move"].to_numpy(), delta_moves])
    volatility_moves = np.concatenate(
        [settings.points["volatility_move"].to_numpy(), np.zeros(len(delta_moves))]
    )
    moved = columns["prices"][:, None] + np.outer(columns["price_scan_ranges"], price_moves)
    volatility, scan_range = columns["volatilities"], columns["volatility_scan_ranges"]
    if settings.volatility_scan == "relative":
        scan_range = scan_range * volatility
    shifted = volatility[:, None] + np.outer(scan_range, volatility_moves)
    floor = np.minimum(volatility, settings.volatility_minimum)[:, None]
    return np.maximum(moved, 0.0), np.maximum(shifted, floor)


def _arrays(
    columns: dict[str, Float64[np.ndarray, " series"]],
    scenarios: tuple[Grid, Grid],
    values: Callable[[Grid, Grid, Line, float], tuple[Grid, Grid]],
    settings: ScanSettings,
) -> RiskArrays:
    """Weigh the changes of value into losses of one contract, and the deltas into one.

    ``values`` takes price, volatility, years to expiry and years that have passed.
    """
    spot, volatility = columns["prices"][:, None].copy(), columns["volatilities"][:, None].copy()
    left = np.maximum(columns["years"] - settings.lookahead_years, 0.0)
    now, _ = values(spot, volatility, columns["years"], 0.0)
    later, deltas = values(*scenarios, left, settings.lookahead_years)
    weights = settings.points["weight"].to_numpy()
    lost = (now - later[:, :SCENARIO_COUNT]) * weights * columns["contract_sizes"][:, None]
    composite = np.zeros(len(later))
    for place, (_, weight) in enumerate(settings.delta_weights):  # one by one: the order is fixed
        composite += weight * deltas[:, SCENARIO_COUNT + place]
    return RiskArrays(losses=lost + 0.0, composite_delta=composite)
