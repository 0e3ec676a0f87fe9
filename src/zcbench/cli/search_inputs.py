"""From the options of ``zcbench search`` to plain objects."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zcbench.cli.winners import PREFIX, winners
from zcbench.specification import split_list

if TYPE_CHECKING:
    from zcbench.benchmarks.ranking.ensembles import Ensemble
    from zcbench.datasets import Batch
    from zcbench.search import Costs, Objective, Settings, TrainingRecords
    from zcbench.search.evaluation import Attempts
    from zcbench.spaces import Space
    from zcbench.spaces.base import ImageShape


@dataclass(frozen=True)
class Scores:
    """Where scores come from.

    Attributes:
        attempts: gives them; None where only sizes are looked at.
        about: protocol and origin, JSON-able.
        archs: the only architectures that there are scores of; None where they are made.
        task: classes and image shape.
    """

    attempts: "Attempts | None"
    about: dict[str, Any]
    archs: tuple[str, ...] | None
    task: "tuple[int, ImageShape]"


_PARTS = re.compile(r"[/,:@()]")
_LONGEST = 255  # bytes of a file's name
_MOST_CLASSES = 1_000_000


def check(image_size: int | None, classes: int | None, names: Mapping[str, object]) -> None:
    """Refuse numbers that no image or network can have, and names that no file can have.

    Raises:
        SearchError: as the sentence says.
    """
    from zcbench.search import SearchError

    if image_size is not None and image_size < 1:
        raise SearchError(f"--image-size {image_size} was given. Expected a side of at least 1 pixel; leave it out.")
    if classes is not None and not 1 <= classes <= _MOST_CLASSES:
        raise SearchError(f"--classes {classes} was given. Expected a whole number from 1 to {_MOST_CLASSES:,}.")
    for option, given in names.items():
        texts = given if isinstance(given, list) else [given]
        longest = max((len(os.fsencode(part)) for text in texts for part in _PARTS.split(str(text))), default=0)
        if longest > _LONGEST:
            raise SearchError(
                f"--{option} was given a name of {longest} bytes. Expected a name or a path whose parts have at most "
                f"{_LONGEST}; check it."
            )


def settings(preset: str | None, **given: Any) -> "Settings":
    """Those of the preset, or the usual ones, with what was given in their place."""
    from zcbench.errors import unknown
    from zcbench.search import PRESETS, Settings

    if preset is not None and preset not in PRESETS:
        raise unknown("preset of a search", preset, PRESETS)
    usual = PRESETS[preset] if preset else Settings()
    return replace(usual, **{name: value for name, value in given.items() if value is not None})


def objective(
    text: str, rule: str, space: str, data_dir: Path | None, *, transfer: bool = False, sizes: bool = True
) -> "tuple[Objective, list[dict[str, Any]]]":
    """What is maximised, and where names that a ranking put first come from."""
    from zcbench.search import Objective

    terms: list[str | Ensemble] = []
    rankings = []
    for entry in split_list(text):
        names = [entry]
        if entry.startswith(PREFIX):
            names, about = winners(entry, space, data_dir, transfer=transfer, sizes=sizes)
            rankings.append(about)
        terms += map(_term, names)
    return Objective(tuple(dict.fromkeys(terms)), rule), rankings


def _term(name: str) -> "str | Ensemble":
    """A proxy, a size or an ensemble, in this order."""
    from zcbench.benchmarks.ranking.ensembles import ENSEMBLES, named
    from zcbench.benchmarks.ranking.evidence import SIZES
    from zcbench.errors import unknown
    from zcbench.proxies import REGISTRY

    if name in SIZES or name in REGISTRY:
        return name
    if name in ENSEMBLES or "(" in name:
        return named(name, REGISTRY.names())
    raise unknown("proxy, size or ensemble", name, {*REGISTRY.names(), *ENSEMBLES.names(), *SIZES})


def limits(**given: str | None) -> dict[str, float]:
    """Numbers of the limits that were given."""
    from zcbench.search import quantity

    return {name: quantity(text) for name, text in given.items() if text is not None}


def minimised(given: str) -> tuple[str, ...]:
    """Different costs that are objectives too."""
    return tuple(dict.fromkeys(split_list(given)))


def trained(given: list[str] | None, data_dir: Path | None) -> "dict[str, TrainingRecords]":
    """Accuracies by truth, with those that a search by training would choose by, where they are known."""
    from zcbench.benchmarks.truths.lookup import named_truths, truth
    from zcbench.benchmarks.truths.name import labels
    from zcbench.search import TrainingRecords

    names = [] if given is None else named_truths(given)
    return {
        label: TrainingRecords(truth(name, data_dir), _validation(name, data_dir), _seconds(name, data_dir))
        for label, name in labels(names).items()
    }


def _validation(name: str, data_dir: Path | None) -> "Any":
    from zcbench.benchmarks.truths.lookup import truth
    from zcbench.errors import DataError, UnknownNameError
    from zcbench.search import validation_name

    if Path(name).is_file() or (chooser := validation_name(name)) is None:
        return None
    try:
        return truth(chooser, data_dir).set_index("arch")["accuracy"]
    except (DataError, UnknownNameError):
        return None


def _seconds(name: str, data_dir: Path | None) -> "Any":
    """Training times, published for NAS-Bench-201 and 200 epochs."""
    from zcbench.benchmarks.truths.data import training_seconds
    from zcbench.errors import DataError, UnknownNameError

    space, _, rest = name.partition("/")
    dataset, _, split = rest.partition("/")
    if space != "nasbench201" or "@" in split or "@" in dataset:
        return None
    try:
        return training_seconds(dataset, data_dir)
    except (DataError, UnknownNameError):
        return None


def scored(goal: "Objective") -> list[str]:
    """Members that need scores; sizes need none."""
    from zcbench.benchmarks.ranking.evidence import SIZES

    return [name for name in goal.members if name not in SIZES]


def nothing(task: "tuple[int, ImageShape]", classes: int | None) -> Scores:
    """No scores yet: what networks are for, and no more."""
    return Scores(None, {}, None, (task[0] if classes is None else classes, task[1]))


def looked_up(given: str, goal: "Objective", space: "Space") -> Scores:
    """Scores from a run, a file, or what ships.

    Raises:
        SearchError: they are of another space, or lack a member.
    """
    from zcbench.benchmarks.scoring import bundled
    from zcbench.search import SearchError, stored

    if not given.strip():
        raise SearchError("--scores was given an empty name. Expected a run, a packed file or a name; or leave it out.")
    protocol, frame, _ = bundled.load(given)
    if protocol.space != space.spec:
        raise SearchError(
            f"The scores {given!r} are of {protocol.space}, and {space.spec} is searched. Expected scores of that "
            f"space; leave out --scores, and they are made."
        )
    members = scored(goal)
    attempts, archs = stored(frame, members) if members else (None, tuple(map(str, frame["arch"].unique())))
    channels, height, width = protocol.image_shape
    about = {"looked up in": given, "architectures": len(archs), "protocol": protocol.to_dict()}
    return Scores(attempts, about, archs, (protocol.num_classes, (channels, height, width)))


@contextmanager
def made(
    space: "Space", goal: "Objective", batch: "Batch", out: Path, inits: int, options: Mapping[str, Any]
) -> "Iterator[Scores]":
    """Scores that are made on the way, kept in the folder of the search."""
    from zcbench.benchmarks.scoring.conditions import Conditions
    from zcbench.benchmarks.scoring.run import open_run
    from zcbench.runtime.execution import Execution
    from zcbench.search import scoring

    members, rest = scored(goal), dict(options)
    execution = Execution(**{name: rest.pop(name) for name in ("workers", "timeout", "plugins")})
    conditions = Conditions(space, batch, **rest)
    notes = {"notes": {"architectures": "those that a search asked for"}}
    with open_run(conditions, members, out, execution=execution, notes=notes) as run:
        about = {"made on the way": members, "initialisations": inits, "protocol": run.protocol.to_dict()}
        yield Scores(scoring(run, range(inits)), about, None, (batch.num_classes, batch.image_shape))


def batch(
    dataset: str, size: int, seed: int, image_size: int | None, classes: int | None, data_dir: Path | None
) -> "Batch":
    """Images to score with; ``classes`` in place of those of the data set.

    Raises:
        BatchError: fewer classes than the labels have.
    """
    from zcbench import datasets
    from zcbench.errors import BatchError

    images = datasets.batch(datasets.load(dataset, data_dir, image_size=image_size), size, seed)
    if classes is not None and classes < images.num_classes:
        raise BatchError(
            f"{classes} classes were asked for, and {dataset} has {images.num_classes}. Expected as many or more."
        )
    return images if classes is None else replace(images, num_classes=classes)


def costs(
    space: "Space",
    task: "tuple[int, ImageShape]",
    wanted: Collection[str],
    device: str | None,
    dataset: str,
    out: Path,
    data_dir: Path | None,
) -> "Costs":
    """Costs of the space, with a source of latency and energy where they are looked at.

    Raises:
        SearchError: they are, and no device was named that has them.
    """
    from zcbench.search import HERE, Costs, SearchError, Timing

    physical = [name for name in ("latency", "energy") if name in wanted]
    if physical and device is None:
        raise SearchError(f"{' and '.join(physical)} were asked for without a device. Name one by --latency-device.")
    if device == HERE and "energy" in physical:
        raise SearchError("Energy cannot be measured on this machine. Expected a device of the tables, as in eyeriss.")
    if device == HERE:
        measures: Any = {"latency": Timing(space, *task, out / "timings.jsonl")} if physical else {}
    else:
        measures = {name: _table(str(device), dataset, name, space, data_dir) for name in physical}
    return Costs(space, *task, measures)


def _table(device: str, dataset: str, measure: str, space: "Space", data_dir: Path | None) -> Any:
    from zcbench.benchmarks.truths.data import hardware_costs
    from zcbench.search import LatencyTable
    from zcbench.search.latency import table_name

    name, images = table_name(device, dataset.partition("(")[0])
    return LatencyTable(hardware_costs(images, data_dir), name, measure, space)


def within(
    given: str | None, space: "Space", tables: "Mapping[str, TrainingRecords]", scored: tuple[str, ...] | None
) -> tuple[list[str] | None, str]:
    """Architectures to choose from, None for all of a subset of the space; and that subset.

    Where the space knows which architectures are live, these are taken unless something else is asked for.

    Raises:
        SearchError: there is nothing to choose from, or 'known' was given without a truth.
    """
    from zcbench.search import SearchError

    if given is None:
        given = "live" if "live" in space.subsets else "all"
    if given in space.subsets and (scored is None or len(scored) == len(space)):
        return None, given
    known = None if scored is None else set(scored)
    able = [arch for arch in _listed(given, space, tables, scored) if known is None or arch in known]
    if not able:
        raise SearchError(
            f"None of the architectures {given!r} has scores or accuracies. Expected some; name others by --archs."
        )
    return able, "all"


def _listed(
    given: str, space: "Space", tables: "Mapping[str, TrainingRecords]", scored: tuple[str, ...] | None
) -> "Sequence[str]":
    """Architectures that are named one by one."""
    from zcbench.benchmarks.scoring.choosing import choose_architectures
    from zcbench.search import SearchError

    if given == "all":
        return scored or ()
    if given in space.subsets:
        return space.subset(given)
    if given == "known" and not tables:
        raise SearchError("--archs known was given without --truth. Expected a truth that knows them; name one.")
    if given == "known":
        common = set.intersection(*(set(map(str, one.table["arch"])) for one in tables.values()))
        return [str(arch) for arch in next(iter(tables.values())).table["arch"] if arch in common and arch in space]
    return choose_architectures(space, given)[0]


def teacher(goal: "Objective", space: "Space", given: str, seed: int, checkpoint: Path | None) -> Any:
    """The teacher, where a member compares with one; else None."""
    from zcbench.benchmarks.scoring.teachers import read_teacher
    from zcbench.proxies import REGISTRY

    if not any(REGISTRY.get(name).needs_teacher for name in scored(goal)):
        return None
    return read_teacher(given, space, seed, checkpoint=checkpoint)
