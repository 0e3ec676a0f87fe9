"""The distiller search as a whole: determinism, resumption, and what candidates are measured to be."""

import json
import math
from dataclasses import fields, replace

import pytest
import torch
from scipy.stats import kendalltau

from zcbench import datasets
from zcbench.benchmarks.scoring.teachers import TeacherChoice
from zcbench.benchmarks.training.log import Key, TrainingLog
from zcbench.distill import Recipe, TrainingData, train
from zcbench.kdzero.evolution import (
    CandidateJob,
    CandidateMaker,
    DistillerSettings,
    KnownAccuracies,
    RankingValue,
    Rejection,
    Shrinkage,
    analysis,
    evaluating,
    evolve_distiller,
    evolving,
    held_out,
    read,
    untrained,
)
from zcbench.kdzero.evolution.candidates import CANDIDATE, VANILLA, CandidateRow
from zcbench.kdzero.genome import Genome
from zcbench.runtime.execution import Execution
from zcbench.search.algorithms.loop import SearchError
from zcbench.streams import torch_stream

SETTINGS = DistillerSettings(evaluations=6, step=2, population=2, tournament=1, shrinkage=Shrinkage(after=2))
FITTING = Genome("logits", ("softmax_C", "no", "no"), "kl")


@pytest.fixture(scope="module")
def job(space) -> CandidateJob:
    parts = (datasets.load("digits(images=200,test_images=40)", split=split) for split in ("train", "test"))
    return CandidateJob(
        space=space,
        arch=space[1462],
        data=held_out(TrainingData.of(*parts), 0.2),
        recipe=Recipe(epochs=1, batch_size=32, layout="contiguous"),
        teacher=TeacherChoice(space[15624], seed=7),
    )


@pytest.fixture(scope="module")
def maker(job) -> CandidateMaker:
    return CandidateMaker(job)


def row_of(maker: CandidateMaker, genome: Genome) -> dict:
    return maker(Key(genome.formula, CANDIDATE, 0))


def test_terms_are_measured_in_float32(job, maker):
    """Invariance: the precision of the training does not round the measurement of a network."""
    half = CandidateMaker(replace(job, recipe=replace(job.recipe, precision="bfloat16")))
    assert half.teacher_quality() == maker.teacher_quality()


def test_a_candidate_is_trained_as_any_student(job, maker):
    """Slow reference: the same training by `zcbench.distill.train`, whose validation loss and accuracy it has."""
    found = row_of(maker, FITTING)
    student, teacher = job.build_student(), job.build_teacher()
    distiller = FITTING.distiller
    slow = train(student, teacher, job.data, job.recipe, distillers=[distiller], weights={"ce": 1, distiller.name: 1})
    assert found.status == "ok" and found.steps == slow.steps == job.steps
    assert found.terms["ce"] == pytest.approx(slow.loss, rel=1e-5)
    assert found.terms["accuracy"] == pytest.approx(slow.accuracy)


def test_the_first_loss_is_minus_the_own_value(job, monkeypatch):
    """Invariance: the proxy is what training begins with, where both are of all images; and the loss by hand."""
    whole = replace(job, recipe=replace(job.recipe, batch_size=len(job.data)))
    monkeypatch.setattr(untrained, "PROXY_IMAGES", len(job.data))
    found = row_of(CandidateMaker(whole), FITTING)
    with torch.no_grad():
        networks = whole.build_student().train(), whole.build_teacher()
        logarithms = [network(whole.data.images).softmax(1).log_softmax(1) for network in networks]
    slow = torch.nn.functional.kl_div(*logarithms, log_target=True, reduction="batchmean").item()
    assert found.losses[0][2] == pytest.approx(slow, rel=1e-4)
    assert found.proxy == pytest.approx(-slow, rel=1e-4)


def test_an_early_stop_trains_the_share(job):
    """Closed form: half of five steps, rounded up, are three; the rate is that of the whole schedule."""
    early = replace(job, share=0.5)
    assert (job.steps, early.limit) == (5, 3)
    found = row_of(CandidateMaker(early), FITTING)
    assert found.steps == 3 and found.status == "ok"
    assert found.losses == row_of(CandidateMaker(job), FITTING).losses[:3]


def test_rejection_saves_steps_and_can_be_left_out(job, maker):
    """Contract: a loss of fifty thousand ends the training at once; without rules it goes on."""
    excessive = Genome("logits", ("pow4", "no", "no"), "l2", weight=100, temperature=1)
    found = row_of(CandidateMaker(replace(job, rejection=Rejection(largest=1e-3))), excessive)
    assert found.status == "rejected" and found.steps == 1 and "excessive" in found.reason
    assert row_of(CandidateMaker(replace(job, rejection=None)), FITTING).losses == []


def test_a_genome_that_cannot_fit_is_refused_before_training(maker):
    """Contract: 8x8 digits leave 2x2 maps, of which no patches of 4x4 can be cut; the row says so and has no steps."""
    found = row_of(maker, Genome("features", ("local_r4", "no", "no"), "l2"))
    assert found.status == "unfit" and found.steps == 0 and "local_r4" in found.reason


def test_an_unknown_operation_is_named(maker):
    """Contract: with the nearest one."""
    found = maker(Key("kl(no(no(sofmax_C(logits))))", CANDIDATE, 0))
    assert found.status == "unfit" and "softmax_C" in found.reason


def test_the_student_alone_has_no_distillation(maker):
    """Contract: its losses are cross-entropies."""
    found = maker(Key("student", VANILLA, 0))
    assert all(total == ce and loss == 0 for total, ce, loss in found.losses)


def found(job, out, settings=SETTINGS, **options) -> dict:
    job = replace(job, teacher_recipe=Recipe(epochs=1, batch_size=32, layout="contiguous"))
    names = {field.name for field in fields(Execution)}
    how = Execution(**{"workers": 0} | {name: options.pop(name) for name in list(options) if name in names})
    return evolve_distiller(job, settings, out, execution=how, **options).content


def test_workers_change_nothing(job, tmp_path):
    """Invariance: the file is the same bytes with two worker processes and with none."""
    files = []
    for workers in (0, 2):
        found(job, tmp_path / str(workers), workers=workers)
        files.append((tmp_path / str(workers) / "distiller.json").read_bytes())
    assert files[0] == files[1]


def test_a_search_that_died_goes_on(job, tmp_path, monkeypatch):
    """Invariance: killed in its fourth evaluation and started again it gives the same, and trains the rest only."""
    whole, done = found(job, tmp_path / "whole"), []
    real = evaluating.CandidateMaker.__call__

    def mortal(self, task):
        if len(done) == 4:
            raise KeyboardInterrupt  # as good as SIGKILL: nothing after it is run
        done.append(task)
        return real(self, task)

    monkeypatch.setattr(evaluating.CandidateMaker, "__call__", mortal)
    with pytest.raises(KeyboardInterrupt):
        found(job, tmp_path / "torn")
    log = (tmp_path / "torn" / "trainings.jsonl").read_bytes()
    (tmp_path / "torn" / "trainings.jsonl").write_bytes(log + b'{"arch": "torn li')
    monkeypatch.setattr(evaluating.CandidateMaker, "__call__", lambda self, task: done.append(task) or real(self, task))
    assert found(job, tmp_path / "torn") == whole
    assert len(done) == len(set(done)) == 1 + SETTINGS.evaluations


def test_a_shorter_search_is_the_beginning_of_a_longer_one(job, tmp_path):
    """Invariance: the same folder goes on to more evaluations."""
    short = found(job, tmp_path, replace(SETTINGS, evaluations=2))
    longer = found(job, tmp_path)
    assert [row["formula"] for row in longer["history"]][:2] == [row["formula"] for row in short["history"]]
    assert len(longer["history"]) == 6


def test_random_search_shares_all_but_the_proposals(job, tmp_path):
    """Invariance: the first population, references and protocol are the same; a genome in both measures alike."""
    one = found(job, tmp_path / "evolution")
    other = found(job, tmp_path / "random", replace(SETTINGS, algorithm="random", shrinkage=None))
    assert one["protocol"] == other["protocol"] and one["references"] == other["references"]
    terms = [{row["formula"]: row["terms"] for row in content["history"]} for content in (one, other)]
    both = set(terms[0]) & set(terms[1])
    assert len(both) >= SETTINGS.population and all(terms[0][name] == terms[1][name] for name in both)
    curves = analysis.on_one_scale({"evolution": one, "random": other})
    ends = [row["evaluations"] for row in one["best_so_far"]]
    assert [row["evaluations"] for row in curves["evolution"]] == sorted({*ends, len(one["history"])})


def test_the_document(job, tmp_path):
    """Contract: the best is the fittest of the history, with its terms; all can be read back and is plain JSON."""
    content = found(job, tmp_path, replace(SETTINGS, prescreen=2))
    best, history = content["best"], content["history"]
    known = [row["fitness"] for row in history if row["fitness"] is not None]
    assert content["version"] == 1 and best["fitness"] == min(known)
    assert best["terms"]["sum"] == pytest.approx(
        best["terms"]["ce"] + best["terms"]["sharpness"] - best["terms"]["cka"]
    )
    assert Genome.parse(best["formula"]).distiller.name == best["distiller"]
    assert len(content["prescreen"]) == 6 and all(len(slot) == 2 for slot in content["prescreen"])
    kept = [slot[0]["formula"] for slot in content["prescreen"]]
    assert [row["formula"] for row in history] == kept
    assert read(tmp_path) == content == json.loads(json.dumps(content))
    assert {"distiller.json", "candidates.csv", "times.json", "trainings.jsonl"} <= {p.name for p in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("l2(no(no(no(logits))))", "l2(no(no(scale(logits))))", False),
        ("l2(no(no(no(features))))", "4^2 l2(no(no(scale_r1(features/4))))", True),
        ("l2(no(no(no(features))))", "l2(no(no(relu(features))))", True),
        ("l2(no(no(no(logits))))", "l2(no(no(relu(logits))))", False),
        ("kl(no(no(no(logits))))", "kl(no(no(logsoftmax_C(logits))))", True),
        ("l2(no(norm_C(mm(features))))", "l2(norm_C(mm(batch(features))))", True),
        ("l1(no(no(no(logits))))", "smooth_l1(no(no(no(logits))))", False),
    ],
)
def test_signatures_of_duplicates(maker, one, other, alike):
    """Closed form: what is the same function by algebra has one signature, what is not has two."""
    signature = maker.untrained.signature
    assert (signature(Genome.parse(one)) == signature(Genome.parse(other))) is alike


def accuracies(space, count: int = 12) -> KnownAccuracies:
    return KnownAccuracies("a truth", space, {space[index]: 10.0 + index for index in range(0, 1300 * count, 1300)})


def test_the_ranking_value_by_hand(job, maker, space):
    """Slow reference: one loss per architecture by PyTorch alone, and the partial tau by its formula."""
    known, before = accuracies(space), maker.untrained
    found = RankingValue(before, known)(FITTING)
    images = job.data.images[torch.randperm(len(job.data), generator=torch_stream("own value", 0))[:64]]
    losses, sizes = [], []
    for arch in known.accuracies:
        student = space.build(arch, job.data.num_classes, 0, job.data.image_shape).train()
        with torch.no_grad():
            logs = [network(images).softmax(1).log_softmax(1) for network in (student, job.build_teacher())]
        losses.append(-torch.nn.functional.kl_div(*logs, log_target=True, reduction="batchmean").item())
        sizes.append(sum(parameter.numel() for parameter in student.parameters()))
    pairs = ((losses, list(known.accuracies.values())), (losses, sizes), (list(known.accuracies.values()), sizes))
    xy, xz, yz = (kendalltau(*pair).statistic for pair in pairs)
    assert found == pytest.approx((xy - xz * yz) / ((1 - xz**2) * (1 - yz**2)) ** 0.5)
    assert math.isnan(RankingValue(before, known)(Genome("features", ("local_r4", "no", "no"), "l2")))


def test_a_search_keeps_how_candidates_rank(job, tmp_path, space):
    """Contract: each row has its value, the pre-screen goes by it, and the file says whose accuracies they are."""
    settings = replace(SETTINGS, prescreen=2, algorithm="random")
    content = found(job, tmp_path, settings, known=accuracies(space))
    values = {row["formula"]: row["ranking"] for row in content["history"]}
    kept = [slot[0] for slot in content["prescreen"]]
    assert all(values[row["formula"]] == row["value"] for row in kept if row["formula"] in values)
    assert all(
        slot[0]["value"] == max(row["value"] for row in slot if row["value"] is not None)
        for slot in content["prescreen"]
        if slot[0]["value"] is not None
    )
    assert content["search"]["prescreen_by"] == {"truth": "a truth", "space": space.spec, "architectures": 12}
    assert [row["quantity"] for row in content["correlations"]][-1] == "ranking"


def test_a_search_to_compare_with_is_looked_at_first(job, tmp_path):
    """Contract: one of another protocol is refused before anything is trained."""
    other = found(job, tmp_path / "one")
    longer = replace(job, recipe=replace(job.recipe, epochs=2))
    with pytest.raises(SearchError, match="'one' is of another protocol"):
        found(longer, tmp_path / "two", against={"one": other})
    assert not (tmp_path / "two" / "trainings.jsonl").exists()


def test_a_poor_teacher_is_a_warning(job, tmp_path, monkeypatch):
    """Contract: with both validation accuracies."""
    poor = evolving.CandidateEvaluation.vanilla

    def better(self):
        row = poor(self)
        return replace(row, terms=row.terms | {"accuracy": 99.0})

    monkeypatch.setattr(evolving.CandidateEvaluation, "vanilla", better)
    (warning,) = found(job, tmp_path, replace(SETTINGS, evaluations=1))["warnings"]
    assert "99.00 %" in warning and "better teacher" in warning


def test_another_search_in_the_folder(job, tmp_path):
    """Contract: refused, with what differs; the version of the file too."""
    found(job, tmp_path, replace(SETTINGS, evaluations=1))
    with pytest.raises(SearchError, match=r"a search of another protocol \(search\.seed: 0 → 1"):
        found(job, tmp_path, replace(SETTINGS, seed=1))
    content = read(tmp_path)
    (tmp_path / "distiller.json").write_text(json.dumps(content | {"version": 2}))
    with pytest.raises(SearchError, match="its version is 2, not 1"):
        read(tmp_path)


def test_files_of_before(tmp_path):
    """By hand: a line of version 0.20, with a reason that is empty, and a document whose duplicates were twins."""
    line = '{"arch": "a", "setting": "candidate", "seed": 0, "proxy": -1.5, "steps": 2, "losses": [[2.0, 1.0, 1.0]], '
    line += '"terms": {"ce": 2.0, "cka": null}, "status": "nan", "reason": "cka is nan", "seconds": 0.5}\n'
    (tmp_path / "trainings.jsonl").write_text(
        line + line.replace('"nan", "reason": "cka is nan"', '"ok", "reason": ""')
    )
    log = TrainingLog(tmp_path / "trainings.jsonl", CandidateRow)
    (row,) = log.rows.values()
    assert row == CandidateRow(
        Key("a", "candidate", 0), "ok", proxy=-1.5, steps=2, losses=[[2.0, 1.0, 1.0]], terms=row.terms, seconds=0.5
    )
    assert row.measured.ce == 2.0 and math.isnan(row.measured.cka) and math.isnan(row.measured.accuracy)
    assert CandidateRow.from_json(row.to_json()) == row
    (tmp_path / "distiller.json").write_text('{"version": 1, "protocol": {}, "search": {}, "twins": {"b": "a"}}')
    assert read(tmp_path) == {"version": 1, "protocol": {}, "search": {}, "duplicates": {"b": "a"}}


def test_nothing_is_measured(job, tmp_path):
    """Contract: where every candidate is rejected the search says why and names no best."""
    hopeless = replace(job, rejection=Rejection(largest=1e-9))
    with pytest.raises(SearchError, match=r"None of the 2 candidates was measured.*excessive"):
        found(hopeless, tmp_path, replace(SETTINGS, evaluations=2))


@pytest.mark.parametrize(("name", "value"), [("evaluations", 0), ("population", 0), ("step", 0), ("prescreen", 0)])
def test_settings_out_of_range(name, value):
    """Contract: a budget of zero and the like are refused by name."""
    with pytest.raises(SearchError, match=f"{name}={value}"):
        replace(SETTINGS, **{name: value})


def history_row(genome: Genome, fitness: float | None, accuracy: float = 50.0) -> dict:
    terms = dict.fromkeys(("sharpness", "sharpness_absolute", "sharpness_second_order", "agreement"), 0.0)
    known = {**terms, "ce": 100 - accuracy, "cka": -accuracy, "accuracy": accuracy}
    measured = fitness is not None
    return {
        "formula": genome.formula,
        "fitness": fitness,
        "status": "ok" if measured else "rejected",
        "terms": known if measured else None,
        "proxy": accuracy,
        "steps": 10 if measured else 2,
    }


def test_frequencies_by_hand():
    """Closed form: of the two fittest both are on logits, one of four in all is not; 'no' stands in all."""
    names = ("logits", "logits", "features", "logits")
    rows = [history_row(Genome(name), fitness) for name, fitness in zip(names, (1.0, 2.0, 3.0, None))]
    parts = analysis.frequencies(rows, top=2)["parts"]
    assert parts["input"] == [
        {"operation": "logits", "top": 1.0, "all": 0.75},
        {"operation": "features", "top": 0.0, "all": 0.25},
    ]
    assert parts["transform"] == [{"operation": "no", "top": 1.0, "all": 1.0}]


def test_correlations_by_hand():
    """Closed form: cross-entropy falls with accuracy in order, CKA too; against finals of the other order both turn."""
    genomes = [Genome("logits", weight=weight) for weight in (0.1, 0.5, 1.0, 5.0)]
    rows = [history_row(genome, -accuracy, accuracy) for genome, accuracy in zip(genomes, (10.0, 20.0, 30.0, 40.0))]
    by_name = {row["quantity"]: row for row in analysis.correlations(rows)}
    assert (by_name["ce"]["tau"], by_name["cka"]["tau"], by_name["proxy"]["rho"]) == (1.0, -1.0, 1.0)
    assert by_name["sharpness"]["tau"] is None  # constant
    finals = {genome.formula: float(-place) for place, genome in enumerate(genomes[:3])}
    turned = {row["quantity"]: row for row in analysis.correlations(rows, finals)}
    assert turned["ce"] == {"quantity": "ce", "n": 3, "tau": -1.0, "rho": -1.0}


def test_ablations_by_hand():
    """By hand: each part goes back to the plainest; what would change nothing, or make no genome, is not there."""
    found = analysis.ablations(Genome("features", ("mm", "norm_C", "no"), "l2", 10, 4, "focal"))
    assert {label: str(one) for label, one in found.items()} == {
        "no transforms": "10 4^2 focal l2(no(no(no(features/4))))",
        "distance l1": "10 4^2 focal l1(no(norm_C(mm(features/4))))",
        "weight 1": "4^2 focal l2(no(norm_C(mm(features/4))))",
        "temperature 1": "10 focal l2(no(norm_C(mm(features))))",
        "no calibration": "10 4^2 l2(no(norm_C(mm(features/4))))",
    }
    assert analysis.ablations(Genome("logits")) == {"distance l1": Genome("logits", distance="l1")}


def test_cost_by_hand():
    """Closed form: one of three was rejected after 2 of 10 steps, and the whole recipe has 40."""
    rows = [history_row(FITTING, fitness) for fitness in (1.0, None, 2.0)]
    assert analysis.cost(rows, limit=10, steps=40) == {
        "candidates": 3,
        "rejected": 1,
        "steps": 22,
        "steps without rejection": 30,
        "steps without early stop": 82,
    }
