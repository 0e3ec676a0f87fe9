"""From names to a study: which architectures are scored, and how a finished run is ranked."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from zcbench import spaces
from zcbench.benchmarks.folder import load_run
from zcbench.benchmarks.protocol import Protocol
from zcbench.benchmarks.ranking import Ranking, rank
from zcbench.errors import ProtocolError, RankingError
from zcbench.proxies import REGISTRY
from zcbench.spaces import Space
from zcbench.streams import numpy_stream

SUBSETS = ("all", "live", "unique")
UNSTATED = "user"  # what a truth from a file without a space says


def choose_architectures(space: Space, wanted: str, subset: str = "all", seed: int = 0) -> tuple[list[str], str]:
    """Architectures, and a sentence that says which.

    Args:
        space: where they are from.
        wanted: how many to sample without replacement, ``"all"``, or the path of a text file with one a line.
        subset: the set that they are sampled from.
        seed: names the stream of the sample.

    Raises:
        ProtocolError: ``wanted`` is none of the three.
        ArchitectureError: a line of the file is no architecture.
        UnknownNameError: no subset has this name.
        SpaceError: the subset is smaller than the sample.
    """
    if wanted == "all":
        return list(space.subset(subset)), f"all of the subset {subset!r} of {space.spec}"
    if wanted.isdecimal():
        stream = numpy_stream("sample", space.name, subset, seed)
        return space.sample(stream, int(wanted), subset=subset), f"{wanted} sampled from {subset!r} with seed {seed}"
    if Path(wanted).is_file():
        lines = [line.strip() for line in Path(wanted).read_text(encoding="utf-8").splitlines()]
        archs = [line for line in lines if line]
        for arch in archs:
            space.parse(arch)
        return archs, f"the {len(archs)} architectures listed in {Path(wanted).name}"
    raise ProtocolError(f"archs={wanted!r} was given. Expected a number, 'all', or a text file with one a line.")


def largest(space: Space) -> str:
    """The architecture with the most MACs, the first of them: a teacher chosen without looking at any accuracy."""
    costs = space.costs(space)
    return str(costs["arch"].iloc[int(costs["macs"].argmax())])


def rank_run(folder: str | Path, truths: Mapping[str, pd.DataFrame], **options: Any) -> Ranking:
    """Rank the proxies of a run, over all its architectures and over the live and the unique ones among them.

    Args:
        folder: the run.
        truths: trained accuracies by name.
        options: of `zcbench.benchmarks.ranking.rank`: ``draws``, ``confidence``, ``k``, ``seed``.

    Raises:
        RankingError: the truth is of another space or of other architectures, or there are fewer than three.
        StoreError: there is no run in ``folder``.
        UnknownNameError: the run has a proxy that is not known here; give its plug-in.
    """
    protocol, scores, description = load_run(folder)
    space = spaces.get(protocol.space)
    archs = list(dict.fromkeys(scores["arch"]))
    check_truths(space, truths, archs)
    shape = (protocol.image_shape[0], protocol.image_shape[1], protocol.image_shape[2])
    known = {name: REGISTRY.get(name) for name in dict.fromkeys(scores["proxy"])}
    return rank(
        scores,
        truths,
        space.costs(archs, num_classes=protocol.num_classes, image_shape=shape),
        clusters={arch: space.canonical(arch) for arch in archs},
        subsets=_subsets(space, archs),
        directions={name: item.higher_is_better for name, item in known.items()},
        kinds={name: "baseline" if item.baseline else "proxy" for name, item in known.items()},
        protocol={"scores": _card(protocol, scores, description)},
        **options,
    )


def _card(protocol: Protocol, scores: pd.DataFrame, description: Mapping[str, Any]) -> dict[str, Any]:
    """What was scored and how, for people; the truths and the way of ranking are added by the ranking itself."""
    last = description["requests"][-1] if description["requests"] else {}
    return {
        "architectures": last.get("notes", {}).get("architectures", f"{scores['arch'].nunique()} architectures"),
        "init seeds": sorted(set(scores["seed"].tolist())),
        **protocol.to_dict(),
        "batch normalisation": "training mode, statistics of the batch",
        "classes of the bootstrap": "canonical forms of the space",
        "zcbench": last.get("zcbench", "unknown"),
        "machine": last.get("platform", "unknown"),
    }


def _subsets(space: Space, archs: list[str]) -> dict[str, list[str]]:
    """The subsets that at least three of ``archs`` are in."""
    members = {name: set(space.subset(name)) for name in SUBSETS}
    found = {name: [arch for arch in archs if arch in within] for name, within in members.items()}
    return {name: own for name, own in found.items() if len(own) >= 3 or name == "all"}


def check_truths(space: Space, truths: Mapping[str, pd.DataFrame], archs: Collection[str]) -> None:
    """Refuse a truth of another space, or one that knows fewer than three of ``archs``; best before anything is scored.

    Raises:
        RankingError: as the sentence says.
    """
    for name, truth in truths.items():
        stated = set(truth["space"].dropna()) if "space" in truth else set()
        for other in stated - {space.name, UNSTATED}:
            raise RankingError(
                f"The truth {name!r} is about the space {other!r} and the run about {space.name!r}. Expected a truth "
                f"of the same space; 'zcbench data list' shows what there is."
            )
        common = len(set(truth["arch"]) & set(archs))
        if common < 3:
            raise RankingError(
                f"The truth {name!r} knows {common} of the {len(set(archs))} architectures. Expected at least 3, or "
                f"there is nothing to rank; give a truth for what is scored, or score what the truth knows."
            )
