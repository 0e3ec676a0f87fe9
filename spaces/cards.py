"""What a list of spaces says of each: its card. The cards of zcbench's own are in an index file.

``spaces/index.json`` has them, so that ``zcbench spaces list`` starts without PyTorch; ``make index`` writes it.
"""

import json
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

from zcbench.errors import ZcbenchError, told
from zcbench.plugins import PluginError
from zcbench.registry import is_own
from zcbench.spaces.base import Space
from zcbench.spaces.registry import SPACES
from zcbench.storage.files import replaced

INDEX = Path(__file__).parent / "index.json"
_GROUPS = ("zcbench.spaces", "zcbench.spaces.families")


class SpaceCard(NamedTuple):
    """What is known of a space without a network.

    Attributes:
        name: its name in the registry.
        spec: name and options, as they are by default.
        architectures: how many it has.
        subsets: names of its subsets.
        about: first line of its documentation.
    """

    name: str
    spec: str
    architectures: int
    subsets: tuple[str, ...]
    about: str

    @classmethod
    def of(cls, name: str, space: Space) -> "SpaceCard":
        """The card of a space."""
        documented = (type(space).__doc__ or "").strip().partition("\n")[0]
        return cls(name, space.spec, space.__len__(), space.subsets, documented)  # len() has a limit of 63 bits


def cards() -> tuple[list[SpaceCard], Mapping[str, ZcbenchError]]:
    """Card of every known space with its default options, and the error of each that cannot be made.

    Example:
        >>> next(card for card in cards()[0] if card.name == "s0")[:4]
        ('s0', 's0', 64, ('all',))
    """
    if "torch" not in sys.modules and not any(entry_points(group=group) for group in _GROUPS) and INDEX.is_file():
        lines = json.loads(INDEX.read_text(encoding="utf-8"))
        return [SpaceCard(name, spec, count, tuple(subsets), about) for name, spec, count, subsets, about in lines], {}
    return _registered(SPACES.names())


def write_index(file: str | Path) -> None:
    """Write the cards of zcbench's own spaces into an index file, that of the source folder for example."""
    own, _ = _registered([name for name in SPACES.names() if is_own(SPACES.get(name))])
    lines = ",\n ".join(json.dumps(list(one), ensure_ascii=False) for one in own)
    with replaced(Path(file)) as draft:
        draft.write_text(f"[\n {lines}\n]\n", encoding="utf-8")


def _registered(names: list[str]) -> tuple[list[SpaceCard], Mapping[str, ZcbenchError]]:
    found, broken = list[SpaceCard](), dict[str, ZcbenchError]()
    for name in names:
        try:
            found.append(SpaceCard.of(name, SPACES.get(name)()))
        except ZcbenchError as error:
            broken[name] = error
        except Exception as error:  # the class of a plug-in
            broken[name] = PluginError(f"The space {name!r} cannot be made: {told(error)}.")
    return found, broken
