"""One unit of a scoring run: build a network, score it in one shared pass."""

import math
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zcbench import proxies
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.rows import Row
from zcbench.errors import ProtocolError, ZcbenchError, told
from zcbench.plugins import load_file
from zcbench.proxies import NetworkCosts, Proxy, Score
from zcbench.proxies.scoring.evaluation import status_of
from zcbench.runtime.crew import OUT_OF_MEMORY
from zcbench.runtime.devices import exact_kernels, own_device
from zcbench.runtime.memory import give_back, keep_freed


class Unit(NamedTuple):
    """One network to score: the proxies share its passes."""

    arch: str
    seed: int
    proxies: tuple[str, ...]
    costs: NetworkCosts | None = None

    def split(self, apart: Container[str] | None = None) -> Iterator["Unit"]:
        """Units of the other proxies together, and of each proxy in ``apart`` by itself; of all if it is None."""
        alone = [name for name in self.proxies if apart is None or name in apart]
        if together := tuple(name for name in self.proxies if name not in alone):
            yield self._replace(proxies=together)
        yield from (self._replace(proxies=(name,)) for name in alone)


@dataclass(frozen=True)
class ScoringJob:
    """What all units of a run have in common; sent once to each worker.

    Attributes:
        conditions: under which everything is scored.
        proxies: by name where the registry of a worker has them.
        plugins: Python files that define proxies, loaded in every worker.
        timeout: seconds that a pass or a proxy may take.
        contents: fingerprints of the proxies of plug-ins.
    """

    conditions: Conditions
    proxies: tuple[str | Proxy, ...]
    plugins: tuple[str, ...] = ()
    timeout: float | None = None
    contents: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """Files other than plug-ins that it names."""
        return [] if self.conditions.teacher is None else self.conditions.teacher.files


class Scorer:
    """Scores units of one job; a score depends on nothing that was scored before."""

    def __init__(self, job: ScoringJob) -> None:
        self._job = job
        for plugin in job.plugins:
            load_file(plugin)
        self._proxies = {proxy.name: proxy for proxy in proxies.resolve(job.proxies)}
        self._teachers: dict[str, proxies.TeacherSignals | None] = {}
        self._check_contents()
        self._conditions = made = job.conditions
        self._layout = torch.channels_last if made.layout == "channels_last" else torch.contiguous_format
        self._device = own_device(made.device)
        images = made.batch.images.to(torch.device(self._device), getattr(torch, made.dtype))
        if isinstance(images, Tensor) and images.ndim == 4:
            images = images.contiguous(memory_format=self._layout)
        self._batch = replace(made.batch, images=images, labels=made.batch.labels.to(images.device))

    def _check_contents(self) -> None:
        for name, sha256 in self._job.contents.items():
            if self._proxies[name].content != sha256:
                raise ProtocolError(
                    f"The proxy {name!r} was edited while the run was at work. The scores so far are kept; start the "
                    f"run again, with another version of the proxy."
                )

    def __call__(self, unit: Unit) -> list[Row]:
        """One row per proxy of ``unit``; a failure is a row.

        Raises:
            ZcbenchError: the job cannot be carried out, such as images that do not fit the networks.
        """
        chosen = [self._proxies[name] for name in unit.proxies]
        try:
            with exact_kernels(self._device):
                rows = [_row(unit, score) for score in self._evaluate(unit, chosen)]
        except ZcbenchError:  # the proxies' own are rows already: this one is about the request
            raise
        except Exception as error:  # the network itself cannot be built
            rows = failed(unit, chosen, status_of(error), told(error))
        finally:
            give_back()
        if self._device != "cpu" and any(row.status == OUT_OF_MEMORY for row in rows):
            torch.cuda.empty_cache()  # what this process keeps is lacking to others on the same GPU
        return rows

    def _evaluate(self, unit: Unit, chosen: list[Proxy]) -> list[Score]:
        conditions, built = self._conditions, proxies.needs_network(chosen)
        return proxies.evaluate(
            self._placed(conditions.build(unit.arch, unit.seed)) if built else None,
            self._batch,
            chosen,
            teacher=self._teacher(unit.arch) if any(proxy.needs_teacher for proxy in chosen) else None,
            output=conditions.output,
            loss=conditions.loss,
            costs=unit.costs,
            thin=partial(conditions.space.thin, unit.arch, seed=unit.seed, init=conditions.init),
            seed=unit.seed,
            timeout=self._job.timeout,
        )

    def _teacher(self, arch: str) -> proxies.TeacherSignals | None:
        """The teacher of an architecture; the last one is kept, which is that of all but in a space of pairs."""
        name = self._conditions.space.teacher_of(arch)
        if name not in self._teachers:
            choice, network = self._conditions.teacher, self._conditions.build_teacher(arch)
            made = None if choice is None or network is None else self._placed(network)
            self._teachers = {
                name: None
                if made is None or choice is None
                else proxies.TeacherSignals(made, choice.seed, self._conditions.output)
            }
        return self._teachers[name]

    def _placed(self, network: nn.Module) -> nn.Module:
        images = self._batch.images
        return network.to(images.device, images.dtype).to(memory_format=self._layout)  # type: ignore[call-overload]


def prepare(job: ScoringJob) -> Scorer:
    """Make the present process a worker for ``job``: one thread, and memory that is kept from network to network."""
    torch.set_num_threads(1)
    keep_freed()
    return Scorer(job)


def failed(unit: Unit, chosen: list[Proxy], status: str, reason: str) -> list[Row]:
    """Rows that say of every proxy of ``unit`` that it failed alike."""
    return [Row(unit.arch, proxy.name, proxy.version, unit.seed, None, status, reason, 0.0) for proxy in chosen]


def _row(unit: Unit, score: Score) -> Row:
    value = None if math.isnan(score.value) else score.value
    return Row(unit.arch, score.proxy, score.version, unit.seed, value, score.status, score.reason, score.seconds)
