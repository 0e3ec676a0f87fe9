"""Where the scores of a search come from: they are looked up, or made as they are asked for."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from zcbench import datasets
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.benchmarks.scoring import bundled
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.options import BatchOptions
from zcbench.benchmarks.scoring.run import OpenRun, open_run
from zcbench.benchmarks.scoring.store import Row
from zcbench.benchmarks.scoring.teachers import read_teacher
from zcbench.datasets import Batch
from zcbench.errors import BatchError
from zcbench.proxies import REGISTRY
from zcbench.runtime.execution import Execution
from zcbench.search.algorithms.loop import SearchError
from zcbench.search.evaluation import Attempts
from zcbench.search.objective import Objective
from zcbench.spaces import Space
from zcbench.spaces.base import ImageShape

_MOST_CLASSES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Scoring(BatchOptions):
    """How architectures are scored as a search asks for them.

    Attributes:
        classes: classes of the networks, where not those of the data set.
        inits: initialisations of each architecture, seeds 0, 1, …
        execution: workers, time limit and plug-ins.

    Raises:
        ProtocolError: an unknown ``dtype`` or ``layout``.
        SearchError: an image size or a number of classes that no network can have.
    """

    dataset: str = "cifar10"
    teacher: str = "largest"
    classes: int | None = None
    inits: int = 1
    execution: Execution = field(default_factory=Execution)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size is not None and self.image_size < 1:
            raise SearchError(
                f"An image size of {self.image_size} was given. Expected a side of at least 1 pixel; leave it out."
            )
        if self.classes is not None and not 1 <= self.classes <= _MOST_CLASSES:
            raise SearchError(
                f"{self.classes} classes were given. Expected a whole number from 1 to {_MOST_CLASSES:,}; leave it out."
            )

    @property
    def task(self) -> tuple[int, ImageShape]:
        """Classes and image shape of the networks; no file is read."""
        classes, shape = datasets.task(self.dataset, self.image_size)
        return classes if self.classes is None else self.classes, shape

    def batch(self, data_dir: str | Path | None = None) -> Batch:
        """The images to score with.

        Raises:
            BatchError: fewer classes than the labels have, or as `zcbench.datasets.batch` says.
        """
        images = datasets.load(self.dataset, data_dir, image_size=self.image_size)
        batch = datasets.batch(images, self.batch_size, self.batch_seed)
        if self.classes is not None and self.classes < batch.num_classes:
            raise BatchError(
                f"{self.classes} classes were asked for, and {self.dataset} has {batch.num_classes}. Expected as many "
                f"or more."
            )
        return batch if self.classes is None else replace(batch, num_classes=self.classes)


@dataclass(frozen=True)
class Source:
    """Scores of the members of an objective.

    Attributes:
        task: classes and image shape that they are for.
        dataset: images that they are of.
        attempts: gives them; None where only sizes are looked at, or where they are still to be made.
        about: protocol and origin, JSON-able.
        archs: the only architectures that there are scores of; None where they are made.
    """

    task: tuple[int, ImageShape]
    dataset: str
    attempts: Attempts | None = None
    about: Mapping[str, object] = field(default_factory=dict)
    archs: tuple[str, ...] | None = None


def scored(objective: Objective) -> list[str]:
    """Members that need scores; sizes need none."""
    return [name for name in objective.members if name not in SIZES]


def has_teacher(objective: Objective) -> bool:
    """Whether a member compares with a teacher."""
    return any(REGISTRY.get(name).needs_teacher for name in scored(objective))


def looked_up(given: str | os.PathLike[str], objective: Objective, space: Space) -> Source:
    """Scores from a run, a packed file, or a bundled table.

    Raises:
        SearchError: they are of another space, or lack a member.
    """
    name = os.fspath(given)
    if not name.strip():
        raise SearchError("Scores of an empty name were asked for. Expected a run, a packed file or a name.")
    protocol, frame, _ = bundled.load(name)
    if protocol.space != space.spec:
        raise SearchError(
            f"The scores {name!r} are of {protocol.space}, and {space.spec} is searched. Expected scores of that "
            f"space; without stored scores they are made."
        )
    protocol.require_code(space, name)
    members = scored(objective)
    attempts, archs = stored(frame, members) if members else (None, tuple(map(str, frame["arch"].unique())))
    about = {"looked up in": name, "architectures": len(archs), "protocol": protocol.to_dict()}
    return Source((protocol.num_classes, protocol.image_shape), protocol.dataset, attempts, about, archs)


@contextmanager
def made(
    space: Space, objective: Objective, scoring: Scoring, out: Path, data_dir: str | Path | None = None
) -> Iterator[Source]:
    """Scores that are made as they are asked for, kept in the folder of the search."""
    batch, members = scoring.batch(data_dir), scored(objective)
    teacher = None
    if has_teacher(objective):
        teacher = read_teacher(
            scoring.teacher, space, scoring.teacher_seed, checkpoint=scoring.teacher_checkpoint, data_dir=data_dir
        )
    options = {name: getattr(scoring, name) for name in ("init", "dtype", "layout", "device")}
    conditions = Conditions(space, batch, teacher, **options)
    notes = {"notes": {"architectures": "those that a search asked for"}}
    with open_run(conditions, members, out, execution=scoring.execution, notes=notes) as run:
        about = {"made on the way": members, "initialisations": scoring.inits, "protocol": run.protocol.to_dict()}
        attempts = scored_on_demand(run, range(scoring.inits))
        yield Source((batch.num_classes, batch.image_shape), scoring.dataset, attempts, about)


def stored(frame: pd.DataFrame, members: Sequence[str]) -> tuple[Attempts, tuple[str, ...]]:
    """Scores that are looked up, and the architectures that have an attempt at every member.

    Args:
        frame: attempts, as `zcbench.benchmarks.scoring.bundled.load` gives them.
        members: proxies.

    Raises:
        SearchError: a member has no score at all, or no architecture has all members.
    """
    chosen = frame[frame["proxy"].isin(list(members))]
    lacking = [name for name in members if name not in set(chosen["proxy"])]
    tried = chosen.groupby("arch")["proxy"].nunique()
    archs = tuple(map(str, tried.index[tried == len(members)]))
    if lacking or not archs:
        raise SearchError(
            f"The stored scores have none of {', '.join(lacking) or 'all members for one architecture'}. Expected "
            f"scores of {', '.join(members)}; they have {', '.join(sorted(set(frame['proxy'])))}."
        )
    places = chosen.groupby("arch", sort=False).indices

    def attempts(asked: Sequence[str]) -> pd.DataFrame:
        found = [places[arch] for arch in dict.fromkeys(asked) if arch in places]
        return chosen.iloc[np.concatenate(found)] if found else chosen.iloc[:0]

    return attempts, archs


def scored_on_demand(run: OpenRun, seeds: Sequence[int]) -> Attempts:
    """Scores that are made in a run that is held open; what it has is not computed again."""

    def attempts(archs: Sequence[str]) -> pd.DataFrame:
        run.score(archs, seeds)
        return pd.DataFrame(run.rows(), columns=list(Row._fields)).astype({"value": float})

    return attempts
