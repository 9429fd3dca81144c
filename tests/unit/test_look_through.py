"""Look-through and matching by hand: what futures, funds and baskets have in common."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from matching_market import Bench, replica

from crossmargin.errors import InputError
from crossmargin.programmes.look_through import make_look_through

M = 1_000_000


@pytest.fixture(scope="module")
def bench():
    return Bench()


def entry(matches, name, book=0):
    at = np.flatnonzero(
        (matches.exposures.book == book) & (matches.exposures.root == matches.names.index(name))
    )
    assert at.size == 1, name
    return at[0]


def amounts(bench, held, name="HSI", **arguments):
    matches = bench.look.matched(bench.books(held), **arguments)
    return matches.amounts[entry(matches, name)]


def test_instruments_are_exposures_to_their_root(bench):
    look = bench.look

    def seen(name):
        row = bench.row[name]
        return look.names[look.root[row]], int(look.kind[row]), look.unit[row]

    assert seen("HSI.near") == ("HSI", 0, pytest.approx(500_000))
    assert seen("F1") == ("HSI", 1, pytest.approx(20))
    assert seen("F2") == ("HHI", 1, pytest.approx(19.6))
    assert seen("A") == ("A", 2, pytest.approx(10))
    assert seen("A.future") == ("A", 0, pytest.approx(10_000))
    root, kind, delta = seen("F1.call")
    assert (root, kind) == ("HSI", 0)
    assert 9_000 < delta < 11_000
    near = {name for name, row in bench.row.items() if look.near[row]}
    assert near == {"HSI.near", "HHI.near", "A.future", "A.call", "A.high", "F1.call"}
    assert look.whole[bench.row["A.call"]] == pytest.approx(10_000)


def test_exposures_by_kind_and_by_share(bench):
    books = bench.books({"HSI.near": -20, "HSI.far": 2, "F1": 100_000, "A": 500}, {"F2": 1000})
    own = bench.look.exposures(books)
    matches = bench.look.matched(books)
    at = entry(matches, "HSI")
    assert own.derivative[at] == pytest.approx(-9 * M)
    assert own.fund[at] == pytest.approx(2 * M)
    starts, share, exposure = bench.look.by_share(books)
    names = [bench.look.names[root] for root in share]
    first = dict(zip(names[: starts[1]], exposure[: starts[1]], strict=True))
    assert first == {
        "A": pytest.approx(-2.8 * M + 5000),
        "B": pytest.approx(-2.1 * M),
        "C": pytest.approx(-1.4 * M),
        "D": pytest.approx(-0.7 * M),
    }
    assert names[starts[1] :] == ["A", "E"]
    np.testing.assert_allclose(exposure[starts[1] :], [9_800, 9_800])


def test_futures_against_a_complete_replica(bench):
    held = {"HSI.near": -20} | replica(12 * M)
    matches = bench.look.matched(bench.books(held))
    at = entry(matches, "HSI")
    np.testing.assert_allclose(matches.amounts[at], [10 * M, 0, 0])
    assert matches.replica[at] == pytest.approx(12 * M)
    assert matches.coverage[at] == 1
    left = {name: matches.left[entry(matches, name)] for name in "ABCD"}
    assert left == {
        name: pytest.approx(2 * M * w) for name, w in zip("ABCD", (0.4, 0.3, 0.2, 0.1), strict=True)
    }


def test_the_scarcest_share_bounds_a_replica(bench):
    held = {"HSI.near": -20} | replica(12 * M, C=0.5)
    np.testing.assert_allclose(amounts(bench, held), [6 * M, 0, 0])


def test_an_incomplete_basket_is_no_replica(bench):
    basket = replica(10 * M)
    del basket["D"]
    held = {"HSI.near": -20} | basket
    assert not amounts(bench, held).any()
    assert not amounts(bench, held, minimum_coverage=0.91).any()
    np.testing.assert_allclose(amounts(bench, held, minimum_coverage=0.9), [9 * M, 0, 0])
    matches = bench.look.matched(bench.books(held), minimum_coverage=0.9)
    assert matches.coverage[entry(matches, "HSI")] == pytest.approx(0.9)
    assert "a replica of at least 90% of HSI" in matches.frame()["reason"][0]


def test_a_share_that_falls_short_is_left_alone(bench):
    """Half of D: at full size the other 90% suffice, D stays whole for other matches."""
    matches = bench.look.matched(
        bench.books({"HSI.near": -20} | replica(10 * M, D=0.5)), minimum_coverage=0.9
    )
    np.testing.assert_allclose(matches.amounts[entry(matches, "HSI")], [9 * M, 0, 0])
    assert matches.left[entry(matches, "D")] == pytest.approx(0.5 * M)
    assert matches.left[entry(matches, "A")] == pytest.approx(0, abs=1e-6)


def test_the_same_sign_matches_nothing(bench):
    held = {"HSI.near": 20, "F1": 500_000} | replica(10 * M)
    assert not amounts(bench, held).any()


def test_short_baskets_and_short_funds_match_long_futures(bench):
    short = {name: -quantity for name, quantity in replica(4 * M).items()}
    held = {"HSI.near": 20, "F1": -500_000} | short
    np.testing.assert_allclose(amounts(bench, held), [4 * M, 0, 6 * M])


def test_order_derivatives_basket_then_funds_basket_then_derivatives_funds(bench):
    held = {"HSI.near": -10, "F1": -200_000} | replica(8 * M)
    np.testing.assert_allclose(amounts(bench, held), [5 * M, 3 * M, 0])
    held = {"HSI.near": -10, "F1": 500_000} | replica(3 * M)
    np.testing.assert_allclose(amounts(bench, held), [3 * M, 0, 2 * M])


def test_the_larger_index_comes_first_and_shares_serve_once(bench):
    basket = replica(10 * M) | {"E": 100_000}
    matches = bench.look.matched(bench.books({"HSI.near": -20, "HHI.near": -2} | basket))
    np.testing.assert_allclose(matches.amounts[entry(matches, "HSI")], [10 * M, 0, 0])
    assert not matches.amounts[entry(matches, "HHI")].any()
    matches = bench.look.matched(bench.books({"HSI.near": -1, "HHI.near": -2} | basket))
    np.testing.assert_allclose(matches.amounts[entry(matches, "HHI")], [M, 0, 0])
    np.testing.assert_allclose(matches.amounts[entry(matches, "HSI")], [0.5 * M, 0, 0])


def test_indices_come_before_single_shares(bench):
    held = {"HSI.near": -20, "A.future": -50} | replica(10 * M, A=1.05)
    matches = bench.look.matched(bench.books(held))
    np.testing.assert_allclose(matches.amounts[entry(matches, "HSI")], [10 * M, 0, 0])
    np.testing.assert_allclose(matches.amounts[entry(matches, "A")], [0.2 * M, 0, 0])


def test_stock_options_against_their_share(bench):
    matches = bench.look.matched(bench.books({"A.call": -10, "A": 20_000}))
    delta = 10 * bench.deltas[bench.row["A.call"]]
    np.testing.assert_allclose(matches.amounts[entry(matches, "A")], [delta, 0, 0])
    assert matches.frame()["reason"].to_list() == ["futures and options on A against A itself"]


def test_reasons_and_amounts_in_a_table(bench):
    held = {"HSI.near": -20, "F1": 200_000} | replica(3 * M)
    frame = bench.look.matched(bench.books({}, held)).frame()
    assert frame.rows() == [
        (
            1,
            "HSI",
            "derivatives-basket",
            3 * M,
            "futures and options on HSI against a complete replica of HSI",
        ),
        (1, "HSI", "derivatives-funds", 4 * M, "futures and options on HSI against funds on HSI"),
    ]
    assert frame["matched"].dtype == pl.Decimal(38, 2)
    assert bench.look.matched(bench.books({})).frame().is_empty()


def test_gross_books_match_nothing(bench):
    held = {"HSI.near": -20} | replica(10 * M)
    matches = bench.look.matched(bench.books(held, held, gross=[True, False]))
    assert set(matches.frame()["book"]) == {1}


def test_basis_charge_is_on_index_exposure_alone(bench):
    held = {"HSI.near": -20, "F1": 200_000, "A.future": -1} | replica(3 * M, A=1.1)
    assert bench.look.basis_charge(bench.books(held, {}), 0.001).tolist() == [700_000, 0]
    assert bench.look.basis_charge(bench.books(held), 0.0).tolist() == [0]
    with pytest.raises(InputError, match="from 0 to 1"):
        bench.look.basis_charge(bench.books(held), 1.5)


@pytest.mark.parametrize("coverage", [0.0, -1.0, 1.01, float("nan")])
def test_impossible_coverage_is_refused(bench, coverage):
    with pytest.raises(InputError, match="above 0, at most 1"):
        bench.look.matched(bench.books({}), minimum_coverage=coverage)


def weights(**parts):
    rows = [(u, c, w) for u, inner in parts.items() for c, w in inner.items()]
    return pl.DataFrame(rows, schema=["underlying", "constituent", "weight"], orient="row")


def test_a_fund_of_a_fund_is_looked_through_to_the_index(bench):
    chain = weights(HSI={"A": 0.6, "B": 0.4}, F1={"HSI": 0.9}, F2={"F1": 0.5})
    look = Bench(chain).look
    row = bench.row["F2"]
    assert look.names[look.root[row]] == "HSI"
    assert look.unit[row] == pytest.approx(20 * 0.45)


def test_a_fund_of_two_indices_is_one_basket():
    two = Bench(weights(HSI={"A": 0.6, "B": 0.4}, HHI={"A": 0.5, "E": 0.5}, F1={"HSI": 0.5, "HHI": 0.5}))
    _, share, exposure = two.look.by_share(two.books({"F1": 100}))
    assert [two.look.names[root] for root in share] == ["A", "B", "E"]
    np.testing.assert_allclose(exposure, [1100, 400, 500])
    matches = two.look.matched(two.books({"F1": 100, "A": -110, "B": -40, "E": -50}))
    np.testing.assert_allclose(matches.amounts[entry(matches, "F1")], [0, 2000, 0])


def test_missing_constituents_are_missing_and_rounding_is_not():
    half = Bench(weights(HSI={"A": 0.5, "B": 0.3}))
    held = {"HSI.near": -20, "A": 10 * M, "B": 10 * M}
    assert not amounts(half, held).any()
    np.testing.assert_allclose(amounts(half, held, minimum_coverage=0.8), [8 * M, 0, 0])
    rounded = Bench(weights(HSI={"A": 0.5, "B": 0.499}))
    np.testing.assert_allclose(amounts(rounded, held), [10 * M, 0, 0])


def test_an_index_without_weights_matches_its_funds():
    bare = Bench(weights(F1={"HSI": 1.0}))
    held = {"HSI.near": -20, "F1": 100_000}
    np.testing.assert_allclose(amounts(bare, held), [0, 0, 2 * M])
    assert bare.look.basis_charge(bare.books(held), 0.01).tolist() == [2_000_000]


def test_bad_weights_and_deltas_are_refused(bench):
    circle = weights(HSI={"A": 0.5, "F1": 0.5}, F1={"F2": 1.0}, F2={"HSI": 1.0})
    deltas = bench.deltas.copy()
    deltas[3] = np.nan
    with pytest.raises(InputError) as refused:
        make_look_through(bench.snapshot, circle, deltas)
    assert [record.value for record in refused.value.records] == ["nan", "F1", "F2", "HSI"]
    with pytest.raises(InputError, match="above 0, at most 1"):
        make_look_through(bench.snapshot, weights(HSI={"A": 1.5}), bench.deltas)
