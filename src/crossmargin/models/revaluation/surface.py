"""Volatilities of options from their settlement prices, strike by strike, and what is wrong with them.

Calls and puts of one class, expiry and strike stand together as a pair; the out-of-the-money one, which
holds the whole time value, gives the volatility of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.columns import NUMBER_LIMIT
from crossmargin.kernels.implied_volatility import VolatilityStatus, implied_volatilities
from crossmargin.models.revaluation.american_inputs import LOWEST, EarlyExercise, with_volatility
from crossmargin.models.revaluation.dividends import Dividends, escrowed_income, present_values
from crossmargin.models.revaluation.factors import distinct_rows
from crossmargin.models.revaluation.settings import VOLATILITY_FLOOR
from crossmargin.models.revaluation.snapshot import DAYS_A_YEAR, findings, interest_rates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.models.revaluation.settings import RevaluationSettings
    from crossmargin.models.revaluation.snapshot import Snapshot

__all__ = ["CLASS_KEY", "EXPIRY_KEY", "OptionPairs", "arbitrage_findings", "group_slices", "option_pairs"]

CLASS_KEY: Final = ("underlying", "house", "style", "currency", "multiplier", "settlement")
"""Options that differ in none of these are one class."""

EXPIRY_KEY: Final = (*CLASS_KEY, "expiry")

ADDED: Final = ("forward", "carry", "volatility", "smile_slope")

SHARE_MAX: Final = 0.5
"""Dividends to come are worth at most this share of the spot."""

ROUNDS: Final = 20
SETTLED: Final = 1e-9
"""Change of a volatility at which the inversion of American prices ends, and rounds it may take."""

CALENDAR_TOLERANCE: Final = 1e-3
"""Relative fall of total variance that prices rounded to the tick do not tell from none."""

PARITY_STRIKES: Final = 5
"""Strikes nearest to the money whose median gives the forward from put–call parity."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OptionPairs:
    """Calls and puts by strike, with forward and volatility, sorted by class, expiry and strike.

    Parameters
    ----------
    table : DataFrame
        ``CLASS_KEY``, ``expiry``, ``strike``, ``group`` (number of class and expiry, ascending), ``days``,
        ``years`` (with the averaging window taken off), ``spot``, ``rate``, ``dividend_yield``,
        ``forward``, ``carry`` (rate less income of an American option, whose forward grows out of the spot; else 0),
        ``call`` and ``put`` (row in the snapshot's instruments, null where there is none),
        ``call_mark``, ``put_mark``, ``volatility`` (a fraction a year), ``smile_slope`` (change of
        volatility for a log-moneyness of 1).
    findings : DataFrame
        Volatilities that could not be had from a price, and what stands instead.
    """

    table: pl.DataFrame
    findings: pl.DataFrame


def option_pairs(snapshot: Snapshot, settings: RevaluationSettings) -> OptionPairs:
    """Pair the options of a snapshot and give each pair its forward and volatility.

    The forward is the settlement price of the future of the same underlying and expiry; without one, for
    European options, the median of K + (C − P)·e^{rT} over the five strikes nearest to the money; else
    spot·e^{(r − q)T} less what cash dividends up to expiry take off, see ``dividends``: for American options
    always, and early exercise knows them as an income of that size spread over the option's life. A price
    that no volatility gives takes the volatility of its neighbours, linear in the logarithm of the strike
    and flat beyond; an expiry without any that of the nearest expiry.
    """
    table = _paired(snapshot, settings)
    table, spoilt = _with_credible_forwards(_with_forwards(table, snapshot))
    if not len(table):
        nothing = {name: pl.Series(name, [], pl.Float64) for name in ADDED}
        return OptionPairs(table=table.with_columns(**nothing), findings=findings(spoilt))
    table, two_sided = _with_one_boundary(table)
    volatility, status = _implied(table)
    filled, found = _filled(table, volatility, status)
    found += [*spoilt, *two_sided]
    table = table.with_columns(pl.Series("volatility", np.maximum(filled, VOLATILITY_FLOOR)))
    table = table.with_columns(pl.Series("smile_slope", _smile_slopes(table)))
    return OptionPairs(table=table, findings=findings(found))


def _paired(snapshot: Snapshot, settings: RevaluationSettings) -> pl.DataFrame:
    options = snapshot.instruments.with_row_index("row").filter(pl.col("kind") == "option")
    key = [*EXPIRY_KEY, "strike"]
    again = pl.int_range(pl.len()).over([*key, "right"]).alias("again")  # two codes of the same terms
    options = options.with_columns(again, pl.col("row").cast(pl.Int64))
    shared = [*key, "again", "days", "spot", "dividend_yield"]
    sides = [
        options.filter(pl.col("right") == right).select(
            *shared, pl.col("row").alias(name), pl.col("mark").alias(f"{name}_mark")
        )
        for right, name in (("C", "call"), ("P", "put"))
    ]
    table = sides[0].join(sides[1], on=shared, how="full", coalesce=True).sort(*key, "again").drop("again")
    window = pl.when(pl.col("settlement") == "average").then(settings.averaging_days).otherwise(0.0)
    days = pl.col("days").cast(pl.Float64)
    left = pl.max_horizontal(days - window * (2 / 3), days / 3)
    return table.with_columns(
        (left / DAYS_A_YEAR).alias("years"),
        (pl.struct(EXPIRY_KEY).rle_id().cast(pl.Int64)).alias("group"),
        _rates(table, snapshot),
    )


def _rates(table: pl.DataFrame, snapshot: Snapshot) -> pl.Series:
    rate = np.zeros(len(table))
    days = table["days"].to_numpy().astype(np.float64)
    for currency in table["currency"].unique().sort():
        mine = (table["currency"] == currency).to_numpy()
        rate[mine] = interest_rates(snapshot.rates, currency, days[mine])
    return pl.Series("rate", rate)


def _with_forwards(table: pl.DataFrame, snapshot: Snapshot) -> pl.DataFrame:
    """Add ``forward``: future, else parity, else carry, see ``option_pairs``; and ``carry``."""
    futures = snapshot.instruments.filter(pl.col("kind") == "future").sort("multiplier", "instrument")
    largest = futures.group_by("underlying", "expiry", maintain_order=True).last()
    future = table.join(
        largest.select("underlying", "expiry", pl.col("mark").alias("future")),
        on=["underlying", "expiry"],
        how="left",
        maintain_order="left",
    )["future"]
    american = pl.col("style") == "american"
    growth = (pl.col("rate") * pl.col("days") / DAYS_A_YEAR).exp()
    gap = (pl.col("call_mark") - pl.col("put_mark")).abs()
    near = gap.rank("ordinal").over("group") <= PARITY_STRIKES
    at_parity = pl.col("strike") + (pl.col("call_mark") - pl.col("put_mark")) * growth
    parity = pl.when(near & ~american).then(at_parity).median().over("group")
    listed = pl.when(~american).then(pl.coalesce(pl.lit(future), parity))
    dividends = pl.Series(_dividend_income(table, snapshot))
    carry = pl.col("rate") - pl.col("dividend_yield") - dividends / pl.col("years")
    return table.with_columns(
        pl.coalesce(listed, pl.col("spot") * (carry * pl.col("years")).exp()).alias("forward"),
        pl.when(american).then(carry).otherwise(0.0).alias("carry"),
    )


def _with_credible_forwards(table: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[str, str, str]]]:
    """Leave pairs without a forward out, see ``_dividend_income``."""
    known = pl.col("forward").is_finite()
    out = table.filter(~known).select("underlying", "expiry").unique(maintain_order=True)
    kind = f"dividends of more than {SHARE_MAX:.0%} of the spot"
    kept = table.filter(known).with_columns(pl.col("group").rle_id().cast(pl.Int64))
    return kept, [(f"{underlying} {expiry}", kind, "left out") for underlying, expiry in out.iter_rows()]


def _dividend_income(table: pl.DataFrame, snapshot: Snapshot) -> Float64[np.ndarray, " pairs"]:
    """Return what cash dividends up to expiry take off the forward: income over the option's life.

    NaN where they are worth more than ``SHARE_MAX`` of the spot: a slip of units, or a distribution for
    which contracts would be adjusted.
    """
    first, at = distinct_rows(table, "underlying", "expiry", "years", "rate", "spot")
    keys = first.with_row_index("group").select("group", "underlying")
    paid = keys.join(snapshot.dividends, on="underlying", maintain_order="left_right").sort(
        "group", "ex_date"
    )
    ahead = (paid["ex_date"] - snapshot.as_of).dt.total_days().to_numpy() / DAYS_A_YEAR
    starts = np.searchsorted(paid["group"].to_numpy(), np.arange(len(first) + 1)).astype(np.int64)
    dividends = Dividends(starts, ahead, paid["amount"].to_numpy())
    spots, years, rates = (first[name].to_numpy() for name in ("spot", "years", "rate"))
    credible = present_values(dividends, years, rates) <= SHARE_MAX * spots
    income = escrowed_income(np.where(credible, spots, NUMBER_LIMIT), dividends, years, rates)
    return np.where(credible, income, np.nan)[at]


def _with_one_boundary(table: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[str, str, str]]]:
    """Take American options as European where rate and income are negative and exercise has two boundaries.

    A put has them where income < rate < 0, a call where rate < income < 0 (or the larger of the two is 0).
    """
    rate, income = pl.col("rate"), pl.col("rate") - pl.col("carry")
    put = (income < rate) & (rate <= 0) & ~((rate == 0) & (income < 0))
    call = (rate < income) & (income <= 0) & ~((income == 0) & (rate < 0))
    two = (pl.col("style") == "american") & (put | call)
    names = table.filter(two).select("underlying", "expiry").unique(maintain_order=True).iter_rows()
    found = [
        (f"{underlying} {expiry}", "rate and yield give two exercise boundaries", "valued as European")
        for underlying, expiry in names
    ]
    style = pl.when(two).then(pl.lit("european")).otherwise(pl.col("style"))
    return table.with_columns(style.alias("style")), found


def _implied(
    table: pl.DataFrame,
) -> tuple[Float64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    """Return the volatility that the out-of-the-money price implies, NaN with a status where it has none.

    The price of an American option is inverted as that of a European one after the premium of early exercise
    is taken off, first none and then, round by round, that at the volatility of the round before.
    """
    marks = table["call_mark"].to_numpy(), table["put_mark"].to_numpy()
    volatility, status = _inverted(table, *marks)
    american = (table["style"] == "american").to_numpy() & (status == VolatilityStatus.FOUND)
    if not american.any():
        return volatility, status
    part = table.filter(pl.Series(american)).with_columns(pl.col("group").rle_id().cast(pl.Int64))
    exercise = EarlyExercise.now(with_volatility(part, volatility[american]), LOWEST)
    for _ in range(ROUNDS):
        before = volatility[american]
        after, found = _inverted(part, *exercise.marks_without_premium(part, before))
        volatility[american], status[american] = after, found
        if (np.abs(after - before)[found == VolatilityStatus.FOUND] < SETTLED).all():
            break
    return volatility, status


def _inverted(
    table: pl.DataFrame,
    call_marks: Float64[np.ndarray, " pairs"],
    put_marks: Float64[np.ndarray, " pairs"],
) -> tuple[Float64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    """Invert the price of the side that is out of the money, or of the only one there is."""
    call_out = pl.col("strike") >= pl.col("forward")
    use_call = (call_out & pl.col("call").is_not_null()) | pl.col("put").is_null()
    is_call = table.select(use_call).to_series().to_numpy()
    columns = (table[name].to_numpy() for name in ("forward", "strike", "years", "rate"))
    return implied_volatilities(
        np.where(is_call, 1.0, -1.0), np.where(is_call, call_marks, put_marks), *columns
    )


def group_slices(table: pl.DataFrame) -> list[slice]:
    """Return the rows of each group, in order."""
    edges = np.flatnonzero(np.diff(table["group"].to_numpy(), prepend=-1, append=-1)).tolist()
    return [slice(first, last) for first, last in pairwise(edges)]


def _filled(
    table: pl.DataFrame, volatility: Float64[np.ndarray, " pairs"], status: Int64[np.ndarray, " pairs"]
) -> tuple[Float64[np.ndarray, " pairs"], list[tuple[str, str, str]]]:
    """Return volatilities without gaps, and what was found."""
    known = status == VolatilityStatus.FOUND
    filled, found = np.where(known, volatility, np.nan), []
    log_strike = np.log(table["strike"].to_numpy())
    for here in group_slices(table):
        if known[here].all():
            continue
        name = " ".join(str(part) for part in table.select("underlying", "expiry").row(here.start))
        source = here if known[here].any() else _nearest(table, known, here.start)
        missing = np.flatnonzero(~known[here]) + here.start
        if source is None:
            found.append(
                (name, "no settlement price of the underlying's options gives a volatility", "left out")
            )
            continue
        at = np.flatnonzero(known[source]) + source.start
        filled[missing] = np.interp(log_strike[missing], log_strike[at], volatility[at])
        found += [_found(table, name, int(row), int(status[row]), same=source == here) for row in missing]
    return filled, found


def _found(table: pl.DataFrame, name: str, row: int, status: int, *, same: bool) -> tuple[str, str, str]:
    reason = VolatilityStatus(status).name.lower().replace("_", " ")
    action = "volatility of the neighbouring strikes" if same else "volatility of the nearest expiry"
    return f"{name} {table['strike'][row]:g}", f"price gives no volatility: {reason}", action


def _nearest(table: pl.DataFrame, known: Bool[np.ndarray, " pairs"], first: int) -> slice | None:
    """Return the rows of the same class's expiry, nearest in days, that has a volatility."""
    mine = table.row(first, named=True)
    of_class = table.with_row_index("at").filter(
        pl.all_horizontal(pl.col(name) == mine[name] for name in CLASS_KEY) & pl.lit(pl.Series(known))
    )
    if not len(of_class):
        return None
    order = of_class.sort((pl.col("days") - mine["days"]).abs(), "group")
    rows = table.with_row_index("at").filter(pl.col("group") == order["group"][0])["at"]
    return slice(int(rows[0]), int(rows[-1]) + 1)


def _smile_slopes(table: pl.DataFrame) -> Float64[np.ndarray, " pairs"]:
    """Return the slope of the smile in log-moneyness: of the parabola through a strike and both neighbours."""
    slopes = np.zeros(len(table))
    moneyness = np.log(table["strike"].to_numpy() / table["forward"].to_numpy())
    volatility = table["volatility"].to_numpy()
    for here in group_slices(table):
        at, first = np.unique(moneyness[here], return_index=True)  # two codes may have one strike
        values = volatility[here][first]
        if at.size > 1 and np.isfinite(values).all():
            slopes[here] = np.gradient(values, at)[np.searchsorted(at, moneyness[here])]
    return slopes


def arbitrage_findings(pairs: OptionPairs, tolerance: float = 0.0) -> pl.DataFrame:
    """Report settlement prices that allow a gain without risk by more than ``tolerance`` × the spot.

    Vertical: a call falls and a put rises with the strike, by no more than the discounted difference of
    strikes. Butterfly: prices are convex in the strike. Calendar: total variance at the same log-moneyness
    does not fall with the expiry.

    Returns
    -------
    DataFrame
        ``subject`` (underlying, expiry, strike), ``kind``, ``action`` ("reported").
    """
    rows = [*_strike_findings(pairs.table, tolerance), *_calendar_findings(pairs.table)]
    return findings([(subject, kind, "reported") for subject, kind in rows])


def _strike_findings(table: pl.DataFrame, tolerance: float) -> Iterator[tuple[str, str]]:
    """Vertical spreads and butterflies, by side and expiry."""
    discount = (
        pl.when(pl.col("style") == "european").then((-pl.col("rate") * pl.col("years")).exp()).otherwise(1.0)
    )
    for side, sign in (("call", -1.0), ("put", 1.0)):
        mark = pl.col(f"{side}_mark")
        step, rise = pl.col("strike").diff().over("group"), (sign * mark.diff()).over("group")
        before, after = mark.shift(1).over("group"), mark.shift(-1).over("group")
        width = pl.col("strike").shift(-1).over("group") - pl.col("strike")
        tick = pl.col("spot") * tolerance
        between = (before * width + after * step) / (step + width)
        judged = table.filter(mark.is_not_null()).with_columns(
            ((rise < -tick) | (rise > step * discount + tick)).alias("vertical"),
            (mark > between + tick).alias("butterfly"),
        )
        for kind in ("vertical", "butterfly"):
            for row in judged.filter(kind).iter_rows(named=True):
                yield f"{row['underlying']} {row['expiry']} {row['strike']:g}", f"{kind} arbitrage of {side}s"


def _calendar_findings(table: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield strikes whose total variance at a log-moneyness falls from one expiry of a class to the next."""
    variance = pl.col("volatility") ** 2 * pl.col("years")
    curves = table.with_columns(
        variance.alias("variance"), (pl.col("strike") / pl.col("forward")).log().alias("k")
    )
    for _, of_class in curves.group_by(CLASS_KEY, maintain_order=True):
        expiries = of_class.partition_by("expiry", maintain_order=True)
        for near, far in pairwise(expiries):
            at = far["k"].to_numpy()
            inside = near.filter(pl.col("k").is_between(at[0], at[-1]))
            later = np.interp(inside["k"].to_numpy(), at, far["variance"].to_numpy())
            fallen = later < inside["variance"].to_numpy() * (1 - CALENDAR_TOLERANCE)
            for row in inside.filter(pl.Series(fallen)).iter_rows(named=True):
                yield f"{row['underlying']} {row['expiry']} {row['strike']:g}", "calendar arbitrage"
