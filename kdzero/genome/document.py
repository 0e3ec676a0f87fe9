"""The file of an evolved distiller."""

from pathlib import Path

from zcbench.distill.documents import VERSION, read_best
from zcbench.distill.errors import HyperparameterError
from zcbench.kdzero.genome.errors import GenomeError
from zcbench.kdzero.genome.genome import Genome

__all__ = ["VERSION", "read_distiller"]


def read_distiller(path: str | Path) -> Genome:
    """The best genome of a search.

    Args:
        path: JSON with ``version`` and, under ``best``, the ``formula``.

    Raises:
        GenomeError: the file cannot be read, is of another version, or has no formula of a genome.
    """
    try:
        formula = read_best(path).formula
    except HyperparameterError as error:
        raise GenomeError(str(error)) from error
    return Genome.parse(formula)
