"""Options of ``zcbench search`` that have no effect, and values that no search can be carried out with."""

import pytest

from .searching import content


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--minimise", "params"], "Without effect on what is proposed: --minimise (the algorithm evolution minimises"),
        (["--minimise", "params", "--algorithm", "random"], "--minimise (the algorithm random minimises no costs)"),
        (["--minimise", "params", "--algorithm", "local"], "--minimise (the algorithm local minimises no costs)"),
        (["--minimise", ","], "Without effect: --minimise (it names no cost)."),
        (["--transfer"], "Without effect: --transfer (no name is taken from a ranking of another space)."),
        (["--no-sizes"], "Without effect: --no-sizes (no name is taken from a ranking)."),
        (["--formats", "png"], "Without effect: --formats (no report is drawn)."),
        (["--scores", "nasbench201", "--teacher", "largest"], "--teacher (scores are looked up)."),
        (["--algorithm", "nsga2", "--minimise", "params", "--population", 40], "The first population of 40 took all"),
    ],
)
def test_more_that_has_no_effect(options, told, zcbench_command, tmp_path):
    """By construction: each is said in the result, and nothing is said of options that stand at their defaults."""
    command = ["search", "--proxies", "macs", "--evaluations", 40, "--no-report", *options, "--out", tmp_path]
    result = zcbench_command(*command)
    assert result.returncode == 0, result.stderr
    remarks = [line for line in content(tmp_path)["remarks"] if "Disconnected" not in line]
    assert len(remarks) == 1 and told in remarks[0]


def test_minimise_with_nsga2_has_its_effect(zcbench_command, tmp_path):
    """By construction: nothing is said where costs are objectives, and one that is named twice counts once."""
    command = ["search", "--proxies", "macs", "--evaluations", 80, "--no-report", "--algorithm", "nsga2"]
    assert zcbench_command(*command, "--minimise", "params,params", "--out", tmp_path).returncode == 0
    found = content(tmp_path)
    assert found["request"]["minimised"] == ["params"] and not any("Without" in line for line in found["remarks"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--crossover", "nan"], "--crossover was given nan. Expected a finite number"),
        (["--crossover", "inf", "--algorithm", "random"], "--crossover was given inf. Expected a finite number"),
        (["--step", "0"], "step=0 was given. Expected a whole number of at least 1"),
        (["--step", "1000000000"], "Expected at most 100,000"),
        (["--population", "1000000000"], "Expected at most 100,000"),
        (["--reference", "1000000000", "--proxies", "macs,depth"], "Expected at most 100,000"),
        (["--max-params", "inf"], "'inf' was given as a limit"),
        (["--max-macs", "nan"], "'nan' was given as a limit"),
        (["--max-depth", ""], "--max-depth was given an empty value"),
        (["--image-size", "0"], "Expected a side of at least 1 pixel"),
        (["--image-size", "-4"], "Expected a side of at least 1 pixel"),
        (["--classes", "0"], "Expected a whole number from 1 to"),
        (["--classes", "999999999999999999999"], "Expected a whole number from 1 to"),
        (["--truth", ""], "--truth was given an empty value"),
        (["--scores", ""], "--scores was given an empty value"),
        (["--archs", "x" * 300], "--archs was given a name of 300 bytes"),
        (["--scores", "é" * 200], "--scores was given a name of 400 bytes"),
        (["--truth", "x" * 300], "--truth was given a name of 300 bytes"),
        (["--plugin", "x" * 300], "Expected a Python file; check the path"),
        (["--proxies", "top:1@" + "x" * 300], "--proxies was given a name of 300 bytes"),
        (["--out", "x" * 300], "--out was given a name of 300 bytes"),
        (["--archs", "alive"], "archs='alive' was given"),
    ],
)
def test_odd_values_are_one_sentence(options, message, zcbench_command, tmp_path):
    """By construction: what no search can be carried out with is refused before it begins."""
    command = ["search", "--proxies", "macs", "--evaluations", 10, "--out", tmp_path / "out", *options]
    result = zcbench_command(*command, ZCBENCH_DATA=str(tmp_path))
    told = " ".join(result.stderr.split())
    assert result.returncode in (1, 2) and message in told and "Traceback" not in told, told
    assert not (tmp_path / "out").exists()
