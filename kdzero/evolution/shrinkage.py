"""Space shrinkage: operations that are frequent among rejected and tail candidates are drawn less often.

KD-Zero, NeurIPS 2023, section 3.2: "We reduce sampling probabilities for the operations frequently in loss rejection
and tail candidates with search iterations". The paper gives no formula; the one below is ours.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zcbench.kdzero.genome import Genome, GenomeDomain, GenomeError
from zcbench.search.algorithms.loop import Evaluated, SearchError
from zcbench.storage.run_folder import Json

Operation = tuple[str, str]
"""Part of a genome, and what stands there."""

Weights = dict[str, dict[str, float]]
"""Of parts and operations; one that is not there weighs 1."""


@dataclass(frozen=True)
class Shrinkage:
    r"""How weights follow from what was evaluated.

    .. math::  s_o = \frac{b_o + \kappa\, b / n}{n_o + \kappa}, \qquad
               w_o = \operatorname{clip}\Big( \frac{1 - s_o}{1 - b / n},\ w_{\min},\ 1 \Big)

    n candidates are evaluated, b of them are bad: rejected or otherwise without terms, or in the tail of the fitness;
    :math:`n_o` and :math:`b_o` count those that have operation o in this part. An operation that is no worse than the
    average weighs 1, and none ever weighs more. The counts are those of the whole search and are never set back.

    Attributes:
        tail: share of the candidates with terms that are bad because they are the least fit.
        floor: least weight.
        prior: average candidates that every operation is taken to have been in beforehand, kappa.
        drop: an operation whose weight is below this is not drawn any more; none is if 0.
        after: candidates that are evaluated before weights are taken.

    Raises:
        SearchError: a number that is out of range.
    """

    tail: float = 0.25
    floor: float = 0.1
    prior: float = 4.0
    drop: float = 0.0
    after: int = 20

    def __post_init__(self) -> None:
        for name, value, most in (
            ("tail", self.tail, 1.0),
            ("floor", self.floor, 1.0),
            ("drop", self.drop, 1.0),
            ("prior", self.prior, math.inf),
            ("after", self.after, math.inf),
        ):
            if not 0 <= value <= most or value == math.inf:
                raise SearchError(f"A shrinkage with {name}={value} was given. Expected a number from 0 to {most:g}.")

    def weights(self, genomes: Sequence[Genome], fitness: np.ndarray) -> Weights:
        """Weights below 1, by part and operation.

        Args:
            genomes: all that was evaluated.
            fitness: of each, higher is better, minus infinity for one without terms.

        Raises:
            SearchError: no operation of a part is left to draw.
        """
        bad = self._bad(fitness)
        average = bad.mean() if len(bad) else 0.0
        if len(genomes) < max(self.after, 1) or average in (0.0, 1.0):
            return {}
        seen, wrong = Counter[Operation](), Counter[Operation]()
        for genome, is_bad in zip(genomes, bad, strict=True):
            there = set(genome.operations())
            seen.update(there)
            wrong.update(there if is_bad else ())
        weights: Weights = {}
        for part, operation in sorted(seen):
            share = (wrong[part, operation] + self.prior * average) / (seen[part, operation] + self.prior)
            weight = max(self.floor, float((1 - share) / (1 - average)))
            if weight < 1:
                weights.setdefault(part, {})[operation] = 0.0 if weight < self.drop else round(weight, 6)
        return weights

    def _bad(self, fitness: np.ndarray) -> np.ndarray:
        """Which candidates have no terms, or are in the tail."""
        bad = ~np.isfinite(fitness)
        order = np.argsort(fitness, kind="stable")
        known = order[np.isfinite(fitness[order])]
        bad[known[: math.floor(self.tail * len(known))]] = True
        return bad


class DistillerSpace:
    """Genomes that fit a pair of networks, drawn with weights that shrink as a search goes on.

    Args:
        domain: the genomes, as they are drawn at the beginning.
        shrinkage: how weights follow; None for a space that stays as it is.
    """

    def __init__(self, domain: GenomeDomain, shrinkage: Shrinkage | None = None) -> None:
        self._whole = self._domain = domain
        self._shrinkage, self._weights = shrinkage, Weights()
        self.log: list[Json] = []

    def sample(self, rng: np.random.Generator) -> Genome:
        """A genome drawn at random."""
        return self._domain.sample(rng)

    def mutate(self, candidate: Genome, rng: np.random.Generator) -> Genome:
        """A genome with one other part."""
        return self._domain.mutate(candidate, rng)

    def crossover(self, first: Genome, second: Genome, rng: np.random.Generator) -> Genome:
        """A genome with each part from one of two."""
        return self._domain.crossover(first, second, rng)

    def neighbours(self, candidate: Genome) -> Sequence[Genome]:
        """All genomes that differ in one part."""
        return self._domain.neighbours(candidate)

    def everything(self) -> None:
        """Nothing: the genomes are too many to be listed."""

    def learn(self, history: Sequence[Evaluated[Genome]], fitness: np.ndarray) -> None:
        """Take weights from all that was evaluated; where they change they are logged.

        Raises:
            SearchError: no operation of a part is left to draw.
        """
        if self._shrinkage is None:
            return
        weights = self._shrinkage.weights([one.candidate for one in history], fitness)
        if weights != self._weights:
            self._domain, self._weights = self._left(weights, len(history)), weights
            self.log.append({"evaluations": len(history), "weights": weights})

    def _left(self, weights: Weights, done: int) -> GenomeDomain:
        try:
            return self._whole.reweighted(weights)
        except GenomeError as error:
            raise SearchError(
                f"After {done} evaluations shrinkage has emptied the space: {error} Expected operations that are left "
                f"in every part; drop fewer (drop=0 drops none), or search without shrinkage."
            ) from error
