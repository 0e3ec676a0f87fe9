"""The operations of genomes, one by one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from zcbench.distill import Outputs
from zcbench.kdzero.genome import CALIBRATIONS, DISTANCES, TRANSFORMS
from zcbench.streams import torch_stream

Array = np.ndarray
TABLE_1 = {
    *("batchnorm", "min_max", "norm_HW", "norm_C", "norm_N", "softmax_HW", "softmax_C", "softmax_N"),
    *("logsoftmax_HW", "logsoftmax_C", "logsoftmax_N"),
    *("exp", "mish", "leaky", "relu", "tanh", "sigmoid", "pow2", "pow4", "log", "sqrt"),
    *("scale", "multi_scale", "scale_r1", "scale_r2", "local_r1", "local_r2", "local_r4", "batch", "channel"),
    *("drop", "satt", "natt", "catt", "mask", "no", "bmm", "mm"),
}
RANDOM = ("drop", "mask")
SHAPES = [(5, 3, 4, 8), (5, 3, 6), (5, 7)]


def draw(shape: tuple[int, ...], key: str = "x") -> Tensor:
    return 2 * torch.randn(shape, generator=torch_stream("tests", "genome", key, shape), dtype=torch.float64)


def slices(x: Array, axis: str) -> list[tuple[object, ...]]:
    """Index of every vector along the images, the channels, or the positions."""
    if axis == "HW":
        return [(i, c) for i in range(len(x)) for c in range(x.shape[1])]
    rest = [range(size) for place, size in enumerate(x.shape) if place != "NC".index(axis)]
    grid = [
        tuple(int(i) for i in index) for index in np.array(np.meshgrid(*rest, indexing="ij")).reshape(len(rest), -1).T
    ]
    return [(slice(None), *index) if axis == "N" else (index[0], slice(None), *index[1:]) for index in grid]


def by_vectors(axis: str, work: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def whole(x: Array) -> Array:
        out = np.empty_like(x)
        for index in slices(x, axis):
            out[index] = work(x[index].ravel()).reshape(x[index].shape)
        return out

    return whole


def softmax(v: Array) -> Array:
    powers = np.exp(v)
    return powers / powers.sum()


def batchnorm(x: Array) -> Array:
    return np.stack([(x[:, c] - x[:, c].mean()) / np.sqrt(x[:, c].var() + 1e-12) for c in range(x.shape[1])], 1)


def pooled(x: Array, size: int) -> Array:
    height, width = x.shape[2] // size, x.shape[3] // size
    out = np.empty((*x.shape[:2], height, width))
    for i in range(height):
        for j in range(width):
            out[:, :, i, j] = x[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size].max((2, 3))
    return out


def patches(x: Array, size: int) -> Array:
    """Channel by channel, the squares from left to right and from top to bottom."""
    cut = [
        x[:, c, i : i + size, j : j + size]
        for c in range(x.shape[1])
        for i in range(0, x.shape[2], size)
        for j in range(0, x.shape[3], size)
    ]
    return np.stack(cut, 1)


def flat(x: Array) -> Array:
    return np.stack([image.ravel() for image in x])


def satt(x: Array) -> Array:
    means = [np.abs(image).mean(0) for image in x]
    return np.stack([mean.size * softmax(mean.ravel() / 0.5).reshape(mean.shape)[None] for mean in means])


def catt(x: Array) -> Array:
    return np.stack([x.shape[1] * softmax(np.array([np.abs(c).mean() for c in image]) / 0.5) for image in x])


def bmm(x: Array) -> Array:
    maps = [image.reshape(len(image), -1) for image in x]
    return np.array([[[float(a @ b) / len(a) for b in image] for a in image] for image in maps])


def mm(x: Array) -> Array:
    return np.array([[float(np.mean(a * b)) for b in x] for a in x])


AXES = ("HW", "C", "N")
ORACLES: dict[str, Callable[[Array], Array]] = {
    "batchnorm": batchnorm,
    "min_max": lambda x: (x - x.min()) / (x.max() - x.min()),
    **{f"norm_{axis}": by_vectors(axis, lambda v: v / np.sqrt((v**2).sum())) for axis in AXES},
    **{f"softmax_{axis}": by_vectors(axis, softmax) for axis in AXES},
    **{f"logsoftmax_{axis}": by_vectors(axis, lambda v: np.log(softmax(v))) for axis in AXES},
    "exp": np.exp,
    "mish": lambda x: x * np.tanh(np.log(1 + np.exp(x))),
    "leaky": lambda x: np.where(x > 0, x, x / 100),
    "relu": lambda x: np.where(x > 0, x, 0),
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "pow2": lambda x: x * x,
    "pow4": lambda x: x * x * x * x,
    "log": lambda x: np.where(x > 0, 1, -1) * np.log(np.abs(x) + 1e-9),
    "sqrt": lambda x: np.where(x > 0, 1, -1) * np.sqrt(np.abs(x) + 1e-6),
    "scale": lambda x: x / 2 + 0.5,
    "multi_scale": lambda x: np.concatenate([pooled(x, r).reshape(*x.shape[:2], -1) for r in (1, 2, 4)], 2),
    "scale_r1": lambda x: x,
    "scale_r2": lambda x: pooled(x, 2),
    "local_r1": flat,
    "local_r2": lambda x: patches(x, 2),
    "local_r4": lambda x: patches(x, 4),
    "batch": flat,
    "channel": lambda x: np.array([[channel.ravel() for channel in image] for image in x]),
    "satt": satt,
    "natt": by_vectors("N", lambda v: len(v) * softmax(v / 0.5)),
    "catt": catt,
    "no": lambda x: x,
    "bmm": bmm,
    "mm": mm,
    "mean_C": lambda x: np.stack([sum(image) / len(image) for image in x])[:, None],
}


def test_the_table_of_the_paper_is_there() -> None:
    """Published: table 1 of KD-Zero, 38 transforms, 8 distances, 5 calibrations; one transform is ours."""
    assert set(TRANSFORMS) >= TABLE_1 and set(TRANSFORMS) - TABLE_1 == {"mean_C"}
    assert list(DISTANCES) == ["smooth_l1", "l1", "l2", "kl", "hard", "cosine", "pearson", "correlation"]
    assert set(CALIBRATIONS) == {"none", "entropy", "focal", "sim", "conf"}
    assert set(ORACLES) == set(TRANSFORMS) - set(RANDOM)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [name for name in TRANSFORMS if name not in RANDOM])
def test_transforms(name: str, shape: tuple[int, ...]) -> None:
    """Independent reference: NumPy and loops over images, channels and vectors; the shape is the one it announces."""
    transform, x = TRANSFORMS[name], draw(shape)
    if len(shape) not in transform.takes:
        assert "it takes" in transform.trouble(shape)
        return
    found = transform(x)
    assert not transform.trouble(shape) and tuple(found.shape) == transform.gives(shape)
    np.testing.assert_allclose(found.numpy(), ORACLES[name](x.numpy()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["zeros", "ones", "negatives", "huge", "hugely negative", "mixed", "one apart"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_stay_finite(name: str, kind: str) -> None:
    """Bad input: zeros, constants, negatives and 1e4 give a finite value and a finite gradient, in single precision."""
    shape = (4, 3, 4, 4) if 4 in TRANSFORMS[name].takes else (4, 6)
    values = {
        "zeros": torch.zeros(shape),
        "ones": torch.ones(shape),
        "negatives": -draw(shape).abs(),
        "huge": 1e4 * draw(shape).abs(),
        "hugely negative": torch.full(shape, -1e4),
        "mixed": 1e4 * draw(shape),
        "one apart": torch.zeros(shape).index_fill(0, torch.tensor([1]), 1e-20),
    }
    x = values[kind].float().requires_grad_()
    found = TRANSFORMS[name](x)
    (gradient,) = torch.autograd.grad((found * torch.linspace(-1, 1, found.numel()).view_as(found)).sum(), x)
    assert found.isfinite().all() and gradient.isfinite().all()


@pytest.mark.parametrize(("name", "limit"), [("exp", 10.0), ("pow2", 1e4), ("pow4", 1e2)])
def test_limits(name: str, limit: float) -> None:
    """Closed form: beyond its limit an operation that would overflow stays where it is, and below it is untouched."""
    at, beyond, below = (TRANSFORMS[name](torch.tensor([[value]])) for value in (limit, 7 * limit, limit / 2))
    assert torch.equal(at, beyond) and (below < at).all()


@pytest.mark.parametrize("name", RANDOM)
def test_random_transforms(name: str) -> None:
    """Closed form: whole channels or whole positions go, at the stated rate; one draw for equal shapes and places."""
    transform, x = TRANSFORMS[name], draw((64, 32, 8, 8)).abs() + 1
    found = transform(x)
    assert torch.equal(found, transform(x)) and not torch.equal(found, transform(x, place=1))
    assert torch.equal(found != 0, transform(2 * x) != 0)
    assert torch.equal(found.float() != 0, transform(x.float()) != 0)
    share, factor = (0.9, 1 / 0.9) if name == "drop" else (0.35, 1.0)
    kept = found != 0
    assert kept.double().mean() == pytest.approx(share, abs=0.02)
    assert torch.allclose(found[kept], factor * x[kept])
    assert torch.equal(kept, (kept[:, :, :1, :1] if name == "drop" else kept[:, :1]).expand_as(kept))
    assert not torch.equal(kept[0], kept[1])


def test_random_transforms_leave_the_global_state(recwarn: pytest.WarningsRecorder) -> None:
    """Invariance: the draws come from streams of their own."""
    before = torch.get_rng_state()
    for name in RANDOM:
        TRANSFORMS[name](draw((4, 3, 4, 4)))
    assert torch.equal(torch.get_rng_state(), before)


def rows_of(x: Array) -> list[list[Array]]:
    """The rows of every image: its vector, or its channels."""
    return [[image] if image.ndim == 1 else [channel.ravel() for channel in image] for image in x]


def kl(s: Array, t: Array) -> float:
    p, q = softmax(t), softmax(s)
    return float(sum(a * np.log(a / b) for a, b in zip(p, q)))


BY_ROW: dict[str, Callable[[Array, Array], float]] = {
    "smooth_l1": lambda s, t: np.mean([d * d / 2 if d < 1 else d - 0.5 for d in np.abs(s - t)]),
    "l1": lambda s, t: np.mean(np.abs(s - t)),
    "l2": lambda s, t: np.mean((s - t) ** 2),
    "kl": kl,
    "hard": lambda s, t: -np.log(softmax(s)[int(np.argmax(t))]),
    "cosine": lambda s, t: 1 - s @ t / np.sqrt((s @ s) * (t @ t)),
    "pearson": lambda s, t: 1 - np.corrcoef(s, t)[0, 1],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", BY_ROW)
def test_distances(name: str, shape: tuple[int, ...]) -> None:
    """Independent reference: NumPy, row by row, averaged over the rows of each image."""
    s, t = draw(shape, "s"), draw(shape, "t")
    found = DISTANCES[name](s, t).numpy()
    pairs = zip(rows_of(s.numpy()), rows_of(t.numpy()))
    expected = [np.mean([BY_ROW[name](a, b) for a, b in zip(own, other)]) for own, other in pairs]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_correlation_over_the_images(shape: tuple[int, ...]) -> None:
    """Independent reference: NumPy's correlation of each entry over the batch; the images' parts have it as mean."""
    s, t = draw(shape, "s"), draw(shape, "t")
    columns = zip(s.flatten(1).numpy().T, t.flatten(1).numpy().T)
    expected = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in columns])
    found = DISTANCES["correlation"](s, t)
    assert found.shape == (shape[0],) and found.mean().item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_of_equals_and_of_constants(name: str) -> None:
    """Closed form: nothing lies between equals, but for hard labels; constants and 1e4 keep all finite."""
    x = draw((5, 3, 4, 4))
    if name != "hard":
        np.testing.assert_allclose(DISTANCES[name](x, x).mean().item(), 0, atol=1e-12)
    for values in (torch.zeros(5, 6), torch.ones(5, 6), 1e4 * draw((5, 6)).float()):
        s = values.float().clone().requires_grad_()
        found = DISTANCES[name](s, draw((5, 6), "t").float())
        (gradient,) = torch.autograd.grad(found.sum(), s)
        assert found.isfinite().all() and gradient.isfinite().all()


@pytest.mark.parametrize("name", [name for name in DISTANCES if DISTANCES[name].normalised])
def test_normalised_distances_know_no_scale(name: str) -> None:
    """Invariance: the student times three is as near."""
    s, t = draw((5, 7), "s"), draw((5, 7), "t")
    torch.testing.assert_close(DISTANCES[name](3 * s, t), DISTANCES[name](s, t))


def calibrated(name: str, s: Tensor, t: Tensor, labels: Tensor) -> Tensor:
    return CALIBRATIONS[name](Outputs(logits=s), Outputs(logits=t), labels)


def test_calibrations() -> None:
    """Independent reference: NumPy, image by image."""
    s, t, labels = draw((5, 4), "s"), draw((5, 4), "t"), torch.tensor([0, 3, 1, 1, 2])
    own, other = s.numpy(), t.numpy()
    entropies = np.array([-sum(p * np.log(p) for p in softmax(z)) for z in other])
    agreements = np.array([1 + a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in zip(own, other)])
    tops = np.array([softmax(z).max() for z in other])
    losses = [np.array([-np.log(softmax(z)[y]) for z, y in zip(x, labels)]) for x in (own, other)]
    expected = {
        "none": np.ones(()),
        "entropy": entropies / entropies.mean(),
        "focal": 1 - np.exp(-losses[0] / (losses[1] + 1e-7)),
        "sim": agreements / agreements.mean(),
        "conf": tops / tops.mean(),
    }
    for name in CALIBRATIONS:
        np.testing.assert_allclose(calibrated(name, s, t, labels).numpy(), expected[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_calibrations_have_no_gradient_and_stay_finite(name: str) -> None:
    """Contract: weights without gradient; a sure teacher, equal and opposite logits give finite, not negative ones."""
    labels = torch.tensor([0, 1, 2])
    for s, t in [
        (torch.zeros(3, 4), torch.zeros(3, 4)),
        (torch.zeros(3, 4), 1e4 * torch.eye(3, 4)),
        (1e4 * torch.eye(3, 4), 1e4 * torch.eye(3, 4)),
        (torch.ones(3, 4), -torch.ones(3, 4)),
    ]:
        weights = calibrated(name, s.requires_grad_(), t, labels)
        assert not weights.requires_grad and weights.isfinite().all() and (weights >= 0).all()
        assert name in ("none", "focal") or weights.mean().item() == pytest.approx(1)


@pytest.mark.parametrize(
    "item", [*TRANSFORMS.values(), *DISTANCES.values(), *CALIBRATIONS.values()], ids=lambda i: i.name
)
def test_described(item: object) -> None:
    """Contract: every operation has a sentence and a formula."""
    assert item.summary.endswith(".") and item.formula  # type: ignore[attr-defined]


def test_the_reference_page_has_every_operation() -> None:
    """By construction: docs/distillers.md has a row for each operation, with its formula and its guard."""
    page = (Path(__file__).parents[3] / "docs" / "distillers.md").read_text(encoding="utf-8").splitlines()
    for item in (*TRANSFORMS.values(), *DISTANCES.values(), *CALIBRATIONS.values()):
        formula, guard = (text.replace("|", "\\|") for text in (item.formula, item.guard or "–"))
        assert any(row.startswith(f"| `{item.name}` | {formula} |") and row.endswith(f"| {guard} |") for row in page), (
            item
        )
