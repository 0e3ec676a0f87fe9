"""The networks of a student's training, and what is recorded of its teachers."""

from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from zcbench.benchmarks.scoring.teachers import TeacherChoice, build_teacher, read_teacher
from zcbench.benchmarks.training.student_job import StudentJob
from zcbench.distill.training.checkpoint import content_sha256
from zcbench.distill.training.sharing import require_apart
from zcbench.distill.training.teaching import Teacher


class StudentNetworks:
    """Builds the networks of a job; networks that share parts, as a function may return them, are refused."""

    def __init__(self, job: StudentJob) -> None:
        self._job = job
        self._built: list[tuple[str, nn.Module]] = []

    def student(self, number: int = 0) -> nn.Module:
        """The student, initialised with the recipe's seed plus ``number``."""
        job = self._job
        seed, shape = job.recipe.seed + number, job.data.image_shape
        return self._apart("student", job.student.build(job.data.num_classes, seed, shape, job.init, job.data.task))

    def teacher(self, name: str, checkpoint: Path | None = None) -> nn.Module:
        """The teacher of this name, with the weights of ``checkpoint`` if one is given."""
        job, data = self._job, self._job.data
        choice = self.choice(name, checkpoint)
        network = build_teacher(choice, job.student.space, job.init, data.num_classes, data.image_shape, task=data.task)
        return self._apart(f"teacher {name}", network)

    def choice(self, name: str, checkpoint: Path | None) -> TeacherChoice:
        """The teacher of this name, with the fingerprints of its files."""
        return read_teacher(name, self._job.student.space, self._job.recipe.seed, checkpoint=checkpoint)

    def record(self, name: str, network: nn.Module, checkpoint: Path | None) -> "TeacherRecord":
        """Origin, weights and metric of a trained teacher."""
        job, choice = self._job, self.choice(name, checkpoint)
        origin = TeacherOrigin(
            seed=choice.seed,
            init=choice.init or job.init,
            file_sha256=choice.file_sha256,
            checkpoint=None if choice.checkpoint is None else str(checkpoint or name),
            checkpoint_sha256=choice.checkpoint_sha256,
            weights_sha256=content_sha256(network),
            recipe=job.used(job.teacher_recipe) if choice.checkpoint is None else None,
        )
        teacher, data = Teacher(network), job.data.to(job.device, job.recipe.layout)
        return TeacherRecord(name, teacher.score(data), origin, data.task.metric)

    def _apart(self, name: str, network: nn.Module) -> nn.Module:
        require_apart([(name, network)], self._built)
        self._built.append((name, network))
        return network


@dataclass(frozen=True)
class TeacherOrigin:
    """Where a teacher's weights are from: a checkpoint, or a training with a recipe."""

    seed: int
    init: str
    file_sha256: str | None
    checkpoint: str | None
    checkpoint_sha256: str | None
    weights_sha256: str
    recipe: dict[str, object] | None


@dataclass(frozen=True)
class TeacherRecord:
    """A teacher and the metric of the task on the test images, in percent; without an origin if it is an assistant."""

    name: str
    score: float
    origin: TeacherOrigin | None = None
    metric: str = "accuracy"

    def to_dict(self) -> dict[str, object]:
        """The record, ready for JSON."""
        origin = {} if self.origin is None else asdict(self.origin)
        return {"name": self.name, **origin, f"test_{self.metric}": self.score}
