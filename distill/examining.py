"""Checks of a distillation loss against its contract, run by ``zcbench distillers check``."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zcbench import spaces
from zcbench.distill.contract import Distiller
from zcbench.distill.outputs import Outputs
from zcbench.distill.reading import Reader
from zcbench.findings import Finding, findings
from zcbench.streams import torch_stream

_STUDENT = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
_TEACHER = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
_SIDE = 16


class _Pair(NamedTuple):
    """Networks and a batch of noise."""

    student: nn.Module
    teacher: nn.Module
    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, size: int = 8, classes: int = 10) -> "_Pair":
        space, stream = spaces.get("nasbench201", channels=4, cells=1), torch_stream("check", size, classes)
        student, teacher = (
            space.build(arch, num_classes=classes, image_shape=(3, _SIDE, _SIDE), seed=seed)
            for seed, arch in enumerate((_STUDENT, _TEACHER))
        )
        labels = torch.randint(classes, (-(-size // 2),), generator=stream).repeat(2)[:size]
        return cls(student, teacher, torch.randn(size, 3, _SIDE, _SIDE, generator=stream), labels)

    def outputs(self, distiller: Distiller) -> tuple[Outputs, Outputs]:
        student, teacher = (
            Reader(network, distiller.reads, "float32", self.images[:1]) for network in (self.student, self.teacher)
        )
        return student(self.images), teacher.without_gradient(self.images)

    def loss(self, distiller: Distiller) -> Tensor:
        return distiller(*self.outputs(distiller), self.labels)


def check(distiller: Distiller) -> list[Finding]:
    """Check ``distiller`` on two small NAS-Bench-201 networks and a batch of noise.

    The checks: the loss is a finite scalar; its gradient reaches weights of the student; the same outputs give the same
    bits; the outputs of both networks are left as they were; other batch sizes and class counts work. As the proxy
    ``kd:NAME`` it is checked by `zcbench.proxies.check`.

    Returns:
        One `Finding` per check, in this order. A check that raises is a failed check.

    Example:
        >>> from zcbench import distill
        >>> all(finding.passed for finding in distill.check(distill.get("kd")))
        True
    """
    checks: dict[str, Callable[[Distiller], tuple[bool, str]]] = {
        "the loss is a finite scalar": _finite,
        "its gradient reaches the student": _gradient,
        "the same outputs give the same bits": _repeatable,
        "the outputs are left as they were": _untouched,
        "other batch sizes and class counts work": _shapes,
    }
    return findings({name: partial(work, distiller) for name, work in checks.items()})


def _finite(distiller: Distiller) -> tuple[bool, str]:
    loss = _Pair.of().loss(distiller)
    return bool(loss.isfinite()), f"{loss.item():.6g}"


def _gradient(distiller: Distiller) -> tuple[bool, str]:
    pair = _Pair.of()
    pair.loss(distiller).backward()
    own = [weight.grad for weight in pair.student.parameters() if weight.grad is not None]
    finite = all(bool(gradient.isfinite().all()) for gradient in own)
    reached = sum(bool(gradient.any()) for gradient in own)
    return finite and reached > 0, f"{reached} tensors of weights" + (", some not finite" if not finite else "")


def _repeatable(distiller: Distiller) -> tuple[bool, str]:
    pair = _Pair.of()
    student, teacher = pair.outputs(distiller)
    one, other = (distiller(student, teacher, pair.labels).item() for _ in range(2))
    return repr(one) == repr(other), f"{one!r}" if one == other else f"{one!r} became {other!r}"


def _untouched(distiller: Distiller) -> tuple[bool, str]:
    pair = _Pair.of()
    student, teacher = pair.outputs(distiller)
    networks = {"student": student, "teacher": teacher}
    before = {whose: [tensor.clone() for _, tensor in outputs.tensors()] for whose, outputs in networks.items()}
    distiller(student, teacher, pair.labels)
    wrong = [
        f"{name} of the {whose}"
        for whose, outputs in networks.items()
        for (name, tensor), old in zip(outputs.tensors(), before[whose])
        if not torch.equal(tensor, old)
    ]
    return not wrong, "nothing changed" if not wrong else f"changed: {', '.join(wrong)}"


def _shapes(distiller: Distiller) -> tuple[bool, str]:
    for size, classes in ((4, 10), (6, 10), (8, 3), (8, 120)):
        if not _Pair.of(size, classes).loss(distiller).isfinite():
            return False, f"batch of {size}, {classes} classes: the loss is not finite"
    return True, "batches of 4, 6 and 8; 3, 10 and 120 classes"
