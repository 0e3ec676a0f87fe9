"""The passes that compute signals: the fewest that serve all the chosen proxies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench.distill.last_map import LastMap
from zcbench.distill.stages import StageTap
from zcbench.distill.taps import ForwardTap, WeightLayer, layer_outputs, names_of_layers, own_weight, weight_layers
from zcbench.errors import BatchError
from zcbench.proxies.activations import ActivationTap
from zcbench.proxies.borrowing import copied_buffers, put_back, same_buffers, seed_everything
from zcbench.proxies.errors import NotANumber, NotApplicable
from zcbench.proxies.limits import ScoreTimeout
from zcbench.proxies.signals import Batch, Failure
from zcbench.proxies.spectra import wide

Values = dict[str, Any]


class Clock:
    """Seconds that each part of the passes took."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time the block under ``name``."""
        start = perf_counter()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0.0) + perf_counter() - start


def attempt(values: Values, names: frozenset[str], work: Callable[[], Values]) -> None:
    """Add to ``values`` what ``work`` computes; if it raises, each of ``names`` becomes that failure."""
    try:
        values |= work()
    except BatchError:
        raise
    except Exception as error:
        failure = Failure(error.with_traceback(None))  # a traceback would keep the graph
        if isinstance(error, ValueError) and "more than 1 value per channel" in str(error):
            failure = missing(f"Batch normalisation has one value per channel: {error}")
        values |= dict.fromkeys(names, failure)


def weight_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Weights of convolutions and linear layers, under the names that ``named_parameters`` gives them.

    Raises:
        NotApplicable: a layer computes its weight from other parameters, as under a parametrisation.
    """
    weights: dict[str, Tensor] = {}
    for name, layer in weight_layers(network).items():
        weight = own_weight(layer)
        if weight is None:
            raise NotApplicable(
                f"The layer {name!r} computes its weight from other parameters. Make it one again, such as by "
                f"torch.nn.utils.parametrize.remove_parametrizations."
            )
        weights[f"{name}.weight" if name else "weight"] = weight
    return weights


class SharedPass:
    r"""One forward pass, one loss backward, one input backward; a Hessian product rests on the same graph.

    .. math::  z = f_\theta(x), \qquad g = \partial_\theta L(z, y), \qquad J_i = \partial_{x_i} \textstyle\sum z,
               \qquad H g = \partial_\theta \langle g, \bar g \rangle \ (\bar g \text{ held constant})

    L is the mean cross-entropy; θ runs over the weights of convolutions and linear layers.
    """

    provides = frozenset(
        {"logits", "features", "stages", "embedding", "classifier", "relu_codes", "activation_matrices"}
        | {"gradients", "classifier_gradient", "channel_saliency", "hessian_gradient", "input_jacobian"}
    )
    first_order = frozenset({"gradients", "classifier_gradient", "channel_saliency"})

    def __init__(self, network: nn.Module, batch: Batch, wanted: frozenset[str], clock: Clock, seed: int = 0) -> None:
        self._network, self._batch, self._clock, self._seed = network, batch, clock, seed
        self._jacobian, self._hessian = "input_jacobian" in wanted, "hessian_gradient" in wanted
        self._backward = self._hessian or bool(wanted & self.first_order)
        self._saliency = "channel_saliency" in wanted
        codes = len(batch.images) if "relu_codes" in wanted else 0
        self._tap = ForwardTap(relu_codes=codes, features="features" in wanted)
        self._last_map = LastMap(network, batch.images, lambda: self._tap.features) if "features" in wanted else None
        self._stages: StageTap | Failure | None = self._stage_tap() if "stages" in wanted else None
        self._activations = ActivationTap(seed) if "activation_matrices" in wanted else None
        names = names_of_layers(network)
        attentions = [module for module in network.modules() if isinstance(module, nn.MultiheadAttention)]
        self._layers: dict[nn.Module, str] = {module: names[module.out_proj] for module in attentions}
        self._layers.update(names.items())
        self._weights: dict[str, Tensor] = {}
        self._copy_outputs = False
        self._classifier: tuple[str, WeightLayer, Tensor] | None = None
        self._outputs: list[tuple[Tensor, int]] = []
        self._products: dict[str, Tensor] = {}
        self._handles: list[Any] = []

    def run(self) -> Values:
        """Signals by name; one that fails is the `Failure`.

        Raises:
            BatchError: the network does not return logits, or a label is out of their range.
        """
        seed_everything("passes", self._seed)  # looking for blocks may have drawn numbers
        try:
            return self._run()
        finally:
            self._let_go()

    def _stage_tap(self) -> StageTap | Failure:
        try:
            with same_buffers(self._network):
                return StageTap(self._network, self._batch.images[:1])
        except (ScoreTimeout, BatchError):
            raise
        except Exception as error:
            return Failure(error.with_traceback(None))

    def _let_go(self) -> None:
        """A hook on a tensor holds the graph that holds the tensor."""
        for handle in self._handles:
            handle.remove()
        self._outputs, self._handles = [], []

    def _run(self) -> Values:
        values: Values = {}
        with self._clock.part("forward"):
            buffers = copied_buffers(self._network) if self._saliency else []  # only then it may have to start over
            logits, images = self._forward()
            if any(output._version != version for output, version in self._outputs):
                put_back(buffers)
                self._start_over_with_copies()
                logits, images = self._forward()
        values |= self._forward_values(logits)
        if self._backward:
            attempt(values, self.first_order | {"hessian_gradient"}, lambda: self._loss_backward(logits))
        if self._jacobian:
            attempt(values, frozenset({"input_jacobian"}), lambda: self._input_backward(logits, images))
        return values

    def _forward(self) -> tuple[Tensor, Tensor]:
        images = self._batch.images.clone().requires_grad_(self._jacobian)
        with (
            torch.set_grad_enabled(self._backward or self._jacobian),
            layer_outputs(self._layers, self._listen),
            self._tap,
            self._last_map or nullcontext(),
            self._stages if isinstance(self._stages, StageTap) else nullcontext(),
            self._activations or nullcontext(),
        ):
            return self._network(images.clone()), images

    def _start_over_with_copies(self) -> None:
        """A layer's output was overwritten in place, so let the network work on a copy of each, with the same draws."""
        seed_everything("passes", self._seed)
        self._copy_outputs = True
        self._tap = self._tap.renewed()
        self._activations = self._activations and self._activations.renewed()
        self._let_go()

    def _forward_values(self, logits: Any) -> Values:
        check_logits(logits, self._batch)
        features, classifier = None if self._last_map is None else self._last_map.features, self._classifier
        matrices = self._activations.matrices if self._activations else []
        weight = None if classifier is None else own_weight(classifier[1])
        return {
            "logits": logits.detach(),
            "num_classes": logits.shape[1],
            "relu_codes": heard_codes(self._tap, logits) or missing("No ReLU is called in the forward pass."),
            "activation_matrices": matrices or missing("No layer or activation function is called."),
            "features": missing("There is no feature map and no sequence of tokens before the classifier.")
            if features is None
            else features.detach(),
            "stages": self._stages
            if isinstance(self._stages, Failure)
            else (self._stages and self._stages.stages) or missing("No block puts out a feature map."),
            "classifier": missing("There is no linear layer that holds its weight.")
            if weight is None
            else weight.detach(),
            "embedding": missing("There is no linear layer.") if classifier is None else classifier[2],
        }

    def _listen(self, name: str, layer: nn.Module, source: Tensor, output: Any) -> Any:
        if isinstance(layer, nn.MultiheadAttention):  # it puts out what its projection gives, which is not called
            copied = self._hear(name, output[0], tokens=True)
            return None if copied is None else (copied, *output[1:])
        if isinstance(layer, nn.Linear):
            self._classifier = (f"{name}.weight" if name else "weight", layer, source.detach())
        return self._hear(name, output, tokens=isinstance(layer, nn.Linear))

    def _hear(self, name: str, output: Tensor, *, tokens: bool) -> Tensor | None:
        """Sum output ⊙ gradient up when the gradient comes; give a copy of ``output`` if the network is to use one."""
        if not (self._saliency and output.requires_grad):
            return None
        self._outputs.append((output, output._version))
        values = output.detach()  # the hook is held by the graph, which must not be held by the hook

        def add_product(gradient: Tensor) -> None:
            product = wide(values) * wide(gradient.detach())
            if tokens:
                product = self._channels_second(product)
            total = product.flatten(2).sum(2) if product.ndim > 2 else product
            self._products[name] = self._products[name] + total if name in self._products else total

        self._handles.append(output.register_hook(add_product))
        return output.clone() if self._copy_outputs else None

    def _channels_second(self, tokens: Tensor) -> Tensor:
        """``(B, C, ...)`` of the output of a linear layer, whose channels come last; some put images second."""
        size = len(self._batch.images)
        images_second = tokens.ndim > 2 and tokens.shape[0] != size and tokens.shape[1] == size
        return (tokens.transpose(0, 1) if images_second else tokens).movedim(-1, 1)

    def _loss_backward(self, logits: Tensor) -> Values:
        keep = self._hessian or self._jacobian
        self._weights = weight_tensors(self._network)
        with self._clock.part("loss backward"):
            loss = F.cross_entropy(logits, self._batch.labels)
            gradients = self._differentiate(loss, retain_graph=keep, create_graph=self._hessian)
        self._let_go()
        values: Values = {"gradients": {name: g.detach() for name, g in gradients.items()}}
        values["channel_saliency"] = (self._saliency and self._unheard(gradients)) or self._products
        values["classifier_gradient"] = (
            values["gradients"][self._classifier[0]] if self._classifier else missing("There is no linear layer.")
        )
        if self._hessian:
            attempt(values, frozenset({"hessian_gradient"}), lambda: self._hessian_product(gradients))
        return values

    def _unheard(self, gradients: dict[str, Tensor]) -> Failure | None:
        """The failure that a weight acts while its layer is not called, so that no output of it was listened to."""
        for name, gradient in gradients.items():
            layer = name.removesuffix("weight").removesuffix(".")
            if layer not in self._products and gradient.any():
                return missing(f"The layer {layer!r} is not called, though its weight is used. Call the module itself.")
        return None

    def _hessian_product(self, gradients: dict[str, Tensor]) -> Values:
        halves = {g.dtype for g in gradients.values()} & {torch.float16, torch.bfloat16}
        if halves:
            raise NotApplicable(
                f"A product with the Hessian has too few digits left in {halves.pop()}. Give the network in float32."
            )
        with self._clock.part("Hessian product"):
            inner = torch.stack([(g * g.detach()).sum() for g in gradients.values()]).sum()
            product = self._differentiate(inner, retain_graph=self._jacobian)
        return {"hessian_gradient": product}

    def _input_backward(self, logits: Tensor, images: Tensor) -> Values:
        with self._clock.part("input backward"):
            total = logits.sum()
            if not total.requires_grad:
                return {"input_jacobian": torch.zeros_like(images).flatten(1)}
            (jacobian,) = torch.autograd.grad(total, images, allow_unused=True, materialize_grads=True)
        return {"input_jacobian": jacobian.flatten(1)}

    def _differentiate(self, scalar: Tensor, *, retain_graph: bool, create_graph: bool = False) -> dict[str, Tensor]:
        """Gradient of ``scalar`` for every weight; zero where it does not depend on the weight."""
        weights = list(self._weights.values())
        if not scalar.requires_grad:
            return {name: torch.zeros_like(weight) for name, weight in self._weights.items()}
        found = torch.autograd.grad(
            scalar, weights, retain_graph=retain_graph, create_graph=create_graph, allow_unused=True
        )
        return {name: torch.zeros_like(w) if g is None else g for (name, w), g in zip(self._weights.items(), found)}


def check_logits(logits: Any, batch: Batch) -> None:
    """Refuse an output that is not one tensor of logits ``(B, N)``, and labels outside its N classes.

    Raises:
        BatchError: as the sentence says.
    """
    size = len(batch.images)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != size:
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise BatchError(
            f"The network returns {given} for {size} images. Expected one tensor of logits ({size}, classes); "
            f"wrap the network so that it returns just that."
        )
    if int(batch.labels.max()) >= logits.shape[1]:
        raise BatchError(
            f"Given the label {int(batch.labels.max())}, but the network has {logits.shape[1]} classes. "
            f"Expected labels from 0 to {logits.shape[1] - 1}; build the network for more classes."
        )


def heard_codes(tap: ForwardTap, logits: Tensor) -> list[Tensor] | Failure:
    """ReLU codes of a forward pass; a unit that is not a number is neither active nor inactive."""
    if tap.relu_codes and torch.isnan(logits).any():
        return Failure(NotANumber("Units of the network are not a number, so they have no code."))
    return tap.relu_codes


def missing(reason: str) -> Failure:
    """A signal that the network does not have."""
    return Failure(NotApplicable(reason))
