"""Proxies on networks for segmentation: one function, one score; losses per pixel; the backbone's maps; refusals."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench import distill, spaces
from zcbench.distill import Outputs
from zcbench.proxies import Score, evaluate
from zcbench.proxies.passes.dense import NO_BACKBONE
from zcbench.spaces.dense import DenseMaps, DenseNetwork

CLASSES, SIDE = 4, 16
SPACE = spaces.get("dense(backbone='resnet')")
TEACHER = SPACE.build("1-1-1@8-16-16-24", CLASSES, 9, (3, SIDE, SIDE))
#: One or two of each kind: sizes, gradients, data-free, codes, blocks, maps, and those with a teacher.
PROXIES = "params,macs,snip,grad_norm,fisher,grasp,synflow,naswot,jacov,az_expressivity,az_trainability,epsinas,zico_bc"
TAUGHT = "kd:kd,kd:dist,kd:at,diswot_relation"
OF_MAPS = ("kd:at", "diswot_relation")


def network() -> DenseNetwork:
    made = SPACE.build("1-1-2@8-8-16-16", CLASSES, 1, (3, SIDE, SIDE))
    assert isinstance(made, DenseNetwork)
    return made


def batch(size: int = 6) -> tuple[Tensor, Tensor]:
    """Images and masks, with pixels that do not count."""
    stream = torch.Generator().manual_seed(4)
    masks = torch.randint(CLASSES, (size, SIDE, SIDE), generator=stream)
    masks[0, :3] = -100
    return torch.randn(size, 3, SIDE, SIDE, generator=stream), masks


def scores(student: nn.Module, given: tuple[Tensor, Tensor], names: str = f"{PROXIES},{TAUGHT}") -> dict[str, Score]:
    return {item.proxy: item for item in evaluate(student, given, names, teacher=TEACHER)}


class Functions(nn.Module):
    """An FCN head written with functions: its classifier is a product of matrices."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        (self.conv, self.bn, _), _, self.last = head

    def forward(self, maps: Tensor) -> Tensor:
        inner = F.conv2d(maps, self.conv.weight, padding=1)
        inner = F.batch_norm(inner, None, None, self.bn.weight, self.bn.bias, training=True).clamp(min=0)
        logits = inner.movedim(1, -1) @ self.last.weight[:, :, 0, 0].T + self.last.bias
        return logits.movedim(-1, 1)


class Subclass(DenseNetwork):
    """The same maps, in a loop of its own, and the head in functions."""

    def maps(self, images: Tensor) -> DenseMaps:
        inner = self.backbone.stem(images)
        first = self.backbone.stage1(inner)
        second = self.backbone.stage2(first)
        third = self.backbone.stage3(second)
        logits = F.interpolate(self.head(third), (SIDE, SIDE), mode="bilinear")
        return DenseMaps(logits, third, (first, second, third))


class Plain(nn.Module):
    """The same function, which does not tell its maps."""

    def __init__(self, dense: DenseNetwork) -> None:
        super().__init__()
        self.backbone, self.head = dense.backbone, dense.head

    def forward(self, images: Tensor) -> Tensor:
        return F.interpolate(self.head(self.backbone(images)), images.shape[-2:], mode="bilinear")


def test_one_function_has_one_score() -> None:
    """Invariance: written with functions and as a plain module, all scores are the same, or refused with the reason."""
    dense, given = network(), batch()
    expected = scores(dense, given)
    assert {item.status for item in expected.values()} == {"ok"}
    rewritten = scores(Subclass(copy.deepcopy(dense.backbone), Functions(copy.deepcopy(dense.head))), given)
    plain = scores(Plain(copy.deepcopy(dense)), given)
    for name, item in expected.items():
        if not name.startswith("az_"):  # whose blocks are modules
            assert rewritten[name].value == pytest.approx(item.value, rel=1e-4), name
        if name in OF_MAPS:
            assert (plain[name].status, plain[name].reason) == ("not_applicable", NO_BACKBONE)
        else:
            assert plain[name].value == pytest.approx(item.value, rel=1e-4), name
    assert {rewritten[name].status for name in ("az_expressivity", "az_trainability")} == {"not_applicable"}


def test_the_order_of_images_does_not_matter() -> None:
    """Invariance: images and masks in another order; the halves of ZiCo-BC are others then."""
    dense, (images, masks) = network(), batch()
    order = torch.tensor([3, 5, 0, 4, 1, 2])
    found, turned = scores(dense, (images, masks)), scores(dense, (images[order], masks[order]))
    for name in found.keys() - {"zico_bc"}:
        assert turned[name].value == pytest.approx(found[name].value, rel=1e-4), name


def test_gradients_are_those_of_the_cross_entropy_per_pixel() -> None:
    """Independent path: autograd of a cross-entropy that is summed pixel by pixel over those that count."""
    dense, (images, masks) = network().train(), batch()
    shares = dense(images).log_softmax(1)
    losses = [-shares[i, masks[i, y, x], y, x] for i, y, x in (masks >= 0).nonzero().tolist()]
    weights = [module.weight for module in dense.modules() if isinstance(module, nn.Conv2d)]
    gradients = torch.autograd.grad(torch.stack(losses).mean(), weights)
    saliency = sum((weight * gradient).abs().sum().item() for weight, gradient in zip(weights, gradients))
    norm = sum(gradient.norm().item() for gradient in gradients)
    found = scores(network(), (images, masks), "snip,grad_norm")
    assert found["snip"].value == pytest.approx(saliency, rel=1e-4)
    assert found["grad_norm"].value == pytest.approx(norm, rel=1e-4)


def test_kd_is_compared_pixel_by_pixel() -> None:
    """Closed form: minus 16 times the mean divergence at temperature 4 over the pixels that count, by a loop."""
    dense, (images, masks) = network(), batch()
    with torch.no_grad():
        own, other = (copy.deepcopy(one).train()(images) for one in (dense, TEACHER))
    total = []
    for i, y, x in (masks >= 0).nonzero().tolist():
        p, q = ([math.exp(value / 4) for value in logits[i, :, y, x].tolist()] for logits in (other, own))
        p, q = ([value / sum(part) for value in part] for part in (p, q))
        total.append(sum(a * math.log(a / b) for a, b in zip(p, q)))
    found = scores(dense, (images, masks), "kd:kd(temperature=4)")
    assert next(iter(found.values())).value == pytest.approx(-16 * sum(total) / len(total), rel=1e-4)


@pytest.mark.parametrize(("name", "reads"), [("at", "stages"), ("sp", "features")])
def test_maps_are_those_of_the_backbone(name: str, reads: str) -> None:
    """Independent path: the loss on maps that module hooks of the backbone kept."""
    images, masks = batch()

    def outputs(dense: DenseNetwork) -> Outputs:
        kept: list[Tensor] = []
        twin = copy.deepcopy(dense).train()
        for stage in (twin.backbone.stage1, twin.backbone.stage2, twin.backbone.stage3):
            stage.register_forward_hook(lambda module, inputs, output: kept.append(output.detach().clone()))
        twin(images)
        return Outputs(stages=kept) if reads == "stages" else Outputs(features=kept[-1])

    expected = -distill.get(name)(outputs(network()), outputs(TEACHER)).item()
    found = scores(network(), (images, masks), f"kd:{name}")
    assert found[f"kd:{name}"].value == pytest.approx(expected, rel=1e-4)


def test_proxies_of_one_class_or_embedding_for_each_image_are_refused() -> None:
    """By definition: what needs one is not applicable, with a reason; nothing is left on the network."""
    dense, given = network(), batch()
    names = "epe_nas,vkdnw,intrain,zen,diswot,diswot_semantic,te_nas_regions,kd:crd,kd:diswot_semantic_cam,kd:nd,dss"
    before = set(vars(dense))
    for item in scores(dense, given, names).values():
        assert item.status == "not_applicable" and item.reason, item
    assert set(vars(dense)) == before
