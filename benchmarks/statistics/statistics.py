"""The former place of the functions of `zcbench.benchmarks.statistics`."""

from zcbench.benchmarks.statistics import *  # noqa: F403
