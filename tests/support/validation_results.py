"""Results of a validation with invented numbers: every column that the contracts name, with nulls and long names."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from crossmargin.core.provenance import Provenance
from crossmargin.models.market import HOUSES
from crossmargin.programmes.backtest.result import BacktestResult
from crossmargin.programmes.procyclicality.result import ProcyclicalityResult
from crossmargin.programmes.stress.result import StressResult

AS_OF = date(2026, 1, 5)
LEGAL_STATUS = "hypothetical: no such arrangement is in force"
PROGRAMME = "one pot, joint expected shortfall"
LONG_NAME = "Invented Securities and Futures (International Arbitrage) Company Limited 000 / house / joint"
KINDS = (("account", HOUSES), ("leg", HOUSES), ("joint account", (None,)))
SERIES = 6
TOOLS = ("as set", "none", "25% buffer", "25% stress weight", "10-year floor")
FACTORS = {"as set": 1.04, "none": 1.0, "25% buffer": 1.1, "25% stress weight": 1.08, "10-year floor": 1.21}
SHARES = {"HKSCC": 0.5, "HKCC": 0.35, "SEOCH": 0.15}


def provenance(method):
    return Provenance(
        method=method,
        as_of=AS_OF,
        parameter_sets=("hkscc-2023-08-14", "prime-2026"),
        settings=(("confidence", "0.99"), ("every", "5")),
        input_hashes=(("market", "ab" * 32), ("programme", "cd" * 32)),
        legal_status=LEGAL_STATUS,
        data_note="Synthetic market: every participant, position and price is invented.",
        seed=13,
    )


def days(count, step=7):
    return tuple(AS_OF - timedelta(days=step * (count - 1 - i)) for i in range(count))


def findings():
    return pl.DataFrame(
        {
            "subject": ["0005", "0011", "HSI.C.17000"],
            "kind": ["no history", "no history", "no volatility"],
            "action": ["left out", "left out", "carried from the day before"],
        }
    )


def series(hostile=""):
    """Kind, house, name of every series; the first name is long or hostile, the last of accounts has nothing to judge."""
    for kind, houses in KINDS:
        for house in houses:
            for number in range(SERIES):
                name = (hostile or LONG_NAME) if number == 0 else f"Invented Securities {number:03d}"
                yield kind, house, f"{name} {kind}"


# Backtest


def backtest(*, enough=False, hostile="", observations=520):
    """Return a backtest; legs fall short after the reduction unless it is ``enough``."""
    rows = [
        coverage_row(place, *one, when, observations=observations, enough=enough)
        for place, one in enumerate(series(hostile))
        for when in ("before", "after")
    ]
    floats = ("coverage", "average_uncovered", "peak_uncovered")
    coverage = pl.DataFrame(
        rows, infer_schema_length=None, schema_overrides=dict.fromkeys(floats, pl.Float64)
    )
    dates = days(52)
    return BacktestResult(
        programme=PROGRAMME,
        market="Invented market",
        portfolios="static",
        days=dates,
        every=5,
        confidence=0.99,
        currency="HKD",
        history=history(dates, hostile),
        coverage=coverage,
        houses=pooled(coverage),
        years=pl.concat(
            [
                pooled(coverage)
                .select(pl.lit(year).alias("year"), pl.all())
                .with_columns(
                    observations=pl.col("observations") // 3, exceedances=pl.col("exceedances") // 3
                )
                for year in (2023, 2024, 2025)
            ]
        ),
        sensitivity=sensitivity(),
        findings=findings(),
        provenance=provenance("backtest of a programme, version 1"),
    )


def coverage_row(place, kind, house, name, when, *, observations, enough):
    """One series; the last of each kind has no observation, and all its figures are null."""
    number = place % SERIES
    judged = number < SERIES - 1
    short = kind == "leg" and when == "after" and not enough
    exceedances = (number * 4 + 3 if short else number % 4) if judged else 0
    count = observations if judged else 0
    zone = "red" if exceedances > 14 else "yellow" if exceedances > 9 else "green"
    amount = 1_234_567.891 * (1 + place) * exceedances
    some = bool(exceedances)
    return {
        "kind": kind,
        "name": name,
        "house": house,
        "when": when,
        "observations": count,
        "exceedances": exceedances,
        "coverage": 1 - exceedances / count if count else None,
        "effective_observations": count / 2 if judged else None,
        "kupiec": 0.1 * exceedances if judged else None,
        "kupiec_p": 0.9 / (1 + exceedances) ** 3 if judged else None,
        "independence": 0.05 if some else None,
        "independence_p": 0.8 if some else None,
        "conditional": 0.15 if some else None,
        "conditional_p": 0.85 / (1 + exceedances) ** 3 if some else None,
        "zone": zone if judged else None,
        "average_uncovered": amount / 2 if some else None,
        "peak_uncovered": amount if some else None,
        "peak_date": date(2024, 8, 5) if some else None,
        "z1": -0.1 * exceedances if some else None,
        "z2": 1 - 0.2 * exceedances if judged else None,
        "z2_critical": -0.7 if judged else None,
    }


def pooled(coverage):
    """A row a house, kind and moment, made from the series; a house pools its accounts."""
    rows = []
    groups = coverage.with_columns(pl.col("house").fill_null("joint")).partition_by(
        "house", "kind", "when", as_dict=True, maintain_order=True
    )
    for (house, kind, when), part in groups.items():
        count, exceeded = int(part["observations"].sum()), int(part["exceedances"].sum())
        rows.append(
            {
                "house": house,
                "kind": "house" if kind == "account" else kind,
                "when": when,
                "observations": count,
                "exceedances": exceeded,
                "coverage": 1 - exceeded / count if count else None,
                "average_uncovered": part["average_uncovered"].mean(),
                "peak_uncovered": part["peak_uncovered"].max(),
                "peak_date": part["peak_date"].max(),
                "series_below": int((part["coverage"] < 0.99).sum()),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def history(dates, hostile=""):
    rows = [
        {
            "date": day,
            "kind": kind,
            "name": name,
            "house": house,
            "horizon_days": 1 if house == "SEOCH" else 2,
            "before": 1e6 * (10 + place) * (1 + 0.1 * ((number * 7) % 10)),
            "after": 1e6
            * (10 + place)
            * (1 + 0.1 * ((number * 7) % 10))
            * (1.0 if kind == "account" else 0.6),
            "gain": 1e5 * ((number * 13 + place * 5) % 29 - 14),
            "value_at_risk": None if kind == "account" else 4e6,
            "expected_shortfall": None if kind == "account" else 5e6,
        }
        for number, day in enumerate(dates)
        for place, (kind, house, name) in enumerate(series(hostile))
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def sensitivity():
    rows = [
        ("look-back", "500", False),
        ("look-back", "1000", True),
        ("confidence", "0.99", True),
        ("confidence", "0.995", False),
        ("lambda", "0.97", True),
        ("lambda", "0.99", False),
    ]
    return pl.DataFrame(
        [
            {
                "setting": setting,
                "value": value,
                "base": base,
                "books": books,
                "mean_margin": 1e9 * (1 if books == "silo" else 0.6) * (1 + 0.03 * place),
                "observations": 5200,
                "exceedances": 60 - 5 * place,
                "coverage": 1 - (60 - 5 * place) / 5200,
                "peak_uncovered": 4e7,
            }
            for place, (setting, value, base) in enumerate(rows)
            for books in ("silo", "joint")
        ]
    )


# Stress

SCENARIOS = (
    ("2008-10-27", "historical", "closing prices", "largest fall of the index since 1997"),
    ("index −20%", "hypothetical", "HKCC, stress testing", "published range of the index"),
    ("memory-chip cycle turn", "theme", "own judgement", "price slump after a shortage: semiconductor names"),
    (
        "trading halt of a large member",
        "theme",
        "own judgement",
        "a large member of the index cannot be sold",
    ),
)
GROUPS = ("Group A of Invented Securities and Futures (International)", "Group B", "Group C", "Group D")
ARRANGEMENTS = (("today", HOUSES, 1.0), ("linked", HOUSES, 0.7), ("merged", (None,), 0.65))
LAYERS = ("margin", "defaulters' contributions", "own resources", "survivors' contributions", "not covered")


def stress(*, enough=False, hostile=""):
    """Return stress tests; the linked fund of HKCC is too small unless they are ``enough``."""
    losses = stress_losses(hostile)
    return StressResult(
        programme=PROGRAMME,
        market="Invented market",
        as_of=AS_OF,
        currency="HKD",
        scenarios=pl.DataFrame(SCENARIOS, schema=["scenario", "family", "source", "rationale"], orient="row"),
        losses=losses,
        cover=cover(losses),
        funds=funds(enough=enough),
        contributions=contributions(),
        waterfall=waterfall(enough=enough),
        reverse=reverse(),
        close_out=close_out(),
        findings=findings().head(0),
        provenance=provenance("stress tests of a programme, version 1"),
    )


def groups(hostile=""):
    return (hostile, *GROUPS[1:]) if hostile else GROUPS


def stress_losses(hostile=""):
    rows = []
    for number, (scenario, *_) in enumerate(SCENARIOS):
        for arrangement, houses, share in ARRANGEMENTS:
            for place, group in enumerate(groups(hostile)):
                for house in houses:
                    weight = 1.0 if house is None else SHARES[house]
                    margin = round(2e9 * weight * share / (1 + place), 2)
                    loss = round(2.4e9 * weight * (1 - 0.2 * number) / (1 + place) - 1e8 * place, 2)
                    over = max(round(loss - margin, 2), 0.0)
                    rows.append((scenario, arrangement, group, house, loss, margin, over))
    names = ["scenario", "arrangement", "group", "house", "loss", "margin", "over_margin"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def cover(losses):
    rows = []
    for (arrangement, house, scenario), part in losses.partition_by(
        "arrangement", "house", "scenario", as_dict=True, maintain_order=True
    ).items():
        largest = part.sort("over_margin", descending=True, maintain_order=True)
        for number in (1, 2):
            top = largest.head(number)
            over = sum(top["over_margin"])
            guarantees = ("none", "both ways") if arrangement == "linked" else ("none",)
            rows.extend(
                (
                    arrangement,
                    house,
                    number,
                    scenario,
                    ", ".join(top["group"]),
                    over * (1 - 0.2 * place),
                    kind,
                )
                for place, kind in enumerate(guarantees)
            )
    names = ["arrangement", "house", "cover", "scenario", "groups", "over_margin", "guarantee"]
    frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
    return frame.sort("over_margin", descending=True, maintain_order=True).unique(
        ["arrangement", "house", "cover", "guarantee"], keep="first", maintain_order=True
    )


def funds(*, enough=False):
    rows = []
    for arrangement, houses, share in ARRANGEMENTS:
        for house in houses:
            weight = 1.0 if house is None else SHARES[house]
            size = 3.2e9 * weight * (0.3 if arrangement == "linked" and house == "HKCC" and not enough else 1)
            rule = (
                "largest loss of two groups over 60 days" if house is None else "published limit of the house"
            )
            row = (
                arrangement,
                house,
                size,
                rule,
                2 if house != "SEOCH" else 1,
                size * 0.1,
                size * 0.9,
                0.0 * share,
            )
            rows.append((*row, "cross_margining.md, section 2.5"))
    names = [
        "arrangement",
        "house",
        "size",
        "rule",
        "standard",
        "house_share",
        "members_share",
        "beyond_limit",
    ]
    return pl.DataFrame(rows, schema=[*names, "source"], orient="row", infer_schema_length=None)


def contributions():
    rows = [
        (arrangement, house, f"Invented Securities {place:03d}", group, 5e7 / (1 + place), None)
        for arrangement, houses, _ in ARRANGEMENTS
        for house in houses
        for place, group in enumerate(GROUPS)
    ]
    names = ["arrangement", "house", "participant", "group", "contribution", "additional_margin"]
    schema = dict.fromkeys(names[:4], pl.String) | dict.fromkeys(names[4:], pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row")


def waterfall(*, enough=False):
    rows = []
    for arrangement, guarantee in (("today", "none"), ("linked", "none"), ("linked", "both ways")):
        for house in HOUSES:
            short = arrangement == "linked" and house == "HKCC" and not enough
            left = 3e8 if short and guarantee == "none" else 0.0
            for place, layer in enumerate(LAYERS):
                last = layer == LAYERS[-1]
                available = None if last else 1e9 * SHARES[house] / (1 + place)
                used = left if last else 1e9 * SHARES[house] / (1 + place) * (1 if place < 2 else 0.25)
                rows.append(
                    (
                        arrangement,
                        guarantee,
                        SCENARIOS[0][0],
                        "Group A; Group B",
                        house,
                        layer,
                        available,
                        used,
                    )
                )
    names = ["arrangement", "guarantee", "scenario", "defaulters", "house", "layer", "available", "used"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def reverse():
    rows = [
        (arrangement, house, scenario, layer, None if number == 3 else 0.9 + 0.3 * number + 0.2 * place)
        for arrangement, houses, _ in ARRANGEMENTS
        for house in houses
        for number, (scenario, *_) in enumerate(SCENARIOS)
        for place, layer in enumerate(LAYERS[:-1])
    ]
    names = ["arrangement", "house", "scenario", "layer", "multiple"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def close_out():
    rows = [
        (
            group,
            strategy,
            coordination,
            3,
            2e8 * factor / (1 + place),
            1.6e8 * factor / (1 + place),
            "optimal",
        )
        for place, group in enumerate(GROUPS)
        for strategy, factor in (("hedge, then liquidate", 0.8), ("liquidate", 1.0))
        for coordination, factor in (("joint", 0.7 * factor), ("each house", factor))
    ]
    names = ["group", "strategy", "coordination", "days", "transient_loss", "terminal_loss", "status"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


# Procyclicality


def procyclicality(count=260):
    """Return margins over five years with two waves, under every tool."""
    dates = days(count)
    wave = (
        1
        + 0.5 * np.sin(np.linspace(0, 12, count)) ** 4
        + 0.8 * np.exp(-(((np.arange(count) - 120) / 9) ** 2))
    )
    joint = 0.6 * wave**1.15
    named = {**{house: share * wave for house, share in SHARES.items()}, "silo": wave, "joint": joint}
    named["saving"] = wave - joint
    frames = [
        pl.DataFrame(
            {
                "date": dates,
                "tool": tool,
                "series": name,
                "margin": np.round(2e10 * FACTORS[tool] * margin, 2),
            }
        )
        for tool in TOOLS
        for name, margin in named.items()
    ]
    history = pl.concat(frames)
    return ProcyclicalityResult(
        programme=PROGRAMME,
        market="Invented market",
        days=dates,
        every=5,
        currency="HKD",
        history=history,
        measures=measures(history),
        impulse=impulse(),
        findings=findings().head(1),
        provenance=provenance("procyclicality of a programme, version 1"),
    )


def measures(history):
    rows = []
    for (tool, name), part in history.partition_by(
        "tool", "series", as_dict=True, maintain_order=True
    ).items():
        margin = part["margin"].to_numpy()
        rises = np.diff(margin)
        mean = float(margin.mean())
        n_day = {
            f"n_day_{n}": None if n == 1 else float((margin[n // 5 :] / margin[: -n // 5]).max())
            for n in (1, 5, 20, 30)
        }
        rows.append(
            {
                "series": name,
                "tool": tool,
                "mean": mean,
                "peak_to_trough": float(margin.max() / margin.min()),
                "peak_date": part["date"][int(margin.argmax())],
                "trough_date": part["date"][int(margin.argmin())],
                **n_day,
                "largest_call": float(rises.max()),
                "largest_call_date": part["date"][int(rises.argmax()) + 1],
                "stability": float(np.diff(np.log(margin)).std()),
                "cost": FACTORS[tool] - 1,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None, schema_overrides={"n_day_1": pl.Float64})


def impulse():
    rows = [
        (name, tool, day, 1 + height * (0 if day < 0 else 0.97**day) / FACTORS[tool])
        for name, height in (("silo", 0.4), ("joint", 0.55))
        for tool in TOOLS
        for day in range(-5, 61)
    ]
    return pl.DataFrame(rows, schema=["series", "tool", "day", "multiple"], orient="row")
