"""The trainings of a student's job, scenario by scenario."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Unpack

from rich.console import Console
from torch import nn

from zcbench.benchmarks.training.student_job import StudentJob
from zcbench.benchmarks.training.student_networks import StudentNetworks, TeacherRecord
from zcbench.distill.errors import DivergedLoss
from zcbench.distill.training.balancing import balanced_weights
from zcbench.distill.training.course import Observer, Running, TrainingResult
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.export import save_weights
from zcbench.distill.training.loop import train, train_together
from zcbench.distill.training.observers import Logbook, Sent, StepBar
from zcbench.distill.training.recipe import LAST, Recipe
from zcbench.distill.training.scenarios import train_in_turn
from zcbench.distill.training.teaching import Teacher, near_chance
from zcbench.runtime.messages import say
from zcbench.storage.run_folder import RunFolder
from zcbench.trackers import Recording

STUDENT, ALONE = "student", "baseline"
_BALANCED_FILE = "balanced.json"


class StudentTraining:
    """Trains the networks of a job; what is finished in its folder is not trained again.

    Args:
        job: what is asked.
        console: for progress, accuracies of teachers, and warnings.
        stop: asked before each step.
        recording: where the rows of all trainings are sent; nowhere if None.

    Attributes:
        teachers: the teachers that were used.
        teacher_networks: their networks by name.
        weights: of the terms, as far as they are given or computed.
        accuracies: test accuracies of the networks that were trained in turn.
    """

    def __init__(
        self, job: StudentJob, console: Console, stop: Callable[[], bool], recording: Recording | None = None
    ) -> None:
        self._job, self._console, self._stop = job, console, stop
        self._recording = recording or Recording()
        self._networks = StudentNetworks(job)
        self.teachers: list[TeacherRecord] = []
        self.teacher_networks: dict[str, nn.Module] = {}
        self.weights = job.teaching.given_weights
        self.accuracies: list[float] = []

    def run(self) -> TrainingResult:
        """The trained student."""
        teaching = self._job.teaching
        if teaching.teachers and not teaching.checkpoints:
            self._rehearse()
        ways = {"self": self._born_again, "mutual": self._mutual, "assistant": self._in_a_chain}
        result = ways.get(teaching.scenario, self._under_teachers)()
        for teacher in self.teachers:
            if teacher.score < result.score:
                say(
                    self._console,
                    f"Warning: the teacher {teacher.name} ({teacher.score:.2f} %) is worse than the student "
                    f"({result.score:.2f} %) on the test images.",
                )
        return result

    def alone(self) -> TrainingResult | None:
        """The student trained alone, with the initialisation and the recipe of its training under teachers.

        None where the scenario has trained it so: without a teacher, and as the first generation of ``self``.
        """
        job, teaching = self._job, self._job.teaching
        if teaching.scenario == "self" or (teaching.scenario == "teacher" and not teaching.teachers):
            return None
        return self._train(self._networks.student(), [], job.data, job.last_recipe, **self._running(ALONE))

    def _rehearse(self) -> None:
        """One step of each training under a teacher, on separate networks: errors are found before long trainings."""
        job, teaching = self._job, self._job.teaching
        teachers = [self._networks.teacher(name) for name in teaching.teachers]
        student = self._networks.student()
        size = job.data.batch_size(job.recipe)
        few = job.data.first(size)
        recipe = replace(
            job.recipe, epochs=1, batch_size=size, warmup=None, accumulation=1, validation=0.0, select=LAST
        )
        chain = [([above], below) for above, below in pairwise([*teachers, student])]
        for above, below in chain if teaching.scenario == "assistant" else [(teachers, student)]:
            with suppress(DivergedLoss):
                self._train(below, above, few, recipe)

    def _under_teachers(self) -> TrainingResult:
        job = self._job
        teachers = [self._teacher(number, name) for number, name in enumerate(job.teaching.teachers)]
        student = self._networks.student()
        if job.teaching.balanced:
            self.weights = _balanced(job, student, teachers)
            shown = ", ".join(f"{name} {weight:.4g}" for name, weight in self.weights.items())
            say(self._console, f"Weights that balance the gradients: {shown}.")
        return self._train(student, self._stored(teachers), job.data, job.recipe, **self._running(STUDENT))

    def _stored(self, teachers: Sequence[nn.Module]) -> Sequence[nn.Module | Teacher]:
        """The teachers, with stored outputs where these are asked for; their size is printed."""
        job, outputs = self._job, self._job.teaching.outputs
        if outputs is None:
            return teachers
        reads = frozenset[str]().union(*(loss.reads for loss in job.teaching.distillers))
        found = [Teacher(teacher, outputs=outputs) for teacher in teachers]
        data = job.data.to(job.device)
        assert isinstance(data, TrainingData)
        for teacher in found:
            say(self._console, teacher.announced(data, reads, job.recipe))
        return found

    def _train(
        self,
        student: nn.Module,
        teachers: Sequence[nn.Module | Teacher],
        data: TrainingSource,
        recipe: Recipe,
        **running: Unpack[Running],
    ) -> TrainingResult:
        device = self._job.device
        if not teachers:
            return train(student, None, data, recipe, device=device, **running)
        losses, mixture = self._job.teaching.distillers, self._job.teaching.mixture
        return train(
            student,
            teachers,
            data,
            recipe,
            distillers=losses,
            weights=self.weights,
            mixture=mixture,
            device=device,
            **running,
        )

    def _born_again(self) -> TrainingResult:
        return self._in_turn([self._networks.student(number) for number in range(self._job.teaching.generations)], None)

    def _mutual(self) -> TrainingResult:
        job, teaching = self._job, self._job.teaching
        students = [self._networks.student(number) for number in range(teaching.generations)]
        return train_together(
            students,
            job.data,
            job.recipe,
            distillers=teaching.distillers,
            weights=self.weights,
            device=job.device,
            **self._running(STUDENT),
        )[0]

    def _in_a_chain(self) -> TrainingResult:
        first, *names = self._job.teaching.teachers
        assistants = [self._networks.teacher(name) for name in names]
        teacher = self._teacher(0, first)
        result = self._in_turn([*assistants, self._networks.student()], teacher)
        self.teachers += [
            TeacherRecord(*pair, metric=self._job.data.task.metric) for pair in zip(names, self.accuracies)
        ]
        return result

    def _in_turn(self, networks: Sequence[nn.Module], teacher: nn.Module | None) -> TrainingResult:
        names = [f"generation{number}" for number in range(len(networks) - 1)] + [STUDENT]
        results = train_in_turn(
            networks,
            teacher,
            self._job.data,
            self._job.recipe,
            distillers=self._job.teaching.distillers,
            weights=self.weights,
            device=self._job.device,
            running=lambda number: self._running(names[number]),
        )
        self.accuracies = [result.score for result in results]
        return results[-1]

    def _teacher(self, number: int, name: str) -> nn.Module:
        """A trained teacher, from its checkpoint or trained here first; its test accuracy is printed and recorded."""
        checkpoints = self._job.teaching.checkpoints
        checkpoint = checkpoints[number] if checkpoints else None
        network = self._networks.teacher(name, checkpoint)
        if self._networks.choice(name, checkpoint).checkpoint is None:
            job, own = self._job, f"teacher{number}"
            self._train(network, [], job.data, job.teacher_recipe, **self._running(own))
            save_weights(network, job.folder / f"{own}.pt")
        record = self._networks.record(name, network, checkpoint)
        self.teachers.append(record)
        self.teacher_networks[name] = network
        task = self._job.data.task
        what = "" if task.metric == "accuracy" else f" {task.title}"
        say(self._console, f"Teacher {name}: {record.score:.2f} %{what} on the test images.")
        if near_chance(record.score, self._job.data):
            chance = task.chance(self._job.data.num_classes)
            say(
                self._console,
                f"Warning: the teacher {name} is near chance ({chance:.2f} %); check its "
                f"checkpoint, its classes and how its images were normalised.",
            )
        return network

    def _running(self, name: str) -> Running:
        files = self._job.files
        return {
            "checkpoint": self._job.folder / f"{name}.training",
            "checkpoint_every": files.checkpoint_every,
            "evaluate_every": files.evaluate_every,
            "metrics": files.metrics,
            "observers": self._observers(name),
            "stop": self._stop,
        }

    def _observers(self, name: str) -> Sequence[Observer]:
        folder = self._job.folder if name == STUDENT else self._job.folder / name
        prefix = "" if name == STUDENT else f"{name}/"
        return [Logbook(folder, {"training": name}), StepBar(self._console, name), Sent(self._recording, prefix)]


def _balanced(job: StudentJob, student: nn.Module, teachers: Sequence[nn.Module]) -> dict[str, float]:
    """Balanced weights; those in the folder if the student's training is resumed."""
    folder, losses, mixture = RunFolder(job.folder), job.teaching.distillers, job.teaching.mixture
    resumed = (job.folder / f"{STUDENT}.training").is_file()
    if resumed and (kept := folder.read_json(_BALANCED_FILE)):
        return kept
    weights = balanced_weights(student, teachers, job.data, losses, job.recipe, mixture=mixture, device=job.device)
    folder.write_json(_BALANCED_FILE, weights, indent=1)
    return weights
