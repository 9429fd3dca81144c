"""Positions in futures and options as a file of rows."""

from __future__ import annotations

import pytest

from crossmargin import InputError, read_span_positions, span_margins
from span_market import future, future_losses, market, option

FLAT = [-1.0] * 16


@pytest.fixture(scope="module")
def ambiguous():
    """Options of one month on futures of two months, and a future that is listed as two product types."""
    options = [
        option("AAA", "202601", "C", 90.0, FLAT, product_type="OOF", future_month=month)
        for month in ("202603", "202606")
    ]
    futures = [
        future("AAA", "202603", future_losses(scan), product_type=kind)
        for kind, scan in (("FUT", 1000), ("PHY", 500))
    ]
    return market([*options, *futures])


def written(path, *lines: str):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_product_type_and_future_month_of_a_file_tell_series_apart(tmp_path, ambiguous):
    path = written(
        tmp_path / "positions.csv",
        "Product,Expiry,Right,Strike,Quantity,Product type,Future month",
        "AAA,202601,C,90,1,,202606",
        "AAA,202603,,,2,PHY,",
    )
    held = read_span_positions(path)
    assert held["product_type"].to_list() == [None, "PHY"]
    assert held["future_month"].to_list() == ["202606", None]
    assert span_margins(held, ambiguous).located["series"].to_list() == [1, 3]


def test_a_file_without_them_is_read_without_them(tmp_path, ambiguous):
    path = written(tmp_path / "positions.csv", "Product,Expiry,Quantity", "AAA,202603,2")
    held = read_span_positions(path)
    assert held.columns == ["product", "expiry", "quantity"]
    with pytest.raises(InputError, match="product_type"):
        span_margins(held, ambiguous)
