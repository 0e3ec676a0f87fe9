"""Options of a ranking, the same for the command line and for Python."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zcbench.errors import RankingError

if TYPE_CHECKING:
    from zcbench.benchmarks.ranking.supervised import Supervision

UNITS = ("architectures", "classes")
"""Units of a sample of architectures."""


@dataclass(frozen=True)
class RankingOptions:
    """How scores are compared with accuracies.

    Attributes:
        draws: replicates of a bootstrap for the intervals; 0 for the delta method, which needs none.
        confidence: level of the intervals, in (0, 1).
        k: size of the top that precision, BR@K and WR@K look at: a number, or a share of n if below 1.
        seed: names the random streams of the bootstrap and of the supervised regressions.
        unit: unit of the sample, and so what the intervals cover. ``"architectures"``: the architectures are a
            random sample, each drawn by itself. ``"classes"``: whole classes were drawn. Over the classes of
            isomorphic cells of NAS-Bench-201, which are of very different sizes, the latter is too wide for the former
            (examples/interval_coverage.py).
        failures_last: give an architecture on which every attempt of a proxy failed the worst score of that proxy,
            in place of leaving it out.
        supervised: regressions of `zcbench.benchmarks.ranking.supervised`, each a row of kind ``"supervised"`` per
            truth.
        supervised_train: accuracies that each regression learns from.

    Raises:
        RankingError: a value is out of range.
        UnknownNameError: no regression has a name of ``supervised``.
    """

    draws: int = 0
    confidence: float = 0.95
    k: float = 10
    seed: int = 0
    unit: str = "architectures"
    failures_last: bool = False
    supervised: tuple[str, ...] = ()
    supervised_train: int = 200

    def __post_init__(self) -> None:
        for name, good, expected in (
            ("confidence", 0 < self.confidence < 1, "a number between 0 and 1, such as 0.95"),
            ("draws", self.draws >= 0, "0 for the delta method, or a number of bootstrap draws, such as 1000"),
            ("k", 0 < self.k < float("inf"), "a number of architectures, such as 10, or a share below 1, such as 0.05"),
            ("unit", self.unit in UNITS, " or ".join(map(repr, UNITS))),
        ):
            if not good:
                raise RankingError(f"{name}={getattr(self, name)!r} was given. Expected {expected}.")
        object.__setattr__(self, "supervised", tuple(self.supervised))
        if self.supervised:
            self.supervision()

    def supervision(self) -> "Supervision":
        """The regressions to fit."""
        from zcbench.benchmarks.ranking.supervised import Supervision  # an option of a command must load at once

        return Supervision(self.supervised, self.supervised_train, self.seed)

    @classmethod
    def of(cls, options: "RankingOptions | None", fields: dict[str, object]) -> "RankingOptions":
        """``options``, or the default ones, with other values for some fields."""
        return replace(options or cls(), **fields)  # type: ignore[arg-type]
