"""What the order of a feature map in memory costs: the proxies of the table ``nasbench201`` in both layouts.

make benchmark
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter

import pytest
import torch
import torch.nn.functional as F

from zcbench import spaces
from zcbench.benchmarks.scoring.bundled import load
from zcbench.proxies import TeacherSignals, evaluate
from zcbench.runtime.memory import keep_freed
from zcbench.streams import numpy_stream

from .test_shared_pass import ARCHS, COUNTS, FIRST_ORDER, plain
from .timing import fastest

NETWORKS = 6
ROUNDS = 3
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
SIXTEEN = [*COUNTS, *(name for name in FIRST_ORDER if not name.startswith("diswot"))]


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


def bare(network, batch) -> None:
    """The passes of the sixteen proxies but synflow's: forward, gradients by all weights, gradient by the images."""
    network.train()
    images = batch[0].clone().requires_grad_()
    output = network(images)
    torch.autograd.grad(F.cross_entropy(output, batch[1]), list(network.parameters()), retain_graph=True)
    torch.autograd.grad(output.sum(), images)


@pytest.mark.parametrize("name", ARCHS)
def test_sixteen_proxies(name, benchmark):
    """In each layout at most 1.4 times the bare passes; ratios to a plain contiguous pass are printed."""
    torch.set_num_threads(1)
    keep_freed()
    space, batch = spaces.get("nasbench201"), (torch.randn(64, 3, 32, 32), torch.randint(10, (64,)))
    works: dict[str, Callable[[], object]] = {}
    for layout, form in LAYOUTS.items():
        network = space.build(ARCHS[name], seed=0).to(memory_format=form)
        given = network, (batch[0].contiguous(memory_format=form), batch[1])
        works |= {f"{layout}, plain": partial(plain, *given), f"{layout}, bare": partial(bare, *given)}
        works[f"{layout}, scored"] = partial(evaluate, *given, SIXTEEN)

    seconds = benchmark.pedantic(fastest, args=(works, ROUNDS), rounds=1)
    unit = seconds["contiguous, plain"]
    print(f"\n{name}: " + ", ".join(f"{what} {value / unit:.2f}" for what, value in seconds.items()))
    for layout in LAYOUTS:
        assert seconds[f"{layout}, scored"] <= 1.4 * seconds[f"{layout}, bare"]
