"""Leaderboard: a folder of results, one file for each proxy and benchmark, which anybody can add to and verify."""

from zcbench.benchmarks.leaderboard.adding import add
from zcbench.benchmarks.leaderboard.board import Board
from zcbench.benchmarks.leaderboard.records import Benchmark, Entry
from zcbench.benchmarks.leaderboard.verifying import Verdict, verify

__all__ = ["Benchmark", "Board", "Entry", "Verdict", "add", "verify"]
