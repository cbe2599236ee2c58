"""A headless Chromium, where one is installed with its driver, and what axe-core finds against accessibility in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "headless=new no-sandbox disable-gpu disable-background-networking disable-component-update disable-sync "
    # A mouse that hovers, which a headless browser lacks: the theme makes blocks of code that scroll reachable by
    # keyboard where there is one.
    "blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4"
)
PATIENCE = 3600
"""Seconds that a busy machine may take."""

AXE = """
const [part, done] = arguments;
axe.run(part, { resultTypes: ["violations"] }).then(
  ({ violations }) => done(violations.flatMap(({ id, nodes }) => nodes.map(
    (node) => `${id}: ${node.target.join(" ")}: ${[...node.any, ...node.all, ...node.none].map((c) => c.message)}`))),
  (error) => done([String(error)]));
"""


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A browser that keeps its profile in a folder; the test is skipped where none is installed."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium with its driver is installed (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS.split(), f"user-data-dir={profile}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.command_executor.client_config.timeout = PATIENCE
    browser.set_page_load_timeout(PATIENCE)
    browser.set_script_timeout(PATIENCE)
    try:
        yield browser
    finally:
        browser.quit()


def emulate(browser: Any, width: int, scheme: str = "light") -> None:
    """A screen of a width in pixels, and the system's colour scheme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": features})


def violations(browser: Any, part: str = "html") -> list[str]:
    """What axe-core finds in the first element that a selector names: rule, element and reason.

    The script is that of the package axe-playwright-python, which is installed without Playwright; the test is skipped
    where it is missing.
    """
    try:
        script = distribution("axe-playwright-python").locate_file("axe_playwright_python/axe.min.js")
    except PackageNotFoundError:
        pytest.skip("axe-core is not installed: pip install --no-deps axe-playwright-python")
    browser.execute_script(Path(str(script)).read_text(encoding="utf-8"))
    return browser.execute_async_script(AXE, part)
