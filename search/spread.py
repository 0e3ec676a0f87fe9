"""Figures over repeats of a search."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Mean over repeats, standard deviation, and the 95 % interval of the mean by Student's t; None where unknown.

    >>> Spread.of([1.0, 2.0, 3.0])
    Spread(mean=2.0, sd=1.0, low=-0.484138, high=4.484138, n=3)
    """

    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """That of the values that are numbers."""
        from scipy.stats import t

        known = np.array([value for value in values if math.isfinite(value)])
        mean = float(known.mean()) if len(known) else math.nan
        if len(known) < 2:
            return cls(rounded(mean), None, None, None, len(known))
        sd = float(known.std(ddof=1))
        half = float(t.ppf(0.975, len(known) - 1)) * sd / math.sqrt(len(known))
        return cls(rounded(mean), rounded(sd), rounded(mean - half), rounded(mean + half), len(known))

    def to_json(self) -> dict[str, object]:
        """The figures by name."""
        return asdict(self)


@dataclass(frozen=True)
class Point:
    """A spread after so many evaluations, trainings or seconds; ``at`` says of which and how many."""

    at: Mapping[str, float]
    spread: Spread
    more: Mapping[str, Spread | float] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """All in one row."""
        more = {name: one.to_json() if isinstance(one, Spread) else one for name, one in self.more.items()}
        return {**self.at, **self.spread.to_json(), **more}


def rounded(value: float) -> float | None:
    """A number as JSON has it, to six digits; None for NaN and infinity."""
    return round(value, 6) if math.isfinite(value) else None
