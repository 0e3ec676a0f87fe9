"""Checkpoints: the same bits after a stop at any step and after a kill; what is refused; a full disk."""

import copy
import hashlib
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from zcbench import spaces
from zcbench.distill.errors import CheckpointError, TrainingStopped
from zcbench.distill.training.checkpoint import network_sha256
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.loop import train, train_together
from zcbench.distill.training.recipe import Recipe
from zcbench.errors import Interrupted

from .conftest import RECIPE, make_data, make_network, same, weights

AUGMENTED = replace(RECIPE, augmentation="crop_flip")
FULL = replace(
    AUGMENTED, batch_size=4, accumulation=2, clip=0.5, ema=0.8, class_weights="balanced", validation=0.2, select="loss"
)  # four steps an epoch
RECIPES = {"augmented": AUGMENTED, "full": FULL}


def after(steps: int) -> Callable[[], bool]:
    """A wish to stop after so many steps of one process."""
    asked = iter(range(1000))
    return lambda: next(asked) >= steps


def distilled(file: Path | None, **options: Any) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    student = make_network(dropout=0.3)
    given = {"distillers": ["kd", "dist"], "recipe": AUGMENTED, **options}
    result = train(student, make_network(7), make_data(), checkpoint=file, **given)
    return weights(student), [{**row, "seconds": None} for row in result.history]


@pytest.mark.parametrize("steps", [0, 1, 4, 5, 6, 10, 14])
def test_stopped_at_any_step(tmp_path: Path, steps: int) -> None:
    """Invariance: weights and history are those of a training that was not stopped, bit for bit."""
    whole = distilled(None)
    with pytest.raises(TrainingStopped, match=rf"Stopped after {steps} of 15 steps\. It is kept in") as caught:
        distilled(tmp_path / "state", stop=after(steps))
    assert isinstance(caught.value, Interrupted)
    rest = distilled(tmp_path / "state")
    assert same(whole[0], rest[0]) and whole[1] == rest[1]


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 5, 8, 11])
def test_stopped_with_every_option(tmp_path: Path, steps: int) -> None:
    """Invariance: as above, with averages, accumulation, clipping, validation images and the best epoch."""
    whole = distilled(None, recipe=FULL)
    with pytest.raises(TrainingStopped, match=f"Stopped after {steps} of 12 steps"):
        distilled(tmp_path / "state", recipe=FULL, stop=after(steps))
    rest = distilled(tmp_path / "state", recipe=FULL)
    assert same(whole[0], rest[0]) and whole[1] == rest[1]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_finished_training_is_not_repeated(tmp_path: Path, recipe: Recipe) -> None:
    """By construction: with its last checkpoint it takes no step, and gives the same result."""
    first = distilled(tmp_path / "state", recipe=recipe)
    again = distilled(tmp_path / "state", recipe=recipe, stop=lambda: pytest.fail("a step was taken"))
    assert same(first[0], again[0]) and first[1] == again[1]


def test_students_that_learn_together(tmp_path: Path) -> None:
    """Invariance: as for one, with two students."""

    def together(file: Path | None, **options: Any) -> list[dict[str, torch.Tensor]]:
        students = [make_network(0), make_network(1)]
        train_together(students, make_data(), AUGMENTED, checkpoint=file, **options)
        return [weights(student) for student in students]

    whole = together(None)
    with pytest.raises(TrainingStopped):
        together(tmp_path / "state", stop=after(7))
    assert all(map(same, whole, together(tmp_path / "state")))


SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from pathlib import Path
from tests.distill.training.conftest import make_data, make_network, weights
from tests.distill.training.test_resuming import RECIPES, digest
from zcbench.distill.training.loop import train

class Talk:
    def start(self, steps, done, history): print("start", done, flush=True)
    def step(self): print("step", flush=True)
    def epoch(self, row): pass
    def finish(self): pass

student = make_network(dropout=0.3)
train(student, make_network(7), make_data(), RECIPES[sys.argv[2]], distillers=["kd", "dist"], checkpoint=sys.argv[1],
      checkpoint_every=2, observers=[Talk()])
print(digest(student), flush=True)
"""


def digest(network: nn.Module) -> str:
    """Fingerprint of a network's state."""
    content = b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values())
    return hashlib.sha256(content).hexdigest()


def start(state: Path, recipe: str) -> "subprocess.Popen[str]":
    where = str(Path(__file__).parents[3])
    code = f"import sys; sys.path.insert(0, {where!r})\n{SCRIPT}"
    return subprocess.Popen([sys.executable, "-c", code, str(state), recipe], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("recipe", ["full"])
def test_killed(tmp_path: Path, recipe: str) -> None:
    """Invariance: a process ended by SIGKILL in the middle of an epoch; another goes on to the same final bits."""
    state = tmp_path / "state"
    with start(state, recipe) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(9)]  # the start and eight steps
        process.send_signal(signal.SIGKILL)
        process.wait()
        lines += process.stdout.read().split("\n")
    assert lines[0] == "start 0" and process.returncode == -signal.SIGKILL
    (tmp_path / ".state.1.tmp").write_bytes(b"half a checkpoint")
    with start(state, recipe) as process:
        assert process.stdout is not None
        rest = process.stdout.read().split()
    whole = make_network(dropout=0.3)
    train(whole, make_network(7), make_data(), RECIPES[recipe], distillers=["kd", "dist"])
    assert rest[0] == "start" and int(rest[1]) >= 6 and rest[-1] == digest(whole)
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": replace(RECIPE, lr=0.1)}, r"recipe lr was 0\.05 and is 0\.1 now"),
        ({"recipe": replace(RECIPE, epochs=4, seed=1)}, "recipe epochs was 3 and is 4 now; recipe seed was 0 and is 1"),
        ({"weights": {"kd": 0.5}}, "objective was"),
        ({"distillers": ["dist"]}, "objective was"),
        ({"teacher": make_network(8)}, "teacher was"),
        ({"student": make_network(width=5)}, "student as it began was"),
        ({"student": make_network(1)}, "student as it began was"),
        ({"student": make_network(dropout=0.1)}, "student as it began was"),
        ({"data": make_data(44)}, "data was"),
    ],
)
def test_resumed_with_something_else(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """Bad input: another recipe, loss, teacher, student or data is an error that names what differs."""
    given: dict[str, Any] = {"student": make_network(), "teacher": make_network(7), "data": make_data()}
    given |= {"recipe": RECIPE, "distillers": ["kd"], "checkpoint": tmp_path / "state"}
    with pytest.raises(TrainingStopped):
        train(**given, stop=after(2))
    with pytest.raises(CheckpointError, match=rf"is of another training: .*{message}.*Expected the same one"):
        train(**given | change)


def test_architectures_with_states_alike_are_told_apart(tmp_path: Path) -> None:
    """Bad input: where one cell passes on, the other pools; the weights of one fit the other."""
    space, data = spaces.get("nasbench201(channels=2,cells=1)"), make_data()
    one, other = (
        f"|nor_conv_3x3~0|+|{first}~0|{second}~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
        for first, second in (("nor_conv_3x3", "skip_connect"), ("nor_conv_3x3", "avg_pool_3x3"))
    )
    networks = [space.build(arch, 3, 0, data.image_shape) for arch in (one, other)]
    networks[1].load_state_dict(networks[0].state_dict())
    train(networks[0], None, data, RECIPE, checkpoint=tmp_path / "state")
    with pytest.raises(CheckpointError, match="student as it began was"):
        train(networks[1], None, data, RECIPE, checkpoint=tmp_path / "state")


def test_a_network_in_half_precision_has_a_fingerprint() -> None:
    """Invariance: the same for a copy, another for other values."""
    network = make_network().to(torch.bfloat16)
    first = network_sha256(network)
    assert network_sha256(copy.deepcopy(network)) == first
    network[1].num_batches_tracked += 1
    assert network_sha256(network) != first


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Files cannot grow beyond ``size`` bytes, which the system tells as it tells of a full disk: by an OSError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk(tmp_path: Path) -> None:
    """Bad input: the checkpoint that finds no room is a named error, the one before is whole, and training goes on."""
    file = tmp_path / "state"
    with pytest.raises(TrainingStopped):
        distilled(file, stop=after(6))
    before = file.read_bytes()
    with small_disk(len(before) // 2):
        with pytest.raises(CheckpointError, match=r"Cannot write a checkpoint .*The checkpoint before it is as it was"):
            distilled(file)
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["state"]
    assert same(distilled(file)[0], distilled(None)[0])


def test_damaged(tmp_path: Path) -> None:
    """Bad input: a file that is cut short."""
    file = tmp_path / "state"
    distilled(file)
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(CheckpointError, match="is no readable checkpoint"):
        distilled(file)


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    """Bad input: a pickle whose loading would make a file is refused, and the file does not appear."""
    file = tmp_path / "state"
    content = {"format": 1, "about": {}, "state": Malicious(tmp_path / "made")}
    for write in (lambda: torch.save(content, file), lambda: file.write_bytes(pickle.dumps(content))):
        write()
        with pytest.raises(CheckpointError, match="is no readable checkpoint"):
            distilled(file)
    assert not (tmp_path / "made").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path, data: TrainingData) -> None:
    """Bad input: a file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"Cannot write a checkpoint.*No checkpoint is there yet|is no readable"):
        train(make_network(), None, data, RECIPE, checkpoint=tmp_path / "file" / "state")
