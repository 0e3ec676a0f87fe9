"""The objective of a training: a weighted sum of cross-entropy and distillation losses."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from zcbench.distill.contract import Distiller, get
from zcbench.distill.errors import RecipeError, WeightError
from zcbench.distill.frames.learned import LearnedPairing, look_ahead
from zcbench.distill.frames.reading import framed
from zcbench.distill.functions import Loss, as_distillers
from zcbench.distill.outputs import Outputs, Shapes
from zcbench.distill.tasks import CLASSIFICATION, Task
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.matching import matched_outputs, matched_shapes
from zcbench.distill.training.mixing import agreed_shares
from zcbench.distill.training.recipe import BALANCED, NONE, Recipe
from zcbench.errors import ZcbenchError, nearest, unknown
from zcbench.streams import seeded

CE = "ce"

#: Weights of several teachers: equal, by the cross-entropy of each with the labels of the batch, or such that the mean
#: gradient is shortest.
MIXTURES = ("average", "adaptive", "gradient")


#: Outputs of a student, those of its teachers, and labels.
Given = tuple[Outputs, Sequence[Outputs], Tensor]


class TrainingObjective(nn.Module):
    r"""Cross-entropy with the labels plus distillation losses, each with its weight.

    .. math::  L = w_0 \operatorname{CE}(z^S, y) + \sum_i w_i \sum_k \alpha_k L_i(S, T_k)

    :math:`\alpha_k` is 1/K for K teachers (``average``), or ``adaptive``
    :math:`(1 - \mathrm{softmax}(\operatorname{CE}(z^{T}, y))_k) / (K - 1)` after Zhang et al., "Confidence-Aware
    Multi-Teacher Knowledge Distillation", ICASSP 2022, arXiv:2201.00007, eq. 4, with the mean of the batch where the
    paper has one weight per image, or ``gradient``: `agreed_shares` of each loss. The adapters of the losses are
    modules of this one, trained with the student.

    Args:
        distillers: losses by name, as objects or as plain functions, see `as_distillers`.
        weights: of ``ce`` and of the losses by name; see `default_weights` for those that are not given.
        label_smoothing: of the cross-entropy.
        mixture: one of `MIXTURES`.

    Raises:
        WeightError: a weight is negative or not finite, all are zero, or one is of no term.
        UnknownNameError: a distiller or mixture that is not known.
    """

    def __init__(
        self,
        distillers: Sequence[Loss] = (),
        weights: Mapping[str, float] | None = None,
        label_smoothing: float = 0.0,
        mixture: str = "average",
    ) -> None:
        super().__init__()
        if mixture not in MIXTURES:
            raise unknown("mixture of teachers", mixture, MIXTURES)
        self.distillers = as_distillers(distillers)
        self.weights = checked_weights([item.name for item in self.distillers], weights or {})
        self.mixture, self._smoothing = mixture, label_smoothing
        self._class_weights: Tensor | None = None
        self._auxiliary, self._seed = 0.0, 0
        self._task: Task = CLASSIFICATION
        self._adapters: list[list[nn.Module | None]] = []
        self.adapters = nn.ModuleList()

    @property
    def active(self) -> list[Distiller]:
        """The losses whose weight is not zero."""
        return [item for item in self.distillers if self.weights[item.name]]

    @property
    def reads(self) -> frozenset[str]:
        """The outputs that are read."""
        return frozenset({"logits"}.union(*(item.reads for item in self.active)))

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of what `forward` returns: the total, the cross-entropy, and each loss."""
        return ("loss", CE, *(item.name for item in self.active))

    def to_dict(self) -> dict[str, object]:
        """Weights by term, and the mixture; ready for JSON."""
        return {"weights": self.weights, "mixture": self.mixture}

    def adapt(self, student: Shapes, teachers: Sequence[Shapes], seed: int) -> None:
        """Build the adapters that the losses need between networks of these shapes.

        Where the numbers of stages differ, some of the larger number are left out, see `matched_stages`.
        """
        pairs, own = [matched_shapes(student, teacher) for teacher in teachers], [(student, student)]
        self._seed = seed
        self._adapters = [
            [item.projectors(*pair, seed) for pair in (own if item.alone else pairs)] for item in self.active
        ]
        self.adapters = nn.ModuleList(module for row in self._adapters for module in row if module is not None)

    def weigh(self, task: Task, classes: Tensor | None, auxiliary: float) -> None:
        """Set the task, the weights of the classes in its loss, ``(N,)``, and that of auxiliary heads next to it."""
        self._task, self._class_weights, self._auxiliary = task, classes, auxiliary

    def forward(self, student: Outputs, teachers: Sequence[Outputs], labels: Tensor) -> Tensor:
        """Total, cross-entropy and every loss, without their weights: ``(2 + number of losses,)``.

        The total contains the cross-entropy of auxiliary heads too.
        """
        ce = self._cross_entropy(student.logits, labels)
        taught = teachers or all(item.alone for item in self.active)
        terms = [ce, *self._losses(student, teachers, labels)] if taught else [ce]
        weights = [self.weights[name] for name in self.terms[1:]]
        total = sum((weight * term for weight, term in zip(weights, terms, strict=True)), ce.new_zeros(()))
        for head in student.auxiliary:
            total = total + self.weights[CE] * self._auxiliary * self._cross_entropy(head, labels)
        return torch.stack([total, *terms])

    def learn(self, student: nn.Module, read: Callable[[], Given], rate: float, step: int) -> None:
        """Train what the frames of the losses learn by a look-ahead, where one is due after this step.

        The student, its buffers and the global random generators are left as they are.

        Args:
            student: whose objective this is.
            read: runs it on the batch of the step and returns what `forward` takes.
            rate: learning rate of the step.
            step: its number, from 1.

        Raises:
            RecipeError: a function of the student or of a loss has no second derivative.
        """
        for place, (item, adapters) in enumerate(zip(self.active, self._adapters, strict=True), 2):
            due = [part for part in adapters if isinstance(part, LearnedPairing) and step % part.every == 0]
            if not due:
                continue

            def transfer(place: int = place, weight: float = self.weights[item.name]) -> Tensor:
                return weight * self(*read())[place]

            def label() -> Tensor:
                own, _, labels = read()
                return self._cross_entropy(own.logits, labels)

            meta = nn.ModuleList(part.meta for part in due)
            with seeded("look-ahead", self._seed, item.name, step):
                found = iter(look_ahead([student, self], meta, transfer, label, due[0].steps, rate))
            for part in due:
                part.learn([next(found) for _ in part.meta.parameters()])

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights = self._class_weights
        if weights is not None and len(weights) < logits.shape[1]:  # the network has classes without images
            weights = pad(weights, (0, logits.shape[1] - len(weights)), value=1.0)
        return self._task.loss(logits, labels, weights, self._smoothing)

    def _losses(self, student: Outputs, teachers: Sequence[Outputs], labels: Tensor) -> list[Tensor]:
        shares = self._shares(teachers, labels)
        seen = [self._task.compared(outputs, labels) for outputs in (student, *teachers)]
        (student, labels), *others = seen
        pairs = [matched_outputs(student, teacher) for teacher, _ in others]
        found = []
        for item, adapters in zip(self.active, self._adapters, strict=True):
            given, compared = labels if item.uses_labels else None, [(student, student)] if item.alone else pairs
            losses = [item(*pair, given, adapter=part) for pair, part in zip(compared, adapters, strict=True)]
            own: Sequence[Tensor | float] = [1.0] if item.alone else shares
            if self.mixture == "gradient" and not item.alone:
                read = item.reads - {"classifier"}
                own = agreed_shares(losses, [tensor for name in sorted(read) for tensor in student.read(name)])
            found.append(torch.stack([share * loss for share, loss in zip(own, losses, strict=True)]).sum())
        return found

    def _shares(self, teachers: Sequence[Outputs], labels: Tensor) -> list[Tensor | float]:
        count = len(teachers)
        if count < 2 or self.mixture != "adaptive":
            return [1 / count] * count if count else []
        errors = torch.stack([self._task.loss(teacher.logits.detach(), labels, None, 0.0) for teacher in teachers])
        return list((1 - errors.softmax(0)) / (count - 1))


def all_terms(
    objectives: Sequence[TrainingObjective], students: Sequence[Outputs], teachers: Sequence[Outputs], labels: Tensor
) -> Tensor:
    """Terms of each student under the teachers and under the other students, one row for each."""
    return torch.stack(
        [
            objective(own, [*teachers, *students[:index], *students[index + 1 :]], labels)
            for index, (objective, own) in enumerate(zip(objectives, students, strict=True))
        ]
    )


def class_weights(recipe: Recipe, data: TrainingSource) -> Tensor | None:
    """Weights of the classes in the cross-entropy, ``(K,)``, on the device of the images; None if all are equal.

    Raises:
        RecipeError: not one number for each class.
    """
    given = recipe.class_weights
    if given == NONE:
        return None
    if given == BALANCED:
        counts = torch.bincount(data.task.classes(data.training_labels().cpu()), minlength=data.num_classes).double()
        weights = (counts.sum() / (data.num_classes * counts)).where(counts > 0, torch.ones(()))
    else:
        weights = torch.tensor(given)
    if len(weights) != data.num_classes:
        raise RecipeError(
            f"Given {len(weights)} class_weights and {data.num_classes} classes. Expected one number for each class."
        )
    return weights.float().to(data.probe().device)


def default_weights(distillers: Sequence[str]) -> dict[str, float]:
    """Weights where none are given: 1 each; for ``kd`` alone .1 of the cross-entropy and .9 of the loss.

    The latter are those of Tian et al., "Contrastive Representation Distillation", ICLR 2020, arXiv:1910.10699, and of
    most comparisons since.
    """
    if [name.partition("(")[0] for name in distillers] == ["kd"]:
        return {CE: 0.1, distillers[0]: 0.9}
    return dict.fromkeys([CE, *distillers], 1.0)


def checked_weights(distillers: Sequence[str], given: Mapping[str, float]) -> dict[str, float]:
    """Weights of the cross-entropy and of every distiller, in their order.

    Raises:
        WeightError: as in `TrainingObjective`.
    """
    weights, named = default_weights(distillers), {_full_name(name): weight for name, weight in given.items()}
    for name, weight in named.items():
        if name not in weights:
            raise WeightError(f"A weight of {name!r} was given, which is no term. {nearest(name, weights)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise WeightError(f"Given the weight {name}={weight!r}. Expected a finite number of at least 0.")
    weights |= {name: float(weight) for name, weight in named.items()}
    if not any(weights.values()):
        raise WeightError(f"All weights are zero: {', '.join(weights)}. Expected at least one above 0.")
    return weights


def _full_name(name: str) -> str:
    """The name that the loss of this specification has: ``kd(temperature=2)`` is ``kd(temperature=2.0)``.

    ``ensemble/pkd`` is ``ensemble(projectors=3)/pkd``.
    """
    frame, within, loss = name.partition("/")
    try:
        return name if name == CE else framed(frame, loss).name if within else get(name).name
    except ZcbenchError:
        return name
