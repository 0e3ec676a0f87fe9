"""Names of distillation losses on the command line, resolved to plain names."""

from pathlib import Path

from zcbench.cli.arguments import TOP
from zcbench.specification import split_list

_RECAST = "kd:"  # prefix of the proxies that are made of distillers


def read_distillers(given: str, space: str, data_dir: Path | None) -> tuple[list[str], list[dict[str, object]]]:
    """Names of the losses, and the origin of names that a ranking or a search has selected.

    Args:
        given: distillers with commas; ``top:K@RUN`` stands for the K best ``kd:`` proxies of a ranking, and a JSON file
            of ``zcbench evolve-distiller`` for the best one in it.
        space: name of the student's space.
        data_dir: folder with accuracies.

    Raises:
        RankingError: there is no such ranking, or no ``kd:`` proxy in it.
        UnknownNameError: no distiller has a name, or it has no such hyperparameter.
        HyperparameterError: a file names no distiller, or is of another version.
    """
    from zcbench import distill
    from zcbench.benchmarks.ranking.winners import winners
    from zcbench.distill.documents import read_best

    names, origins = list[str](), list[dict[str, object]]()
    for entry in split_list(given):
        if entry.startswith(TOP):
            best, about = winners(entry, space, data_dir, transfer=True, prefix=_RECAST)
            origins.append(about)
            names += [name.removeprefix(_RECAST) for name in best]
        elif entry.endswith(".json"):
            names.append(distill.get(read_best(entry).name).name)
            origins.append({"asked": entry, "names": names[-1:]})
        else:
            names.append(entry.removeprefix(_RECAST))
    return list(dict.fromkeys(distill.get(name).name for name in names)), origins
