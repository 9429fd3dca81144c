"""Measures of procyclicality and tools against it, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossmargin import InputError
from crossmargin.validation import anti_procyclicality as tools
from crossmargin.validation import procyclicality as measures


def columns(*series):
    return np.array(series, float).T


MARGIN = columns([4, 2, 3, 6, 6, 5], [8, 8, 4, 4, 2, 2])


def test_peak_to_trough():
    found = measures.peak_to_trough(MARGIN)
    assert found.ratio.tolist() == [3.0, 4.0]
    assert found.peak_at.tolist() == [3, 0]
    assert found.trough_at.tolist() == [1, 4]


def test_n_day():
    assert measures.n_day(MARGIN, 1).tolist() == [2.0, 1.0]
    assert measures.n_day(MARGIN, 2).tolist() == [3.0, 0.5]
    assert measures.n_day(MARGIN, 5).tolist() == [1.25, 0.25]


def test_largest_call():
    one, two = measures.largest_call(MARGIN), measures.largest_call(MARGIN, 2)
    assert (one.amount.tolist(), one.at.tolist()) == ([3.0, 0.0], [3, -1])
    assert (two.amount.tolist(), two.at.tolist()) == ([4.0, 0.0], [3, -1])


def test_stability():
    # changes of ln margin: ln 2, −ln 2, ln 2 about their mean of ln 2 ÷ 3; two degrees of freedom
    found = measures.stability(columns([1, 2, 1, 2], [1, 3, 9, 27]))
    assert found[0] == pytest.approx(math.log(2) * math.sqrt(4 / 3), rel=1e-14)
    assert found[1] == pytest.approx(0.0, abs=1e-15)


def test_cost():
    found = measures.cost(columns([2, 4], [1, 3]), columns([1, 2], [2, 2]))
    assert found.tolist() == [1.0, 0.0]


def test_impulse_response():
    found = measures.impulse_response(columns([9, 10, 20, 15], [5, 4, 4, 6]), 2)
    assert found.tolist() == [[2.0, 1.0], [1.5, 1.5]]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: measures.peak_to_trough(columns([1, 0])), "margin of series 1 '0.0': above 0"),
        (lambda: measures.peak_to_trough(np.zeros((0, 1))), "dates '0': at least 1"),
        (lambda: measures.n_day(MARGIN, 6), "dates '6': at least 7"),
        (lambda: measures.n_day(MARGIN, 0), "n '0': at least 1"),
        (lambda: measures.n_day(columns([1, np.nan]), 1), "margin of series 1 'nan': a finite number"),
        (lambda: measures.largest_call(columns([1, -1])), "margin of series 1 '-1.0': at least 0"),
        (lambda: measures.stability(MARGIN[:2]), "dates '2': at least 3"),
        (lambda: measures.cost(MARGIN, 0 * MARGIN), "mean of series 2 '0.0': a mean above 0"),
        (lambda: measures.impulse_response(columns([0, 1]), 1), "margin of series 1 '0.0': above 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, named):
    with pytest.raises(InputError, match=named):
        call()


# Tools ----------------------------------------------------------------------------------------------------------


def test_a_buffer_is_used_up_by_a_sharp_rise():
    """A reference of 100: margins of 90, 100, 110, 125 and 150 give 112.5, 125, 125, 125 and 150."""
    for last, held in ((90, 112.5), (100, 125), (110, 125), (125, 125), (150, 150)):
        found = tools.buffered(columns([100, 100, 100, last]), tools.BufferRule())
        assert found[:, 0].tolist() == [125.0, 125.0, 125.0, held]


def test_a_buffer_is_built_up_again_as_its_reference_follows():
    margin = columns([100] * 4 + [200] * 5)
    found = tools.buffered(margin, tools.BufferRule(reference_dates=4))[4:, 0]
    # references of 100, 125, 150, 175 and 200
    assert found.tolist() == [200.0, 200.0, 200.0, 218.75, 250.0]


def test_a_reference_is_made_of_earlier_rows():
    margin = columns([1, 5, 3, 1, 1, 1])
    mean = tools.reference(margin, tools.BufferRule(reference_dates=2))
    assert mean[:, 0].tolist() == [1.0, 1.0, 3.0, 4.0, 2.0, 1.0]
    peak = tools.reference(margin, tools.BufferRule(reference_dates=2, reference="peak"))
    assert peak[:, 0].tolist() == [1.0, 1.0, 5.0, 5.0, 3.0, 1.0]


def test_a_stress_weight_and_a_floor():
    normal, stress = columns([100, 200]), columns([300, 200])
    assert tools.stress_weighted(normal, stress)[:, 0].tolist() == [150.0, 200.0]
    assert tools.stress_weighted(normal, stress, 0.5)[:, 0].tolist() == [200.0, 200.0]
    assert tools.floored(columns([100, 400]), stress)[:, 0].tolist() == [300.0, 400.0]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: tools.buffered(columns([np.nan]), tools.BufferRule()), "margin of series 1 'nan'"),
        (lambda: tools.buffered(MARGIN, tools.BufferRule(buffer=0.0)), "buffer '0.0': above 0"),
        (lambda: tools.buffered(MARGIN, tools.BufferRule(reference_dates=0)), "reference_dates '0'"),
        (lambda: tools.buffered(MARGIN, tools.BufferRule(reference="median")), "reference 'median'"),
        (lambda: tools.stress_weighted(MARGIN, MARGIN, 1.5), "weight '1.5': from 0 to 1"),
        (lambda: tools.stress_weighted(MARGIN, -MARGIN), "stress of series 2 '-2.0': at least 0"),
        (lambda: tools.floored(MARGIN, np.inf * MARGIN), "long run of series 1 'inf'"),
    ],
)
def test_tools_refuse_what_is_no_margin(call, named):
    with pytest.raises(InputError, match=named):
        call()
