"""Teachers of every kind: what a text names, what a checkpoint gives, and what is refused before anything is scored."""

import io
import os
import pickle
import textwrap
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from zcbench import datasets, proxies, spaces
from zcbench.benchmarks.scoring.checkpoints import load_weights
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.run import score_run
from zcbench.benchmarks.scoring.store import Store
from zcbench.benchmarks.scoring.teachers import TeacherChoice, build_teacher, largest, read_teacher
from zcbench.cli import app
from zcbench.errors import ArchitectureError, BatchError, ProtocolError, TeacherError, UnknownNameError
from zcbench.plugins import PluginError
from zcbench.proxies import ScoreFailure
from zcbench.runtime.execution import Execution
from zcbench.streams import numpy_stream

SHAPE = (3, 16, 16)
PROXIES = ["diswot_relation", "kd:kd"]
CODE = """
import torch
from torch import nn

def small(num_classes, image_shape):
    return nn.Sequential(
        nn.Conv2d(image_shape[0], 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, num_classes)
    )

def seven():
    return small(7, (3, 16, 16))

def flat(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, num_classes))

def text(num_classes):
    return "resnet"

def broken(**keywords):
    raise RuntimeError(f"no weights, {sorted(keywords)}")

def pair(num_classes):
    class Pair(nn.Module):
        def forward(self, images):
            return images, images
    return Pair()

number = 3
"""


@pytest.fixture(scope="module")
def images():
    return datasets.batch(datasets.load("noise", image_size=16), 8)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.py").write_text(textwrap.dedent(CODE))
    return tmp_path / "mine.py"


@pytest.fixture
def scored(space, archs, images, tmp_path):
    """A run under a teacher; gives its scores, and refuses to have begun when it fails."""

    def start(teacher, **given):
        choice = read_teacher(teacher, space) if isinstance(teacher, str) else teacher
        conditions, out = Conditions(space, given.get("batch", images), choice), given.get("out", tmp_path / "run")
        how = Execution(workers=given.get("workers", 0))
        return score_run(conditions, archs[:2], PROXIES, [0], out, execution=how)

    return start


def saved(content, path):
    torch.save(content, path)
    return path


def resnet(name="resnet8", seed=5, classes=10):
    return spaces.get("resnet").build(name, classes, seed, SHAPE)


def test_each_notation_names_its_teacher(space, archs, file):
    """By construction: architecture, largest, another space with options, and a function."""
    assert read_teacher(archs[0], space, 3) == TeacherChoice(archs[0], 3)
    assert read_teacher("largest", space).arch == largest(space)
    assert read_teacher("s0:largest", space) == TeacherChoice("777", space=spaces.get("s0"))
    macro = spaces.get("transnas_macro")  # halves the image up to six times, so that 32x32 is refused
    most = macro.costs(macro, image_shape=(3, 64, 64)).nlargest(1, "macs").arch.item()
    assert largest(macro) == most
    cell = read_teacher(f"nasbench201(channels=8,cells=2):{archs[1]}", space)
    assert (cell.space.spec, cell.arch) == ("nasbench201(channels=8,cells=2)", archs[1])
    mine = read_teacher(f"{file}:small", space, 2)
    assert (mine.file, mine.arch, mine.label, mine.space) == (file, "small", "mine.py:small", None)


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ("resnt:resnet56", UnknownNameError, "Did you mean 'resnet'"),
        ("resnet:resnet57", ArchitectureError, "Did you mean 'resnet56'"),
        ("resnet56", ArchitectureError, "resnet56"),
        ("nowhere.py:small", TeacherError, "check the path"),
        ("autoformer:largest", TeacherError, "too large. Expected a teacher by name"),
    ],
)
def test_what_is_no_teacher_is_said_at_once(given, error, told, space):
    """Bad input: the message has the nearest name, the path, or what to give."""
    with pytest.raises(error, match=told):
        read_teacher(given, space)


def test_scores_under_a_teacher_of_another_space(scored, space, archs, images):
    """Independent path: `zcbench.score` with a network built by hand; in this process and in a worker, same bits."""
    result = scored("resnet:resnet8")
    frame = result.scores().set_index(["arch", "proxy"])
    teacher = spaces.get("resnet").build("resnet8", 10, 0, SHAPE)
    for arch in archs[:2]:
        student = space.build(arch, 10, 0, SHAPE)
        alone = proxies.score(student, (images.images, images.labels), PROXIES, teacher=teacher)
        assert alone == {name: frame.value[arch, name] for name in PROXIES}
    assert (result.protocol.teacher, result.protocol.teacher_space) == ("resnet8", "resnet")
    out = result.out.with_name("other")
    again = scored("resnet:resnet8", workers=1, out=out).scores().set_index(["arch", "proxy"])
    assert again.value.to_dict() == frame.value.to_dict()


@pytest.mark.parametrize("wrap", [dict, lambda w: {"state_dict": w}, lambda w: {"epoch": 3, "model": w}])
def test_a_checkpoint_gives_its_weights(wrap, space, tmp_path):
    """By construction: the weights that were saved, also inside a dictionary and with the prefix of a wrapper."""
    source = resnet()
    with torch.no_grad():
        source(torch.randn(4, *SHAPE))  # moves the running statistics
    weights = {f"module.{name}": tensor for name, tensor in source.state_dict().items()}
    choice = TeacherChoice("resnet8", space=spaces.get("resnet"), checkpoint=saved(wrap(weights), tmp_path / "w.pt"))
    network = build_teacher(choice, space, "default", 10, SHAPE)
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in network.state_dict().items())
    assert network.training


def test_the_protocol_tells_files_by_their_fingerprints(space, images, file, tmp_path):
    """By construction: other weights are another protocol, equal ones under another name are the same."""
    paths = [saved(resnet(seed=seed).state_dict(), tmp_path / f"{name}.pt") for name, seed in (("a", 1), ("b", 2))]
    (tmp_path / "c.pt").write_bytes(paths[0].read_bytes())
    one, other, same = (
        Protocol.of(Conditions(space, images, read_teacher("resnet:resnet8", space, checkpoint=path)))
        for path in (*paths, tmp_path / "c.pt")
    )
    assert one == same
    assert [line.partition(":")[0] for line in one.differences(other)] == ["teacher_checkpoint_sha256"]
    assert one.teacher_init is None
    mine = Protocol.of(Conditions(space, images, read_teacher(f"{file}:small", space)))
    assert (mine.teacher, mine.teacher_space, len(mine.teacher_file_sha256)) == ("mine.py:small", None, 64)
    assert Protocol.from_json(mine.to_json()) == mine


def test_a_protocol_of_before_still_loads(space, images):
    """By construction: a stored protocol without the newer fields is the one in which they are empty."""
    protocol = Protocol.of(Conditions(space, images, TeacherChoice(space[0])))
    text = protocol.to_json()
    for name in ("teacher_file_sha256", "teacher_checkpoint_sha256"):
        text = text.replace(f'"{name}": null, ', "")
    assert 'sha256": null' not in text and Protocol.from_json(text) == protocol


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def damaged(kind, path):
    """A file that is no usable checkpoint."""
    if kind == "malicious":
        return saved({"state_dict": Evil(f"touch {path.parent}/ran")}, path)
    whole = io.BytesIO()
    torch.save(resnet().state_dict(), whole)
    contents = {
        "truncated": whole.getvalue()[: len(whole.getvalue()) // 2],
        "cut at the end": whole.getvalue()[:-10],
        "empty": b"",
        "text": b"no checkpoint at all",
        "plain pickle": pickle.dumps(Evil(f"touch {path.parent}/ran")),
    }
    path.write_bytes(contents[kind])
    return path


@pytest.mark.parametrize("kind", ["malicious", "plain pickle", "truncated", "cut at the end", "empty", "text"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_checkpoint_that_cannot_be_used_stops_the_run_before_it_starts(kind, scored, tmp_path):
    """Bad input: a named error, nothing scored, and the command inside a malicious file has not run."""
    path = damaged(kind, tmp_path / "bad.pt")
    told = "was not loaded" if kind in ("malicious", "plain pickle", "text") else "cannot be read"
    with pytest.raises(TeacherError, match=told):
        scored(TeacherChoice("resnet8", space=spaces.get("resnet"), checkpoint=path))
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "run").exists()


def test_a_malicious_file_would_have_run(tmp_path):
    """The trap of the test above is a real one: plain unpickling springs it."""
    with open(damaged("plain pickle", tmp_path / "bad.pt"), "rb") as stream:
        pickle.load(stream)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([1, 2], "holds <class 'list'>, and no state_dict"),
        ({"epoch": 3, "best": 0.5}, "the entries 'epoch', 'best', and no state_dict"),
        ({}, "no state_dict"),
        (resnet("resnet14").state_dict(), r"the network has no stage1\.1\.conv1\.weight.* and \d+ more"),
        (spaces.get("resnet").build("resnet8", 100).state_dict(), r"classifier\.weight is \(100, 64\) there and \(10"),
        ({"stem.0.weight": torch.zeros(16, 3, 3, 3)}, r"it lacks .*, .*, .* and \d+ more"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(content, told, tmp_path):
    """Bad input: the first names or both shapes are listed."""
    with pytest.raises(TeacherError, match=told):
        load_weights(resnet(), saved(content, tmp_path / "other.pt"))


def test_a_file_that_is_missing_or_changes_is_noticed(space, file, tmp_path):
    """Bad input: no such file; another fingerprint; a file that is exchanged after the run was asked for."""
    with pytest.raises(TeacherError, match=r"none\.pt.*check the path"):
        TeacherChoice("resnet8", space=spaces.get("resnet"), checkpoint=tmp_path / "none.pt")
    path = saved(resnet().state_dict(), tmp_path / "w.pt")
    with pytest.raises(TeacherError, match="Expected 000"):
        TeacherChoice("resnet8", space=spaces.get("resnet"), checkpoint=path, checkpoint_sha256="000")
    choice = TeacherChoice("resnet8", space=spaces.get("resnet"), checkpoint=path)
    saved(resnet(seed=6).state_dict(), path)
    with pytest.raises(TeacherError, match="not the file that this run began with"):
        build_teacher(choice, space, "default", 10, SHAPE)
    mine = read_teacher(f"{file}:small", space)
    file.write_text(file.read_text() + "# changed\n")
    with pytest.raises(PluginError, match="has changed"):
        build_teacher(mine, space, "default", 10, SHAPE)


def test_a_function_is_a_teacher(scored, space, archs, images, file):
    """Independent path: the same network by hand on the same stream; another seed draws another teacher."""
    choice = read_teacher(f"{file}:small", space, 4)
    frame = scored(choice).scores().set_index(["arch", "proxy"])
    teacher = build_teacher(choice, space, "default", 10, SHAPE)
    student = space.build(archs[0], 10, 0, SHAPE)
    alone = proxies.evaluate(
        student, (images.images, images.labels), PROXIES, teacher=proxies.TeacherSignals(teacher, choice.seed)
    )
    assert {s.proxy: s.value for s in alone} == {name: frame.value[archs[0], name] for name in PROXIES}
    other = build_teacher(replace(choice, seed=5), space, "default", 10, SHAPE)
    assert not torch.equal(next(teacher.parameters()), next(other.parameters()))
    state = torch.random.get_rng_state()
    build_teacher(choice, space, "default", 10, SHAPE)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("smal", UnknownNameError, "Did you mean 'small'"),
        ("number", PluginError, "of type int. Expected a function"),
        ("seven", TeacherError, r"returns \(2, 7\) for 2 images, and the images have 10 classes"),
        ("flat", TeacherError, r"cannot take the images \(3, 16, 16\)"),
        ("text", TeacherError, r"returns str\. Expected a torch\.nn\.Module"),
        ("broken", PluginError, r"no weights, \['image_shape', 'num_classes'\]"),
        ("pair", TeacherError, r"returns \(2, 3, 16, 16\) for 2 images"),
    ],
)
def test_a_function_that_gives_no_teacher_is_refused(name, error, told, scored, space, file, tmp_path):
    """Bad input: before anything is scored, with what was returned and what was expected."""
    with pytest.raises(error, match=told):
        scored(f"{file}:{name}")
    assert not (tmp_path / "run").exists()


def test_options_that_a_function_cannot_have(file):
    """Bad input: an initialisation or a space beside a function."""
    with pytest.raises(TeacherError, match="leave init= out"):
        TeacherChoice("small", init="normal", file=file)


def test_no_teacher_and_a_teacher_of_other_classes(scored, space, images):
    """Bad input: proxies that compare need a teacher; a network of other classes is an error that names both."""
    with pytest.raises(ProtocolError, match="none is given"):
        scored(None)
    student = space.build(space[0], 10, 0, SHAPE)
    for labels in (images.labels % 7, images.labels.clamp(9)):
        with pytest.raises(BatchError, match=r"10 classes and the teacher 7|the network has 7 classes"):
            proxies.evaluate(student, (images.images, labels), ["kd:kd"], teacher=resnet(classes=7))


def test_a_teacher_for_other_images_is_a_status_that_names_them(space, images):
    """Bad input: a linear teacher for 8x8 images, students for 16x16; what needs no teacher keeps its value."""
    student, teacher = space.build(space[0], 10, 0, SHAPE), nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 10))
    with pytest.raises(ScoreFailure, match=r"The student takes 8 inputs \(3, 16, 16\), the teacher does not") as info:
        proxies.score(student, (images.images, images.labels), ["kd:kd", "naswot"], teacher=teacher)
    assert [score.status for score in info.value.scores] == ["error", "ok"]


def test_a_run_knows_its_teacher(scored, tmp_path):
    """By construction: another checkpoint is another protocol, and the folder refuses it by name."""
    paths = [saved(resnet(seed=seed).state_dict(), tmp_path / f"{seed}.pt") for seed in (1, 2)]
    choices = [TeacherChoice("resnet8", space=spaces.get("resnet"), checkpoint=path) for path in paths]
    first = scored(choices[0])
    with Store(first.out / "scores.sqlite") as store:
        assert store.protocol().teacher_checkpoint_sha256 == choices[0].checkpoint_sha256
    assert scored(choices[0]).fresh == 0
    with pytest.raises(ProtocolError, match="teacher_checkpoint_sha256"):
        scored(choices[1])


def test_no_teacher_is_asked_for_where_none_is_compared_with(tmp_path):
    """A space too large for a largest network: sizes are scored without a teacher, a loss asks for one by name."""
    space = spaces.get("autoformer")
    archs = space.sample(numpy_stream("teachers"), 3)
    table = pd.DataFrame({"arch": archs, "accuracy": [1.0, 2.0, 3.0]})
    table.to_csv(tmp_path / "truth.csv", index=False)
    (tmp_path / "archs.txt").write_text("\n".join(archs))
    words = ["bench", "--space", "autoformer", "--archs", str(tmp_path / "archs.txt")]
    words += ["--truth", str(tmp_path / "truth.csv")]
    words += ["--dataset", "noise", "--batch-size", "2", "--workers", "0", "--draws", "2", "--formats", "png"]
    done = CliRunner().invoke(app, [*words, "--proxies", "params", "--out", str(tmp_path / "sizes")])
    assert done.exit_code == 0, done.output
    refused = CliRunner().invoke(app, [*words, "--proxies", "params,kd:kd", "--out", str(tmp_path / "losses")])
    assert isinstance(refused.exception, TeacherError)
