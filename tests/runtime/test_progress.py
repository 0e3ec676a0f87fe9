"""Time that is left, by the cost of what is left."""

import io
import logging

import pytest
from rich.console import Console

from zcbench.runtime.messages import phase
from zcbench.runtime.progress import Bar, Estimate


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_unequal_costs_are_estimated_by_cost() -> None:
    """Oracle: a list of work whose costs are its seconds; the number of pieces that are left is wrong by a factor."""
    seconds = [1.0, 1.0, 1.0, 2.0, 15.0, 30.0]
    clock = Clock()
    by_cost, by_count = Estimate(sum(seconds), clock), Estimate(len(seconds), clock)
    clock.now += 7.0  # workers start
    for number, cost in enumerate(seconds, 1):
        clock.now += cost
        by_cost.did(cost)
        by_count.did(1)
        left = sum(seconds[number:])
        if number == 1:
            assert by_cost.seconds is None
        else:
            assert by_cost.seconds == pytest.approx(left)
        if number == 3:
            assert by_count.seconds == pytest.approx(3.0)  # 47 are left


def test_pieces_without_cost_and_from_before_do_not_set_the_pace() -> None:
    """Oracle: the same list of work with and without such pieces."""
    clock = Clock()
    estimate = Estimate(10, clock)
    for _ in range(1000):
        estimate.did(0)
    estimate.drop(4)
    estimate.did(1)
    clock.now += 2
    estimate.did(1)
    assert estimate.seconds == pytest.approx(8.0)  # a cost of 4, 2 seconds each
    clock.now += 3
    assert estimate.seconds == pytest.approx(5.0)


def test_bar_counts_what_was_there_and_what_is_new() -> None:
    """By construction: two scores of an earlier run, one new one, which failed."""
    file = io.StringIO()
    with Bar(Console(file=file, width=200), 3, {"ok": 2}, cost=12.0) as bar:
        bar.add(["nan"], 12.0)
        assert bar.failures == "1 nan"
    assert file.getvalue().startswith("3 of 3 scores, 1 of them new, in 0.0 s; 1 nan.")


def test_phases_are_logged_with_their_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """By construction: a line when it begins, and its seconds also where it fails; the console has the line alone."""
    file = io.StringIO()
    with caplog.at_level(logging.DEBUG, "zcbench"), pytest.raises(ValueError, match="no"):
        with phase(Console(file=file), "Ranking", "[3] proxies"):
            raise ValueError("no")
    assert file.getvalue() == "Ranking: [3] proxies\n"
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "Ranking: [3] proxies"),
        ("DEBUG", "Ranking took 0.0 s"),
    ]
