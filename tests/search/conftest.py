from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import zcbench
import zcbench.spaces
from zcbench.search import Costs, Evaluated, Evaluation, Values, architectures
from zcbench.spaces import NASBench201

from .. import command
from ..cells import write_cells
from .searching import SPACE

Bits = tuple[int, ...]


class Strings:
    """Strings of bits, the domain of the algorithms' own tests; a candidate here is no architecture."""

    def __init__(self, length: int) -> None:
        self.length = length

    def sample(self, rng: np.random.Generator) -> Bits:
        return tuple(rng.integers(2, size=self.length).tolist())

    def mutate(self, candidate: Bits, rng: np.random.Generator) -> Bits:
        return self.neighbours(candidate)[int(rng.integers(self.length))]

    def crossover(self, first: Bits, second: Bits, rng: np.random.Generator) -> Bits:
        return tuple((first, second)[pick][place] for place, pick in enumerate(rng.integers(2, size=self.length)))

    def neighbours(self, candidate: Bits) -> list[Bits]:
        return [(*candidate[:i], 1 - candidate[i], *candidate[i + 1 :]) for i in range(self.length)]

    def everything(self) -> list[Bits] | None:
        return list(product((0, 1), repeat=self.length)) if self.length <= 10 else None


class Counted:
    """An evaluation that counts its calls: the number of ones, and of zeros in the first half."""

    def __init__(self, objectives: int = 1, failing: Bits | None = None) -> None:
        self.objectives, self.failing = objectives, failing
        self.seen: list[Bits] = []

    def __call__(self, candidates: Sequence[Bits]) -> list[Evaluated[Bits]]:
        self.seen += candidates
        return [self._one(candidate) for candidate in candidates]

    def _one(self, candidate: Bits) -> Evaluated[Bits]:
        half = candidate[: len(candidate) // 2]
        values = (float(sum(candidate)), float(len(half) - sum(half)))[: self.objectives]
        if candidate == self.failing:
            return Evaluated(candidate, (float("nan"),) * self.objectives, "error", "asked for")
        return Evaluated(candidate, values)


@pytest.fixture(scope="session")
def zcbench_command() -> object:
    return command.zcbench_command


@pytest.fixture
def fails() -> object:
    return command.fails


@pytest.fixture
def strings() -> type[Strings]:
    return Strings


@pytest.fixture
def counted() -> type[Counted]:
    return Counted


@pytest.fixture(scope="session")
def space() -> NASBench201:
    return zcbench.spaces.get("nasbench201", channels=4, cells=1)


@pytest.fixture
def sizes(space: NASBench201) -> object:
    """Domain and evaluation that look at sizes alone."""

    def make(members: Sequence[str], limits: dict[str, float] | None = None, minimised: tuple[str, ...] = ()) -> object:
        costs = Costs(space)
        return architectures(costs, limits, minimised), Evaluation(Values(tuple(members), minimised), costs)

    return make


@pytest.fixture(scope="session")
def run(zcbench_command, tmp_path_factory) -> Path:
    """A ranked run of twelve small cells, against an accuracy that grows with the MACs."""
    folder = tmp_path_factory.mktemp("ranked")
    write_cells(folder, SPACE, "own.csv")
    out = folder / "run"
    result = zcbench_command(
        *["bench", "--space", SPACE, "--dataset", "noise", "--image-size", 8, "--batch-size", 8, "--draws", 10],
        *["--proxies", "macs,l2_norm,naswot", "--seeds", 1, "--workers", 0, "--formats", "png"],
        *["--archs", folder / "archs.txt", "--truth", folder / "own.csv", "--out", out],
    )
    assert result.returncode == 0, result.stderr
    return out
