"""Merging of the scores of several runs: which fields must be equal, which may differ, and the order of precedence."""

from dataclasses import dataclass, replace

import pandas as pd

from zcbench.benchmarks.scoring.definitions import agreed_networks
from zcbench.benchmarks.scoring.packing import Scores
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.errors import ProtocolError

#: Fields that change the numbers: runs that differ here are never merged. The fingerprint identifies the batch.
ESSENTIAL = (
    *("space", "space_sha256", "dataset", "batch_sha256"),
    *("image_shape", "num_classes", "init", "dtype", "schema"),
)
#: Fields that only proxies with a teacher depend on.
TEACHER = (
    *("teacher", "teacher_space", "teacher_space_sha256", "teacher_seed", "teacher_init"),
    *("teacher_file_sha256", "teacher_checkpoint_sha256"),
)
#: Fields that may change the last digits: stated, not refused.
ROUNDING = ("torch", "device", "layout")


@dataclass(frozen=True)
class JoinedSource:
    """Scores that were taken from another run.

    Attributes:
        proxies: their versions, by name.
        seeds: all of their seeds.
        left_out: why the other proxies of that run were left out, by name.
        differences: fields in which its protocol differs.
    """

    proxies: dict[str, int]
    seeds: list[int]
    left_out: dict[str, str]
    differences: list[str]

    def to_json(self) -> dict[str, object]:
        """For the protocol of a ranking."""
        return {
            "proxies": self.proxies,
            "seeds": self.seeds,
            "left out": self.left_out,
            "differences": self.differences,
        }


@dataclass(frozen=True)
class Joined:
    """Scores of a run and, on its architectures, those of proxies that only others have.

    Attributes:
        scores: the rows of all.
        notes: per proxy that is not the run's own, where it is from.
        sources: per other run, what was taken from it.
    """

    scores: pd.DataFrame
    notes: dict[str, str]
    sources: dict[str, JoinedSource]


def join(mine: Scores, others: dict[str, Scores]) -> Joined:
    """The run's own scores, and on its architectures those of every proxy that it lacks.

    The run has precedence, whatever the version, then the others in their order. A proxy that needs a teacher is taken
    only from runs with the same teacher.

    Args:
        mine: the run, as `zcbench.benchmarks.scoring.folder.load_run` gives it.
        others: the others by name.

    Raises:
        ProtocolError: one differs in what its scores depend on; the message lists each differing field, or the
            network.
        UnknownNameError: one has a proxy that is not known here; give its plug-in.
    """
    agreed_networks({"the run": mine[2]} | {name: other[2] for name, other in others.items()})
    joined = Joined(mine[1], {}, {})
    for name, other in others.items():
        joined = _with(joined, mine[0], name, other)
    return joined


def _with(joined: Joined, protocol: Protocol, name: str, other: Scores) -> Joined:
    theirs, frame, _ = other
    differing = protocol.differences(theirs, ESSENTIAL)
    if protocol.batch_sha256 != theirs.batch_sha256:
        differing += protocol.differences(theirs, ("batch",))
    if differing:
        raise ProtocolError(
            f"The scores of {name!r} cannot be merged with these: {'; '.join(differing)} (these → {name}). Expected "
            f"scores made alike; score these architectures the other way, or leave out --beside {name}."
        )
    teacher = protocol.differences(theirs, TEACHER)
    versions = frame.groupby("proxy")["version"].max()
    own = joined.scores.groupby("proxy")["version"].max()
    both = versions.index.intersection(own.index)
    left = {str(p): f"here at version {own[p]} already, theirs is {versions[p]}" for p in both}
    if teacher:
        from zcbench.proxies import REGISTRY  # imports PyTorch, which most rankings do without

        left |= {str(p): "another teacher" for p in versions.index if p not in own and REGISTRY.get(p).needs_teacher}
    rows = frame[~frame["proxy"].isin(list(left)) & frame["arch"].isin(set(joined.scores["arch"]))]
    taken = {str(p): int(v) for p, v in versions.items() if p in set(rows["proxy"])}
    differences = [*protocol.differences(theirs, ROUNDING), *teacher]
    source = JoinedSource(taken, sorted(set(rows["seed"].tolist())), left, differences)
    return replace(
        joined,
        scores=pd.concat([joined.scores, rows], ignore_index=True),
        notes=joined.notes | dict.fromkeys(taken, f"from {name}"),
        sources=joined.sources | {name: source},
    )
