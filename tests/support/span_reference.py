"""SPAN for one net account, written plainly: dictionaries and loops, no array, no kernel of the engine."""

from __future__ import annotations

from collections import defaultdict

SIDES = {"A": 1.0, "B": -1.0}


def reference_margin(positions, parameters) -> dict[str, dict[str, float]]:
    """Commodity → component → amount; positions are (series row, quantity)."""
    series = parameters.series.to_dicts()
    held: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for row, quantity in positions:
        held[series[row]["commodity"]][row] += quantity
    commodities = {row["commodity"]: row for row in parameters.commodities.to_dicts()}
    sums, deltas = {}, {}
    for code, book in held.items():
        sums[code] = [sum(q * float(parameters.losses[row, s]) for row, q in book.items()) for s in range(16)]
        deltas[code] = defaultdict(float)
        for row, q in book.items():
            deltas[code][series[row]["delta_month"]] += (
                q * series[row]["composite_delta"] * series[row]["delta_scaling"]
            )
    left = {code: dict(months) for code, months in deltas.items()}
    found = {
        code: {
            "scan": max(0.0, *sums[code]),
            "intra": intra(code, left[code], parameters),
            "spot": 0.0,
            "credit": 0.0,
            "minimum": minimum(held[code], series, commodities[code]),
        }
        for code in held
    }
    for code in held:
        found[code]["spot"] = spot(code, deltas[code], left[code], parameters)
    inter(found, sums, deltas, left, parameters)
    for parts in found.values():
        before = parts["scan"] + parts["intra"] + parts["spot"]
        parts["credit"] = min(parts["credit"], before)
        parts["risk"] = max(before - parts["credit"], parts["minimum"])
    return found


def within(month: str, tier: dict) -> bool:
    return tier["start"] <= month[: len(tier["start"])] and month[: len(tier["end"])] <= tier["end"]


def take(months: dict[str, float], chosen: list[str], sign: float, amount: float) -> None:
    for month in sorted(chosen):
        taken = min(max(months[month] * sign, 0.0), amount)
        months[month] -= sign * taken
        amount -= taken


def intra(code: str, left: dict[str, float], parameters) -> float:
    tiers = {
        row["tier"]: row
        for row in parameters.tiers.to_dicts()
        if (row["commodity"], row["kind"]) == (code, "intra")
    }
    spreads = [row for row in parameters.intra_spreads.to_dicts() if row["commodity"] == code]
    spreads.sort(key=lambda row: (row["kind"] != "series", row["priority"], row["spread"]))
    total = 0.0
    for spread in spreads:
        legs = [row for row in parameters.intra_legs.to_dicts() if row["spread"] == spread["spread"]]
        for direction in (1.0, -1.0):
            spans = []
            for leg in legs:
                named = [
                    m
                    for m in left
                    if (m == leg["month"] if leg["tier"] is None else within(m, tiers[leg["tier"]]))
                ]
                spans.append((named, SIDES[leg["side"]] * direction, leg["ratio"]))
            count = min(sum(max(left[m] * sign, 0.0) for m in named) / ratio for named, sign, ratio in spans)
            if count > 0:
                for named, sign, ratio in spans:
                    take(left, named, sign, count * ratio)
                total += count * spread["charge"]
    return total


def spot(code: str, whole: dict[str, float], left: dict[str, float], parameters) -> float:
    total = 0.0
    for row in parameters.spot_charges.to_dicts():
        if row["commodity"] == code and row["month"] in whole:
            stayed = abs(left[row["month"]])
            total += (abs(whole[row["month"]]) - stayed) * row["in_spreads"] + stayed * row["outright"]
    return total


def minimum(book: dict[int, int], series: list[dict], commodity: dict) -> float:
    sides = {"C": 0.0, "P": 0.0}
    for row, quantity in book.items():
        if series[row]["right"]:
            short = max(-quantity, 0) * commodity["short_option_minimum"] * series[row]["delta_scaling"]
            sides[series[row]["right"]] += short
    return max(sides.values()) if commodity["som_method"] == "max" else sum(sides.values())


def price_risk(sums: list[float], parameters) -> float:
    active = max(range(16), key=lambda s: (sums[s], -s))
    if sums[active] <= 0:
        return -sums[0]
    paired = parameters.scan_points.sort("scenario")["paired"].to_list()[active] - 1
    return (sums[active] + sums[paired]) / 2 - (sums[0] + sums[1]) / 2


def inter(found, sums, deltas, left, parameters) -> None:
    spreads = sorted(
        parameters.inter_spreads.to_dicts(), key=lambda row: (row["priority"], row["group"], row["spread"])
    )
    for spread in spreads:
        legs = [row for row in parameters.inter_legs.to_dicts() if row["spread"] == spread["spread"]]
        if any(leg["commodity"] not in found for leg in legs):
            continue
        for direction in (1.0, -1.0):
            signs = [SIDES[leg["side"]] * direction for leg in legs]
            there = [
                sum(left[leg["commodity"]].values()) * sign / leg["ratio"]
                for leg, sign in zip(legs, signs, strict=True)
            ]
            count = min(there)
            if count > 0:
                for leg, sign in zip(legs, signs, strict=True):
                    code = leg["commodity"]
                    net = abs(sum(deltas[code].values()))
                    risk = max(price_risk(sums[code], parameters) / net, 0.0)
                    found[code]["credit"] += risk * count * leg["ratio"] * spread["rate"]
                    take(left[code], list(left[code]), sign, count * leg["ratio"])
