"""From the terms of many candidates to one fitness for each."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from zcbench.errors import unknown
from zcbench.kdzero.evolution.terms import SHARPNESS, TERMS
from zcbench.search.algorithms.loop import C, Evaluated, SearchError

Array = NDArray[np.float64]

_FARTHEST = 3.0


def robust(values: Array, first: int, most: float = math.inf) -> Array:
    r"""Distance from the median of the first population in units of its interquartile range, at least -3.

    .. math::  \tilde v_i = \operatorname{clip}\Big(
               \frac{v_i - \operatorname{median} u}{q_{75}(u) - q_{25}(u)}, -3, m \Big), \qquad u = (v_1, \dots, v_n)

    The first n candidates are drawn at random. A unit that later ones had a part in would shrink as a search settles,
    until differences that do not matter decide. Where half of the first are equal, their standard deviation is the
    unit; where all are, everything is 0. The best side has a bound m only where the term itself has none.

    >>> robust(np.array([0.0, 1.0, 2.0, 3.0, -1000.0]), 5).tolist()
    [-0.5, 0.0, 0.5, 1.0, -3.0]
    """
    seen = values[:first]
    unit = np.subtract(*np.percentile(seen, [75, 25])) or seen.std()
    return np.clip((values - np.median(seen)) / unit, -_FARTHEST, most) if unit else np.zeros(len(values))


def rank(values: Array, first: int, most: float = math.inf) -> Array:
    r"""Minus the share of all evaluated so far that is as good or better, ties shared.

    .. math::  \tilde v_i = -\frac1n \operatorname{rank}(v_i), \qquad \text{1 is the highest}

    >>> rank(np.array([0.0, 5.0, 1000.0, 5.0]), 2).tolist()
    [-1.0, -0.625, -0.25, -0.625]
    """
    return -rankdata(-values) / len(values)


def unscaled(values: Array, first: int, most: float = math.inf) -> Array:
    """The values as they are: the sum that the paper prints."""
    return values


NORMALISATIONS: dict[str, Callable[[Array, int, float], Array]] = {"robust": robust, "rank": rank, "none": unscaled}
"""How a term is scaled, given its values in the order of evaluation, how many of them are the first population, and
how much the best may count."""


@dataclass(frozen=True)
class Fitness:
    """Sum of the chosen terms, each scaled over the candidates; higher is better here.

    The group that it is asked about is always all that was evaluated so far, in the order of evaluation. The terms
    themselves are what is kept, so that any other fitness can be taken afterwards.

    Attributes:
        terms: names of `TERMS`.
        sharpness: form of the sharpness gap, a name of `SHARPNESS`.
        normalisation: a name of `NORMALISATIONS`.
        first: measured candidates that make up the first population, which gives ``robust`` its unit.

    Raises:
        UnknownNameError: a name that is none of these.
        SearchError: no term, or one twice.
    """

    terms: tuple[str, ...] = TERMS
    sharpness: str = "exact"
    normalisation: str = "robust"
    first: int = 20

    def __post_init__(self) -> None:
        for name in self.terms:
            if name not in TERMS:
                raise unknown("term of the fitness", name, TERMS)
        for given, known, what in (
            (self.sharpness, SHARPNESS, "form of the sharpness gap"),
            (self.normalisation, NORMALISATIONS, "normalisation of the terms"),
        ):
            if given not in known:
                raise unknown(what, given, known)
        if self.first < 1:
            raise SearchError(f"A first population of {self.first} was given. Expected at least 1.")
        if not self.terms or len(set(self.terms)) < len(self.terms):
            raise SearchError(
                f"The terms {', '.join(self.terms) or 'none'} were given. Expected at least one of {', '.join(TERMS)}, "
                f"each once."
            )

    def __call__(self, group: Sequence[Evaluated[C]]) -> np.ndarray:
        """One number per member, minus infinity for those without terms."""
        fitness = np.full(len(group), -math.inf)
        good = [place for place, one in enumerate(group) if one.ok]
        if good:
            table = np.array([group[place].values for place in good], dtype=float)
            scale = NORMALISATIONS[self.normalisation]
            columns = zip(self.terms, table.T, strict=True)
            fitness[good] = sum(scale(column, self.first, self._most(term)) for term, column in columns)
        return fitness

    def _most(self, term: str) -> float:
        """A signed sharpness gap falls without end when all logits do; the other terms end at 0 or 1 by themselves."""
        return _FARTHEST if term == "sharpness" and self.sharpness != "absolute" else math.inf

    @property
    def formula(self) -> str:
        """What is minimised, for people."""
        words = {"ce": "+ CE", "sharpness": f"+ sharpness gap ({self.sharpness})", "cka": "- CKA"}
        return " ".join(words[name] for name in self.terms).removeprefix("+ ")
