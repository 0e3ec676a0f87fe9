r"""What remains of a ranking when all sizes of the architectures are held fixed.

Ranks of scores and of accuracies are fitted by terms of the ranks of the sizes, and the residuals are compared. With
:math:`u_k = (2 R_k - n - 1) / n`, in which :math:`R_k` is the rank of size k, equal values at their mean rank:

- the **linear** control has the terms :math:`1, u_k`;
- the **flexible** control has :math:`1, u_k, u_k u_l, \log R_k` for all :math:`k \le l`: also squares, products of two
  and logarithms, 20 non-linear terms for five sizes.

The linear control leaves the curvature: a score that is a function of the sizes alone, such as the sum of the
logarithms of the ranks of parameters and MACs, correlates with the accuracy under it. The flexible one removes most of
it, as far as the terms fit; a score that the sizes explain to 99 % has a note. A term that depends on the others, as
where two sizes have one order, counts once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from zcbench.benchmarks.statistics.correlations import NAN, kendall
from zcbench.benchmarks.statistics.ranks import Array

_DEPENDENT = 1e-9  # of the largest singular value: a term that is a combination of others
_DIGITS = 6  # of residual ranks: equal ones differ by rounding


@dataclass(frozen=True, eq=False)
class Control:
    """Terms that ranks are fitted by.

    Attributes:
        basis: orthonormal, of the space of the terms, shape (n, d).
    """

    basis: Array

    @property
    def terms(self) -> int:
        """Number of independent terms besides the mean."""
        return self.basis.shape[1] - 1

    def residuals(self, ranks: Array) -> Array:
        """Ranks less their least-squares fit, rounded so that equal ones are equal; zeros where nothing is left."""
        n, terms = self.basis.shape
        if n - terms < 3:
            return np.zeros(n)
        return np.round(ranks - self.basis @ (self.basis.T @ ranks), _DIGITS)


def linear(ranks: Sequence[Array]) -> Control:
    """Control by the ranks of the sizes."""
    return _control(_scaled(ranks))


def flexible(ranks: Sequence[Array]) -> Control:
    """Control by the ranks of the sizes, their squares, their products of two and their logarithms."""
    scaled = _scaled(ranks)
    products = (one * other for one, other in combinations_with_replacement(scaled, 2))
    return _control([*scaled, *products, *(np.log(rank / rank.size) for rank in ranks)])


def tau_given_all(score: Array, accuracy: Array, control: Control) -> float:
    """Kendall's tau-b of the residual ranks of a score and of an accuracy.

    Args:
        score: ranks of the scores, equal scores at their mean rank, shape (n,).
        accuracy: ranks of the accuracies.
        control: of the same architectures.

    Returns:
        In [-1, 1]; higher is better. NaN where the control orders the architectures exactly as one of the two does, or
        fewer than three degrees of freedom are left.
    """
    one, other = control.residuals(score), control.residuals(accuracy)
    return kendall(one, other) if one.any() and other.any() else NAN


def _scaled(ranks: Sequence[Array]) -> list[Array]:
    return [(2 * rank - rank.size - 1) / rank.size for rank in ranks]


def _control(terms: Sequence[Array]) -> Control:
    design = np.column_stack([np.ones(terms[0].size), *terms])
    left, strengths, _ = np.linalg.svd(design, full_matrices=False)
    return Control(np.ascontiguousarray(left[:, strengths > _DEPENDENT * strengths[0]]))
