"""Checks of a space against the interface, run by ``zcbench spaces check``."""

import pickle
from collections.abc import Callable
from functools import partial

import torch

from zcbench.errors import ArchitectureError
from zcbench.findings import Finding, findings
from zcbench.spaces.base import Space
from zcbench.spaces.options import ImageShape
from zcbench.streams import numpy_stream, torch_stream

_CLASSES, _SIDE, _DRAWN = 3, 16, 8


def check(space: Space) -> list[Finding]:
    """Check ``space`` against the interface on eight drawn architectures, of which two are built.

    The checks: a string is read and written without a change, and `canonical` is idempotent; a malformed string is
    refused by an `ArchitectureError`; neighbours, mutations and children of two parents are architectures of the space;
    equal generators draw equal architectures; a network gives one logit for each class; the same seed gives the same
    weights, bit for bit; `params` is the number of trainable parameters of the network; the space can be pickled.

    Returns:
        One `Finding` per check, in this order. A check that raises is a failed check.

    Example:
        >>> from zcbench import spaces
        >>> all(finding.passed for finding in spaces.check(spaces.get("nasbench201", channels=4, cells=1)))
        True
    """
    checks: dict[str, Callable[[Space, list[str]], tuple[bool, str]]] = {
        "strings are read and written without a change": _strings,
        "a malformed string is refused": _malformed,
        "neighbours, mutations and children are of the space": _changes,
        "equal generators draw equal architectures": _draws,
        "a network gives one logit for each class": _logits,
        "the same seed gives the same weights": _weights,
        "sizes are those of the network": _sizes,
        "the space can be pickled": _pickled,
    }
    archs = _drawn(space)
    return findings({name: partial(work, space, archs) for name, work in checks.items()})


def _drawn(space: Space) -> list[str]:
    rng = numpy_stream("check", space.spec)
    return list(dict.fromkeys(space.sample(rng) for _ in range(_DRAWN)))


def _shape(space: Space) -> ImageShape:
    """The smallest images of at least 16 x 16 that the space takes."""
    side = -(-max(_SIDE, space.smallest) // space.multiple) * space.multiple
    return 3, side, side


def _strings(space: Space, archs: list[str]) -> tuple[bool, str]:
    stands = [space.canonical(arch) for arch in archs]
    wrong = [arch for arch in (*archs, *stands) if arch not in space]
    wrong += [arch for arch in stands if space.canonical(arch) != arch]
    return not wrong, f"{len(archs)} architectures" if not wrong else f"not kept: {', '.join(wrong)}"


def _malformed(space: Space, archs: list[str]) -> tuple[bool, str]:
    text = f"{archs[0]}?"
    try:
        space.parse(text)
    except ArchitectureError as error:
        return True, str(error)
    return False, f"{text!r} is taken; expected an ArchitectureError"


def _changes(space: Space, archs: list[str]) -> tuple[bool, str]:
    rng, found = numpy_stream("check", space.spec, "changes"), list[str]()
    for arch, other in zip(archs, archs[1:] + archs[:1]):
        near = space.neighbours(arch)
        if arch in near:
            return False, f"{arch!r} is a neighbour of itself"
        found += [*near, *([space.mutate(arch, rng)] if near else []), space.crossover(arch, other, rng)]
    wrong = [arch for arch in found if arch not in space]
    return not wrong, f"{len(found):,} changed strings" if not wrong else f"not of the space: {', '.join(wrong[:3])}"


def _draws(space: Space, archs: list[str]) -> tuple[bool, str]:
    again = _drawn(space)
    return again == archs, "two generators of one seed" if again == archs else f"{archs[0]!r} became {again[0]!r}"


def _logits(space: Space, archs: list[str]) -> tuple[bool, str]:
    images = torch.randn(2, *_shape(space), generator=torch_stream("check", space.spec))
    with torch.no_grad():
        shapes = [tuple(_built(space, arch).eval()(images).shape) for arch in archs[:2]]
    wrong = [shape for shape in shapes if shape != (2, _CLASSES)]
    return not wrong, f"{shapes[0]} for 2 images and {_CLASSES} classes"


def _weights(space: Space, archs: list[str]) -> tuple[bool, str]:
    one, other = (_built(space, archs[0]).state_dict() for _ in range(2))
    wrong = [name for name, tensor in one.items() if not torch.equal(tensor, other[name])]
    return not wrong, f"{len(one)} tensors" if not wrong else f"differ: {', '.join(wrong)}"


def _sizes(space: Space, archs: list[str]) -> tuple[bool, str]:
    for arch in archs[:2]:
        built = sum(weight.numel() for weight in _built(space, arch).parameters() if weight.requires_grad)
        if (told := space.params(arch, _CLASSES, _shape(space))) != built:
            return False, f"{arch}: params gives {told:,}, and the network has {built:,}"
    return True, f"{archs[0]}: {space.params(archs[0], _CLASSES, _shape(space)):,} parameters"


def _pickled(space: Space, archs: list[str]) -> tuple[bool, str]:
    again = pickle.loads(pickle.dumps(space))
    return again == space and archs[0] in again, space.spec


def _built(space: Space, arch: str) -> torch.nn.Module:
    return space.build(arch, num_classes=_CLASSES, seed=0, image_shape=_shape(space))
