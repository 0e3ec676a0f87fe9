"""Names of truths: ``SPACE/DATASET[/SPLIT][/SETTING][@EPOCHS]``."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from zcbench.benchmarks.truths.bundled import bundled_files
from zcbench.benchmarks.truths.catalogue import PUBLISHED
from zcbench.errors import UnknownNameError, nearest, shortened, unknown
from zcbench.storage.files import is_file

_NAME = re.compile(
    r"([a-z0-9][\w.+-]*)/([a-z0-9][\w.+-]*)(?:/([a-z][\w.+-]*))?(?:/([a-z][\w.+-]*))?(?:@([1-9]\d*))?", re.ASCII
)
_RENAMED = {"nasbench-macro": "nasbench_macro"}  # names of earlier versions
_LONGEST = 200  # letters of a name: one that can be a file's
FORM = "SPACE/DATASET[/SPLIT][/SETTING][@EPOCHS]"

#: How the networks of a truth were trained: alone, under a teacher, and the difference of the two.
SETTINGS = ("vanilla", "kd", "gain")


def labels(names: Iterable[str]) -> dict[str, str]:
    """Label of each truth, and its name; the label of a file is its own name, or its path where two have the same.

    >>> labels(["s0/cifar100/kd"])
    {'s0/cifar100/kd': 's0/cifar100/kd'}
    """
    given = list(dict.fromkeys(names))
    short = {name: Path(name).name if is_file(name) else name for name in given}
    often = Counter(short.values())
    return {short[name] if often[short[name]] == 1 else name: name for name in given}


@dataclass(frozen=True)
class TruthName:
    """Name of a truth, ``SPACE/DATASET[/SPLIT][/SETTING][@EPOCHS]``.

    The split is ``test`` and the setting ``vanilla`` (trained without a teacher) unless named. The other settings are
    ``kd`` (trained with knowledge distillation), ``gain``, the second minus the first in percentage points, and those
    of published truths, such as ``fgsm-1.0``, the accuracy under an attack.
    """

    space: str
    dataset: str
    split: str = "test"
    epochs: int | None = None
    setting: str = "vanilla"

    @classmethod
    def parse(cls, name: str) -> "TruthName":
        """Name in its parts; without ``@EPOCHS`` the longest known training of that data set is meant.

        Raises:
            UnknownNameError: the text does not have the form of a truth name.

        Example:
            >>> str(TruthName.parse("nasbench201/cifar10"))
            'nasbench201/cifar10/test@200'
            >>> str(TruthName.parse("s0/cifar100/kd"))
            's0/cifar100/test/kd'
        """
        match = _NAME.fullmatch(name.lower()) if len(name) <= _LONGEST else None
        if not match or "__" in name:
            known = {table for table, _ in PUBLISHED}
            raise UnknownNameError(f"{shortened(name)!r} is no truth. Expected {FORM}. {nearest(name, known)}")
        space, dataset, split, setting, epochs = match.groups()
        space = _RENAMED.get(space, space)
        if setting is None and (split in SETTINGS or split in _published_settings()):
            split, setting = None, split
        if setting is not None and setting not in SETTINGS and setting not in _published_settings():
            raise unknown("setting of a truth", setting, (*SETTINGS, *_published_settings()))
        chosen = int(epochs) if epochs else _longest(space, dataset)
        return cls(space, dataset, split or "test", chosen, setting or "vanilla")

    def __str__(self) -> str:
        epochs = "" if self.epochs is None else f"@{self.epochs}"
        setting = "" if self.setting == "vanilla" else f"/{self.setting}"
        return f"{self.space}/{self.dataset}/{self.split}{setting}{epochs}"

    def parts(self) -> dict[str, str | int | None]:
        """Space, data set, split, epochs and setting, for a protocol."""
        return asdict(self)


_KINDS = {
    "space": "space",
    "dataset": "data set",
    "split": "split or setting",
    "setting": "setting",
    "epochs": "number of epochs",
}


def unknown_truth(name: str, known: Iterable[str]) -> UnknownNameError:
    """Error that names the first unknown part of ``name``, with the nearest names for that part."""
    known = sorted(known)
    asked, names = TruthName.parse(name), [TruthName.parse(table) for table in known]
    scope = ""
    for part, kind in _KINDS.items():
        value, values = getattr(asked, part), {getattr(other, part) for other in names}
        if value not in values:
            values |= {other.setting for other in names} if part == "split" else set()
            return unknown(f"{kind} of the truths{scope}", str(value), map(str, values))
        names, scope = [other for other in names if getattr(other, part) == value], f"{scope or ' of'} {value}"
    return unknown("truth", name, known)


def _published_settings() -> frozenset[str]:
    """Settings of published truths besides `SETTINGS`."""
    parts = (name.partition("@")[0].split("/") for name, _ in PUBLISHED)
    return frozenset(own[3] for own in parts if len(own) == 4).difference(SETTINGS)


def _longest(space: str, dataset: str) -> int | None:
    """Most epochs that any truth of this data set was trained for, of the published and bundled ones."""
    known = [*(name for name, _ in PUBLISHED), *bundled_files()]
    trained = [name.partition("@")[2] for name in known if name.startswith(f"{space}/{dataset}/")]
    epochs = [int(number) for number in trained if number]
    return max(epochs, default=None)
