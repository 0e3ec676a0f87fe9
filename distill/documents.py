"""Files that name a distiller: the result of ``zcbench evolve-distiller``."""

import json
from pathlib import Path
from typing import NamedTuple

from zcbench.distill.errors import HyperparameterError
from zcbench.specification import write_specification

#: Version of the file; another one is refused.
VERSION = 1


class BestDistiller(NamedTuple):
    """The best distiller of a result file: its formula, and its name with hyperparameters, as `get` takes it."""

    formula: str
    name: str


def read_best(path: str | Path) -> BestDistiller:
    """The best distiller of a result file: a JSON object with ``version`` and ``best``.

    Raises:
        HyperparameterError: the file cannot be read, is of another version, or has no such entry.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        version = content["version"]
        if version == VERSION:
            best = content["best"]
            formula, name = best["formula"], best.get("distiller")
            if not isinstance(formula, str):
                raise TypeError(f"the formula is of type {type(formula).__name__}")
            return BestDistiller(formula, str(name or write_specification("genome", {"formula": formula})))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise HyperparameterError(
            f"{path} holds no distiller: {type(error).__name__}: {error}. Expected the distiller.json of "
            f"'zcbench evolve-distiller', JSON with 'version' and, under 'best', 'formula'."
        ) from error
    raise HyperparameterError(
        f"{path} is a distiller file of version {version!r}. Expected version {VERSION}; search again with this "
        f"zcbench, or read it with the one that wrote it."
    )
