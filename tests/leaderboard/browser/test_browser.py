"""What a reader does with a report: sort, filter, leave out, compare, share, in the dark, by keyboard, on a phone."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from scipy import stats
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

PANEL = ".tabs[data-group='{}']>input:checked~.panel:nth-of-type(3) "
MAIN, MATRIX = PANEL.format("main") + "table.main", PANEL.format("matrix") + "table.matrix"


def cells(browser, table, column):
    """Texts of one column of the rows that are shown."""
    found = browser.execute_script(
        """const table = document.querySelector(arguments[0]);
        const place = Array.from(table.tHead.rows[0].cells).findIndex(c => c.dataset.key === arguments[1]
                                                                         || c.textContent.trim() === arguments[1]);
        return Array.from(table.tBodies[0].rows).filter(r => !r.hidden).map(r => r.cells[place].innerText.trim())""",
        table,
        column,
    )
    return [text.split("\n")[0] for text in found]


def named(browser, table):
    return [text.split(" ")[0] for text in cells(browser, table, "method")]


def head(browser, key):
    return browser.find_element(By.CSS_SELECTOR, f"{MAIN} th[data-key='{key}'] button")


def press(browser, element):
    """Click what may lie below the fold."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def tick(browser, table, title, name):
    """Open the box ``title`` above a table and click what is called ``name``."""
    box = browser.execute_script(
        """return Array.from(document.querySelector(arguments[0]).closest('.panel').querySelectorAll('details.choose'))
        .find(d => d.querySelector('summary').textContent.startsWith(arguments[1]))""",
        table,
        title,
    )
    browser.execute_script("arguments[0].open = true", box)
    for label in box.find_elements(By.CSS_SELECTOR, "label"):
        if label.text.strip() == name:
            press(browser, label.find_element(By.CSS_SELECTOR, "input"))
            browser.execute_script("arguments[0].open = false", box)
            return
    raise AssertionError(f"{name} is not among {box.text}")


def test_it_asks_nothing_of_anyone(browser):
    asked = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in asked if one["method"] == "Network.requestWillBeSent"]
    assert urls
    foreign = [url for url in urls if not url.startswith(("file:", "data:", "about:", "chrome:"))]
    assert not foreign


def test_the_answer_is_on_the_first_screen_of_a_phone(browser):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 400, "height": 720, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        strip = browser.find_element(By.CSS_SELECTOR, ".answer .strip")
        assert browser.execute_script("return arguments[0].getBoundingClientRect().bottom", strip) < 720
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 400, "the page is wider than a phone"
        small = browser.execute_script(
            """const texts = document.querySelectorAll('.strip text, .figure text');
            return Array.from(texts).filter(t => t.checkVisibility())
               .map(t => [Math.hypot(t.getScreenCTM().a, t.getScreenCTM().b) * parseFloat(getComputedStyle(t).fontSize),
                          t.textContent])"""
        )
        assert small
        assert min(small)[0] >= 8.95, f"chart text below 9 px: {min(small)}"
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_sorting_by_a_click_and_by_the_keyboard(browser):
    first = named(browser, MAIN)
    press(browser, head(browser, "trainable_parameters"))
    sizes = browser.execute_script(
        """return Array.from(document.querySelectorAll(arguments[0] + ' tbody tr:not(.holes):not(.apart)'))
        .map(r => Number(r.querySelector('.c-trainable_parameters').dataset.sort))""",
        MAIN,
    )
    assert sizes == sorted(sizes, reverse=True)
    head(browser, "trainable_parameters").send_keys(Keys.ENTER)
    head(browser, "trainable_parameters").send_keys(Keys.ENTER)
    assert named(browser, MAIN) == first, "a third press gives the first order back"


def test_filtering_rows_by_words_and_by_an_axis(browser):
    box = browser.find_element(By.CSS_SELECTOR, PANEL.format("main") + ".tools input[type=search]")
    box.send_keys("adapter")
    assert set(named(browser, MAIN)) == {"clip_adapter", "tip_adapter_f"}
    assert "find=adapter" in browser.current_url


def test_leaving_datasets_out_computes_means_and_ranks_again(browser):
    before = json.loads(browser.execute_script(READ_MATRIX, MATRIX))
    tick(browser, MATRIX, "Datasets", "digits")
    tick(browser, MATRIX, "Datasets", "flags")
    found = json.loads(browser.execute_script(READ_MATRIX, MATRIX))
    assert "leave=digits%2Cflags" in browser.current_url
    ranked = [row for row in found["rows"] if row["ranked"]]
    values = np.array([[float(row["cells"][name]) for name in before["names"] if name not in {"digits", "flags"}]
                       for row in ranked])  # fmt: skip
    assert [row["mean"] for row in ranked] == [f"{100 * value:.1f}" for value in values.mean(axis=1)]
    ranks = stats.rankdata(-values, axis=0).mean(axis=1)
    assert [float(row["rank"]) for row in ranked] == pytest.approx(list(ranks), abs=0.005)
    assert {row["rank"] for row in found["rows"] if not row["ranked"]} <= {"–"}
    assert found["hidden"] == ["digits", "flags"]


READ_MATRIX = """
const table = document.querySelector(arguments[0]);
const heads = Array.from(table.tHead.rows[0].cells);
const own = heads.map((c, k) => [c.dataset.dataset, k]).filter(p => p[0]);
return JSON.stringify({names: own.map(p => p[0]), hidden: heads.filter(c => c.hidden).map(c => c.dataset.dataset),
  rows: Array.from(table.tBodies[0].rows).map(r => ({label: r.cells[0].dataset.sort, ranked: 'ranked' in r.dataset,
    mean: r.cells[1].textContent, rank: r.cells[2].textContent,
    cells: Object.fromEntries(own.map(p => [p[0], r.cells[p[1]].dataset.sort]))}))})"""


def test_columns_are_chosen_and_remembered(browser):
    assert "p (Holm)" not in browser.find_element(By.CSS_SELECTOR, MAIN + " thead").text
    tick(browser, MAIN, "Columns", "p (Holm)")
    tick(browser, MAIN, "Columns", "Parameters")
    shown = browser.find_element(By.CSS_SELECTOR, MAIN + " thead").text
    assert "p\n(Holm)" in shown or "p (Holm)" in shown
    assert "Parameters" not in shown
    browser.refresh()
    assert "Parameters" not in browser.find_element(By.CSS_SELECTOR, MAIN + " thead").text


def test_two_methods_side_by_side(browser):
    box = browser.find_element(By.CSS_SELECTOR, PANEL.format("matrix") + "details.side")
    browser.execute_script("arguments[0].open = true", box)
    first, second = (Select(one) for one in box.find_elements(By.CSS_SELECTOR, "select"))
    first.select_by_visible_text("coop")
    second.select_by_visible_text("zero_shot")
    rows = [row.text for row in box.find_elements(By.CSS_SELECTOR, "tbody tr")]
    assert len(rows) == 8
    matrix = json.loads(browser.execute_script(READ_MATRIX, MATRIX))
    cells = {row["label"]: row["cells"] for row in matrix["rows"]}
    gaps = [float(cells["coop"][name]) - float(cells["zero_shot"][name]) for name in matrix["names"]]
    told = box.find_element(By.CSS_SELECTOR, ".note").text
    won = sum(gap > 0.0005 for gap in gaps)
    lost = sum(gap < -0.0005 for gap in gaps)
    assert f"wins {won}, ties {len(gaps) - won - lost}, loses {lost}" in told
    assert f"{100 * np.mean(gaps):+.1f}".replace("-", "−") in told
    assert "a=coop" in browser.current_url


def test_what_is_chosen_stands_in_the_address_and_comes_back_from_it(browser, page):
    wanted = (
        "#datasets~a=coop&b=maple&hide=coverage&leave=digits&side=1&sort=train_seconds.ascending&tab=2&find=adapter"
    )
    browser.get("about:blank")
    browser.get(page.as_uri() + wanted)
    panel = ".tabs[data-group='{}']>input:checked~.panel:nth-of-type(2) "
    assert browser.find_element(By.ID, "main-2").is_selected()
    assert set(named(browser, panel.format("main") + "table.main")) == {"clip_adapter", "tip_adapter_f"}
    sorted_by = browser.find_element(By.CSS_SELECTOR, panel.format("main") + "table.main th[aria-sort]")
    assert (sorted_by.get_attribute("data-key"), sorted_by.get_attribute("aria-sort")) == ("train_seconds", "ascending")
    side = browser.find_element(By.CSS_SELECTOR, panel.format("matrix") + "details.side")
    assert side.get_attribute("open")
    press(browser, browser.find_element(By.CSS_SELECTOR, "nav a[href='#ranks']"))
    assert re.search(r"#ranks~.*tab=2", browser.current_url), "a link to a section keeps what is chosen"


def test_a_dataset_opens(browser):
    box = browser.find_element(By.CSS_SELECTOR, "#inside details.inside")
    box.find_element(By.CSS_SELECTOR, "summary").send_keys(Keys.ENTER)
    told = box.text
    assert "By class" in told
    assert "Calibration" in told
    assert "a sentence of the data" in told
    assert len(box.find_elements(By.CSS_SELECTOR, "table.classes tbody tr")) == 4


def test_dark(browser):
    def colours():
        return browser.execute_script("const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]")

    light = colours()
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    dark = colours()
    assert brightness(light[0]) > brightness(light[1])
    assert brightness(dark[0]) < brightness(dark[1])


def brightness(colour):
    return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3])


def test_with_scripts_off_everything_is_there(driver, page):
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get("about:blank")
        driver.get(page.as_uri())
        tables = driver.find_elements(By.CSS_SELECTOR, "table.main")
        shown = [table for table in tables if table.is_displayed()]
        assert len(shown) == 1
        assert len(shown[0].find_elements(By.CSS_SELECTOR, "tbody tr")) == 9
        assert not driver.find_elements(By.CSS_SELECTOR, "thead button"), "no button that does nothing"
        driver.find_element(By.CSS_SELECTOR, "label[for=main-1]").click()
        assert [table.is_displayed() for table in tables] == [True, False, False]
        driver.find_element(By.CSS_SELECTOR, "#inside details.inside summary").click()
        assert "By class" in driver.find_element(By.CSS_SELECTOR, "#inside details.inside").text
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_name_of_a_method_opens_its_card_by_click_and_by_keyboard(browser):
    card = browser.find_element(By.ID, "card-coop")
    assert not card.is_displayed()
    links = browser.find_elements(By.CSS_SELECTOR, ".panel table.main a.to-card")
    link = next(one for one in links if one.is_displayed())
    browser.execute_script("arguments[0].focus()", link)
    link.send_keys(Keys.ENTER)
    assert card.is_displayed()
    assert "M context vectors" in card.text
    assert "learned in fp16 (here: fp32)" in card.text
    assert browser.execute_script("return arguments[0].getBoundingClientRect().top < innerHeight", card)
    browser.set_window_size(400, 800)
    assert browser.execute_script("return arguments[0].scrollWidth <= arguments[0].clientWidth + 1", card)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth + 1")


def test_a_card_opens_with_scripts_off(driver, page):
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get("about:blank")
        driver.get(page.as_uri() + "#card-coop")
        assert driver.find_element(By.ID, "card-coop").is_displayed(), "a link into a closed element opens it"
        driver.get("about:blank")
        driver.get(page.as_uri())
        card = driver.find_element(By.ID, "card-coop")
        assert not card.is_displayed()
        driver.find_element(By.CSS_SELECTOR, "details.card > summary").click()
        assert card.is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
