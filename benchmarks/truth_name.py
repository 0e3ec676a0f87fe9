"""Names of truths: ``SPACE/DATASET[/SPLIT][@EPOCHS]``."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from zcbench.benchmarks.sources import PUBLISHED
from zcbench.errors import UnknownNameError, nearest, unknown

_NAME = re.compile(r"([a-z0-9][\w.+-]*)/([a-z0-9][\w.+-]*)(?:/([a-z][\w.+-]*))?(?:@([1-9]\d*))?", re.ASCII)


@dataclass(frozen=True)
class TruthName:
    """Name of a truth, ``SPACE/DATASET[/SPLIT][@EPOCHS]``; the split is ``test`` unless named."""

    space: str
    dataset: str
    split: str = "test"
    epochs: int | None = None

    @classmethod
    def parse(cls, name: str) -> "TruthName":
        """Name in its parts; without ``@EPOCHS`` the longest published training of that data set is meant.

        Raises:
            UnknownNameError: the text does not have the form of a truth name.

        Example:
            >>> str(TruthName.parse("nasbench201/cifar10"))
            'nasbench201/cifar10/test@200'
        """
        match = _NAME.fullmatch(name.lower())
        if not match or "__" in name:
            known = {table for table, _ in PUBLISHED}
            raise UnknownNameError(
                f"{name!r} is no truth. Expected SPACE/DATASET[/SPLIT][@EPOCHS]. {nearest(name, known)}"
            )
        space, dataset, split, epochs = match.groups()
        chosen = int(epochs) if epochs else _longest(space, dataset)
        return cls(space, dataset, split or "test", chosen)

    def __str__(self) -> str:
        epochs = "" if self.epochs is None else f"@{self.epochs}"
        return f"{self.space}/{self.dataset}/{self.split}{epochs}"

    def parts(self) -> dict[str, str | int | None]:
        """Space, data set, split and epochs, for a protocol."""
        return asdict(self)


def unknown_truth(name: str, known: Iterable[str]) -> UnknownNameError:
    """Error that names the first part of ``name`` which nothing known has, with the nearest names for that part."""
    known = sorted(known)
    asked, names = TruthName.parse(name), [TruthName.parse(table) for table in known]
    scope = ""
    for part, kind in (("space", "space"), ("dataset", "data set"), ("split", "split"), ("epochs", "number of epochs")):
        value, values = getattr(asked, part), {getattr(other, part) for other in names}
        if value not in values:
            return unknown(f"{kind} of the truths{scope}", str(value), map(str, values))
        names, scope = [other for other in names if getattr(other, part) == value], f"{scope or ' of'} {value}"
    return unknown("truth", name, known)


def _longest(space: str, dataset: str) -> int | None:
    """Most epochs that any published truth of this data set was trained for."""
    epochs = [int(name.split("@")[1]) for name, _ in PUBLISHED if name.startswith(f"{space}/{dataset}/")]
    return max(epochs, default=None)
