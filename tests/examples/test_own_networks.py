"""The example of networks of one's own: as a mapping for the command line, and in a notebook."""

import ast
from pathlib import Path

import pandas as pd

import zcbench

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_networks.py"

NOTEBOOK = """
import zcbench
networks = zcbench.spaces.get("{example}:NETWORKS")
accuracies = "accuracies.csv"
batch = zcbench.datasets.batch(zcbench.datasets.load("digits"), 16)
ranking = zcbench.rank_networks(networks, accuracies, batch, "naswot,synflow,snip")
ranking
ranking.to_frame()
page = ranking.report("page")
"""


def test_sixteen_networks_in_a_clean_notebook(tmp_path, monkeypatch) -> None:
    """By construction: fewer than 15 lines with imports, from networks to the page."""
    networks = zcbench.spaces.get(f"{EXAMPLE}:NETWORKS")
    sizes = networks.costs(networks, image_shape=(3, 8, 8))
    pd.DataFrame({"arch": sizes["arch"], "accuracy": sizes["macs"] / 1e4}).to_csv(
        tmp_path / "accuracies.csv", index=False
    )
    monkeypatch.chdir(tmp_path)
    text, names = NOTEBOOK.format(example=EXAMPLE), dict[str, object]()
    exec(compile(text, "notebook", "exec"), names)
    assert len(ast.parse(text).body) < 15 and len(networks) == 16
    ranking = names["ranking"]
    assert isinstance(ranking, zcbench.benchmarks.Ranking) and ranking.to_frame(wide=True).loc["macs", "tau"] == 1
    assert (tmp_path / "page" / "index.html").is_file() and names["page"] == Path("page/index.html")
