"""The pages in Chromium: every control, the address, dark mode, narrow windows, paper. The oracle is what is seen."""

import re

import pytest

from .conftest import PAGES, playwright

expect = playwright.expect

ROWS = ".ranking:not([hidden]) tbody tr:not([hidden])"


def names(page) -> list[str]:
    return [text.split(" = ")[0].strip() for text in page.locator(f"{ROWS} th").all_inner_texts()]


@pytest.mark.parametrize("name", PAGES)
def test_pages_open_without_a_word_on_the_console(opened, pages, name):
    """The first chart lies within 900 pixels; each chart has a drawing and a text with a number."""
    with opened(pages[name]) as page:
        assert page.locator(".plot").first.bounding_box()["y"] < 900
        for text in page.locator(".plot").evaluate_all("all => all.map((one) => one.parentElement.ariaLabel)"):
            assert re.search(r"\d", text)


@pytest.mark.parametrize("name", PAGES)
def test_narrow_windows_need_no_scrolling_sideways(opened, pages, name):
    """At 400 pixels, in dark mode, nothing but the inside of a table is wider than the window."""
    with opened(pages[name], width=400, scheme="dark") as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        ground, ink = page.evaluate("""() => {
            const parts = (colour) => colour.match(/\\d+/g).slice(0, 3).map(Number);
            const light = (colour) => parts(colour).reduce((sum, part) => sum + part, 0) / 765;
            const text = document.querySelector(".plot svg text");
            return [light(getComputedStyle(document.body).backgroundColor), light(getComputedStyle(text).fill)];
        }""")
        assert ground < 0.2 and ink > 0.6


def test_the_table_sorts_searches_and_filters(opened, pages):
    """Fifteen rows at first, all on demand; a heading sorts both ways; undefined values are last."""
    with opened(pages["run"]) as page:
        first = names(page)
        assert len(first) == 15
        page.locator("[name=all]").check()
        every = names(page)
        assert len(every) > 20 and every[:15] == first and every[-1] == "broken"
        page.locator(".ranking:not([hidden]) th[data-key=seconds] button").click()
        cells = page.locator(f"{ROWS} td:nth-child({column(page, 'seconds')})").all_inner_texts()
        costs = [float(text.replace(",", "")) for text in cells if text != "–"]
        assert costs == sorted(costs, reverse=True) and "–" not in cells[: len(costs)]
        page.locator(".ranking:not([hidden]) th[data-key=seconds] button").press("Enter")
        assert page.locator("th[aria-sort=ascending]:visible").inner_text().startswith("ms")
        page.locator("[name=q]").fill("PROXY_1")
        assert set(names(page)) == {f"proxy_1{i}" for i in range(10)}
        page.locator("[name=q]").fill("")
        page.locator("[name=kind][value=proxy]").uncheck()
        assert {row.split()[0] for row in names(page)} <= {"params", "macs", "n_convs", "rank_sum"}


def column(page, key: str) -> int:
    return page.locator(f".ranking:not([hidden]) th[data-key={key}]").evaluate("one => one.cellIndex + 1")


def test_columns_are_chosen(opened, pages):
    """A column of the chooser comes and goes."""
    with opened(pages["run"]) as page:
        head = page.locator(".ranking:not([hidden]) th[data-key=ndcg]")
        assert not head.is_visible()
        page.get_by_text("Columns", exact=True).click()
        page.locator("[name=column][value=ndcg]").check()
        assert head.is_visible()


def test_the_address_has_the_state(opened, pages):
    """A changed page and a second one opened at its address show the same; links of the page keep the state."""
    with opened(pages["run"]) as page:
        page.locator("[name=truth]").select_option(index=1)
        page.locator("[name=subset]").select_option("live")
        page.locator("[name=q]").fill("proxy")
        page.locator(".ranking:not([hidden]) th[data-key=regret] button").click()
        page.locator("[name=x]").select_option("proxy_07")
        page.get_by_role("link", name="Map").click()
        address, seen = page.url, names(page)
        lead = page.locator(".lead:visible").inner_text()
    assert "subset=live" in address and "x=proxy_07" in address
    with opened(address) as page:
        assert names(page) == seen
        assert page.locator(".lead:visible").inner_text() == lead and "live" in lead
        assert "proxy_07" in page.locator("[data-chart=scatter]").evaluate("one => one.parentElement.ariaLabel")


def test_the_scatter_answers(opened, pages):
    """Choice, hover, and a rectangle in one chart that marks the same architectures in the other."""
    with opened(pages["run"]) as page:
        chart, other = page.locator("[data-chart=scatter]"), page.locator("[data-chart=scatter-2]")
        page.locator("[name=x]").select_option("params")
        expect(chart).to_contain_text("score of params")
        chart.scroll_into_view_if_needed()
        page.wait_for_timeout(200)
        chart.locator("svg .mark-symbol path").nth(3).hover(force=True)
        page.wait_for_selector("#vg-tooltip-element.visible")
        told = page.locator("#vg-tooltip-element").inner_text()
        assert "architecture" in told and "nor_conv_3x3" in told and "accuracy" in told
        box = chart.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + 200, steps=4)
        page.mouse.up()
        expect(page.locator("#picked")).to_contain_text("Selected")
        count = int(re.search(r"Selected: (\d+)", page.locator("#picked").inner_text())[1])
        page.wait_for_timeout(300)
        bright = other.locator("svg .mark-symbol path").evaluate_all(
            "all => all.filter((one) => Number(one.getAttribute('opacity')) > 0.5).length"
        )
        assert 0 < count < 80 and bright == count


def test_the_paper_has_few_pages(opened, pages):
    """At most eight pages A4, with the protocol."""
    with opened(pages["run"]) as page:
        printed = page.pdf(prefer_css_page_size=True)
        assert page.locator("details.protocol").get_attribute("open") is not None
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 8


def test_a_leaderboard_chooses_statistics_sorts_and_searches(opened, pages):
    """The table of the chosen statistic, ordered by a column; the address has the state, and gives it back."""
    with opened(pages["leaderboard"]) as page:
        assert names(page) == ["always<b>", "params", "macs", "few", "once"]
        page.locator("[name=statistic]").select_option("difference")
        page.locator(".ranking:not([hidden]) th[data-key='a/two'] button").click()
        assert names(page) == ["always<b>", "params", "macs", "once", "few"]
        page.locator("[name=kind][value=baseline]").uncheck()
        page.locator("[name=q]").fill("ON")
        assert names(page) == ["once"]
        address = page.url
    with opened(address) as page:
        assert (names(page), page.locator("[name=statistic]").input_value()) == (["once"], "difference")
