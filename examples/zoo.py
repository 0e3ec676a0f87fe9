"""Score networks of other packages with all proxies, and compare their sizes with another counter.

    pip install "zcbench[zoo]" && python examples/zoo.py --out docs/results/zoo.md

Each network has random weights of seed 0 and is shown 8 random images. Finished networks are kept in a JSON Lines file,
so that the command can be stopped and started again; they are computed anew when a file of zcbench changed.
"""

import argparse
import hashlib
import json
import os
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from zoo_counters import count_apart
from zoo_networks import CLASSES, IMAGES, Entry, declare_torchvision, entries
from zoo_page import page

import zcbench
from zcbench.proxies import REGISTRY, evaluate
from zcbench.proxies.scoring.evaluation import Score, ScoreFailure

#: Files of this example on which a result depends.
OWN = {"zoo.py", "zoo_counters.py", "zoo_networks.py", "zoo_settings.py"}


def batch_of(side: int) -> tuple[Tensor, Tensor]:
    """The images, standard normal, and their labels."""
    stream = torch.Generator().manual_seed(0)
    return torch.randn(IMAGES, 3, side, side, generator=stream), torch.arange(IMAGES) % CLASSES


def made(entry: Entry, seed: int) -> nn.Module:
    """The network with the weights of a seed."""
    torch.manual_seed(seed)
    return entry.make()


def score_all(network: nn.Module, batch: tuple[Tensor, Tensor], teacher: nn.Module) -> tuple[list[Score], str]:
    """The scores of all proxies, and what ``zcbench.score(network, batch)`` raised, if it did."""
    names = [item.name for item in REGISTRY.usable()[0] if not item.needs_thin]
    known: list[Score] = []
    raised = ""
    try:
        values = zcbench.score(network, batch)
        known = [Score(name, 0, value, "ok", "", 0.0) for name, value in values.items()]
    except ScoreFailure as error:
        known, raised = error.scores, f"ScoreFailure: {error}"
    except Exception as error:
        raised = f"{type(error).__name__}: {error}"
    done = {item.proxy for item in known}
    return known + evaluate(network, batch, [n for n in names if n not in done], teacher=teacher), raised


def measure(entry: Entry) -> dict[str, Any]:
    """All that the page says about one network; its teacher has the same architecture and other weights."""
    network, batch = made(entry, 0), batch_of(entry.side)
    start = time.perf_counter()
    scores, raised = score_all(network, batch, made(entry, 1))
    seconds = time.perf_counter() - start
    values = {item.proxy: item.value for item in scores if item.status == "ok"}
    failed = [[item.proxy, item.status, item.reason] for item in scores if item.status != "ok"]
    return {
        **{"package": entry.package, "name": entry.name, "side": entry.side, "seconds": round(seconds, 1)},
        **{
            "raised": raised,
            "values": values,
            "failed": failed,
            "apart": count_apart(network, batch[0][:1], values.get("macs")),
        },
    }


def fingerprint() -> str:
    """Hash of zcbench's own files, and of the files of this example; where they lie does not matter."""
    home, here = Path(zcbench.__file__).parent, Path(__file__).parent
    found = (Path(folder, name) for folder, _, names in os.walk(home, followlinks=True) for name in names)
    files = [*sorted(file for file in found if file.suffix == ".py"), *(here / name for name in sorted(OWN))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def kept(path: Path, key: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Results in the file that the same code made."""
    lines = path.read_text().splitlines() if path.is_file() else []
    results = [json.loads(line) for line in lines]
    return {(item["package"], item["name"]): item for item in results if item["key"] == key}


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/results/zoo.md"))
    parser.add_argument("--partial", type=Path, default=Path("runs/zoo.jsonl"), help="where finished networks are kept")
    parser.add_argument("--only", default="", help="only networks whose package or name contains this")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    library = declare_torchvision()
    key = fingerprint()
    chosen = [item for item in entries() if options.only in f"{item.package} {item.name}"]
    results = kept(options.partial, key)
    options.partial.parent.mkdir(parents=True, exist_ok=True)
    for entry in chosen:
        if (entry.package, entry.name) not in results:
            result = {"key": key, **measure(entry)}
            results[entry.package, entry.name] = result
            with options.partial.open("a") as file:
                file.write(json.dumps(result) + "\n")
            bad = [item for item in result["failed"] if item[1] == "error"]
            print(
                f"{entry.package} {entry.name}: {result['seconds']} s, {len(bad)} errors {result['raised'][:80]}",
                flush=True,
            )
    versions = {name: version(name) for name in ("torch", *dict.fromkeys(item.package for item in chosen), "fvcore")}
    options.out.write_text(page([results[item.package, item.name] for item in chosen], versions))
    del library


if __name__ == "__main__":
    main()
