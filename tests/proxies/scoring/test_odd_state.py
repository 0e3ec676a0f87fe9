"""Networks, batches and surroundings with a state of their own: no score depends on what came before or beside."""

import copy
import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

from zcbench.errors import BatchError
from zcbench.proxies import REGISTRY, evaluate
from zcbench.streams import seeded

from ..conftest import make_network

FEW = ["snip", "fisher", "jacov", "naswot", "zico", "az_trainability", "synflow", "meco_opt", "swap"]
STATUSES = {"ok", "not_applicable", "singular", "infinite", "nan"}


def found(network, batch, proxies, teacher=None):
    return {s.proxy: (s.status, repr(s.value)) for s in evaluate(network, batch, proxies, teacher=teacher)}


def alone(network, batch, proxies, teacher=None):
    return {name: found(network, batch, [name], teacher)[name] for name in proxies}


class Counting(nn.Module):
    """A network that puts new tensors in place of its buffers in every forward pass."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), nn.ReLU(inplace=True)]
        self.network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        self.scale = self.scale * 1.5
        return self.network(x * self.scale)


class Recomputing(nn.Module):
    """A network that keeps the maps before its head only where they begin, and computes the others anew."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network[-3:](checkpoint(self.network[:-3], x, use_reentrant=False))


class AlwaysDropping(nn.Module):
    """Dropout that evaluation mode does not switch off."""

    def __init__(self) -> None:
        super().__init__()
        self.network = make_network()

    def forward(self, x: Tensor) -> Tensor:
        return self.network(F.dropout(x, 0.3))


class Gated(nn.Module):
    """A ReLU on a parameter, beside those on images."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network, self.gate = make_network(), nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x) * F.relu(self.gate).sum()


def test_buffers_that_are_replaced_are_put_back(batch, teacher):
    """Invariance: the very buffer is there again with its value, and companions change no score."""
    network = Counting()
    buffer = network.scale
    beside = [*FEW, "kd:at"]
    together = found(network, batch, beside, teacher)
    assert network.scale is buffer and buffer.item() == 1
    assert alone(network, batch, beside, teacher) == together


def test_what_looks_for_blocks_draws_nothing_of_others(batch, teacher):
    """Invariance: a dropout that is always on draws the same beside a proxy that reads stages, and without it."""
    beside = [*FEW, "kd:at"]
    together = found(AlwaysDropping(), batch, beside, teacher)
    assert alone(AlwaysDropping(), batch, FEW) == {name: together[name] for name in FEW}


def test_no_stages_cost_nothing_else(batch, teacher):
    """By name: a network that takes 16 images only has no stages to be found; its other scores are as ever."""

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = make_network()

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x.view(16, 3, 8, 8))

    together = found(Fixed(), batch, ["snip", "naswot", "kd:at"], teacher)
    assert together["kd:at"][0] == "error"
    assert {name: together[name] for name in ("snip", "naswot")} == found(make_network(), batch, ["snip", "naswot"])


@pytest.mark.parametrize("shape", [(), (2,), (4, 5), (16, 5)])
def test_a_relu_on_a_parameter_has_no_code(shape, batch):
    """Invariance: the codes are those of the ReLUs on images, and the other proxies do not notice."""
    names = ["naswot", "swap"]
    assert found(Gated(shape), batch, names) == found(make_network(), batch, names)
    assert found(Gated(shape), batch, ["snip"])["snip"] == found(Gated(shape), batch, ["snip", *names])["snip"]


def by_weight_norm(layer: nn.Module) -> None:
    parametrizations.weight_norm(layer)


def by_pruning(layer: nn.Module) -> None:
    prune.l1_unstructured(layer, "weight", 0.3)


def by_hooks(layer: nn.Module) -> None:
    nn.utils.weight_norm(layer)


def plain_copy(network: nn.Module) -> nn.Module:
    """The same network with every weight as a parameter of its own."""
    plain, layers = make_network(), [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for copied, layer in zip((m for m in plain.modules() if isinstance(m, nn.Conv2d | nn.Linear)), layers, strict=True):
        copied.weight = nn.Parameter(layer.weight.detach().clone())
    return plain


@pytest.mark.parametrize("wrap", [by_weight_norm, by_pruning, by_hooks])
@pytest.mark.parametrize("every", [True, False])
def test_a_computed_weight_counts_as_what_is_computed(wrap, every, batch, teacher):
    """Independent path: the network with the computed weights as parameters; only vkdnw, which draws them, refuses."""
    network = make_network()
    for layer in [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)][: None if every else 1]:
        wrap(layer)
    before = copy.deepcopy(network.state_dict())
    names = [name for name in REGISTRY.names() if name not in ("params", "swap_reg")]  # which see more parameters
    expected = {s.proxy: s for s in evaluate(plain_copy(network), batch, names, teacher=teacher)}
    scores = {s.proxy: s for s in evaluate(network, batch, names, teacher=teacher)}
    for name, score in scores.items():
        if name in ("vkdnw", "vkdnw_single", "vkdnw_released"):
            assert score.status == "not_applicable" and "computed from" in score.reason
        elif name == "zen" and wrap is not by_pruning:  # a place among the draws is that of one parameter
            assert score.status == "not_applicable" and "several parameters" in score.reason
        else:
            wanted = pytest.approx(expected[name].value, rel=1e-4, nan_ok=True)
            assert (score.status, score.value) == (expected[name].status, wanted), name
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_spectral_norm_is_scored_and_given_back(batch, teacher):
    """By name: a status of the contract for every proxy; the state of its power iteration is left as it was."""
    network = make_network()
    parametrizations.spectral_norm(network[0])
    before = copy.deepcopy(network.state_dict())
    for score in evaluate(network, batch, REGISTRY.names(), teacher=teacher):
        assert score.status in STATUSES, f"{score.proxy}: {score.status} {score.reason}"
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert found(network, batch, ["snip", "jacov"]) == found(network, batch, ["snip", "jacov"])


class ByFunctions(nn.Module):
    """Layers whose weights are used, and which are never called."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        maps = F.conv2d(x, self.conv.weight, self.conv.bias, padding=1)
        return F.linear(maps.relu().mean((2, 3)), self.linear.weight, self.linear.bias)


def test_layers_that_are_not_called(batch):
    """Invariance: a layer whose weight is given to a function counts as one that is called."""
    functions = ByFunctions()
    layers = nn.Sequential(functions.conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), functions.linear)
    names = ["n_convs", "depth", "macs", "params", "snip", "naswot", "jacov", "synflow", "vkdnw", "l2_norm"]
    names += ["fisher", "fisher_channel", "zen", "zico", "gradsign", "near", "grasp", "te_nas_ntk"]
    assert found(functions, batch, names) == found(layers, batch, names)


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (lambda: torch.jit.script(make_network()), "hides its layers"),
        (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(5)), "lazy layers"),
        (lambda: nn.DataParallel(make_network()), "its .module"),
    ],
)
def test_networks_that_cannot_be_read_are_refused(network, sentence, batch):
    """One sentence for all proxies, of a student and of a teacher."""
    with pytest.raises(BatchError, match=sentence):
        evaluate(network(), batch, ["params", "l2_norm"])
    with pytest.raises(BatchError, match=sentence):
        evaluate(make_network(), batch, ["kd:kd"], teacher=network())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activation_checkpoints_are_computed_or_refused(dtype, batch):
    """Invariance: the same as without checkpoints, or a sentence where a recomputed map would have other weights."""
    images, labels = batch[0].to(dtype), batch[1]
    names = [name for name in REGISTRY.names() if name not in ("te_nas_regions", "dss", "synaptic_diversity")]
    kept, recomputed = make_network().to(dtype), Recomputing(make_network()).to(dtype)
    expected = {s.proxy: s.value for s in evaluate(kept, (images, labels), names, teacher=make_network().to(dtype))}
    scores = evaluate(recomputed, (images, labels), names, teacher=make_network().to(dtype))
    refused = {s.proxy for s in scores if "torch.utils.checkpoint" in s.reason}
    assert refused == {
        "synflow",
        "logsynflow",
        "gradsign",
        "intrain",
        "intrain_capacity",
        "intrain_resilience",
        "vkdnw",
        "vkdnw_released",
        "vkdnw_single",
    }
    names = {"snip", "jacov", "zico", "naswot", "fisher", "zen", "te_nas_ntk", "kd:sp", "dextr"}
    names |= {"wrcor", "zico_bc", "lswag", "epsinas"}
    found = {s.proxy: s.value for s in scores}
    assert {name: found[name] for name in names} == {name: expected[name] for name in names}
    assert found["grasp"] == pytest.approx(expected["grasp"], rel=1e-4)  # PyTorch's own second derivatives


def test_tied_modules_are_a_module_called_twice(batch):
    """Invariance: two convolutions with one weight count and weigh as one that is called twice."""
    with seeded("tied"):
        layer = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))
    twin = nn.Conv2d(3, 3, 3, padding=1, bias=False)
    twin.weight = layer.weight
    names = ["n_convs", "params", "fisher", "fisher_channel", "snip", "l2_norm", "zico", "gradsign"]
    tied, same = (
        nn.Sequential(layer, nn.ReLU(), twin, nn.ReLU(), head),
        nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), head),
    )
    assert found(tied, batch, names) == found(same, batch, names)
    assert evaluate(tied, batch, ["n_convs"])[0].value == 2


def test_transposed_convolutions_are_convolutions(batch):
    """Closed form."""
    network = nn.Sequential(nn.ConvTranspose2d(3, 4, 2), nn.Conv2d(4, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert evaluate(network, batch, ["n_convs"])[0].value == 2


@pytest.mark.parametrize("late", [nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True)])
def test_a_map_is_that_which_was_flattened(late, batch, teacher):
    """Invariance: what overwrites the flattened map later changes no score of it."""

    def network(after: nn.Module) -> nn.Module:
        with seeded("flat"):
            return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), after, nn.Linear(4 * 36, 5))

    calm = copy.deepcopy(late)
    calm.inplace = False
    names = ["zen", "diswot_relation", "diswot_semantic", "kd:sp", "kd:at"]
    assert found(network(late), batch, names, teacher) == found(network(calm), batch, names, teacher)


def test_the_graph_is_let_go(batch):
    """Invariance: no output of a layer outlives its scores, also where one is overwritten or the network fails."""
    outputs: list[weakref.ref[Tensor]] = []

    class Heard(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            outputs.append(weakref.ref(x))
            return x

    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("asked for")

    def network(last: nn.Module) -> nn.Module:
        middle = [nn.Conv2d(3, 8, 3), Heard(), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), Heard(), nn.ReLU()]
        return nn.Sequential(*middle, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5), last)

    for last in (nn.Identity(), Failing()):
        evaluate(network(last), batch, ["fisher", "snip", "jacov"])
        gc.collect()
        assert len(outputs) >= 2 and all(output() is None for output in outputs)


def test_images_with_a_graph_of_their_own(batch, teacher):
    """Invariance: a batch that somebody differentiates by gives the same bits, and gets no gradient."""
    images = batch[0].clone().requires_grad_()
    names = [*FEW, "diswot_relation"]
    assert found(make_network(), (images * 1.0, batch[1]), names, teacher) == found(
        make_network(), batch, names, teacher
    )
    assert found(make_network(), (images, batch[1]), names, teacher) == found(make_network(), batch, names, teacher)
    assert images.grad is None


def test_surroundings_change_nothing(batch):
    """Invariance: automatic casts and another default type give the same bits."""
    names = [*FEW, "swap_reg", "te_nas_ntk", "gradsign", "vkdnw"]
    usual = found(make_network(), batch, names)
    network = make_network()
    with torch.autocast("cpu", torch.bfloat16):
        assert found(network, batch, names) == usual
    torch.set_default_dtype(torch.float64)
    try:
        assert found(network, batch, names) == usual
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_part_on_the_meta_device(batch, teacher):
    """A sentence that says what to do, for a layer, a buffer, and the teacher."""
    layer, buffer = make_network(), make_network()
    layer[-1].to("meta")
    buffer[4].running_mean = buffer[4].running_mean.to("meta")
    absent = nn.Sequential(copy.deepcopy(teacher)).to("meta")
    for network, taught in ((layer, teacher), (buffer, teacher), (make_network(), absent)):
        with pytest.raises(BatchError, match="meta device"):
            evaluate(network, batch, ["params", "diswot_relation"], teacher=taught)
    with torch.inference_mode():
        network = make_network()
    with pytest.raises(BatchError, match="inference_mode"):
        evaluate(network, batch, ["snip"])
    assert (
        evaluate(copy.deepcopy(network), batch, ["snip"])[0].value == evaluate(make_network(), batch, ["snip"])[0].value
    )


def test_student_and_teacher_of_two_types(batch, teacher):
    """Invariance: a student in float64 meets a teacher in float32 as two of float64 meet, up to rounding."""
    names = ["diswot_relation", "diswot_semantic", "kd:sp", "kd:kd", "kd:cc", "kd:pkt"]
    twin = copy.deepcopy(teacher).double()
    mixed = evaluate(make_network().double(), batch, names, teacher=teacher)
    same = evaluate(make_network().double(), batch, names, teacher=twin)
    for one, other in zip(mixed, same):
        assert one.status == other.status == "ok", one
        assert one.value == pytest.approx(other.value, rel=1e-4)


def test_logits_that_do_not_see_the_images(batch):
    """By name: their gradient is zero, and a correlation of constants is singular."""

    class Blind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = make_network()

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x.detach())

    assert {s.status for s in evaluate(Blind(), batch, ["jacov", "epe_nas"])} == {"singular"}
    assert found(Blind(), batch, ["snip"]) == found(make_network(), batch, ["snip"])


def test_one_image_and_a_normalisation_of_vectors(make_batch):
    """By name: batch normalisation of vectors cannot take one image, whichever pass asks."""
    with seeded("vectors"):
        network = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 8), nn.BatchNorm1d(8), nn.ReLU()
        )
        network.append(nn.Linear(8, 5))
    names = [name for name in REGISTRY.names() if not REGISTRY.get(name).needs_teacher]
    for score in evaluate(network, make_batch(1), names):
        assert score.status in STATUSES, f"{score.proxy}: {score.status} {score.reason}"


def test_many_classes_of_one_image_each(make_batch):
    """By name: with more than 100 classes epe_nas has nothing to compare where no class has two images."""
    images, _ = make_batch(8)
    network = make_network(num_classes=120)
    assert evaluate(network, (images, torch.arange(8)), ["epe_nas"])[0].status == "not_applicable"
    assert evaluate(network, (images, torch.arange(8) // 2), ["epe_nas"])[0].status == "ok"
