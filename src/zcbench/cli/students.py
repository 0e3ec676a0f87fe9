"""From the options of ``zcbench distill`` to plain objects: student, teachers and losses."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zcbench.cli.winners import PREFIX, winners
from zcbench.errors import ArchitectureError
from zcbench.specification import split_list

if TYPE_CHECKING:
    from zcbench.spaces import Space

_ELSEWHERE = re.compile(r"(\w+(?:\([^()]*\))?):(.+)")
_RECAST = "kd:"  # what the proxy of a distiller begins with


class Student(NamedTuple):
    """An architecture and its space."""

    space: "Space"
    arch: str


def read_student(given: str, space: str) -> Student:
    """The student that a text names.

    Args:
        given: an architecture of ``space``, ``SPACE:ARCH``, or a JSON file whose ``best`` has ``arch``, with the
            ``space`` there or beside it, as ``zcbench search`` writes it.
        space: where the architecture is from if ``given`` does not say.

    Raises:
        ArchitectureError: no architecture of its space, or the file has none.
        UnknownNameError: no space has this name.
    """
    from zcbench import spaces

    if given.endswith(".json"):
        return _from_file(Path(given), space)
    home = spaces.get(space)
    if given not in home and (match := _ELSEWHERE.fullmatch(given)):
        home, given = spaces.get(match[1]), match[2]
    home.index(given)
    return Student(home, given)


def _from_file(file: Path, space: str) -> Student:
    from zcbench import spaces

    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        best = content["best"]
        arch, written = str(best["arch"]), best.get("space") or content.get("space")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ArchitectureError(
            f"{file} names no student: {type(error).__name__}: {error}. Expected JSON with an architecture under "
            f"'arch' in 'best', as 'zcbench search' writes it."
        ) from error
    home = spaces.get(written if isinstance(written, str) else space)
    home.index(arch)
    return Student(home, arch)


def read_distillers(given: str, space: str, data_dir: Path | None) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of the losses, and where those come from that a ranking or a search put first.

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
    from zcbench.distill.documents import name_in

    names, origins = [], []
    for entry in split_list(given):
        if entry.startswith(PREFIX):
            best, about = winners(entry, space, data_dir, transfer=True, prefix=_RECAST)
            origins.append(about)
            names += [name.removeprefix(_RECAST) for name in best]
        elif entry.endswith(".json"):
            names.append(distill.get(name_in(entry)).name)
            origins.append({"asked": entry, "names": names[-1:]})
        else:
            names.append(entry.removeprefix(_RECAST))
    return list(dict.fromkeys(distill.get(name).name for name in names)), origins
