"""One training at work: its networks, its data, its place in the schedule, and what is kept of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from zcbench.distill.code_identity import network_code_sha256
from zcbench.distill.errors import DivergedLoss, RecipeError, TrainingStopped
from zcbench.distill.outputs import Outputs, Shapes
from zcbench.distill.reading import Reader
from zcbench.distill.training import checkpoint as checkpoints
from zcbench.distill.training.augmentation import CropFlip
from zcbench.distill.training.checkpoint import CODE
from zcbench.distill.training.course import Observer, Row, TrainingResult
from zcbench.distill.training.evaluation import evaluate, to_training_mode
from zcbench.distill.training.images import TrainingData
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.optimisation import build_optimizer, build_schedule
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.sharing import frozen_parts, require_usable
from zcbench.distill.training.tally import Tally
from zcbench.distill.training.teaching import Teacher, chosen
from zcbench.errors import BatchError
from zcbench.hooks.modes import evaluating
from zcbench.streams import seeded, torch_stream


class Training:
    """One training: what it is made of, and how far it has come.

    Args:
        students: the networks to train; where there are several, each has the others as teachers. Parts in evaluation
            mode stay so, but a student that is in it as a whole goes into training mode.
        objectives: one for each student.
        teachers: of every student.
        data: training and test images.
        recipe: how.
        device: where.

    Raises:
        RecipeError: the recipe cannot be carried out here, a student shares parts with another network or has nothing
            to train, or a network holds NaN.
        BatchError: a network has fewer classes than the labels, or returns no logits.
        DistillError: an output that a distiller reads is missing, or shapes do not fit.
    """

    def __init__(
        self,
        students: list[nn.Module],
        objectives: list[TrainingObjective],
        teachers: Sequence[Teacher],
        data: TrainingData,
        recipe: Recipe,
        device: str | torch.device = "cpu",
    ) -> None:
        self.recipe, self.device = recipe, torch.device(device)
        if recipe.precision == "float16" and self.device.type == "cpu":
            raise RecipeError("Given precision='float16' on a CPU. Expected float32, or bfloat16; or name a GPU.")
        require_usable(students, [teacher.network for teacher in teachers])
        self.per_epoch = recipe.steps_per_epoch(len(data))
        self.total, self.done = recipe.epochs * self.per_epoch, 0
        self.data = data.to(self.device, recipe.layout)
        self.students, self.objectives, self.teachers = students, objectives, list(teachers)
        self._began = [checkpoints.network_sha256(student) for student in students]
        self._code = self._fingerprints()
        self.history: list[list[Row]] = [[] for _ in students]
        self._reads = frozenset[str]().union(*(objective.reads for objective in objectives))
        self._memory = torch.channels_last if recipe.layout == "channels_last" else torch.contiguous_format
        self._open_networks()
        self._optimizer = build_optimizer(self._parameters(), recipe)
        self._schedule = build_schedule(self._optimizer, recipe, self.per_epoch)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.precision == "float16")
        self._crop = self._cropping()
        self._known = None if self._crop else self._remembered()
        self._begin_epoch()

    def run(
        self,
        checkpoint: str | Path | None = None,
        checkpoint_every: int | None = None,
        evaluate_every: int = 1,
        observers: Sequence[Observer] = (),
        stop: Callable[[], bool] | None = None,
    ) -> list[TrainingResult]:
        """Train to the end; the arguments are those of `zcbench.distill.training.training.loop.train`."""
        file, every = None if checkpoint is None else Path(checkpoint), checkpoint_every or self.per_epoch
        with seeded("training", self.recipe.seed), _deterministic(self.device), _watched(observers):
            if file is not None:
                self._resume(file)
            for observer in observers:
                observer.start(self.total, self.done, self.history[0])
            while self.done < self.total:
                if stop is not None and stop():
                    self._stop(file)
                self.step()
                for observer in observers:
                    observer.step()
                if self.done % self.per_epoch == 0:
                    self._end_epoch(evaluate_every, observers)
                if file is not None and (self.done % every == 0 or self.done == self.total):
                    self._save(file)
        return [self._trained(index) for index in range(len(self.students))]

    def step(self) -> None:
        """One step of all students.

        Raises:
            DivergedLoss: a loss is NaN or infinite.
        """
        terms, logits, labels = self._ahead()
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(terms[:, 0].sum()).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self.done, self._rate = self.done + 1, self._optimizer.param_groups[0]["lr"]
        if self.done < self.total:
            self._schedule.step()
        self._count(terms, logits, labels)

    def terms(self) -> Tensor:
        """Terms of the step to come, one row for each student: total, cross-entropy, and every loss."""
        return self._ahead()[0]

    def _ahead(self) -> tuple[Tensor, list[Tensor], Tensor]:
        """What the step to come looks at: terms, logits of each student, and labels."""
        epoch, place = divmod(self.done, self.per_epoch)
        first = place * self.recipe.batch_size
        indices = self._order[first : first + self.recipe.batch_size]
        images, labels = self._images(indices, epoch, first), self.data.labels[indices]
        outputs = [reader(images) for reader in self._readers]
        terms = torch.stack(self._losses(outputs, self._taught(images, indices), labels))
        return terms, [own.logits for own in outputs], labels

    def _losses(self, outputs: list[Outputs], outside: list[Outputs], labels: Tensor) -> list[Tensor]:
        """The terms of each student, under the teachers from outside and the other students."""
        return [
            objective(own, [*outside, *outputs[:index], *outputs[index + 1 :]], labels)
            for index, (objective, own) in enumerate(zip(self.objectives, outputs))
        ]

    def _open_networks(self) -> None:
        """Networks on the device, their readers, and adapters between them."""
        probe, precision = self.data.images[:2], self.recipe.precision
        for student in self.students:
            student.to(self.device, memory_format=self._memory)  # type: ignore[call-overload]
            to_training_mode(student)
        self._readers = [Reader(student, self._reads, precision, probe[:1]) for student in self.students]
        self._teaching = [teacher.reader(self._reads, precision, probe[:1]) for teacher in self.teachers]
        own, outside = ([self._shapes(reader, probe) for reader in some] for some in (self._readers, self._teaching))
        for index, objective in enumerate(self.objectives):
            objective.adapt(own[index], [*outside, *own[:index], *own[index + 1 :]], self.recipe.seed)
            objective.to(self.device).train()

    def _shapes(self, reader: Reader, images: Tensor) -> Shapes:
        with evaluating(reader.network):
            shapes = reader.without_gradient(images).shapes
        if (shapes.classes or 0) < self.data.num_classes:
            raise BatchError(
                f"The labels have {self.data.num_classes} classes and a network {shapes.classes}. Expected a network "
                f"with at least as many classes as the data; build it with num_classes={self.data.num_classes}."
            )
        return shapes

    def _parameters(self) -> list[nn.Parameter]:
        modules = nn.ModuleList([*self.students, *self.objectives])
        return [parameter for parameter in modules.parameters() if parameter.requires_grad]

    def _cropping(self) -> CropFlip | None:
        recipe = self.recipe
        if recipe.augmentation == "none":
            return None
        padding = self.data.image_shape[1] // 8 if recipe.padding is None else recipe.padding
        return CropFlip(self.data.images, padding, self.data.black, recipe.seed)

    def _remembered(self) -> list[Outputs] | None:
        """What the teachers say about every image; None if that of one takes too much memory."""
        known = [teacher.remembered(self.data, self._reads, self.recipe.precision) for teacher in self.teachers]
        whole = [outputs for outputs in known if outputs is not None]
        for number, outputs in enumerate(whole):
            if wrong := _not_finite(outputs):
                raise RecipeError(
                    f"The teacher {number + 1} of {len(known)} gives NaN or infinity as {wrong} for training images. "
                    f"Expected finite outputs; check its weights and how its images were normalised."
                )
        return None if None in known else whole

    def _images(self, indices: Tensor, epoch: int, first: int) -> Tensor:
        images = self.data.images[indices] if self._crop is None else self._crop(indices, epoch, first)
        return images.contiguous(memory_format=self._memory)

    def _taught(self, images: Tensor, indices: Tensor) -> list[Outputs]:
        if self._known is not None:
            return [chosen(outputs, indices) for outputs in self._known]
        return [reader.without_gradient(images) for reader in self._teaching]

    def _begin_epoch(self) -> None:
        stream = torch_stream("order", self.recipe.seed, self.done // self.per_epoch)
        self._order = torch.randperm(len(self.data), generator=stream).to(self.device)
        self._tally = Tally(self.objectives[0].terms, len(self.students), self.device, self.per_epoch)
        self._start, self._before = perf_counter(), 0.0

    def _count(self, terms: Tensor, logits: list[Tensor], labels: Tensor) -> None:
        """Add the step to the epoch's sums.

        Raises:
            DivergedLoss: a loss is not finite; the advice is about the cause, as far as that can be told.
        """
        try:
            self._tally.add(self.done, terms, logits, labels)
        except DivergedLoss as error:
            raise self._explained(error) from None

    def _explained(self, error: DivergedLoss) -> DivergedLoss:
        """The error, with other advice than a lower rate where the images or a teacher are the cause."""
        images = self.data.images
        if not bool(images.isfinite().all()):
            return DivergedLoss(f"{error.what} The training images hold NaN or infinity; mend or leave them out.")
        for reader in self._teaching:
            wrong = next(filter(None, (_not_finite(reader.without_gradient(part)) for part in images.split(256))), None)
            if wrong:
                return DivergedLoss(f"{error.what} The teacher gives NaN or infinity as {wrong}; check its weights.")
        return error

    def _end_epoch(self, evaluate_every: int, observers: Sequence[Observer]) -> None:
        try:
            self._tally.look()
        except DivergedLoss as error:
            raise self._explained(error) from None
        epoch = self.done // self.per_epoch
        tested = epoch % evaluate_every == 0 or self.done == self.total
        for index, student in enumerate(self.students):
            row: Row = {"epoch": epoch, "step": self.done, "lr": self._rate}
            row |= self._tally.means(index)
            if tested:
                accuracy, loss = evaluate(student, self.data.test_images, self.data.test_labels)
                row |= {"test_loss": loss, "test_accuracy": accuracy}
            self.history[index].append(row | {"seconds": self._seconds()})
        for observer in observers:
            observer.epoch(self.history[0][-1])
        if self.done < self.total:
            self._begin_epoch()

    def _seconds(self) -> float:
        """Since the epoch began, also where it began in another process."""
        return self._before + perf_counter() - self._start

    def _trained(self, index: int) -> TrainingResult:
        history, network = self.history[index], self.students[index].eval()
        return TrainingResult(network, history, history[-1]["test_accuracy"], history[-1]["test_loss"], self.done)

    def _stop(self, file: Path | None) -> None:
        kept = "No checkpoint was asked for."
        if file is not None:
            self._save(file)
            kept = f"It is kept in {file}; start it again to go on."
        raise TrainingStopped(f"Stopped after {self.done:,} of {self.total:,} steps. {kept}")

    def _about(self) -> dict[str, Any]:
        """What makes this training the one it is; compared before it goes on from a checkpoint."""
        recipe = {f"recipe {name}": value for name, value in self.recipe.to_dict().items()}
        return recipe | {
            "data": self.data.sha256,
            "objective": [objective.to_dict() for objective in self.objectives],
            "student as it began": self._began,
            "teacher": [checkpoints.content_sha256(teacher.network) for teacher in self.teachers],
            "device": self.device.type,
            **self._code,
        }

    def _fingerprints(self) -> dict[str, Any]:
        """Code of losses and networks, and what is frozen of the students, as they are before the first step."""
        losses = self.objectives[0].active
        return {
            **{f"{CODE}the loss {item.name}": [item.version, item.code_sha256] for item in losses},
            f"{CODE}the student": [network_code_sha256(student) for student in self.students],
            f"{CODE}the teacher": [network_code_sha256(teacher.network) for teacher in self.teachers],
            "frozen in the student": [frozen_parts(student) for student in self.students],
        }

    def _save(self, file: Path) -> None:
        device = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        parts = {name: [part.state_dict() for part in parts] for name, parts in self._parts().items()}
        progress = {"done": self.done, "history": self.history, "seconds": self._seconds()}
        random = {"random": torch.get_rng_state(), "random_device": device}
        checkpoints.save(file, self._about(), parts | progress | random | {"tally": self._tally.state()})

    def _resume(self, file: Path) -> None:
        state = checkpoints.load(file, self._about())
        if state is None:
            return
        self.done, self.history = state["done"], state["history"]
        for name, parts in self._parts().items():
            for part, stored in zip(parts, state[name], strict=True):
                part.load_state_dict(stored)
        torch.set_rng_state(state["random"])
        if state["random_device"] is not None:
            torch.cuda.set_rng_state(state["random_device"], self.device)
        if self.done < self.total:
            self._begin_epoch()
        if self.done % self.per_epoch:
            self._tally.restore(state["tally"])
            self._before = state["seconds"]

    def _parts(self) -> dict[str, Sequence[Any]]:
        """All that has a state of its own."""
        return {
            "students": self.students,
            "objectives": self.objectives,
            "moving": [self._optimizer, self._schedule, self._scaler],
        }


def _not_finite(outputs: Outputs) -> str | None:
    """Name of an output that holds NaN or infinity."""
    return next((name for name, tensor in outputs.tensors() if not bool(tensor.isfinite().all())), None)


@contextmanager
def _watched(observers: Sequence[Observer]) -> Iterator[None]:
    try:
        yield
    finally:
        for observer in observers:
            observer.finish()


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Kernels that give the same bits again, as far as cuDNN has them."""
    flags = torch.backends.cudnn.flags(deterministic=True, benchmark=False)
    with flags if device.type == "cuda" else nullcontext():
        yield
