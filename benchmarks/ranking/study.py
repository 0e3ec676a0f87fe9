"""How a finished run is ranked."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from zcbench import spaces
from zcbench.benchmarks.ranking.ensembles import Ensemble, choose
from zcbench.benchmarks.ranking.evidence import ProxyFacts
from zcbench.benchmarks.ranking.options import RankingOptions
from zcbench.benchmarks.ranking.ranking import rank
from zcbench.benchmarks.ranking.result import Ranking
from zcbench.benchmarks.ranking.selection import Selection, SelectionOptions, select_ensemble
from zcbench.benchmarks.ranking.sizes import COVERED
from zcbench.benchmarks.ranking.supervised import folds
from zcbench.benchmarks.scoring import bundled
from zcbench.benchmarks.scoring.merging import join
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.resamples import pool, seeds_of
from zcbench.errors import RankingError, UnknownNameError, unknown
from zcbench.proxies.scoring.cards import ProxyCard, card, cards
from zcbench.spaces import Space
from zcbench.spaces.registry import DENSE

UNSTATED = "user"  # space of a truth from a file that names none


def rank_run(
    run: str | Path,
    truths: Mapping[str, pd.DataFrame],
    *,
    batches: Sequence[str | Path] = (),
    beside: Sequence[str | Path] = (),
    archs: Collection[str] | None = None,
    subsets: Collection[str] | Mapping[str, Collection[str]] | None = None,
    ensembles: str | Sequence[str | Ensemble] = "all",
    options: RankingOptions | None = None,
    **fields: object,
) -> Ranking:
    """Rank the proxies of a run, over all its architectures and over subsets of them.

    The subsets are those of the space (live, unique), and ``sample``, the architectures that every proxy was scored on,
    where some were scored on less than all.

    Args:
        run: folder of a run, packed file, or name of bundled scores.
        truths: trained accuracies by name.
        batches: runs that differ from ``run`` in the batch alone; a proxy's value is its mean over all of them.
        beside: other scores, merged with those of the run: on its architectures, of the proxies that it lacks.
        archs: the only architectures that count; all of the run if omitted.
        subsets: names of subsets, or the architectures of each by name; all that there are if omitted.
        ensembles: ``"all"`` named ones whose members were scored, ``"none"``, or names and formulas such as
            ``"az_nas,log_rank(macs,jacov)"``.
        options: how scores are compared with accuracies; the default ones if omitted.
        fields: other values of fields of ``options``, such as ``draws=200``.

    Raises:
        RankingError: the truth is of another space or of other architectures, or there are fewer than three.
        StoreError: there are no scores at ``run``.
        ProtocolError: scores to be merged were made under a protocol that gives other numbers, or the plug-in of
            the space was edited.
        UnknownNameError: the space is not known here, or there is a proxy that is neither known here nor described by
            the run; give its plug-in. An ensemble or subset is unknown.
    """
    runs = {str(one): bundled.load(one) for one in (run, *batches)}
    protocol, own, description = mine = pool(runs)
    others = {str(other): bundled.load(other) for other in beside}
    joined, parts = join(mine, others), runs | others
    scores = joined.scores if archs is None else joined.scores[joined.scores["arch"].isin(list(archs))]
    space = space_of(protocol, str(run), description)
    archs = list(map(str, scores["arch"].unique()))
    check_truths(space, truths, archs)
    taken = {name: source.to_json() for name, source in joined.sources.items()}
    facts = known_facts(list(map(str, scores["proxy"].unique())), [made for _, _, made in parts.values()])
    return rank(
        scores,
        truths,
        space.costs(archs, num_classes=protocol.num_classes, image_shape=protocol.image_shape),
        clusters={arch: space.canonical(arch) for arch in archs},
        subsets=subsets if isinstance(subsets, Mapping) else _subsets(space, scores, archs, truths, subsets),
        facts={name: replace(known, note=joined.notes.get(name, "")) for name, known in facts.items()},
        ensembles=choose(ensembles, {*cards()[0], *cards()[1], *facts}, facts),
        options=RankingOptions.of(options, fields),
        protocol={"scores": _card(protocol, own, description), **({"beside": taken} if beside else {})},
    )


def space_of(protocol: Protocol, run: str, description: Mapping[str, Any]) -> Space:
    """The space that the scores of ``run`` are of, in the version that they were made with.

    Of networks of one's own the run has the names and the sizes.

    Raises:
        UnknownNameError: a plug-in defines the space, and it is not loaded.
        ProtocolError: the plug-in was edited.
    """
    requests: Iterable[Any] = description["requests"]
    if cards := description.get("networks"):
        from zcbench.spaces.networks import KnownNetworks, NetworkCard  # import PyTorch

        return KnownNetworks(cards, {name: NetworkCard.from_json(card) for name, card in cards.items()})
    name = protocol.space.partition("(")[0]
    if name != DENSE and name not in spaces.SPACES:
        used = [request.get("plugins") or () for request in requests if isinstance(request, Mapping)]
        files = dict.fromkeys(f"--plugin {file}" for plugins in used for file in plugins)
        raise UnknownNameError(
            f"The scores {run!r} are of the space {protocol.space}, which a plug-in defines and nothing here does. "
            f"Expected the plug-in that they were made with; give it as {' '.join(files) or '--plugin FILE.py'}."
        )
    space = spaces.get(protocol.space)
    protocol.require_code(space, run)
    return space


def known_facts(names: Iterable[str], descriptions: Sequence[Mapping[str, Any]]) -> dict[str, ProxyFacts]:
    """Direction and kind of every proxy: as it is registered, or else as the run recorded it.

    Args:
        names: the proxies.
        descriptions: those of the runs and packed files that the scores are from.

    Raises:
        UnknownNameError: a proxy is neither registered nor described by a run.
    """
    requests = [request for made in descriptions for request in made["requests"] if isinstance(request, Mapping)]
    noted: dict[str, ProxyFacts] = {}
    for request in requests:
        baselines = set(request.get("baselines", ()))
        for name, higher in dict(request.get("higher_is_better", {})).items():
            noted[name] = ProxyFacts(bool(higher), "baseline" if name in baselines else "proxy")
    known = cards()[0]  # once: each call reads the entry points of all installed packages
    return {name: _registered(name, known.get(name), noted.get(name)) for name in names}


def _registered(name: str, known: ProxyCard | None, noted: ProxyFacts | None) -> ProxyFacts:
    """Facts of a proxy that is known here; those of the run for another one."""
    try:
        known = known or card(name)
    except UnknownNameError:
        if noted is None:
            raise
        return noted
    return ProxyFacts(known.higher_is_better, "baseline" if known.baseline else "proxy")


def _card(protocol: Protocol, scores: pd.DataFrame, description: Mapping[str, Any]) -> dict[str, Any]:
    """Protocol of the scores; `rank` adds the truths and its options."""
    last = description["requests"][-1] if description["requests"] else {}
    origins = [request.get("notes", {}).get("architectures") for request in description["requests"]]
    return {
        "architectures": "; ".join(dict.fromkeys(filter(None, origins))) or f"{scores['arch'].nunique()} architectures",
        **({"images": last["notes"]["images"]} if "images" in last.get("notes", {}) else {}),
        "init seeds": seeds_of(scores),
        **_networks(description.get("networks", {})),
        **protocol.to_dict(),
        "batch normalisation": "training mode, statistics of the batch",
        "classes": "canonical forms of the space",
        "zcbench": last.get("zcbench", "unknown"),
        "machine": last.get("platform", "unknown"),
    }


def _networks(cards: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Entry of the protocol about networks of one's own; empty without such."""
    drawn = sum(bool(card["drawn"]) for card in cards.values())
    parts = {"made by functions, anew for each seed": drawn, "as they were given, with one seed": len(cards) - drawn}
    return {"networks": ", ".join(f"{n} {what}" for what, n in parts.items() if n)} if cards else {}


def _subsets(
    space: Space,
    scores: pd.DataFrame,
    archs: list[str],
    truths: Mapping[str, pd.DataFrame],
    names: Collection[str] | None = None,
) -> dict[str, list[str]]:
    """The subsets that hold at least three of ``archs`` in each truth: all, or those that are named."""
    every = space.subsets if names is None else [name for name in space.subsets if name in names]
    members = {name: set(archs) if name == "all" else set(space.subset(name)) for name in every}
    tried = scores[["arch", "proxy"]].drop_duplicates().groupby("arch")["proxy"].size()
    if (lacking := tried < scores["proxy"].nunique()).any():
        members["sample"] = set(tried.index[~lacking])
    found = {name: [arch for arch in archs if arch in within] for name, within in members.items()}
    known = [set(truth["arch"]) for truth in truths.values()]
    enough = {name for name, own in found.items() if all(len(some.intersection(own)) >= 3 for some in known)}
    usable = {name: own for name, own in found.items() if name in enough or name == "all"}
    for name in names or ():
        if name not in usable:
            raise unknown("subset of these scores", name, _subsets(space, scores, archs, truths))
    return usable if names is None else {name: usable[name] for name in names}


def check_truths(space: Space, truths: Mapping[str, pd.DataFrame], archs: Collection[str]) -> None:
    """Check, before anything is scored, that every truth is of the space and has at least three of ``archs``.

    Raises:
        RankingError: one is not, or has not.
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
    """Check, before anything is scored, that the regressions have enough accuracies to learn from.

    Raises:
        RankingError: they have not, as in `zcbench.benchmarks.ranking.supervised.folds`.
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
    options: SelectionOptions | None = None,
    draws: int = 0,
) -> tuple[Selection, Ranking]:
    """Choose an ensemble on half of the architectures of a run, and rank it on the other half with all other scores.

    Args:
        run: folder of a run, packed file, or name of bundled scores.
        truths: trained accuracies by name.
        batches: runs on other batches, as in `rank_run`.
        beside: other scores, as in `rank_run`.
        options: what to choose from, and by which criterion; without ``candidates`` they are the proxies with a value
            for at least nine in ten of the architectures in every truth.
        draws: bootstrap draws of the ranking; 0 for intervals of the delta method.

    Returns:
        The selection, and a ranking with the subsets ``training`` and ``judging``, which has the best ensemble of every
        size, the named ensembles and the proxies.

    Raises:
        RankingError: as in `rank_run` and `zcbench.benchmarks.ranking.selection.select_ensemble`.
    """
    whole = rank_run(run, truths, batches=batches, beside=beside, subsets=("all",), ensembles="none")
    share = whole.scores.loc[whole.accuracies.dropna().index].notna().mean()
    able = tuple(map(str, share.index[share >= COVERED]))
    protocol, _, description = bundled.load(run)
    space = space_of(protocol, str(run), description)
    classes = pd.Series([space.canonical(arch) for arch in whole.scores.index], whole.scores.index)
    chosen = options or SelectionOptions()
    chosen = chosen if chosen.candidates is not None else replace(chosen, candidates=able)
    found = select_ensemble(whole.scores, whole.accuracies, classes, chosen, whole.sizes)
    known = set(map(str, whole.scores))
    best = [f"{found.options.rule}({','.join(members)})" for members in found.trace["members"] if len(members) > 1]
    ranking = rank_run(
        run,
        truths,
        batches=batches,
        beside=beside,
        subsets={"training": found.training, "judging": found.judging},
        ensembles=[*choose("all", known, known), *best],
        options=RankingOptions(draws=draws, unit="classes"),  # whole classes were drawn for the halves
    )
    return found, ranking
