"""The report of a search: figures and page from the content of ``search.json``."""

import json
import re

import pytest

import zcbench
from zcbench.reports.charts import library
from zcbench.reports.search.figures import best_of, best_so_far, cell_graph, cost_of, pareto, population_over_time
from zcbench.reports.search.page import search_page, write_search_report

ARCHS = zcbench.spaces.get("nasbench201").subset()[:4]


def row(place: int, value: float | None) -> dict:
    costs = {"params": 1000 * (place + 1), "macs": 10**7 * (place + 1), "depth": 20}
    broken = {} if value is not None else {"status": "nan", "reason": "<script>alert(1)</script>"}
    return {"arch": ARCHS[place], "value": value, "scores": {"synflow": value}, "costs": costs, **broken}


def made_up() -> dict:
    """Four architectures, one of them failed; the second is the pick and the cheapest is on the front."""
    history = [row(0, 1.0), row(1, 5.0), row(2, None), row(3, 4.0)]
    spread = {"mean": 91.0, "sd": 1.0, "low": 90.0, "high": 92.0, "n": 2}
    judged = {
        "protocol": {"name": "nasbench201/cifar10/test@200"},
        "remarks": ["Accuracies of others."],
        "accuracies": {"known": 15625, "within the budget": 15000, "best": 94.0, "best architecture": ARCHS[0]},
        "accuracy": spread,
        "regret": spread,
        "by_evaluations": [{"evaluations": 2, **spread}, {"evaluations": 4, **spread}],
        "baselines": {
            "largest by params": {
                "arch": ARCHS[3],
                "equally large": 2,
                "params": 4000,
                "accuracy": 90.0,
                "regret": 4.0,
            },
            "random search, same objective": {"accuracy": spread, "by_evaluations": [{"evaluations": 4, **spread}]},
            "random search that trains": [{"trainings": 10, "training_seconds": 12345.6, **spread}],
        },
    }
    return {
        "best": {"space": "nasbench201(channels=16,cells=5)", **history[1], "evaluation": 2, "seed": 0},
        "request": {
            "space": "nasbench201(channels=16,cells=5)",
            "objective": {"formula": "synflow", "members": ["synflow"], "ranks": "none"},
            "algorithm": "evolution",
            "minimised": [],
            "limits": {},
        },
        "best_so_far": [{"evaluations": 2, **spread}, {"evaluations": 4, **spread}],
        "stopped": "4 evaluations are done",
        "remarks": ["Without effect: --tournament (the algorithm is random)."],
        "proposals": 5,
        "statuses": {"ok": 3, "nan": 1},
        "repeats": [{"seed": 0, "arch": ARCHS[1], "value": 5.0, "costs": {}, "evaluations": 4, "failed": 1}] * 2,
        "truths": {"nasbench201/cifar10": judged},
        "history": history,
        "times": {"by_seconds": {"nasbench201/cifar10": [{"seconds": 0.5, **spread}, {"seconds": 70.0, **spread}]}},
        "population": [{"evaluations": 2, "members": [0, 1]}, {"evaluations": 4, "members": [1, 2, 3]}],
    }


@pytest.fixture
def content() -> dict:
    return made_up()


def test_the_chart_has_every_architecture_that_got_a_value(content):
    """Closed form: three points, each with its architecture in full; the pick and the front are marked."""
    data = json.loads(re.search(r'id="content">(.*?)</script>', search_page(content))[1])
    rows = data["charts"]["points"]["data"]["values"]
    assert {row["text"]: row["kind"] for row in rows} == {ARCHS[0]: "front", ARCHS[1]: "selected", ARCHS[3]: "other"}


def test_every_text_is_escaped(content):
    """Closed form: a reason with markup stands in the page as text; the page has one script of its own."""
    page = search_page(content)
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert len(re.findall(r"<script[ >]", page.replace(library(), ""))) == 3
    assert "connect-src" not in page and "http" not in re.sub(r"http-equiv", "", page.replace(library(), ""))


def test_the_table_has_picks_and_baselines(content):
    """Closed form: figures as they were given, seconds of the trainings, a regret against the best."""
    page = search_page(content)
    for text in ("90.00 to 92.00", "12,346", "random search that trains: 10", "largest by params", "3.00"):
        assert text in page
    for remark in ("Accuracies of others.", "Without effect: --tournament (the algorithm is random)."):
        assert f"<p>{remark}</p>" in page


def test_accuracy_by_seconds_has_a_panel(content):
    """By construction: objective and accuracy by evaluations, and accuracy by the seconds that were given."""
    axes = best_so_far(content)
    assert [axis.get_xlabel() for axis in axes] == [*["architectures evaluated"] * 2, "seconds of scoring"]
    assert axes[2].lines[0].get_xydata().tolist() == [[0.5, 91.0], [70.0, 91.0]]


@pytest.mark.parametrize(
    ("failed", "said", "not_said"),
    [
        ((1, 0), "Without a value: 1 of the 4 architectures evaluated with seed 0.", "Every architecture"),
        ((1, 2), "Without a value: 1 of the 4 architectures evaluated with seed 0, 2 of 4 with seed 1.", "Every"),
        ((0, 2), "Without a value: 0 of the 4 architectures evaluated with seed 0, 2 of 4 with seed 1.", "Every"),
        ((0, 0), "Every architecture that was evaluated got a value, with every seed.", "Without a value"),
    ],
)
def test_what_got_no_value_is_counted_over_all_seeds(content, failed, said, not_said):
    """By construction: only where no seed has a failure does the page say that all got a value."""
    if not failed[0]:
        content["history"][2] = row(2, 2.0)
    first = content["repeats"][0]
    content["repeats"] = [{**first, "seed": seed, "failed": number} for seed, number in enumerate(failed)]
    page = " ".join(search_page(content).split())
    assert said in page and not_said not in page


def test_no_value_without_a_status_is_no_value(content):
    """By construction: an architecture whose scores are fine and whose cost is unknown has no objective either."""
    content["history"][2] = {**row(2, None)}
    del content["history"][2]["status"], content["history"][2]["reason"]
    assert "Every architecture that was evaluated got a value" not in search_page(content)


def test_the_same_content_gives_the_same_bytes(content, tmp_path):
    """Invariance: also after a round trip through JSON."""
    for name, given in (("one", content), ("two", json.loads(json.dumps(content)))):
        write_search_report(given, tmp_path / name, formats=("png", "svg"))
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 1 + 2 * 4
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize(
    ("arch", "arrows"),
    [
        ("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 6),
        ("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|avg_pool_3x3~2|", 2),
    ],
)
def test_the_cell_has_an_arrow_for_every_operation(arch, arrows):
    """Closed form: none is no arrow."""
    axis = cell_graph(zcbench.spaces.get("nasbench201"), arch)
    assert len(axis.patches) == arrows


def test_figures_draw_what_they_are_given(content):
    """Closed form: a panel for the objective and one per truth; the points of the front; the population's median."""
    assert len(best_so_far(content)) == 3
    front = pareto(content, "params").lines[1]
    assert front.get_xydata().tolist() == [[1000.0, 1.0], [2000.0, 5.0]]
    median = population_over_time(content).lines[1]
    assert median.get_xydata().tolist() == [[2.0, 3.0], [4.0, 4.5]]


def test_the_cost_of_the_plot(content):
    """Closed form: what was minimised, else what was limited, else the parameters."""
    assert cost_of(content) == "params"
    content["request"]["limits"] = {"macs": 1.0}
    assert cost_of(content) == "macs"
    content["request"]["minimised"] = ["latency"]
    assert cost_of(content) == "latency"
    assert best_of([(1, 1), (1, 2), (2, 2), (3, 5)]) == [(1, 2), (3, 5)]


def test_choices_of_other_spaces_are_named(content):
    """Closed form: a product space has a table of its choices, and no cell."""
    content["best"] |= {"space": "s0", "arch": "557"}
    page = search_page(content)
    assert "stage 3" in page and "<td>7</td>" in page
