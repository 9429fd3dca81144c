"""Sizes and powers of the tests of margins: the tables of ``docs/concepts/backtests.md``.

``python tests/support/size_and_power.py`` writes the tables into the page; a test compares them.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from crossmargin.validation.coverage import binomial_cdf, traffic_light
from crossmargin.validation.expected_shortfall_tests import critical_values
from crossmargin.validation.overlap import normal_hit_correlation
from crossmargin.validation.size_and_power import PROCESSES, kupiec_size, overlapping, rejections

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "backtests.md"
SEED = 1
DRAWS = 4_000
OVERLAPPING_DRAWS = 2_000
THRESHOLD_DRAWS = 20_000
LENGTHS = (250, 500, 1_000)
COLUMNS = ("kupiec", "independence", "conditional", "yellow", "red", "z1", "z2")
HEADS = ("Kupiec", "independence", "conditional", "yellow or red", "red", "Z1", "Z2")


def percent(share):
    return f"{share:.1%}"


def lines(head, rows):
    return "\n".join([f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)])


def exact_sizes():
    """Return when Kupiec's test rejects a right margin, and how often."""
    rows = []
    for probability in (0.01, 0.05):
        for length in (250, 500, 1_000, 2_500):
            size = kupiec_size(length, probability)
            low, high = size.accepted_from, size.accepted_to
            rejected = f"{high + 1} or more" if low == 0 else f"{low - 1} or fewer, {high + 1} or more"
            rows.append([
                f"{probability:.0%}", f"{length:,}", rejected,
                *map(percent, (size.too_few, size.too_many, size.too_few + size.too_many)),
            ])  # fmt: skip
    head = ["exceedances expected", "days", "rejected", "for too few", "for too many", "size"]
    return lines(head, rows)


def zones():
    """Return where zones begin, and how often a margin that is right or too low is past there."""
    rows = []
    for length in (60, 125, 250, 500, 1_000, 2_500):
        found = traffic_light(np.arange(length + 1), length, 0.01)
        yellow, red = (int(np.searchsorted(found, zone)) for zone in (1, 2))
        shares = [
            1 - binomial_cdf(np.array(start - 1), length, probability)
            for start in (yellow, red)
            for probability in (0.01, 0.02)
        ]
        rows.append([f"{length:,}", str(yellow), str(red), *(f"{share:.2%}" for share in shares)])
    head = ["days", "yellow from", "red from", "yellow or red at 1%", "at 2%", "red at 1%", "at 2%"]
    return lines(head, rows)


def thresholds():
    """Return critical values of Z1 and Z2 by law of the gains."""
    rows = []
    for alpha in (0.01, 0.025):
        for law, degrees in (("normal", None), ("t5", 5.0), ("t3", 3.0)):
            cells = []
            for length in LENGTHS:
                found = critical_values(
                    alpha, length, 0.05, draws=THRESHOLD_DRAWS, seed=SEED, degrees_of_freedom=degrees
                )
                cells += [f"{value:.2f}".replace("-", "−") for value in found]
            rows.append([f"{alpha:.1%}", law, *cells])
    head = [f"{name}, {length:,} days" for length in LENGTHS for name in ("Z1", "Z2")]
    return lines(["tail", "law", *head], rows)


def pooled():
    """Return how many independent series a day of alike series is worth."""
    rows = []
    for correlation in (0.2, 0.5, 0.8):
        hits = normal_hit_correlation(0.01, correlation)
        worth = [series / (1 + (series - 1) * hits) for series in (10, 100, 1_000)]
        rows.append([f"{correlation:.1f}", f"{hits:.3f}", *(f"{share:.1f}" for share in worth)])
    head = ["losses correlate", "exceedances correlate", "10 series are worth", "100", "1,000"]
    return lines(head, rows)


def size_and_power():
    """Return how often each test rejects under each process."""
    rows = []
    for process in PROCESSES:
        for length in LENGTHS:
            found = rejections(process, length, draws=DRAWS, seed=SEED)
            rows.append(
                [
                    process.name,
                    f"{length:,}",
                    *(percent(getattr(found, name)) for name in COLUMNS),
                ]
            )
    return lines(["what is true", "days", *HEADS], rows)


def overlap():
    """Return how often each test rejects margins of overlapping horizons, without and with correction."""
    rows = [
        overlap_row(law, horizon, length, probability)
        for probability, laws, horizons in ((0.01, ("normal", "t4"), (2, 5)), (0.02, ("normal",), (2,)))
        for law in laws
        for horizon in horizons
        for length in LENGTHS
    ]
    names = ["Kupiec", "independence", "conditional", "yellow or red", "Z2"]
    return lines(["exceedances at", "law of days", "horizon", "dates", *names], rows)


def overlap_row(law, horizon, length, probability):
    process = overlapping(horizon, None if law == "normal" else float(law[1:]), probability)
    plain, corrected = (
        rejections(process, length, draws=OVERLAPPING_DRAWS, seed=SEED, corrected=told)
        for told in (False, True)
    )
    cells = [
        f"{percent(getattr(plain, name))} → {percent(getattr(corrected, name))}"
        for name in ("kupiec", "independence", "conditional", "yellow", "z2")
    ]
    if law != "normal":
        cells[-1] = "–"  # the expected shortfall under test is that of the normal law
    return [f"{probability:.0%}", law, str(horizon), f"{length:,}", *cells]


TABLES = {
    "exact-sizes": exact_sizes,
    "zones": zones,
    "thresholds": thresholds,
    "size-and-power": size_and_power,
    "overlap": overlap,
    "pooled": pooled,
}
"""What the page shows between two comments with the name."""


def shown(name):
    """Return what the page has under a name."""
    found = re.search(_between(name), PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"{PAGE.name} lacks the table {name}"
    return found[2].strip()


def _between(name):
    return rf"(<!-- {name} -->\n)(.*?)(<!-- end -->)"


def write():
    """Write the tables into the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        made = make()
        text = re.sub(
            _between(name),
            lambda found, made=made: f"{found[1]}\n{made}\n\n{found[3]}",
            text,
            flags=re.DOTALL,
        )
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
