"""A synthetic market of futures and options and positions in it, for tests, benchmarks and demonstrations.

Everything here is invented from a seed: the products have the shape of Hong Kong's, but no number is of a
listed product, a clearing house or a participant, and exchanges and codes are made up.

The market: index families of a standard and a mini contract in one combined commodity, with futures and
European options marked daily (Black's formula on the future of the same month); a currency future that is
delivered, in CNH; stock futures; stock option classes that are paid up front, with strikes around the money
and a volatility that is higher for low strikes. Each combined commodity has one tier and charges a calendar
spread; index families are spread against each other.

Every number is one that a positional file and SPAN XML both hold: losses and charges are whole units of
currency, prices have the decimals of their product. The rounding also hides the last bits in which
mathematical functions of two machines may differ: same arguments, same bytes.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.columns import require_size
from crossmargin.kernels.american import american_values
from crossmargin.kernels.black76 import black76_values
from crossmargin.models.span.book import POSITION_COLUMNS
from crossmargin.models.span.parameters import DEFAULT_SCAN_POINTS, SPAN_SCHEMAS, SpanParameters
from crossmargin.models.span.risk_arrays import (
    AMERICAN_STEPS,
    RiskArrays,
    american_losses,
    black76_losses,
    futures_losses,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "FUTURES_EXCHANGE",
    "OPTIONS_EXCHANGE",
    "ORGANIZATION",
    "synthetic_span_parameters",
    "synthetic_span_positions",
]

ORGANIZATION: Final = "SYNTH"
FUTURES_EXCHANGE: Final = "SYF"
OPTIONS_EXCHANGE: Final = "SYO"

ExerciseStyle = Literal["american", "european"]
Row = dict[str, Any]

MONTHS_MIN, MONTHS_MAX = 4, 24
FAMILIES_MAX, STOCKS_MAX, STRIKES_MAX = 99, 9_999, 400
SERIAL_MONTHS: Final = 2
"""Months listed one after the other; behind them come quarter months."""

QUARTER: Final = 3
SATURDAY: Final = 5
INTEREST_RATE: Final = 0.03
STRIKE_WIDTH: Final = 0.04
"""Distance of two strikes in deviations of the price up to expiry, before it is made round."""

SKEW: Final = -0.25
"""Change of implied volatility for a strike one part of the price higher."""

VOLATILITY_BOUNDS: Final = (0.08, 1.2)
INDEX_VOLATILITY_SCAN, STOCK_VOLATILITY_SCAN = 0.05, 0.10
STANDARD_SIZE, MINI_SIZE, MINI_SCALING = 50.0, 10.0, 0.2
CURRENCY_SIZE: Final = 100_000.0
STEPS: Final = np.array([1.0, 2.0, 5.0])
"""A round step of strikes is one of these times a power of ten."""

LOTS: Final = np.array([2000, 1000, 500, 100])
LOT_PRICES: Final = np.array([5.0, 20.0, 100.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Month:
    """A contract month."""

    code: str
    years: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Underlying:
    """What a combined commodity stands on, and the scan ranges of its contracts."""

    price: float
    volatility: float
    price_scan_range: float
    volatility_scan_range: float
    decimals: int
    growth: float

    def future(self, month: _Month) -> float:
        """Price of the future of a month."""
        return _rounded(self.price * np.exp(self.growth * month.years), self.decimals)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Product:
    """A product whose series are still to be made."""

    row: Row
    underlying: _Underlying
    scaling: float = 1.0


def synthetic_span_parameters(
    seed: int,
    index_families: int = 3,
    stock_futures: int = 6,
    stock_classes: int = 8,
    months: int = 5,
    strikes: int = 11,
    business_date: date = date(2026, 1, 5),
    stock_option_style: ExerciseStyle = "american",
    american_steps: int = AMERICAN_STEPS,
) -> SpanParameters:
    """Invent a day's risk parameters: synthetic data, of the shape of a clearing house's file.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    index_families : int
        Combined commodities of a standard and a mini contract, delta scaling 1 and 0.2, at most 99.
    stock_futures, stock_classes : int
        Combined commodities of one stock future, and of one class of stock options, at most 9,999 of each.
    months : int
        Contract months of every product, from 4 to 24: two serial ones, then quarter months.
    strikes : int
        Strikes of every option month, at most 400, each with a call and a put.
    business_date : date
        The day that the parameters carry.
    stock_option_style : {"american", "european"}
        How stock options are valued: by a binomial tree, or by Black's formula, which is some thousand
        times as fast and meant for large files.
    american_steps : int
        Fewest steps of the coarser tree.

    Returns
    -------
    SpanParameters
        Writing them in either format and reading them back gives them again, but for the order of products.
    """
    require_size(months, "months", MONTHS_MIN, MONTHS_MAX)
    require_size(strikes, "strikes", 1, STRIKES_MAX)
    rng = np.random.default_rng(seed)
    products = _products(rng, index_families, stock_futures, stock_classes)
    listed = list(_months(business_date, months))
    made = [
        _options(product, listed, strikes, stock_option_style, american_steps)
        if product.row["product_type"] == "OOP"
        else _futures(product, listed)
        for product in products
    ]
    commodities = list(_commodities(products))
    return SpanParameters(
        organization=ORGANIZATION,
        business_date=business_date,
        settlement="final",
        source_format="",
        losses=np.concatenate([losses for _, losses in made]),
        scan_points=DEFAULT_SCAN_POINTS,
        commodities=_table("commodities", commodities),
        products=_table("products", [product.row for product in products]),
        series=pl.concat([series for series, _ in made]),
        currency_rates=_table("currency_rates", list(_currency_rates(rng))),
        skipped=_table("skipped", []),
        **_calendar_spreads(products, commodities, listed),
        **_spot_charges(products, listed),
        **_inter_spreads(rng, products),
    )


def _table(name: str, rows: Sequence[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SPAN_SCHEMAS[name], orient="row")


def _rounded(value: float, decimals: int) -> float:
    """Round to so many decimals, and not below the smallest step."""
    return float(max(np.rint(value * 10.0**decimals), 1.0) / 10.0**decimals)


def _round_step(wanted: float) -> float:
    """Return the round step next above, as an integer or one over an integer power of ten."""
    power = float(np.floor(np.log10(wanted)))
    scaled = wanted / 10.0**power
    factor = next((step for step in STEPS.tolist() if step >= scaled), 10.0)
    return factor * 10.0**power if power >= 0 else factor / 10.0**-power


# --- months ------------------------------------------------------------------------------------------


def _months(day: date, count: int) -> Iterator[_Month]:
    """Yield months that have not expired: serial ones, then quarter months."""
    year, month, found = day.year, day.month, 0
    while found < count:
        expiry = _expiry(year, month)
        if expiry > day and (found < SERIAL_MONTHS or month % QUARTER == 0):
            found += 1
            yield _Month(code=f"{year:04}{month:02}", years=round((expiry - day).days / 365, 6))
        year, month = year + month // 12, month % 12 + 1


def _expiry(year: int, month: int) -> date:
    """Return the weekday before the last weekday of a month; there are no holidays here."""
    day = _weekday(date(year, month, monthrange(year, month)[1]))
    return _weekday(day - timedelta(days=1))


def _weekday(day: date) -> date:
    return day - timedelta(days=max(day.weekday() - SATURDAY + 1, 0))


# --- products ----------------------------------------------------------------------------------------


def _index(rng: np.random.Generator) -> _Underlying:
    price = _rounded(rng.uniform(4_000, 28_000), 0)
    volatility = round(rng.uniform(0.17, 0.30), 4)
    return _Underlying(
        price=price,
        volatility=volatility,
        price_scan_range=_rounded(3.2 * price * volatility / np.sqrt(250), 0),
        volatility_scan_range=INDEX_VOLATILITY_SCAN,
        decimals=0,
        growth=round(rng.uniform(-0.01, 0.02), 4),
    )


def _stock(rng: np.random.Generator) -> _Underlying:
    price = _rounded(30.0 * np.exp(1.1 * rng.standard_normal()), 2)
    volatility = round(float(np.clip(0.34 * np.exp(0.3 * rng.standard_normal()), 0.15, 0.9)), 4)
    return _Underlying(
        price=price,
        volatility=volatility,
        price_scan_range=_rounded(3.2 * price * volatility / np.sqrt(250), 2),
        volatility_scan_range=STOCK_VOLATILITY_SCAN,
        decimals=2,
        growth=INTEREST_RATE,
    )


def _product(code: str, kind: str, name: str, commodity: str, size: float, **own: str) -> Row:
    usual = {"exchange": FUTURES_EXCHANGE, "currency": "HKD", "option_style": "futures"}
    identity = {"product": code, "product_type": kind, "name": f"Synthetic {name}"}
    return usual | identity | {"commodity": commodity, "contract_size": size} | own


def _products(rng: np.random.Generator, families: int, futures: int, classes: int) -> list[_Product]:
    """Invent every underlying and its products, sorted by exchange and type."""
    require_size(families, "index_families", 1, FAMILIES_MAX)
    require_size(futures, "stock_futures", 0, STOCKS_MAX)
    require_size(classes, "stock_classes", 0, STOCKS_MAX)
    indices = [_index(rng) for _ in range(families)]
    stocks = [_stock(rng) for _ in range(max(futures, classes))]
    products = [
        *_index_products(indices),
        *_currency_product(rng),
        *_stock_products(stocks, futures, classes),
    ]
    return sorted(products, key=lambda product: (product.row["exchange"], product.row["product_type"]))


def _index_products(indices: Sequence[_Underlying]) -> Iterator[_Product]:
    """Yield future and options of the standard contract, and of the mini."""
    for number, index in enumerate(indices, 1):
        family = f"IX{number}"
        for code, word, size, scaling in (
            (family, "index", STANDARD_SIZE, 1.0),
            (f"MX{number}", "mini index", MINI_SIZE, MINI_SCALING),
        ):
            for kind, noun in (("FUT", "future"), ("OOP", "options")):
                row = _product(code, kind, f"{word} {number} {noun}", family, size)
                yield _Product(row=row, underlying=index, scaling=scaling)


def _currency_product(rng: np.random.Generator) -> Iterator[_Product]:
    price = _rounded(rng.uniform(6.8, 7.4), 4)
    underlying = _Underlying(
        price=price,
        volatility=0.05,
        price_scan_range=_rounded(price * rng.uniform(0.009, 0.013), 4),
        volatility_scan_range=0.0,
        decimals=4,
        growth=-0.01,
    )
    row = _product("FXC", "FUT", "USD/CNH future, delivered", "FXC", CURRENCY_SIZE, currency="CNH")
    yield _Product(row=row, underlying=underlying)


def _stock_products(stocks: Sequence[_Underlying], futures: int, classes: int) -> Iterator[_Product]:
    for number, stock in enumerate(stocks, 1):
        code, lot = f"S{number:04}", float(LOTS[np.searchsorted(LOT_PRICES, stock.price)])
        if number <= futures:
            row = _product(code, "FUT", f"stock {number} future", f"F{number:04}", lot)
            yield _Product(row=row, underlying=stock)
        if number <= classes:
            premium = {"exchange": OPTIONS_EXCHANGE, "option_style": "premium"}
            row = _product(code, "OOP", f"stock {number} options", code, lot, **premium)
            yield _Product(row=row, underlying=stock)


# --- series ------------------------------------------------------------------------------------------


def _futures(
    product: _Product, months: Sequence[_Month]
) -> tuple[pl.DataFrame, Float64[np.ndarray, "series 16"]]:
    count = len(months)
    codes = [month.code for month in months]
    arrays = futures_losses(np.full(count, product.underlying.price_scan_range), product.row["contract_size"])
    own = {
        "right": [""] * count,
        "expiry": codes,
        "strike": np.zeros(count),
        "price": [product.underlying.future(month) for month in months],
        "implied_volatility": pl.Series([None] * count, dtype=pl.Float64),
        "volatility_scan_range": pl.Series([None] * count, dtype=pl.Float64),
        "years_to_expiry": [month.years for month in months],
    }
    return _series(product, own, arrays)


def _options(
    product: _Product, months: Sequence[_Month], strikes: int, style: ExerciseStyle, steps: int
) -> tuple[pl.DataFrame, Float64[np.ndarray, "series 16"]]:
    """Make the calls and puts of every strike and month, valued and scanned."""
    is_index = product.row["exchange"] == FUTURES_EXCHANGE
    underlying = product.underlying
    ladders = [_strikes(underlying, month, strikes) for month in months]
    repeats = [2 * strikes] * len(months)
    strike = np.concatenate([np.repeat(ladder, 2) for ladder in ladders])
    is_call = np.arange(strike.size) % 2 == 0
    years = np.repeat([month.years for month in months], repeats)
    prices = np.repeat(
        [underlying.future(month) if is_index else underlying.price for month in months], repeats
    )
    smile = underlying.volatility * (1.0 + SKEW * (strike / prices - 1.0))
    volatility = np.round(np.clip(smile, *VOLATILITY_BOUNDS), 4)
    rate = 0.0 if is_index else INTEREST_RATE
    tree_steps = 0 if is_index or style == "european" else steps
    value, arrays = _valued(product, is_call, strike, prices, volatility, years, rate, tree_steps)
    scale = 10.0**underlying.decimals
    own = {
        "right": np.where(is_call, "C", "P").tolist(),
        "expiry": np.repeat([month.code for month in months], repeats).tolist(),
        "strike": strike,
        "price": np.maximum(np.rint(value * scale), 1.0) / scale,
        "implied_volatility": volatility,
        "volatility_scan_range": np.full(strike.size, underlying.volatility_scan_range),
        "years_to_expiry": years,
    }
    return _series(product, own, arrays)


def _strikes(underlying: _Underlying, month: _Month, count: int) -> Float64[np.ndarray, " strikes"]:
    """Return strikes around the money, a round step apart, none at or below zero."""
    deviation = underlying.price * underlying.volatility * np.sqrt(month.years + 0.05)
    step = _round_step(max(STRIKE_WIDTH * deviation, 2.0 / 10.0**underlying.decimals))
    while step * count > 1.6 * underlying.price and step > 10.0**-underlying.decimals:
        step = max(_round_step(0.3 * step), 10.0**-underlying.decimals)
    first = max(np.rint(underlying.price / step) - count // 2, 1.0)
    return np.round((first + np.arange(count)) * step, underlying.decimals)


def _valued(
    product: _Product,
    is_call: Bool[np.ndarray, " series"],
    strikes: Float64[np.ndarray, " series"],
    prices: Float64[np.ndarray, " series"],
    volatilities: Float64[np.ndarray, " series"],
    years: Float64[np.ndarray, " series"],
    rate: float,
    steps: int,
) -> tuple[Float64[np.ndarray, " series"], RiskArrays]:
    """Value options by trees of so many steps, or by Black's formula where that is 0, and scan them."""
    underlying = product.underlying
    terms = (is_call, strikes, prices, volatilities, years)
    ranges = (underlying.price_scan_range, underlying.volatility_scan_range, product.row["contract_size"])
    sides, rates = np.where(is_call, 1.0, -1.0), np.full(strikes.size, rate)
    spots, moved = prices[:, None].copy(), volatilities[:, None].copy()
    if steps:
        none = np.empty(0)
        starts = np.zeros(strikes.size + 1, np.int64)
        values, _ = american_values(sides, strikes, years, rates, spots, moved, starts, none, none, steps)
        return values[:, 0], american_losses(*terms, *ranges, rates=rate, steps=steps)
    values, _ = black76_values(sides, strikes, years, rates, spots * np.exp(rate * years)[:, None], moved)
    return values[:, 0], black76_losses(*terms, *ranges, rates=rate, carry_rates=rate)


def _series(
    product: _Product, own: Row, arrays: RiskArrays
) -> tuple[pl.DataFrame, Float64[np.ndarray, "series 16"]]:
    row, count = product.row, len(arrays.losses)
    shared = {
        "exchange": row["exchange"],
        "product": row["product"],
        "product_type": row["product_type"],
        "commodity": row["commodity"],
        "future_month": "",
        "delta_scaling": product.scaling,
        "contract_size": row["contract_size"],
        "option_style": row["option_style"],
        "price_scan_range": product.underlying.price_scan_range,
    }
    columns: Row = {name: [value] * count for name, value in shared.items()} | own
    columns["delta_month"] = columns["expiry"]
    columns["composite_delta"] = np.round(arrays.composite_delta, 4) + 0.0
    schema = SPAN_SCHEMAS["series"]
    series = pl.DataFrame({name: columns[name] for name in schema}, schema=schema)
    return series, np.rint(arrays.losses) + 0.0  # + 0.0: no negative zero


# --- rules -------------------------------------------------------------------------------------------


def _commodities(products: Sequence[_Product]) -> Iterator[Row]:
    """Yield each combined commodity where its first product stands."""
    seen = set()
    optional = {product.row["commodity"] for product in products if product.row["product_type"] == "OOP"}
    for product in products:
        code = product.row["commodity"]
        if code not in seen:
            seen.add(code)
            yield {
                "commodity": code,
                "exchange": product.row["exchange"],
                "name": "",
                "currency": product.row["currency"],
                "option_style": product.row["option_style"],
                "cap_option_value": False,
                "short_option_minimum": np.ceil(0.02 * _scan_money(product)) if code in optional else 0.0,
                "som_method": "sum",
                "price_risk_method": "normal",
                "intra_method": "table",
                "spot_method": "table" if code == "FXC" else "none",
                **{f"adjustment_{kind}": 1.0 for kind in ("member", "hedger", "speculator")},
                **{f"initial_{kind}": 1.0 for kind in ("member", "hedger", "speculator")},
            }


def _scan_money(product: _Product) -> float:
    """Scan range of one delta in money."""
    size = product.row["contract_size"] / product.scaling
    return float(product.underlying.price_scan_range * size)


def _calendar_spreads(
    products: Sequence[_Product], commodities: Sequence[Row], months: Sequence[_Month]
) -> dict[str, pl.DataFrame]:
    """One tier over all months, and one spread of it against itself, at a quarter of the scan range."""
    first = {product.row["commodity"]: product for product in reversed(products)}
    tier = {"kind": "intra", "tier": 1, "start": months[0].code, "end": months[-1].code, "rate": None}
    tiers, spreads, legs = [], [], []
    for number, commodity in enumerate(commodities, 1):
        code = commodity["commodity"]
        tiers.append(tier | {"commodity": code})
        charge = np.ceil(0.25 * _scan_money(first[code]))
        spread = {"spread": number, "commodity": code, "kind": "tier", "priority": 1, "charge": charge}
        spreads.append(spread)
        legs += [
            {"spread": number, "leg": leg, "tier": 1, "month": None, "ratio": 1.0, "side": side}
            for leg, side in enumerate("AB", 1)
        ]
    return {
        "tiers": _table("tiers", tiers),
        "intra_spreads": _table("intra_spreads", spreads),
        "intra_legs": _table("intra_legs", legs),
    }


def _spot_charges(products: Sequence[_Product], months: Sequence[_Month]) -> dict[str, pl.DataFrame]:
    """Charge the nearest month of what is delivered: a tenth of the scan range in spreads, half outright."""
    money = next(_scan_money(product) for product in products if product.row["commodity"] == "FXC")
    row = {
        "commodity": "FXC",
        "month": months[0].code,
        "in_spreads": np.ceil(0.1 * money),
        "outright": np.ceil(0.5 * money),
    }
    return {"spot_charges": _table("spot_charges", [row])}


def _inter_spreads(rng: np.random.Generator, products: Sequence[_Product]) -> dict[str, pl.DataFrame]:
    """Spread index families against the next one, and then the first against the third, and so on.

    The ratio of side B makes both legs worth the same scan range.
    """
    families = {
        product.row["commodity"]: _scan_money(product)
        for product in products
        if product.row["product"].startswith("IX")
    }
    codes = list(families)
    pairs = [pair for gap in (1, 2) for pair in zip(codes, codes[gap:], strict=False)]
    spreads, legs = [], []
    for number, (one, other) in enumerate(pairs, 1):
        spreads.append(
            {
                "spread": number,
                "group": "",
                "priority": number,
                "method": "delta",
                "credit": "price_risk",
                "rate": round(rng.uniform(0.4, 0.75), 2),
                "first": False,
                "minimum_legs": 2,
                "eligibility": "all",
            }
        )
        ratio = _rounded(families[one] / families[other], 2)
        legs += [
            {
                "spread": number,
                "leg": leg,
                "commodity": code,
                "tier": None,
                "ratio": amount,
                "side": side,
                "required": True,
                "target": False,
                "rate": None,
            }
            for leg, (code, amount, side) in enumerate([(one, 1.0, "A"), (other, ratio, "B")], 1)
        ]
    return {"inter_spreads": _table("inter_spreads", spreads), "inter_legs": _table("inter_legs", legs)}


def _currency_rates(rng: np.random.Generator) -> Iterator[Row]:
    rate = round(rng.uniform(1.05, 1.2), 4)
    yield {"currency": "CNH", "to_currency": "HKD", "multiplier": rate}


# --- positions ---------------------------------------------------------------------------------------


def synthetic_span_positions(
    seed: int, parameters: SpanParameters, accounts: int, positions_per_account: int
) -> pl.DataFrame:
    """Invent positions: synthetic data, no position of any participant.

    Near months, options near the money and the combined commodities that stand first in the parameters are
    held most; half of the choice is even over all series. Sizes are log-normal. A future is as often long
    as short, an option more often short.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    parameters : SpanParameters
        The market, from ``synthetic_span_parameters`` or a file.
    accounts : int
        How many; their names are A000001, A000002, …
    positions_per_account : int
        Positions of each, in different series; at most half as many as there are series.

    Returns
    -------
    DataFrame
        ``account``, ``exchange``, ``product``, ``expiry``, ``right``, ``strike`` (both null for a future)
        and ``quantity`` (contracts, + long, − short); sorted by account and the parameters' order of series.
    """
    rng = np.random.default_rng(seed)
    count = len(parameters.series)
    require_size(positions_per_account, "positions_per_account", 0, count // 2)
    held = _choose(rng, _popularity(parameters), accounts, positions_per_account).ravel()
    is_option = parameters.is_option.to_numpy()[held]
    size = np.exp(1.2 * rng.standard_normal(held.size)) * np.where(is_option, 6.0, 3.0)
    long = rng.random(held.size) < np.where(is_option, 0.42, 0.5)
    quantity = np.where(long, 1, -1) * np.maximum(np.rint(size), 1).astype(np.int64)
    names = pl.Series([f"A{number + 1:06}" for number in range(accounts)], dtype=pl.String)
    series = parameters.series.select("exchange", "product", "expiry", "right", "strike", "product_type")
    option = pl.col("right") != ""
    chosen = series.with_columns(right=pl.when(option).then("right"), strike=pl.when(option).then("strike"))[
        held.astype(np.uint32)
    ]
    return chosen.with_columns(
        account=names.gather(np.repeat(np.arange(accounts), positions_per_account)),
        quantity=pl.Series(quantity),
    ).select(pl.col(name).cast(dtype) for name, dtype in POSITION_COLUMNS.items())


def _popularity(parameters: SpanParameters) -> Float64[np.ndarray, " series"]:
    """Return the chance of each series, at least half of an even one."""
    series = parameters.series
    order = {code: place for place, code in enumerate(parameters.commodities["commodity"])}
    place = series["commodity"].replace_strict(order, return_dtype=pl.Int64).to_numpy()
    months = series["expiry"].unique().sort()
    nearness = series["expiry"].cast(pl.Enum(months)).to_physical().cast(pl.Int64).to_numpy()
    delta = np.abs(series["composite_delta"].to_numpy())
    money = np.where(parameters.is_option.to_numpy(), 0.02 + np.clip(delta * (1.0 - delta), 0.0, 0.25), 3.0)
    popular = money / (1.0 + place) / (1.0 + nearness) ** 2
    return 0.5 * popular / popular.sum() + 0.5 / place.size


def _choose(
    rng: np.random.Generator, chances: Float64[np.ndarray, " series"], accounts: int, count: int
) -> Int64[np.ndarray, "accounts held"]:
    """Draw different series for each account: what an account has drawn twice is drawn again."""
    limits = np.cumsum(chances)
    held = _drawn(rng, limits, (accounts, count))
    while True:
        held.sort(axis=1)
        again = np.zeros(held.shape, np.bool_)
        again[:, 1:] = held[:, 1:] == held[:, :-1]
        if not again.any():
            return held
        held[again] = _drawn(rng, limits, (int(again.sum()),))


def _drawn(
    rng: np.random.Generator, limits: Float64[np.ndarray, " series"], shape: tuple[int, ...]
) -> Int64[np.ndarray, "*shape"]:
    return np.searchsorted(limits[:-1], rng.random(shape) * limits[-1], side="right")
