"""The pool of a cluster, on expressions that its workers evaluate. The oracle is the value of each expression."""

import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from distributed import Client, LocalCluster

from zcbench.errors import ProtocolError, UnknownNameError
from zcbench.plugins import PluginError, load_file
from zcbench.runtime.cluster import connecting, pool, shipment
from zcbench.runtime.cluster.connecting import ClusterError, connected
from zcbench.runtime.cluster.shipment import Shipment, arrived
from zcbench.runtime.crew import Crew
from zcbench.runtime.execution import Execution
from zcbench.runtime.executors import Cluster, Processes
from zcbench.runtime.pool import DIED, TIMEOUT, Ending
from zcbench.runtime.stop import Stop
from zcbench.storage import mirror

EVALUATE = "lambda code: eval(code)"
KILL = "__import__('os').kill(__import__('os').getpid(), 9)"
KILL_THE_WORKER_OF_DASK = "__import__('os').kill(__import__('os').getppid(), 9)"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The scheduler of two workers."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        yield cluster.scheduler_address


def work(name: str, *tasks: str, job: object = EVALUATE, **options: object) -> dict[str, Ending[str]]:
    with Crew(eval, job, Cluster(name), Stop(), **options) as crew:
        return {ending.task: ending for ending in crew.work(deque(tasks))}


def test_every_task_ends_once(address: str) -> None:
    """By construction: values, deaths and time-outs are those of each task, as in processes of this machine."""
    sums = [f"{number} + 1" for number in range(100)]
    with Crew(eval, EVALUATE, Cluster(address), Stop(), limit=lambda task: 3.0) as crew:
        endings = list(crew.work(deque([*sums, KILL, "__import__('time').sleep(100)"])))
        again = list(crew.work(deque(["2 + 2"])))
    found = {ending.task: ending for ending in endings}
    assert len(endings) == len(found) == 102
    assert [found[task].result for task in sums] == list(range(1, 101)) and again[0].result == 4
    assert (found[KILL].failure, found["__import__('time').sleep(100)"].failure) == (DIED, TIMEOUT)
    assert "signal 9" in found[KILL].reason


def test_lost_workers_cost_no_task(address: str, tmp_path: Path) -> None:
    """By construction: workers of Dask are killed while they have tasks; each task has its value, none fails."""
    seen: list[int] = []
    tasks = deque(f"[__import__('time').sleep(.05), {number}][1]" for number in range(120))
    with Crew(eval, EVALUATE, Cluster(address), Stop(), watch=seen.append) as crew, Client(address) as client:
        endings = []
        for ending in crew.work(tasks):
            endings.append(ending)
            if len(endings) in (10, 50):
                for pid in list(client.run(os.getpid).values())[: 1 if len(endings) == 10 else 2]:
                    os.kill(pid, signal.SIGKILL)
    assert sorted(ending.result for ending in endings) == list(range(120))
    assert not any(ending.failure for ending in endings) and max(seen) == 2


@pytest.mark.long
def test_workers_go_to_none_and_come_back() -> None:
    """By construction: an adaptive cluster begins with no worker, ends all when idle, and starts new ones."""
    with LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        cluster.adapt(minimum=0, maximum=2, interval="200ms", wait_count=2, target_duration="1s")
        seen: list[int] = []
        with Crew(eval, EVALUATE, Cluster(cluster.scheduler_address), Stop(), watch=seen.append) as crew:
            for first in (0, 40):
                tasks = deque(f"[__import__('time').sleep(.1), {number}][1]" for number in range(first, first + 40))
                found = list(crew.work(tasks))
                assert sorted(ending.result for ending in found) == list(range(first, first + 40))
                assert max(seen) >= 1 and not any(ending.failure for ending in found)
                seen.clear()
                end = time.monotonic() + 60
                while cluster.scheduler.workers and time.monotonic() < end:
                    time.sleep(0.1)
                assert not cluster.scheduler.workers


def test_a_scheduler_that_is_gone(address: str) -> None:
    """By construction: the client has given it up; one sentence, and what ended before is not lost."""
    with Crew(eval, EVALUATE, Cluster(address), Stop()) as crew:
        assert next(crew.work(deque(["1 + 1"]))).result == 2
        crew._pool._client.close()
        time.sleep(1.1)
        with pytest.raises(ClusterError, match=r"The scheduler of .* is gone. What is finished is kept"):
            list(crew.work(deque(["2 + 2"])))


@pytest.mark.long
def test_a_task_that_ends_the_worker_of_dask(address: str) -> None:
    """By construction: it is tried alone, then once more by the rule of every crew, and fails; the others do not."""
    endings = work(address, "1 + 1", KILL_THE_WORKER_OF_DASK, "2 + 2")
    assert {task: ending.failure for task, ending in endings.items()} == {
        "1 + 1": "", KILL_THE_WORKER_OF_DASK: DIED, "2 + 2": "",
    }  # fmt: skip
    assert "The workers of the cluster that did it ended" in endings[KILL_THE_WORKER_OF_DASK].reason


def test_a_stop_ends_what_runs(address: str, tmp_path: Path) -> None:
    """By construction: a task of an hour; when the crew is left, its process is gone and the worker is free."""
    file, stop = tmp_path / "pid", Stop()
    task = f"[open({str(file)!r}, 'w').write(str(__import__('os').getpid())), __import__('time').sleep(3600)]"

    def ask(workers: int) -> None:
        stop.asked = file.exists() and bool(file.read_text())

    with Crew(eval, EVALUATE, Cluster(address), stop, watch=ask) as crew:
        assert list(crew.work(deque([task]))) == []
    end = time.monotonic() + 20
    while Path(f"/proc/{file.read_text()}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{file.read_text()}").exists()
    assert work(address, "1 + 1")["1 + 1"].result == 2


def test_a_job_that_the_cluster_forgot_is_sent_again(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: no worker has the job any more, as after a scheduler's new start; tasks have values."""
    monkeypatch.setattr(pool, "_PATIENCE", 0.5)
    with Crew(eval, EVALUATE, Cluster(address), Stop()) as crew, Client(address) as client:
        assert next(crew.work(deque(["1 + 1"]))).result == 2
        client.unregister_worker_plugin(crew._pool._carrier.name)
        time.sleep(0.6)
        assert sorted(ending.result for ending in crew.work(deque(map(str, range(40))))) == list(range(40))


def test_batches_follow_the_time_of_tasks(address: str) -> None:
    """By construction: tasks of a hundredth of a second are sent in batches, and the last ones to all workers."""
    sizes = []
    submit = pool.ClusterPool._submit

    def watched(self: pool.ClusterPool[str], batch: list[object]) -> None:
        sizes.append(len(batch))
        submit(self, batch)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool.ClusterPool, "_submit", watched)
        endings = work(address, *(f"[__import__('time').sleep(.01), {number}][1]" for number in range(600)))
    assert len(endings) == 600 and sum(sizes) == 600 and sizes[0] == 1 and max(sizes) > 10


def test_files_reach_workers_by_their_content(address: str, tmp_path: Path) -> None:
    """By construction: a plug-in and a file that are gone when workers read them under their paths."""
    plugin, data = tmp_path / "plugin.py", tmp_path / "weights.bin"
    plugin.write_text("def double(x):\n    return 2 * x\n")
    data.write_text("21")
    load_file(plugin)
    load = f"__import__('zcbench.plugins').plugins.load_file({str(plugin)!r})"
    copy = f"__import__('zcbench.storage.mirror').storage.mirror.local(__import__('pathlib').Path({str(data)!r}))"
    made = Cluster(address).pool(eval, b"", [data])
    made.__exit__(None, None, None)
    with Crew(eval, EVALUATE, Cluster(address), Stop(), files=[data]) as crew:
        assert next(crew.work(deque(["1 + 1"]))).result == 2
        plugin.unlink()
        data.unlink()
        task = f"{load}.double(int({copy}.read_text()))"
        assert [ending.result for ending in crew.work(deque([task]))] == [42]


def test_a_shipment_unpacks_each_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: two paths of one content have one copy; a missing file is one sentence."""
    monkeypatch.setattr(mirror, "_COPIES", {})
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("same")
    import pickle

    made = Shipment.of(eval, pickle.dumps("lambda code: eval(code)"), [tmp_path / "a.txt", tmp_path / "b.txt"])
    arrival = pickle.loads(made.unpack(tmp_path / "there"))
    assert arrived(arrival)("1 + 1") == 2
    assert mirror.local(tmp_path / "a.txt").read_text() == "same" != str(mirror.local(tmp_path / "a.txt"))
    assert len(list((tmp_path / "there").iterdir())) == 1
    with pytest.raises(ProtocolError, match="cannot be sent to the workers"):
        Shipment.of(eval, b"", [tmp_path / "none"])


def test_bad_clusters_are_one_sentence(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: each wrong name, address, function, version or installation; the message says what to do."""
    monkeypatch.setattr(connecting, "_PATIENCE", 0.5)
    for name, message in {
        "tcp://127.0.0.1:9": "No scheduler answers at tcp://127.0.0.1:9",
        "local:0": "at least one worker",
        "local:x": "Expected tcp://HOST:8786, local:N, or FILE.py:FUNCTION",
        f"{tmp_path}/none.py:make": "No plug-in at",
    }.items():
        with pytest.raises((ClusterError, ProtocolError, PluginError), match=message), connected(name):
            pass
    file = tmp_path / "clusters.py"
    file.write_text(
        f"from distributed import Client\ndef make():\n    return Client({address!r})\ndef wrong():\n    return 3\n"
    )
    assert work(f"{file}:make", "1 + 1")["1 + 1"].result == 2
    with pytest.raises(ProtocolError, match=r"returns int. Expected a client or a cluster"):
        work(f"{file}:wrong", "1 + 1")
    with pytest.raises(UnknownNameError, match="name in"):
        work(f"{file}:mak", "1 + 1")
    monkeypatch.setattr(shipment, "versions", dict)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shipment, "of", lambda *given: Shipment(*given[:2], {}, {"torch": "0.1"}))
        with pytest.raises(ProtocolError, match=r"The worker tcp://.* has other versions: torch 2.*, here 0.1"):
            work(address, "1 + 1")
        patch.setattr(pool, "versions", lambda: {"torch": "0.1"})  # as if the worker had come later
        with pytest.raises(ProtocolError, match=r"has other versions: torch 2.*Said by the worker"):
            work(address, "1 + 1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "versions", lambda: __import__("no_such_package"))
        with pytest.raises(ClusterError, match=r"cannot do its tasks: ModuleNotFoundError.*install it there"):
            work(address, "1 + 1")
    with pytest.raises(ProtocolError, match="cannot load what it was sent"):
        work(address, "1 + 1", job="__import__('no_such_module')")


def test_without_dask_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: the modules cannot be imported."""
    monkeypatch.setitem(__import__("sys").modules, "zcbench.runtime.cluster.pool", None)
    with pytest.raises(ProtocolError, match=r"pip install 'zcbench\[cluster\]'"):
        Execution(cluster="local:2").executor.pool(eval, b"")
    assert Execution(workers=3).executor == Processes(3)
