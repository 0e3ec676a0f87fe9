"""Confidence intervals of tau-b and rho by a bootstrap over architectures, or over whole classes of them.

A replicate draws units with replacement, each with all its members. The units are those of the sample: each
architecture by itself where architectures were drawn at random, a class of isomorphic ones where classes were. The
interval covers the value over the set that was sampled (`examples/interval_coverage.py` measures how often).

A replicate is a vector of multiplicities w, one per architecture. With it, tau-b of the replicated sample is

.. math::  \\tau_b = \\frac{\\sum_{i<j} w_i w_j \\operatorname{sgn}(x_i - x_j) \\operatorname{sgn}(y_i - y_j)}
           {\\sqrt{\\tfrac12 (W^2 - \\sum_t T_t^2) \\cdot \\tfrac12 (W^2 - \\sum_u U_u^2)}}

where W is the sum of w, and T and U are the sums of w over the groups tied in x and in y; copies of one architecture
are tied in both. The numerator is counted exactly, for all replicates at once, by matrix products over blocks of ranks.
"""

from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from zcbench.streams import numpy_stream

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_BLOCK = 128  # architectures per block of ranks; about the square root of the 15,625 of NAS-Bench-201
_ENTRIES = 2**22  # weights held at once


def draw_classes(classes: int, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each class is drawn: shape (draws, classes), each row sums to ``classes``."""
    return rng.multinomial(classes, np.full(classes, 1 / classes), size=draws)


def bootstrap(
    scores: Array, accuracies: Array, classes: NDArray[np.generic], draws: int = 1000, seed: int = 0
) -> tuple[Array, Array]:
    """Tau-b and rho of every score against every accuracy in replicated samples.

    All columns see the same draws (differences between proxies are paired), and a column's replicates do not depend on
    what other columns are there.

    Args:
        scores: shape (n, P), NaN where a proxy has no value.
        accuracies: shape (n, T), NaN where a truth has none.
        classes: unit of each architecture, shape (n,): its own name, or its class; in the order of these names.
        draws: number of replicates D.
        seed: names the random stream.

    Returns:
        (tau, rho), each of shape (D, P, T) in [-1, 1]; NaN where a replicate leaves a column constant.
    """
    names, class_of = np.unique(classes, return_inverse=True)
    rng = numpy_stream("bootstrap", seed)
    step = max(1, _ENTRIES // len(class_of))
    parts = []
    for start in range(0, draws, step):
        drawn = draw_classes(len(names), min(step, draws - start), rng)
        parts.append(weighted_correlations(scores, accuracies, np.ascontiguousarray(drawn.T)[class_of]))
    return np.concatenate([tau for tau, _ in parts]), np.concatenate([rho for _, rho in parts])


def interval(replicates: Array, confidence: float = 0.95) -> tuple[Array, Array]:
    """Percentile interval over the first axis; NaN where no replicate is defined.

    >>> [float(end) for end in interval(np.arange(101.0), 0.5)]
    [25.0, 75.0]
    """
    defined = np.isfinite(replicates).any(axis=0)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.nanquantile(np.where(defined, replicates, 0.0), tails, axis=0)
    return np.where(defined, low, np.nan), np.where(defined, high, np.nan)


def weighted_correlations(scores: Array, accuracies: Array, weights: NDArray[np.int64]) -> tuple[Array, Array]:
    """Tau-b and rho of samples in which architecture i occurs ``weights[i, d]`` times.

    Args:
        scores: shape (n, P), NaN where missing.
        accuracies: shape (n, T), NaN where missing.
        weights: multiplicities, shape (n, D).

    Returns:
        (tau, rho), each of shape (D, P, T), equal to those of the sample written out.
    """
    tau = np.full((weights.shape[1], scores.shape[1], accuracies.shape[1]), np.nan)
    rho = tau.copy()
    known = np.isfinite(scores)[:, :, None] & np.isfinite(accuracies)[:, None, :]
    pairs = sorted((known[:, p, t].tobytes(), p, t) for p, t in np.ndindex(tau.shape[1:]) if known[:, p, t].any())
    for mask, group in groupby(pairs, key=lambda pair: pair[0]):
        same = [(p, t) for _, p, t in group]
        rows = np.frombuffer(mask, dtype=bool)
        kept = _compact(weights[rows])
        ys = {t: _margin(accuracies[rows, t], kept) for t in {t for _, t in same}}
        for p, columns in groupby(same, key=lambda pair: pair[0]):
            x = _margin(scores[rows, p], kept)
            moment = kept * x.centred
            for _, t in columns:
                tau[:, p, t], rho[:, p, t] = _tau(x, ys[t], kept), _rho(x, ys[t], moment)
    return tau, rho


def _compact(weights: NDArray[np.int64]) -> Array:
    """The weights as floats just wide enough that every sum of them is an exact integer."""
    exact = weights.sum(axis=0).max() < 2**24
    return weights.astype(np.float32 if exact else np.float64)


@dataclass(frozen=True)
class _Margin:
    """Ranks and sums of one column under weights of shape (n, D).

    Attributes:
        rank: dense rank of each architecture, 0 for the smallest value.
        block: block of ranks that it belongs to; a block holds ranks of at most `_BLOCK` architectures, or one rank.
        members: the architectures of each block, in ascending order of blocks.
        untied: weighted number of pairs that are not tied, shape (D,).
        centred: mid-rank in the sample less the mean rank, shape (n, D).
        spread: weighted sum of squares of ``centred``, shape (D,).
    """

    rank: Index
    block: Index
    members: list[Index]
    untied: Array
    centred: Array
    spread: Array


def _margin(values: Array, weights: Array) -> _Margin:
    rank, sizes = np.unique(values, return_inverse=True, return_counts=True)[1:]
    order = np.argsort(rank, kind="stable")
    ends = np.cumsum(sizes)
    block = _blocks(ends - sizes, ends - 1)[rank]
    members = np.split(order, np.flatnonzero(np.diff(block[order])) + 1)
    tied = weights[order] if len(sizes) == len(rank) else np.add.reduceat(weights[order], ends - sizes, axis=0)
    total = tied.sum(axis=0, dtype=np.float64)
    middle = np.cumsum(tied, axis=0, dtype=np.float64)
    middle -= (tied + total) / 2
    spread = np.einsum("gd,gd,gd->d", tied, middle, middle)
    untied = (total**2 - _dot(tied, tied)) / 2
    return _Margin(rank, block, members, untied, middle[rank], spread)


def _blocks(first: Index, last: Index) -> Index:
    """Block of each rank, by the positions of its first and last architecture; a rank across two blocks has its own."""
    inside = np.stack([first // _BLOCK, last // _BLOCK])
    return np.concatenate([[0], np.cumsum(np.diff(inside, axis=1).any(axis=0))])


def _tau(x: _Margin, y: _Margin, weights: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return _concordance(x, y, weights) / np.sqrt(x.untied * y.untied)


def _rho(x: _Margin, y: _Margin, moment: Array) -> Array:
    """Spearman's rho of each sample; ``moment`` is the weights times the centred mid-ranks of x."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.einsum("id,id->d", moment, y.centred) / np.sqrt(x.spread * y.spread)


def _concordance(x: _Margin, y: _Margin, weights: Array) -> Array:
    """Weighted number of concordant less discordant pairs, shape (D,).

    Each pair is counted once, at its larger x: in the same block of x; in other blocks of both; or in another
    block of x but the same block of y.
    """
    total = np.zeros(weights.shape[1])
    blocks = np.arange(len(y.members))
    leads = np.zeros((len(blocks), weights.shape[1]), weights.dtype)  # per block of y, over the blocks of x so far
    for rows in x.members:
        own = weights[rows]
        lead = leads[y.block[rows]]
        if x.rank[rows[0]] < x.rank[rows[-1]]:
            lead += (_signs(y.rank[rows], y.rank[rows], weights.dtype) * _larger(x.rank[rows])) @ own
        total += _dot(own, lead)
        leads += _signs(blocks, y.block[rows], weights.dtype) @ own
    for rows in y.members:
        if y.rank[rows[0]] < y.rank[rows[-1]]:
            own = weights[rows]
            total += _dot(own, (_signs(y.rank[rows], y.rank[rows], weights.dtype) * _larger(x.block[rows])) @ own)
    return total


def _signs(ranks: Index, others: Index, dtype: np.dtype) -> Array:
    """Matrix of sgn(r_i - s_j), in the type of the weights, in which ranks are exact too."""
    return np.sign(np.subtract.outer(ranks.astype(dtype), others.astype(dtype)))


def _larger(ranks: Index) -> NDArray[np.bool_]:
    """Matrix of r_i > r_j."""
    return np.greater.outer(ranks, ranks)


def _dot(one: Array, other: Array) -> Array:
    """Sum over architectures of the products, in float64."""
    return np.einsum("id,id->d", one, other, dtype=np.float64)
