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
    """Hypervolume of the points found as a share of that of the true ones.

    The reference point is the worst of all true points by each column, so that the share is not flattered by room that
    every front covers. The extreme points of the true front span what counts as 1.

    Args:
        found: shape ``(n, k)``, every column to be maximised.
        true: shape ``(m, k)``, all points that there are.
    """
    reference = true[np.isfinite(true).all(axis=1)].min(axis=0)
    whole = hypervolume(true, reference)
    return hypervolume(found, reference) / whole if whole > 0 else float("nan")
