"""Debian's Chromium without a window, and what it asked the network for."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

requires_chromium = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="Debian's chromium and chromium-driver are not installed: the page is not looked at in a browser",
)


@contextmanager
def chromium():
    """A driver that keeps the logs of the console and of the network."""
    from selenium import webdriver  # noqa: PLC0415
    from selenium.webdriver.chrome.service import Service  # noqa: PLC0415

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def requested(driver):
    """Addresses asked for since the log was last read."""
    sent = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]


def loaded(browser, address):
    """The page, freshly loaded on a desktop's screen; nothing of an earlier test is left in the logs."""
    screen(browser, 1280, 900)
    emulate(browser, scheme="light")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(address)
    return browser


def screen(browser, width, height, *, mobile=False):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def emulate(browser, *, scheme, media=""):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def background(browser):
    return browser.execute_script("return getComputedStyle(document.body).backgroundColor")
