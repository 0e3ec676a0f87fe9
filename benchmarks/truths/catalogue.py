"""Every published truth by name: the modules of `zcbench.benchmarks.truths.published`, imported."""

from zcbench.benchmarks.truths.sources import PUBLISHED, SOURCES
from zcbench.registry import import_package

__all__ = ["PUBLISHED", "SOURCES"]

import_package("zcbench.benchmarks.truths.published")
