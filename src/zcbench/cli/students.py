"""Names of distillation losses on the command line, resolved to plain names."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from zcbench.cli.arguments import TOP
from zcbench.specification import split_list

if TYPE_CHECKING:
    from zcbench.distill.functions import Loss

_RECAST = "kd:"  # prefix of the proxies that are made of distillers


def read_distillers(given: str, space: str, data_dir: Path | None) -> tuple[list["Loss"], list[dict[str, object]]]:
    """The losses, and the origin of those that a ranking or a search has selected, or that a file defines.

    Args:
        given: distillers with commas; ``top:K@RUN`` stands for the K best ``kd:`` proxies of a ranking, and a JSON file
            of ``zcbench evolve-distiller`` for the best one in it; ``FILE.py:FUNCTION`` for a function of student and
            teacher.
        space: name of the student's space.
        data_dir: folder with accuracies.

    Raises:
        RankingError: there is no such ranking, or no ``kd:`` proxy in it.
        UnknownNameError: no distiller has a name, or it has no such hyperparameter.
        HyperparameterError: a file names no distiller, or is of another version.
        PluginError: a Python file is missing or fails to load.
    """
    from zcbench import distill, references
    from zcbench.benchmarks.ranking.winners import winners
    from zcbench.benchmarks.truths.sources import sha256
    from zcbench.distill.documents import read_best

    names: list[Loss] = []
    origins: list[dict[str, object]] = []
    for entry in split_list(given):
        if entry.startswith(TOP):
            best, about = winners(entry, space, data_dir, transfer=True, prefix=_RECAST)
            origins.append(about)
            names += [name.removeprefix(_RECAST) for name in best]
        elif reference := references.read(entry):
            loss = references.load(reference)
            names.append(cast("Loss", loss))  # checked where it is made a distiller
            origins.append({"asked": entry, "file_sha256": sha256(reference.file)})
        elif entry.endswith(".json"):
            best_of_file = distill.get(read_best(entry).name).name
            names.append(best_of_file)
            origins.append({"asked": entry, "names": [best_of_file]})
        else:
            names.append(entry.removeprefix(_RECAST))
    known = (distill.get(name).name if isinstance(name, str) else name for name in names)
    return list(dict.fromkeys(known)), origins
