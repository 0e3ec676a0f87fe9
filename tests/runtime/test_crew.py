"""The work loop, on expressions that are evaluated: no network, so each worker starts at once."""

from collections import deque
from pathlib import Path

import pytest
import torch

from zcbench.errors import ProtocolError
from zcbench.runtime.crew import Crew
from zcbench.runtime.executors import Processes
from zcbench.runtime.pool import DIED, TIMEOUT, Ending
from zcbench.runtime.stop import Stop

EVALUATE = "lambda code: eval(code)"
KILL = "__import__('os').kill(__import__('os').getpid(), 9)"
HOUR = "__import__('time').sleep(3600)"


def mark(folder: Path, then: str) -> str:
    """An expression that adds a line to a file of the folder, and then evaluates another one."""
    return f"(open({str(folder / 'marks')!r}, 'a').write('x\\n'), {then})[1]"


def work(*tasks: str, workers: int = 2, stop: Stop | None = None, **options: object) -> dict[str, Ending[str]]:
    with Crew(eval, EVALUATE, Processes(workers), stop or Stop(), **options) as crew:
        return {ending.task: ending for ending in crew.work(deque(tasks))}


@pytest.mark.parametrize("workers", [0, 2])
def test_every_task_ends_once(workers: int) -> None:
    """By construction: the results are those of the expressions; one thread each, and this process as before."""
    threads, number = torch.get_num_threads(), "__import__('torch').get_num_threads()"
    torch.set_num_threads(3)
    endings = work("1 + 1", "2 + 2", "'x' * 3", *([number] if workers == 0 else []), workers=workers)
    after = torch.get_num_threads()
    torch.set_num_threads(threads)
    expected = {"1 + 1": 2, "2 + 2": 4, "'x' * 3": "xxx"} | ({number: 1} if workers == 0 else {})
    assert {task: ending.result for task, ending in endings.items()} == expected and after == 3
    assert not any(ending.failure for ending in endings.values())


def test_a_death_is_tried_once_more(tmp_path: Path) -> None:
    """By construction: a task that always dies runs twice, one that dies the first time succeeds; a limit runs out."""
    always, marks = mark(tmp_path, KILL), tmp_path / "marks"
    endings = work(always, "1 + 1")
    assert (endings[always].failure, endings["1 + 1"].result) == (DIED, 2) and "signal 9" in endings[always].reason
    assert marks.read_text() == "x\n" * 2
    marks.unlink()
    once = mark(tmp_path, f"open({str(marks)!r}).read().count('x') > 1 or {KILL}")
    assert work(once)[once].result is True
    marks.unlink()
    late = mark(tmp_path, HOUR)
    endings = work(late, "2 + 2", limit=lambda task: 0.5 if task == late else None)
    assert (endings[late].failure, endings["2 + 2"].result, marks.read_text()) == (TIMEOUT, 4, "x\n")


def test_parts_are_charged_apart(tmp_path: Path) -> None:
    """By construction: a task of three parts, of which one dies: the parts are done alone, that one just once more."""
    deadly = mark(tmp_path, KILL)
    whole = f"[1 + 1, {deadly}, 2 + 2]"
    endings = work(whole, workers=1, parts=lambda task: ["1 + 1", deadly, "2 + 2"] if task == whole else [task])
    assert {task: ending.failure for task, ending in endings.items()} == {"1 + 1": "", deadly: DIED, "2 + 2": ""}
    assert (tmp_path / "marks").read_text() == "x\n" * 2


@pytest.mark.parametrize("workers", [0, 1])
def test_the_queue_may_change_and_a_stop_ends_it(workers: int) -> None:
    """By construction: what is added after an ending is done, what waits when a stop is asked for is left."""
    stop, queue, seen = Stop(), deque(["1", "2"]), list[str]()
    with Crew(eval, EVALUATE, Processes(workers), stop) as crew:
        for ending in crew.work(queue):
            seen.append(ending.task)
            if ending.task == "2":
                queue.extend(["3", "4", "5", "6"])
            stop.asked = ending.task == "4"
    assert seen == ["1", "2", "3", "4"] and "6" in queue


def test_no_task_needs_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: a pool that cannot be made is not missed; a job that cannot be sent is explained."""
    monkeypatch.setattr("zcbench.runtime.executors.WorkerPool", None)
    assert work() == {}
    with pytest.raises(ProtocolError, match=r"cannot be sent.*workers=0"):
        list(Crew(eval, (lambda: None), Processes(1), Stop()).work(deque(["1"])))
