"""All proxies on a GPU compared with the CPU, and networks a second: python examples/gpu_check.py [DEVICE] [OUT.json].

Under ten minutes on one GPU. Prints the table of docs/performance.md, and writes a small JSON file. Exits with 1 where
a proxy differs by more than its tolerance, and with a sentence where there is no such device.
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from zcbench import Execution, Setup
from zcbench.benchmarks.scoring.conditions import prepare
from zcbench.benchmarks.scoring.run import score_run
from zcbench.datasets import batch, load
from zcbench.errors import ZcbenchError
from zcbench.proxies import REGISTRY
from zcbench.runtime.devices import check_device, kind_of
from zcbench.storage.files import replaced
from zcbench.streams import numpy_stream

#: Largest difference of a float32 score, relative to the spread of the proxy over the networks.
TOLERANCE = 1e-3
#: First-order proxies: one forward and one backward pass.
FIRST_ORDER = [
    "grad_norm",
    "snip",
    "plain",
    "fisher",
    "fisher_channel",
    "naswot",
    "swap",
    "near",
    "jacov",
    "epe_nas",
    "synflow",
    "l2_norm",
]
WORKERS = (1, 2, 4, 8)


def compare(setup: Setup, device: str, count: int, names: Sequence[str], home: Path) -> pd.DataFrame:
    """For each proxy its largest difference between device and CPU, as a share of its spread, and its statuses."""
    frames = {}
    for where in ("cpu", device):
        conditions = prepare(replace(setup, device=where), names)
        archs = conditions.space.sample(numpy_stream("gpu check"), count)
        workers = 1 if kind_of(where) == "cuda" else 2
        run = score_run(conditions, archs, names, [0], home / f"{where}-{len(frames)}", execution=Execution(workers))
        frames[f"{where}-{len(frames)}"] = run.scores().set_index(["proxy", "arch"])
    cpu, gpu = frames.values()
    both = cpu[["value", "status"]].join(gpu[["value", "status"]].add_suffix("_device"))
    rows = []
    for proxy, part in both.groupby("proxy"):
        spread = max(float(part["value"].std()), float(part["value"].abs().max()) * 1e-6, 1e-30)
        difference = float((part["value"] - part["value_device"]).abs().max()) / spread
        same = bool((part["status"] == part["status_device"]).all())
        rows.append((proxy, difference, same, bool(same and not difference > TOLERANCE)))
    return pd.DataFrame(rows, columns=["proxy", "difference", "same statuses", "within tolerance"])


def speed(setup: Setup, device: str, count: int, home: Path) -> dict[str, float]:
    """Networks a second with the first-order set, by the number of workers on the device."""
    found = {}
    for workers in WORKERS:
        conditions = prepare(replace(setup, device=device), FIRST_ORDER)
        archs = conditions.space.sample(numpy_stream("gpu speed", workers), count + workers)
        how, out = Execution(workers), home / f"speed-{workers}"
        score_run(conditions, archs[:workers], FIRST_ORDER, [0], out, execution=how)
        begin = time.perf_counter()
        score_run(conditions, archs[workers:], FIRST_ORDER, [0], out, execution=how)
        found[str(workers)] = round(count / (time.perf_counter() - begin), 2)
    return found


def check(device: str, file: Path, *, networks: int = 20, timed: int = 200, small: bool = False) -> bool:
    """Write the JSON of a device; whether every proxy is within its tolerance."""
    check_device(device)
    space = "nasbench201(channels=4,cells=1)" if small else "nasbench201"
    images = batch(load("noise", image_size=8 if small else 32), 8 if small else 64)
    setup = Setup(space=space, dataset=images)
    names = FIRST_ORDER if small else [name for name in REGISTRY.names() if not name.startswith("kd:genome")]
    with tempfile.TemporaryDirectory() as home:
        table = compare(setup, device, networks, names, Path(home))
        rates = {} if small else speed(setup, device, timed, Path(home))
    card = torch.cuda.get_device_name(device) if kind_of(device) == "cuda" else "CPU"
    content = {
        "device": card,
        "torch": torch.__version__,
        "networks": networks,
        "tolerance": TOLERANCE,
        "proxies": table.to_dict("records"),
        "networks a second by workers": rates,
    }
    with replaced(file) as draft:
        draft.write_text(json.dumps(content, indent=1) + "\n")
    print(table.to_string(index=False))
    print(f"{card}: networks a second by workers: {rates}")
    return bool(table["within tolerance"].all())


if __name__ == "__main__":
    given = [*sys.argv[1:], *("cuda", "gpu.json")[len(sys.argv) - 1 :]]
    try:
        sys.exit(0 if check(given[0], Path(given[1])) else "Some proxies differ by more than their tolerance.")
    except ZcbenchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
