"""Values of a genome before training: its loss, and how well that ranks architectures of known accuracy."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from zcbench.benchmarks.scoring.choosing import KNOWN, choose_architectures
from zcbench.benchmarks.statistics import kendall, partial
from zcbench.benchmarks.truths.lookup import truth
from zcbench.distill.errors import MissingOutput
from zcbench.distill.outputs import Outputs, Shapes
from zcbench.distill.reading import Reader
from zcbench.distill.training.data.images import TrainingData
from zcbench.errors import ZcbenchError
from zcbench.kdzero.genome import Genome
from zcbench.search.algorithms.loop import SearchError
from zcbench.spaces import Space, get
from zcbench.storage.run_folder import Json
from zcbench.streams import seeded, torch_stream

PROXY_IMAGES = 64
"""Images on which losses at initialisation are taken."""

_FEWEST = 10  # architectures, fewest for a ranking
_OPTIONAL = ("embedding", "features")


class Untrained:
    """The teacher's outputs for one batch of training images, and those of untrained networks.

    Args:
        student: in training mode, as in the first step.
        teacher: in evaluation mode.
        data: the batch is drawn from its training images.
        seed: names the streams of that draw, of adapters and of what is random in a network.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, data: TrainingData, seed: int) -> None:
        chosen = torch.randperm(len(data), generator=torch_stream("own value", seed))[:PROXY_IMAGES]
        self._images, self._labels = data.images[chosen], data.labels[chosen]
        self._seed, self._classes, self._image_shape, self._task = seed, data.num_classes, data.image_shape, data.task
        self._network = student.to(self._images.device)
        self._student, self._teacher = self.outputs(student), self.outputs(teacher)

    @property
    def shapes(self) -> tuple[Shapes, Shapes]:
        """Of student and teacher: what a genome must fit."""
        return self._student.shapes, self._teacher.shapes

    def outputs(self, network: nn.Module) -> Outputs:
        """Every output that a genome may read and the network has."""
        with seeded("own value", self._seed):
            return _reader(network.to(self._images.device), self._images).without_gradient(self._images)

    def build(self, space: Space, arch: str) -> nn.Module:
        """An untrained network for these images, in training mode."""
        return space.build(arch, self._classes, self._seed, self._image_shape).train()

    def value(self, genome: Genome, student: Outputs | None = None) -> float:
        """Minus the loss of an untrained student, or of that with these outputs; NaN where there is none.

        This is the value of the genome as a proxy, ``kd:`` and its name, with the adapters that training would begin
        with.
        """
        with torch.no_grad():
            loss = self._loss(genome, self._student if student is None else student)
        return math.nan if loss is None else -loss.item()

    def signature(self, genome: Genome) -> Hashable:
        r"""What a genome does to the untrained student; equal for genomes that are one function there.

        Five digits each of the loss L and of :math:`\|\nabla L\|_1` and :math:`\|\nabla L\|_2`, the gradient being that
        for the student's weights. A genome without a finite loss is its own signature.
        """
        outputs, weights = self._differentiable
        loss = self._loss(genome, outputs)
        if loss is None or not loss.isfinite():
            return genome
        flows: tuple[Tensor | None, ...] = ()
        if loss.requires_grad:
            flows = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
        gradient = torch.cat([flow.flatten() for flow in flows if flow is not None] or [loss.new_zeros(1)])
        return tuple(f"{number.item():.4e}" for number in (loss, gradient.norm(1), gradient.norm(2)))

    @cached_property
    def _differentiable(self) -> tuple[Outputs, list[Tensor]]:
        """The student's outputs with their gradient, and the weights that it is for."""
        with seeded("own value", self._seed):
            return _reader(self._network, self._images)(self._images), list(self._network.parameters())

    def _loss(self, genome: Genome, student: Outputs) -> Tensor | None:
        """With the adapters that training would begin with; None where the genome has none for these outputs."""
        distiller = genome.distiller
        try:
            adapter = distiller.projectors(student.shapes, self._teacher.shapes, self._seed)
            moved = None if adapter is None else adapter.to(self._labels.device)
            (own,), (other,), rows = self._task.rows([student], [self._teacher], self._labels)
            return distiller(own, other, rows if distiller.uses_labels else None, adapter=moved)
        except ZcbenchError:
            return None


@dataclass(frozen=True)
class KnownAccuracies:
    """Architectures whose accuracy is known, by whose order candidates are pre-screened.

    Attributes:
        truth: where the accuracies are from.
        space: of the architectures.
        accuracies: percent, by architecture.

    Raises:
        SearchError: there are too few for a ranking.
    """

    truth: str
    space: Space
    accuracies: Mapping[str, float] = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.accuracies) < _FEWEST:
            raise SearchError(
                f"A ranking of {len(self.accuracies)} architectures of {self.truth} was asked for. Expected at least "
                f"{_FEWEST}; allow more, or name another truth."
            )

    @classmethod
    def read(
        cls,
        name: str,
        architectures: int,
        seed: int = 0,
        data_dir: str | Path | None = None,
        without: str | None = None,
    ) -> "KnownAccuracies":
        """A seeded sample of the architectures of a truth.

        Args:
            name: as in `zcbench.benchmarks.truths.lookup.truth`.
            architectures: at most so many.
            seed: of the sample.
            data_dir: where to look.
            without: an architecture that is left out, and with it all that are the same network: the student, whose own
                accuracy must not choose its distiller.

        Raises:
            SearchError: there are too few.
            UnknownNameError: no such truth, or no such space, is known.
            DataError: the truth is not here.
        """
        table = truth(name, data_dir)
        space = get(table.networks)
        measured = table.dropna(subset="accuracy")
        if without is not None and without in space:
            own = space.canonical(without)
            measured = measured[[space.canonical(str(arch)) != own for arch in measured["arch"]]]
        wanted = "all" if architectures >= len(measured) else str(architectures)
        archs, _ = choose_architectures(space, wanted, KNOWN, seed, {name: measured})
        accuracies = measured.set_index("arch")["accuracy"]
        return cls(name, space, {arch: float(accuracies[arch]) for arch in archs})

    def to_dict(self) -> Json:
        """Truth, space and number of architectures, ready for JSON."""
        return {"truth": self.truth, "space": self.space.spec, "architectures": len(self.accuracies)}


class RankingValue:
    r"""How well a genome, as a proxy, ranks architectures of known accuracy beyond what their size does.

    .. math::  \tau(-L, y \mid p) = \frac{\tau_{Ly} - \tau_{Lp} \tau_{yp}}
               {\sqrt{(1 - \tau_{Lp}^2)(1 - \tau_{yp}^2)}}

    Kendall's partial tau between minus the loss at initialisation and the accuracy, given the number of parameters.
    Each network is built for the images of the search, whatever images its accuracy is of, and its outputs are computed
    once; after that a genome costs its loss alone.

    Args:
        untrained: teacher and batch.
        known: the architectures.
    """

    def __init__(self, untrained: Untrained, known: KnownAccuracies) -> None:
        self._untrained, self._known = untrained, known

    def __call__(self, genome: Genome) -> float:
        """From -1 to 1, higher is better; NaN where the genome has no loss for one of the networks."""
        values = np.array([self._untrained.value(genome, outputs) for outputs in self._outputs])
        if not np.isfinite(values).all():
            return math.nan
        accuracies = np.array(list(self._known.accuracies.values()))
        return partial(kendall(values, accuracies), kendall(values, self._params), kendall(accuracies, self._params))

    @cached_property
    def _outputs(self) -> list[Outputs]:
        build = self._untrained.build
        return [self._untrained.outputs(build(self._known.space, arch)) for arch in self._known.accuracies]

    @cached_property
    def _params(self) -> np.ndarray:
        return self._known.space.costs(list(self._known.accuracies))["params"].to_numpy(float)


def _reader(network: nn.Module, images: Tensor) -> Reader:
    """Of every output that the network has."""
    there = {"logits"}
    for name in _OPTIONAL:
        try:
            Reader(network, frozenset({name}), "float32", images[:1]).without_gradient(images[:2])
            there.add(name)
        except MissingOutput:
            continue
    return Reader(network, frozenset(there), "float32", images[:1])
