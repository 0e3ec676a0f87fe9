"""What the order of a feature map in memory costs: the proxies of the table ``nasbench201`` in both layouts.

make benchmark
"""

from time import perf_counter

import torch

from zcbench import spaces
from zcbench.benchmarks.scoring.bundled import load
from zcbench.proxies import TeacherSignals, evaluate
from zcbench.streams import numpy_stream

NETWORKS = 6
ROUNDS = 3
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def test_layouts(benchmark):
    """Channels-last, in which the whole space was scored, takes less time than the contiguous layout."""
    torch.set_num_threads(1)
    space, proxies = spaces.get("nasbench201"), sorted(set(load("nasbench201")[1]["proxy"]))
    archs = space.sample(numpy_stream("layouts"), NETWORKS)
    images, labels = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))

    def seconds(layout: torch.memory_format) -> list[float]:
        batch = images.to(memory_format=layout), labels
        teacher = TeacherSignals(space.build(archs[0], seed=1).to(memory_format=layout))
        teacher_ready = space.build(archs[0]).to(memory_format=layout)
        evaluate(teacher_ready, batch, proxies, teacher=teacher, thin=lambda: space.thin(archs[0]))
        taken = []
        for arch in archs:
            network = space.build(arch, seed=0).to(memory_format=layout)
            start = perf_counter()
            scores = evaluate(network, batch, proxies, teacher=teacher, thin=lambda arch=arch: space.thin(arch))
            taken.append(perf_counter() - start)
            assert len(scores) == len(proxies)
        return taken

    def rounds() -> dict[str, float]:
        runs = [{name: seconds(layout) for name, layout in LAYOUTS.items()} for _ in range(ROUNDS)]
        return {name: sum(map(min, zip(*(run[name] for run in runs)))) / NETWORKS for name in LAYOUTS}

    mean = benchmark.pedantic(rounds, rounds=1)
    print("\n" + ", ".join(f"{name} {value:.2f} s a network" for name, value in mean.items()))
    assert mean["channels_last"] < mean["contiguous"]
