"""Opens HTML reports in headless Chromium; called by acceptance/browser."""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTHS = (1280, 390)

# Elements that reach beyond the window and are in no container that scrolls.
TOO_WIDE = """() => [...document.querySelectorAll('body *')]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
    .filter(element => {
        for (let node = element; node; node = node.parentElement)
            if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(node).overflowX)) return false;
        return true;
    })
    .map(element => element.tagName + ': ' + element.textContent.trim().slice(0, 60))"""

COLUMN = "table => [...table.tBodies[0].rows].map(row => row.cells[%d].textContent)"


def unsorted_tables(page):
    """Returns the tables of more than one row whose order does not change by clicks on a heading."""
    found = []
    for table in page.query_selector_all("table:has(thead)"):
        headings = table.query_selector_all("thead th")
        rows = table.query_selector_all("tbody tr")
        if len(rows) < 2 or not headings:
            continue
        index = len(headings) - 1
        orders = []
        for _ in range(2):
            button = headings[index].query_selector("button") or headings[index]
            button.click()
            orders.append(table.evaluate(COLUMN % index))
        if orders[0] == orders[1] and len(set(orders[0])) > 1:
            found.append(headings[index].text_content())
    return found


def problems(browser, report, folder):
    """Yields a line for each problem of a report."""
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            errors = []
            page.on("console", lambda message: message.type == "error" and errors.append(message.text))
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(report.as_uri())
            page.screenshot(path=folder / f"{report.parent.name}-{width}-{scheme}.png", full_page=True)
            yield from (f"{width} px, {scheme}: error: {error}" for error in errors)
            yield from (f"{width} px: wider than the window: {wide}" for wide in page.evaluate(TOO_WIDE))
            if scheme == "light":
                yield from (f"{width} px: does not sort: {heading}" for heading in unsorted_tables(page))
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            if scheme == "dark" and background in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"):
                yield f"{width} px: no dark mode: {background}"
            page.close()
    page = browser.new_page()
    page.goto(report.as_uri())
    page.pdf(path=folder / f"{report.parent.name}.pdf", format="A4")


def main():
    chromium, folder, *reports = sys.argv[1:]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    failed = False
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for report in map(Path, reports):
            found = list(problems(browser, report.resolve(), folder))
            failed |= bool(found)
            print(f"{report}: {len(found)} problems")
            for problem in found:
                print(f"  {problem}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
