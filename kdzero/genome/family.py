"""Genomes among the distillers: ``distill.get("genome(formula='…')")``."""

from pathlib import Path

from zcbench.distill.contract import REGISTRY, Distiller
from zcbench.errors import unknown
from zcbench.kdzero.genome.genome import NAME
from zcbench.kdzero.genome.known import KNOWN
from zcbench.registry import Derived


def _none_by_itself() -> list[str]:
    """No names: there are too many genomes for a list of all distillers."""
    return []


def _get(rest: str) -> Distiller:
    """The genome of KD, which the formula then changes."""
    if rest:
        raise unknown("distiller", NAME + rest, REGISTRY.names())
    return KNOWN["kd"].distiller


def _origin(rest: str) -> str:
    return str(Path(__file__).with_name("genome.py"))


#: Loaded by name through the entry-point group ``zcbench.distillers.families``.
FAMILY: Derived[Distiller] = Derived(NAME, _none_by_itself, _get, _origin)
