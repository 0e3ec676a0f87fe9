"""Which architectures a search may propose, as a user says it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from zcbench import spaces
from zcbench.benchmarks.scoring.choosing import choose_architectures
from zcbench.search.algorithms.loop import SearchError
from zcbench.search.architectures import ALL, Architectures, architectures
from zcbench.search.costs import Costs
from zcbench.search.trained import TrainingRecords
from zcbench.spaces import KnownNetworks, Space

_LIVE = "live"


@dataclass(frozen=True)
class Candidates:
    """Which architectures may be proposed, and which of their costs count.

    Attributes:
        space: where they are from: a name, a specification such as ``"nasbench201(channels=4,cells=1)"``, or a space.
        archs: a subset of the space, ``"known"`` (to all truths), a file with one a line, or a list of architectures;
            the live ones where the space knows them, else all, if None.
        limits: greatest allowed value of each cost.
        minimise: costs that are objectives too.
        latency_device: what latency and energy are of: a device of the tables of HW-NAS-Bench, ``"here"``, or
            a file of `zcbench.measure`.
    """

    space: str | Space = "nasbench201"
    archs: str | Sequence[str] | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    minimise: tuple[str, ...] = ()
    latency_device: str | None = None

    def found(self) -> Space:
        """The space itself.

        Raises:
            UnknownNameError: no space has this name.
        """
        return self.space if isinstance(self.space, Space) else spaces.get(self.space)

    @property
    def usual_algorithm(self) -> str | None:
        """Name of the algorithm where none is named: random for networks of one's own, which have no neighbours."""
        return "random" if isinstance(self.found(), KnownNetworks) else None

    @property
    def wanted(self) -> set[str]:
        """Costs that are looked at."""
        return {*self.limits, *self.minimise}

    def domain(
        self, costs: Costs, trained: Mapping[str, TrainingRecords], stored: Sequence[str] | None = None
    ) -> Architectures:
        """The architectures that may be proposed.

        Args:
            costs: of the space.
            trained: accuracies by truth.
            stored: the only architectures that there are scores of; None where scores are made.

        Raises:
            BudgetError: nothing satisfies the limits.
            SearchError: there is nothing to choose from, or ``"known"`` was given without a truth.
        """
        space = costs.space
        given = self.archs if self.archs is not None else _LIVE if _LIVE in space.subsets else ALL
        if (measured := costs.measured) is not None and self.archs is None:
            live = set(space.subset(_LIVE)) if _LIVE in space.subsets else None
            given = [arch for arch in measured if live is None or arch in live]
        if isinstance(given, str) and given in space.subsets and (stored is None or len(stored) == len(space)):
            return architectures(costs, self.limits, self.minimise, subset=given)
        listed = _listed(given, space, trained, stored) if isinstance(given, str) else given
        known: Collection[str] = listed if stored is None else set(stored)
        able = [arch for arch in listed if arch in known]
        if not able:
            raise SearchError(
                f"None of the architectures {given!r} has scores or accuracies. Expected some; name others by --archs."
            )
        return architectures(costs, self.limits, self.minimise, able)


def _listed(
    given: str, space: Space, trained: Mapping[str, TrainingRecords], stored: Sequence[str] | None
) -> Sequence[str]:
    """Architectures that are named one by one."""
    if given == ALL:
        return stored or ()
    if given in space.subsets:
        return space.subset(given)
    if given == "known" and not trained:
        raise SearchError("--archs known was given without --truth. Expected a truth that knows them; name one.")
    if given == "known":
        common = set.intersection(*(set(map(str, one.table["arch"])) for one in trained.values()))
        return [str(arch) for arch in next(iter(trained.values())).table["arch"] if arch in common and arch in space]
    return choose_architectures(space, given)[0]
