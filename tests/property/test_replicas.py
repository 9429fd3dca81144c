"""What holds of replicas in PRiME for any books: bounds, the lower margin, splitting, order, company."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_market import WEIGHTS, replica
from replica_market import PrimeBench

from crossmargin.programmes.books import make_books

BENCH = PrimeBench()
NAMES = sorted(BENCH.row)
UNITS = {"equity": 1000, "etf": 1000, "future": 1, "option": 10}
KIND = dict(zip(BENCH.snapshot.instruments["instrument"], BENCH.snapshot.instruments["kind"], strict=True))
SHARE, FUND_UNIT = 10.0, 20.0
"""Worth of one unit of every share and fund."""

LINES = st.dictionaries(st.sampled_from(NAMES), st.integers(-40, 40), max_size=8)
BASKETS = st.tuples(
    st.integers(-10, 10), st.sampled_from([1.0, 0.5, 1.2, 0.0]), st.integers(-9, 9), st.integers(-12, 12)
)
COVERAGES = st.sampled_from([1.0, 0.9, 0.6])


@st.composite
def books(draw):
    """Random lines, and often a basket near a replica against futures."""
    held = {name: quantity * UNITS[KIND[name]] for name, quantity in draw(LINES).items()}
    size, factor, odd, contracts = draw(BASKETS)
    for share, quantity in replica(size * 500_000 + odd * 1234, D=factor).items():
        held[share] = held.get(share, 0) + quantity
    held["HSI.near"] = held.get("HSI.near", 0) - contracts
    return {name: quantity for name, quantity in held.items() if quantity}


def worth(before, after, names, value):
    """Worth of what was taken of some instruments, signed as it was held."""
    return sum((before.get(name, 0) - after.get(name, 0)) * value for name in names)


@given(books(), COVERAGES)
@settings(max_examples=120, deadline=None)
def test_only_shares_that_are_held_are_taken_and_funds_put_in(held, coverage):
    found = BENCH.through(held, coverage=coverage)
    if not found.number.size:
        return
    after = BENCH.held(found.books)
    for name in NAMES:
        before, left = held.get(name, 0), after.get(name, 0)
        if KIND[name] == "equity":
            assert left * before >= 0
            assert abs(left) <= abs(before)
        elif KIND[name] != "etf":
            assert left == before
    put = np.bincount(found.replicas.root, np.abs(found.replicas.quantity), len(BENCH.look.names))
    for fund, index in (("F1", "HSI"), ("F2", "HHI")):
        changed = after.get(fund, 0) - held.get(fund, 0)
        assert abs(changed) == put[BENCH.look.names.index(index)]


@given(books(), COVERAGES)
@settings(max_examples=120, deadline=None)
def test_what_stands_in_is_worth_no_more_than_what_was_taken_and_hardly_less(held, coverage):
    found = BENCH.through(held, coverage=coverage)
    if not found.number.size:
        return
    after, replicas = BENCH.held(found.books), found.replicas
    shares = [name for name in NAMES if KIND[name] == "equity"]
    stands = worth(after, held, ["F1", "F2"], FUND_UNIT)
    taken = worth(held, after, shares, SHARE)
    signed = replicas.matched * np.sign(replicas.quantity)
    assert np.all(np.abs(replicas.quantity) * FUND_UNIT <= replicas.matched * (1 + 1e-9))
    if np.all(signed > 0) or np.all(signed < 0):
        assert abs(stands) <= abs(taken)
        assert abs(taken) - abs(stands) < FUND_UNIT * replicas.root.size
    room = sum(FUND_UNIT + 2 * SHARE * len(WEIGHTS[BENCH.look.names[root]]) for root in replicas.root)
    assert abs(stands - signed.sum()) <= room


@given(st.lists(books(), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_no_margin_rises_and_no_charge_is_below_nothing(held):
    plain, lower = BENCH.risk(*held)
    assert np.all(lower <= plain)
    assert np.all(lower >= 0)
    found = BENCH.through(*held)
    assert np.all(found.charge >= 0)
    assert np.all(found.replicas.rate > 0)
    assert np.all(found.risk(BENCH.prime.market_risk(found.books)) >= found.charge)
    untouched = np.setdiff1d(np.arange(len(held)), found.number)
    assert lower[untouched].tobytes() == plain[untouched].tobytes()


def fingerprint(found):
    return [
        column.tobytes() for column in (found.books.rows, found.books.quantities, found.charge, found.waived)
    ]


@given(books(), st.randoms(use_true_random=False), COVERAGES)
@settings(max_examples=60, deadline=None)
def test_splitting_a_line_and_its_place_change_nothing(held, random, coverage):
    lines = []
    for name, quantity in held.items():
        part = random.randint(-50, 50)
        lines += [(0, BENCH.row[name], part), (0, BENCH.row[name], quantity - part)]
    random.shuffle(lines)
    book, rows, quantities = np.array(lines, np.int64).reshape(-1, 3).T
    split = BENCH.stand_ins.looked_through(
        make_books(book, rows, quantities, count=1), minimum_coverage=coverage
    )
    assert fingerprint(split) == fingerprint(BENCH.through(held, coverage=coverage))


@given(st.lists(books(), min_size=2, max_size=4), st.randoms(use_true_random=False), COVERAGES)
@settings(max_examples=60, deadline=None)
def test_a_book_is_replaced_alike_in_any_company_and_order(held, random, coverage):
    order = list(range(len(held)))
    random.shuffle(order)
    together = BENCH.through(*(held[at] for at in order), coverage=coverage)
    places = {order[number]: place for place, number in enumerate(together.number.tolist())}
    for at, one in enumerate(held):
        alone = BENCH.through(one, coverage=coverage)
        assert (at in places) == bool(alone.number.size)
        if at in places:
            place = places[at]
            assert BENCH.held(together.books, place) == BENCH.held(alone.books)
            assert together.charge[place] == alone.charge[0]
            assert together.waived[place] == alone.waived[0]


@given(books(), COVERAGES)
@settings(max_examples=60, deadline=None)
def test_the_opposite_book_is_replaced_by_the_opposite(held, coverage):
    found = BENCH.through(held, coverage=coverage)
    other = BENCH.through({name: -quantity for name, quantity in held.items()}, coverage=coverage)
    assert other.books.quantities.tolist() == (-found.books.quantities).tolist()
    assert other.charge.tobytes() == found.charge.tobytes()
