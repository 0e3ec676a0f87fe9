"""Peak memory of reading all rows of a score store, by number of rows.

    python examples/store_memory.py 250000 500000 1000000

Each size is measured in a process of its own: the largest resident size after the rows are read, less that before.
"""

import argparse
import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from zcbench.benchmarks.scoring.rows import Row, checksum
from zcbench.benchmarks.scoring.store import Store

PROXIES = 64


def fill(file: Path, rows: int) -> None:
    """Make a store with so many rows: 64 proxies of cells of NAS-Bench-201, more seeds once all cells are used."""
    from zcbench.spaces import get  # imports PyTorch, whose memory is not that of the rows

    Store(file, write=True).close()
    cells = get("nasbench201").subset("all")
    each = (
        Row(
            cells[i // PROXIES % len(cells)],
            f"proxy_{i % PROXIES:02}",
            1,
            i // PROXIES // len(cells),
            i / 7,
            "ok",
            "",
            0.1,
        )
        for i in range(rows)
    )
    with sqlite3.connect(file) as connection:
        places = ", ".join("?" * 9)
        connection.executemany(f"INSERT INTO scores VALUES ({places})", ((*row, checksum(row)) for row in each))


def peak(file: Path) -> tuple[float, float]:
    """Largest resident size in MB before and after the rows of a store are read, in this process."""
    before = _largest()
    with Store(file) as store:
        store.scores()
    return before, _largest()


def _largest() -> float:
    """Largest resident size of this process so far in MB; on Linux, and unlike `resource` not that of its parent."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def main() -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="*", default=[1_000_000], help="numbers of rows")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        print(*(f"{size:.0f}" for size in peak(given.read)))
        return
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "scores.sqlite"
            fill(file, rows)
            command = [sys.executable, __file__, "--read", str(file)]
            before, after = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            print(f"{rows:,} rows: {before} MB before, {after} MB at the peak")


if __name__ == "__main__":
    main()
