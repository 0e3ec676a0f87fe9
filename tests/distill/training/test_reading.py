"""Outputs read in training, and that every distiller trains with them."""

import pytest
import torch
from torch import nn

from zcbench import distill, spaces
from zcbench.distill import MissingOutput, Outputs, TrainingData
from zcbench.distill.reading import Reader
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.teaching import Teacher
from zcbench.distill.training.training import Training
from zcbench.proxies.scoring.contract import Proxy
from zcbench.proxies.scoring.evaluation import evaluate
from zcbench.streams import seeded

from .conftest import RECIPE, make_data, make_network, weights

SPACE = spaces.get("nasbench201(channels=4,cells=1)")
CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
EVERYTHING = frozenset(distill.OUTPUTS)
NAMES = distill.names()


def student() -> nn.Module:
    return SPACE.build(CELL, num_classes=3, image_shape=(3, 8, 8))


def teacher() -> nn.Module:
    return spaces.get("resnet").build("resnet20", num_classes=3, image_shape=(3, 8, 8))


@pytest.mark.parametrize("build", [student, teacher])
def test_outputs_are_the_signals_of_the_proxies(build, data: TrainingData) -> None:
    """Independent route: what the shared pass of the proxies reads off the same network and batch, bit for bit."""
    images, labels = data.images[:6], data.labels[:6]
    signals: dict[str, list[torch.Tensor]] = {}

    def take(given) -> float:
        for name in EVERYTHING:
            value = getattr(given, name)
            signals[name] = [t.clone() for t in (value if isinstance(value, tuple) else (value,))]
        return 0.0

    evaluate(build(), (images, labels), [Proxy("take", take, EVERYTHING, higher_is_better=True, uses_labels=False)])
    outputs = Reader(build().train(), EVERYTHING, "float32", images[:1])(images)
    for name, expected in signals.items():
        found = outputs.read(name)
        assert len(found) == len(expected) and all(map(torch.equal, found, expected))
        assert all(tensor.requires_grad for tensor in found)


def test_a_map_of_one_position() -> None:
    """Slow reference: what a hook sees go into the last pooling of a network that leaves one position of 16x16."""
    network = spaces.get("mobilenetv2").build("1-0.25", num_classes=3, image_shape=(3, 16, 16)).eval()
    images, heard = torch.arange(2.0 * 3 * 256).sin().view(2, 3, 16, 16), []
    pool = next(module for module in network.modules() if isinstance(module, nn.AdaptiveAvgPool2d))
    pool.register_forward_pre_hook(lambda module, inputs: heard.append(inputs[0]))
    found = Reader(network, EVERYTHING, "float32", images[:1])(images).features
    assert found.shape[2:] == (1, 1) and torch.equal(found, heard[-1])


def test_nothing_stays_on_the_network(data: TrainingData) -> None:
    """Invariance: no hook is left, the modes are as they were."""
    network = student()
    Reader(network, EVERYTHING, "float32", data.images[:1])(data.images[:4])
    assert network.training and not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("name", NAMES)
def test_every_distiller_trains(name: str) -> None:
    """Contract: a pair of other families; the loss alone moves the student, and its adapters where it has some."""
    data, network = make_data(), student()
    objective = TrainingObjective([name], {"ce": 0.0, name: 1.0})
    training = Training([network], [objective], [Teacher(teacher())], data, RECIPE)
    before, adapters = weights(network), weights(objective)
    for _ in range(2):
        training.step()
    moved = [key for key in before if "weight" in key and not torch.equal(before[key], network.state_dict()[key])]
    assert "stem.0.weight" in moved
    learned = [key for key in adapters if key.endswith("weight")]
    assert not learned or any(not torch.equal(adapters[key], objective.state_dict()[key]) for key in learned)


def test_remembered_maps(data: TrainingData) -> None:
    """Invariance: kept features, stages, embeddings and classifier are those of the teacher for these images."""
    network = teacher().eval()
    kept = Teacher(network).remembered(data, EVERYTHING, "float32")
    assert kept is not None
    with torch.no_grad():
        whole = Reader(network, EVERYTHING, "float32", data.images[:1])(data.images)
    for name in EVERYTHING:
        for one, other in zip(kept.read(name), whole.read(name), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("name", "lacking"), [("at", "stages"), ("review", "stages"), ("rkd", "embedding")])
def test_a_network_that_lacks_what_is_read(name: str, lacking: str, data: TrainingData) -> None:
    """Bad input: a distiller of maps for a network without any is an error that names the output and what to do."""
    with seeded("tests", "plain"):
        flat = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
        pooled = nn.Sequential(nn.Conv2d(3, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Sigmoid())
    plain = pooled if lacking == "embedding" else flat
    with pytest.raises(MissingOutput, match=rf"Sequential has no '{lacking}'.*a distiller that does not read it"):
        distill.train(plain, teacher(), data, RECIPE, distillers=[name])


def test_outputs_under_autocast(data: TrainingData) -> None:
    """By construction: maps in bfloat16, the distiller computes in float32 and the loss is near that of float32."""
    values = []
    for precision in ("float32", "bfloat16"):
        outputs = Reader(student(), frozenset({"features"}), precision, data.images[:1])(data.images[:8])
        values.append(distill.get("sp")(outputs, Outputs(features=outputs.features.detach().flip(0))).item())
    assert values[1] == pytest.approx(values[0], rel=0.1)
    assert outputs.features.dtype is torch.bfloat16


def test_looking_for_shapes_changes_nothing(data: TrainingData) -> None:
    """Invariance: looking for shapes leaves the running statistics as they are."""
    network = make_network()
    before = weights(network)
    Training([network], [TrainingObjective(["fitnet"])], [Teacher(make_network(7, width=6))], data, RECIPE)
    after = weights(network)
    assert all(torch.equal(before[name], after[name]) for name in before)
