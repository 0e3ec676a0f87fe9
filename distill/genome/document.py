"""The file of an evolved distiller."""

import json
from pathlib import Path

from zcbench.distill.genome.errors import GenomeError
from zcbench.distill.genome.genome import Genome

#: Version of the file; another one is refused.
VERSION = 1


def read_distiller(path: str | Path) -> Genome:
    """The best genome of a search.

    Args:
        path: JSON with ``version`` and, under ``best``, the ``formula``.

    Raises:
        GenomeError: the file cannot be read, is of another version, or has no formula of a genome.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        version = content["version"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _no_distiller(path, error) from error
    if version != VERSION:
        raise GenomeError(
            f"{path} is a distiller file of version {version!r}. Expected version {VERSION}; search again with this "
            f"zcbench, or read it with the one that wrote it."
        )
    try:
        formula = content["best"]["formula"]
    except (LookupError, TypeError) as error:
        raise _no_distiller(path, error) from error
    return Genome.parse(formula)


def _no_distiller(path: str | Path, error: Exception) -> GenomeError:
    return GenomeError(
        f"{path} holds no distiller: {type(error).__name__}: {error}. Expected the distiller.json of "
        f"'zcbench evolve-distiller', JSON with 'version' and, under 'best', 'formula'."
    )
