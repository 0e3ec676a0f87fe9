"""Where tasks are done: in this process, in processes of this machine, or on a cluster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from zcbench.errors import ProtocolError
from zcbench.plugins import loaded_files
from zcbench.runtime.pool import Ending, Task, WorkerPool


class Pool(Protocol[Task]):
    """Workers that do tasks until the pool is left."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    @property
    def room(self) -> bool:
        """Whether another task can be given."""

    @property
    def busy(self) -> bool:
        """Whether a task is under way."""

    @property
    def workers(self) -> int:
        """Tasks that can be done at the same time now."""

    def give(self, task: Task, limit: float | None = None) -> None:
        """Have ``task`` done; ended after ``limit`` seconds of work."""

    def poll(self, seconds: float) -> list[Ending[Task]]:
        """Tasks that ended, as soon as there are any, at the latest after ``seconds``."""


class Executor(Protocol):
    """Makes the pool of workers of a crew."""

    @property
    def here(self) -> bool:
        """Whether all tasks are done in this process, and there is no pool."""

    def alone(self) -> "Executor":
        """The same for tasks that need a machine by themselves; itself where no two tasks share one."""

    def pool(self, prepare: Callable[[Any], Callable[[Any], Any]], job: bytes, files: Sequence[Path] = ()) -> Pool[Any]:
        """A pool whose workers call ``prepare(job)`` once, and the callable that this returns for each task.

        Args:
            prepare: importable function.
            job: its pickled argument.
            files: that the job names by their paths.
        """


@dataclass(frozen=True)
class Processes:
    """Processes of this machine.

    Attributes:
        count: how many at a time; 0 does all tasks in this process.
    """

    count: int

    @property
    def here(self) -> bool:
        """Whether there are none."""
        return self.count == 0

    def alone(self) -> "Processes":
        """One process."""
        return Processes(min(1, self.count))

    def pool(
        self, prepare: Callable[[Any], Callable[[Any], Any]], job: bytes, files: Sequence[Path] = ()
    ) -> WorkerPool[Any]:
        """A pool of so many processes."""
        return WorkerPool[Any](prepare, job, self.count)


@dataclass(frozen=True)
class Cluster:
    """Workers of a Dask cluster.

    Attributes:
        name: ``tcp://HOST:PORT`` of its scheduler, ``local:N`` for N workers of this machine, or ``FILE.py:FUNCTION``,
            a function that returns a client or a cluster.
    """

    name: str

    @property
    def here(self) -> bool:
        """Nothing is done in this process."""
        return False

    def alone(self) -> Executor:
        """A process of this machine, which has nothing else to do while the cluster works."""
        return Processes(1)

    def pool(self, prepare: Callable[[Any], Callable[[Any], Any]], job: bytes, files: Sequence[Path] = ()) -> Pool[Any]:
        """A pool of all workers that the cluster has at a time, to which the files and all plug-ins are sent.

        Raises:
            ProtocolError: the name says no cluster, or the extra ``cluster`` is not installed.
            ClusterError: the cluster cannot be reached, or its workers have other versions.
        """
        try:
            from zcbench.runtime.cluster.pool import ClusterPool
        except ImportError as error:
            raise ProtocolError(
                f"cluster={self.name!r} was given, and Dask is not installed ({error}). Expected the extra 'cluster'; "
                f"install it with pip install 'zcbench[cluster]'."
            ) from error
        return ClusterPool[Any](self.name, prepare, job, [*loaded_files(), *files])
