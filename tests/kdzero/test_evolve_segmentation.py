"""KD-Zero for a segmentation student: terms per pixel, the domain of its genomes, and a small search."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from typer.testing import CliRunner

from zcbench.cli import app
from zcbench.distill import Recipe, train
from zcbench.distill.outputs import Shapes
from zcbench.distill.tasks import read_task
from zcbench.distill.training.data.named import named_data
from zcbench.kdzero.evolution import held_out
from zcbench.kdzero.genome import Genome, GenomeDomain
from zcbench.spaces import get

DATA = "digits_scenes(side=16,images=60,test_images=8,digits=1)"
SEARCH = (
    *("evolve-distiller", "--task", "segmentation(width=8)", "--student", "resnet:1-1-1@8-8-8-8", "--dataset", DATA),
    *("--teacher", "resnet:1-1-1@8-8-8-16", "--teacher-epochs", "2", "--epochs", "1", "--batch-size", "8"),
    *("--optimizer", "adamw", "--lr", ".01", "--evaluations", "3", "--preset", "tiny", "--workers", "0", "--no-report"),
)
PAIR = Shapes(classes=11, features=(8, 4, 4)), Shapes(classes=11, features=(16, 4, 4))


@pytest.mark.parametrize("seed", range(3))
def test_genomes_of_pixels(seed: int) -> None:
    """By definition: a calibration, which reads the logits, only weighs logits: draws, mutations, crossovers."""
    domain, rng = GenomeDomain(pair=PAIR, mixed=False), np.random.default_rng(seed)
    drawn = [domain.sample(rng) for _ in range(40)]
    made = [*drawn, *(domain.mutate(one, rng) for one in drawn)]
    made += [domain.crossover(one, other, rng) for one, other in pairwise(drawn)]
    assert all(one in domain and (one.input == "logits" or one.calibration == "none") for one in made)
    assert {one.input for one in made} == {"features", "logits"}
    assert Genome("features", calibration="entropy") in GenomeDomain(pair=PAIR)
    assert Genome("features", calibration="entropy") not in domain
    assert len(domain) < len(GenomeDomain(pair=PAIR))


def test_a_search(tmp_path: Path) -> None:
    """Independent path: the cross-entropy per pixel of the student alone, trained once more."""
    result = CliRunner().invoke(app, [*SEARCH, "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "mean IoU" in result.output and "accuracy" not in result.output
    found = json.loads((tmp_path / "distiller.json").read_text())
    assert found["protocol"]["task"] == "segmentation(width=8)"
    assert found["protocol"]["student"]["space"] == "dense(backbone='resnet',width=8)"
    task = read_task("segmentation(width=8)")
    data = held_out(named_data(DATA).with_task(task), 0.2, 0)
    network = get("dense(backbone='resnet',width=8)").build("1-1-1@8-8-8-8", 11, 0, (3, 16, 16))
    recipe = Recipe(epochs=1, batch_size=8, optimizer="adamw", lr=0.01, layout="channels_last")
    trained = train(network, None, data, recipe)
    alone = found["references"]["student alone"]["terms"]
    with torch.no_grad():
        loss = cross_entropy(network.eval()(data.test_images), data.test_labels.long()).item()
    assert alone["ce"] == pytest.approx(loss, rel=1e-4) and alone["accuracy"] == pytest.approx(trained.score, rel=1e-4)
    assert found["references"]["teacher"]["cka"] == pytest.approx(1, abs=1e-4)
