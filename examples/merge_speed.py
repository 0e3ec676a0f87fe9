"""Rows a second of the score store and of the merge: python examples/merge_speed.py 1000000 FOLDER prints JSON."""

import json
import random
import resource
import sys
import time
from itertools import islice
from pathlib import Path

from zcbench.benchmarks.scoring.folder import STORE, describe_run
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.shards import Shard, merge_runs
from zcbench.benchmarks.scoring.store import Row, Store

PROXIES, SHARDS, UNIT = 20, 16, 20


def main(count: int, home: Path) -> None:
    """Write ``count`` rows into 16 shards, in transactions of one unit and of a thousand rows, and merge them."""
    archs = [f"|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~{index}|" for index in range(-(-count // PROXIES))]
    protocol = Protocol("space", "noise", "batch", 64, 0, "0" * 64, (3, 32, 32), 10)
    rows = (
        Row(arch, f"proxy_{number}", 1, 0, random.random(), "ok", "", 0.01)
        for arch in archs
        for number in range(PROXIES)
    )
    seconds = {UNIT: 0.0, 1000: 0.0}
    written = dict.fromkeys(seconds, 0)
    folders = [home / f"shard-{number}" for number in range(1, SHARDS + 1)]
    for number, folder in enumerate(folders, 1):
        size = UNIT if number == 1 else 1000
        folder.mkdir(parents=True)
        part = list(islice(rows, -(-count // SHARDS)))
        with Store(folder / STORE, write=True) as store:
            store.adopt(protocol)
            begin = time.perf_counter()
            for first in range(0, len(part), size):
                store.save(part[first : first + size])
            seconds[size] += time.perf_counter() - begin
            written[size] += len(part)
        note = Shard(number, SHARDS).note(archs, [0], len(part))
        versions = {f"proxy_{index}": 1 for index in range(PROXIES)}
        describe_run(folder, protocol, {"architectures": len(archs), "seeds": [0], "proxies": versions, "shard": note})
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    done = merge_runs(folders, home / "merged")
    found = {
        "rows": done.scores,
        "rows written a second": round(written[1000] / seconds[1000]),
        "rows written a second, a transaction for each network": round(written[UNIT] / seconds[UNIT]),
        "merge seconds": round(time.perf_counter() - begin, 1),
        "merge memory MB": round(max(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
