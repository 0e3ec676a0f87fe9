"""Pages of the reports and of the site have no serious fault in the rules of axe-core."""

import pytest

from .conftest import PAGES

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python, of 'test'")

SITE = ("index.html", "first-ranking.html", "results/index.html", "reference/glossary.html")


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


@pytest.mark.parametrize(("name", "scheme"), [*((name, "light") for name in SITE), ("index.html", "dark")])
def test_site(opened, site, name, scheme):
    """Oracle: axe-core, on the main pages of the documentation; at 400 pixels nothing is cut off."""
    with opened(f"{site}/{name}", scheme=scheme) as page:
        assert faults(page) == []
        page.set_viewport_size({"width": 400, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
