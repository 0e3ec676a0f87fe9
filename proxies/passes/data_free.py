"""The passes that need no labels and no shared graph: counts, the linearised network, the Gaussian network."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench.datasets.inputs import Given
from zcbench.hooks.functions import Caller, Function, call
from zcbench.hooks.heads import depth_of, last_map, map_of
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.rewrites import Doubled, Replacing, double_precision
from zcbench.hooks.trace import is_map, trace_of
from zcbench.hooks.usage import Usage
from zcbench.hooks.weights import Weight, named_state
from zcbench.proxies.passes.drawn import Lookups, input_of_ones, moved, normal_inputs, standard_normal
from zcbench.proxies.passes.logits import check_mixing, single_logits
from zcbench.proxies.passes.shared import differentiate
from zcbench.proxies.passes.values import Values, missing
from zcbench.proxies.signals.borrowing import with_state
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Minibatch, NetworkCosts
from zcbench.spaces.measuring import counted
from zcbench.streams import torch_stream


def size_of(network: nn.Module) -> int:
    """Number of parameters, of tensors that modules share once."""
    return sum(parameter.numel() for parameter in named_state(network).values())


def count_costs(network: nn.Module, batch: Minibatch) -> Values:
    """Count parameters, and the MACs, convolutions, depth and width of one image, in a forward pass in evaluation mode.

    MACs are those of convolutions, linear maps, recurrences and products of tensors, those of attention included.
    Parameters are counted without a pass; where the pass fails, the other counts are the error.
    """
    params = size_of(network)
    try:
        cost, logits = counted(network, batch.images[:1].clone())
    except Exception as error:
        return {"costs": NetworkCosts(params, trouble=f"{type(error).__name__}: {error}")}
    return {"costs": NetworkCosts(params, cost.macs, cost.n_convs, depth_of(logits), cost.width)}


_BATCH_NORM: Function = F.batch_norm


class WithoutBatchNorm(Replacing):
    """Batch normalisation returns a copy of its input, which later functions may overwrite."""

    def _copy(self, input: Tensor, *args: object, **kwargs: object) -> object:
        return input.clone() if _is_normalised(input) else self.then(_BATCH_NORM, (input, *args), kwargs)

    replacements: ClassVar[Mapping[Function, Function]] = {_BATCH_NORM: _copy}


def _is_normalised(input: Tensor) -> bool:
    """Whether the input of a batch normalisation depends on the images, and is no weight that is standardised."""
    return trace_of(input) is not None


def linearised_gradients(network: nn.Module, batch: Minibatch) -> Values:
    r"""Per weight |θ| and ∂R/∂|θ|, R = Σ outputs of the network with weights |θ| for one image of ones, in float64.

    Where the inputs are whole numbers, the vectors that an embedding looks up are ones.
    """
    parameters = {name: t.detach().abs().double().requires_grad_() for name, t in named_state(network).items()}
    buffers = {name: b.double() if b.is_floating_point() else b.clone() for name, b in network.named_buffers()}
    ones, lookups = input_of_ones(batch.images), Lookups(batch.images, torch.ones_like)
    positive: dict[str, Tensor] = {}

    def absolute(weight: Weight) -> Tensor | None:
        """The absolute value of a weight that is computed; a part of a parameter is absolute already."""
        if weight.part:
            return None
        if weight.name not in positive:
            positive[weight.name] = weight.tensor.detach().abs().double().requires_grad_()
        return positive[weight.name]

    through = WithoutBatchNorm(Doubled().call).call
    with (
        double_precision(),
        Recorder(parameters, ones, replace=absolute, lookups=lookups, through=through) as recorder,
    ):
        returned = with_state(network, parameters | buffers, ones)
    check_mixing(returned)
    lookups.check()
    output = single_logits(returned, batch._replace(images=ones, labels=batch.labels[:1]))
    used = {weight.name: positive.get(weight.name, weight.tensor) for weight in recorder.weights}
    total = output.sum()
    gradients = differentiate(total, used)
    pairs = {name: (weight.detach(), gradients[name]) for name, weight in used.items()}
    whole = {part: name for name, parts in recorder.weights.joined().items() for part in parts}
    attention = frozenset(whole.get(name, name) for name in recorder.attention)
    return {"linearised_gradients": pairs, "attention": attention & pairs.keys()}


class Variances(Replacing):
    """Records the biased variance per channel of the input of each batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def _record(self, input: Tensor, *args: object, **kwargs: object) -> object:
        if _is_normalised(input):
            self.found.append(input.transpose(0, 1).flatten(1).var(dim=1, correction=0))
        return _BATCH_NORM(input, *args, **kwargs)

    replacements: ClassVar[Mapping[Function, Function]] = {_BATCH_NORM: _record}


GAUSSIAN_IMAGES = 16  # as in the released code of Zen-NAS


class GaussianState(NamedTuple):
    """Copies of all parameters and buffers by name, and Gaussian tensors for weights that are no whole parameters."""

    tensors: dict[str, Tensor]
    parameters: dict[str, Tensor]
    parts: dict[str, Tensor]


def gaussian_state(network: nn.Module, usage: Usage, stream: torch.Generator) -> GaussianState:
    """State in which weights are standard normal, scales of batch norms 1, and biases 0.

    A weight is drawn with its output channels first, also where the network keeps it the other way round.
    """
    parameters = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    state = GaussianState(parameters | buffers, parameters, {})
    for weight in usage.weights:
        if weight.joint:
            raise NotApplicable(
                f"The weight {weight.name!r} is computed from several parameters, so that its place among the draws of "
                f"Gaussian weights is not known. Make it a parameter, such as by remove_parametrizations."
            )
        shape = weight.tensor.shape
        drawn = standard_normal(shape[::-1] if weight.transposed else shape, weight.tensor, stream)
        drawn = drawn.T if weight.transposed else drawn
        if weight.whole:
            state.tensors[weight.name].copy_(drawn)
        else:
            state.parts[weight.name] = drawn
    for name in usage.biases:
        state.tensors[name].zero_()
    for name in usage.scales:
        state.tensors[name].fill_(1)
    return state


def gaussian_response(network: nn.Module, batch: Minibatch, usage: Usage, seed: int, epsilon: float = 0.01) -> Values:
    """‖Φ(x) − Φ(x + εx')‖₂ per image, and the batch-norm variances, for Gaussian weights and images.

    Φ is the feature map before global pooling. Weights of convolutions, linear maps and recurrences, x and x' (16
    images of the batch's shape) are standard normal and come from one stream; batch norms have scale 1 and shift 0; the
    biases of all layers are 0.
    """
    stream = torch_stream("gaussian_response", seed, device=batch.images.device)
    state = gaussian_state(network, usage, stream)
    image, noise = (normal_inputs(batch.images, GAUSSIAN_IMAGES, stream) for _ in range(2))
    vectors: list[tuple[Tensor, Tensor]] = []

    def draw(found: Tensor) -> Tensor:
        vectors.append((standard_normal(found.shape, found, stream), standard_normal(found.shape, found, stream)))
        return vectors[-1][0]

    def move(found: Tensor) -> Tensor:
        one, other = vectors.pop(0)
        return one + epsilon * other

    variances = Variances()
    with torch.no_grad():
        one = _features(network, state, image, Lookups(batch.images, draw), variances.call)
        other = _features(network, state, moved(image, noise, epsilon), Lookups(batch.images, move))
    if one is None or other is None:
        return {"gaussian_response": missing("The last activation before the classifier is no feature map.")}
    change = (one - other).flatten(1).norm(dim=1)
    return {"gaussian_response": (change, variances.found)}


def _features(
    network: nn.Module, state: GaussianState, images: Given, lookups: Lookups, through: Caller = call
) -> Tensor | None:
    def drawn(weight: Weight) -> Tensor | None:
        return state.parts.get(weight.name)

    with Recorder(state.parameters, images, replace=drawn, lookups=lookups, through=through, copies=True):
        output = with_state(network, state.tensors, images)
    check_mixing(output)
    lookups.check()
    last = last_map(output)
    return map_of(output) if last is not None and is_map(last.tensor, last.trace) else None
