"""The scoring run, in this process: what is computed, what is kept, and every request that cannot be met."""

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import filelock
import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from zcbench import proxies
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.folder import load_run
from zcbench.benchmarks.scoring.run import RunInterrupted
from zcbench.benchmarks.scoring.store import Store
from zcbench.benchmarks.scoring.teachers import TeacherChoice
from zcbench.errors import ArchitectureError, ProtocolError, StoreError, UnknownNameError, ZcbenchError
from zcbench.proxies import Proxy

COUNTED = """
@proxy("counted", reads="logits", higher_is_better=True)
def counted(signals):
    with open(Path(__file__).with_name("calls"), "a") as file:
        file.write("x")
    return signals.logits.sum().item()
"""


def test_scores_are_those_of_the_plain_functions(run, space, archs, batch):
    """Independent path: build each network by hand and call `zcbench.score`; same bits."""
    frame = run().scores().set_index(["arch", "seed", "proxy"])

    for arch in archs:
        for seed in (0, 1):
            network = space.build(arch, num_classes=10, seed=seed, image_shape=(3, 8, 8))
            alone = {name: proxies.score(network, (batch.images, batch.labels), [name], seed=seed)[name] for name in
                     ("synflow", "naswot")}  # fmt: skip
            assert {name: frame.value[arch, seed, name] for name in alone} == alone
            assert frame.value[arch, seed, "params"] == space.params(arch, 10, (3, 8, 8))


def test_same_bits_in_any_order_alone_or_together(run, archs, tmp_path, values):
    """Invariance: architectures, seeds and proxies turned round, or one proxy at a time into the same folder."""
    together = values(run().scores())
    turned = run(out=tmp_path / "turned", archs=archs[::-1], seeds=[1, 0], proxies=["naswot", "params", "synflow"])
    for name in ("naswot", "synflow", "params"):
        alone = run(out=tmp_path / "alone", proxies=[name])

    pd.testing.assert_frame_equal(together, values(turned.scores()), check_exact=True)
    pd.testing.assert_frame_equal(together, values(alone.scores()), check_exact=True)


def test_threads_of_this_process_come_back(run):
    """Invariance: scoring in this process uses one thread and gives the others back."""
    torch.set_num_threads(2)
    try:
        run(archs=run().scores().arch.unique()[:1])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_second_run_computes_nothing(run, plugin, tmp_path):
    """Oracle: the plug-in leaves a mark for each call."""
    given = {"plugins": [plugin(COUNTED)], "proxies": ["params", "counted"]}
    first, second = run(**given), run(**given)

    assert (first.fresh, second.fresh) == (16, 0)
    assert second.statuses == first.statuses == {"ok": 16}
    assert len((tmp_path / "calls").read_text()) == 8


def test_second_run_starts_no_workers(run, monkeypatch):
    """By construction: a pool that cannot be made is not missed."""
    run()
    monkeypatch.setattr("zcbench.runtime.executors.WorkerPool", None)
    assert run(workers=2).fresh == 0


def test_a_run_can_grow(run, archs, plugin, tmp_path):
    """Oracle: counted calls; only what is new is computed."""
    given = {"plugins": [plugin(COUNTED)], "proxies": ["counted"]}
    assert run(**given, archs=archs[:2], seeds=[0]).fresh == 2
    assert run(**given, archs=archs[:3], seeds=[0]).fresh == 1
    assert run(**given, archs=archs[:3], seeds=[0, 5]).fresh == 3
    assert run(plugins=given["plugins"], proxies=["params", "counted"], archs=archs[:3], seeds=[0, 5]).fresh == 6

    assert len((tmp_path / "calls").read_text()) == 6
    requests = load_run(tmp_path / "run")[2]["requests"]
    assert [request["architectures"] for request in requests] == [2, 3, 3, 3]


def test_repeated_architectures_count_once(run, archs):
    """By construction: the same string three times is one architecture."""
    assert run(archs=[archs[0]] * 3, seeds=[0, 0], proxies=["params"]).total == 1


def test_a_new_version_is_computed_and_the_old_one_kept(run, tmp_path):
    """By construction: version 2 of a proxy says 2; version 1 stays in the file and out of the table."""
    old = Proxy("mine", lambda signals: 1.0, frozenset({"logits"}), True, False, version=1)
    run(proxies=[old])
    new = replace(old, function=lambda signals: 2.0, version=2)
    result = run(proxies=[new])

    assert result.fresh == 8
    assert set(result.scores().value) == {2.0}
    with Store(tmp_path / "run" / "scores.sqlite") as store:
        assert len(store.scores(all_versions=True)) == 16


def test_another_protocol_is_refused(run, batch):
    """By construction: other labels are another batch; the message names the field, and nothing is lost."""
    run()
    with pytest.raises(ProtocolError, match=r"batch_sha256: \w+ → \w+\).*another folder"):
        run(batch=replace(batch, labels=batch.labels.flip(0)))
    with pytest.raises(ProtocolError, match=r"init: default → xavier; dtype: float32 → float64"):
        run(init="xavier", dtype="float64")
    assert run().fresh == 0


def test_loading_a_run(run, archs, batch, tmp_path):
    """Round trip: protocol, scores and notes come back; ``run.json`` says the same to people."""
    result = run(notes={"sample": "4 chosen by hand"})

    protocol, scores, described = load_run(tmp_path / "run")

    assert protocol == result.protocol
    assert protocol.batch_sha256 == batch.sha256
    pd.testing.assert_frame_equal(scores, result.scores())
    assert described["requests"][0]["notes"] == {"sample": "4 chosen by hand"}
    text = json.loads((tmp_path / "run" / "run.json").read_text())
    assert text["protocol"]["space"] == "nasbench201(channels=4,cells=1)"
    assert text["protocol_sha256"] == protocol.hash()


def test_nothing_to_load(tmp_path):
    """By construction: an empty folder."""
    with pytest.raises(StoreError, match="No scores at"):
        load_run(tmp_path)


FAILING = """
def bad(name, value):
    @proxy(name, reads="logits", higher_is_better=True)
    def made(signals):
        if isinstance(value, BaseException):
            raise value
        return value

for name, value in {
    "not_a_number": float("nan"), "endless": float("-inf"), "text": "7", "raising": ValueError("no"),
    "leaving": SystemExit(3), "greedy": MemoryError(), "fine": 1.5,
}.items():
    bad(name, value)
"""


def test_failures_are_rows(run, plugin, archs):
    """By construction: each way to fail has its status, none disturbs its neighbour, all count as attempted."""
    names = ["not_a_number", "endless", "text", "raising", "leaving", "greedy", "fine", "params"]
    given = {"plugins": [plugin(FAILING)], "proxies": names, "archs": archs[:1], "seeds": [0]}
    scores = run(**given).scores().set_index("proxy")

    assert scores.status.to_dict() == {
        "not_a_number": "nan", "endless": "infinite", "text": "bad_return", "raising": "error",
        "leaving": "error", "greedy": "out_of_memory", "fine": "ok", "params": "ok",
    }  # fmt: skip
    assert scores.value.notna().to_dict() == {name: name in ("fine", "params") for name in names}
    assert "ValueError: no" in scores.reason["raising"]
    assert run(**given).fresh == 0
    assert run(**given, retry_failed=True).fresh == 1


def test_a_network_that_cannot_be_built_is_a_row(run, space, archs, monkeypatch):
    """By construction: building fails for lack of memory; the sizes, which need no network, are there all the same."""
    monkeypatch.setattr(type(space), "build", lambda *_, **__: torch.empty(1 << 60))
    result = run(archs=archs[:1], seeds=[0])
    assert result.statuses == {"out_of_memory": 2, "ok": 1} or result.statuses == {"out_of_memory": 3}
    assert result.scores().reason.str.contains("RuntimeError").sum() >= 2


def test_sizes_need_no_network(run, space, monkeypatch):
    """By construction: building is impossible, and every architecture of the space has its parameters and MACs."""
    monkeypatch.setattr(type(space), "build", None)
    archs = space.subset("all")[::50]
    scores = run(archs=archs, proxies=["params", "macs", "n_convs"], seeds=[0], workers=2).scores()
    table = space.costs(archs, num_classes=10, image_shape=(3, 8, 8)).set_index("arch")

    for name in ("params", "macs", "n_convs"):
        values = scores[scores.proxy == name].set_index("arch").value
        assert values.astype(int).to_dict() == table[name].to_dict()


def test_teacher(run, archs, batch, space):
    """Independent path: the teacher is built by hand; its choice is part of the protocol."""
    result = run(proxies=["diswot_relation"], teacher=TeacherChoice(archs[1], seed=4), seeds=[0])

    teacher = space.build(archs[1], num_classes=10, seed=4, image_shape=(3, 8, 8))
    for arch, value in result.scores().set_index("arch").value.items():
        student = space.build(arch, num_classes=10, seed=0, image_shape=(3, 8, 8))
        pair = (batch.images, batch.labels)
        assert value == proxies.score(student, pair, ["diswot_relation"], teacher=teacher)["diswot_relation"]
    with pytest.raises(ProtocolError, match="teacher_seed: 4 → 5"):
        run(proxies=["diswot_relation"], teacher=TeacherChoice(archs[1], seed=5), seeds=[0])


def test_channels_last_differs_in_rounding_only(run, tmp_path):
    """Invariance: the memory layout is part of the protocol and moves scores by no more than float32 rounding."""
    names = ["snip", "grad_norm", "jacov", "naswot", "synflow", "zen", "l2_norm"]
    one = run(proxies=names).scores()
    other = run(proxies=names, layout="channels_last", out=tmp_path / "other")
    assert other.protocol.layout == "channels_last"
    np.testing.assert_allclose(other.scores().value, one.value, rtol=1e-3)
    with pytest.raises(ProtocolError, match="layout='diagonal'"):
        run(layout="diagonal", out=tmp_path / "third")


def test_the_automatic_layout_is_recorded_as_what_it_stands_for(run, space, batch):
    """Closed form: channels-last for images on a CPU, contiguous elsewhere; a run goes on under either name."""
    first = run(layout="auto", proxies=["snip"])
    assert first.protocol.layout == "channels_last"
    assert run(layout="channels_last", proxies=["snip"]).scores().equals(first.scores())
    assert Conditions(space, batch, layout="auto", device="cuda").layout == "contiguous"
    sequences = replace(batch, images=batch.images.flatten(2))
    assert Conditions(space, sequences, layout="auto").layout == "contiguous"


def test_float64(run, archs, batch, space):
    """Independent path: network and images in double precision by hand."""
    scores = run(dtype="float64", proxies=["grad_norm"], seeds=[0], archs=archs[:1]).scores()
    network = space.build(archs[0], num_classes=10, seed=0, image_shape=(3, 8, 8)).double()
    assert scores.value[0] == proxies.score(network, (batch.images.double(), batch.labels), ["grad_norm"])["grad_norm"]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"archs": ["|none~0|"]}, ArchitectureError, "none~0"),
        ({"archs": []}, ProtocolError, "No architectures"),
        ({"seeds": []}, ProtocolError, "No seeds"),
        ({"proxies": []}, ProtocolError, "No proxies"),
        ({"proxies": ["synflw"]}, UnknownNameError, "'synflow'"),
        ({"proxies": ["diswot_relation"]}, ProtocolError, "compare with a teacher"),
        ({"proxies": ["diswot_relation"], "teacher": "best"}, ArchitectureError, "best"),
        ({"workers": -1}, ProtocolError, "workers=-1"),
        ({"timeout": 0}, ProtocolError, "timeout=0"),
        ({"plugins": ["none.py"]}, ZcbenchError, "No plug-in at 'none.py'"),
        ({"init": "kaimin"}, UnknownNameError, "kaiming"),
    ],
)
def test_impossible_requests(run, given, error, message, tmp_path):
    """By construction: each is refused before any score is made."""
    with pytest.raises(error, match=message):
        run(**given)
    database = tmp_path / "run" / "scores.sqlite"
    assert not database.exists() or Store(database).scores().empty


def test_batch_of_fewer_classes_than_labels(run, batch):
    """By construction: label 9 does not fit a task of two classes; the run stops at once and says why."""
    with pytest.raises(ZcbenchError, match=r"label"):
        run(batch=replace(batch, num_classes=2))


def test_two_writers(run, tmp_path):
    """By construction: the lock is held by this process, then by one that is killed; only a living one counts."""
    run()
    with filelock.FileLock(tmp_path / "run" / ".lock"):
        with pytest.raises(StoreError, match=r"Another run writes to .*run"):
            run()
    code = (
        "import filelock, sys, time; a = filelock.FileLock(sys.argv[1]).acquire(); print('ok', flush=1); time.sleep(99)"
    )
    path = str(tmp_path / "run" / ".lock")
    other = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"ok\n"
    with pytest.raises(StoreError, match="Another run writes"):
        run()
    other.kill()
    other.wait()
    other.stdout.close()
    assert run().fresh == 0


def test_folder_that_cannot_be_written(run, tmp_path):
    """By construction: a folder below a file, which not even root can make."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"Cannot write to .*file.run"):
        run(out=tmp_path / "file" / "run")


def test_full_disk(run, tmp_path, monkeypatch):
    """By construction: SQLite is told that the disk ends soon; what fits is kept, and with room the run resumes."""
    archs = [f"{arch}" for arch in run(proxies=["params"]).scores().arch.unique()]
    prepare = Store._prepare

    def small(store: Store) -> None:
        prepare(store)
        store._db.execute("PRAGMA max_page_count = 4")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "_prepare", small)
        with pytest.raises(StoreError, match=r"full.*kept.*same command again"):
            run(archs=archs, seeds=range(12), proxies=["synflow"])
    kept = len(load_run(tmp_path / "run")[1])
    result = run(archs=archs, seeds=range(12), proxies=["synflow"])

    assert 8 <= kept < 56
    assert result.fresh == 56 - kept


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping(run, plugin, number):
    """By construction: the signal comes during the third network; it is finished and kept, the rest is left."""
    file = plugin(
        f"""
        @proxy("stopping", reads="logits", higher_is_better=True)
        def stopping(signals):
            calls = Path(__file__).with_name("calls")
            calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
            if len(calls.read_text()) == 3:
                os.kill(os.getpid(), {int(number)})
            return 1.0
        """
    )
    before = signal.getsignal(number)
    with pytest.raises(RunInterrupted, match=r"3 of 8 scores are finished.*same command again") as caught:
        run(plugins=[file], proxies=["stopping"])

    assert signal.getsignal(number) is before
    assert caught.value.result.fresh == 3
    assert run(plugins=[file], proxies=["stopping"]).fresh == 5


def test_progress(run):
    """By construction: silent without a console, one line off a terminal, a bar with rate and end on one."""
    plain, screen = io.StringIO(), io.StringIO()
    run(console=Console(file=plain))
    run(console=Console(file=screen, force_terminal=True, width=120), seeds=[2])

    assert plain.getvalue().count("\n") == 1
    assert plain.getvalue().startswith("24 of 24 scores, 24 of them new, in ")
    assert "no failures" in plain.getvalue()
    assert "12/12" in screen.getvalue()
    assert "/s" in screen.getvalue()
    assert os.linesep.join(screen.getvalue().splitlines()[-1:]).endswith("no failures.")
