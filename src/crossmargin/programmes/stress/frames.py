"""Stress tests of arrangements as the frames of ``StressResult``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from crossmargin.clearing.default_fund import cover
from crossmargin.clearing.waterfall import LAYERS
from crossmargin.programmes.frames import money
from crossmargin.programmes.stress.arrangements import ALONE
from crossmargin.programmes.stress.layers import FUND_LAYERS, MARGIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crossmargin.clearing.default_fund_rules import FundRules
    from crossmargin.clearing.waterfall import Waterfall
    from crossmargin.programmes.accounts import ClearingAccounts
    from crossmargin.programmes.stress.arrangements import Arrangement
    from crossmargin.programmes.stress.funds import DefaultFund
    from crossmargin.programmes.stress.scenarios import StressMoves

__all__ = [
    "contributions_frame",
    "cover_frame",
    "funds_frame",
    "losses_frame",
    "reverse_frame",
    "scenarios_frame",
    "waterfall_frame",
]

COVERS: Final = (1, 2)
SEPARATOR: Final = " + "
"""Between the names of several groups."""


def scenarios_frame(moves: StressMoves) -> pl.DataFrame:
    """Return a row a scenario, see ``StressResult.scenarios``."""
    columns = ("family", "source", "rationale", "confidence")
    told = {name: [getattr(one, name) for one in moves.scenarios] for name in columns}
    return pl.DataFrame(
        {"scenario": list(moves.labels), **told}, schema=dict.fromkeys(("scenario", *columns), pl.String)
    )


def losses_frame(found: Sequence[Arrangement], labels: Sequence[str], groups: Sequence[str]) -> pl.DataFrame:
    """Return losses of houses that stand alone, a row a scenario, group and house with an account of the group."""
    return pl.concat([_losses(one, labels, groups) for one in found if one.guarantee == ALONE])


def _losses(one: Arrangement, labels: Sequence[str], groups: Sequence[str]) -> pl.DataFrame:
    losses, count = one.losses, len(labels)
    held = losses.margin.astype(bool) | losses.loss.astype(bool).any(axis=0)
    group, house = np.nonzero(held)
    margin = np.broadcast_to(losses.margin[group, house], (count, group.size))
    return pl.DataFrame(
        {
            "scenario": pl.Series([*labels], dtype=pl.String).gather(np.repeat(np.arange(count), group.size)),
            "arrangement": pl.Series([one.name] * (count * group.size), dtype=pl.String),
            "group": pl.Series([*groups], dtype=pl.String).gather(np.tile(group, count)),
            "house": _houses(one, np.tile(house, count)),
            "loss": money(losses.loss[:, group, house].ravel()),
            "margin": money(margin.ravel()),
            "over_margin": money(losses.over[:, group, house].ravel()),
        }
    )


def _houses(one: Arrangement, at: Int64[np.ndarray, " rows"]) -> pl.Series:
    names = pl.Series([one.house(place) for place in range(len(one.funds))], dtype=pl.String)
    return names.gather(at)


def cover_frame(found: Sequence[Arrangement], labels: Sequence[str], groups: Sequence[str]) -> pl.DataFrame:
    """Return the largest losses over margin of one group and of two, see ``StressResult.cover``."""
    rows: list[tuple[str, str | None, int, str | None, str, str]] = []
    amounts: list[int] = []
    for one in found:
        for at in one.present:
            for standard in COVERS:
                most = cover(one.losses.over[:, :, at], standard)
                label = labels[most.scenario] if most.scenario >= 0 else None
                names = SEPARATOR.join(groups[place] for place in most.groups.tolist())
                rows.append((one.name, one.house(at), standard, label, names, one.guarantee))
                amounts.append(most.amount)
    schema = {"arrangement": pl.String, "house": pl.String, "cover": pl.Int64, "scenario": pl.String}
    schema |= {"groups": pl.String, "guarantee": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return table.insert_column(5, _amounts(amounts).alias("over_margin"))


def funds_frame(funds: Mapping[Arrangement, Sequence[DefaultFund]]) -> pl.DataFrame:
    """Return a row a default fund, see ``StressResult.funds``."""
    rows = [
        (one.name, one.house(fund.fund), _rule(fund.rules, fund.size.standard), fund.size.standard)
        for one, sized in funds.items()
        for fund in sized
    ]
    sources = [
        f"{fund.rules.parameter_set}: {fund.rules.source.get('limit', 'no source')}"
        for sized in funds.values()
        for fund in sized
    ]
    each = [fund for sized in funds.values() for fund in sized]
    schema = {"arrangement": pl.String, "house": pl.String, "rule": pl.String, "standard": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row").select(
        "arrangement",
        "house",
        _amounts([fund.parts.total for fund in each]).alias("size"),
        "rule",
        "standard",
        _amounts([fund.parts.own_resources for fund in each]).alias("house_share"),
        _amounts([int(fund.parts.contribution.sum()) for fund in each]).alias("members_share"),
        _amounts([int(fund.called.sum()) for fund in each]).alias("beyond_limit"),
        pl.Series("source", sources, pl.String),
    )


def _rule(rules: FundRules, standard: int) -> str:
    limit = "without a limit" if rules.limit is None else f"at most {rules.limit // 100:,}"
    return f"{rules.fund}: loss over margin of {standard} in one scenario, {limit}; by {rules.key}"


def contributions_frame(
    funds: Mapping[Arrangement, Sequence[DefaultFund]], accounts: ClearingAccounts
) -> pl.DataFrame:
    """Return a row a fund and participant with an account there, see ``StressResult.contributions``."""
    parts = [_contributions(one, fund, accounts) for one, sized in funds.items() for fund in sized]
    return pl.concat(parts)


def _contributions(one: Arrangement, fund: DefaultFund, accounts: ClearingAccounts) -> pl.DataFrame:
    at = fund.participants
    groups = pl.Series(accounts.groups, dtype=pl.String)
    return pl.DataFrame(
        {
            "arrangement": pl.Series([one.name] * at.size, dtype=pl.String),
            "house": _houses(one, np.full(at.size, fund.fund)),
            "participant": pl.Series(accounts.participants, dtype=pl.String).gather(at),
            "group": groups.gather(accounts.group_of_participant[at]),
            "contribution": money(fund.parts.contribution),
            "additional_margin": money(fund.parts.additional_margin),
        }
    )


def waterfall_frame(
    runs: Sequence[tuple[Arrangement, Waterfall]], scenario: str, defaulters: str
) -> pl.DataFrame:
    """Return a row a layer of each fund in each run of one case, see ``StressResult.waterfall``."""
    rows = [
        (one.name, one.guarantee, scenario, defaulters, one.house(at), layer)
        for one, _ in runs
        for at in one.present
        for layer in LAYERS
    ]
    columns = ("arrangement", "guarantee", "scenario", "defaulters", "house", "layer")
    table = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    return table.with_columns(
        _amounts([int(v) for one, run in runs for at in one.present for v in run.available[0, at]]).alias(
            "available"
        ),
        _amounts([int(v) for one, run in runs for at in one.present for v in run.used[0, at]]).alias("used"),
    )


def reverse_frame(
    found: Sequence[tuple[Arrangement, int, Float64[np.ndarray, "scenarios layers"]]], labels: Sequence[str]
) -> pl.DataFrame:
    """Return a row a fund, scenario and layer, see ``StressResult.reverse``; null where a multiple is infinite."""
    rows = [
        (one.name, one.house(at), label, layer, multiple if np.isfinite(multiple) else None)
        for one, at, multiples in found
        for label, of_layers in zip(labels, multiples.tolist(), strict=True)
        for layer, multiple in zip((MARGIN, *FUND_LAYERS), of_layers, strict=True)
    ]
    texts = dict.fromkeys(("arrangement", "house", "scenario", "layer"), pl.String)
    return pl.DataFrame(rows, schema={**texts, "multiple": pl.Float64}, orient="row")


def _amounts(values: Sequence[int]) -> pl.Series:
    return money(np.array(values, np.int64))
