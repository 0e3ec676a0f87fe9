"""The time limit. The oracle is the construction of each block: what sleeps, computes or is stopped for how long."""

import os
import signal
import subprocess
import sys
import time

import pytest

from zcbench.proxies.signals.limits import ScoreTimeout, time_limit

STOPPED = """
import time
from zcbench.proxies.signals.limits import time_limit
print("begin", flush=True)
with time_limit(2.0):
    time.sleep(1.0)
print("end", flush=True)
"""


@pytest.mark.parametrize("seconds", [0.05, 1.3])
def test_sleeping_and_computing_count(seconds: float) -> None:
    """A block that sleeps, and one that computes, end after their limit; a shorter one ends by itself."""

    def compute() -> None:
        while True:
            pass

    for body in (lambda: time.sleep(30), compute):
        begin = time.monotonic()
        with pytest.raises(ScoreTimeout, match=f"Took longer than {seconds:g} s"), time_limit(seconds):
            body()
        assert seconds <= time.monotonic() - begin + 0.01 < 20
    with time_limit(30):
        time.sleep(0.01)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_stopped_time_does_not_count() -> None:
    """A process that is stopped for longer than the limit, in a block that is shorter: SIGSTOP, and SIGCONT later."""
    process = subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "begin\n"
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(process.pid, signal.SIGCONT)
    assert process.communicate(timeout=60)[0] == "end\n" and process.returncode == 0
