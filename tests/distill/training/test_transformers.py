"""Vision transformers as students of convolutional teachers: every loss, genomes, stage matching, the recipe."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zcbench import distill, spaces
from zcbench.distill import Outputs, Teacher, TrainingData
from zcbench.distill.errors import ShapeMismatch
from zcbench.distill.reading import Reader
from zcbench.distill.training.loop import train
from zcbench.distill.training.matching import matched_outputs, matched_stages
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.optimisation import build_optimizer, build_schedule
from zcbench.distill.training.recipe import TRANSFORMER, Recipe
from zcbench.distill.training.training import Training
from zcbench.kdzero.genome.domain import GenomeDomain

from .conftest import make_data, same, weights

RECIPE = Recipe(epochs=1, batch_size=8, optimizer="adamw", layout="contiguous")
#: Students for images of 16x16, and the shapes of their stages.
STUDENTS = {
    "deit": ("deit(patch=4)", "16/2/4/2", [(32, 4, 4)] * 3),
    "t2t": ("t2t(stride=1)", "16/1/4/2", [(64, 16, 16), (64, 8, 8), (32, 4, 4)]),
    "pvt": (
        "pvt(patch=1)",
        "16/2-2-2-2/1-1-1-1/1-1-2-4",
        [(16, 16, 16), (16, 8, 8), (32, 4, 4), (64, 2, 2)],
    ),
    "pit": ("pit", "16/2/1-4-2/2-2-2", [(32, 1, 1)] * 3),
}
NAMES = [name for name in distill.names() if name != "genome"]


def student(name: str) -> nn.Module:
    spec, arch, _ = STUDENTS[name]
    return spaces.get(spec).build(arch, 3, image_shape=(3, 16, 16))


def teacher() -> nn.Module:
    return spaces.get("resnet").build("1-1-1@8-8-16-24", 3, image_shape=(3, 16, 16), seed=1)


@pytest.fixture(scope="module")
def images() -> TrainingData:
    return make_data(train=16, test=8, side=16)


@pytest.mark.parametrize("name", STUDENTS)
def test_stages_are_token_maps(name: str, images: TrainingData) -> None:
    """Closed form: tokens without the class token, as maps; a grid of one size is cut into three stages."""
    network = student(name)
    reader = Reader(network, frozenset({"stages", "features", "embedding"}), "float32", images.images[:1])
    found = reader(images.images[:4])
    assert [tuple(stage.shape[1:]) for stage in found.stages] == STUDENTS[name][2]
    assert found.features.shape[1:] == STUDENTS[name][2][-1]
    assert found.embedding.shape == (4, found.features.shape[1])


@pytest.mark.parametrize("loss", NAMES)
@pytest.mark.parametrize("name", STUDENTS)
def test_every_loss_trains_a_transformer(name: str, loss: str, images: TrainingData) -> None:
    """Contract: finite; the loss alone gives the first layer a gradient and trains its adapters; nothing is left."""
    network, above = student(name), teacher()
    objective = TrainingObjective([loss], {"ce": 0.0, loss: 1.0})
    state, taught = set(network.state_dict()), weights(above)
    training = Training([network], [objective], [Teacher(above)], images, RECIPE)
    before, adapters = weights(network), weights(objective)
    value = training.terms()[0]
    assert value.isfinite().all()
    training.step()
    training.step()
    first = {"deit": "patches.weight", "t2t": "tokens.0.kqv.weight", "pvt": "embeddings.0.conv.weight"}
    assert not torch.equal(
        before[first.get(name, "patches.weight")], network.state_dict()[first.get(name, "patches.weight")]
    )
    learned = [key for key in adapters if key.endswith("weight")]
    assert not learned or any(not torch.equal(adapters[key], objective.state_dict()[key]) for key in learned)
    assert set(network.state_dict()) == state
    assert same(weights(above), taught)
    assert not any(module._forward_hooks for part in (network, above) for module in part.modules())


@pytest.mark.parametrize("name", STUDENTS)
def test_genomes_train_transformers(name: str, images: TrainingData) -> None:
    """Contract: genomes drawn for the pair, of all three inputs, are finite and their gradient reaches the student."""
    network, above = student(name), teacher()
    reads = frozenset({"features", "embedding"})
    pair = [
        Reader(part.eval(), reads, "float32", images.images[:1])(images.images[:4]).shapes for part in (network, above)
    ]
    domain, rng = GenomeDomain(pair=(pair[0], pair[1])), np.random.default_rng(0)
    for what in ("features", "embedding", "logits"):
        for _ in range(6):
            genome = domain.restricted(input=[what], weight=[1.0]).sample(rng)
            loss = genome.distiller
            objective = TrainingObjective([loss], {"ce": 0.0, loss.name: 1.0})
            trained = student(name)
            training = Training([trained], [objective], [Teacher(above)], images, RECIPE)
            term = training.terms()[0, 0]
            assert term.isfinite(), genome.formula
            (gradient,) = torch.autograd.grad(term, [next(trained.parameters())], allow_unused=True)
            assert gradient is not None and gradient.isfinite().all(), genome.formula


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [4]), (2, [2, 4]), (3, [1, 2, 4]), (4, [1, 2, 3, 4]), (9, [1, 2, 3, 4])]
)
def test_matched_stages(count: int, expected: list[int]) -> None:
    """Closed form: stage number floor(k M / K) of M, by hand; the last one is always among them."""
    assert list(matched_stages([1, 2, 3, 4], count)) == expected


def test_matched_outputs() -> None:
    """By hand: four stages under three, either way round; equal numbers and absent stages are left as they are."""
    maps = [torch.full((1, 2, side, side), float(side)) for side in (8, 4, 2, 1)]
    many, few = Outputs(stages=maps), Outputs(stages=maps[1:])
    one, other = matched_outputs(many, few)
    assert [stage.shape[-1] for stage in one.stages] == [8, 4, 1]
    assert other.stages == few.stages
    assert [stage.shape[-1] for stage in matched_outputs(few, many)[1].stages] == [8, 4, 1]
    assert matched_outputs(many, many)[0] is many
    logits = Outputs(logits=torch.zeros(1, 2))
    assert matched_outputs(logits, many) == (logits, many)


def test_trainings_match_stages_and_proxies_refuse(images: TrainingData) -> None:
    """Closed form: the term of a training is the loss of the matched stages; the bare loss names both numbers."""
    network, above = student("pvt"), teacher()
    reads = frozenset({"stages"})
    training = Training([network], [TrainingObjective(["at"])], [Teacher(above)], images, RECIPE)
    term = training.terms()[0, 2]
    batch = training._batches.at(0)
    one = Reader(network, reads, "float32", batch.images[:1])(batch.images)
    other = Reader(above.eval(), reads, "float32", batch.images[:1])(batch.images)
    expected = distill.get("at")(one.replace(stages=[one.stages[index] for index in (0, 1, 3)]), other)
    torch.testing.assert_close(term, expected)
    with pytest.raises(ShapeMismatch, match="4 stages and the teacher 3"):
        distill.get("at")(one, other)


def test_recipe_of_transformers() -> None:
    """Closed form: warm-up is linear to the highest rate, then half a cosine; the optimizer is AdamW."""
    recipe = TRANSFORMER.lasting(30)
    assert (recipe.epochs, recipe.warmup, recipe.optimizer, recipe.weight_decay) == (30, 2.0, "adamw", 0.05)
    assert TRANSFORMER.lasting(300) == TRANSFORMER
    assert Recipe(epochs=10).lasting(20) == Recipe(epochs=20)
    weight = nn.Parameter(torch.zeros(1))
    optimizer = build_optimizer([weight], recipe)
    schedule = build_schedule(optimizer, recipe, 5)
    rates = []
    for _ in range(150):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = [5e-4 * (step + 1) / 11 for step in range(10)]
    expected += [5e-4 * (1 + math.cos(math.pi * (step - 10) / 140)) / 2 for step in range(10, 150)]
    assert rates == pytest.approx(expected)


def test_a_student_is_trained_and_exported_without_its_projectors(images: TrainingData) -> None:
    """Invariance: the state after a training with projectors has the names of a fresh network, and gives its logits."""
    network = student("deit")
    result = train(network, teacher(), images, RECIPE, distillers=["review", "kd"])
    fresh = student("deit").eval()
    fresh.load_state_dict(result.network.state_dict())
    with torch.no_grad():
        given: Tensor = images.test_images
        torch.testing.assert_close(fresh(given), result.network(given))
