"""Genomes: their text, what fits, the distillers among them, and that they train."""

import json
import pickle
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import zcbench
from zcbench import datasets, distill, proxies, spaces
from zcbench.cli import app
from zcbench.cli.students import read_distillers
from zcbench.distill import MissingOutput, Outputs, Recipe, ShapeMismatch, Shapes, TooFewImages, TrainingData
from zcbench.errors import UnknownNameError
from zcbench.kdzero.genome import KNOWN, WEIGHTS, Genome, GenomeDomain, GenomeError, UnfitGenome, read_distiller
from zcbench.specification import split_list

from ...distill.conftest import Pair, make_outputs, make_pair

CHANNELS, POSITIONS = 6, 9  # of the features of `make_pair`
SAME: dict[str, tuple[str, float]] = {  # distiller, and how many times its genome it is
    "kd": ("kd", 1),
    "dist_classes": ("dist(gamma=0)", 1),
    "dist_images": ("dist(beta=0)", 1),
    "cwd": ("cwd", 1),
    "sp": ("sp", 1),
    "ickd": ("ickd", CHANNELS),
    "pkd": ("pkd", 1),
    "at": ("at", POSITIONS),
    "fitnet": ("fitnet", 1),
    "fitnet_embedding": ("fitnet_embedding", 1),
}
FORMULA = "10 4^2 focal l2(no(relu(norm_HW(features/4))))"
SPACE = spaces.get("nasbench201(channels=4,cells=1)")


def samples(count: int, seed: int = 0) -> list[Genome]:
    domain, rng = GenomeDomain(), np.random.default_rng(seed)
    return [domain.sample(rng) for _ in range(count)]


def valued(loss: distill.Distiller, pair: Pair) -> tuple[Tensor, list[Tensor]]:
    """Value, and the gradient of everything of the student."""
    leaves = [tensor for _, tensor in pair.student.tensors()]
    value = loss(pair.student, pair.teacher, pair.labels if loss.uses_labels else None)
    found = torch.autograd.grad(value, leaves, allow_unused=True, retain_graph=True)
    return value, [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found)]


@pytest.mark.parametrize("name", SAME)
def test_known_distillers_are_genomes(name: str, pair: Pair) -> None:
    """Independent path: value and gradient of the distiller of that name, up to the stated factor."""
    if name == "at":  # which sums over the stages, where a genome has the last map
        last = [outputs.replace(stages=outputs.stages[-1:]) for outputs in pair[:2]]
        pair = Pair(last[0], last[1], pair.labels)
    known, factor = SAME[name]
    (value, gradient), (expected, wanted) = valued(KNOWN[name].distiller, pair), valued(distill.get(known), pair)
    torch.testing.assert_close(factor * value, expected, rtol=1e-10, atol=1e-12)
    assert any(part.abs().max() > 1e-8 for part in wanted)
    for one, other in zip(gradient, wanted):
        torch.testing.assert_close(factor * one, other, rtol=1e-8, atol=1e-12)


def test_dist_is_two_genomes(pair: Pair) -> None:
    """Closed form: the sum of the two terms is the loss."""
    total = sum(valued(KNOWN[name].distiller, pair)[0] for name in ("dist_classes", "dist_images"))
    torch.testing.assert_close(total, valued(distill.get("dist"), pair)[0])


def test_wsld_differs_by_the_entropy_of_the_teacher(pair: Pair) -> None:
    """Closed form: same gradient; the cross-entropy is the divergence plus the entropy of the soft labels."""
    genome, other = valued(KNOWN["wsld"].distiller, pair), valued(distill.get("wsld(temperature=4)"), pair)
    for one, two in zip(genome[1], other[1]):
        torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-12)
    soft = (pair.teacher.logits / 4).softmax(1).detach()
    losses = [
        torch.nn.functional.cross_entropy(outputs.logits.detach(), pair.labels, reduction="none")
        for outputs in pair[:2]
    ]
    weights = 1 - torch.exp(-losses[0] / (losses[1] + 1e-7))
    torch.testing.assert_close(other[0] - genome[0], 16 * (weights * -(soft * soft.log()).sum(1)).mean())


def test_equation_1_by_hand() -> None:
    """Closed form: two images, two logits, every factor at work, computed on paper.

    z_S = (2, 0), (0, 2), z_T = (6, 0), (2, 0), labels 0 and 1, temperature 1, relu, l1, weight 5, focal:
    distances |2 - 6| / 2 = 2 and (2 + 2) / 2 = 2; CE_S = log(1 + e^-2) twice, CE_T = log(1 + e^-6), 2 + log(1 + e^-2).
    """
    student = Outputs(logits=torch.tensor([[2.0, 0.0], [0.0, 2.0]], dtype=torch.float64))
    teacher = Outputs(logits=torch.tensor([[6.0, 0.0], [2.0, 0.0]], dtype=torch.float64))
    low = np.log(1 + np.exp(-2))
    weights = [1 - np.exp(-low / (ce + 1e-7)) for ce in (np.log(1 + np.exp(-6)), 2 + low)]
    found = Genome.parse("5 focal l1(no(no(relu(logits))))").distiller(student, teacher, torch.tensor([0, 1]))
    assert found.item() == pytest.approx(5 * np.mean([weights[0] * 2, weights[1] * 2]), rel=1e-12)
    warm = Genome.parse("5 4^2 l1(no(no(relu(logits/4))))").distiller(student, teacher)
    assert warm.item() == pytest.approx(16 * 5 * 2 / 4, rel=1e-12)


def test_text_and_back() -> None:
    """Round trip: 2,000 random genomes print, parse, hash and compare; one text for one genome."""
    genomes = samples(2000)
    assert all(Genome.parse(str(genome)) == genome for genome in genomes)
    assert all(hash(Genome.parse(genome.formula)) == hash(genome) for genome in genomes)
    assert len({genome.formula for genome in genomes}) == len(set(genomes)) > 1900
    assert pickle.loads(pickle.dumps(genomes[0])) == genomes[0]


def test_names_and_back() -> None:
    """Round trip: the name of a genome's distiller gives it again, alone and in a list."""
    losses = [genome.distiller for genome in samples(100, seed=1)]
    assert all(distill.get(loss.name) == loss for loss in losses)
    assert split_list(",".join(["kd(temperature=2)", *(loss.name for loss in losses)]))[1:] == [x.name for x in losses]
    assert all(proxies.get(f"kd:{loss.name}").name == f"kd:{loss.name}" for loss in losses[:5])


def test_spaces_do_not_matter() -> None:
    """Round trip: what is written loosely prints canonically; every part is where it belongs."""
    genome = Genome.parse(" 10  4^2 focal  l2( no ( relu (norm_HW( features / 4) )))")
    assert genome == Genome("features", ("norm_HW", "relu", "no"), "l2", 10, 4, "focal")
    assert str(genome) == genome.formula == FORMULA
    assert genome.operations() == [
        ("input", "features"),
        *(("transform", name) for name in ("norm_HW", "relu", "no")),
        *(("distance", "l2"), ("weight", "10"), ("temperature", "4"), ("calibration", "focal")),
    ]
    assert all(Genome(weight=weight).formula for weight in WEIGHTS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("l2(no(rellu(no(features))))", r"'rellu' at character 7 .* no known transform. Did you mean 'relu'"),
        ("l3(no(no(no(features))))", r"'l3' at character 1 .* no known distance. Known: .*l1, l2"),
        ("l2(no(no(no(feature))))", r"'feature' at character 13 .*'features'"),
        ("fokal l2(no(no(no(features))))", r"'fokal' at character 1 .* no known calibration.*'focal'"),
        ("3 l2(no(no(no(features))))", r"'3' at character 1 .* no weight.*0.01, 0.05"),
        ("3^2 l2(no(no(no(features/3))))", r"'3' .* no temperature.*1, 4, 8"),
        ("4^2 l2(no(no(no(features))))", r"divides the input by 1 and has the factor 4\^2"),
        ("l2(no(no(features)))", r"3 operations around 'features'.*three transforms"),
        ("l2(no(no(no(features)))", "4 operations around 'features' and 3 closing"),
        ("1 focal conf l2(no(no(no(features))))", "'conf' .* one factor too many"),
        ("", "no formula"),
        ("features", "no formula"),
        ("l2(no(no(no(logits)))) + 1", "no formula"),
        ("l2(no(no(norm_HW(logits))))", r"makes no sense for logits: transform 1, 'norm_HW'.*rows \(B, C, L\) or maps"),
        ("l2(no(softmax_C(satt(features))))", "transform 2, 'softmax_C'.*compares channels, of which"),
        ("l2(no(channel(batch(features))))", "transform 2, 'channel'.*maps"),
        ("kl(no(bmm(satt(features)))))", "4 operations around 'features' and 5"),
        ("kl(no(no(bmm(satt(features)))))", "5 operations"),
        ("kl(bmm(satt(no(features))))", "the distance 'kl' cannot: it compares entries of a row"),
    ],
)
def test_bad_formulas(text: str, message: str) -> None:
    """Bad input: what is wrong, where, and the nearest operation or what was expected."""
    with pytest.raises(GenomeError, match=message):
        Genome.parse(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": 2}, "weight=2"),
        ({"temperature": 0}, "temperature=0"),
        ({"transforms": ("no",)}, "Given 1 transforms"),
        ({"distance": "cosin"}, "'cosine'"),
        ({"input": "stages"}, "no known input"),
        ({"calibration": "focus"}, "'focal'"),
    ],
)
def test_bad_genomes(arguments: dict[str, object], message: str) -> None:
    """Bad input: a value that is not in the space."""
    with pytest.raises(GenomeError, match=message):
        Genome(**arguments)  # type: ignore[arg-type]


def test_names_of_the_family(pair: Pair) -> None:
    """Contract: without a formula it is that of kd; what only begins alike is unknown; no list has it."""
    assert distill.get("genome").name == KNOWN["kd"].distiller.name
    torch.testing.assert_close(distill.get("genome")(*pair[:2]), distill.get("kd")(*pair[:2]))
    assert distill.get("genome", formula=FORMULA) == Genome.parse(FORMULA).distiller
    assert not any(name.startswith("genome") for name in distill.names())
    for name, message in (("genomes", "'genomes'"), ("genome(formla='x')", "'formula'")):
        with pytest.raises(UnknownNameError, match=message):
            distill.get(name)
    with pytest.raises(GenomeError, match="type int"):
        distill.get("genome(formula=3)")


def test_an_adapter_is_a_hyperparameter(pair: Pair) -> None:
    """Contract: with an adapter in the name unlike channels are compared; the name gives it again."""
    teacher = make_outputs("wide", stages=((5, 8, 8), (7, 4, 4), (9, 4, 4)))
    loss = KNOWN["fitnet"].distiller
    with pytest.raises(ShapeMismatch, match="adapter='conv1x1'"):
        loss(pair.student, teacher)
    adapted = distill.get(loss.name, adapter="conv1x1", adapter_seed=3)
    assert distill.get(adapted.name) == adapted and "formula=" in adapted.name
    expected = distill.get("fitnet(adapter='conv1x1',adapter_seed=3)")(pair.student, teacher)
    torch.testing.assert_close(adapted(pair.student, teacher), expected)
    assert distill.get(loss.name).projectors(pair.student.shapes, teacher.shapes) is not None


def test_reads_what_it_needs(pair: Pair) -> None:
    """Contract: the input alone without calibration, the logits too with one, the labels for focal."""
    for text, reads, labels in (
        ("l2(no(no(no(embedding))))", {"embedding"}, False),
        ("conf l2(no(no(no(embedding))))", {"embedding", "logits"}, False),
        ("focal l2(no(no(no(features))))", {"features", "logits"}, True),
    ):
        loss = Genome.parse(text).distiller
        assert loss.reads == reads and loss.uses_labels == labels
        there = {name: getattr(pair.student, name) for name in reads}
        assert loss(Outputs(**there), pair.teacher, pair.labels if labels else None).isfinite()
        for missing in reads:
            rest = Outputs(**{name: getattr(pair.teacher, name) for name in reads - {missing}})
            with pytest.raises(MissingOutput, match=missing):
                loss(pair.student, rest, pair.labels if labels else None)


@pytest.mark.parametrize(
    "text", ["l2(no(no(norm_N(logits))))", "l2(no(no(mm(features))))", "correlation(no(no(no(logits))))"]
)
def test_one_image_is_too_few_where_images_are_compared(text: str) -> None:
    """Bad input: a batch of one image."""
    with pytest.raises(TooFewImages, match="at least 2"):
        Genome.parse(text).distiller(*make_pair(1)[:2])


def shapes(**given: object) -> Shapes:
    return Shapes(**({"classes": 10, "width": 16, "features": (16, 8, 8)} | given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "student", "message"),
    [
        ("l2(no(no(local_r4(features))))", {"features": (16, 6, 6)}, "multiples of 4"),
        ("l2(no(no(softmax_HW(features))))", {"features": (16, 1, 1)}, "positions, of which"),
        ("l2(no(no(no(features))))", {"features": None}, "features, which the student does not have"),
        ("l2(no(no(no(embedding))))", {"width": None}, "embedding, which the student does not have"),
        ("l2(no(no(no(logits))))", {"classes": 100}, "100 classes and the teacher 10"),
        ("l2(no(scale_r2(local_r4(features))))", {}, ""),
        ("l2(scale_r2(scale_r2(local_r4(features))))", {}, ""),
        ("l2(local_r2(scale_r2(local_r4(features))))", {}, ""),
        ("l2(scale_r2(multi_scale(no(features))))", {}, "makes no sense"),
        ("kl(scale_r2(scale_r2(local_r4(features))))", {}, "entries of a row"),
    ],
)
def test_unfit_pairs_are_refused(text: str, student: dict[str, object], message: str) -> None:
    """Bad input: maps too small, outputs that lack, other class counts; the smaller map of the two decides."""
    if not message:
        Genome.parse(text).require_fit(shapes(**student), shapes())
        return
    with pytest.raises(GenomeError, match=message):
        Genome.parse(text).require_fit(shapes(**student), shapes())


def test_a_matrix_between_all_pixels_is_refused() -> None:
    """By definition: of 9,000 pixels the matrix would have 81 million numbers, above 2^26, and of 4,000 16 million."""
    genome = Genome.parse("l2(mm(no(softmax_C(logits))))")
    loss = genome.distiller
    for pixels, refused in ((9_000, True), (4_000, False)):
        student, teacher = (Outputs(logits=torch.randn(pixels, 3)) for _ in range(2))
        with pytest.raises(UnfitGenome, match="67,108,864") if refused else nullcontext():
            assert loss(student, teacher) > 0


def test_a_genome_that_fits_computes(pair: Pair) -> None:
    """Independent path: what `require_fit` lets through gives a finite loss, what it refuses is refused by the loss."""
    domain, rng = GenomeDomain(pair=(pair.student.shapes, pair.teacher.shapes)), np.random.default_rng(0)
    for genome in [domain.sample(rng) for _ in range(300)]:
        genome.require_fit(pair.student.shapes, pair.teacher.shapes)
        value = genome.distiller(pair.student, pair.teacher, pair.labels if genome.distiller.uses_labels else None)
        assert value.ndim == 0 and value.isfinite(), genome
    with pytest.raises(UnfitGenome, match="multiples of 2"):
        Genome.parse("l2(no(no(scale_r2(features))))").distiller(*pair[:2])


def test_gradients_of_random_genomes(pair: Pair) -> None:
    """Property: maps with many zeros, a dead channel and large values give finite gradients in single precision."""
    maps = [(100 * (outputs.features - 1)).relu().float().detach() for outputs in pair[:2]]
    maps = [tensor.index_fill(1, torch.tensor([0]), 0.0).requires_grad_() for tensor in maps]
    weight = pair.student.classifier.detach().float()
    student, teacher = (Outputs(m.mean((2, 3)) @ weight.T, m.mean((2, 3)), m) for m in maps)
    domain, rng = GenomeDomain(pair=(student.shapes, teacher.shapes)), np.random.default_rng(2)
    for genome in [domain.sample(rng) for _ in range(300)]:
        value = genome.distiller(student, teacher, pair.labels if genome.distiller.uses_labels else None)
        (gradient,) = torch.autograd.grad(value, maps[0], retain_graph=True, allow_unused=True)
        assert value.isfinite() and (gradient is None or gradient.isfinite().all()), genome


def test_the_genome_of_kd_is_the_proxy_of_kd() -> None:
    """Independent path: the score of ``kd:kd`` on untrained cells; a genome that does not fit is not applicable."""
    network, teacher = (SPACE.build(SPACE[index], seed=index, image_shape=(3, 16, 16)) for index in (6111, 1462))
    stream = torch.Generator().manual_seed(3)
    batch = torch.randn(8, 3, 16, 16, generator=stream), torch.randint(10, (8,), generator=stream)
    mine = f"kd:{KNOWN['kd'].distiller.name}"
    scores = zcbench.score(
        network, batch, ["kd:kd", mine, f"kd:{KNOWN['sp'].distiller.name}", "kd:sp"], teacher=teacher
    )
    values = list(scores.values())
    assert values[1] == pytest.approx(values[0]) and values[2] == pytest.approx(values[3])
    small = proxies.evaluate(
        network, batch, ["kd:genome(formula='l2(no(local_r4(scale_r2(features))))')"], teacher=teacher
    )
    assert small[0].status == "not_applicable" and "multiples of 4" in small[0].reason


def test_shown_from_the_command_line() -> None:
    """By construction: a distiller with hyperparameters is shown like any other proxy."""
    result = CliRunner().invoke(app, ["proxies", "show", f"kd:{KNOWN['sp'].distiller.name}"])
    assert result.exit_code == 0 and "reads features, teacher" in result.output and ".. math::" in result.output


@pytest.fixture
def digits() -> TrainingData:
    return TrainingData.of(datasets.load("digits(images=256)"), datasets.load("digits", split="test"))


@pytest.mark.parametrize(
    "formula", [FORMULA, "conf pearson(softmax_C(bmm(drop(features))))", "8^2 hard(no(no(tanh(embedding/8))))"]
)
def test_trains(formula: str, digits: TrainingData) -> None:
    """By construction: an epoch under a teacher of other channels; the log has the term by the genome's name."""
    teacher = spaces.get("resnet").build("resnet20", image_shape=digits.image_shape)
    student = SPACE.build(SPACE[1462], image_shape=digits.image_shape)
    before = [parameter.clone() for parameter in student.parameters()]
    loss = Genome.parse(formula).distiller
    result = distill.train(student, teacher, digits, Recipe(epochs=1, batch_size=32), distillers=[loss.name])
    assert np.isfinite(result.history[-1][loss.name]) and result.history[-1][loss.name] > 0
    assert any(not torch.equal(old, new) for old, new in zip(before, result.network.parameters()))


def test_an_unfit_genome_is_refused_before_training(digits: TrainingData) -> None:
    """Bad input: digits leave maps of 2x2, which have no squares of 4x4."""
    networks = [SPACE.build(SPACE[1462], seed=seed, image_shape=digits.image_shape) for seed in (0, 1)]
    with pytest.raises(UnfitGenome, match="multiples of 4"):
        distill.train(
            *networks, digits, Recipe(epochs=1), distillers=["genome(formula='l2(no(no(local_r4(features))))')"]
        )


def test_the_file_of_a_search(tmp_path: Path) -> None:
    """Round trip: what a search writes is read, also as ``--distillers FILE.json`` beside other losses."""
    file = tmp_path / "distiller.json"
    file.write_text(json.dumps({"version": 1, "best": {"formula": FORMULA, "fitness": {"value": 1.0}}}))
    name = Genome.parse(FORMULA).distiller.name
    assert read_distiller(file) == Genome.parse(FORMULA)
    names, origins = read_distillers(f"kd,{file}", "nasbench201", None)
    assert names == ["kd", name] and origins == [{"asked": str(file), "names": [name]}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"version": 2, "best": {"formula": "x"}}', "version 2. Expected version 1"),
        ('{"best": {"formula": "x"}}', "KeyError: 'version'"),
        ('{"version": 1, "best": {}}', "KeyError: 'formula'"),
        ('{"version": 1, "best": {"formula": "l2(x)"}}', "1 operations around"),
        ('{"version": 1, "best": {"formula": null}}', "type NoneType"),
        ("no json", "JSONDecodeError"),
        ("[]", "TypeError"),
        (None, "FileNotFoundError"),
    ],
)
def test_files_that_hold_no_distiller(content: str | None, message: str, tmp_path: Path) -> None:
    """Bad input: another version, no formula, no JSON, no file."""
    file = tmp_path / "distiller.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(GenomeError, match=message):
        read_distiller(file)


def test_the_same_bits_twice(outputs: Callable[..., Outputs]) -> None:
    """Contract: a genome with random transforms has the same value each time, and the same draw for both networks."""
    one = outputs("student", 8)
    loss = Genome.parse("l2(no(mask(drop(features))))").distiller
    assert loss(one, one).item() == 0
    assert torch.equal(loss(one, outputs("teacher", 8)), loss(one, outputs("teacher", 8)))
