"""Pareto fronts and how much of one another covers."""

import numpy as np
from pymoo.indicators.hv import HV
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting


def front(points: np.ndarray) -> list[int]:
    """Positions of the points that no other dominates, each distinct point once, in the order of the first column.

    A point dominates another that is nowhere larger and somewhere smaller.

    Args:
        points: shape ``(n, k)``, every column to be maximised; a row with a value that is not finite is left out.
    """
    kept = np.flatnonzero(np.isfinite(points).all(axis=1))
    if not len(kept):
        return []
    distinct = kept[np.sort(np.unique(points[kept], axis=0, return_index=True)[1])]
    best = distinct[NonDominatedSorting().do(-points[distinct], only_non_dominated_front=True)]
    return [int(place) for place in best[np.lexsort(points[best].T[::-1])]]


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """Volume that lies below the points and above the reference point, every column to be maximised.

    Args:
        points: shape ``(n, k)``; what does not exceed the reference everywhere adds nothing.
        reference: shape ``(k,)``.
    """
    finite = points[np.isfinite(points).all(axis=1)]
    return float(HV(ref_point=-reference)(-finite)) if len(finite) else 0.0


def covered(found: np.ndarray, true: np.ndarray) -> float:
    """Hypervolume of the points found as a share of that of the true front, among the more accurate half.

    Only the half of all points counts that is the better one by the first column, the accuracy: the fastest network of
    all may be one that guesses, and against such a reference nearly any front covers nearly all. The reference point
    is the worst of that half's front by each column, and a tenth of the front's span below, so that its ends count.

    Args:
        found: shape ``(n, k)``, every column to be maximised.
        true: shape ``(m, k)``, all points that there are.

    Returns:
        A share from 0 to 1; NaN where no point that was found is finite, or the front is a single point.
    """
    known = true[np.isfinite(true).all(axis=1)]
    true = known[known[:, 0] >= np.median(known[:, 0])] if len(known) else known
    best = true[front(true)]
    moving = np.ptp(best, axis=0) > 0 if len(best) else np.zeros(true.shape[1], dtype=bool)
    found, true, best = found[:, moving], true[:, moving], best[:, moving]  # a cost that all share divides nothing
    if len(best) < 2 or not np.isfinite(found).all(axis=1).any():
        return float("nan")
    reference = best.min(axis=0) - 0.1 * np.ptp(best, axis=0)
    return hypervolume(found, reference) / hypervolume(true, reference)


def covered_by_one(true: np.ndarray) -> float:
    """The largest share that a single architecture covers; a front that covers no more is no better than it."""
    return max((covered(true[[place]], true) for place in front(true)), default=float("nan"))
