"""Networks and batches that are out of the ordinary: each score is right, or it is refused by name."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zcbench.errors import BatchError
from zcbench.proxies import REGISTRY, evaluate
from zcbench.streams import seeded

from ..conftest import Residual, make_network

ALL = REGISTRY.names()
NO_PASS = {
    "params",
    "macs",
    "n_convs",
    "depth",
    "width",
    "l2_norm",
    "az_complexity",
}  # what is known without a forward pass
REFUSALS = {"not_applicable", "singular", "infinite", "nan"}


def scores(network, batch, teacher, proxies=ALL):
    return {s.proxy: s for s in evaluate(network, batch, proxies, teacher=teacher)}


def values(network, batch, teacher):
    return {name: (s.status, repr(s.value)) for name, s in scores(network, batch, teacher).items()}


class Twice(nn.Module):
    """One residual block that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block = nn.Conv2d(3, 8, 3, padding=1), Residual(8, inplace=False)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.block(self.stem(x))).mean((2, 3)))


class Mean(nn.Module):
    """Global average pooling."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class Loud(nn.Module):
    """Logits so far apart that the cross-entropy overflows."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x) * 1e38 * 1e3


def smooth() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.GELU(), nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 5, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def in_place() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.LeakyReLU(0.1, inplace=True),
        nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


def silent() -> nn.Module:
    network = make_network()
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    return network


ODD: dict[str, Callable[[], nn.Module]] = {
    "no ReLU": smooth,
    "no batch norm": plain,
    "no final linear layer": convolutional,
    "in-place operations and dropout": in_place,
    "a block called twice": Twice,
    "a loss that overflows": lambda: Loud(make_network()),
    "all weights zero": silent,
}


@pytest.fixture(params=ODD)
def odd(request):
    with seeded("odd", request.param):
        return ODD[request.param]()


def test_each_score_is_a_number_or_refused_by_name(odd, teacher, batch):
    """The statuses are those of the contract; a value is finite, a refusal has a reason."""
    for name, score in scores(odd, batch, teacher).items():
        assert score.status == "ok" or score.status in REFUSALS, f"{name}: {score.status} {score.reason}"
        assert math.isfinite(score.value) == (score.status == "ok")
        assert (score.reason == "") == (score.status == "ok")


@pytest.mark.parametrize("size", [1, 2])
def test_small_batches(size, network, teacher, make_batch):
    """One image or two: a number, or refused by name."""
    for name, score in scores(network, make_batch(size), teacher).items():
        assert score.status == "ok" or score.status in REFUSALS, f"{name}: {score.status} {score.reason}"


def test_one_class_in_the_batch(network, teacher, batch):
    """Label-free proxies give the bits that they give with other labels; the others a number or a named refusal."""
    one_class = batch[0], torch.full_like(batch[1], 2)
    usual, single = values(network, batch, teacher), scores(network, one_class, teacher)
    for name, score in single.items():
        assert score.status == "ok" or score.status in REFUSALS, f"{name}: {score.status} {score.reason}"
        if not REGISTRY.get(name).uses_labels:
            assert (score.status, repr(score.value)) == usual[name]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype, network, teacher, batch):
    """Invariance: label, status and order of magnitude of float32, or refused by name."""
    single = scores(copy.deepcopy(network), batch, copy.deepcopy(teacher))
    half = scores(network.to(dtype), batch, teacher.to(dtype))
    for name, score in half.items():
        assert score.status == "ok" or score.status in REFUSALS, f"{name}: {score.status} {score.reason}"
    assert half["grasp"].status == "not_applicable"
    for name in (
        "params",
        "l2_norm",
        "grad_norm",
        "snip",
        "fisher",
        "fisher_channel",
        "gradsign",
        "zico",
        "naswot",
        "near",
    ):
        assert (half[name].status, half[name].value) == ("ok", pytest.approx(single[name].value, rel=0.2))


def test_half_precision_adds_up_in_float32():
    """Closed form: what 40,000 weights of 3 add up to, squares of 1e-4, and signs, beyond float16's range."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(200, 200, bias=False)).half()
    nn.init.constant_(network[1].weight, 3.0)
    batch = torch.full((16, 1, 10, 20), 1.0).half(), torch.zeros(16).long()
    found = {s.proxy: s.value for s in evaluate(network, batch, ["l2_norm", "snip", "gradsign", "fisher_channel"])}
    assert found["l2_norm"] == pytest.approx(600)
    assert found["gradsign"] == 16 * 40_000
    # the gradient of the logits is 1/200 - [class 0], the same for every image: divided by 16, over 200 inputs of 1
    assert found["snip"] == pytest.approx(200 * 3 * (199 / 200 + 199 / 200), rel=1e-2)
    saliency = 600 / 16 * np.array([199 / 200] + [1 / 200] * 199)
    assert found["fisher_channel"] == pytest.approx((saliency**2).sum() / 2, rel=1e-2)


def test_relu6_is_heard_as_module_and_as_function(batch):
    """Invariance: the module, which calls a hard tangent, and the function have the same codes; tanh has none."""

    class Clipped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.relu6(x)

    def network(activation: nn.Module) -> nn.Module:
        with seeded("relu6"):
            return nn.Sequential(nn.Conv2d(3, 8, 3), activation, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))

    names = ["naswot", "swap"]
    module, function = (evaluate(network(a), batch, names) for a in (nn.ReLU6(), Clipped()))
    assert [s.value for s in module] == [s.value for s in function] and module[0].status == "ok"
    assert evaluate(network(nn.ReLU6(inplace=True)), batch, names)[0].value == module[0].value
    assert evaluate(network(nn.Hardtanh()), batch, names)[0].status == "not_applicable"


def test_dropout_behind_a_layer_that_is_overwritten(batch):
    """Invariance: the saliency of fisher needs a second forward pass here; dropout draws the same in it."""
    with seeded("dropout"):
        network = nn.Sequential(
            nn.Flatten(), nn.Linear(192, 32), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(32, 5)
        )
    alone = {name: evaluate(network, batch, [name])[0].value for name in ("snip", "fisher", "naswot")}
    assert {s.proxy: s.value for s in evaluate(network, batch, list(alone))} == alone


def test_what_is_not_a_number_has_no_score(network, teacher, batch):
    """By name: one image with a NaN, and a network that makes them; none becomes a count or a constant gradient."""
    spoiled = batch[0].clone()
    spoiled[3, 0, 0, 0] = math.nan
    codes = ["naswot", "swap", "swap_reg", "jacov", "epe_nas"]
    assert {s.status for s in evaluate(network, (spoiled, batch[1]), codes)} == {"nan"}

    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.scale = make_network(), nn.Parameter(torch.tensor(math.nan))

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x * self.scale)

    given = {s.proxy: s.value for s in scores(Broken(), batch, teacher).values() if s.status == "ok"}
    assert set(given) == NO_PASS, given


def test_frozen_parameters_change_nothing(teacher, batch):
    """Invariance: the same bits whether parameters are frozen or not."""
    frozen = make_network().requires_grad_(False)
    assert values(frozen, batch, teacher) == values(make_network(), batch, teacher)


def test_in_place_activations_change_nothing(teacher, batch):
    """Invariance: in-place ReLUs give what ReLUs give, up to the rounding of another order of operations."""
    one, two = (scores(make_network(inplace=inplace), batch, teacher) for inplace in (False, True))
    for name in ALL:
        assert (one[name].status, one[name].value) == (
            two[name].status,
            pytest.approx(two[name].value, rel=1e-5, nan_ok=True),
        )


def test_a_block_called_twice_counts_as_two_copies_that_share_weights(batch, teacher):
    """Invariance: parameters once; every ReLU call by itself; also where the block is registered under two names."""
    network = Twice()
    unrolled = nn.Sequential(network.stem, network.block, network.block, Mean(), network.head)
    own = [(p, p.detach().clone(), p.requires_grad) for p in unrolled.parameters()]
    assert values(unrolled, batch, teacher) == values(network, batch, teacher)
    assert scores(unrolled, batch, teacher)["params"].value == sum(p.numel() for p in network.parameters())
    for parameter, (same, values_before, flag) in zip(unrolled.parameters(), own, strict=True):
        assert parameter is same and parameter.requires_grad is flag and torch.equal(parameter, values_before)


@pytest.mark.parametrize("name", ALL)
def test_meta_networks_and_outputs_without_a_tensor_are_refused(name, batch, teacher):
    """A sentence that says what to do, for every proxy."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = make_network()

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"scores": self.network(x)}

    with pytest.raises(BatchError, match="meta device"):
        evaluate(make_network().to("meta"), batch, [name], teacher=teacher)
    if name in (NO_PASS - {"l2_norm"}) | {"te_nas_regions"}:
        assert evaluate(Named(), batch, [name], teacher=teacher)[0].status in {"ok", "not_applicable"}
    else:
        with pytest.raises(BatchError, match=r"returns a dict with the keys scores.*give output="):
            evaluate(Named(), batch, [name], teacher=teacher)
