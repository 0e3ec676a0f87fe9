"""Records of a leaderboard: a benchmark, and the entry of one proxy on it; each is one JSON file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from zcbench import spaces
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.errors import DataError
from zcbench.storage.run_folder import Json, plain

SCHEMA = 1
"""Version of the files; another one is refused."""

WHOLE = "all"
"""What a benchmark has in place of a list, where it has every architecture of its space."""

STATISTICS = (
    *("n", "coverage", "tau", "tau_low", "tau_high", "rho", "rho_low", "rho_high"),
    *("tau_given_params", "tau_given_macs", "rho_given_sizes"),
    *("tau_given_all", "tau_given_all_low", "tau_given_all_high", "tau_given_all_flexible"),
    *("tau_top10", "precision_at_k", "regret", "regret_at_size", "regret_at_size_random"),
    *("reliability", "tau_sd_seeds", "seconds"),
)
"""Columns of a ranking that an entry keeps, as far as the ranking has them."""


@dataclass(frozen=True)
class Record:
    """A JSON object with a version."""

    def to_json(self) -> Json:
        """Content of the file."""
        return {"schema": SCHEMA, **plain(asdict(self))}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], file: str) -> Self:
        """Inverse of `to_json`.

        Raises:
            DataError: another version, or a field is missing or unknown.
        """
        if content.get("schema") != SCHEMA:
            raise DataError(
                f"{file} has the schema {content.get('schema')!r}. Expected {SCHEMA}, that of this version of zcbench; "
                f"write the file again with 'zcbench leaderboard add'."
            )
        names, given = {one.name for one in fields(cls)}, set(content) - {"schema"}
        if odd := sorted(names ^ given):
            state = "lacks" if odd[0] in names else "has the unknown field"
            raise DataError(f"{file} {state} {odd[0]!r}. Expected the fields {', '.join(sorted(names))}.")
        return cls(**{name: content[name] for name in names})


@dataclass(frozen=True)
class Benchmark(Record):
    """Architectures, accuracies and conditions that proxies are compared under.

    Attributes:
        name: such as ``nasbench201-1000.cifar100``; also its place in the folder.
        truth: name of the accuracies, or the CSV file beside the benchmark.
        group: benchmarks of one group are averaged; the space without its options.
        archs: list of architectures, or `WHOLE`.
        seeds: initialisations that every architecture is scored with.
        dataset: data set with options, as ``--dataset`` takes it.
        protocol: of all scores; the version of PyTorch may differ between entries.
        sizes: `STATISTICS` of each size baseline.
    """

    name: str
    truth: str
    group: str
    archs: list[str] | str
    seeds: list[int]
    dataset: str
    protocol: Json
    sizes: dict[str, dict[str, float | None]]

    def conditions(self) -> Protocol:
        """Protocol of the scores.

        Raises:
            ProtocolError: it is not of this version.
        """
        return Protocol.from_json(json.dumps(self.protocol))

    def architectures(self) -> list[str]:
        """Every architecture, in the order of the space."""
        return list(spaces.get(self.protocol["space"])) if self.archs == WHOLE else list(self.archs)

    def require(self, protocol: Protocol, place: str) -> None:
        """Refuse scores of another protocol; the build of PyTorch and the machine may differ.

        Raises:
            ProtocolError: the message lists each differing field.
        """
        mine = self.conditions()
        mine.require_equal(replace(protocol, torch=mine.torch), f"the benchmark {self.name}, which {place} is for")


@dataclass(frozen=True)
class Entry(Record):
    """What one proxy reaches on one benchmark.

    Attributes:
        benchmark: name of the benchmark.
        proxy: name of the proxy.
        version: its version.
        kind: ``"proxy"`` or ``"ensemble"``.
        higher_is_better: direction of the raw score.
        source: its paper, as the proxy declares it; empty for one of a plug-in that does not say.
        scores: packed file, relative to the folder of the board, or ``bundled:NAME``.
        scores_sha256: fingerprint of the scores.
        plugin: file in the folder ``submissions`` that defines the proxy; None for one of zcbench.
        plugin_sha256: fingerprint of the definition of the proxy, as the scores record it.
        conformance: the checks of the contract: name, whether it passed, details.
        result: `STATISTICS`; None where undefined.
        best_size: size baseline of the highest tau.
        difference: tau minus that of ``best_size`` over the same architectures, and the ends of its interval.
        zcbench: version that made the entry.
        torch: version and build that made the scores.
        added: date, ``YYYY-MM-DD``.
        verified: date, number of architectures that were scored again, and the largest deviation; None until then.
        history: earlier versions: ``version, added, tau``.
    """

    benchmark: str
    proxy: str
    version: int
    kind: str
    higher_is_better: bool
    source: str
    scores: str
    scores_sha256: str
    plugin: str | None
    plugin_sha256: str | None
    conformance: list[Json]
    result: dict[str, float | None]
    best_size: str
    difference: list[float | None]
    zcbench: str
    torch: str
    added: str
    verified: Json | None = None
    history: list[Json] = field(default_factory=list)

    @property
    def beats_size(self) -> bool | None:
        """Whether the interval of ``difference`` is above 0; None where it is undefined."""
        low = self.difference[1]
        return None if low is None else low > 0
