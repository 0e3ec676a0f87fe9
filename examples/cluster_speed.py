"""Overhead of an executor: python examples/cluster_speed.py prints JSON.

Tasks sleep, so that the processors of the machine play no part. "share" is the ideal time, that of the tasks divided by
the number of workers, over the measured one; the time in which the first processes start is left out.
"""

import json
import sys
import time
from collections import deque

from zcbench.runtime.crew import Crew
from zcbench.runtime.executors import Cluster, Executor, Processes
from zcbench.runtime.stop import Stop

WORKERS = 2


def measure(executor: Executor, seconds: float, count: int) -> dict[str, float]:
    """Throughput of ``count`` tasks that sleep for some ``seconds``."""
    with Crew(eval, "lambda code: eval(code)", executor, Stop()) as crew:
        list(crew.work(deque(f"__import__('time').sleep({seconds}) or {-index}" for index in range(1, 4 * WORKERS))))
        begin = time.perf_counter()
        done = list(crew.work(deque(f"__import__('time').sleep({seconds}) or {index}" for index in range(count))))
        wall = time.perf_counter() - begin
    assert sorted(ending.result for ending in done) == list(range(count))
    return {"tasks a second": round(count / wall, 2), "share": round(seconds * count / WORKERS / wall, 3)}


def batches(cluster: str, count: int = 2000) -> float:
    """Batches that the scheduler and this process go through in a second."""
    from zcbench.runtime.cluster import pool

    pool._LARGEST = 1
    with Crew(eval, "lambda code: eval(code)", Cluster(cluster), Stop()) as crew:
        list(crew.work(deque(f"-{index}" for index in range(4 * WORKERS))))
        begin = time.perf_counter()
        done = list(crew.work(deque(map(str, range(count)))))
    assert len(done) == count
    return round(count / (time.perf_counter() - begin), 1)


def main(cluster: str) -> None:
    """Compare processes of this machine with a cluster, on tasks of half a second and of 20 ms."""
    found = {}
    for seconds, count in ((0.5, 60), (0.02, 1500)):
        local, dask = (measure(executor, seconds, count) for executor in (Processes(WORKERS), Cluster(cluster)))
        ratio = round(dask["tasks a second"] / local["tasks a second"], 3)
        found[f"{1000 * seconds:g} ms"] = {"local": local, "cluster": dask, "cluster/local": ratio}
    print(json.dumps({**found, "batches a second, one empty task each": batches(cluster)}, indent=1))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else f"local:{WORKERS}")
