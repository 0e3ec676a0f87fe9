"""How a finished run is ranked."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zcbench import spaces
from zcbench.benchmarks.ranking.ensembles import Ensemble, choose
from zcbench.benchmarks.ranking.evidence import COVERED, SIZES
from zcbench.benchmarks.ranking.ranking import Ranking, rank
from zcbench.benchmarks.ranking.selection import Selection, select_ensemble
from zcbench.benchmarks.ranking.supervised import folds
from zcbench.benchmarks.scoring import bundled
from zcbench.benchmarks.scoring.choosing import KNOWN, choose_architectures  # noqa: F401, until all import it from there
from zcbench.benchmarks.scoring.merging import join
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.resamples import pool, seeds_of
from zcbench.errors import RankingError, unknown
from zcbench.proxies import REGISTRY
from zcbench.spaces import Space

UNSTATED = "user"  # what a truth from a file without a space says


def rank_run(
    run: str | Path,
    truths: Mapping[str, pd.DataFrame],
    *,
    batches: Sequence[str | Path] = (),
    beside: Sequence[str | Path] = (),
    subsets: Collection[str] | Mapping[str, Collection[str]] | None = None,
    ensembles: str | Sequence[str | Ensemble] = "all",
    **options: Any,
) -> Ranking:
    """Rank the proxies of a run, over all its architectures and over subsets of them.

    The subsets are those of the space (live, unique), and ``sample``, the architectures that every proxy was scored on,
    where some were scored on less than all.

    Args:
        run: folder of a run, packed file, or name of scores that ship with the package.
        truths: trained accuracies by name.
        batches: runs that differ from ``run`` in the batch alone; a proxy's value is its mean over all of them.
        beside: others, of whose proxies those that the run lacks are ranked too, on the architectures of the run.
        subsets: names of subsets, or the architectures of each by name; all that there are if omitted.
        ensembles: ``"all"`` named ones whose members were scored, ``"none"``, or names and formulas such as
            ``"az_nas,log_rank(macs,jacov)"``.
        options: of `zcbench.benchmarks.ranking.ranking.rank`: ``draws``, ``confidence``, ``k``, ``seed``, ``unit``,
            ``failures_last``, ``supervised``, ``supervised_train``.

    Raises:
        RankingError: the truth is of another space or of other architectures, or there are fewer than three.
        StoreError: there are no scores at ``run``.
        ProtocolError: scores to be ranked beside were made under a protocol that gives other numbers.
        UnknownNameError: there is a proxy that is not known here, nor described by the run; give its plug-in. An
            ensemble or subset is unknown.
    """
    runs = {str(one): bundled.load(one) for one in (run, *batches)}
    protocol, own, description = mine = pool(runs)
    others = {str(other): bundled.load(other) for other in beside}
    joined, parts = join(mine, others), runs | others
    scores = joined.scores
    space = spaces.get(protocol.space)
    archs = list(dict.fromkeys(scores["arch"]))
    check_truths(space, truths, archs)
    shape = (protocol.image_shape[0], protocol.image_shape[1], protocol.image_shape[2])
    about = directions(dict.fromkeys(map(str, scores["proxy"])), [made for _, _, made in parts.values()])
    return rank(
        scores,
        truths,
        space.costs(archs, num_classes=protocol.num_classes, image_shape=shape),
        clusters={arch: space.canonical(arch) for arch in archs},
        subsets=_chosen(_subsets(space, scores, archs, truths), subsets),
        directions={name: higher for name, (higher, _) in about.items()},
        kinds={name: kind for name, (_, kind) in about.items()},
        ensembles=choose(ensembles, {*REGISTRY.names(), *about}, about),
        notes=joined.notes,
        protocol={"scores": _card(protocol, own, description), **({"beside": joined.sources} if beside else {})},
        **options,
    )


def directions(names: Iterable[str], descriptions: Sequence[Mapping[str, Any]]) -> dict[str, tuple[bool, str]]:
    """Whether higher is better, and the kind of every proxy: as it is registered here, or else as the run noted it.

    Args:
        names: the proxies.
        descriptions: those of the runs and packed files that the scores are from.

    Raises:
        UnknownNameError: a proxy is known neither here nor there.
    """
    requests = [request for made in descriptions for request in made["requests"] if isinstance(request, Mapping)]
    noted: dict[str, tuple[bool, str]] = {}
    for request in requests:
        baselines = set(request.get("baselines", ()))
        for name, higher in dict(request.get("higher_is_better", {})).items():
            noted[name] = bool(higher), "baseline" if name in baselines else "proxy"
    return {name: noted[name] if name in noted and name not in REGISTRY else _registered(name) for name in names}


def _registered(name: str) -> tuple[bool, str]:
    item = REGISTRY.get(name)
    return item.higher_is_better, "baseline" if item.baseline else "proxy"


def _card(protocol: Protocol, scores: pd.DataFrame, description: Mapping[str, Any]) -> dict[str, Any]:
    """What was scored and how, for people; the truths and the way of ranking are added by the ranking itself."""
    last = description["requests"][-1] if description["requests"] else {}
    origins = [request.get("notes", {}).get("architectures") for request in description["requests"]]
    return {
        "architectures": "; ".join(dict.fromkeys(filter(None, origins))) or f"{scores['arch'].nunique()} architectures",
        **({"images": last["notes"]["images"]} if "images" in last.get("notes", {}) else {}),
        "init seeds": seeds_of(scores),
        **protocol.to_dict(),
        "batch normalisation": "training mode, statistics of the batch",
        "classes": "canonical forms of the space",
        "zcbench": last.get("zcbench", "unknown"),
        "machine": last.get("platform", "unknown"),
    }


def _subsets(
    space: Space, scores: pd.DataFrame, archs: list[str], truths: Mapping[str, pd.DataFrame]
) -> dict[str, list[str]]:
    """The subsets that hold at least three of ``archs`` that each truth knows."""
    members = {name: set(archs) if name == "all" else set(space.subset(name)) for name in space.subsets}
    tried = scores[["arch", "proxy"]].drop_duplicates().groupby("arch")["proxy"].size()
    if (lacking := tried < scores["proxy"].nunique()).any():
        members["sample"] = set(tried.index[~lacking])
    found = {name: [arch for arch in archs if arch in within] for name, within in members.items()}
    known = [set(truth["arch"]) for truth in truths.values()]
    enough = {name for name, own in found.items() if all(len(some.intersection(own)) >= 3 for some in known)}
    return {name: own for name, own in found.items() if name in enough or name == "all"}


def _chosen(
    subsets: dict[str, list[str]], names: Collection[str] | Mapping[str, Collection[str]] | None
) -> Mapping[str, Collection[str]]:
    if isinstance(names, Mapping):
        return names
    for name in names or ():
        if name not in subsets:
            raise unknown("subset of these scores", name, subsets)
    return subsets if names is None else {name: subsets[name] for name in names}


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


def require_enough(
    space: Space, truths: Mapping[str, pd.DataFrame], archs: Collection[str], learners: Collection[str]
) -> None:
    """Refuse regressions that would have too few accuracies to learn from; best before anything is scored.

    Raises:
        RankingError: as `zcbench.benchmarks.ranking.supervised.folds` says.
    """
    for truth in truths.values() if learners else ():
        known = sorted(set(truth["arch"]) & set(archs))
        folds(pd.Series([space.canonical(arch) for arch in known]))


def select_run(
    run: str | Path,
    truths: Mapping[str, pd.DataFrame],
    *,
    batches: Sequence[str | Path] = (),
    beside: Sequence[str | Path] = (),
    candidates: Collection[str] | None = None,
    max_members: int = 4,
    beam: int = 30,
    seed: int = 0,
    given: str | None = None,
    pick_from: int | None = None,
    draws: int = 1000,
) -> tuple[Selection, Ranking]:
    """Choose an ensemble on half of the architectures of a run, and rank it on the other half beside all else.

    Args:
        run: folder of a run, packed file, or name of scores that ship with the package.
        truths: trained accuracies by name.
        batches: runs on other batches, as in `rank_run`.
        beside: other scores, as in `rank_run`.
        candidates: proxies to choose from; by default those with a value for at least nine in ten of the architectures
            that every truth knows.
        max_members: largest ensemble.
        beam: ensembles of each size that the search carries on.
        seed: names the stream of the split.
        given: a size, such as ``params``, that is held fixed: partial tau-b is what the choice maximises.
        pick_from: architectures that a search would score: the accuracy of its pick is what the choice maximises.
        draws: bootstrap draws of the ranking.

    Returns:
        The selection, and a ranking with the subsets ``training`` and ``judging``, in which the best ensemble of every
        size stands beside the named ensembles and the proxies.

    Raises:
        UnknownNameError: ``given`` is no size.
        RankingError: as `rank_run` and `zcbench.benchmarks.ranking.selection.select_ensemble` say.
    """
    if given not in (None, *SIZES):
        raise unknown("size", str(given), SIZES)
    whole = rank_run(run, truths, batches=batches, beside=beside, subsets=("all",), ensembles="none", draws=1)
    single = whole.table.loc[whole.table["kind"] != "supervised", "proxy"].unique()
    share = whole.scores.loc[whole.accuracies.dropna().index, list(single)].notna().mean()
    able = share.index[share >= COVERED]
    space = spaces.get(whole.protocol["scores"]["space"])
    classes = pd.Series([space.canonical(arch) for arch in whole.scores.index], whole.scores.index)
    found = select_ensemble(
        whole.scores,
        whole.accuracies,
        classes,
        candidates=sorted(able if candidates is None else candidates),
        max_members=max_members,
        beam=beam,
        seed=seed,
        given=None if given is None else whole.sizes[given],
        pick_from=pick_from,
    )
    known = set(map(str, whole.scores))
    best = [f"log_rank({','.join(members)})" for members in found.trace["members"] if len(members) > 1]
    named = choose("all", known, known)
    ranking = rank_run(
        run,
        truths,
        batches=batches,
        beside=beside,
        subsets={"training": found.training, "judging": found.judging},
        ensembles=[*named, *best],
        draws=draws,
        unit="classes",  # whole classes were drawn for the halves
    )
    return found, ranking
