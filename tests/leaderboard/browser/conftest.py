"""A report in headless Chromium, with the network off. Skipped where Chromium and its driver are not installed."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from tests.leaderboard.answering import answers_of

from promptgrid.contract.track import Thumbnail
from promptgrid.leaderboard import write_report

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
WORDS = Thumbnail(words="a sentence of the data")


@pytest.fixture(scope="session")
def page(make_report, holes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = make_report(decide=holes)
    told = dataclasses.replace(
        report,
        answers=answers_of(report),
        show=lambda dataset, wanted: dict.fromkeys(wanted, WORDS),
        papers={"coop": "Zhou et al., IJCV 2022, arXiv:2109.01134"},
        cards={"coop": {"learns": ["M context vectors"], "traps": ["learned in fp16 (here: fp32)"]}},
    )
    return write_report(told, tmp_path_factory.mktemp("report")).html


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("chromium and chromedriver are not installed (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.add_argument("--force-prefers-reduced-motion")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield found
    found.quit()


@pytest.fixture
def browser(driver: webdriver.Chrome, page: Path) -> Iterator[webdriver.Chrome]:
    """At the report, freshly opened; whatever it did in the test, it wrote no error to the console."""
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    driver.set_window_size(1280, 1000)
    driver.get("about:blank")
    driver.get(page.as_uri())
    yield driver
    errors = [line for line in driver.get_log("browser") if line["level"] in {"SEVERE", "WARNING"}]
    assert not errors, errors
