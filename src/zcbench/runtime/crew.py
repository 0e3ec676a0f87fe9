"""The work loop: tasks in this process, in worker processes or on a cluster, and how each of them ended."""

import pickle
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from zcbench.errors import ProtocolError
from zcbench.runtime.executors import Executor, Pool
from zcbench.runtime.parcel import parcel
from zcbench.runtime.pool import DIED, TIMEOUT, Ending, Task
from zcbench.runtime.stop import Stop
from zcbench.runtime.threads import one_thread

OUT_OF_MEMORY = "out_of_memory"
#: Statuses of failures that another attempt may not meet again.
TRANSIENT = (TIMEOUT, OUT_OF_MEMORY, DIED)

_HEARTBEAT = 0.2  # seconds until a request to stop is noticed

Job = TypeVar("Job")


class Crew(Generic[Job, Task]):
    """Does tasks in this process, or in workers that live until the crew is left; one thread each.

    Args:
        prepare: importable function; what it returns for ``job`` does one task.
        job: what all tasks have in common.
        executor: where the tasks are done. The results are the same.
        stop: no task is begun once it is asked for.
        limit: seconds that a task may take in a worker; None for no limit.
        parts: smaller tasks into which one that cost its worker is split; the task itself if it has none.
        files: that the job names by their paths; a cluster gets their contents.
        watch: called with the number of workers, whenever it may have changed.
    """

    def __init__(
        self,
        prepare: Callable[[Job], Callable[[Task], Any]],
        job: Job,
        executor: Executor,
        stop: Stop,
        *,
        limit: Callable[[Task], float | None] = lambda task: None,
        parts: Callable[[Task], Sequence[Task]] = lambda task: [task],
        files: Sequence[Path] = (),
        watch: Callable[[int], None] = lambda workers: None,
    ) -> None:
        self._prepare, self._job, self._executor, self._stop = prepare, job, executor, stop
        self._limit, self._parts, self._files, self._watch = limit, parts, files, watch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if "_pool" in vars(self):
            self._pool.__exit__(kind, error, at)

    @property
    def crowded(self) -> bool:
        """Whether tasks may share a machine."""
        return self._executor != self._executor.alone()

    def work(self, tasks: deque[Task]) -> Iterator[Ending[Task]]:
        """Endings of ``tasks`` as they come, until the queue is empty or a stop is asked for.

        The caller may change the queue after each ending. A task that costs its worker, by ending it or by its time
        limit, is split into its parts; one that cannot be split is tried once more if its worker died, and otherwise
        ends with its failure.

        Raises:
            WorkerStartError: workers die while they start.
            ProtocolError: the job cannot be sent to a worker.
            ZcbenchError: whatever ``prepare`` or a task raised of this kind.
        """
        return self._here(tasks) if self._executor.here else self._in_workers(tasks)

    @cached_property
    def own(self) -> Callable[[Task], Any]:
        """What does a task in this process."""
        with one_thread():
            return self._prepare(self._job)

    def _here(self, tasks: deque[Task]) -> Iterator[Ending[Task]]:
        while tasks and not self._stop.asked:
            task = tasks.popleft()
            with one_thread():
                result = self.own(task)
            yield Ending(task, result)

    def _in_workers(self, tasks: deque[Task]) -> Iterator[Ending[Task]]:
        if not tasks:
            return
        tried = set[Task]()
        while (tasks or self._pool.busy) and not self._stop.asked:
            while tasks and self._pool.room:
                task = tasks.popleft()
                self._pool.give(task, self._limit(task))
            ended = self._pool.poll(_HEARTBEAT)
            self._watch(self._pool.workers)
            for left, ending in zip(reversed(range(len(ended))), ended):
                again = self._again(ending, tried) if ending.failure else []
                tried.update(again)
                tasks.extendleft(reversed(again))
                if not again:
                    yield replace(ending, more=left > 0)

    def _again(self, ending: Ending[Task], tried: set[Task]) -> Sequence[Task]:
        """What to try instead of a task that cost its worker."""
        parts = self._parts(ending.task)
        once_more = len(parts) > 1 or (ending.failure == DIED and ending.task not in tried)
        return parts if once_more else []

    @cached_property
    def _pool(self) -> Pool[Task]:
        try:
            job = parcel(self._job)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ProtocolError(
                f"The run cannot be sent to a worker process: {error}. Expected proxies and networks that another "
                f"process can import: define them in a file and give it as a plug-in, or use workers=0."
            ) from error
        return self._executor.pool(self._prepare, job, self._files)
