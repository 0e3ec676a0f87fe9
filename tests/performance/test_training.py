"""What the training loop costs, against a bare PyTorch loop of the same network, batch and loss, in one run.

    make benchmark

One thread, a NAS-Bench-201 network at C=8, N=3, batch 128 x 3 x 16 x 16, SGD with Nesterov momentum. The asserted
figures are ratios of processor time.
"""

from collections.abc import Callable
from time import process_time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench import spaces
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.teaching import Teacher
from zcbench.distill.training.training import Training
from zcbench.streams import torch_stream

ARCHS = {
    "all 3x3": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "mixed": "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|",
}
SPACE = spaces.get("nasbench201(channels=8,cells=3)")
SHAPE = (3, 16, 16)
ROUNDS, STEPS = 5, 6
MOST = 1.05
RECIPE = Recipe(epochs=1000, batch_size=128)


def images(count: int = 1024) -> TrainingData:
    stream = torch_stream("benchmark", "training")
    pixels, labels = torch.randn(count, *SHAPE, generator=stream), torch.randint(10, (count,), generator=stream)
    return TrainingData(pixels, labels, pixels[:2], labels[:2], 10).to("cpu", "channels_last")


def bare(arch: str, data: TrainingData, teacher: nn.Module | None = None) -> Callable[[], None]:
    """The loop that everybody writes, with the options that make it fast."""
    network = SPACE.build(arch, image_shape=SHAPE).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = list(network.parameters())
    optimizer = torch.optim.SGD(weights, 1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10_000)
    order = torch.randperm(len(data), generator=torch_stream("benchmark", "order"))

    def loss(logits: Tensor, batch: Tensor, labels: Tensor) -> Tensor:
        ce = F.cross_entropy(logits, labels)
        if teacher is None:
            return ce
        with torch.no_grad():
            wanted = F.log_softmax(teacher(batch) / 4, 1)
        divergence = F.kl_div(F.log_softmax(logits / 4, 1), wanted, reduction="batchmean", log_target=True)
        return 0.1 * ce + 0.9 * 16 * divergence

    def steps() -> None:
        for chosen in order[: STEPS * 128].split(128):
            batch, labels = data.images[chosen], data.labels[chosen]
            optimizer.zero_grad(set_to_none=True)
            loss(network(batch), batch, labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()

    return steps


def ours(arch: str, data: TrainingData, teacher: Teacher | None = None) -> Callable[[], None]:
    objective = TrainingObjective(["kd"] if teacher else [])
    student = SPACE.build(arch, image_shape=SHAPE)
    training = Training([student], [objective], [teacher] if teacher else [], data, RECIPE)

    def steps() -> None:
        for _ in range(STEPS):
            training.step()

    return steps


def fastest(*ways: Callable[[], None]) -> list[float]:
    """Processor seconds per step of each, the least over interleaved rounds."""
    best = [float("inf")] * len(ways)
    for _ in range(ROUNDS + 1):  # the first warms up
        for index, way in enumerate(ways):
            start = process_time()
            way()
            best[index] = min(best[index], (process_time() - start) / STEPS)
    return best


def test_plain_training(benchmark) -> None:
    """Against the bare loop: within 5 %."""
    benchmark.pedantic(_plain_training, rounds=1)


def _plain_training() -> None:
    data = images()
    for name, arch in ARCHS.items():
        plain, own = fastest(bare(arch, data), ours(arch, data))
        print(f"{name}: bare {1e3 * plain:.1f} ms, ours {1e3 * own:.1f} ms a step, ratio {own / plain:.3f}")
        assert own <= MOST * plain


def test_distillation(benchmark) -> None:
    """Against the bare loop with the teacher in it: within 5 %; with what it said kept, within 5 % of none at all."""
    benchmark.pedantic(_distillation, rounds=1)


def _distillation() -> None:
    data = images()
    teacher = spaces.get("resnet").build("resnet20", image_shape=SHAPE).eval()
    teacher = teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fresh, kept = Teacher(teacher, most_bytes=0), Teacher(teacher)
    for name, arch in ARCHS.items():
        ways = bare(arch, data), bare(arch, data, teacher), ours(arch, data, fresh), ours(arch, data, kept)
        plain, taught, own, remembered = fastest(*ways)
        print(
            f"{name}: bare {1e3 * plain:.1f} ms, with teacher {1e3 * taught:.1f} ms; ours {1e3 * own:.1f} ms, "
            f"teacher kept {1e3 * remembered:.1f} ms; ratios {own / taught:.3f}, {remembered / plain:.3f}"
        )
        assert own <= MOST * taught and remembered <= MOST * plain
