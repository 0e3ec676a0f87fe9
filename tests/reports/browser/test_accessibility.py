"""Pages of the reports and of the site have no serious fault in the rules of axe-core."""

import pytest

from .conftest import PAGES

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python, of 'test'")

SITE = ("index.html", "first-ranking.html", "proxies/index.html", "results/index.html", "reference/glossary.html")


def faults(page) -> list[str]:
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_reports(opened, pages, name, scheme):
    """Oracle: axe-core, with everything unfolded."""
    with opened(pages[name], scheme=scheme) as page:
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        assert faults(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_site(browser, site, scheme):
    """Oracle: axe-core, on the main pages of the documentation."""
    context = browser.new_context(color_scheme=scheme)
    page, found = context.new_page(), {}
    for name in SITE:
        page.goto((site / name).as_uri())
        found[name] = faults(page)
    context.close()
    assert found == dict.fromkeys(SITE, [])
