"""The signals of one untrained network and one batch, which proxies read."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from time import perf_counter
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from zcbench.datasets.inputs import Given, tensors_of
from zcbench.errors import BatchError
from zcbench.proxies.signals.errors import SingularScore, UndeclaredSignal
from zcbench.proxies.signals.objective import IGNORED, Objective, Task
from zcbench.proxies.signals.read_only import read_only
from zcbench.proxies.signals.signal import Signal

R = TypeVar("R")
Weights = Mapping[str, Tensor]
Maps = tuple[Tensor, ...]
Pair = tuple[Tensor, Tensor]

LOSS = ("forward", "loss backward")
HESSIAN = (*LOSS, "Hessian product")


class Minibatch(NamedTuple):
    """Inputs and labels of B examples, and the loss of the whole batch that they are from.

    Attributes:
        images: one floating tensor, such as images ``(B, C, H, W)``; or the `Inputs` of other networks.
        labels: class indices ``(B,)``, or what else the loss takes.
        objective: the loss.
    """

    images: Given
    labels: Tensor
    objective: Objective = Objective()

    @property
    def by_pixel(self) -> bool:
        """Whether the labels are a class for each pixel, ``(B, H, W)``."""
        return self.labels.ndim == 3 and not self.labels.is_floating_point()

    def part(self, which: slice) -> "Minibatch":
        """Some of the examples."""
        return self._replace(images=self.images[which], labels=self.labels[which])

    def tensors(self) -> Iterator[Tensor]:
        """All tensors: inputs and labels."""
        yield from (*tensors_of(self.images), self.labels)

    def loss(self, output: Tensor) -> Tensor:
        """Scalar loss of the network's output ``(B, ...)``."""
        return self.objective(output, self.labels)


class NetworkCosts(NamedTuple):
    """Sizes of an architecture; all but the parameters are those of a forward pass of one image."""

    params: int
    macs: int | None = None
    n_convs: int | None = None
    depth: int | None = None
    width: int | None = None
    trouble: str = ""


class Blocks(NamedTuple):
    """Feature maps between blocks, and for every block but the first random signs and their pull-back through it.

    ``signs[i]`` has the shape of ``features[i + 1]``, ``pulled[i]`` that of ``features[i]``.
    """

    features: Sequence[Tensor]
    signs: Sequence[Tensor]
    pulled: Sequence[Tensor]


class Response(NamedTuple):
    """Correlations ``(B, B)`` between the images at one ReLU; None where an image is constant.

    Attributes:
        block: number of blocks before the one that calls it, the stem not counted.
        activations: of the inputs of the ReLU.
        gradients: of the gradients of the loss for these inputs.
    """

    block: int
    activations: Tensor | None
    gradients: Tensor | None


class OutputSize(NamedTuple):
    """Channels and positions of a layer's output for one image."""

    channels: int
    positions: int


class Failure(NamedTuple):
    """A signal that could not be computed; reading it raises the error."""

    error: BaseException


class Signals:
    """The signals that one proxy declared, computed once for all the proxies of a run.

    Every tensor is detached, lives on the network's device and is shared with the other proxies: read it, do not
    write to it. Mappings and tuples of them are read-only.

    Args:
        values: signal name to value, or to the `Failure` that reading it raises.
        batch: the images and labels that the signals belong to.
        reads: the signals that may be read.
        parts: seconds that each part of the passes took.
        memory: results that proxies have derived from the signals and share; see `zcbench.distill.Outputs.once`.
        alone: whether all views share no memory with others.
    """

    size = Signal[int]("number of parameters; analytic where the space knows it", analytic=True)
    costs = Signal[NetworkCosts](
        "parameters, MACs, convolutions, depth and width; analytic where the space knows them", "count", analytic=True
    )
    parameters = Signal[Weights]("weights of the convolutions and linear layers, by name", wide=True)
    targets = Signal[Tensor]("labels of the batch as they were given, (B, ...)", labelled=True)
    labels = Signal[Tensor]("class indices of the batch, (B,)", "forward", labelled=True)
    output = Signal[Tensor]("output of the network, (B, ...)", "forward")
    #: Of one logit z for two classes they are (0, z), which has the same loss.
    logits = Signal[Tensor]("output of the network for classes, (B, N)", "forward")
    #: Of a vision transformer the last sequence of tokens, if its patches form a square. A sequence that comes from no
    #: image, such as that of a signal or text, is a map of height 1.
    features = Signal[Tensor]("feature map before global pooling, or last tokens as a map, (B, C, H, W)", "forward")
    #: Shallow to deep. The tokens of a transformer count as a map; where all its maps have one size, its blocks are
    #: cut into three stages of equal numbers of blocks.
    stages = Signal[Maps]("last feature map of each spatial size, from block to block, (B, C, H, W) each", "forward")
    embedding = Signal[Tensor]("input of the last linear layer, (B, C)", "forward")
    classifier = Signal[Tensor]("weight of the last linear layer, (N, C)", "forward")
    #: In order of execution, the units in any order; calls on the same tensor share one object.
    relu_codes = Signal[Maps]("for each ReLU call the units that are active, boolean (B, D)", "forward")
    #: Bit i of a unit is its sign for image i. Calls on the same tensor share one object.
    unit_patterns = Signal[Maps](
        "for each ReLU or GELU call the signs of each unit over 64 images, int64 (D,)", "forward"
    )
    hidden_covariances = Signal[Maps](
        "covariance of the input of each ReLU or GELU that follows a linear map of tokens, (C, C) each", "forward"
    )
    attention_peaks = Signal[Maps](
        "largest weight that each query gives to a key, (B, heads, queries) for each attention", "forward"
    )
    #: L is the mean loss, of classes the cross-entropy. Zero where a weight is not used.
    gradients = Signal[Weights]("∂L/∂θ for each entry of parameters", *LOSS, labelled=True, wide=True)
    classifier_gradient = Signal[Tensor]("∂L/∂W of the last linear layer, (N, C)", *LOSS, labelled=True, wide=True)
    channel_saliency = Signal[Weights](
        "Σ over positions of output ⊙ ∂L/∂output per layer, (B, C)", *LOSS, labelled=True
    )
    hessian_gradient = Signal[Weights](
        "H ∂L/∂θ for each entry of parameters, H = ∂²L/∂θ²", *HESSIAN, labelled=True, wide=True
    )
    input_jacobian = Signal[Tensor]("∂(Σ logits)/∂x for each image x, (B, C*H*W)", "forward", "input backward")
    #: R sums the logits for an image of ones, without batch normalisation.
    linearised_gradients = Signal[Mapping[str, Pair]](
        "|θ| and ∂R/∂|θ| of the linearised network, float64", "linearised"
    )
    attention = Signal[frozenset[str]](
        "names of the weights of attention: queries, keys, values, projections", "linearised"
    )
    #: ‖Φ(x) − Φ(x + εx')‖ per image ``(16,)``, and the channel variances of the input of each batch normalisation.
    gaussian_response = Signal[tuple[Tensor, Maps]]("change of features and variances for Gaussian weights", "Gaussian")
    channel_maps = Signal[Maps]("output of every module for one Gaussian image, (C, H*W) each", "one image")
    image_maps = Signal[Maps]("output of every module for the first image of the batch, (C, H*W) each", "first image")
    circle = Signal[Pair]("velocity and acceleration of the logits on a random circle of images, (N,) each", "circle")
    #: C consecutive positions of each output; an output of fewer positions has fewer rows.
    activation_matrices = Signal[Maps]("C positions of the output of each layer and activation, (C, C) each", "forward")
    blocks = Signal[Blocks]("feature maps between blocks for Gaussian images, and random signs pulled back", "blocks")
    half_gradients = Signal[tuple[Weights, Weights]](
        "gradients of each half of the batch", "halves", labelled=True, wide=True
    )
    output_sizes = Signal[Mapping[str, OutputSize]]("channels and positions of the output of each weight", "halves")
    #: In order of execution.
    responses = Signal[tuple[Response, ...]](
        "correlations between images of the inputs of each ReLU, and of their gradients", "responses", labelled=True
    )
    noise_covariances = Signal[Maps]("covariance of each convolution's output for Gaussian images, (C, C)", "noise")
    noise_gradients = Signal[Weights](
        "gradients of all parameters for Gaussian images with random labels", "noise", wide=True
    )
    constant_logits = Signal[Pair]("logits of the network with all weights 1e-7, and with all weights 1", "constant")
    #: Of the first images, each by its own loss.
    image_gradients = Signal[Weights]("gradients of each image, (b, ...)", "per image", labelled=True, wide=True)
    tangent_kernel = Signal[Tensor]("inner products of ∂(Σ logits)/∂θ of every two images, (b, b)", "tangent kernel")
    #: ∂logits/∂θ' ``(b, N, P)`` with one weight of each tensor in θ', and the logits ``(b, N)``.
    logit_jacobians = Signal[Pair]("∂logits/∂θ' and logits for Gaussian weights and images", "logit Jacobians")
    thin_codes = Signal[Maps]("ReLU codes of the architecture with one channel, for crops, (n, D)", "thin network")
    teacher = Signal["Signals"]("the teacher's signals, the same that the proxy reads of the student")
    network = Signal[nn.Module]("the network itself, in training mode; a proxy must leave it as it was")

    def __init__(
        self,
        values: Mapping[str, object],
        batch: Minibatch,
        reads: Iterable[str],
        parts: Mapping[str, float] | None = None,
        memory: dict[Hashable, object] | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self.memory: dict[Hashable, object] = {} if memory is None else memory
        self._alone = alone
        if not isinstance(values, MappingProxyType):
            own = {"labels": batch.labels, **values, "targets": batch.labels}
            values = MappingProxyType({name: read_only(value) for name, value in own.items()})
        self._values: Mapping[str, object] = values
        self._reads = frozenset(reads)
        self._parts = parts or {}
        self._batch, self._saved = batch, 0.0
        self.images = batch.images

    def view(self, reads: Iterable[str], *, alone: bool = False) -> "Signals":
        """The same signals, restricted to ``reads``; ``alone`` with a memory of their own, the teacher's too."""
        alone = alone or self._alone
        memory = {} if alone else self.memory
        return Signals(self._values, self._batch, reads, self._parts, memory, alone=alone)

    def once(self, key: Hashable, work: Callable[[], R]) -> R:
        """Result of ``work``, which all proxies that ask for ``key`` share."""
        if key not in self.memory:
            start = perf_counter()
            self.memory[key] = work(), perf_counter() - start
            return cast(tuple[R, float], self.memory[key])[0]
        result, seconds = cast(tuple[R, float], self.memory[key])
        self._saved += seconds
        return result

    def seconds(self) -> float:
        """Seconds of the passes and shared results behind these signals, each counted once, as if nothing shared them.

        The results are those of `once` that others have computed before.
        """
        parts = {part for name in self._reads for part in DECLARED[name].parts}
        return self._saved + sum(self._parts.get(part, 0.0) for part in parts)

    def forward_error(self) -> BaseException | None:
        """The error of the network's forward pass; None if it succeeded."""
        output = self._values.get("output")
        return output.error if isinstance(output, Failure) else None

    def with_error(self, old: BaseException, new: BaseException) -> "Signals":
        """The same signals, where those that failed with ``old`` fail with ``new``."""
        failed = {name: value for name, value in self._values.items() if isinstance(value, Failure)}
        changed = {name: Failure(new) for name, value in failed.items() if value.error is old}
        return Signals({**self._values, **changed}, self._batch, self._reads, self._parts)

    def tensors(self) -> Iterator[Tensor]:
        """The tensors that proxies share: images, labels, and those of every signal and of the teacher."""
        yield from self._batch.tensors()
        for name in sorted(self._reads):
            yield from _tensors(self._values.get(name))

    def meet(self, teacher: "Signals") -> None:
        """Set the signals that a student is compared with.

        Raises:
            BatchError: the two have different class counts.
        """
        own, other = self._values["num_classes"], teacher._values["num_classes"]
        if own != other and not any(isinstance(classes, Failure) for classes in (own, other)):
            raise BatchError(
                f"The student has {own} classes and the teacher {other}. Expected equal class counts; build both for "
                f"the same data set."
            )
        self._values = MappingProxyType({**self._values, "teacher": teacher})

    @property
    def batch_size(self) -> int:
        """Number of images B."""
        return len(self.images)

    @property
    def num_classes(self) -> int:
        """Number of classes N, the width of the logits."""
        return cast(int, self._value("num_classes"))

    @property
    def rows(self) -> Pair:
        """Logits ``(P, N)`` and labels ``(P,)``: a row for each image, or each labelled pixel of a segmentation."""
        if not self.by_pixel:
            return cast(Tensor, self.read("logits")), cast(Tensor, self._value("labels"))
        output, labels = cast(Tensor, self._value("output")), self._batch.labels.reshape(-1)
        kept = labels != IGNORED
        return output.movedim(1, -1).flatten(0, -2)[kept], labels[kept]

    @property
    def by_pixel(self) -> bool:
        """Whether the output is logits ``(B, N, H, W)`` of a class for each pixel."""
        output = self._values.get("output")
        return isinstance(output, Tensor) and output.ndim == 4 and self._batch.objective.task(output) is Task.POSITIONS

    @staticmethod
    def log_abs_det(matrix: Tensor) -> float:
        """Log |det matrix| by LU in float64.

        Raises:
            SingularScore: the determinant is zero.
        """
        sign, value = torch.linalg.slogdet(matrix.double())
        if sign == 0 or not torch.isfinite(value):
            raise SingularScore("The matrix is singular: at least two images of the batch give equal rows.")
        return float(value)

    def read(self, name: str) -> object:
        """Value of the signal ``name``.

        Raises:
            UndeclaredSignal: the proxy does not declare it.
        """
        if name not in self._reads:
            declared = ", ".join(sorted(self._reads)) or "nothing"
            raise UndeclaredSignal(f"Reads the signal {name!r} but declares {declared}. Add it to reads=.")
        value = self._value(name)
        return value.view(self._reads - {"teacher"}, alone=self._alone) if isinstance(value, Signals) else value

    def _value(self, name: str) -> object:
        value = self._values[name]
        if isinstance(value, Failure):
            raise value.error
        return value


#: Every signal by name, in the order of the documentation.
DECLARED: dict[str, Signal[Any]] = {name: item for name, item in vars(Signals).items() if isinstance(item, Signal)}


def _tensors(value: object) -> Iterator[Tensor]:
    """Tensors of a signal: itself or the entries of its lists and mappings; those of a network are not included."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Signals):
        yield from value.tensors()
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def own_copy(batch: Minibatch) -> Minibatch:
    """Detached copy that shares no memory with the original."""
    return batch._replace(images=batch.images.detach().clone(), labels=batch.labels.detach().clone())
