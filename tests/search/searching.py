"""What the tests of ``zcbench search`` share: short commands, and a result without its times."""

import json
from pathlib import Path

SPACE = "nasbench201(channels=4,cells=1)"
SMALL = ["--space", SPACE, "--dataset", "noise", "--image-size", "8", "--batch-size", "8", "--no-report"]
FEW = ["--evaluations", 12, "--step", 3]
SHORT = [*FEW, "--population", 6, "--tournament", 3]
CONTRACT = ["--space", "nasbench201", "--proxies", "macs", "--algorithm", "evolution", "--max-params", "1.0M"]


def content(folder: Path) -> dict:
    """``search.json`` without what depends on time."""
    whole = json.loads((folder / "search.json").read_text())
    assert "wall_seconds" in whole.pop("times")
    return whole
