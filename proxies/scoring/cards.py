"""What a list or a ranking needs to know of a proxy: its card. The cards of zcbench's own are in an index file.

``proxies/index.json`` has them, so that ``zcbench proxies list`` and ``zcbench rank`` start without PyTorch. The index
has the fingerprint of all declarations, ``@proxy(…)`` and ``@distiller(…)``; once one of them has changed, the cards
are made of the registry until ``make index`` has written the file again.
"""

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zcbench.errors import ZcbenchError
from zcbench.storage.files import replaced

if TYPE_CHECKING:
    from zcbench.proxies.scoring.contract import Proxy

INDEX = Path(__file__).parents[1] / "index.json"
_LOSSES = Path(__file__).parents[2] / "distill" / "losses"
_REGISTRY = "zcbench.proxies.scoring.contract"
_GROUPS = ("zcbench.proxies", "zcbench.proxies.families", "zcbench.distillers")
_DECLARATION = re.compile(r"^@(?:proxy|distiller)\(.*?^def .*?:$|^    \w+ = Signal\[.*?\)$", re.MULTILINE | re.DOTALL)


class ProxyCard(NamedTuple):
    """What is known of a proxy without its code.

    Attributes:
        name: its name in the registry and in every table.
        version: raised whenever its numbers change.
        higher_is_better: the direction in which it ranks.
        uses_labels: whether the labels of the batch may change it.
        reads: the signals that it reads, in alphabetical order.
        source: paper and equation; where it is defined, if it states none.
        baseline: whether it is a size.
    """

    name: str
    version: int
    higher_is_better: bool
    uses_labels: bool
    reads: tuple[str, ...]
    source: str
    baseline: bool


def loaded() -> bool:
    """Whether proxies are registered already, or packages that are installed bring some: the index does not say all."""
    return _REGISTRY in sys.modules or _installed()


def cards() -> tuple[Mapping[str, ProxyCard], Mapping[str, ZcbenchError]]:
    """Card of every known proxy by name, and the error of every plug-in that cannot be loaded."""
    if loaded():
        return _registered()
    indexed = _indexed()
    return _registered() if indexed is None else (indexed, {})


def card(name: str) -> ProxyCard:
    """Card of one proxy, which may be a specification such as ``kd:kd(temperature=2)``.

    Raises:
        UnknownNameError: nothing has this name.
        PluginError: its plug-in cannot be loaded.
    """
    known = cards()[0].get(name)
    return _card_of_registered(name) if known is None else known


def write_index(file: str | Path) -> None:
    """Write the cards of zcbench's own proxies into an index file, that of the source folder for example."""
    own = [one for name, one in _registered()[0].items() if _proxy(name).is_own]
    lines = ",\n  ".join(json.dumps(list(one), ensure_ascii=False) for one in own)
    text = f'{{\n "declarations": "{declarations()}",\n "cards": [\n  {lines}\n ]\n}}\n'
    with replaced(Path(file)) as draft:
        draft.write_text(text, encoding="utf-8")


def declarations() -> str:
    """Fingerprint of the declarations of all proxies, losses and labelled signals, whatever their code does."""
    home, digest = INDEX.parent, hashlib.sha256()
    for file in (*sorted(home.glob("*.py")), *sorted(_LOSSES.glob("*.py")), home / "signals" / "signals.py"):
        for declared in _DECLARATION.findall(file.read_text(encoding="utf-8")):
            if declared.startswith("@") or "labelled=True" in declared:
                digest.update(declared.encode() + b"\0")
    return digest.hexdigest()


@cache
def _installed() -> bool:
    """Whether an installed package brings proxies; every look reads the entry points of all packages."""
    return any(entry_points(group=group) for group in _GROUPS)


@cache
def _indexed() -> Mapping[str, ProxyCard] | None:
    """The cards of the index; None if it is missing, damaged, or of other declarations."""
    try:
        content = json.loads(INDEX.read_text(encoding="utf-8"))
        made = (ProxyCard(*line) for line in content["cards"])
        found = {one.name: one._replace(reads=tuple(one.reads)) for one in made}
        return found if content["declarations"] == declarations() else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _registered() -> tuple[Mapping[str, ProxyCard], Mapping[str, ZcbenchError]]:
    from zcbench.proxies.scoring.contract import REGISTRY

    items, broken = REGISTRY.usable()
    return {item.name: _card(item) for item in items}, broken


def _proxy(name: str) -> "Proxy":
    from zcbench.proxies.scoring.contract import REGISTRY

    return REGISTRY.get(name)


def _card_of_registered(name: str) -> ProxyCard:
    return _card(_proxy(name))


def _card(item: "Proxy") -> ProxyCard:
    from zcbench.proxies.scoring.contract import REGISTRY

    reads = tuple(sorted(item.reads))
    source = item.source or ("" if item.baseline else REGISTRY.origin(item.name))
    return ProxyCard(item.name, item.version, item.higher_is_better, item.uses_labels, reads, source, item.baseline)
