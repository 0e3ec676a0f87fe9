"""From architectures to the values that a search looks at: sizes, stored scores, or scores that are made on the way."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.proxies import REGISTRY
from zcbench.search.algorithms.loop import Evaluated, SearchError
from zcbench.search.costs import Costs
from zcbench.search.objective import oriented

_ATTEMPT = ["arch", "proxy", "status", "reason"]

Attempts = Callable[[Sequence[str]], pd.DataFrame]
"""From architectures to attempts, columns ``arch, proxy, seed, value, status, reason, seconds``."""


class Values(NamedTuple):
    """What a search sees of an architecture, in the order of `Evaluated.values`: members, then costs turned round."""

    members: tuple[str, ...]
    minimised: tuple[str, ...]


class Evaluation:
    """Evaluates architectures: an oriented value of every member, and minus every cost that is to be small.

    A proxy's value is the mean over its ok seeds. A member that failed leaves NaN, and the status of the architecture
    is that of the first member that failed.

    Args:
        values: what to look at.
        costs: of the space.
        attempts: scores of the members that are no sizes; None if all are.
    """

    def __init__(self, values: Values, costs: Costs, attempts: Attempts | None = None) -> None:
        self.values, self._costs, self._attempts = values, costs, attempts
        self.scored = tuple(name for name in values.members if name not in SIZES)
        if self.scored and attempts is None:
            raise SearchError(f"{', '.join(self.scored)} need scores, and there is nothing to score with.")
        self._directions = {name: REGISTRY.get(name).higher_is_better for name in self.scored}
        self._known: dict[str, Evaluated[str]] = {}

    def __call__(self, archs: Sequence[str]) -> list[Evaluated[str]]:
        """One entry per architecture, in order; each is evaluated once."""
        lacking = [arch for arch in dict.fromkeys(archs) if arch not in self._known]
        if lacking:
            self._known |= zip(lacking, self._evaluated(lacking))
        return [self._known[arch] for arch in archs]

    def _evaluated(self, archs: Sequence[str]) -> list[Evaluated[str]]:
        rows = self._attempts(archs) if self._attempts and self.scored else None
        means = pd.DataFrame(index=list(archs)) if rows is None else oriented(rows, self._directions)
        table = means.reindex(index=list(archs), columns=list(self.values.members))
        for name in self.values.members:
            if name in SIZES:
                table[name] = self._costs.column(name, archs)
        for name in self.values.minimised:
            table[f"-{name}"] = -self._costs.column(name, archs)
        failures = {} if rows is None else _failures(rows, table, self.scored)
        seconds = {} if rows is None else rows.groupby("arch")["seconds"].sum().to_dict()
        return [
            Evaluated(arch, tuple(map(float, row)), *failures.get(arch, ("ok", "")), float(seconds.get(arch, 0.0)))
            for arch, row in zip(archs, table.to_numpy(dtype=float))
        ]


def _failures(rows: pd.DataFrame, table: pd.DataFrame, scored: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Status and reason of each architecture that lacks a member, from the member's first failed attempt."""
    lacking: dict[str, str] = {}
    for name in reversed(scored):
        lacking |= dict.fromkeys(map(str, table.index[table[name].isna()]), name)
    if not lacking:
        return {}
    some = rows[rows["arch"].isin(list(lacking))].drop_duplicates(["arch", "proxy"])
    said = {(arch, name): (status, reason) for arch, name, status, reason in some[_ATTEMPT].itertuples(index=False)}
    found = {arch: (name, *said.get((arch, name), ("not_scored", "no stored score"))) for arch, name in lacking.items()}
    return {arch: (str(status), f"{name}: {reason}") for arch, (name, status, reason) in found.items()}


def columns(history: Sequence[Evaluated[str]], values: Values) -> pd.DataFrame:
    """What a search saw, one row per architecture: members oriented, costs as they are."""
    names = (*values.members, *values.minimised)
    table = np.array([one.values for one in history], dtype=float).reshape(len(history), len(names))
    table[:, len(values.members) :] *= -1
    return pd.DataFrame(table, index=[one.candidate for one in history], columns=list(names))
