"""A training: its networks, its batches and its loop."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from zcbench.distill.errors import DivergedLoss, RecipeError, TrainingStopped
from zcbench.distill.outputs import Outputs
from zcbench.distill.training import checkpoint as checkpoints
from zcbench.distill.training.batches import TrainingBatch, TrainingBatches
from zcbench.distill.training.course import Observer, Row, TrainingResult
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.examination import Examination
from zcbench.distill.training.identity import initial_identity, training_identity
from zcbench.distill.training.metrics import Metric
from zcbench.distill.training.objective import Given, TrainingObjective, all_terms, class_weights
from zcbench.distill.training.opening import open_networks
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.sharing import require_usable
from zcbench.distill.training.state import fresh_state
from zcbench.distill.training.tally import Forward, joined
from zcbench.distill.training.teaching import Teacher
from zcbench.streams import seeded

#: A batch, and the outputs of the teachers and of the students for it.
_Read = tuple[TrainingBatch, Sequence[Outputs], Sequence[Outputs]]


class Training:
    """A training of one or several students, step by step or as a whole.

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
        students: Sequence[nn.Module],
        objectives: Sequence[TrainingObjective],
        teachers: Sequence[Teacher],
        data: TrainingSource,
        recipe: Recipe,
        device: str | torch.device = "cpu",
    ) -> None:
        self.recipe, self.device = recipe, torch.device(device)
        if recipe.precision == "float16" and self.device.type == "cpu":
            raise RecipeError("Given precision='float16' on a CPU. Expected float32, or bfloat16; or name a GPU.")
        require_usable(students, [teacher.network for teacher in teachers])
        whole = data.to(self.device, recipe.layout)
        self.data, self._tested = (whole.held_out(recipe.validation) if recipe.validation else whole), whole.tested
        self.per_epoch = self.data.steps_per_epoch(recipe)
        self.total, self._teachers = recipe.epochs * self.per_epoch, teachers
        self._began = initial_identity(students, objectives, teachers)
        self._readers, above = open_networks(students, objectives, teachers, self.data, recipe)
        reads = frozenset[str]().union(*(objective.reads for objective in objectives))
        for objective in objectives:
            objective.weigh(self.data.task, class_weights(recipe, self.data), recipe.auxiliary)
        self._state = fresh_state(students, objectives, recipe, self.per_epoch, self.device)
        self._batches = TrainingBatches(self.data, teachers, above, reads, recipe)

    @property
    def students(self) -> Sequence[nn.Module]:
        """The networks that are trained."""
        return self._state.students

    @property
    def done(self) -> int:
        """Number of finished steps."""
        return self._state.done

    def run(
        self,
        checkpoint: str | Path | None = None,
        checkpoint_every: int | None = None,
        checkpoint_seconds: float = 0.0,
        evaluate_every: int = 1,
        metrics: Sequence[str | Metric] = (),
        observers: Sequence[Observer] = (),
        stop: Callable[[], bool] | None = None,
    ) -> list[TrainingResult]:
        """Train to the end; the arguments are those of `zcbench.distill.training.training.loop.train`."""
        file, every = None if checkpoint is None else Path(checkpoint), checkpoint_every or self.per_epoch
        examination = Examination(self.recipe, self.data, self._tested, metrics, evaluate_every)
        with seeded("training", self.recipe.seed), _deterministic(self.device), _watched(observers):
            if file is not None:
                self._resume(file)
            for observer in observers:
                observer.start(self.total, self.done, self._state.history[0])
            saved = time.monotonic()
            while self.done < self.total:
                if stop is not None and stop():
                    self._stop(file)
                self.step()
                for observer in observers:
                    observer.step()
                if self.done % self.per_epoch == 0:
                    self._end_epoch(examination, observers)
                if file is not None and self._due(every, checkpoint_seconds, saved):
                    self._save(file)
                    saved = time.monotonic()
        return [self._trained(index) for index in range(len(self.students))]

    def step(self) -> None:
        """One step of all students.

        Raises:
            DivergedLoss: a loss is NaN or infinite.
        """
        state, parts = self._state, self.recipe.accumulation
        state.optimizer.zero_grad(set_to_none=True)
        found = []
        for part in range(parts):
            batch, taught, outputs = self._read(part)
            terms, logits, labels = self._judged(batch, taught, outputs)
            torch.autograd.backward(state.scaler.scale(terms[:, 0].sum() / parts))
            found.append((terms.detach(), [own.detach() for own in logits], labels))
        state.update(self.recipe.clip)
        state.done, self._rate = state.done + 1, float(state.optimizer.param_groups[0]["lr"])
        if state.done < self.total:
            state.schedule.step()
        for index, objective in enumerate(state.objectives):
            again = partial(self._again, index, batch, taught, outputs)
            objective.learn(self.students[index], again, self._rate, state.done)
        with self._explaining():
            state.tally.add(state.done, *joined(found))

    def terms(self) -> Tensor:
        """Terms of the next step, one row for each student: total, cross-entropy, and every loss."""
        return self._judged(*self._read())[0]

    def _read(self, part: int = 0) -> _Read:
        """A batch of the next step, and the outputs of the teachers and of the students for it."""
        batch = self._batches.at(self.done * self.recipe.accumulation + part)
        outputs = [reader(batch.images) for reader in self._readers]
        return batch, self._batches.taught(batch), outputs

    def _judged(self, batch: TrainingBatch, taught: Sequence[Outputs], outputs: Sequence[Outputs]) -> Forward:
        """Terms, logits of each student, and labels."""
        own, taught, labels = self.data.task.rows(outputs, taught, batch.labels)
        terms = all_terms(self._state.objectives, own, taught, labels)
        judged = [self.data.task.judged(student.logits, labels) for student in own]
        return terms, [logits for logits, _ in judged], judged[0][1]

    def _again(self, index: int, batch: TrainingBatch, taught: Sequence[Outputs], outputs: Sequence[Outputs]) -> Given:
        """What the objective of a student takes, of its weights as they are now; the other outputs are given."""
        outputs = [*outputs[:index], self._readers[index](batch.images), *outputs[index + 1 :]]
        own, taught, labels = self.data.task.rows(outputs, taught, batch.labels)
        return own[index], [*taught, *own[:index], *own[index + 1 :]], labels

    def _end_epoch(self, examination: Examination, observers: Sequence[Observer]) -> None:
        state, epoch = self._state, self.done // self.per_epoch
        with self._explaining():
            state.tally.look()
        for index, history in enumerate(state.history):
            row: Row = {"epoch": epoch, "step": self.done, "lr": self._rate} | state.tally.means(index)
            if examination.due(epoch):
                row |= examination.of(state.kept[index])
                if (best := examination.value(row)) is not None:
                    state.keep(index, epoch, *best)
            history.append(row | {"seconds": state.tally.seconds})
        for observer in observers:
            observer.epoch(state.history[0][-1])
        if self.done < self.total:
            state.tally.reset()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Name the cause of a loss that is not finite, as far as that can be told."""
        try:
            yield
        except DivergedLoss as error:
            raise self._batches.explained(error) from None

    def _trained(self, index: int) -> TrainingResult:
        history, epoch = self._state.history[index], self._state.finish(index)
        row, network = history[epoch - 1], self.students[index].eval()
        score = row[f"test_{self.data.task.metric}"]
        return TrainingResult(network, history, row["test_accuracy"], row["test_loss"], self.done, epoch, score)

    def _stop(self, file: Path | None) -> None:
        kept = "No checkpoint was asked for."
        if file is not None:
            self._save(file)
            kept = f"It is kept in {file}; start it again to go on."
        raise TrainingStopped(f"Stopped after {self.done:,} of {self.total:,} steps. {kept}")

    def _due(self, every: int, seconds: float, saved: float) -> bool:
        """Whether a checkpoint is written after this step; ``saved``: when the last one was."""
        if seconds:
            return self.done < self.total and self.done % every == 0 and time.monotonic() - saved >= seconds
        return self.done % every == 0 or self.done == self.total

    @cached_property
    def _identity(self) -> dict[str, object]:
        own = training_identity(self.recipe, self.data, self._state.objectives, self._teachers, self.device)
        return own | self._began

    def _save(self, file: Path) -> None:
        checkpoints.save(file, self._identity, self._state.stored(self.device))

    def _resume(self, file: Path) -> None:
        stored = checkpoints.load(file, self._identity)
        if stored is None:
            return
        self._state.restore(stored, self.device)
        if self.done < self.total:
            self._state.tally.reset()
        if self.done % self.per_epoch:
            self._state.tally.restore(stored["tally"], stored["seconds"])


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
