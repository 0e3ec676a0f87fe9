"""What a proxy may read: the signals of one untrained network and one batch."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zcbench.errors import BatchError
from zcbench.proxies.signals.errors import SingularScore, UndeclaredSignal
from zcbench.proxies.signals.read_only import read_only
from zcbench.proxies.signals.table import RESTS_ON


class Minibatch(NamedTuple):
    """Images ``(B, C, H, W)`` and class indices ``(B,)``."""

    images: Tensor
    labels: Tensor


class NetworkCosts(NamedTuple):
    """Size of an architecture: parameters, multiply-accumulates and convolutions of one image, layers on a path."""

    params: int
    macs: int | None = None
    n_convs: int | None = None
    depth: int | None = None
    trouble: str = ""


class Blocks(NamedTuple):
    """Feature maps between blocks, and for every block but the first random signs and what it pulls them back to.

    ``signs[i]`` has the shape of ``features[i + 1]``, ``pulled[i]`` that of ``features[i]``.
    """

    features: Sequence[Tensor]
    signs: Sequence[Tensor]
    pulled: Sequence[Tensor]


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
        memory: what the proxies have derived from the signals and share; see `zcbench.distill.Outputs.once`.
        alone: whether all views share no memory with others.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        batch: Minibatch,
        reads: Iterable[str],
        parts: Mapping[str, float] | None = None,
        memory: dict[Hashable, Any] | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self.memory: dict[Hashable, Any] = {} if memory is None else memory
        self._alone = alone
        self._values = values if isinstance(values, MappingProxyType) else read_only(dict(values))
        self._reads = frozenset(reads)
        self._parts = parts or {}
        self.images = batch.images
        self._labels = batch.labels

    def view(self, reads: Iterable[str], *, alone: bool = False) -> "Signals":
        """The same signals, restricted to ``reads``; ``alone`` with a memory of their own, the teacher's too."""
        alone = alone or self._alone
        memory = {} if alone else self.memory
        return Signals(self._values, Minibatch(self.images, self._labels), reads, self._parts, memory, alone=alone)

    def seconds(self) -> float:
        """Seconds of the passes behind these signals, each counted once, as if nothing else shared them."""
        parts = {part for name in self._reads for part in RESTS_ON.get(name, ())}
        return sum(self._parts.get(part, 0.0) for part in parts)

    def forward_error(self) -> BaseException | None:
        """What the network's forward pass raised, if it did."""
        logits = self._values.get("logits")
        return logits.error if isinstance(logits, Failure) else None

    def with_error(self, old: BaseException, new: BaseException) -> "Signals":
        """The same signals, where those that failed with ``old`` fail with ``new``."""
        failed = {name: value for name, value in self._values.items() if isinstance(value, Failure)}
        changed = {name: Failure(new) for name, value in failed.items() if value.error is old}
        return Signals({**self._values, **changed}, Minibatch(self.images, self._labels), self._reads, self._parts)

    def tensors(self) -> Iterator[Tensor]:
        """All that proxies share here: images, labels, and the tensors of every signal, those of the teacher too."""
        yield from (self.images, self._labels)
        for name in sorted(self._reads):
            yield from _tensors(self._values.get(name))

    def meet(self, teacher: "Signals") -> None:
        """Let ``teacher`` be the signals that a student is compared with.

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
        return int(self._get("num_classes"))

    @property
    def costs(self) -> NetworkCosts:
        """Parameters, MACs and convolutions."""
        return self._read("costs")

    @property
    def parameters(self) -> Mapping[str, Tensor]:
        """Weights of convolutions and linear layers, by name."""
        return self._read("parameters")

    @property
    def labels(self) -> Tensor:
        """Class indices ``(B,)``."""
        self._require("labels")
        return self._labels

    @property
    def logits(self) -> Tensor:
        """Output of the network, ``(B, N)``."""
        return self._read("logits")

    @property
    def features(self) -> Tensor:
        """Last feature map before global pooling (or flattening), ``(B, C, H, W)``; of a transformer its last tokens.

        These are the last sequence of tokens that a module puts out, those of no patch dropped, if the others form a
        square.
        """
        return self._read("features")

    @property
    def stages(self) -> tuple[Tensor, ...]:
        """Last output of a block at each spatial size, shallow to deep, ``(B, C_l, H_l, W_l)`` each.

        The tokens of a transformer count as a map; where all its maps are of one size it is cut into three stages of
        equal numbers of blocks.
        """
        return self._read("stages")

    @property
    def classifier(self) -> Tensor:
        """Weight of the last linear layer, ``(N, C)``."""
        return self._read("classifier")

    @property
    def embedding(self) -> Tensor:
        """Input of the last linear layer, ``(B, C)``."""
        return self._read("embedding")

    @property
    def relu_codes(self) -> tuple[Tensor, ...]:
        """One boolean ``(B, D)`` per ReLU call in order of execution; calls on the same tensor share one object."""
        return self._read("relu_codes")

    @property
    def gradients(self) -> Mapping[str, Tensor]:
        """∂L/∂θ of the mean cross-entropy L for every entry of ``parameters``; zero where a weight is not used."""
        return self._read("gradients")

    @property
    def classifier_gradient(self) -> Tensor:
        """∂L/∂W of the last linear layer, ``(N, C)``."""
        return self._read("classifier_gradient")

    @property
    def channel_saliency(self) -> Mapping[str, Tensor]:
        """Σ over positions of output ⊙ ∂L/∂output for every convolution and linear layer, ``(B, C_out)`` each."""
        return self._read("channel_saliency")

    @property
    def hessian_gradient(self) -> Mapping[str, Tensor]:
        """H·g for every entry of ``parameters``: g is the gradient of L, H its Hessian over the same weights."""
        return self._read("hessian_gradient")

    @property
    def input_jacobian(self) -> Tensor:
        """Row i is ∂(Σ logits)/∂x_i, flattened: ``(B, C*H*W)``."""
        return self._read("input_jacobian")

    @property
    def linearised_gradients(self) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Per weight, |θ| and ∂R/∂|θ| in float64; R sums the logits for an image of ones, without batch norm."""
        return self._read("linearised_gradients")

    @property
    def attention(self) -> frozenset[str]:
        """Names of the weights that make queries, keys and values of an attention, or that project what it gives."""
        return self._read("attention")

    @property
    def gaussian_response(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """‖Φ(x) − Φ(x + εx')‖ per image ``(16,)``, and the channel variances that each batch norm saw."""
        return self._read("gaussian_response")

    @property
    def channel_maps(self) -> tuple[Tensor, ...]:
        """Output ``(C, H*W)`` of every call of a module for one standard normal image, in order of execution."""
        return self._read("channel_maps")

    @property
    def image_maps(self) -> tuple[Tensor, ...]:
        """Output ``(C, H*W)`` of every call of a module for the first image of the batch, in order of execution."""
        return self._read("image_maps")

    @property
    def circle(self) -> tuple[Tensor, Tensor]:
        """First and second derivative of the logits by the angle of a random circle of images, ``(N,)`` each."""
        return self._read("circle")

    @property
    def activation_matrices(self) -> tuple[Tensor, ...]:
        """C consecutive positions of each layer's and activation function's output, ``(C, C)`` or fewer rows."""
        return self._read("activation_matrices")

    @property
    def blocks(self) -> Blocks:
        """Feature maps between blocks, and per block random signs and what they become when pulled back through it."""
        return self._read("blocks")

    @property
    def half_gradients(self) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """``gradients`` of the first and of the second half of the batch, each normalised by itself."""
        return self._read("half_gradients")

    @property
    def image_gradients(self) -> Mapping[str, Tensor]:
        """Gradient of each image's own cross-entropy, ``(b, *shape)`` per entry of ``parameters``; first images."""
        return self._read("image_gradients")

    @property
    def tangent_kernel(self) -> Tensor:
        """Θ_ij = ⟨∂_θ Σ logits(x_i), ∂_θ Σ logits(x_j)⟩ of the first images, ``(b, b)``, float64."""
        return self._read("tangent_kernel")

    @property
    def logit_jacobians(self) -> tuple[Tensor, Tensor]:
        """∂logits/∂θ' ``(b, N, P)`` and the logits ``(b, N)``, for Gaussian weights and images: a weight per tensor."""
        return self._read("logit_jacobians")

    @property
    def thin_codes(self) -> tuple[Tensor, ...]:
        """``relu_codes`` of the architecture built with one channel, for small crops of the batch, ``(n, D)`` each."""
        return self._read("thin_codes")

    @property
    def teacher(self) -> "Signals":
        """The teacher's signals for the same batch."""
        self._require("teacher")
        return self._get("teacher").view(self._reads - {"teacher"}, alone=self._alone)

    @property
    def network(self) -> torch.nn.Module:
        """The network, borrowed."""
        return self._read("network")

    @staticmethod
    def log_abs_det(matrix: Tensor) -> float:
        """Log |det matrix| by LU in float64.

        Raises:
            SingularScore: the determinant is zero.
        """
        sign, value = torch.linalg.slogdet(matrix.double())
        if sign == 0 or not torch.isfinite(value):
            raise SingularScore("The matrix is singular: at least two images of the batch give equal rows.")
        return value.item()

    def _read(self, name: str) -> Any:
        self._require(name)
        return self._get(name)

    def _require(self, name: str) -> None:
        if name not in self._reads:
            declared = ", ".join(sorted(self._reads)) or "nothing"
            raise UndeclaredSignal(f"Reads the signal {name!r} but declares {declared}. Add it to reads=.")

    def _get(self, name: str) -> Any:
        value = self._values[name]
        if isinstance(value, Failure):
            raise value.error
        return value


def _tensors(value: object) -> Iterator[Tensor]:
    """Tensors in a signal: itself, or what its lists and mappings hold; those of a network are watched elsewhere."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Signals):
        yield from value.tensors()
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def own_copy(batch: Minibatch) -> Minibatch:
    """A copy that nobody else writes to, and that no gradient leads out of."""
    return Minibatch(batch.images.detach().clone(), batch.labels.clone())


def check_batch(images: Tensor, labels: Tensor) -> Minibatch:
    """The batch, once its shapes and types are right.

    Raises:
        BatchError: images that are not ``(B, C, H, W)`` and floating, or labels that are not B integers from 0.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point() or len(images) == 0:
        given = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise BatchError(f"Given images of {given}. Expected a floating tensor (B, C, H, W) with at least one image.")
    if not isinstance(labels, Tensor) or labels.shape != (len(images),) or labels.is_floating_point():
        given = f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise BatchError(f"Given labels of {given}. Expected {len(images)} integers, one class index per image.")
    if labels.min() < 0:
        raise BatchError(f"Given a label {labels.min().item()}. Expected class indices from 0.")
    return Minibatch(images, labels.long())
