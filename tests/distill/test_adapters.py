"""Adapters and projectors: shapes, seeds, gradients, and the errors where they lack."""

import pytest
import torch
from torch import Tensor, nn

from zcbench import distill
from zcbench.distill import HyperparameterError, Outputs, ShapeMismatch
from zcbench.errors import UnknownNameError

from .conftest import Pair, make_outputs

ADAPTED = [name for name in distill.names() if "adapter" in distill.get(name).hyperparameters]
PROJECTED = [name for name in distill.names() if distill.get(name).projector]


@pytest.fixture
def unlike(pair: Pair) -> Pair:
    """A teacher with more channels everywhere and larger maps."""
    return pair._replace(teacher=make_outputs("wide", stages=((5, 8, 8), (7, 4, 4), (9, 4, 4))))


@pytest.mark.parametrize("name", ADAPTED)
def test_unlike_shapes_name_the_adapter(name: str, unlike: Pair) -> None:
    """Bad input: other channel counts are an error that names both and the adapter to give."""
    first = "3 / 4 / 6 channels and the teacher's 5 / 7 / 9" if "stages" in distill.get(name).reads else "6 channels"
    with pytest.raises(ShapeMismatch, match=rf"{first}.*adapter='(conv1x1|linear)'"):
        distill.get(name)(*unlike)


@pytest.mark.parametrize("name", ADAPTED)
def test_projectors_make_every_loss_trainable(name: str, unlike: Pair) -> None:
    """Contract: with its projectors a loss takes unlike networks; gradients for student and projectors only."""
    loss = distill.get(name)
    module = loss.projectors(unlike.student.shapes, unlike.teacher.shapes)
    assert module is not None
    value = loss(*unlike, adapter=module.double())
    value.backward()  # type: ignore[no-untyped-call]
    assert any(stage.grad is not None and stage.grad.abs().max() > 0 for stage in unlike.student.stages)
    assert all(stage.grad is None for stage in unlike.teacher.stages) and unlike.teacher.classifier.grad is None
    used = [parameter.grad is not None and bool(parameter.grad.isfinite().all()) for parameter in module.parameters()]
    assert sum(used) >= len(used) - 2  # the deepest fusion of 'review' has nothing to attend to


@pytest.mark.parametrize("name", ADAPTED)
def test_no_adapter_where_shapes_agree(name: str, pair: Pair) -> None:
    """Contract: equal shapes need no adapter, unless the paper has modules of its own."""
    module = distill.get(name).projectors(pair.student.shapes, pair.teacher.shapes)
    assert (module is not None) == (name in PROJECTED)


@pytest.mark.parametrize("name", ADAPTED)
def test_named_adapters_are_reproducible(name: str, unlike: Pair) -> None:
    """Contract: an adapter by name is a pure function of its seed; the global random state is left alone."""
    kind = "linear" if "embedding" in distill.get(name).reads else "conv1x1"
    state = torch.get_rng_state()
    one, same, other = (distill.get(name, adapter=kind, adapter_seed=seed)(*unlike).item() for seed in (0, 0, 1))
    assert one == same != other
    assert torch.equal(torch.get_rng_state(), state)
    assert distill.get(name)(*unlike, adapter=kind).item() == one


def normalised(maps: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
    """Batch normalisation in training mode, written out."""
    mean, variance = maps.mean((0, 2, 3), keepdim=True), maps.var((0, 2, 3), correction=0, keepdim=True)
    scale, shift = (value[None, :, None, None] for value in (norm.weight, norm.bias))
    return (maps - mean) / (variance + norm.eps).sqrt() * scale + shift


def test_fusion_of_review_written_out(unlike: Pair) -> None:
    """Slow reference: section 3.3 with the module's weights; a deeper stage is enlarged by repetition."""
    module = distill.get("review").projectors(unlike.student.shapes, unlike.teacher.shapes)
    assert module is not None
    found, teacher = module.double()(unlike.student, unlike.teacher)
    assert teacher is unlike.teacher
    deeper, expected = None, []
    for fusion, stage in reversed(list(zip(module.fusions, unlike.student.stages))):
        fused = normalised(torch.einsum("oc,bchw->bohw", fusion.enter[0].weight[:, :, 0, 0], stage), fusion.enter[1])
        if deeper is not None:
            nearest = torch.arange(fused.shape[-1]) * deeper.shape[-1] // fused.shape[-1]
            deeper = deeper[:, :, nearest][..., nearest]
            layer = fusion.attention[0]
            both = torch.einsum("oc,bchw->bohw", layer.weight[:, :, 0, 0], torch.cat([fused, deeper], 1))
            shares = (both + layer.bias[None, :, None, None]).sigmoid()
            fused = shares[:, :1] * fused + shares[:, 1:] * deeper
        left = nn.functional.conv2d(fused, fusion.leave[0].weight, padding=1)
        expected.append(normalised(left, fusion.leave[1]))
        deeper = fused
    for one, other in zip(found.stages, reversed(expected), strict=True):
        torch.testing.assert_close(one, other)


def test_connector_and_embeddings_written_out(unlike: Pair) -> None:
    """Slow reference: convolution, normalisation and ReLU for srrl; two linear maps for crd."""
    for name in ("srrl", "crd"):
        module = distill.get(name).projectors(unlike.student.shapes, unlike.teacher.shapes)
        assert module is not None
        student, teacher = module.double()(unlike.student, unlike.teacher)
        if name == "srrl":
            weight = module.layers[0].weight[:, :, 0, 0]
            mapped = torch.einsum("oc,bchw->bohw", weight, unlike.student.features)
            torch.testing.assert_close(student.features, normalised(mapped, module.layers[1]).clamp(min=0))
            assert teacher is unlike.teacher
        else:
            for given, layer, mapped in (
                (unlike.student, module.student, student),
                (unlike.teacher, module.teacher, teacher),
            ):
                torch.testing.assert_close(mapped.embedding, given.embedding @ layer.weight.T + layer.bias)


def test_an_adapter_is_the_layer_it_names(unlike: Pair) -> None:
    """Independent computation: fitnet through conv1x1 is the squared distance after a matrix product over channels."""
    loss = distill.get("fitnet")
    module = loss.projectors(unlike.student.shapes, unlike.teacher.shapes, seed=3)
    assert module is not None
    weight = next(module.double().parameters())[:, :, 0, 0]
    mapped = torch.einsum("oc,bchw->bohw", weight, unlike.student.features)
    target = nn.functional.adaptive_avg_pool2d(unlike.teacher.features, 3)
    torch.testing.assert_close(loss(*unlike, adapter=module), (mapped - target).square().mean())


def test_stages_that_agree_are_left_alone(pair: Pair) -> None:
    """Closed form: where only one stage differs, only that stage has weights."""
    teacher = make_outputs("one", stages=((3, 6, 6), (8, 4, 4), (6, 3, 3)))
    module = distill.get("fsp").projectors(pair.student.shapes, teacher.shapes)
    assert module is not None and [tuple(p.shape) for p in module.parameters()] == [(8, 4, 1, 1)]


def test_batch_norm_option(unlike: Pair) -> None:
    """Closed form: after batch norm the student's channels have mean 0 and variance 1."""
    module = distill.build_adapter("conv1x1_bn", ["features"], unlike.student.shapes, unlike.teacher.shapes)
    features = module.double()(unlike.student, unlike.teacher)[0].features
    torch.testing.assert_close(features.mean((0, 2, 3)), torch.zeros(9).double())
    torch.testing.assert_close(features.var((0, 2, 3), correction=0), torch.ones(9).double(), rtol=0.01, atol=0)


def test_wrong_adapters(unlike: Pair) -> None:
    """Bad input: an unknown adapter, one for other outputs, one that is not needed, a projector that is not there."""
    with pytest.raises(UnknownNameError, match="'conv1x1'"):
        distill.get("fitnet")(*unlike, adapter="conv1x")
    with pytest.raises(HyperparameterError, match="cannot change features"):
        distill.get("fitnet")(*unlike, adapter="linear")
    with pytest.raises(HyperparameterError, match="takes no adapter"):
        distill.get("sp")(*unlike, adapter="conv1x1")
    with pytest.raises(HyperparameterError, match="no projector of its own"):
        distill.get("fitnet")(*unlike, adapter="projector")


def test_projectors_need_shapes() -> None:
    """Bad input: projectors for networks that gave no such output, or other numbers of stages."""
    nothing, shapes = Outputs().shapes, make_outputs("student").shapes
    for name in PROJECTED:
        with pytest.raises(ShapeMismatch, match="xpected"):
            distill.get(name).projectors(nothing, shapes)
    with pytest.raises(ShapeMismatch, match="3 stages, the teacher 2"):
        distill.get("fsp").projectors(shapes, shapes._replace(stages=shapes.stages and shapes.stages[:2]))


def test_review_fuses_deep_into_shallow(unlike: Pair) -> None:
    """Invariance: the deepest result depends on the deepest stage alone, the shallowest on all stages."""
    module = distill.get("review").projectors(unlike.student.shapes, unlike.teacher.shapes)
    assert module is not None
    stages = module.double()(unlike.student, unlike.teacher)[0].stages
    assert [stage.shape[1] for stage in stages] == [5, 7, 9]

    def reaches(result: Tensor) -> list[bool]:
        weights = torch.randn(result.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        found = torch.autograd.grad(
            (result * weights).sum(), unlike.student.stages, allow_unused=True, retain_graph=True
        )
        return [gradient is not None for gradient in found]

    assert [reaches(stage) for stage in stages] == [[True, True, True], [False, True, True], [False, False, True]]


def test_crd_projects_both_networks(unlike: Pair) -> None:
    """Closed form: both embeddings end at 128 dimensions, and both linear maps are trained."""
    module = distill.get("crd").projectors(unlike.student.shapes, unlike.teacher.shapes)
    assert module is not None
    mapped = module.double()(*unlike[:2])
    assert [outputs.embedding.shape[1] for outputs in mapped] == [128, 128]
    distill.get("crd")(*unlike, adapter=module).backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in module.parameters())
