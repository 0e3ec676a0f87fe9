"""The shared pass: one forward pass and few backward passes that serve most of the signals."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import cast

import torch
from torch import Tensor

from zcbench.datasets.inputs import Given, tensors_of
from zcbench.errors import BatchError
from zcbench.hooks.axes import Images
from zcbench.hooks.heads import Classifier, classifier_of, last_map, map_of, overwritten
from zcbench.hooks.record import FunctionCallbacks
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.rewrites import Written, check_twice, plain_attention
from zcbench.hooks.stages import StageRecorder
from zcbench.hooks.usage import Usage
from zcbench.hooks.weights import Weight, named_state
from zcbench.proxies.passes.activations import ActivationRecorder
from zcbench.proxies.passes.attentions import AttentionRecorder
from zcbench.proxies.passes.codes import ReluCodes
from zcbench.proxies.passes.dense import DenseRecorder, no_backbone, recorder_of
from zcbench.proxies.passes.logits import NO_CLASSIFIER, check_logits, class_signals, of_classes
from zcbench.proxies.passes.saliency import Saliency
from zcbench.proxies.passes.twice import Twice
from zcbench.proxies.passes.units import UnitRecorder
from zcbench.proxies.passes.values import PassInputs, Values, attempt, failure_of, missing
from zcbench.proxies.signals.borrowing import put_back
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.limits import ScoreTimeout
from zcbench.proxies.signals.signals import Failure
from zcbench.proxies.signals.table import needing
from zcbench.streams import seed_everything

LOSS_BACKWARD = needing("loss backward")
_NOT_WANTED = missing("Not asked for.")
#: Signals that a `UnitRecorder` gives.
_OF_UNITS = frozenset({"unit_patterns", "hidden_covariances"})


def shared_signals(inputs: PassInputs) -> Values:
    r"""One forward pass, one loss backward, one input backward; a Hessian product uses the same graph.

    .. math::  z = f_\theta(x), \qquad g = \partial_\theta L(z, y), \qquad J_i = \partial_{x_i} \textstyle\sum z,
               \qquad H g = \partial_\theta \langle g, \bar g \rangle \ (\bar g \text{ held constant})

    L is the mean loss of the batch, for classes the cross-entropy; θ runs over the weights of convolutions, linear maps
    and recurrences.

    Returns:
        Signals by name; one that fails is the `Failure`.

    Raises:
        BatchError: the network does not return logits, or a label is out of their range.
    """
    records = Records(inputs, recorder_of(inputs.network, inputs.wanted) or _stage_recorder(inputs))
    seed_everything("passes", inputs.seed)  # the search for blocks may have drawn numbers
    try:
        with plain_attention():
            with inputs.clock.part("forward"):
                output = records.forward()
            values = _values(inputs, records, output, check_logits(output, inputs.batch))
    finally:
        records.release()
    if inputs.needs_usage:
        inputs.known = Usage.of(records.recorder)
    return values


def _stage_recorder(inputs: PassInputs) -> StageRecorder | Failure | None:
    if "stages" not in inputs.wanted:
        return None
    try:
        return StageRecorder(inputs.network, inputs.batch.images)
    except (ScoreTimeout, BatchError):
        raise
    except Exception as error:
        return failure_of(error)
    finally:
        put_back(inputs.buffers)


class Records:
    """The forward pass, and the records that the wanted signals need of it.

    Args:
        inputs: of the pass.
        stages: records the stages, and of a dense network the features; None if they are not wanted.
    """

    def __init__(self, inputs: PassInputs, stages: StageRecorder | DenseRecorder | Failure | None) -> None:
        self._inputs, self.stages = inputs, stages
        self._jacobian = "input_jacobian" in inputs.wanted
        self._graph = self._jacobian or bool(inputs.wanted & LOSS_BACKWARD)
        self._start()

    def forward(self) -> object:
        """The output of the network.

        If the network overwrites in place a tensor that a signal needs, the pass is repeated with copies of them.
        """
        output = self._run()
        if self._was_overwritten(output):
            put_back(self._inputs.buffers)
            seed_everything("passes", self._inputs.seed)
            self.release()
            self._start(copies=True)
            output = self._run()
        return output

    def release(self) -> None:
        """Remove the hooks of tensors: a hook keeps the graph that keeps the tensor."""
        if self.saliency is not None:
            self.saliency.release()

    def _start(self, *, copies: bool = False) -> None:
        batch, wanted = self._inputs.batch, self._inputs.wanted
        size = len(batch.images)
        self.saliency = Saliency(size, copies=copies) if "channel_saliency" in wanted else None
        self.codes = ReluCodes(size) if "relu_codes" in wanted else None
        self.units = UnitRecorder(size, wanted) if wanted & _OF_UNITS else None
        self.attentions = AttentionRecorder(size) if "attention_peaks" in wanted else None
        self.activations = ActivationRecorder(self._inputs.seed) if "activation_matrices" in wanted else None
        self.images = batch.images.clone()
        for tensor in tensors_of(self.images):
            if tensor.is_floating_point():
                tensor.requires_grad_(self._jacobian)
        with torch.set_grad_enabled(self._graph):
            self._given = self.images.clone()
        self.recorder = Recorder(
            named_state(self._inputs.network),
            self._given,
            calls=None if self.saliency is None else self.saliency.record,
            functions=FunctionCallbacks(
                None if self.codes is None and self.units is None else self._unit,
                None if self.attentions is None else self.attentions.record,
                self._biased,
            ),
            layers=None if self.activations is None else self.activations.record,
            through=(Twice() if "hessian_gradient" in wanted else Written()).call,
            roles=self._inputs.needs_usage,
            copies=copies,
        )

    def _run(self) -> object:
        stages = self.stages if isinstance(self.stages, StageRecorder | DenseRecorder) else nullcontext()
        with torch.set_grad_enabled(self._graph), self.recorder, stages:
            return self._inputs.network(self._given)

    def _unit(self, x: Tensor, images: Images | None, rectified: bool) -> None:
        """A ReLU or GELU is called."""
        for record in (self.codes, self.units):
            if record is not None:
                record.record(x, images, rectified)

    def _biased(self, number: int, output: Tensor | None) -> None:
        """A bias was added to a layer's output by a function of its own."""
        for record in (self.saliency, self.activations):
            if record is not None:
                record.biased(number, output)

    def _was_overwritten(self, output: object) -> bool:
        features = "features" in self._inputs.wanted and overwritten(last_map(output))
        return features or (self.saliency is not None and self.saliency.overwritten())


def _values(inputs: PassInputs, records: Records, returned: object, output: Tensor) -> Values:
    """Signals of a forward pass; ``returned`` has the trace of ``output``, which may have one axis more."""
    logits = cast(Tensor, returned)
    classifier, weights = classifier_of(logits), list(records.recorder.weights)
    matrices = None if records.activations is None else records.activations.values()
    known = records.stages
    stages = known.stages if isinstance(known, StageRecorder) else known if isinstance(known, Failure) else None
    values: Values = class_signals(inputs.batch, output.detach(), classifier) | {
        "output": output.detach(),
        "relu_codes": _NOT_WANTED if records.codes is None else records.codes.values(logits),
        "unit_patterns": _NOT_WANTED if records.units is None else records.units.patterns(logits),
        "hidden_covariances": _NOT_WANTED if records.units is None else records.units.covariances(),
        "attention_peaks": _NOT_WANTED if records.attentions is None else records.attentions.values(),
        "activation_matrices": matrices or missing("No layer or activation function is called."),
        "features": _features(logits) if "features" in inputs.wanted else _NOT_WANTED,
        "stages": stages or missing("No block outputs a feature map."),
        "embedding": missing(NO_CLASSIFIER) if classifier is None else classifier.embedding.detach(),
        "parameters": {weight.name: weight.tensor.detach() for weight in weights},
    }
    if isinstance(records.stages, DenseRecorder):
        values |= records.stages.values
    elif output.ndim == 4 and inputs.batch.by_pixel:
        values |= no_backbone()
    if inputs.wanted & LOSS_BACKWARD:
        attempt(values, LOSS_BACKWARD, lambda: _loss_backward(inputs, records, output, weights, classifier))
    if "input_jacobian" in inputs.wanted:
        attempt(values, frozenset({"input_jacobian"}), lambda: _input_backward(inputs, output, records.images))
    return values


def _features(logits: Tensor) -> Tensor | Failure:
    features = map_of(logits)
    if features is not None:
        return features.detach()
    last = last_map(logits)
    if last is not None and last.trace.depth:
        return missing("The last map is in parts or hidden behind layers without one, or its tokens form no square.")
    return missing("There is no feature map and no sequence of tokens before the classifier.")


def _loss_backward(
    inputs: PassInputs, records: Records, output: Tensor, weights: list[Weight], classifier: Classifier | None
) -> Values:
    hessian = "hessian_gradient" in inputs.wanted
    keep = hessian or "input_jacobian" in inputs.wanted
    tensors = {weight.name: weight.tensor for weight in weights}
    with inputs.clock.part("loss backward"):
        loss = inputs.batch.loss(output)
        graph = differentiate(loss, tensors, retain_graph=keep, create_graph=hessian)
    gradients = {name: g.detach() for name, g in graph.items()}
    values: Values = {"gradients": gradients, "classifier_gradient": missing(NO_CLASSIFIER)}
    if records.saliency is not None:
        records.release()
        values["channel_saliency"] = records.saliency.values(gradients, records.recorder.weights.joined())
    if classifier is not None:
        gradient = classifier.weight._replace(tensor=gradients[classifier.weight.name]).matrix
        attempt(values, frozenset({"classifier_gradient"}), lambda: of_classes(inputs.batch, output, gradient))
    if hessian:
        attempt(values, frozenset({"hessian_gradient"}), lambda: _hessian_product(inputs, graph, tensors))
    return values


def _hessian_product(inputs: PassInputs, gradients: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Values:
    halves = {g.dtype for g in gradients.values()} & {torch.float16, torch.bfloat16}
    if halves:
        raise NotApplicable(
            f"A product with the Hessian has too few digits left in {halves.pop()}. Give the network in float32."
        )
    with inputs.clock.part("Hessian product"):
        check_twice(gradients.values())
        inner = torch.stack([(g * g.detach()).sum() for g in gradients.values()]).sum()
        return {"hessian_gradient": differentiate(inner, tensors, retain_graph="input_jacobian" in inputs.wanted)}


def _input_backward(inputs: PassInputs, output: Tensor, images: Given) -> Values:
    given = [tensor for tensor in tensors_of(images) if tensor.is_floating_point()]
    if not given:
        return {"input_jacobian": missing("The inputs are whole numbers, by which nothing can be differentiated.")}
    with inputs.clock.part("input backward"):
        total = output.sum()
        if total.requires_grad:
            found = torch.autograd.grad(total, given, allow_unused=True, materialize_grads=True)
        else:
            found = tuple(map(torch.zeros_like, given))
    rows = [jacobian.flatten(1) for jacobian in found]
    return {"input_jacobian": rows[0] if len(rows) == 1 else torch.cat(rows, dim=1)}


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
