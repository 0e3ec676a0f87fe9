"""All statistics of one score against one accuracy, from what the columns and sizes share.

Each is that of the function of the same name in this package, but for rounding. One count of concordant pairs gives
tau, weighted tau and the interval of tau.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zcbench.benchmarks.statistics import delta
from zcbench.benchmarks.statistics.columns import Column, Population, rho
from zcbench.benchmarks.statistics.concordance import of_ranks
from zcbench.benchmarks.statistics.correlations import NAN, hyperbolic_weights, pearson, tau_of_sums
from zcbench.benchmarks.statistics.ranks import Array, Counts
from zcbench.benchmarks.statistics.size_control import (
    bins_of_gain,
    gain_of_bins,
    kendall_of_bins,
    number_of_bins,
    partial,
    pearson_of_residuals,
)
from zcbench.benchmarks.statistics.top import count, ndcg, precision_at_k, ranks_at_k, regret, top_kendall

GIVEN_ALL = {"tau_given_all": "linear", "tau_given_all_flexible": "flexible"}
"""Columns of tau given all sizes, and their controls."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A score and an accuracy of the same architectures.

    Attributes:
        score: oriented so that higher is better.
        accuracy: in percent.
        population: the architectures.
    """

    score: Column
    accuracy: Column
    population: Population

    @cached_property
    def concordance(self) -> Counts:
        """Concordance of each architecture, see `zcbench.benchmarks.statistics.concordance`."""
        return of_ranks(self.score.dense, self.accuracy.dense)

    @cached_property
    def undefined(self) -> bool:
        """Whether nothing correlates, since one of the two is constant."""
        return self.score.constant or self.accuracy.constant

    @cached_property
    def tau(self) -> float:
        """`kendall`."""
        return NAN if self.undefined else self._tau(np.ones(self.score.values.size))

    @cached_property
    def rho(self) -> float:
        """`spearman`."""
        return rho(self.score, self.accuracy)

    @property
    def weighted_tau(self) -> float:
        """`weighted_kendall`: its additive weights make every sum over pairs one over architectures."""
        if self.undefined:
            return NAN
        return self._tau(hyperbolic_weights(self.score.dense, self.accuracy.dense))

    def statistics(self, k: float) -> dict[str, float]:
        """Every statistic of the ranking table but the intervals; ``k`` is the size of the top."""
        x, y = self.score.values, self.accuracy.values
        best, worst = ranks_at_k(x, y, k)
        return {
            "tau": self.tau,
            "rho": self.rho,
            "pearson": pearson(x, y),
            "weighted_tau": self.weighted_tau,
            "ndcg": ndcg(x, y),
            "precision_at_k": precision_at_k(x, y, k),
            "k": count(k, len(x)),
            "best_rank_at_k": best,
            "worst_rank_at_k": worst,
            "regret": regret(x, y),
            "tau_top10": top_kendall(x, y),
            "tau_within_macs_bins": self._within_bins(),
            "information_gain": self._information_gain(),
            **self._partials(),
            **self._at_size(),
        }

    def intervals(self, confidence: float) -> dict[str, float]:
        """Ends of the intervals of tau and rho by the delta method."""
        if self.undefined:
            return dict.fromkeys(("tau_low", "tau_high", "rho_low", "rho_high"), NAN)
        of_tau = delta.tau_influences(self.concordance, self.score.untied, self.accuracy.untied)
        of_rho = delta.rho_influences(self.score.ranks, self.accuracy.ranks)
        tau = delta.interval(self.tau, of_tau, self.population.units, confidence)
        rho = delta.interval(self.rho, of_rho, self.population.units, confidence)
        return {"tau_low": tau[0], "tau_high": tau[1], "rho_low": rho[0], "rho_high": rho[1]}

    def given_all(self, confidence: float) -> dict[str, float]:
        """`tau_given_all` with the linear and the flexible control, and the ends of their intervals."""
        return {
            f"{name}{end}": value
            for name, control in GIVEN_ALL.items()
            for end, value in zip(("", "_low", "_high"), self._given(control, confidence))
        }

    def separable(self, size: str) -> bool:
        """Whether a correlation given this size is defined."""
        return bool(np.isfinite(partial(self.tau, *self._taus(size))))

    @cached_property
    def explained(self) -> float:
        """Share of the variance of the score's ranks that the flexible control explains; NaN if they are constant."""
        if self.score.constant:
            return NAN
        left = self.population.controls["flexible"].residuals(self.score.ranks)
        return float(1 - np.var(left) / np.var(self.score.ranks))

    def _tau(self, weights: Array) -> float:
        return tau_of_sums(weights, self.concordance, self.score.untied, self.accuracy.untied)

    def _taus(self, size: str) -> tuple[float, float]:
        return self.population.tau(size, self.score), self.population.tau(size, self.accuracy)

    def _within_bins(self) -> float:
        if self.undefined:
            return NAN
        bin_of = self.population.sizes["macs"].bins(number_of_bins(self.score.values.size))
        return kendall_of_bins(self.score.dense, self.accuracy.dense, bin_of)

    def _information_gain(self) -> float:
        if self.undefined:
            return NAN
        columns = (self.score, self.accuracy, self.population.sizes["macs"])
        return gain_of_bins(*(column.bins(bins_of_gain(self.score.values.size)) for column in columns))

    def _partials(self) -> dict[str, float]:
        x, y, of = self.score, self.accuracy, self.population
        left = NAN if x.values.size < 3 else pearson_of_residuals(of.residuals(x), of.residuals(y))
        found = {"rho_given_sizes": left}
        single = of.sizes if of.single is None else of.single
        found |= {f"tau_given_{z}": partial(self.tau, *self._taus(z)) for z in single}
        return found | {f"rho_given_{z}": partial(self.rho, of.rho(z, x), of.rho(z, y)) for z in single}

    def _given(self, kind: str, confidence: float) -> tuple[float, float, float]:
        if self.undefined:
            return NAN, NAN, NAN
        control, accuracy = self.population.controls[kind], self.population.left(kind, self.accuracy)
        score = Column(control.residuals(self.score.ranks))
        if not (score.values.any() and accuracy.values.any()):
            return NAN, NAN, NAN
        counts = of_ranks(score.dense, accuracy.dense)
        tau = tau_of_sums(np.ones(counts.size), counts, score.untied, accuracy.untied)
        influences = delta.tau_influences(counts, score.untied, accuracy.untied)
        return tau, *delta.interval(tau, influences, self.population.units, confidence, control.terms)

    def _at_size(self) -> dict[str, float]:
        if self.undefined:
            return dict.fromkeys(("regret_at_size", "regret_at_size_random"), NAN)
        own = self.population.windows.regret(self.score.values, self.accuracy.values)
        return {"regret_at_size": own, "regret_at_size_random": self.population.regret_at_random(self.accuracy)}
