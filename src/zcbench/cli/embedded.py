"""What ``zcbench bench`` runs on when neither space nor truth is named: the accuracies that ship.

Space and architectures are those that were trained; the batch is drawn from the images of the training where those are
here, else from scikit-learn's digits. One initialisation keeps it to a few minutes. The teacher is the largest
architecture of the space: the ResNet-20 that taught in the training has other widths, and losses that compare feature
maps do not apply to it.
"""

from pathlib import Path
from typing import NamedTuple

from zcbench.specification import split_list
from zcbench.storage.files import is_file

EMBEDDED = "nasbench201/cifar10-16"

IMAGES = "cifar10(files=1,side=16)"  # that the bundled accuracies were trained on
INSTEAD = "digits(side=16)"
LARGEST = "largest"
NASBENCH201 = "nasbench201"


class Choice(NamedTuple):
    """What is scored, on which images, and what it is held against."""

    space: str
    truths: list[str]
    archs: str
    subset: str
    dataset: str
    teacher: str
    seeds: int
    notes: dict[str, str]
    subsets: tuple[str, ...] | None = None


def choose(
    space: str | None,
    truths: list[str] | None,
    archs: str | None,
    subset: str | None,
    dataset: str | None,
    teacher: str | None,
    seeds: int | None,
    data_dir: Path | None,
) -> Choice:
    """The options of ``zcbench bench``, with what stands for those that were not given.

    Where a space, a truth, a file of architectures or another subset are given, the rest is NAS-Bench-201 as published;
    a number of architectures is a sample of what ships. A truth of networks of another space brings that space.
    """
    from zcbench.benchmarks.ranking.study import KNOWN
    from zcbench.benchmarks.truths.lookup import truth

    plain = subset == KNOWN or (subset is None and not (archs is not None and is_file(archs)))
    if space is None and truths is None and plain:
        return _embedded(archs, subset, dataset, teacher, seeds, data_dir)
    named = [f"{NASBENCH201}/cifar10"] if truths is None else named_truths(truths)
    if space is None:
        space = _known(truth(named[0], data_dir).networks) if truths else NASBENCH201
    usual = (archs or "1000", subset or "all", dataset or "cifar10", teacher or LARGEST, seeds or 3)
    return Choice(space, named, *usual, {})


def named_truths(given: list[str]) -> list[str]:
    """Names of truths in one list.

    Raises:
        RankingError: there is none, as where the variable of a shell was empty.
    """
    from zcbench.errors import RankingError

    names = split_list(given)
    if not names:
        raise RankingError("No truth is named. Expected accuracies such as nasbench201/cifar10; 'zcbench data list'.")
    return names


def _known(space: str) -> str:
    """``space``, or NAS-Bench-201 where it is none of ours, as that of a CSV file of accuracies."""
    from zcbench import spaces
    from zcbench.errors import UnknownNameError

    try:
        spaces.get(space)
    except UnknownNameError:
        return NASBENCH201
    return space


def _embedded(
    archs: str | None,
    subset: str | None,
    dataset: str | None,
    teacher: str | None,
    seeds: int | None,
    data_dir: Path | None,
) -> Choice:
    """All that was trained, or a sample of it."""
    from zcbench.benchmarks.ranking.study import KNOWN
    from zcbench.benchmarks.truths.lookup import truth
    from zcbench.benchmarks.truths.name import SETTINGS

    truths = [f"{EMBEDDED}/{setting}" for setting in SETTINGS]
    space = truth(truths[0], data_dir).networks
    images, notes = (dataset, {}) if dataset else _images(data_dir)
    chosen = (archs or "all", subset or KNOWN, images, teacher or LARGEST, seeds or 1)
    return Choice(space, truths, *chosen, notes, ("all",))  # all of them are live and unique


def _images(data_dir: Path | None) -> tuple[str, dict[str, str]]:
    """The images of the training, or digits, and a sentence that says why."""
    from zcbench.datasets.cifar import CIFAR10
    from zcbench.storage.files import data_folder

    if (data_folder(data_dir) / CIFAR10.folder / CIFAR10.train_files[0]).is_file():
        return IMAGES, {"images": "those that the bundled accuracies were trained on"}
    why = "scikit-learn's digits, since no CIFAR-10 is here; the bundled accuracies were trained on CIFAR-10"
    return INSTEAD, {"images": why}
