"""Which architectures a search proposes, and what it says of those that are disconnected."""

import pandas as pd

import zcbench

from .searching import SMALL, SPACE, content


def test_live_cells_are_proposed_unless_others_are_asked_for(zcbench_command, tmp_path):
    """By construction: by default all that is proposed is live; of the whole space the disconnected are counted."""
    space = zcbench.spaces.get("nasbench201")
    live = set(space.subset("live"))
    common = ["search", "--proxies", "params", "--algorithm", "random", "--evaluations", 300, "--no-report"]
    for name, options in (("live", []), ("all", ["--archs", "all"]), ("unique", ["--archs", "unique"])):
        assert zcbench_command(*common, *options, "--out", tmp_path / name).returncode == 0
    archs = {name: [row["arch"] for row in content(tmp_path / name)["history"]] for name in ("live", "all", "unique")}
    assert set(archs["live"]) <= live and not set(archs["all"]) <= live
    assert set(archs["unique"]) <= set(space.subset("unique"))
    assert content(tmp_path / "live")["request"]["architectures"] == "the subset 'live'"
    assert content(tmp_path / "all")["request"]["architectures"] == "all"
    cut = sum(space.depth(arch) == 0 for arch in archs["all"])
    assert cut > 0
    (told,) = content(tmp_path / "all")["remarks"]
    assert told.startswith(
        f"Disconnected: {cut} of the 300 architectures evaluated with seed 0, 0 of the 1 on its front"
    )
    assert "and 0 of the 1 selected." in told
    assert "--archs live" in told


def test_disconnected_picks_are_said(zcbench_command, tmp_path):
    """By construction: with fewest-is-best the picks are cells without a path; none is picked among the live."""
    plugin = tmp_path / "shallow.py"
    plugin.write_text(
        "from zcbench import proxy\n@proxy('shallow', reads='costs', higher_is_better=False)\n"
        "def shallow(signals):\n    return float(signals.costs.depth)\n"
    )
    command = ["search", *SMALL, "--proxies", "shallow", "--plugin", plugin, "--algorithm", "random", "--repeats", 2]
    command += ["--evaluations", 200, "--workers", 0, "--out"]
    result = zcbench_command(*command, tmp_path / "all", "--archs", "all")
    assert result.returncode == 0, result.stderr
    assert (
        "and 2 of the 2 selected" in content(tmp_path / "all")["remarks"][0] and "2 of the 2 selected" in result.stdout
    )
    assert zcbench_command(*command, tmp_path / "live").returncode == 0
    assert not any("selected" in line and "and 0 of" not in line for line in content(tmp_path / "live")["remarks"])


def test_a_space_without_dead_operations_is_searched_whole(zcbench_command, tmp_path):
    """By construction: S0 knows no live subset; all 64 networks are proposed and nothing is said."""
    command = ["search", "--space", "s0", "--proxies", "params", "--algorithm", "random", "--evaluations", 70]
    assert zcbench_command(*command, "--no-report", "--out", tmp_path).returncode == 0
    assert len(content(tmp_path)["history"]) == 64 and content(tmp_path)["remarks"] == []


def test_scores_of_a_part_are_searched_where_they_are_live(zcbench_command, fails, tmp_path):
    """By construction: of scored cells only the live ones are proposed, and all of them when all are asked for."""
    space = zcbench.spaces.get(SPACE)
    dead = [arch for arch in space if arch not in set(space.subset("live"))][:6]
    (tmp_path / "archs.txt").write_text("\n".join([*dead, *space.subset("live")[:8]]))
    made = ["bench", "--space", SPACE, "--dataset", "noise", "--image-size", 8, "--batch-size", 8, "--seeds", 1]
    made += [
        "--archs",
        tmp_path / "archs.txt",
        "--proxies",
        "n_convs",
        "--workers",
        0,
        "--draws",
        2,
        "--formats",
        "png",
    ]
    truth = pd.DataFrame({"arch": list(space), "accuracy": [place / 200 for place in range(len(space))]})
    truth.to_csv(tmp_path / "own.csv", index=False)
    result = zcbench_command(*made, "--truth", tmp_path / "own.csv", "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    command = ["search", "--space", SPACE, "--proxies", "n_convs", "--scores", tmp_path / "run", "--no-report"]
    command += ["--algorithm", "random", "--evaluations", 50, "--out"]
    for name, options, many in (("live", [], 8), ("all", ["--archs", "all"], 14)):
        assert zcbench_command(*command, tmp_path / name, *options).returncode == 0
        assert len(content(tmp_path / name)["history"]) == many
    (tmp_path / "dead.txt").write_text("\n".join(space.subset("live")[9:12]))
    message = fails(*command, tmp_path / "none", "--archs", tmp_path / "dead.txt")
    assert "has scores or accuracies" in message
