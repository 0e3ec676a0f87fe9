"""How work is carried out: processes, time limit, plug-ins, progress. No result depends on it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zcbench.errors import ProtocolError
from zcbench.runtime.executors import Cluster, Executor, Processes

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Execution:
    """How a run, a truth or a search is carried out.

    Attributes:
        workers: processes, one thread each; 0 for none but this one.
        cluster: Dask cluster in place of processes of this machine: tcp://HOST:8786, local:N for N workers, or
            FILE.py:FUNCTION, a function that returns a client.
        timeout: seconds that one piece of work may take; no limit if None.
        plugins: Python files that define proxies, losses or spaces, loaded here and in every worker.
        retry_failed: retry time-outs, lack of memory and dead workers.
        console: where progress is shown; nowhere if None.

    Raises:
        ProtocolError: a number of workers or a time limit out of range.
    """

    workers: int = 2
    timeout: float | None = None
    plugins: tuple[str | Path, ...] = ()
    retry_failed: bool = False
    console: "Console | None" = None
    cluster: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "plugins", tuple(self.plugins))
        if self.workers < 0:
            raise ProtocolError(f"workers={self.workers} was given. Expected 0 (this process) or more.")
        if self.timeout is not None and not self.timeout > 0:
            raise ProtocolError(f"timeout={self.timeout} was given. Expected seconds above 0, or None for no limit.")

    @property
    def executor(self) -> Executor:
        """Where tasks are done."""
        return Processes(self.workers) if self.cluster is None else Cluster(self.cluster)
