"""``zcbench evolve-distiller`` as a user meets it: the contract of its file, repetition, and bad input."""

import json
import shutil

import pytest

from zcbench.kdzero import report as distiller

SMALL = ["--dataset", "digits(images=200,test_images=40)", "--batch-size", 32, "--teacher-epochs", 1]
PAIR = ("--teacher", "resnet:resnet20", "--student", "resnet:resnet8")
COMMAND = ["evolve-distiller", *PAIR, *SMALL, "--epochs", 1, "--seed", 0]
HERE = ["--workers", 0, "--no-report"]


def content(folder) -> dict:
    return json.loads((folder / "distiller.json").read_text())


@pytest.fixture(scope="module")
def made(zcbench_command, tmp_path_factory):
    """The command of the documentation, on fewer images."""
    folder = tmp_path_factory.mktemp("evolved")
    result = zcbench_command(*COMMAND, "--evaluations", 6, *HERE, "--out", folder)
    assert result.returncode == 0, result.stderr
    return folder, result


def test_the_contract(made, zcbench_command, tmp_path):
    """The best holds formula and fitness with its terms; bare names are ResNets; the same seed gives the same bytes."""
    folder, result = made
    found = content(folder)
    assert found["version"] == 1 and set(found["best"]["terms"]) == {"ce", "sharpness", "cka", "sum"}
    assert found["best"]["formula"] in result.stdout and len(found["history"]) == 6
    assert found["protocol"]["student"]["space"] == "resnet" == found["protocol"]["teacher"]["space"]
    again = zcbench_command(*COMMAND, "--evaluations", 6, *HERE, "--out", tmp_path)
    assert (
        again.returncode == 0 and (tmp_path / "distiller.json").read_bytes() == (folder / "distiller.json").read_bytes()
    )


def test_the_same_command_again_trains_nothing(made, zcbench_command):
    """Invariance: all is on the disk; the file is as it was."""
    folder, _ = made
    before, log = (folder / "distiller.json").read_bytes(), (folder / "trainings.jsonl").read_bytes()
    result = zcbench_command(*COMMAND, "--evaluations", 6, *HERE, "--out", folder)
    assert result.returncode == 0 and "7 of 7 trainings, 0 of them new" in result.stderr
    assert (folder / "distiller.json").read_bytes() == before
    assert (folder / "trainings.jsonl").read_bytes() == log


def test_trainings_of_another_search_are_not_counted(made, zcbench_command, tmp_path):
    """Closed form: six candidates and the student alone, though the log that was brought along has one row more."""
    shutil.copytree(made[0], tmp_path / "copy")
    log = tmp_path / "copy" / "trainings.jsonl"
    row = json.loads(log.read_text().splitlines()[-1]) | {"arch": "l2(no(no(no(logits))))"}
    log.write_text(log.read_text() + json.dumps(row) + "\n")
    result = zcbench_command(*COMMAND, "--evaluations", 6, *HERE, "--out", tmp_path / "copy")
    assert "7 of 7 trainings, 0 of them new" in result.stderr


def test_what_is_found_trains_a_student(made, zcbench_command, tmp_path):
    """Contract: ``zcbench distill --distillers DIR/distiller.json`` trains with the best genome, by its name."""
    folder, _ = made
    student = ["--student", "resnet:resnet8", "--teacher", "resnet:resnet20"]
    checkpoint = ["--teacher-checkpoint", folder / "teacher.pt", "--augmentation", "none"]
    given = ["--distillers", folder / "distiller.json", *SMALL[:4], "--epochs", 1, "--out", tmp_path]
    result = zcbench_command("distill", *student, *checkpoint, *given)
    assert result.returncode == 0, result.stderr
    weights = json.loads((tmp_path / "result.json").read_text())["weights"]
    assert weights == {"ce": 1.0, content(folder)["best"]["distiller"]: 1.0}


def test_another_seed_is_another_search(made, zcbench_command, tmp_path):
    """Invariance: the seed reaches the draws."""
    folder, _ = made
    result = zcbench_command(*COMMAND[:-1], 1, "--evaluations", 2, *HERE, "--out", tmp_path)
    assert result.returncode == 0
    first = [row["formula"] for row in content(folder)["history"]][:2]
    assert [row["formula"] for row in content(tmp_path)["history"]] != first


def test_switches_and_the_report_against_another_search(made, zcbench_command, tmp_path, monkeypatch):
    """Contract: every switch reaches the protocol, the given teacher is used, and the page shows both searches."""
    folder, _ = made
    off = ["--no-rejection", "--no-shrinkage", "--share", 0.5, "--no-early-stop", "--prescreen", 2]
    terms = ["--fitness", "ce,cka", "--sharpness", "second_order", "--normalisation", "rank"]
    checkpoint = ["--teacher-checkpoint", folder / "teacher.pt"]
    result = zcbench_command(*COMMAND, *off, *terms, *checkpoint, "--evaluations", 2, *HERE, "--out", tmp_path / "off")
    assert result.returncode == 0, result.stderr
    found = content(tmp_path / "off")
    assert found["protocol"]["rejection"] is None and found["protocol"]["share"] == 1
    assert found["search"]["shrinkage"] is None and found["search"]["prescreen"] == 2
    assert found["search"]["minimised"] == "CE - CKA" and set(found["best"]["terms"]) == {"ce", "cka", "sum"}
    assert found["protocol"]["teacher"]["recipe"] is None
    drawn, plain = {}, distiller.illustrations
    monkeypatch.setattr(distiller, "illustrations", lambda own, curves: drawn.update(curves) or plain(own, curves))
    rand = [*COMMAND, "--evaluations", 6, "--algorithm", "random", "--workers", 0, "--formats", "svg"]
    result = zcbench_command(*rand, "--against", folder, "--out", tmp_path / "random")
    assert result.returncode == 0, result.stderr
    assert set(drawn) == {"random (this search)", f"evolution ({folder.name})"} and all(drawn.values())
    assert (tmp_path / "random" / "report" / "index.html").is_file()
    assert content(tmp_path / "random")["search"]["shrinkage"] is None
    assert (tmp_path / "random" / "report" / "figures" / "best_so_far.svg").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--evaluations", 0], "evaluations=0"),
        (["--validation", 0.01], "0 validation"),
        (["--student", "resnet9000"], "resnet9000"),
        (["--teacher", "resnet:nothing"], "nothing"),
        (["--tournament", 50], "tournament of 50"),
        (["--share", 0], "share of 0"),
        (["--timeout", 5, "--workers", 0], "without workers"),
        (["--against", "nowhere"], "no result of a distiller search"),
        (["--known", "s0/cifar100/kdd"], "Did you mean 'kd'"),
        (["--known", "nasbench201/cifar10-16/kd", "--known-archs", 3], "ranking of 3 arch"),
    ],
)
def test_bad_input(fails, tmp_path, arguments, message):
    """Contract: one clear message, and no folder of results."""
    assert message in fails(*COMMAND, *HERE, *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out" / "distiller.json").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--algorithm", "evolved", "Expected one of evolution and random."),
        ("--fitness", "ce,ckaa", "'ckaa'. Expected one, or several with commas, of ce, sharpness and cka."),
        ("--preset", "papers", "Expected one of paper, small and tiny."),
    ],
)
def test_a_value_that_is_no_choice(fails, tmp_path, option, value, message):
    """Contract: wrong usage, with all that the option takes, and no folder."""
    assert message in fails(*COMMAND, option, value, "--out", tmp_path / "out", code=2)
    assert not (tmp_path / "out").exists()
