"""The joint expected-shortfall model: margins of books, subsets of legs, explanations, horizons."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numba
import numpy as np
import polars as pl
import pytest
from index_market import AS_OF, index_market, one_row, scenario_set
from small_market import DAYS, small_market, walk, walks

from crossmargin.core.rounding import to_minor
from crossmargin.errors import InputError
from crossmargin.models.expected_shortfall.margin import es_margins
from crossmargin.models.expected_shortfall.settings import EsSettings
from crossmargin.models.market import HOUSES
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.scenarios.build import ScenarioSettings, scenarios_from_histories
from crossmargin.models.scenarios.filtered import FilteredHistorical
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.part_rules import AntiProcyclical, PartRules
from crossmargin.models.scenarios.scenario_set import RiskFactor
from crossmargin.models.scenarios.selection import LookBack, StressPeriods, WorstDays
from crossmargin.programmes.books import make_books
from crossmargin.programmes.joint.explained import explain_unit
from crossmargin.programmes.joint.horizons import joint_cube
from crossmargin.programmes.joint.model import joint_model
from crossmargin.programmes.joint.tails import joint_tails

SETTINGS = EsSettings(buffer=0.25)
PRECISIONS = pytest.mark.parametrize("precision", ["float32", "float64", "int16"])


@pytest.fixture(scope="module")
def snapshot():
    return make_snapshot(index_market(), AS_OF)


def model_of(snapshot, precision="float64", sizes=(600, 540), settings=SETTINGS):
    cube = make_cube(snapshot, scenario_set(sizes=sizes), RevaluationSettings(precision=precision))
    return joint_model(snapshot, cube, settings)


@pytest.fixture(scope="module")
def model(snapshot):
    return model_of(snapshot)


def random_books(snapshot, seed, count, *, gross=None, positions=6):
    rng = np.random.default_rng(seed)
    size = count * positions
    return make_books(
        rng.integers(0, count, size),
        rng.integers(0, len(snapshot.instruments), size),
        rng.integers(-50, 51, size),
        count=count,
        gross=gross,
    )


def book_frame(snapshot, books):
    names = snapshot.instruments["instrument"].to_list()
    return pl.DataFrame(
        {
            "account": [f"{book:04}" for book in books.book],
            "instrument": [names[row] for row in books.rows],
            "quantity": books.quantities,
        }
    )


def number(snapshot, instrument):
    return snapshot.instruments["instrument"].to_list().index(instrument)


# Books


@PRECISIONS
def test_net_books_are_margined_as_accounts(snapshot, precision):
    model = model_of(snapshot, precision)
    books = random_books(snapshot, 1, 40)
    margins = es_margins(book_frame(snapshot, books), model.cube, SETTINGS)
    assert len(margins.accounts) == 40
    assert model.market_risk(books).tolist() == margins.requirement.tolist()
    assert model.name == "expected_shortfall"


def test_gross_books_are_the_sum_of_positions_each_margined_and_rounded(snapshot, model):
    gross = np.array([True, False, True, False, True])
    books = random_books(snapshot, 2, 5, gross=gross)
    books = replace(books, gross=gross)
    singles = make_books(np.arange(books.rows.size), books.rows, books.quantities, count=books.rows.size)
    each = model.market_risk(singles)
    net = model.market_risk(replace(books, gross=np.zeros(5, bool)))
    for book, amount in enumerate(model.market_risk(books)):
        held = slice(books.starts[book], books.starts[book + 1])
        assert amount == (each[held].sum() if gross[book] else net[book])
    assert (model.market_risk(books) > net).sum() == 3


def test_books_without_positions_have_no_risk(snapshot, model):
    row = number(snapshot, "0005")
    gross = np.array([False, True, False, True])
    books = make_books(np.array([2]), np.array([row]), np.array([-100]), count=4, gross=gross)
    assert (model.market_risk(books) > 0).tolist() == [False, False, True, False]
    assert model.market_risk(books.select(np.zeros(0, np.int64))).size == 0


def test_the_buffer_is_that_of_the_scenarios_unless_given(snapshot, model):
    told = replace(
        model.cube, scenario_settings=AntiProcyclical(buffer_rate=0.5, buffer_drawn=0.5).settings()
    )
    assert joint_model(snapshot, told).settings.buffer == 0.25
    assert joint_model(snapshot, told, EsSettings(buffer=0.1)).settings.buffer == 0.1


def test_amounts_are_rounded_to_the_cent_a_half_up(snapshot, model):
    """One long share: the tail of its row, blended, with buffer, in cents."""
    row = number(snapshot, "0005")
    books = make_books(np.zeros(1, int), np.array([row]), np.array([7]), count=1)
    pnl = 7 * model.cube.row("0005")
    exact = 0.0
    for part, (start, stop) in zip(model.cube.parts, model.cube.layout.bounds, strict=True):
        exact -= part.weight * np.sort(pnl[start:stop])[: part.tail_count].mean()
    assert model.market_risk(books)[0] == to_minor(exact * 1.25, 2)


def test_instruments_without_scenarios_are_refused_by_name(snapshot):
    factors = (RiskFactor("spot", "HSI"), RiskFactor("volatility", "HSI", 30))
    model = joint_model(snapshot, make_cube(snapshot, scenario_set(factors=factors)))
    shares = ["0005", "USETF"]
    assert snapshot.instruments["instrument"].filter(~pl.Series(model.can_margin)).to_list() == shares
    rows = np.array([number(snapshot, name) for name in (*shares, "0005")])
    books = make_books(np.array([0, 2, 2]), rows, np.array([1, -1, 5]), count=3)
    with pytest.raises(InputError) as error:
        model.market_risk(books)
    assert [record.value for record in error.value.records] == [
        "book 0: 0005",
        "book 2: 0005",
        "book 2: USETF",
    ]
    (rule,) = {record.rule for record in error.value.records}
    assert rule == "an instrument with scenarios; it was left out: no scenarios of the underlying"
    with pytest.raises(InputError, match="C: USETF"):
        model.cube_rows(books, ["A", "B", "C"])


def test_a_cube_of_other_marks_is_refused(snapshot, model):
    other = replace(snapshot, data_note="another market")
    with pytest.raises(InputError, match="from other marks"):
        joint_model(other, model.cube)


# Legs


@PRECISIONS
def test_a_subset_of_one_leg_is_that_leg(snapshot, precision):
    model = model_of(snapshot, precision)
    legs = random_books(snapshot, 3, 60, positions=3)
    tails = joint_tails(model, legs, HOUSES)
    assert np.array_equal(tails.alone.ravel(), model.market_risk(legs))
    assert np.array_equal(tails.subsets[:, 0], np.zeros(20))


@PRECISIONS
@pytest.mark.parametrize("subset", [3, 5, 6, 7])
def test_subsets_are_the_netted_union(snapshot, precision, subset):
    """Leg by leg or position by position: float32 rounds the gross results of some 10^6 by 10^-7 a position."""
    model = model_of(snapshot, precision)
    legs = random_books(snapshot, 4, 90, positions=4)
    inside = np.array([subset >> house & 1 for house in range(3)] * 30, bool)
    group = np.where(inside, np.arange(90) // 3, -1)
    union = model.market_risk(legs.regrouped(group, 30))
    gross = joint_tails(model, legs, HOUSES).alone.sum(axis=1)
    off = np.abs(joint_tails(model, legs, HOUSES).subsets[:, subset] - union)
    assert (off <= (1 if precision == "float64" else 1 + 1e-5 * gross)).all()
    assert (union < gross).any()


def test_parts_by_house_add_up_to_the_margin(snapshot, model):
    tails = joint_tails(model, random_books(snapshot, 5, 60), HOUSES)
    floored = to_minor(np.maximum(tails.euler.sum(axis=1), 0.0), 2)
    assert (np.abs(floored - tails.joint) <= 1).all()  # 10^-2 where float64 rounds across a tie
    assert (tails.joint > 0).any()
    assert (tails.euler < 0).any()


def test_legs_without_positions(snapshot, model):
    row = number(snapshot, "0005")
    legs = make_books(np.array([4]), np.array([row]), np.array([-100]), count=9)
    tails = joint_tails(model, legs, HOUSES)
    own = model.market_risk(legs)[4]
    assert tails.subsets.tolist() == [[0] * 8, [0, 0, own, own, 0, 0, own, own], [0] * 8]
    assert to_minor(tails.euler, 2).tolist() == [[0, 0, 0], [0, own, 0], [0, 0, 0]]
    assert np.isnan(tails.correlations).all()


def test_opposite_legs_need_nothing_and_equal_legs_twice_as_much(snapshot, model):
    held = random_books(snapshot, 6, 1, positions=8)
    rows, quantities = np.tile(held.rows, 2), np.concatenate([held.quantities, -held.quantities])
    book = np.repeat([0, 1], held.rows.size)
    opposite = joint_tails(model, make_books(book, rows, quantities, count=2), HOUSES[:2])
    assert opposite.joint.tolist() == [0]
    assert (opposite.alone > 0).all()
    assert opposite.euler.sum() == 0
    np.testing.assert_array_equal(opposite.correlations, -1.0)
    same = make_books(book, rows, np.tile(held.quantities, 2), count=2)
    equal = joint_tails(model, same, HOUSES[:2])
    assert abs(equal.joint[0] - 2 * equal.alone[0, 0]) <= 1
    assert equal.euler[0, 0] == equal.euler[0, 1]
    np.testing.assert_array_equal(equal.correlations, 1.0)


def test_gross_legs_are_never_joined(snapshot, model):
    legs = random_books(snapshot, 7, 2, gross=np.array([True, False]))
    with pytest.raises(AssertionError, match="never margined with another"):
        joint_tails(model, legs, HOUSES[:2])


def test_houses_and_their_pairs(snapshot, model):
    tails = joint_tails(model, random_books(snapshot, 8, 6), HOUSES)
    assert tails.pairs == (("HKSCC", "HKCC"), ("HKSCC", "SEOCH"), ("HKCC", "SEOCH"))
    assert tails.correlations.shape == (2, 3, 2)


@PRECISIONS
def test_one_thread_or_two_same_bytes(snapshot, precision):
    model = model_of(snapshot, precision)
    legs = random_books(snapshot, 9, 600)
    threads = numba.get_num_threads()
    found = []
    try:
        for count in (1, min(2, threads)):
            numba.set_num_threads(count)
            tails = joint_tails(model, legs, HOUSES)
            arrays = (tails.subsets, tails.euler, tails.correlations, model.market_risk(legs))
            found.append([array.tobytes() for array in arrays])
    finally:
        numba.set_num_threads(threads)
    assert found[0] == found[1]


# One unit


@PRECISIONS
def test_an_explanation_is_of_the_same_numbers(snapshot, precision):
    model = model_of(snapshot, precision)
    legs = random_books(snapshot, 10, 12, positions=4)
    tails = joint_tails(model, legs, HOUSES)
    for unit in range(4):
        explained = explain_unit(model, legs, unit, HOUSES)
        weights = dict(zip((part.name for part in model.cube.parts), model.weights, strict=True))
        parts = explained.tail.drop("scenario").group_by("part", maintain_order=True).mean()
        blended = sum(weights[row["part"]] * -row["joint"] for row in parts.iter_rows(named=True))
        assert abs(to_minor(max(blended, 0.0), 2) - tails.joint[unit]) <= 1
        assert explained.tail["part"].value_counts(sort=True)["count"].to_list() == [3, 2]
        for place, house in enumerate(HOUSES):
            own = sum(weights[row["part"]] * -row[house] for row in parts.iter_rows(named=True))
            assert own == pytest.approx(tails.euler[unit, place], rel=1e-12, abs=1e-9)
            held = explained.positions.filter(house=house)["contribution"].sum()
            size = explained.positions["contribution"].abs().sum()
            assert held == pytest.approx(own, abs=(1e-12 if precision == "float64" else 1e-5) * size)
        for row in explained.correlations.iter_rows(named=True):
            pair = tails.pairs.index((row["house"], row["other"]))
            part = list(weights).index(row["part"])
            assert row["correlation"] == tails.correlations[unit, pair, part]


def test_the_worst_scenarios_are_told_by_label_worst_first(snapshot, model):
    legs = random_books(snapshot, 11, 3)
    explained = explain_unit(model, legs, 0, HOUSES)
    joint = explained.pnl.sum(axis=0)
    for part, (start, stop) in zip(model.cube.parts, model.cube.layout.bounds, strict=True):
        order = np.argsort(joint[start:stop], kind="stable")[: part.tail_count]
        told = explained.tail.filter(part=part.name)
        assert told["scenario"].to_list() == [model.cube.labels[part.start + at] for at in order]
        assert told["joint"].to_list() == pytest.approx(joint[start + order].tolist(), rel=1e-12)
        for house, leg in zip(HOUSES, explained.pnl, strict=True):
            assert told[house].to_list() == leg[start + order].tolist()


def test_correlations_whole_in_the_tail_and_lowest_by_block(snapshot, model):
    """600 scenarios are blocks of 250 and 350; 540 of 250 and 290; the worst tenth are 60 and 54."""
    legs = random_books(snapshot, 12, 3)
    explained = explain_unit(model, legs, 0, HOUSES)
    a, b = explained.pnl[0], explained.pnl[2]
    joint = explained.pnl.sum(axis=0)
    for part, (start, stop) in zip(model.cube.parts, model.cube.layout.bounds, strict=True):
        row = one_row(explained.correlations, house="HKSCC", other="SEOCH", part=part.name)
        worst = start + np.argsort(joint[start:stop])[: {600: 60, 540: 54}[stop - start]]
        blocks = (slice(start, start + 250), slice(start + 250, stop))
        expected = {
            "correlation": np.corrcoef(a[start:stop], b[start:stop])[0, 1],
            "in_tail": np.corrcoef(a[worst], b[worst])[0, 1],
            "lowest": min(np.corrcoef(a[block], b[block])[0, 1] for block in blocks),
        }
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, abs=1e-12)
        assert row["lowest"] < row["correlation"]
    assert len(explained.correlations) == 3 * 2


def test_positions_are_told_by_house_the_largest_part_first(snapshot, model):
    names = ["0005", "USETF", "0005"]
    rows = np.array([number(snapshot, name) for name in names])
    legs = make_books(np.array([3, 3, 4]), rows, np.array([1000, 10, -400]), count=6)
    explained = explain_unit(model, legs, 1, HOUSES)
    told = explained.positions
    assert told.select("house", "instrument", "quantity").rows() == [
        ("HKSCC", "0005", 1000),
        ("HKSCC", "USETF", 10),
        ("HKCC", "0005", -400),
    ]
    by_name = {row[:2]: row[3] for row in told.rows()}
    assert by_name["HKCC", "0005"] == pytest.approx(-0.4 * by_name["HKSCC", "0005"], rel=1e-12)
    assert explained.correlations["house"].unique().to_list() == ["HKSCC"]
    assert not explained.pnl[2].any()


def test_a_unit_with_nothing_or_none(model):
    legs = make_books(*np.zeros((3, 0), np.int64), count=6)
    explained = explain_unit(model, legs, 1, HOUSES)
    assert len(explained.positions) == len(explained.correlations) == 0
    assert explained.tail["joint"].to_list() == [0.0] * 5
    for unit in (-1, 2):
        with pytest.raises(IndexError, match=f"unit {unit} of 2"):
            explain_unit(model, legs, unit, HOUSES)


# Horizons

COUNT = 900
DAY = DAYS[COUNT - 1]
EXPIRY = DAY + timedelta(days=40)


@pytest.fixture(scope="module")
def two_houses():
    """Shares A and B at HKSCC, futures on them at HKCC, an option on A at SEOCH."""
    listed = {
        "instrument": ["A", "B", "A.F", "B.F", "A.C", "A.P"],
        "house": ["HKSCC", "HKSCC", "HKCC", "HKCC", "SEOCH", "SEOCH"],
        "kind": ["equity", "equity", "future", "future", "option", "option"],
        "underlying": ["A", "B", "A", "B", "A", "A"],
        "currency": ["HKD"] * 6,
        "multiplier": [1.0, 1.0, 50.0, 50.0, 100.0, 100.0],
        "expiry": [None, None, EXPIRY, EXPIRY, EXPIRY, EXPIRY],
        "right": [None, None, None, None, "C", "P"],
        "strike": [None, None, None, None, 100.0, 100.0],
        "style": [None, None, None, None, "european", "european"],
        "settlement": ["close"] * 6,
    }
    spots = {name: float(walk(seed, COUNT)[-1]) for seed, name in enumerate("AB", 1)}
    listed["strike"] = [None] * 4 + [round(spots["A"], 1)] * 2
    marks = {"A.F": spots["A"], "B.F": spots["B"], "A.C": 0.04 * spots["A"], "A.P": 0.04 * spots["A"]}
    market = small_market(
        walks("AB", COUNT),
        instruments=pl.DataFrame(listed),
        marks=pl.DataFrame({"date": [DAY] * 4, "instrument": [*marks], "price": [*marks.values()]}),
    )
    return make_snapshot(market, DAY), make_histories(market, DAY)


SCENARIOS = ScenarioSettings(
    parts=(
        PartRules(
            name="recent", selection=LookBack(scenarios=300), weight=0.5, filtering=FilteredHistorical()
        ),
        PartRules(name="worst", selection=WorstDays(factor="spot:A", scenarios=70), weight=0.3),
        PartRules(
            name="periods", selection=StressPeriods(periods=(("x", DAYS[300], DAYS[420]),)), weight=0.2
        ),
    ),
    anti_procyclical=AntiProcyclical(
        buffer_rate=0.25,
        stressed=PartRules(name="stressed", selection=WorstDays(factor="spot:B", scenarios=50), weight=0.25),
    ),
)
OWN_DAYS = {"HKSCC": 2, "HKCC": 1, "SEOCH": 1}


def horizon_cube(two_houses, horizon, days=OWN_DAYS, **more):
    return joint_cube(*two_houses, SCENARIOS, horizon=horizon, days=days, **more)


def over(two_houses, days, method="overlapping"):
    snapshot, histories = two_houses
    settings = replace(SCENARIOS, horizon_days=days, horizon_method=method)
    return make_cube(snapshot, scenarios_from_histories(histories, settings))


@pytest.mark.parametrize(("horizon", "method"), [("max", "overlapping"), ("square root", "square root")])
def test_the_longest_horizon(two_houses, horizon, method):
    cube, plain = horizon_cube(two_houses, horizon), over(two_houses, 2, method)
    assert np.array_equal(cube.pnl, plain.pnl)
    assert (cube.key, cube.input_hashes, cube.labels) == (plain.key, plain.input_hashes, plain.labels)
    told = (("joint.horizon", horizon), ("joint.horizon_days", "2"))
    assert cube.scenario_settings == (*plain.scenario_settings, *told)


def test_one_day_moves_times_the_root(two_houses):
    """A long share's log moves grow by √2; its future's too."""
    one, two = over(two_houses, 1), horizon_cube(two_houses, "square root")
    recent = slice(*one.layout.bounds[0])
    for name, price in (("A", one_row(one.instruments, instrument="A")["value"]),):
        moves = [np.log1p(cube.row(name)[recent].astype(float) / price) for cube in (one, two)]
        np.testing.assert_allclose(moves[1], np.sqrt(2) * moves[0], atol=1e-6)


@PRECISIONS
def test_each_house_over_its_own_horizon(two_houses, precision):
    revaluation = RevaluationSettings(precision=precision)
    snapshot, _ = two_houses
    cube = horizon_cube(two_houses, "per_house", revaluation=revaluation)
    longest = horizon_cube(two_houses, "max", revaluation=revaluation)
    assert (cube.parts, cube.labels) == (longest.parts, longest.labels)
    one = horizon_cube(two_houses, "max", dict.fromkeys(HOUSES, 1), revaluation=revaluation)
    recent, worst, periods, _ = (slice(*bound) for bound in cube.layout.bounds)
    for name, house in snapshot.instruments.select("instrument", "house").iter_rows():
        source = longest if house == "HKSCC" else one
        for part in (recent, periods):
            assert np.array_equal(cube.row(name)[part], source.row(name)[part])
        assert np.array_equal(cube.row(name)[worst], source.row(name)[worst]) == (house == "HKSCC")
    assert cube.instruments.equals(longest.instruments)
    assert joint_model(snapshot, cube).can_margin.all()


def test_the_largest_moves_are_of_the_same_days(two_houses):
    """The worst days are those of two-day moves of A; the future has its move of the last of the two."""
    _, histories = two_houses
    cube = horizon_cube(two_houses, "per_house")
    part, (start, _) = cube.parts[1], cube.layout.bounds[1]
    returns = dict(
        zip(map(str, histories.days), histories.returns[:, histories.columns["spot:A"]], strict=True)
    )
    days = list(returns)
    mark = one_row(two_houses[0].instruments, instrument="A.F")["mark"] * 50
    for at, label in enumerate(cube.labels[part.start : part.stop]):
        later, earlier = returns[label], returns[days[days.index(label) - 1]]
        assert cube.row("A.F")[start + at] == pytest.approx(mark * np.expm1(later), rel=1e-5, abs=1e-2)
        value = one_row(cube.instruments, instrument="A")["value"]
        assert cube.row("A")[start + at] == pytest.approx(
            value * np.expm1(later + earlier), rel=1e-5, abs=1e-3
        )


def test_provenance_of_mixed_rows(two_houses):
    cube = horizon_cube(two_houses, "per_house")
    other = horizon_cube(two_houses, "per_house", OWN_DAYS | {"SEOCH": 2})
    again = horizon_cube(two_houses, "per_house")
    longest = horizon_cube(two_houses, "max")
    assert cube.key == again.key
    assert len({cube.key, other.key, longest.key}) == 3
    assert [name for name, _ in cube.input_hashes] == [
        "market",
        "scenarios over 1 days",
        "scenarios over 2 days",
    ]
    assert len(dict(cube.input_hashes)) == len({hashed for _, hashed in cube.input_hashes})
    told = dict(cube.scenario_settings)
    assert told["joint.horizon"] == "per_house"
    assert [told[f"joint.horizon_days.{house}"] for house in HOUSES] == ["2", "1", "1"]
    assert joint_model(two_houses[0], cube).settings.buffer == 0.25


def test_equal_horizons_need_no_mixing(two_houses):
    cube = horizon_cube(two_houses, "per_house", dict.fromkeys(HOUSES, 2))
    assert cube.key == horizon_cube(two_houses, "max").key


def test_findings_are_of_the_rows_that_are_there(two_houses):
    """B lacks the return of the day before the first two-day window: left out over two days, kept over one."""
    snapshot, histories = two_houses
    valid = histories.valid.copy()
    valid[COUNT - 301, histories.columns["spot:B"]] = False
    broken = replace(histories, valid=valid)
    only = replace(SCENARIOS, parts=(PartRules(name="recent", selection=LookBack(scenarios=300)),))
    only = replace(only, anti_procyclical=AntiProcyclical())
    cube = joint_cube(snapshot, broken, only, horizon="per_house", days=OWN_DAYS)
    assert cube.instruments["instrument"].to_list() == ["A", "A.C", "A.F", "A.P", "B.F"]
    assert cube.findings.filter(action="left out")["subject"].to_list() == ["B"]
    assert joint_model(snapshot, cube).can_margin.tolist() == [True, True, True, True, False, True]


@pytest.mark.parametrize(
    ("days", "field", "value"),
    [
        ({"HKSCC": 2, "HKCC": 1}, "SEOCH", "none"),
        (OWN_DAYS | {"HKCC": 0}, "HKCC", "0"),
        (OWN_DAYS | {"HKCC": 251}, "HKCC", "251"),
        (OWN_DAYS | {"HKCC": 1.5}, "HKCC", "1.5"),
        (OWN_DAYS | {"HKCC": True}, "HKCC", "True"),
        (OWN_DAYS | {"OTHER": -1}, "OTHER", "-1"),
    ],
)
def test_horizons_that_are_none_are_refused(two_houses, days, field, value):
    with pytest.raises(InputError) as error:
        horizon_cube(two_houses, "max", days)
    (record,) = error.value.records
    assert (record.field, record.value) == (field, value)


def test_unknown_rules_are_refused(two_houses):
    with pytest.raises(InputError, match="one of max, square root, per_house"):
        horizon_cube(two_houses, "longest")
