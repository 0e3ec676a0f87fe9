"""What ``zcbench score`` does: all proxies of one network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from zcbench.benchmarks.scoring.conditions import prepare
from zcbench.benchmarks.scoring.options import NO_TEACHER, Setup
from zcbench.benchmarks.scoring.worker import Scorer, ScoringJob, Unit
from zcbench.plugins import load_file
from zcbench.proxies import resolve
from zcbench.references import Reference
from zcbench.spaces import Networks
from zcbench.spaces.networks.reading import read_network
from zcbench.spaces.networks.sources import Source
from zcbench.workflows.choosing import Proxies, chosen_proxies

NETWORK = "network"


class ProxyScore(NamedTuple):
    """One proxy of the network.

    Attributes:
        proxy: its name.
        version: of its definition.
        value: the score; NaN unless the status is ``ok``.
        status: ``ok``, or why there is no value, see `zcbench.proxies.evaluate`.
        reason: of a status that is not ``ok``.
        seconds: of the proxy and the passes that it needs.
        higher_is_better: its direction.
        baseline: whether it is a size.
    """

    proxy: str
    version: int
    value: float
    status: str
    reason: str
    seconds: float
    higher_is_better: bool
    baseline: bool


@dataclass(frozen=True)
class NetworkScores:
    """Scores of one network.

    Attributes:
        network: its name.
        batch: inputs that it was scored on.
        scores: one for each proxy, in the order asked for.
        left_out: proxies that a pattern asks for and that cannot be computed, and why.
    """

    network: str
    batch: str
    scores: list[ProxyScore]
    left_out: dict[str, str]


def score_network(
    network: Source | str,
    setup: Setup | None = None,
    proxies: Proxies = "all",
    seed: int = 0,
    *,
    timeout: float | None = None,
    plugins: Sequence[str | Path] = (),
) -> NetworkScores:
    """Score one network as `bench` scores networks of one's own, with a status for each proxy.

    Args:
        network: a module, a function without arguments that makes one, or the text ``FILE.py:NAME`` for either.
        setup: images or batch, teacher, output, loss, type and device; CIFAR-10 and no teacher if None.
        proxies: names and patterns as ``"az_*,-grasp"``, in one text with commas, or a list of such and of `Proxy`
            objects.
        seed: of the initialisation, and of what is random in a proxy.
        timeout: seconds that a pass or a proxy may take.
        plugins: Python files that define proxies.

    Raises:
        PluginError, UnknownNameError: the file cannot be read, or has no such name.
        SpaceError: it is no network, or does not take the inputs.
        BatchError: labels and output fit no loss.
        UnknownNameError: a proxy that nobody knows.

    Example:
        >>> import zcbench
        >>> network, (images, labels) = zcbench.proxies.example()
        >>> setup = Setup(dataset=zcbench.datasets.Batch.from_tensors(images, labels))
        >>> [(one.proxy, one.status) for one in score_network(network, setup, "synflow,naswot").scores]
        [('synflow', 'ok'), ('naswot', 'ok')]
    """
    for plugin in plugins:
        load_file(plugin)
    source = read_network(network) if isinstance(network, str | Reference) else network
    name = network.rpartition(":")[2] if isinstance(network, str) else NETWORK
    given = setup or Setup()
    asked = replace(given, space=Networks({name: source}), teacher=given.teacher or NO_TEACHER)
    chosen, left = chosen_proxies(proxies, asked)
    job = ScoringJob(prepare(asked, chosen), tuple(chosen), tuple(map(str, plugins)), timeout)
    known = {proxy.name: proxy for proxy in resolve(chosen)}
    rows = Scorer(job)(Unit(name, seed, tuple(known)))
    scores = [
        ProxyScore(
            row.proxy,
            row.version,
            float("nan") if row.value is None else row.value,
            row.status,
            row.reason,
            row.seconds,
            known[row.proxy].higher_is_better,
            known[row.proxy].baseline,
        )
        for row in rows
    ]
    return NetworkScores(name, job.conditions.batch.description, scores, left)
