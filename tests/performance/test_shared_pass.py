"""What the shared pass costs, against one plain forward and backward of the same network, interleaved in one run.

    make benchmark

One thread, a NAS-Bench-201 network at C=16, N=5, batch 64 x 3 x 32 x 32. The asserted figures are ratios and bytes.
"""

import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import pytest
import torch
import torch.nn.functional as F

from zcbench import datasets, spaces
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.run import score_run
from zcbench.proxies import REGISTRY, TeacherSignals, evaluate
from zcbench.runtime.execution import Execution
from zcbench.runtime.memory import keep_freed
from zcbench.streams import numpy_stream

ARCHS = {
    "all 3x3": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "mixed": "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|",
}
COUNTS = ["params", "macs", "n_convs"]
FIRST_ORDER = [
    "l2_norm",
    "grad_norm",
    "snip",
    "plain",
    "fisher",
    "fisher_channel",
    "naswot",
    "swap",
    "swap_reg",
    "near",
]
FIRST_ORDER += ["diswot_relation", "diswot_semantic", "jacov", "epe_nas", "synflow"]
GROUPS = {
    "grasp": ["grasp"],
    "zen": ["zen"],
    "zico": ["zico"],
    "gradsign": ["gradsign"],
    "te_nas_ntk": ["te_nas_ntk"],
    "te_nas_regions": ["te_nas_regions"],
    "vkdnw, vkdnw_single": ["vkdnw", "vkdnw_single"],
    "meco, meco_opt": ["meco", "meco_opt"],
    "dextr": ["dextr"],
    "az_nas, four parts": ["az_expressivity", "az_progressivity", "az_trainability", "az_complexity"],
}
ROUNDS = 3
PEAK = """
import re, sys, torch, zcbench
torch.set_num_threads(1)
space = zcbench.spaces.get("nasbench201")
network, thin = space.build(sys.argv[1]), lambda: space.thin(sys.argv[1])
batch = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
names = sys.argv[2].split(",")
scores = zcbench.proxies.evaluate(network, batch, names, teacher=space.build(sys.argv[1], seed=1), thin=thin)
assert all(score.status == "ok" for score in scores), scores
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.fixture(params=ARCHS, scope="module")
def setting(request):
    torch.set_num_threads(1)
    keep_freed()  # as a worker does
    space = spaces.get("nasbench201")
    arch = ARCHS[request.param]
    network, teacher = space.build(arch, seed=0), TeacherSignals(space.build(ARCHS["all 3x3"], seed=1))
    batch = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
    evaluate(network, batch, COUNTS + FIRST_ORDER, teacher=teacher)  # the teacher is computed once for all students
    return (
        request.param,
        partial(evaluate, network, batch, teacher=teacher, thin=lambda: space.thin(arch)),
        network,
        batch,
    )


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
    """All first-order proxies together take at most 1.8 plain forward and backward passes."""
    name, scored, network, batch = setting
    sets = {proxy: COUNTS + FIRST_ORDER[: number + 1] for number, proxy in enumerate(FIRST_ORDER)} | GROUPS
    works: dict[str, Callable[[], object]] = {proxy: partial(scored, proxies=chosen) for proxy, chosen in sets.items()}
    works["plain"] = partial(plain, network, batch)
    seconds = benchmark.pedantic(fastest, args=(works,), rounds=1)
    print(f"\n{name}: plain forward and backward {seconds['plain']:.3f} s\n")
    print("| proxy | together | it adds |\n|---|---:|---:|")
    before = 0.0
    for proxy in FIRST_ORDER:
        ratio = seconds[proxy] / seconds["plain"]
        print(f"| + {proxy} | {ratio:.2f} | {ratio - before:+.2f} |")
        before = ratio
    for group in GROUPS:
        print(f"| {group}, alone | {seconds[group] / seconds['plain']:.2f} | |")
    assert len(COUNTS + FIRST_ORDER) >= 16
    assert before <= 1.8


def test_kd_losses_ratio(setting, benchmark):
    """All recast losses add at most 30 % to the first-order proxies of a student; the teacher is computed before."""
    name, scored, *_ = setting
    losses = [proxy for proxy in REGISTRY.names() if proxy.startswith("kd:")]
    teacher = TeacherSignals(spaces.get("resnet").build("resnet56", seed=1))
    both = {"first order": COUNTS + FIRST_ORDER, "with all losses": COUNTS + FIRST_ORDER + losses}
    statuses = {score.status for score in scored(proxies=both["with all losses"], teacher=teacher)}
    works: dict[str, Callable[[], object]] = {
        what: partial(scored, proxies=proxies, teacher=teacher) for what, proxies in both.items()
    }
    seconds = benchmark.pedantic(fastest, args=(works,), rounds=1)
    ratio = seconds["with all losses"] / seconds["first order"]
    print(f"\n{name}: first order {seconds['first order']:.2f} s, with {len(losses)} losses {ratio:.2f} times that")
    assert statuses == {"ok"}
    assert ratio <= 1.3


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc, which tells a process its peak memory")
@pytest.mark.parametrize("names", [FIRST_ORDER, *GROUPS.values()], ids=["first order", *GROUPS])
def test_peak_memory(names, benchmark):
    """A process that scores the largest cell at batch 64 stays under 1.5 GB, PyTorch included; with grasp under 2."""
    command = [sys.executable, "-c", PEAK, ARCHS["all 3x3"], ",".join(names)]
    done = benchmark.pedantic(subprocess.run, (command,), {"check": True, "capture_output": True}, rounds=1)
    peak = int(done.stdout)
    print(f"\n{', '.join(names)}: {peak / 2**20:.2f} GiB")
    assert peak * 1024 < (2e9 if "grasp" in names else 1.5e9)


def test_two_workers(tmp_path, benchmark):
    """Two worker processes score at least 1.8 times as many networks a second as one."""
    space = spaces.get("nasbench201")
    archs = space.sample(numpy_stream("performance"), 128)
    batch = datasets.batch(datasets.load("noise"), 64)

    def run(workers: int) -> float:
        start = perf_counter()
        how, out = Execution(workers=workers), tmp_path / str(workers)
        score_run(Conditions(space, batch), archs, FIRST_ORDER[:7], [0], out, execution=how)
        return perf_counter() - start

    seconds = benchmark.pedantic(lambda: {workers: run(workers) for workers in (1, 2)}, rounds=1)
    print(f"\n{len(archs)} networks: {seconds[1]:.1f} s with one worker, {seconds[2]:.1f} s with two")
    assert seconds[1] / seconds[2] >= 1.8


def test_nothing_is_left_between_architectures(benchmark):
    """The peak memory of a process does not grow with the networks that it has scored."""
    space, batch = spaces.get("nasbench201"), (torch.randn(16, 3, 32, 32), torch.randint(10, (16,)))
    archs = space.sample(numpy_stream("memory"), 10)

    def peak(seed: int) -> int:
        for arch in archs:
            evaluate(space.build(arch, seed=seed), batch, COUNTS + FIRST_ORDER[:10])
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    peaks = benchmark.pedantic(lambda: [peak(seed) for seed in range(4)], rounds=1)
    print(f"\npeak after 10, 20, 30, 40 networks: {', '.join(f'{peak / 2**10:.0f} MiB' for peak in peaks)}")
    assert peaks[-1] < 1.1 * peaks[0]
