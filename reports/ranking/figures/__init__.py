"""Figures of a ranking: any function in a file of this package that is decorated with ``illustrates``."""

from zcbench.registry import import_package
from zcbench.reports.ranking.illustrations import FIGURES, illustrations

import_package(__name__)  # in alphabetical order, which is that of the figures in a report

__all__ = ["FIGURES", "illustrations"]
