"""The passes that compute signals: the fewest that serve all the chosen proxies."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench.errors import BatchError
from zcbench.hooks.heads import Classifier, classifier_of, last_map, map_of, overwritten
from zcbench.hooks.recorder import Recorder, Unrecorded
from zcbench.hooks.rewrites import check_twice, lacks_second_derivative, twice_differentiable
from zcbench.hooks.stages import StageRecorder
from zcbench.hooks.trace import trace_of
from zcbench.hooks.usage import Usage
from zcbench.hooks.weights import Weight, named_state
from zcbench.proxies.passes.activations import ActivationRecorder
from zcbench.proxies.passes.codes import ReluCodes
from zcbench.proxies.passes.saliency import Saliency
from zcbench.proxies.signals.borrowing import copied_buffers, put_back, same_buffers, seed_everything
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.limits import ScoreTimeout
from zcbench.proxies.signals.signals import Failure, Minibatch

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
        values |= dict.fromkeys(names, failure_of(error))


def failure_of(error: Exception) -> Failure:
    """The failure that an error is, with a name where it says that something does not apply."""
    if isinstance(error, Unrecorded):
        return missing(str(error))
    if isinstance(error, ValueError) and "more than 1 value per channel" in str(error):
        return missing(f"Batch normalisation has one value per channel: {error}")
    if lacks_second_derivative(error):
        return missing(f"The network calls a function that PyTorch cannot differentiate twice: {error}")
    return Failure(error.with_traceback(None))  # a traceback would keep the graph


class SharedPass:
    r"""One forward pass, one loss backward, one input backward; a Hessian product rests on the same graph.

    .. math::  z = f_\theta(x), \qquad g = \partial_\theta L(z, y), \qquad J_i = \partial_{x_i} \textstyle\sum z,
               \qquad H g = \partial_\theta \langle g, \bar g \rangle \ (\bar g \text{ held constant})

    L is the mean cross-entropy; θ runs over the weights of convolutions, linear maps and recurrences.
    """

    provides = frozenset(
        {"logits", "features", "stages", "embedding", "classifier", "relu_codes", "activation_matrices", "parameters"}
        | {"gradients", "classifier_gradient", "channel_saliency", "hessian_gradient", "input_jacobian"}
    )
    first_order = frozenset({"gradients", "classifier_gradient", "channel_saliency"})

    def __init__(
        self,
        network: nn.Module,
        batch: Minibatch,
        wanted: frozenset[str],
        clock: Clock,
        seed: int = 0,
        *,
        roles: bool = False,
    ) -> None:
        self._network, self._batch, self._clock, self._seed = network, batch, clock, seed
        self._wanted, self._roles = wanted, roles
        self._jacobian, self._hessian = "input_jacobian" in wanted, "hessian_gradient" in wanted
        self._backward = self._hessian or bool(wanted & self.first_order)
        self._saliency = Saliency(len(batch.images)) if "channel_saliency" in wanted else None
        self._stages: StageRecorder | Failure | None = self._stage_tap() if "stages" in wanted else None
        self._codes: ReluCodes | None = None
        self._activations: ActivationRecorder | None = None
        self._recorder: Recorder | None = None
        self._copies = False

    def run(self) -> Values:
        """Signals by name; one that fails is the `Failure`.

        Raises:
            BatchError: the network does not return logits, or a label is out of their range.
        """
        seed_everything("passes", self._seed)  # looking for blocks may have drawn numbers
        try:
            with twice_differentiable():
                return self._run()
        finally:
            if self._saliency is not None:
                self._saliency.release()

    @property
    def usage(self) -> Usage | None:
        """What the parameters were used for, if ``roles`` were asked for."""
        return Usage.of(self._recorder) if self._roles and self._recorder is not None else None

    def _stage_tap(self) -> StageRecorder | Failure:
        try:
            with same_buffers(self._network):
                return StageRecorder(self._network, self._batch.images)
        except (ScoreTimeout, BatchError):
            raise
        except Exception as error:
            return failure_of(error)

    def _run(self) -> Values:
        values: Values = {}
        with self._clock.part("forward"):
            again = self._saliency is not None or bool(self._wanted & {"features"})
            buffers = copied_buffers(self._network) if again else []  # only then it may have to start over
            logits, images = self._forward()
            if self._was_overwritten(logits):
                put_back(buffers)
                seed_everything("passes", self._seed)
                self._copies = True
                if self._saliency is not None:
                    self._saliency.start_over_with_copies()
                logits, images = self._forward()
        check_logits(logits, self._batch)
        classifier = classifier_of(logits)
        weights = list(self._recorder.weights) if self._recorder is not None else []
        values |= self._forward_values(logits, classifier)
        values["parameters"] = {weight.name: weight.tensor.detach() for weight in weights}
        if self._backward:
            names = self.first_order | {"hessian_gradient"}
            attempt(values, names, lambda: self._loss_backward(logits, weights, classifier))
        if self._jacobian:
            attempt(values, frozenset({"input_jacobian"}), lambda: self._input_backward(logits, images))
        return values

    def _was_overwritten(self, logits: Any) -> bool:
        """Whether something that was recorded was written to later in the pass."""
        features = "features" in self._wanted and overwritten(last_map(logits))
        return features or (self._saliency is not None and self._saliency.overwritten())

    def _forward(self) -> tuple[Any, Tensor]:
        images = self._batch.images.clone().requires_grad_(self._jacobian)
        self._codes = ReluCodes(len(images)) if "relu_codes" in self._wanted else None
        self._activations = ActivationRecorder(self._seed) if "activation_matrices" in self._wanted else None
        with torch.set_grad_enabled(self._backward or self._jacobian):
            given = images.clone()
            self._recorder = Recorder(
                named_state(self._network),
                given,
                calls=None if self._saliency is None else self._saliency.listen,
                biased=self._biased,
                relus=None if self._codes is None else self._codes.listen,
                layers=None if self._activations is None else self._activations.listen,
                roles=self._roles,
                copies=self._copies,
            )
            with self._recorder, self._stages if isinstance(self._stages, StageRecorder) else nullcontext():
                return self._network(given), images

    def _biased(self, number: int, output: Tensor | None) -> None:
        """A bias was added to a layer's output by a function of its own."""
        for listener in (self._saliency, self._activations):
            if listener is not None:
                listener.biased(number, output)

    def _forward_values(self, logits: Tensor, classifier: Classifier | None) -> Values:
        features = map_of(logits) if "features" in self._wanted else None
        matrices = self._activations.values() if self._activations else []
        none = missing("The logits are not the output of one linear layer.")
        return {
            "logits": logits.detach(),
            "num_classes": logits.shape[1],
            "relu_codes": self._codes.values(logits) if self._codes else missing("Not asked for."),
            "activation_matrices": matrices or missing("No layer or activation function is called."),
            "features": no_map(last_map(logits) is not None) if features is None else features.detach(),
            "stages": self._stages
            if isinstance(self._stages, Failure)
            else (self._stages and self._stages.stages) or missing("No block puts out a feature map."),
            "classifier": none if classifier is None else classifier.weight.matrix.detach(),
            "embedding": none if classifier is None else classifier.embedding.detach(),
        }

    def _loss_backward(self, logits: Tensor, weights: list[Weight], classifier: Classifier | None) -> Values:
        check_classes(logits)
        keep = self._hessian or self._jacobian
        tensors = {weight.name: weight.tensor for weight in weights}
        with self._clock.part("loss backward"):
            loss = F.cross_entropy(logits, self._batch.labels)
            gradients = differentiate(loss, tensors, retain_graph=keep, create_graph=self._hessian)
        values: Values = {"gradients": {name: g.detach() for name, g in gradients.items()}}
        if self._saliency is not None:
            self._saliency.release()
            joined = self._recorder.weights.joined() if self._recorder is not None else {}
            values["channel_saliency"] = self._saliency.values(values["gradients"], joined)
        values["classifier_gradient"] = missing("The logits are not the output of one linear layer.")
        if classifier is not None:
            gradient = values["gradients"][classifier.weight.name]
            values["classifier_gradient"] = classifier.weight._replace(tensor=gradient).matrix
        if self._hessian:
            names = frozenset({"hessian_gradient"})
            attempt(values, names, lambda: self._hessian_product(gradients, tensors))
        return values

    def _hessian_product(self, gradients: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Values:
        halves = {g.dtype for g in gradients.values()} & {torch.float16, torch.bfloat16}
        if halves:
            raise NotApplicable(
                f"A product with the Hessian has too few digits left in {halves.pop()}. Give the network in float32."
            )
        with self._clock.part("Hessian product"):
            check_twice(gradients.values())
            inner = torch.stack([(g * g.detach()).sum() for g in gradients.values()]).sum()
            product = differentiate(inner, tensors, retain_graph=self._jacobian)
        return {"hessian_gradient": product}

    def _input_backward(self, logits: Tensor, images: Tensor) -> Values:
        with self._clock.part("input backward"):
            total = logits.sum()
            if not total.requires_grad:
                return {"input_jacobian": torch.zeros_like(images).flatten(1)}
            (jacobian,) = torch.autograd.grad(total, images, allow_unused=True, materialize_grads=True)
        return {"input_jacobian": jacobian.flatten(1)}


def differentiate(
    scalar: Tensor, tensors: Mapping[str, Tensor], *, retain_graph: bool = False, create_graph: bool = False
) -> dict[str, Tensor]:
    """Gradient of ``scalar`` for every tensor by name; zero where it does not depend on the tensor."""
    if not scalar.requires_grad or not tensors:
        return {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    found = torch.autograd.grad(
        scalar, list(tensors.values()), retain_graph=retain_graph, create_graph=create_graph, allow_unused=True
    )
    return {name: torch.zeros_like(t) if g is None else g for (name, t), g in zip(tensors.items(), found)}


def check_logits(logits: Any, batch: Minibatch) -> None:
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
    highest, classes = int(batch.labels.max()), logits.shape[1]
    if highest >= classes:
        has = f"{classes} classes" if classes > 1 else "one logit"
        raise BatchError(
            f"Given the label {highest}, but the network has {has}. Expected labels below the number of classes; build "
            f"the network for more classes."
        )


def single_logits(logits: Any, batch: Minibatch) -> Tensor:
    """Logits ``(1, N)`` of one image; a network may drop the axis of a single image.

    Raises:
        NotApplicable: the network gives no logits for a single image.
        BatchError: it does not return one tensor.
    """
    if isinstance(logits, Tensor) and logits.ndim == 1:
        logits = logits[None]
    if isinstance(logits, Tensor) and (logits.ndim != 2 or len(logits) != 1):
        raise NotApplicable(f"The network does not take a single image: it returns {tuple(logits.shape)} for one.")
    check_logits(logits, batch)
    found: Tensor = logits
    return found


def check_classes(logits: Tensor) -> None:
    """Refuse a loss that is always zero.

    Raises:
        NotApplicable: there is one logit, whose softmax is 1 whatever the network computes.
    """
    if logits.shape[1] < 2:
        raise NotApplicable("The network has one logit, so that its cross-entropy is 0. Expected two classes or more.")


def check_mixing(output: Any) -> None:
    """Refuse a network that normalises over its images by functions of its own.

    Raises:
        NotApplicable: it adds images up, so that nobody can tell what a batch normalisation of it is.
    """
    trace = trace_of(output)
    if trace is not None and trace.mixed:
        raise NotApplicable(
            "The network adds images up by functions of its own, where a batch normalisation would be removed or "
            "reset. Use torch.nn.functional.batch_norm or a module of PyTorch for it."
        )


def no_map(something: bool) -> Failure:
    """There is no last map, or it is in parts."""
    if something:
        return missing("The last map is in parts or hidden behind layers without one, or its tokens form no square.")
    return missing("There is no feature map and no sequence of tokens before the classifier.")


def missing(reason: str) -> Failure:
    """A signal that the network does not have."""
    return Failure(NotApplicable(reason))
