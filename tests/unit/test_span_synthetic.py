"""The synthetic SPAN market is what it says: reproducible, writable in both formats, marginable."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from crossmargin.cli import main
from crossmargin.errors import InputError
from crossmargin.formats.span.positional_writer import write_positional
from crossmargin.formats.span.positions import read_span_positions
from crossmargin.formats.span.recognition import read_span_parameters
from crossmargin.formats.span.sample import write_span_sample
from crossmargin.formats.span.xml_writer import write_spn
from crossmargin.models.span.margin import span_margins
from crossmargin.models.span.parameters import SPAN_KEYS, SPAN_SCHEMAS
from crossmargin.models.span.settings import SpanSettings
from crossmargin.models.span.synthetic import synthetic_span_parameters, synthetic_span_positions

STEPS = 20  # of the binomial trees: here only the shape of the prices counts
SIZES = {"index_families": 3, "stock_futures": 4, "stock_classes": 5, "months": 5, "strikes": 9}
SAMPLE = Path(__file__).parents[2] / "examples" / "span"
DEFAULTS = {"index_families": 2, "stock_futures": 3, "stock_classes": 4, "months": 4, "strikes": 9}


def make_market(seed=7, **other):
    return synthetic_span_parameters(seed, **SIZES | {"american_steps": STEPS} | other)


@pytest.fixture(scope="module")
def market():
    return make_market()


@pytest.fixture(scope="module")
def positions(market):
    return synthetic_span_positions(5, market, 60, 40)


@pytest.fixture(scope="module")
def margins(market, positions):
    return span_margins(positions, market)


def test_same_seed_same_bytes(market, positions):
    again = make_market()
    assert again.content_hash == market.content_hash
    assert again.losses.tobytes() == market.losses.tobytes()
    assert_frame_equal(synthetic_span_positions(5, again, 60, 40), positions, check_exact=True)


def test_another_seed_is_another_market(market, positions):
    other = make_market(8)
    assert other.content_hash != market.content_hash
    assert not np.array_equal(other.losses[:10], market.losses[:10])
    assert not synthetic_span_positions(6, market, 60, 40).equals(positions)


MARKETS = {
    "american": {},
    "european": {"stock_option_style": "european"},
    "long ladders": {"stock_option_style": "european", "strikes": 120, "months": 6},
    "short ladders": {"strikes": 1, "months": 4},
    "indices alone": {"index_families": 1, "stock_futures": 0, "stock_classes": 0},
    "many families": {"index_families": 12, "business_date": date(2028, 2, 29)},
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", MARKETS)
def test_writing_and_reading_change_nothing(tmp_path, seed, name):
    made = make_market(seed, **MARKETS[name])
    write_spn(made, tmp_path / "rpf.spn")
    same(made, read_span_parameters(tmp_path / "rpf.spn"))
    write_positional(made, tmp_path / "rpf.lis")
    same(made, read_span_parameters(tmp_path / "rpf.lis"))


def same(made, read):
    assert (read.organization, read.business_date, read.settlement) == (
        made.organization,
        made.business_date,
        made.settlement,
    )
    assert read.losses.tobytes() == made.losses.tobytes()
    for name in SPAN_SCHEMAS:
        was, now = made.table(name), read.table(name)
        if name == "products":  # a file has them by commodity
            was, now = was.sort(SPAN_KEYS[name]), now.sort(SPAN_KEYS[name])
        if name != "skipped":
            assert_frame_equal(now, was, check_exact=True)


def test_every_account_is_margined_and_every_rule_has_work(margins):
    risk = margins.risk
    assert len(margins.accounts) == 60
    for component in ("scan_risk", "intra_charge", "spot_charge", "inter_credit", "short_option_minimum"):
        assert (getattr(risk, component) > 0).any(), component
    assert (risk.option_value > 0).any()
    assert (risk.option_value < 0).any()
    assert set(margins.totals()["currency"]) == {"HKD", "CNH"}


def test_every_series_can_be_held_long_and_short(market):
    is_option = pl.col("right") != ""
    series = market.series.select(
        "exchange",
        "product",
        "expiry",
        pl.when(is_option).then("right").alias("right"),
        pl.when(is_option).then("strike").alias("strike"),
    )
    for basis in ("net", "gross"):
        for quantity in (1, -1):
            held = series.with_columns(
                account=pl.format("{}", pl.int_range(pl.len())), quantity=pl.lit(quantity, pl.Int64)
            )
            margins = span_margins(held, market, SpanSettings(basis=basis))
            assert len(margins.accounts) == len(series)
            assert (margins.risk.risk_margin >= 0).all()


def test_positions_are_of_different_series(positions):
    key = ["account", "exchange", "product", "expiry", "right", "strike"]
    assert len(positions.unique(key)) == len(positions) == 60 * 40
    assert (positions["quantity"] != 0).all()
    assert positions["account"].is_sorted()
    assert positions.filter(pl.col("right").is_null())["strike"].is_null().all()


def test_half_of_the_series_may_be_held(market):
    count = len(market.series) // 2
    held = synthetic_span_positions(1, market, 2, count)
    assert len(held) == 2 * count
    with pytest.raises(InputError):
        synthetic_span_positions(1, market, 1, count + 1)


def test_no_position_is_a_book_too(market):
    assert synthetic_span_positions(1, market, 3, 0).is_empty()
    assert synthetic_span_positions(1, market, 0, 5).is_empty()


def test_numbers_are_whole_units(market):
    assert np.array_equal(market.losses, np.rint(market.losses))
    series = market.series
    assert (series["price"] > 0).all()
    indices = series.filter(pl.col("product").str.contains("^(IX|MX)"))
    assert (indices["price"] == indices["price"].round(0)).all()
    assert (series["price"] * 1e4 - (series["price"] * 1e4).round(0)).abs().max() < 1e-6


def test_a_mini_is_a_fifth_of_the_standard_contract(market):
    rows = market.series.with_row_index("row")
    standard = rows.filter(product="IX1", product_type="FUT")["row"].to_numpy()
    mini = rows.filter(product="MX1", product_type="FUT")["row"].to_numpy()
    assert np.allclose(market.losses[mini] * 5, market.losses[standard], atol=3.0)  # whole units
    assert (market.series["delta_scaling"].to_numpy()[mini] == 0.2).all()


def test_a_future_loses_its_scan_range_in_scenario_13(market):
    row = market.series.with_row_index("row").filter(product="IX2", product_type="FUT").row(0, named=True)
    loss = row["price_scan_range"] * row["contract_size"]
    assert market.losses[row["row"], 12] == loss
    assert market.losses[row["row"], 14] == -round(0.7 * loss)


def test_deltas_and_styles(market):
    series = market.series
    options = series.filter(pl.col("right") != "")
    sides = options["right"].replace_strict({"C": 1.0, "P": -1.0}, return_dtype=pl.Float64)
    assert (options["composite_delta"] * sides >= 0).all()
    assert (options["composite_delta"].abs() <= 1).all()
    assert set(options.filter(exchange="SYO")["option_style"]) == {"premium"}
    assert set(options.filter(exchange="SYF")["option_style"]) == {"futures"}
    assert set(market.spot_charges["commodity"]) == {"FXC"}


def test_american_options_are_worth_no_less(market):
    european = make_market(stock_option_style="european")
    stock = (market.series["exchange"] == "SYO").to_numpy()
    more = (market.series["price"] - european.series["price"]).to_numpy()
    assert (more[stock] > -0.05 * european.series["price"].to_numpy()[stock] - 0.02).all()  # coarse trees
    assert more[stock].max() > 0.05
    assert (more[~stock] == 0).all()


@pytest.mark.parametrize(
    ("day", "first"),
    [(date(2026, 1, 5), "202601"), (date(2026, 1, 29), "202602"), (date(2026, 1, 28), "202601")],
)
def test_the_first_month_has_not_expired(day, first):
    months = make_market(business_date=day).series["expiry"].unique().sort().to_list()
    assert months[0] == first
    assert len(months) == 5
    assert all(int(month) % 100 % 3 == 0 for month in months[2:])


@pytest.mark.parametrize(
    "sizes",
    [{"index_families": 0}, {"months": 3}, {"strikes": 0}, {"stock_futures": -1}, {"stock_classes": 10**4}],
)
def test_sizes_that_are_refused(sizes):
    with pytest.raises(InputError):
        make_market(**sizes)


def write_default_sample(folder):
    write_span_sample(folder, seed=12, accounts=1, positions=24, **DEFAULTS)


def test_the_sample_is_the_one_in_the_project(tmp_path):
    """Written again by `crossmargin sample span --out examples/span`."""
    write_default_sample(tmp_path)
    for name in ("rpf.lis", "rpf.spn"):
        made, kept = (read_span_parameters(folder / name) for folder in (tmp_path, SAMPLE))
        assert kept.content_hash == made.content_hash, name
    assert (tmp_path / "positions.csv").read_bytes() == (SAMPLE / "positions.csv").read_bytes()
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 700_000


def test_both_files_of_the_sample_give_the_same_margin():
    held = read_span_positions(SAMPLE / "positions.csv")
    one, other = (span_margins(held, read_span_parameters(SAMPLE / name)) for name in ("rpf.lis", "rpf.spn"))
    assert_frame_equal(one.to_frame(), other.to_frame(), check_exact=True)
    risk = one.risk
    for component in ("intra_charge", "spot_charge", "inter_credit", "short_option_minimum"):
        assert (getattr(risk, component) > 0).any(), component


def test_the_command_writes_the_sample(tmp_path, capsysbinary):
    function, command = tmp_path / "function", tmp_path / "command"
    write_default_sample(function)
    assert main(["sample", "span", "--out", str(command)]) == 0
    for name in ("rpf.lis", "rpf.spn", "positions.csv"):
        assert (command / name).read_bytes() == (function / name).read_bytes(), name
    files = ["--file", str(command / "rpf.lis"), "--positions", str(command / "positions.csv")]
    assert main(["span", *files, "--format", "csv"]) == 0
    assert b"A000001" in capsysbinary.readouterr().out


def test_the_command_takes_sizes(tmp_path):
    sizes = ["--seed", "3", "--accounts", "5", "--positions", "8", "--business-date", "2027-03-01"]
    assert main(["sample", "span", "--out", str(tmp_path), *sizes, "--stock-classes", "0"]) == 0
    held = read_span_positions(tmp_path / "positions.csv")
    assert len(held) == 5 * 8
    assert held["account"].n_unique() == 5
    assert read_span_parameters(tmp_path / "rpf.spn").business_date == date(2027, 3, 1)
