"""Genomes among the distillers: ``distill.get("genome(formula='…')")``."""

from pathlib import Path

from zcbench.distill.contract import REGISTRY, Distiller
from zcbench.distill.genome.genome import NAME
from zcbench.distill.genome.known import KNOWN
from zcbench.errors import unknown
from zcbench.registry import Derived


def _none_by_itself() -> list[str]:
    """There are millions of genomes, so that none stands in a list of all distillers."""
    return []


def _get(rest: str) -> Distiller:
    """The genome of KD, which the formula then changes."""
    if rest:
        raise unknown("distiller", NAME + rest, REGISTRY.names())
    return KNOWN["kd"].distiller


def _origin(rest: str) -> str:
    return str(Path(__file__).with_name("genome.py"))


REGISTRY.derive(Derived(NAME, _none_by_itself, _get, _origin))
