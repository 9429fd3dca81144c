"""T3 of the cross-margining reference, through loss sharing and the waterfall of each house.

T2's joint margin pro rata, losses of 60, −20 and 10: the loss at HKSCC's fund is 21.2169 without a guarantee and nothing
with one. Amounts are in units of 10^-6, two digits finer than printed.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from crossmargin.clearing.waterfall import LAYERS, waterfall
from crossmargin.core.proportions import pro_rata
from crossmargin.core.rounding import to_minor
from crossmargin.programmes.loss_sharing import shared_losses
from crossmargin.programmes.programme import Default

DECIMALS = 6
OWN_MARGINS = np.array([[100.0, 80.0, 40.0]])
JOINT = sqrt(100**2 + 80**2 + 40**2 - 2 * 0.6 * 100 * 80 - 2 * 0.3 * 100 * 40 + 2 * 0.2 * 80 * 40)
LOSSES = np.array([[60.0, -20.0, 10.0]])
FUND = (
    "defaulters' contributions",
    "own resources",
    "survivors' contributions",
    "assessments",
    "not covered",
)


def units(amounts):
    return to_minor(np.asarray(amounts, np.float64), DECIMALS)


def printed(amounts):
    return np.round(np.asarray(amounts) / 10**DECIMALS, 4).tolist()


def t3(guarantee, losses=LOSSES, hkcc=1):
    """The first of three groups defaults; its fund contribution is 5, the house's own layer 4, the others' 10 and 6."""
    margin = pro_rata(units([JOINT]), units(OWN_MARGINS)) * np.array([1, hkcc, 1])
    shares = shared_losses(units(OWN_MARGINS), margin, units(losses), Default(guarantee=guarantee))
    others = np.zeros((1, 2, 3), np.int64)

    def of_the_first(amounts):
        return np.concatenate([amounts[:, None], others], axis=1)

    return waterfall(
        of_the_first(units(losses)),
        of_the_first(margin),
        units(np.repeat([[5.0], [10.0], [6.0]], 3, axis=1)),
        units([4.0, 4.0, 4.0]),
        np.array([[True, False, False]]),
        paid=of_the_first(shares.paid),
        received=of_the_first(shares.received),
    )


def layer(found, *names):
    return sum(found.used[0, :, LAYERS.index(name)] for name in names)


def test_t3_without_a_guarantee_the_fund_pays():
    found = t3("none")
    assert printed(layer(found, "margin")) == [38.7831, 0, 10]
    assert printed(layer(found, *FUND)) == [21.2169, 0, 0]
    assert printed(layer(found, "survivors' contributions")) == [12.2169, 0, 0]  # 5 and 4 come before
    assert printed(found.contributions_lost[0, 0]) == [0, 7.6355, 4.5813]  # by 10 : 6
    assert printed(found.returned[0, 0]) == [0, 51.0265, 5.5133]


def test_t3_with_a_surplus_transfer_no_fund_pays():
    found = t3("surplus_transfer")
    assert printed(layer(found, "received from other houses")) == [21.2169, 0, 0]
    assert not layer(found, *FUND).any()
    # HKCC pays 19.1480 and SEOCH 2.0689 beyond its own loss of 10, both out of the defaulter's margin and gains
    assert printed(found.owed[0]) == [60, 19.1480, 12.0689]
    assert printed(layer(found, "margin")) == [38.7831, 19.1480, 12.0689]
    assert printed(found.returned[0].sum()) == 35.3229


def test_t3_a_pool_leaves_the_same_sum():
    found = t3("pool")
    assert not layer(found, *FUND).any()
    assert printed(found.returned[0].sum()) == 35.3229


def test_the_fund_of_one_house_depends_on_the_margin_of_another():
    """Had HKCC held no margin, and the hedge gained 10 instead of 20, HKSCC's fund would lose 5.7036."""
    found = t3("surplus_transfer", np.array([[60.0, -10.0, 10.0]]), hkcc=0)
    assert printed(layer(found, "received from other houses")) == [15.5133, 0, 0]
    assert printed(layer(found, *FUND)) == [5.7036, 0, 0]


@pytest.mark.parametrize("guarantee", ["none", "surplus_transfer", "pool"])
def test_what_is_used_is_what_is_owed(guarantee):
    found = t3(guarantee)
    assert found.used.sum(axis=2).tolist() == found.owed.tolist()
