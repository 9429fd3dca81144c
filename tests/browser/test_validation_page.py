"""The page of a validation in Chromium without a window: what a reader sees, on every screen and on paper."""

from __future__ import annotations

import base64

import pytest
import validation_results as made
from chromium_driver import background, chromium, emulate, loaded, requested, requires_chromium, screen

from crossmargin.reports.validation.documents import write_validation

pytestmark = requires_chromium

HOSTILE = "<img src=x onerror=alert(1)> & Co"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    results = made.backtest(hostile=HOSTILE), made.stress(hostile=HOSTILE), made.procyclicality()
    return write_validation(tmp_path_factory.mktemp("report"), *results)[0].as_uri()


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(browser, address):
    return loaded(browser, address)


def test_nothing_is_reported_and_nothing_but_the_file_is_requested(page, address):
    page.execute_script("document.querySelector('details').open = true;")
    page.execute_script("document.querySelector('table.sortable th button').click();")
    assert page.get_log("browser") == []
    assert requested(page) == [address]


def test_a_name_that_looks_like_markup_is_text(page):
    assert page.execute_script("return document.images.length") == 0
    assert page.execute_script("return document.body.textContent.includes(arguments[0])", HOSTILE)


def test_every_chart_has_a_size_a_name_and_a_description(page):
    charts = page.execute_script(
        "return [...document.querySelectorAll('svg')].map(s => [s.getBoundingClientRect().width,"
        "s.getBoundingClientRect().height, s.getAttribute('role'), ..."
        "s.getAttribute('aria-labelledby').split(' ').map(id => document.getElementById(id).textContent)])"
    )
    assert len(charts) == 6
    for width, height, role, title, description in charts:
        assert width > 250
        assert height > 80
        assert role == "img"
        assert title
        assert description


def test_lines_of_a_chart_are_within_it_and_look_as_the_legend_says(page):
    strokes = page.execute_script(
        "const svg = document.querySelector('[aria-labelledby^=\"chart-margins\"]');"
        "const box = svg.getBoundingClientRect();"
        "return [...svg.querySelectorAll('path')].filter(p => getComputedStyle(p).stroke.startsWith('rgb')).map(p => {"
        "const b = p.getBoundingClientRect(); return [getComputedStyle(p).stroke, b.width > 200,"
        "b.left >= box.left - 1 && b.right <= box.right + 1 && b.top >= box.top - 1 && b.bottom <= box.bottom + 1]; })"
    )
    legend = page.execute_script(
        "return [...document.querySelector('.wide figure .legend').querySelectorAll('.swatch')]"
        ".map(s => getComputedStyle(s).borderTopColor)"
    )
    assert [colour for colour, _, _ in strokes] == legend
    assert len(set(legend)) == 3
    assert all(wide and within for _, wide, within in strokes)


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_no_screen_makes_the_page_scroll_sideways(page, width):
    screen(page, width, 844, mobile=width < 768)
    page.execute_script("document.querySelector('details').open = true;")
    found = page.execute_script(
        "const wide = e => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.scroll');"
        "return [document.documentElement.scrollWidth, [...document.body.querySelectorAll('*')]"
        ".filter(wide).map(e => e.tagName + '.' + e.className)]"
    )
    assert found == [width, []]


def test_the_page_is_dark_where_the_reader_wants_that(page):
    light = background(page)
    line = "return getComputedStyle(document.querySelector('[aria-labelledby^=\"chart-margins\"] .mark-line path')).stroke"
    pale = page.execute_script(line)
    emulate(page, scheme="dark")
    assert background(page) != light
    assert page.execute_script(line) != pale


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_accessibility_asks_for(page, scheme):
    """WCAG 2.2, success criteria 1.4.3 (text, 4.5 to 1) and 1.4.11 (lines and marks of zones, 3 to 1)."""
    emulate(page, scheme=scheme)
    page.execute_script("document.querySelector('details').open = true;")
    texts, marks = page.execute_script(
        """
        const light = colour => {
          const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => {
            const c = part / 255;
            return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
        };
        const behind = e => {
          const colour = getComputedStyle(e).backgroundColor;
          return colour === "rgba(0, 0, 0, 0)" ? behind(e.parentElement) : colour;
        };
        const ratio = (one, e) => {
          const [a, b] = [light(one), light(behind(e))];
          return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        };
        const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        const texts = [...document.querySelectorAll("body *")]
          .filter(e => own(e) && !e.closest("svg, script"))
          .map(e => ratio(getComputedStyle(e).color, e));
        const marks = [...document.querySelectorAll("td[data-field='zone']:not([data-value=''])")]
          .map(e => ratio(getComputedStyle(e).borderLeftColor, e));
        const strokes = [...document.querySelectorAll("svg .mark-line path")]
          .map(e => ratio(getComputedStyle(e).stroke, document.body));
        return [texts, [...marks, ...strokes]];
        """
    )
    assert len(texts) > 100
    assert min(texts) >= 4.5
    assert len(marks) > 10
    assert min(marks) >= 3


def test_paper_is_white_and_shows_whole_tables_and_charts(page):
    emulate(page, scheme="dark", media="print")
    assert background(page) == "rgb(255, 255, 255)"
    styles = page.execute_script(
        "const style = q => getComputedStyle(document.querySelector(q));"
        "return [style('.scroll').overflowX, style('figure').breakInside, style('nav').display]"
    )
    assert styles == ["visible", "avoid", "none"]
    document = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert document.startswith(b"%PDF")
    assert 4 <= document.count(b"/Type /Page\n") <= 30
