"""What the shared pass costs, against one plain forward and backward of the same network, interleaved in one run.

    make benchmark

One thread, a NAS-Bench-201 network at C=16, N=5, a batch of 64 x 3 x 32 x 32. The asserted figures are ratios.
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter

import pytest
import torch
import torch.nn.functional as F

import zcbench
from zcbench.proxies import Teacher, evaluate

ARCHS = {
    "all 3x3": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "mixed": "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|",
}
COUNTS = ["params", "macs", "n_convs"]
COUNTS = ["params", "macs", "n_convs"]
SHARED = ["l2_norm", "grad_norm", "snip", "plain", "fisher", "naswot"]
SHARED += ["diswot_relation", "diswot_semantic", "jacov", "epe_nas", "synflow"]
ROUNDS = 3


@pytest.fixture(params=ARCHS, scope="module")
def setting(request):
    torch.set_num_threads(1)
    space = zcbench.spaces.get("nasbench201")
    network, teacher = space.build(ARCHS[request.param], seed=0), Teacher(space.build(ARCHS["all 3x3"], seed=1))
    batch = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
    evaluate(network, batch, COUNTS + SHARED, teacher=teacher)  # the teacher is computed once for all students
    return request.param, network, batch, teacher


def plain(network, batch) -> None:
    network.train()
    F.cross_entropy(network(batch[0]), batch[1]).backward()


def fastest(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Least seconds of each, over rounds in which all take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = perf_counter()
            work()
            seconds[name].append(perf_counter() - start)
    return {name: min(values) for name, values in seconds.items()}


def test_shared_pass_ratio(setting, benchmark):
    """All listed proxies but grasp and zen take at most 2.5 plain forward and backward passes."""
    name, network, batch, teacher = setting
    sets = {proxy: COUNTS + SHARED[: number + 1] for number, proxy in enumerate(SHARED)}
    sets |= {"grasp": ["grasp"], "zen": ["zen"]}
    works: dict[str, Callable[[], object]] = {
        proxy: partial(evaluate, network, batch, chosen, teacher=teacher) for proxy, chosen in sets.items()
    }
    works["plain"] = partial(plain, network, batch)
    seconds = benchmark.pedantic(fastest, args=(works,), rounds=1)
    print(f"\n{name}: plain forward and backward {seconds['plain']:.3f} s\n")
    print("| proxy | together | it adds |\n|---|---:|---:|")
    before = 0.0
    for proxy in SHARED:
        ratio = seconds[proxy] / seconds["plain"]
        print(f"| + {proxy} | {ratio:.2f} | {ratio - before:+.2f} |")
        before = ratio
    for alone in ("grasp", "zen"):
        print(f"| {alone} alone | {seconds[alone] / seconds['plain']:.2f} | |")
    assert before <= 2.5
