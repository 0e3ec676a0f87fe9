"""Scores of one protocol on several batches, and the spread of tau over initialisations and batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from zcbench.benchmarks import statistics
from zcbench.benchmarks.scoring.definitions import agreed
from zcbench.benchmarks.scoring.packing import Scores
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.errors import ProtocolError

#: Fields in which runs that differ by the batch alone may differ.
BATCH = frozenset({"batch", "batch_seed", "batch_sha256"})


@dataclass(frozen=True, order=True)
class Draw:
    """One initialisation on one batch, in the place of a plain seed.

    Attributes:
        batch: seed that chose the batch.
        seed: names the streams of the initialisation and of what is random in a proxy.
    """

    batch: int
    seed: int

    def __str__(self) -> str:
        return f"{self.seed} on batch {self.batch}"


def pool(runs: Mapping[str, Scores]) -> Scores:
    """One set of scores from runs that differ in the batch alone, whose seeds are then `Draw`.

    The protocol is that of the first, with the fields of all batches; the mean of a proxy is over all
    draws. A single run is returned as it is.

    Args:
        runs: by name, as `zcbench.benchmarks.scoring.bundled.load` gives them.

    Raises:
        ProtocolError: two runs differ in more than the batch, or have the same batch.
    """
    if len(runs) == 1:
        return next(iter(runs.values()))
    first = next(iter(runs.values()))[0]
    for name, (protocol, _, _) in runs.items():
        _check(name, first, protocol)
    batches = {protocol.batch_sha256: protocol for protocol, _, _ in runs.values()}
    if len(batches) < len(runs):
        raise ProtocolError(
            f"{', '.join(runs)} are {len(runs)} runs with {len(batches)} different batches. Expected a batch each; "
            f"score with another --batch-seed."
        )
    frames = [scores.assign(seed=_draws(scores["seed"], protocol)) for protocol, scores, _ in runs.values()]
    requests = [request for _, _, description in runs.values() for request in description["requests"]]
    joint = replace(
        first,
        batch=f"{len(runs)} batches: {'; '.join(protocol.batch for protocol in batches.values())}",
        batch_sha256=", ".join(batches),
    )
    definitions = agreed({name: description for name, (_, _, description) in runs.items()})
    return joint, pd.concat(frames, ignore_index=True), {"requests": requests, **definitions}


def tau_spread(trials: pd.DataFrame, accuracy: statistics.Array) -> dict[str, float]:
    r"""Standard deviation of Kendall's tau-b over initialisations, and over batches.

    .. math::  \mathrm{sd}_s = \sqrt{\tfrac{1}{S-1} \sum_s (\tau_s - \bar\tau)^2}, \qquad
               \tau_s = \tau_b\Bigl(\tfrac1B \sum_b x_{bs},\; y\Bigr)

    :math:`x_{bs}` are the scores on batch b with initialisation seed s; the spread over batches has b and s exchanged.

    Args:
        trials: one row per architecture; one column per draw, named by its `Draw`, or its seed if there is one batch.
        accuracy: y, one per architecture.

    Returns:
        ``tau_sd_seeds`` and ``tau_sd_batches``: standard deviations, non-negative; NaN with a single seed or batch.
    """
    if trials.shape[1] < 2:
        return {"tau_sd_seeds": statistics.NAN, "tau_sd_batches": statistics.NAN}
    by: dict[str, Callable[[Draw | int], int]] = {"tau_sd_seeds": _seed, "tau_sd_batches": _batch}
    return {name: _spread(trials.T.groupby(key).mean().to_numpy(), accuracy) for name, key in by.items()}


def _spread(means: statistics.Array, accuracy: statistics.Array) -> float:
    if len(means) < 2:
        return statistics.NAN
    known = np.isfinite(means)
    taus = [statistics.kendall(row[ok], accuracy[ok]) for row, ok in zip(means, known)]
    return float(np.std(taus, ddof=1))


def _seed(draw: Draw | int) -> int:
    return draw.seed if isinstance(draw, Draw) else draw


def _batch(draw: Draw | int) -> int:
    return draw.batch if isinstance(draw, Draw) else 0


def _draws(seeds: pd.Series, protocol: Protocol) -> pd.Series:
    return pd.Series([Draw(protocol.batch_seed, int(seed)) for seed in seeds], seeds.index, dtype=object)


def _check(name: str, first: Protocol, other: Protocol) -> None:
    differing = first.differences(other, [field for field in first.to_dict() if field not in BATCH])
    if differing:
        raise ProtocolError(
            f"The run {name!r} differs in more than its batch: {'; '.join(differing)} (first → {name}). Expected runs "
            f"with the same options but for --batch-seed; score it again, or leave it out."
        )


def seeds_of(scores: pd.DataFrame) -> list[int]:
    """The initialisation seeds of scores, with one batch or several."""
    return sorted({int(_seed(draw)) for draw in scores["seed"].unique()})
