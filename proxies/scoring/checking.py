"""Checks of a proxy against the contract, run by ``zcbench proxies check``."""

import copy
import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zcbench import spaces
from zcbench.findings import Finding, findings
from zcbench.isolation.settings import noticed
from zcbench.proxies.scoring.contract import Proxy
from zcbench.proxies.scoring.evaluation import Score, TeacherSignals, evaluate
from zcbench.proxies.signals.read_only import HINT
from zcbench.streams import numpy_stream, torch_stream

DEAD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
TEACHER = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"

#: Proxies that run before and after the one that is checked.
OTHERS = ("zen", "grasp", "jacov")

Batch = tuple[Tensor, Tensor]


def check(proxy: Proxy) -> list[Finding]:
    """Check ``proxy`` against the contract on noise and small NAS-Bench-201 networks, or on transformers.

    The checks: it gives a value or a named status on a dead cell; it leaves the network as it was; the same seed gives
    the same bits; other proxies before it change nothing; proxies after it keep their values, since it writes to
    nothing that they share and leaves no setting of PyTorch, NumPy and Python changed; if it is declared label-free,
    shuffled labels change nothing; it is not constant over ten architectures; other batch sizes and class counts work.

    Returns:
        One `Finding` per check, in this order. A check that raises is a failed check.
    """
    ground = find_ground(proxy)
    checks: dict[str, Callable[[Proxy, Ground], tuple[bool, str]]] = {
        "a dead cell gives a value or a named status": _dead,
        "the network is left as it was": _hygiene,
        "the same seed gives the same bits": _repeatable,
        "other proxies before it change nothing": _order,
        "proxies after it keep their values": _after,
        "shuffled labels change nothing, if label-free": _labels,
        "not constant over ten architectures": _varies,
        "other batch sizes and class counts work": _shapes,
    }
    return findings({name: partial(work, proxy, ground) for name, work in checks.items()})


class Subject(NamedTuple):
    """A network to score, and a function that builds its thin version."""

    network: nn.Module
    thin: Callable[[], nn.Module | None]


class Ground(NamedTuple):
    """Where a proxy is tried: a space, ten of its architectures, one that is dead if there is such, and a teacher."""

    space: spaces.Space
    archs: Sequence[str]
    dead: str
    teacher: str

    def build(self, arch: str, classes: int = 10) -> Subject:
        """The network of an architecture, for images of 16 x 16."""
        network = self.space.build(arch, num_classes=classes, image_shape=(3, 16, 16), seed=0)
        return Subject(network, partial(self.space.thin, arch))


@cache
def _grounds() -> tuple[Ground, ...]:
    """Cells first; small vision transformers for proxies of those."""
    cells, transformers = spaces.get("nasbench201", channels=4, cells=1), spaces.get("pit")
    small = [f"16/{ratio}/1-4-{depth}/{heads}" for ratio in "24" for depth in "24" for heads in ("2-2-2", "2-2-4")]
    small += ["24/2/1-4-2/2-2-2", "24/2/1-4-2/2-2-4"]
    return (
        Ground(cells, cells.sample(numpy_stream("check"), 10, subset="unique"), DEAD, TEACHER),
        Ground(transformers, small, small[0], small[-1]),
    )


def find_ground(proxy: Proxy) -> Ground:
    """The first ground on which the proxy is applicable to some architecture, or the first of all."""
    for ground in _grounds():
        if _attempt(proxy, ground, ground.build(ground.archs[0]), _batch()).status != "not_applicable":
            return ground
    return _grounds()[0]


def _batch(size: int = 8, classes: int = 10) -> Batch:
    """Noise, and labels of which each comes twice: some proxies compare images of one class."""
    stream = torch_stream("check", size, classes)
    images = torch.randn(size, 3, 16, 16, generator=stream)
    return images, torch.randint(classes, (-(-size // 2),), generator=stream).repeat(2)[:size]


def _attempt(
    proxy: Proxy, ground: Ground, subject: Subject, batch: Batch, others: Sequence[str] = (), classes: int = 10
) -> Score:
    teacher = TeacherSignals(ground.build(ground.teacher, classes).network) if proxy.needs_teacher else None
    return evaluate(subject.network, batch, [*others, proxy], teacher=teacher, thin=subject.thin)[-1]


def _dead(proxy: Proxy, ground: Ground) -> tuple[bool, str]:
    score = _attempt(proxy, ground, ground.build(ground.dead), _batch())
    named = score.status not in ("error", "bad_return", "changed_network")
    return named, f"{score.status} {score.value:.6g} {score.reason}".strip()


def _hygiene(proxy: Proxy, ground: Ground) -> tuple[bool, str]:
    subject = ground.build(ground.archs[0])
    network = subject.network.eval()
    before, state = copy.deepcopy(network.state_dict()), torch.random.get_rng_state()
    score = _attempt(proxy, ground, subject, _batch())
    left = [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])]
    left += ["training mode"] * network.training
    left += ["gradients"] * any(parameter.grad is not None for parameter in network.parameters())
    left += ["hooks"] * any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    left += ["random state"] * (not torch.equal(torch.random.get_rng_state(), state))
    left += [score.reason] * (score.status == "changed_network")
    return not left, "left behind: " + ", ".join(left) if left else "nothing left behind"


def _repeatable(proxy: Proxy, ground: Ground) -> tuple[bool, str]:
    subject = ground.build(ground.archs[0])
    return _equal(_attempt(proxy, ground, subject, _batch()), _attempt(proxy, ground, subject, _batch()))


def _order(proxy: Proxy, ground: Ground) -> tuple[bool, str]:
    subject, others = ground.build(ground.archs[0]), [name for name in OTHERS if name != proxy.name]
    return _equal(_attempt(proxy, ground, subject, _batch()), _attempt(proxy, ground, subject, _batch(), others))


def _after(proxy: Proxy, ground: Ground) -> tuple[bool, str]:
    """Writes to shared signals and changed settings are undone when it ends, and are reported as faults."""
    arch, others = ground.archs[0], [name for name in OTHERS if name != proxy.name]
    with noticed() as settings:
        score, *after = _all(proxy, ground, ground.build(arch), [proxy, *others])
    alone = _all(proxy, ground, ground.build(arch), others)
    pairs = ((one.proxy, *_equal(one, other)) for one, other in zip(alone, after))
    wrong = [f"{name}: {seen}" for name, same, seen in pairs if not same]
    wrong += [score.reason] * (score.status == "changed_network" or HINT in score.reason)
    wrong += [f"settings left changed: {', '.join(sorted(settings))}"] * bool(settings)
    return not wrong, "; ".join(wrong) or f"{', '.join(others)} are as without it"


def _all(proxy: Proxy, ground: Ground, subject: Subject, proxies: Sequence[str | Proxy]) -> list[Score]:
    teacher = TeacherSignals(ground.build(ground.teacher).network) if proxy.needs_teacher else None
    return evaluate(subject.network, _batch(), proxies, teacher=teacher, thin=subject.thin)


def _labels(proxy: Proxy, ground: Ground) -> tuple[bool, str]:
    if proxy.uses_labels:
        return True, "uses labels"
    subject, (images, labels) = ground.build(ground.archs[0]), _batch()
    return _equal(
        _attempt(proxy, ground, subject, (images, labels)), _attempt(proxy, ground, subject, (images, labels.roll(1)))
    )


def _varies(proxy: Proxy, ground: Ground) -> tuple[bool, str]:
    values = [_attempt(proxy, ground, ground.build(arch), _batch(16)).value for arch in ground.archs]
    finite = {value for value in values if math.isfinite(value)}
    return len(finite) > 1, f"{len(finite)} different values in {len(values)} architectures"


def _shapes(proxy: Proxy, ground: Ground) -> tuple[bool, str]:
    arch = ground.archs[0]
    trials = [(4, 10), (6, 10), (8, 3), (8, 120)]
    scores = [
        _attempt(proxy, ground, ground.build(arch, classes), _batch(size, classes), classes=classes)
        for size, classes in trials
    ]
    failed = [f"batch {b}, {c} classes: {s.status} {s.reason}" for (b, c), s in zip(trials, scores) if s.status != "ok"]
    return not failed, "; ".join(failed) or "batches of 4, 6 and 8; 3, 10 and 120 classes"


def _equal(one: Score, other: Score) -> tuple[bool, str]:
    same = one.status == other.status and repr(one.value) == repr(other.value)
    return same, f"{one.status} {one.value!r}" if same else f"{one.value!r} became {other.value!r}"
