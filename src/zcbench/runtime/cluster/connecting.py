"""The client of a cluster that an option names."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

from zcbench import references
from zcbench.errors import ProtocolError, ZcbenchError, shortened, told

_LOCAL = re.compile(r"local:(\d{1,4})", re.ASCII)
_ADDRESS = re.compile(r"[a-z]+://\S+")
_PATIENCE = 10  # seconds for the first answer of a scheduler


class ClusterError(ZcbenchError):
    """A cluster that cannot be reached, or that has gone."""


@contextmanager
def connected(name: str) -> Iterator[Client]:
    """The client of a cluster; what was opened for it is closed at the end.

    Args:
        name: ``tcp://HOST:PORT``, ``local:N``, or ``FILE.py:FUNCTION`` that returns a client or a cluster.

    Raises:
        ProtocolError: it names no cluster.
        ClusterError: nobody answers there.
        PluginError, UnknownNameError: the function is not there or fails.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is said by errors of zcbench
    if found := _LOCAL.fullmatch(name):
        yield from _of_this_machine(int(found[1]))
    elif references.read(name):
        yield from _of_the_user(name)
    elif _ADDRESS.fullmatch(name):
        yield from _closed(_client(name))
    else:
        raise ProtocolError(
            f"cluster={shortened(name)!r} was given. Expected tcp://HOST:8786, local:N, or FILE.py:FUNCTION with a "
            f"function that returns a client."
        )


def _of_this_machine(count: int) -> Iterator[Client]:
    if count < 1:
        raise ProtocolError("cluster='local:0' was given. Expected local:N with at least one worker.")
    with dask.config.set({"distributed.scheduler.worker-saturation": 1.0}):
        with LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            dashboard_address=None,
            memory_limit=None,
            silence_logs=logging.CRITICAL,
        ) as cluster:
            yield from _closed(_client(cluster))


def _of_the_user(name: str) -> Iterator[Client]:
    made = references.call(name)
    if isinstance(made, Client):
        yield from _closed(made)
    elif hasattr(made, "scheduler_address") and hasattr(made, "close"):
        try:
            yield from _closed(_client(made))
        finally:
            made.close()
    else:
        raise ProtocolError(
            f"The function {name} returns {type(made).__name__}. Expected a client or a cluster of Dask; let it return "
            f"distributed.Client(...) or dask_jobqueue.SLURMCluster(...)."
        )


def _client(where: object) -> Client:
    try:
        return Client(where, timeout=_PATIENCE)
    except (TimeoutError, OSError, ValueError) as error:
        raise ClusterError(
            f"No scheduler answers at {where}: {told(error)}. Expected a running one; start it with 'dask scheduler', "
            f"workers with 'dask worker {where}', or name another address."
        ) from error


def _closed(client: Client) -> Iterator[Client]:
    close: Callable[[], object] = client.close
    try:
        yield client
    finally:
        close()
