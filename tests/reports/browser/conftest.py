"""A browser, and one page of each kind, written from made-up content."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from zcbench.kdzero.report import write_distiller_report
from zcbench.reports import write_report
from zcbench.reports.leaderboard.page import write_leaderboard
from zcbench.reports.search.page import write_search_report
from zcbench.reports.training.page import write_training_report

from ...kdzero import test_distiller_report as distiller
from ..leaderboard import test_leaderboard_page as leaderboard
from ..search import test_search_report as search

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright, of the extra 'test'")

PAGES = ("run", "search", "training", "distiller", "leaderboard")

HISTORY = [
    {"epoch": i, "step": 10 * i, "lr": 0.1, "loss": 3 / i, "ce": 2 / i, "kd": 1 / i, "seconds": 1.5}
    | {"train_accuracy": 90 - 50 / i, "test_accuracy": 88 - 50 / i, "test_loss": 2.2 / i}
    for i in range(1, 11)
]
RESULT = {
    "student": {"arch": "resnet8", "space": "resnets", "seed": 0},
    "scenario": "teacher",
    "teachers": ["resnet20"],
    "teacher_details": [{"name": "resnet20", "test_accuracy": 91.2}],
    "test_accuracy": 83.0,
    "test_loss": 0.22,
    "baseline": {"test_accuracy": 81.0, "test_loss": 0.3},
    "recipe": {"epochs": 10, "lr": 0.1},
}


@pytest.fixture(scope="session")
def pages(make_ranking, tmp_path_factory) -> dict[str, str]:
    """Address of one page of each kind."""
    home = tmp_path_factory.mktemp("pages")
    ranking = make_ranking(n=80, names=[f"proxy_{i:02}" for i in range(20)])
    written = {
        "leaderboard": write_leaderboard(leaderboard.made_up(home / "board").path, home / "leaderboard"),
        "run": write_report(ranking, home / "run"),
        "search": write_search_report(search.made_up(), home / "search"),
        "training": write_training_report(RESULT, HISTORY, home / "training", alone=HISTORY[:5]),
        "distiller": write_distiller_report(distiller.content(), distiller.CURVES, home / "distiller"),
    }
    return {name: page.as_uri() for name, page in written.items()}


@pytest.fixture(scope="session")
def browser() -> Iterator["playwright.Browser"]:
    """Chromium of the system."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def opened(browser) -> Callable[..., object]:
    """Opens an address; the block fails if the console has a warning or an error, or if anything is loaded."""

    @contextmanager
    def opened(address: str, width: int = 1400, scheme: str = "light", **more: object) -> Iterator["playwright.Page"]:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
        page, told, loaded = context.new_page(), [], []
        page.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: loaded.append(request.url))
        page.goto(address)
        playwright.expect(page.locator(".plot svg")).to_have_count(page.locator(".plot").count(), timeout=20_000)
        yield page
        context.close()
        assert told == []
        assert [url for url in loaded if not url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:"))] == []

    return opened


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Address of the documentation site, on a server of this process: the search of the theme needs one."""
    folder = Path(__file__).parents[3] / "build" / "site"
    if not (folder / "index.html").is_file():
        pytest.skip("needs the documentation site: make docs")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""
