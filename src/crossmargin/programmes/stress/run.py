"""A programme under stress: losses over margin, default funds, waterfall, reverse stress and close-out on a market."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.errors import BadRecord, InputError
from crossmargin.programmes.default_management.close_outs import close_outs
from crossmargin.programmes.evaluate import evaluation, provenance_of
from crossmargin.programmes.opening import open_houses
from crossmargin.programmes.stress import frames
from crossmargin.programmes.stress.arrangements import ALONE, Arrangement, arrangements
from crossmargin.programmes.stress.costs import costs
from crossmargin.programmes.stress.funds import DefaultFund, default_funds
from crossmargin.programmes.stress.layers import (
    Resources,
    exhausting_multiples,
    resources_of,
    run_waterfall,
    worst_case,
)
from crossmargin.programmes.stress.margin_multiples import MarginMultiples
from crossmargin.programmes.stress.result import StressResult
from crossmargin.programmes.stress.revaluation import stress_pnl
from crossmargin.programmes.stress.scenarios import stress_moves
from crossmargin.programmes.stress.universe import stress_universe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from crossmargin.core.provenance import Provenance
    from crossmargin.models.market import Market
    from crossmargin.programmes.accounts import ClearingAccounts
    from crossmargin.programmes.evaluate import Evaluation
    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.programme import Programme
    from crossmargin.programmes.stress.revaluation import StressPnl
    from crossmargin.programmes.stress.scenarios import StressMoves
    from crossmargin.programmes.stress.settings import StressSettings
    from crossmargin.programmes.stress.universe import StressUniverse

__all__ = ["run_stress", "stress_houses"]

METHOD: Final = "stress tests of a cross-margining programme by this engine"
HISTORICAL: Final = "historical"
CURRENCY: Final = "HKD"
CLOSE_OUT_MAX: Final = 1_000
"""Instruments of one defaulter: the linear program of 760 takes about half a minute and a gigabyte."""


def run_stress(
    market: Market,
    programme: Programme,
    as_of: date,
    settings: StressSettings,
    note: Callable[[str], None] = lambda _: None,
) -> StressResult:
    """Stress a programme on a market.

    Parameters
    ----------
    market : Market
        Accounts, positions, instruments, histories; nothing after the day is looked at.
    programme : Programme
        The design.
    as_of : date
        The day.
    settings : StressSettings
        Scenarios and choices.
    note : callable, optional
        Told the name of each stage as it begins.

    Raises
    ------
    InputError
        If a defaulting group has no account, no scenario is left, no rules of a fund are known for the day; and as
        ``open_houses`` and ``close_outs`` say.
    """
    return stress_houses(open_houses(market, as_of, settings.houses, note), programme, settings, note)


def stress_houses(
    houses: Houses,
    programme: Programme,
    settings: StressSettings,
    note: Callable[[str], None] = lambda _: None,
) -> StressResult:
    """Stress a programme on houses that are open already; see ``run_stress``."""
    accounts = houses.accounts
    defaulters = _places(settings.defaulters, accounts.groups)
    note("margins of the programme")
    done = evaluation(programme, houses)
    note("stress scenarios")
    universe = stress_universe(houses.market, houses.snapshot, houses.histories, settings.horizon_days)
    moves = stress_moves(settings.scenarios, universe)
    pnl = stress_pnl(houses.snapshot, moves, universe, houses.settings.revaluation)
    found = arrangements(done, pnl.pnl, client_gains=settings.client_gains)
    funds = _sized(found, accounts, settings, settings.rules_day or houses.as_of)
    resources = {one: resources_of(one, funds[_alone(one, found)]) for one in found}
    scenario, chosen = worst_case(found[1].losses, defaulters, settings.standard)
    note("reverse stress")
    reverse = _reverse(done, moves, universe, resources, settings)
    note("close-out")
    small, large = _closed_out(houses, chosen) if settings.closes_out else ([], [])
    closed = close_outs(houses, small, settings.close_out)
    result = StressResult(
        programme=programme.name,
        market=houses.market.name,
        as_of=houses.as_of,
        currency=houses.market.currency,
        scenarios=frames.scenarios_frame(moves),
        losses=frames.losses_frame(found, moves.labels, accounts.groups),
        cover=frames.cover_frame(found, moves.labels, accounts.groups),
        funds=frames.funds_frame(funds),
        contributions=frames.contributions_frame(funds, accounts),
        waterfall=_waterfall(resources, accounts, chosen, scenario, moves.labels[scenario]),
        reverse=reverse,
        close_out=closed,
        findings=pl.concat([_not_closed_out(large), _findings(houses, moves, pnl, programme, settings)]),
        provenance=_provenance(done, settings, pnl, [fund for sized in funds.values() for fund in sized]),
    )
    return replace(result, findings=pl.concat([_cost_findings(result), result.findings]))


def _places(names: Sequence[str], groups: Sequence[str]) -> list[int]:
    """Return the places of groups, refusing names that are none and names given twice."""
    rule = f"each a group with an account, once: {', '.join(groups[:8])}{' …' if len(groups) > 8 else ''}"  # noqa: PLR2004
    bad = [name for at, name in enumerate(names) if name not in groups or name in names[:at]]
    if bad:
        raise InputError(
            BadRecord(file="stress", line=0, field="defaulters", value=name, rule=rule) for name in bad
        )
    return [groups.index(name) for name in names]


def _sized(
    found: Sequence[Arrangement], accounts: ClearingAccounts, settings: StressSettings, day: date
) -> dict[Arrangement, tuple[DefaultFund, ...]]:
    """Size the funds of houses that stand alone: a fund that counted on a guarantee would rest on others' models."""
    return {
        one: default_funds(one, accounts.group_of_participant, day, settings.cover)
        for one in found
        if one.guarantee == ALONE
    }


def _alone(one: Arrangement, found: Sequence[Arrangement]) -> Arrangement:
    """Return the same arrangement without a guarantee: its funds are the ones that there are."""
    return next(other for other in found if (other.name, other.guarantee) == (one.name, ALONE))


def _closed_out(houses: Houses, chosen: Sequence[int]) -> tuple[list[str], list[tuple[str, int]]]:
    """Return groups whose book is small enough for the linear program, and the others with how many instruments they hold."""
    accounts = houses.accounts
    small, large = [], []
    for group in chosen:
        mine = accounts.books.select(np.flatnonzero(accounts.group == group))
        count = np.unique(mine.rows).size
        if count <= CLOSE_OUT_MAX:
            small.append(accounts.groups[group])
        else:
            large.append((accounts.groups[group], count))
    return small, large


def _not_closed_out(large: Sequence[tuple[str, int]]) -> pl.DataFrame:
    """Say whose book is too large to be closed out here."""
    rule = f"more than {CLOSE_OUT_MAX:,}: close it out by itself"
    said = [(group, "not closed out", f"{count:,} instruments, {rule}") for group, count in large]
    schema = dict.fromkeys(("subject", "kind", "action"), pl.String)
    return pl.DataFrame(said, schema=schema, orient="row")


def _waterfall(
    resources: Mapping[Arrangement, Resources],
    accounts: ClearingAccounts,
    defaulters: Sequence[int],
    scenario: int,
    label: str,
) -> pl.DataFrame:
    """Run one case down the waterfall of every arrangement."""
    defaulting = np.zeros((1, len(accounts.groups)), bool)
    defaulting[0, list(defaulters)] = True
    runs = [(one, run_waterfall(one.losses, has, [scenario], defaulting)) for one, has in resources.items()]
    names = frames.SEPARATOR.join(accounts.groups[at] for at in defaulters)
    return frames.waterfall_frame(runs, label, names)


def _reverse(
    done: Evaluation,
    moves: StressMoves,
    universe: StressUniverse,
    resources: Mapping[Arrangement, Resources],
    settings: StressSettings,
) -> pl.DataFrame:
    """Find what multiple of each stated scenario exhausts each layer; past days are what they were."""
    chosen = [at for at, one in enumerate(moves.scenarios) if one.family != HISTORICAL]
    stated, houses = moves.only(chosen), done.houses
    if not chosen:
        return frames.reverse_frame([], ())
    tried = settings.multiples
    pnl = stress_pnl(houses.snapshot, stated.times(tried), universe, houses.settings.revaluation)
    found = []
    for one, held in resources.items():
        if one.guarantee == ALONE:
            margins = MarginMultiples(one.units, tried, len(chosen), merged=one.merged)
            losses = one.losses_on(pnl.pnl, margins)
            for at in one.present:
                funds = exhausting_multiples(losses, held, at, tried, settings.standard)
                found.append((one, at, np.column_stack([margins.found[:, at], funds])))
    return frames.reverse_frame(found, stated.labels)


def _cost_findings(result: StressResult) -> pl.DataFrame:
    """Say what each arrangement costs beside what it saves."""
    table = costs(result)
    return table.filter(pl.col("arrangement") != table["arrangement"][0]).select(
        pl.format("{}, guarantee {}", "arrangement", "guarantee").alias("subject"),
        pl.lit("cost beside the saving").alias("kind"),
        pl.format(
            "margin saved {}, growth of what default funds are to cover {}",
            *(pl.col(name).cast(pl.String) for name in ("margin_saved", "cover_growth")),
        ).alias("action"),
    )


def _findings(
    houses: Houses, moves: StressMoves, pnl: StressPnl, programme: Programme, settings: StressSettings
) -> pl.DataFrame:
    """Return what was left out or replaced, and what figures rest on."""
    said = [
        *moves.findings,
        ("default funds", "the key of contributions is of one day", "no average over days"),
    ]
    if settings.client_gains and programme.default.guarantee != ALONE:
        why = "it shares losses of joint accounts, and all of a group is one here"
        said.append(("guarantee", "not run", why))
    if houses.market.currency != CURRENCY:
        said.append(("default funds", f"limits are in {CURRENCY}", f"read as {houses.market.currency}"))
    held = np.zeros(pnl.valued.size, bool)
    held[houses.accounts.books.rows] = True
    unvalued = houses.snapshot.instruments["instrument"].filter(pl.Series(held & ~pnl.valued))
    said += [(name, "a position that no scenario values", "loses nothing here") for name in unvalued]
    own = pl.DataFrame(said, schema=houses.findings.schema, orient="row")
    return pl.concat([own, pl.concat([houses.findings, pnl.findings]).unique().sort(pl.all())])


def _provenance(
    done: Evaluation, settings: StressSettings, pnl: StressPnl, funds: Sequence[DefaultFund]
) -> Provenance:
    base = provenance_of(done.programme, done.houses, METHOD)
    library = hashlib.sha256(repr(settings.scenarios).encode()).hexdigest()
    rules = dict.fromkeys(fund.rules.parameter_set for fund in funds)
    return replace(
        base,
        parameter_sets=(*base.parameter_sets, *rules),
        settings=(*base.settings, *((f"stress.{name}", text) for name, text in settings.described())),
        input_hashes=(
            *base.input_hashes,
            ("stress scenarios", library),
            ("stress moves", pnl.scenarios_hash),
        ),
    )
