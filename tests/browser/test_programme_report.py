"""The page of a comparison in Chromium without a window: what a reader sees, on every screen and on paper."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest
from chromium_driver import background, chromium, emulate, loaded, requested, requires_chromium, screen
from comparison_data import comparison, names

from crossmargin.reports.programmes.documents import write_report

pytestmark = requires_chromium

PARTICIPANTS = 24
HOSTILE = "<img src=x onerror=alert(1)> & Co"


@pytest.fixture(scope="module")
def compared():
    return comparison(PARTICIPANTS, hostile=HOSTILE)


@pytest.fixture(scope="module")
def address(compared, tmp_path_factory):
    return write_report(compared, tmp_path_factory.mktemp("report"))[0].as_uri()


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(browser, address):
    return loaded(browser, address)


def column(browser, field):
    """Values of the rows of the participants' table that are to be seen, from top to bottom."""
    return browser.execute_script(
        "return [...document.querySelectorAll('table.sortable tbody tr')].filter(row => !row.hidden)"
        ".map(row => row.querySelector(`[data-field='${arguments[0]}']`).dataset.value)",
        field,
    )


def press(browser, text):
    browser.execute_script(
        "[...document.querySelectorAll('table.sortable th button')]"
        ".find(button => button.textContent === arguments[0]).click()",
        text,
    )


def search(browser, text):
    from selenium.webdriver.common.by import By  # noqa: PLC0415

    box = browser.find_element(By.CSS_SELECTOR, ".search input")
    box.clear()
    box.send_keys(text)


def test_nothing_is_reported_and_nothing_but_the_file_is_requested(page, address):
    search(page, "Invented")
    press(page, "group")
    assert page.get_log("browser") == []
    assert requested(page) == [address]


def test_a_request_of_the_page_would_be_blocked(page):
    blocked = page.execute_async_script(
        "const done = arguments[0];"
        "document.addEventListener('securitypolicyviolation', e => done(e.violatedDirective), {once: true});"
        "const picture = new Image(); picture.src = 'file:///nowhere.png'; document.body.append(picture);"
    )
    assert blocked == "img-src"


def test_headline_numbers_are_those_of_the_comparison(page, compared):
    shown = page.execute_script(
        "return [...document.querySelectorAll('#headline data[data-programme]')]"
        ".map(d => [d.dataset.programme, d.dataset.field, d.dataset.value, d.textContent])"
    )
    for result in compared.results:
        mine = {field: (value, text) for name, field, value, text in shown if name == result.programme.name}
        assert mine["saving"][0] == str(result.saving)
        assert mine["saving"][1] == f"HK${round(result.saving / 1_000_000, 1):,}m"
        assert mine["requirement"][0] == str(result.requirement)
        assert mine["share"] == (str(result.share), f"{result.share:.1%}")


def test_headline_numbers_are_those_of_the_table_below(page):
    pairs = page.execute_script(
        "return [...document.querySelectorAll('#headline data[data-programme]')].map(d => {"
        "const rows = [...document.querySelectorAll('#system tbody tr')];"
        "const row = rows.find(r => r.cells[0].dataset.value === d.dataset.programme);"
        "return [d.dataset.value, row.querySelector(`[data-field='${d.dataset.field}']`).dataset.value]; })"
    )
    assert len(pairs) == 15
    assert all(headline == cell for headline, cell in pairs)


def test_participants_are_sorted_by_any_column_both_ways(page):
    before = column(page, "today")
    press(page, "merged house")
    falling = [Decimal(value) for value in column(page, "saving-4")]
    assert falling == sorted(falling, reverse=True)
    press(page, "merged house")
    rising = [Decimal(value) for value in column(page, "saving-4")]
    assert rising == falling[::-1]
    press(page, "participant")
    assert column(page, "participant") == sorted(column(page, "participant"))
    press(page, "today")
    assert column(page, "today") == before
    sorted_by = page.execute_script("return document.querySelectorAll('th[aria-sort]').length")
    assert sorted_by == 1


def test_participants_are_searched_by_name_and_group(page):
    search(page, names(PARTICIPANTS)[7].upper())
    assert column(page, "participant") == [names(PARTICIPANTS)[7]]
    assert (
        page.execute_script("return document.querySelector('.search output').textContent") == "1 of 24 rows"
    )
    search(page, "Group 11")
    assert len(column(page, "participant")) == 2
    search(page, "no such name")
    assert column(page, "participant") == []


def test_a_name_that_looks_like_markup_is_text(page):
    assert page.execute_script("return document.images.length") == 0
    search(page, "onerror")
    assert column(page, "participant") == [HOSTILE]


def test_the_page_is_complete_without_a_script(browser, address, compared):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(address)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert browser.execute_script("return document.querySelectorAll('.search').length") == 0
    assert len(column(browser, "participant")) == len(compared.results[0].participants) // 3


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_screen_makes_the_page_scroll_sideways(page, width):
    screen(page, width, 844, mobile=width < 768)
    found = page.execute_script(
        "const wide = e => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.scroll');"
        "return [document.documentElement.scrollWidth, [...document.body.querySelectorAll('*')]"
        ".filter(wide).map(e => e.tagName + '.' + e.className)]"
    )
    assert found == [width, []]


def test_the_page_is_dark_where_the_reader_wants_that(page):
    light = background(page)
    emulate(page, scheme="dark")
    assert background(page) != light
    colour = "return getComputedStyle(document.querySelector('.chart text')).fill"
    assert page.execute_script(colour) == page.execute_script("return getComputedStyle(document.body).color")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_accessibility_asks_for(page, scheme):
    """WCAG 2.2, success criterion 1.4.3: at least 4.5 to 1."""
    emulate(page, scheme=scheme)
    ratios = page.execute_script(
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
        const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        return [...document.querySelectorAll("body *")]
          .filter(e => own(e) && !e.closest("svg, script"))
          .map(e => {
            const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          });
        """
    )
    assert len(ratios) > 100
    assert min(ratios) >= 4.5


def test_every_chart_has_a_name_and_a_description(page):
    charts = page.execute_script(
        "return [...document.querySelectorAll('svg')].map(s => [s.getAttribute('role'),"
        "...s.getAttribute('aria-labelledby').split(' ').map(id => document.getElementById(id).textContent)])"
    )
    assert len(charts) == 1 + 5 + 5 + 3
    assert all(role == "img" and title and description for role, title, description in charts)


def test_paper_is_white_and_shows_whole_tables_and_charts(page):
    emulate(page, scheme="dark", media="print")
    assert background(page) == "rgb(255, 255, 255)"
    styles = page.execute_script(
        "const style = q => getComputedStyle(document.querySelector(q));"
        "return [style('.scroll').overflowX, style('figure').breakInside, style('.search').display]"
    )
    assert styles == ["visible", "avoid", "none"]
    document = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert document.startswith(b"%PDF")
    assert 4 <= document.count(b"/Type /Page\n") <= 20
