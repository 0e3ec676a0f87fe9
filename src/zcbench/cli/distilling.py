"""The trainings that ``zcbench distill`` is asked for, scenario by scenario."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from zcbench.cli.students import Student

if TYPE_CHECKING:
    from torch import nn

    from zcbench.benchmarks.scoring.protocol import TeacherChoice
    from zcbench.distill.training.course import Observer, Running, TrainingResult
    from zcbench.distill.training.images import TrainingData
    from zcbench.distill.training.recipe import Recipe

STUDENT = "student"
_AMONG_STUDENTS = ("self", "mutual")


@dataclass
class Distillation:
    """What is to be trained, and how."""

    student: Student
    data: "TrainingData"
    recipe: "Recipe"
    out: Path
    teachers: list[str]
    checkpoints: list[Path]
    teacher_recipe: "Recipe"
    losses: list[str]
    weights: dict[str, float]
    balanced: bool
    mixture: str
    generations: int
    init: str
    checkpoint_every: int | None
    evaluate_every: int
    device: str
    tensorboard: bool
    console: Console
    stop: Callable[[], bool] | None = None
    taught_by: list[dict[str, Any]] = field(default_factory=list)
    generation_accuracies: list[float] = field(default_factory=list)
    networks: "list[tuple[str, nn.Module]]" = field(default_factory=list)

    def _require(self, scenario: str) -> None:
        """Refuse what the scenario has no use for, and what it lacks."""
        from zcbench.errors import ProtocolError

        given, held = len(self.teachers), len(self.checkpoints)
        if scenario in _AMONG_STUDENTS and given:
            raise ProtocolError(
                f"The scenario {scenario!r} was given the teacher {self.teachers[0]!r}. Expected none: its networks "
                f"teach each other; leave --teacher out, or take the scenario 'teacher' or 'assistant'."
            )
        if scenario == "assistant" and given < 2:
            raise ProtocolError(
                f"The scenario 'assistant' was given {given} teachers. Expected a teacher and at least one assistant, "
                f"from large to small, with commas."
            )
        if scenario == "assistant" and held > 1:
            raise ProtocolError(
                f"The scenario 'assistant' was given {held} checkpoints. Expected that of the first teacher, or none: "
                f"the assistants are trained."
            )
        if scenario == "teacher" and held not in (0, given):
            raise ProtocolError(
                f"{held} checkpoints were given for {given} teachers. Expected one for each, or none, and they are "
                f"trained first."
            )

    def carry_out(self, scenario: str) -> "TrainingResult":
        """Train as the scenario says; what is finished in the folder is not trained again."""
        from zcbench.benchmarks.scoring.folder import locked
        from zcbench.benchmarks.scoring.session import Stop

        self._require(scenario)
        ways: dict[str, Callable[[], TrainingResult]] = {
            "teacher": self._under_teachers,
            "self": self._born_again,
            "mutual": self._mutual,
            "assistant": self._in_a_chain,
        }
        with locked(self.out), Stop() as stop:
            if self.teachers and not self.checkpoints:
                self._rehearse(scenario)
            self.stop = lambda: stop.asked
            result = ways[scenario]()
        self._warn_of_worse_teachers(result.accuracy)
        return result

    def _rehearse(self, scenario: str) -> None:
        """One step of each training under a teacher, on networks of its own: what does not fit is said before hours."""
        from zcbench.distill.errors import DivergedLoss
        from zcbench.distill.training.loop import train

        taught = self._taught() | ({"weights": {}} if self.balanced else {})
        teachers = [self._built(name) for name in self.teachers]
        chain = scenario == "assistant"
        pairs = pairwise([*teachers, self._network(0)]) if chain else [(teachers, self._network(0))]
        for above, student in pairs:
            with suppress(DivergedLoss):
                few = self.data.first(self.recipe.batch_size)
                train(student, above, few, replace(self.recipe, epochs=1, warmup=None), device=self.device, **taught)

    def _taught(self) -> dict[str, Any]:
        return {"distillers": self.losses, "weights": self.weights, "mixture": self.mixture}

    def record(self, scenario: str) -> dict[str, Any]:
        """What the student was trained with, as the scenario has it: seeds, weights, mixture."""
        from zcbench.distill.contract import get
        from zcbench.distill.training.objective import CE, checked_weights

        last = {"self": self.generations - 1, "assistant": len(self.teachers) - 1}.get(scenario, 0)
        weights, losses = {CE: 1.0}, list[str]()
        if self.teachers or scenario != "teacher":
            ones = dict.fromkeys([CE, *(get(loss).name for loss in self.losses)], 1.0) if scenario == "mutual" else {}
            weights = checked_weights(self.losses, ones | self.weights)
            losses = [loss for loss in self.losses if weights[get(loss).name]]
        first = self.recipe.seed + (last if scenario == "self" else 0)
        return {
            "student": {
                "space": self.student.space.spec,
                "arch": self.student.arch,
                "seed": first,
                "init": self.init,
            },
            "scenario": scenario,
            "teachers": self.teachers,
            "teacher_details": self.taught_by,
            "generation_accuracies": self.generation_accuracies,
            "losses": [
                {"name": item.name, "version": item.version, "code_sha256": item.code_sha256}
                for item in map(get, losses)
            ],
            "weights": weights,
            "mixture": self.mixture if scenario == "teacher" and len(self.teachers) > 1 else None,
            "recipe": self._used(replace(self.recipe, seed=self.recipe.seed + last)),
            "environment": environment(self.device),
        }

    def _used(self, recipe: "Recipe") -> dict[str, Any]:
        """The values of a recipe that have an effect on these images."""
        used = recipe.used()
        if "padding" in used and recipe.padding is None:
            used["padding"] = self.data.image_shape[1] // 8
        return used

    def _under_teachers(self) -> "TrainingResult":
        from zcbench.distill.training.loop import train

        teachers = [self._teacher(number, name) for number, name in enumerate(self.teachers)]
        student = self._network(0)
        if self.balanced:
            self._balance(student, teachers)
        taught = self._taught() if teachers else {}
        options: dict[str, Any] = {"device": self.device, **taught, **self._running(STUDENT)}
        return train(student, teachers or None, self.data, self.recipe, **options)

    def _balance(self, student: "nn.Module", teachers: "Sequence[nn.Module]") -> None:
        from zcbench.distill.training.balancing import balanced_weights
        from zcbench.storage.files import replaced

        file = self.out / "balanced.json"
        if file.is_file() and (self.out / f"{STUDENT}.training").is_file():  # of the training that goes on
            self.weights = dict(json.loads(file.read_text(encoding="utf-8")))
        else:
            options: dict[str, Any] = {"mixture": self.mixture, "device": self.device}
            self.weights = balanced_weights(student, teachers, self.data, self.losses, self.recipe, **options)
            with replaced(file) as draft:
                draft.write_text(json.dumps(self.weights, indent=1) + "\n", encoding="utf-8")
        shown = ", ".join(f"{name} {weight:.4g}" for name, weight in self.weights.items())
        self.console.print(f"Weights that balance the gradients: {shown}.", highlight=False)

    def _born_again(self) -> "TrainingResult":
        networks = [self._network(number) for number in range(self.generations)]
        return self._in_turn(networks, None)

    def _mutual(self) -> "TrainingResult":
        from zcbench.distill.training.loop import train_together

        students = [self._network(number) for number in range(self.generations)]
        options: dict[str, Any] = {"distillers": self.losses, "weights": self.weights, "device": self.device}
        return train_together(students, self.data, self.recipe, **options, **self._running(STUDENT))[0]

    def _in_a_chain(self) -> "TrainingResult":
        assistants = [self._built(name) for name in self.teachers[1:]]
        teacher = self._teacher(0, self.teachers[0])
        result = self._in_turn([*assistants, self._network(0)], teacher)
        for name, accuracy in zip(self.teachers[1:], self.generation_accuracies):
            self.taught_by.append({"name": name, "test_accuracy": accuracy})
        return result

    def _in_turn(self, networks: "Sequence[nn.Module]", teacher: "nn.Module | None") -> "TrainingResult":
        from zcbench.distill.training.scenarios import train_in_turn

        def running(number: int) -> "Running":
            return self._running(STUDENT if number == len(networks) - 1 else f"generation{number}")

        options: dict[str, Any] = {"distillers": self.losses, "weights": self.weights, "device": self.device}
        results = train_in_turn(networks, teacher, self.data, self.recipe, running=running, **options)
        self.generation_accuracies = [result.accuracy for result in results]
        return results[-1]

    def _network(self, number: int) -> "nn.Module":
        """The student; ``number`` says which draw of its weights, from the seed of the recipe on."""
        space, arch = self.student
        seed, shape = self.recipe.seed + number, self.data.image_shape
        return self._apart("student", space.build(arch, self.data.num_classes, seed, shape, self.init))

    def _built(self, name: str, checkpoint: Path | None = None) -> "nn.Module":
        from zcbench.benchmarks.scoring.teachers import build_teacher

        space, data = self.student.space, self.data
        choice = self._choice(name, checkpoint)
        return self._apart(
            f"teacher {name}", build_teacher(choice, space, self.init, data.num_classes, data.image_shape)
        )

    def _choice(self, name: str, checkpoint: Path | None) -> "TeacherChoice":
        from zcbench.benchmarks.scoring.teachers import read_teacher

        return read_teacher(name, self.student.space, self.recipe.seed, checkpoint=checkpoint)

    def _apart(self, name: str, network: "nn.Module") -> "nn.Module":
        """The network, once it shares nothing with those built before, such as one that a function gives again."""
        from zcbench.distill.training.sharing import require_apart

        require_apart([(name, network)], self.networks)
        self.networks.append((name, network))
        return network

    def _teacher(self, number: int, name: str) -> "nn.Module":
        """A trained teacher: with its checkpoint, or trained here first. Its test accuracy is printed and recorded."""
        checkpoint = self.checkpoints[number] if self.checkpoints else None
        network = self._trained_here(number, name) if checkpoint is None else self._built(name, checkpoint)
        self._measure(name, network, checkpoint)
        return network

    def _trained_here(self, number: int, name: str) -> "nn.Module":
        from zcbench.distill.training.export import save_weights
        from zcbench.distill.training.loop import train

        own = f"teacher{number}"
        result = train(
            self._built(name), None, self.data, self.teacher_recipe, device=self.device, **self._running(own)
        )
        save_weights(result.network, self.out / f"{own}.pt")
        return result.network

    def _measure(self, name: str, network: "nn.Module", checkpoint: Path | None) -> None:
        """Accuracy on the test images, once, with a warning near chance; and what the result says of the teacher."""
        from zcbench.distill.training.checkpoint import content_sha256
        from zcbench.distill.training.teaching import Teacher, near_chance

        accuracy = Teacher(network).quality(self.data.to(self.device, self.recipe.layout)).accuracy
        choice = self._choice(name, checkpoint)
        self.taught_by.append(
            {
                "name": name,
                "seed": choice.seed,
                "init": self.init,
                "file_sha256": choice.file_sha256,
                "checkpoint": None if checkpoint is None else str(checkpoint),
                "checkpoint_sha256": choice.checkpoint_sha256,
                "weights_sha256": content_sha256(network),
                "recipe": self._used(self.teacher_recipe) if checkpoint is None else None,
                "test_accuracy": accuracy,
            }
        )
        self._say(f"Teacher {name}: {accuracy:.2f} % on the test images.")
        if near_chance(accuracy, self.data):
            self._say(
                f"Warning: the teacher {name} is near chance ({100 / self.data.num_classes:.2f} %); check its "
                f"checkpoint, its classes and how its images were normalised."
            )

    def _warn_of_worse_teachers(self, accuracy: float) -> None:
        for teacher in self.taught_by:
            if teacher["test_accuracy"] < accuracy:
                self._say(
                    f"Warning: the teacher {teacher['name']} ({teacher['test_accuracy']:.2f} %) is worse than the "
                    f"student ({accuracy:.2f} %) on the test images."
                )

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def _running(self, name: str) -> "Running":
        return {
            "checkpoint": self.out / f"{name}.training",
            "checkpoint_every": self.checkpoint_every,
            "evaluate_every": self.evaluate_every,
            "observers": self._observers(name),
            "stop": self.stop,
        }

    def _observers(self, name: str) -> "Sequence[Observer]":
        from zcbench.distill.training.observers import Logbook, StepBar, TensorBoard

        folder = self.out if name == STUDENT else self.out / name
        watching: list[Observer] = [Logbook(folder, {"training": name}), StepBar(self.console, name)]
        return [*watching, TensorBoard(folder / "tensorboard")] if self.tensorboard else watching


def environment(device: str) -> dict[str, Any]:
    """Versions, device and threads of this process."""
    import platform

    import torch

    import zcbench

    kind = torch.device(device)
    return {
        "zcbench": zcbench.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(kind) if kind.type == "cuda" else str(kind),
        "threads": torch.get_num_threads(),
    }
