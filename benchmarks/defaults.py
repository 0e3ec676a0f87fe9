"""What ``zcbench bench`` runs on where neither space nor truth is named: the bundled accuracies.

Space and architectures are those that were trained; the batch is drawn from the images of the training where those are
here, else from scikit-learn's digits. One initialisation keeps it to a few minutes. The teacher is the largest
architecture of the space: the ResNet-20 that taught in the training has other widths, and losses that compare feature
maps do not apply to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from zcbench import references, spaces
from zcbench.benchmarks.scoring.choosing import KNOWN
from zcbench.benchmarks.scoring.options import LARGEST, NO_TEACHER, Sample, Setup
from zcbench.benchmarks.truths.lookup import Names, named_truths, truth
from zcbench.benchmarks.truths.name import SETTINGS
from zcbench.errors import RankingError, UnknownNameError
from zcbench.spaces import Space
from zcbench.spaces.registry import DENSE, has_networks
from zcbench.storage.files import data_folder

#: Names of truths, or tables of accuracies by name.
Truths = Names | Mapping[str, pd.DataFrame]

EMBEDDED = "nasbench201/cifar10-16"
IMAGES = "cifar10(files=1,side=16)"  # that the bundled accuracies were trained on
INSTEAD = "digits(side=16)"
SCENES = "digits_scenes"  # of dense networks
NASBENCH201 = "nasbench201"


@dataclass(frozen=True)
class Study:
    """What is scored, on which images, and what it is compared with.

    Attributes:
        setup: space, images, teacher and networks, all of them named.
        truths: names of accuracies, or tables by name.
        sample: which architectures.
        seeds: how many initialisations.
        notes: sentences for ``run.json``.
        subsets: of the ranking; all that there are if None.
    """

    setup: Setup
    truths: Truths = field(repr=False)
    sample: Sample
    seeds: int
    notes: dict[str, str] = field(default_factory=dict)
    subsets: tuple[str, ...] | None = None


def complete(setup: Setup, sample: Sample, named: Truths | None, seeds: int | None) -> Study:
    """The study that these options ask for, with what stands for those that were not given.

    Where a space, a truth, architectures or another subset are given, the rest is NAS-Bench-201 as published; a number
    of architectures is a sample of the bundled ones. A truth of networks of another space brings that space. Networks
    of one's own are all scored.

    Raises:
        RankingError: no truth is named, as where the variable of a shell was empty.
        UnknownNameError: a truth is not known.
        DataError: a truth is not here.
    """
    plain = sample.subset == KNOWN or (sample.subset is None and not sample.listed)
    if setup.space is None and named is None and plain:
        return _embedded(setup, sample, seeds)
    if own(setup):
        return _own(setup, sample, named, seeds)
    given = _read(named or f"{NASBENCH201}/cifar10")
    space = setup.space or (NASBENCH201 if named is None else _space(given, setup.data_dir))
    filled = replace(setup, space=space, dataset=setup.dataset or _dataset(space), teacher=setup.teacher or LARGEST)
    chosen = replace(sample, archs="1000" if sample.archs is None else sample.archs, subset=sample.subset or "all")
    return Study(filled, given, chosen, 3 if seeds is None else seeds)


def _dataset(space: str | Space) -> str:
    """Images for the networks of a space: with masks for dense networks."""
    name = space if isinstance(space, str) else space.name
    return SCENES if name.partition("(")[0] == DENSE else "cifar10"


def own(setup: Setup) -> bool:
    """Whether networks of one's own are scored, and not those of a space."""
    given = setup.space
    return has_networks(given) or (isinstance(given, str) and references.read(given) is not None)


def _own(setup: Setup, sample: Sample, named: Truths | None, seeds: int | None) -> Study:
    """All networks of one's own, one initialisation, and no teacher unless one is named."""
    if not named:
        raise RankingError(
            "No accuracies of the networks are given. Expected a CSV file with the columns arch and accuracy; name it "
            "by --truth."
        )
    filled = replace(setup, dataset=setup.dataset or "cifar10", teacher=setup.teacher or NO_TEACHER)
    chosen = replace(sample, archs="all" if sample.archs is None else sample.archs, subset=sample.subset or "all")
    return Study(filled, _read(named), chosen, 1 if seeds is None else seeds, subsets=("all",))


def _read(named: Truths) -> Truths:
    return named if isinstance(named, Mapping) else named_truths(named)


def _space(given: Truths, data_dir: Path | None) -> str:
    """The space of the networks of the first truth; NAS-Bench-201 where that is unknown, as for a CSV file."""
    first = next(iter(given.values())) if isinstance(given, Mapping) else truth(named_truths(given)[0], data_dir)
    space = str(getattr(first, "networks", NASBENCH201))
    try:
        spaces.get(space)
    except UnknownNameError:
        return NASBENCH201
    return space


def _embedded(setup: Setup, sample: Sample, seeds: int | None) -> Study:
    """All that was trained, or a sample of it."""
    named = [f"{EMBEDDED}/{setting}" for setting in SETTINGS]
    space = truth(named[0], setup.data_dir).networks
    images, notes = (setup.dataset, {}) if setup.dataset else _images(setup.data_dir)
    filled = replace(setup, space=space, dataset=images, teacher=setup.teacher or LARGEST)
    chosen = replace(sample, archs="all" if sample.archs is None else sample.archs, subset=KNOWN)
    return Study(
        filled, named, chosen, 1 if seeds is None else seeds, notes, ("all",)
    )  # all of them are live and unique


def _images(data_dir: Path | None) -> tuple[str, dict[str, str]]:
    """The images of the training, or digits, and a sentence that says why."""
    from zcbench.datasets.cifar import CIFAR10  # imports PyTorch, which a ranking does without

    if (data_folder(data_dir) / CIFAR10.folder / CIFAR10.train_files[0]).is_file():
        return IMAGES, {"images": "those that the bundled accuracies were trained on"}
    why = "scikit-learn's digits, since no CIFAR-10 is here; the bundled accuracies were trained on CIFAR-10"
    return INSTEAD, {"images": why}
