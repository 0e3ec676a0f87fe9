"""The scoring run over worker processes: same bits, and nothing finished is lost, whoever is killed."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from zcbench.benchmarks.scoring.store import Store
from zcbench.errors import ProtocolError, StoreError
from zcbench.proxies import Proxy

SLOW = """
@proxy("slow", reads="logits", higher_is_better=True)
def slow(signals):
    with open(Path(__file__).with_name("workers"), "a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(0.05)
    return signals.logits.square().sum().item()
"""
SCRIPT = """
import sys
from zcbench import datasets, spaces
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.run import score_run
from zcbench.runtime.execution import Execution
from zcbench.errors import ZcbenchError

space = spaces.get("nasbench201", channels=4, cells=1)
batch = datasets.batch(datasets.load("digits"), 8)
try:
    score_run(Conditions(space, batch), space.subset("all")[::800], ["params", "naswot", "slow"], [0, 1], sys.argv[1],
              execution=Execution(workers=2, plugins=[sys.argv[2]]))
except ZcbenchError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""
NAMES = ["params", "naswot", "slow"]


def start(folder, file) -> subprocess.Popen[str]:
    """The script as a process group of its own, as a shell would start it."""
    command = [sys.executable, "-c", SCRIPT, str(folder), str(file)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(folder, count: int) -> None:
    """Return as soon as the store has ``count`` scores."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with Store(folder / "scores.sqlite") as store:
                if len(store.scores()) >= count:
                    return
        except StoreError:  # not there yet
            pass
        time.sleep(0.1)
    raise AssertionError(f"No {count} scores after a minute")


def alive(pids: set[int]) -> set[int]:
    """Those of ``pids`` that still run."""
    found = set()
    for pid in pids:
        try:
            os.kill(pid, 0)
            found.add(pid)
        except ProcessLookupError:
            pass
    return found


def test_killed_at_any_moment(run, space, plugin, tmp_path, values):
    """Oracle: the uninterrupted run in one process; kill -9 of parent and worker, resume, same table bit for bit."""
    file, archs = plugin(SLOW), space.subset("all")[::800]
    whole = run(plugins=[file], proxies=NAMES, archs=archs, out=tmp_path / "whole")
    folder = tmp_path / "killed"
    (tmp_path / "workers").unlink()

    for count in (1, 60):
        parent = start(folder, file)
        wait_for(folder, count)
        if count > 1:
            os.kill(int((tmp_path / "workers").read_text().split()[-1]), signal.SIGKILL)
        time.sleep(0.1)
        parent.kill()
        parent.wait()
        parent.stderr.close()
        with Store(folder / "scores.sqlite") as store:
            kept = values(store.scores())
    resumed = run(plugins=[file], proxies=NAMES, archs=archs, out=folder)

    assert 60 <= len(kept) < whole.total
    assert resumed.fresh == whole.total - len(kept)
    pd.testing.assert_frame_equal(values(resumed.scores()), values(whole.scores()), check_exact=True)
    workers = {int(pid) for pid in (tmp_path / "workers").read_text().split()} - {os.getpid()}
    end = time.monotonic() + 20
    while alive(workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(workers)


def test_interrupt_from_the_keyboard(plugin, tmp_path):
    """By construction: the whole group gets SIGINT, as from a terminal; it ends and says how to resume."""
    file, folder = plugin(SLOW), tmp_path / "run"
    parent = start(folder, file)
    wait_for(folder, 40)
    os.killpg(parent.pid, signal.SIGINT)
    message = parent.communicate(timeout=30)[1]

    assert parent.returncode == 1
    assert message.startswith("RunInterrupted: Stopped: ")
    assert "same command again" in message
    assert "Traceback" not in message
    with Store(folder / "scores.sqlite") as store:
        assert len(store.scores()) >= 40


DEADLY = """
@proxy("killed_once", reads="logits", higher_is_better=True)
def killed_once(signals):
    mark = Path(__file__).with_name("mark")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 1.0

@proxy("always_killed", reads="logits", higher_is_better=True)
def always_killed(signals):
    os.kill(os.getpid(), signal.SIGSEGV)

@proxy("deaf", reads="logits", higher_is_better=True)
def deaf(signals):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(3600)

@proxy("patient", reads="logits", higher_is_better=True)
def patient(signals):
    time.sleep(3600)
"""


FATES = {
    "params": "ok", "synflow": "ok", "killed_once": "ok",
    "always_killed": "worker_died", "deaf": "timeout", "patient": "timeout",
}  # fmt: skip


@pytest.mark.parametrize(
    "names", [["synflow", "always_killed", "patient"], pytest.param([*FATES], marks=pytest.mark.long)]
)
def test_proxies_that_kill_or_hang(run, plugin, archs, monkeypatch, values, tmp_path, names):
    """By construction: one kills its worker once, one always, one cannot be interrupted; the others are fine."""
    monkeypatch.setattr("zcbench.benchmarks.scoring.session._GRACE", 0.0)
    workers = 2 if len(names) > 3 else 1
    given = {"plugins": [plugin(DEADLY)], "proxies": names, "archs": archs[:1], "workers": workers, "timeout": 2.0}
    scores = run(**given, seeds=[0]).scores().set_index("proxy")

    assert scores.status.to_dict() == {name: FATES[name] for name in names}
    assert "signal 11" in scores.reason["always_killed"]
    assert run(**given, seeds=[0]).fresh == 0
    alone = run(proxies=["synflow"], archs=archs[:1], seeds=[0], out=tmp_path / "alone").scores()
    assert scores.value["synflow"] == alone.value[0]


def test_one_process_or_two(run, tmp_path, values):
    """Invariance: in this process and in two workers: the same bits."""
    given = {"proxies": ["params", "synflow", "naswot", "grad_norm", "jacov"]}
    here, two = (values(run(**given, out=tmp_path / f"{n}", workers=n).scores()) for n in (0, 2))

    pd.testing.assert_frame_equal(here, two, check_exact=True)
    assert (here.status == "ok").all()


def test_a_proxy_that_cannot_travel(run):
    """By construction: a lambda cannot be sent to another process; the message says what can be done."""
    made = Proxy("mine", lambda signals: 1.0, frozenset({"logits"}), True, False)
    with pytest.raises(ProtocolError, match=r"another process can import.*workers=0"):
        run(proxies=[made], workers=1)
    assert run(proxies=[made], workers=0).statuses == {"ok": 8}


HUNGRY = """
@proxy("hungry", reads="logits", higher_is_better=True)
def hungry(signals):
    if int(os.environ["ZCBENCH_WORKER"]) or not Path(__file__).with_name("alone").exists():
        Path(__file__).with_name("alone").touch()
        raise MemoryError("no room")
    return 1.0

@proxy("insatiable", reads="logits", higher_is_better=True)
def insatiable(signals):
    raise MemoryError("never room")
"""


def test_what_lacks_memory_is_scored_alone(run, plugin, archs):
    """By construction: a proxy that lacks memory beside others has its value alone; one that always does is named."""
    file = plugin(HUNGRY)
    result = run(plugins=[file], proxies=["params", "hungry", "insatiable"], archs=archs[:1], seeds=[0], workers=2)
    assert result.scores().set_index("proxy").status.to_dict() == {
        "params": "ok", "hungry": "ok", "insatiable": "out_of_memory",
    }  # fmt: skip
    assert result.fresh == 3
