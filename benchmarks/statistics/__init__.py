"""Rank correlations, bootstrap intervals and the agreement of rankings."""

from zcbench.benchmarks.statistics.correlations import (
    NAN,
    constant,
    kendall,
    kendalls_of_ranks,
    pearson,
    spearman,
    weighted_kendall,
)
from zcbench.benchmarks.statistics.ranks import Array, dense, mean_ranks
from zcbench.benchmarks.statistics.seeds import SeedAgreement, agreed, reliability, seed_agreement
from zcbench.benchmarks.statistics.size_control import (
    equal_count_bins,
    information_gain,
    kendall_per_bin,
    kendall_within_bins,
    partial,
    partial_spearman,
)
from zcbench.benchmarks.statistics.top import (
    count,
    expected_pick,
    ndcg,
    precision_at_k,
    ranks_at_k,
    regret,
    top_kendall,
)

__all__ = [
    "NAN",
    "Array",
    "SeedAgreement",
    "agreed",
    "constant",
    "count",
    "dense",
    "equal_count_bins",
    "expected_pick",
    "information_gain",
    "kendall",
    "kendall_per_bin",
    "kendall_within_bins",
    "kendalls_of_ranks",
    "mean_ranks",
    "ndcg",
    "partial",
    "partial_spearman",
    "pearson",
    "precision_at_k",
    "ranks_at_k",
    "regret",
    "reliability",
    "seed_agreement",
    "spearman",
    "top_kendall",
    "weighted_kendall",
]
