"""Proxies of plug-ins are kept apart: what one changes is noticed and undone, and all others keep their bits."""

import builtins
import gc
import math
import os
import random
import threading
import time
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

import zcbench
from zcbench.isolation.settings import NUMERIC, PROCESS
from zcbench.proxies import Proxy, TeacherSignals, check, evaluate
from zcbench.proxies.passes.plan import PASSES

from ..conftest import make_network

OTHERS = ["snip", "naswot", "jacov", "zen", "grad_norm", "l2_norm", "kd:sp", "diswot_relation"]


def own(function, reads="logits", **options) -> Proxy:
    """A proxy of a plug-in."""
    settings = {"higher_is_better": True, "uses_labels": True, **options}
    return Proxy("own", function, frozenset([reads] if isinstance(reads, str) else reads), **settings)


def values(scores):
    return [(score.proxy, score.status, repr(score.value)) for score in scores]


def beside(function, reads, network, teacher, batch):
    """The score of a plug-in's proxy, after checks that everybody after it, also the next student, keeps their bits."""
    alone = values(evaluate(network, batch, OTHERS, teacher=teacher))
    shared = TeacherSignals(teacher)
    mine, *others = evaluate(network, batch, [own(function, reads), *OTHERS], teacher=shared)
    assert values(others) == alone
    assert values(evaluate(network, batch, OTHERS, teacher=shared)) == alone
    assert values(evaluate(network, batch, OTHERS, teacher=teacher)) == alone
    return mine


def clears(signals):
    signals.gradients.clear()


def replaces_an_entry(signals):
    signals.gradients[next(iter(signals.gradients))] = torch.zeros(1)


def deletes_an_entry(signals):
    del signals.parameters[next(iter(signals.parameters))]


def appends(signals):
    signals.relu_codes.append(signals.relu_codes[0])


def replaces_an_item(signals):
    signals.stages[0] = signals.stages[0] * 2


def clears_the_blocks(signals):
    signals.blocks.features.clear()


def appends_inside_a_pair(signals):
    signals.gaussian_response[1].append(torch.ones(1))


def clears_the_teachers(signals):
    signals.teacher.gradients.clear()


@pytest.mark.parametrize(
    ("function", "reads"),
    [
        (clears, "gradients"),
        (replaces_an_entry, "gradients"),
        (deletes_an_entry, "parameters"),
        (appends, "relu_codes"),
        (replaces_an_item, "stages"),
        (clears_the_blocks, "blocks"),
        (appends_inside_a_pair, "gaussian_response"),
        (clears_the_teachers, ("gradients", "teacher")),
    ],
)
def test_containers_of_signals_cannot_be_changed(function, reads, network, teacher, batch):
    """By construction: mappings and sequences refuse, and the reason says what to do."""
    mine = beside(function, reads, network, teacher, batch)
    assert mine.status == "error"
    assert "signals are read-only: work on a copy" in mine.reason


def through_numpy(signals):
    signals.logits.numpy()[...] = 0
    return 1.0


def sorts_through_numpy(signals):
    signals.logits.numpy().sort(axis=0)
    return 1.0


def weights_through_numpy(signals):
    next(iter(signals.parameters.values())).numpy()[...] = 0
    return 1.0


def through_data(signals):
    signals.features.data.mul_(2)
    return 1.0


def resets(signals):
    signals.logits.set_(torch.zeros(3))
    return 1.0


def reshapes(signals):
    signals.logits.resize_(2, 2)
    return 1.0


def transposes(signals):
    signals.logits.t_()
    return 1.0


def records_gradients(signals):
    signals.logits.requires_grad_()
    return 1.0


def the_teachers_weights_through_numpy(signals):
    signals.teacher.classifier.numpy()[...] = 0
    return 1.0


def images_through_numpy(signals):
    signals.images.numpy()[...] = 0
    return 1.0


def writes_and_raises(signals):
    signals.logits.numpy()[...] = 0
    raise RuntimeError("after it wrote")


@pytest.mark.parametrize(
    ("function", "reads"),
    [
        (through_numpy, "logits"),
        (sorts_through_numpy, "logits"),
        (weights_through_numpy, "parameters"),
        (through_data, "features"),
        (resets, "logits"),
        (reshapes, "logits"),
        (transposes, "logits"),
        (records_gradients, "logits"),
        (the_teachers_weights_through_numpy, ("classifier", "teacher")),
        (images_through_numpy, ()),
        (writes_and_raises, "logits"),
    ],
)
def test_writes_to_signals_are_noticed(function, reads, network, teacher, batch):
    """Invariance: whatever way a tensor is written to, the status says so and all others keep their bits."""
    kept = [tensor.clone() for tensor in (*network.state_dict().values(), *teacher.state_dict().values(), *batch)]
    assert beside(function, reads, network, teacher, batch).status == "changed_network"
    now = (*network.state_dict().values(), *teacher.state_dict().values(), *batch)
    assert all(map(torch.equal, now, kept))


def test_memory_of_a_plugin_is_its_own(network, teacher, batch):
    """By construction: what is derived once and shared cannot be replaced from outside."""

    def poisons(signals):
        for memory in (signals.memory, signals.teacher.memory):
            memory.update(dict.fromkeys(memory, torch.zeros(1)))
        return float(len(signals.memory))

    mine = own(poisons, ("logits", "features", "stages", "teacher"))
    alone = values(evaluate(network, batch, OTHERS, teacher=teacher))
    *others, last = evaluate(network, batch, [*OTHERS, mine], teacher=teacher)
    assert (values(others), last.value) == (alone, 0.0)
    assert values(evaluate(network, batch, [mine, *OTHERS], teacher=teacher))[1:] == alone


def a_new_parameter(n):
    n[0].weight = nn.Parameter(torch.zeros_like(n[0].weight))


def a_frozen_weight(n):
    n[9].weight.requires_grad_(False)


def another_dtype(n):
    n.half()


def a_deleted_bias(n):
    del n[9].bias


def a_registered_parameter(n):
    n.register_parameter("more", nn.Parameter(torch.ones(1)))


def a_new_module(n):
    n[1] = nn.Identity()


def an_added_module(n):
    n.add_module("more", nn.Linear(1, 1))


def a_deleted_module(n):
    del n[1]


def another_buffer(n):
    n[4].running_mean = torch.ones_like(n[4].running_mean)


def a_deleted_buffer(n):
    n[4].running_mean = None


def a_forward_hook(n):
    n[0].register_forward_hook(lambda module, args, output: output * 2)


def a_state_hook(n):
    n[0]._register_state_dict_hook(lambda module, state, prefix, local: {})


def a_load_hook(n):
    n[0].register_load_state_dict_post_hook(lambda module, keys: None)


def a_hook_of_a_weight(n):
    n[0].weight.register_hook(lambda gradient: gradient * 2)


def another_forward(n):
    n[0].forward = lambda x: x


def a_patched_class(n):
    type(n[0]).forward = lambda self, x: x


def another_class(n):
    n[5].__class__ = nn.Tanh


def an_attribute(n):
    n[0].stride = (2, 2)


def another_eps(n):
    n[4].eps = 10.0


def a_deleted_attribute(n):
    del n[0].padding


def an_added_attribute(n):
    n.more = 1


def a_parametrised_weight(n):
    nn.utils.parametrizations.weight_norm(n[9])


def an_exchanged_weight(n):
    n[0].weight.data = torch.zeros_like(n[0].weight)


CHANGES = [value for name, value in list(globals().items()) if name.startswith(("a_", "an_", "another_"))]


@pytest.mark.parametrize("change", CHANGES, ids=lambda function: function.__name__)
@pytest.mark.parametrize("raising", [False, True])
def test_changes_of_the_network_are_noticed_and_undone(change, raising, teacher, batch):
    """Invariance: state, objects, flags, attributes and hooks are those of before, also when the proxy raises."""
    network = make_network()

    def changes(signals):
        change(signals.network)
        if raising:
            raise RuntimeError("after the change")
        return 1.0

    def seen():
        return [
            (path, type(module), {name: id(value) for name, value in vars(module).items() if name != "training"})
            for path, module in network.named_modules()
        ], [(name, id(p), p.requires_grad, p.dtype, p._backward_hooks) for name, p in network.named_parameters()]

    before, state = seen(), {name: tensor.clone() for name, tensor in network.state_dict().items()}
    mine = beside(changes, "network", network, teacher, batch)
    assert mine.status == "changed_network", mine
    assert seen() == before
    after = network.state_dict()
    assert after.keys() == state.keys() and all(torch.equal(after[name], state[name]) for name in state)


def test_what_a_forward_pass_changes_by_itself_is_no_fault(batch):
    """By construction: a network that remembers its last output may be called; its memory is put back."""

    class Remembers(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.last, self.calls = nn.Linear(192, 5), None, []

        def forward(self, x):
            self.last = self.layer(x.flatten(1))
            self.calls.append(len(x))
            return self.last

    network, calls = Remembers(), own(lambda s: s.network(s.images).sum().item(), "network")
    assert evaluate(network, batch, [calls])[0].status == "ok"
    assert network.calls == [] and network.last is None

    def spoils(signals):
        signals.network.calls = "none"
        signals.network.more = 2
        return 1.0

    score = evaluate(network, batch, [own(spoils, "network")])[0]
    assert (score.status, "more" in score.reason) == ("changed_network", True)
    assert network.calls == [] and not hasattr(network, "more")


held: list[object] = []


def inference(on: bool = True) -> None:
    mode = torch.inference_mode(on)
    mode.__enter__()
    held.append(mode)


class Doubled(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        return result * 2 if function is F.relu else result


SETTINGS = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "device mode": lambda: torch.device("meta").__enter__(),
    "function mode": lambda: Doubled().__enter__(),
    "saved tensors": lambda: torch.autograd.graph.saved_tensors_hooks(lambda t: t * 2, lambda t: t).__enter__(),
    "threads": lambda: torch.set_num_threads(3),
    "matmul precision": lambda: torch.set_float32_matmul_precision("medium"),
    "deterministic": lambda: torch.use_deterministic_algorithms(True),
    "no gradients": lambda: torch.set_grad_enabled(False),
    "inference mode": inference,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16).__enter__(),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    "denormals": lambda: torch.set_flush_denormal(True),
    "mkldnn": lambda: torch.backends.mkldnn.set_flags(False),
    "cudnn": lambda: torch.backends.cudnn.set_flags(False, True, True),
    "attention": lambda: torch.backends.cuda.enable_math_sdp(False),
    "module hook": lambda: nn.modules.module.register_module_forward_hook(lambda module, args, output: output * 2),
    "NumPy errors": lambda: np.seterr(all="raise"),
    "warnings": lambda: warnings.simplefilter("error"),
    "NumPy generator": lambda: np.random.seed(0),
    "Python generator": lambda: random.seed(0),
    "environment": lambda: os.environ.update(OMP_NUM_THREADS="7"),
    "folder": lambda: os.chdir("/"),
    "collector": gc.disable,
    "printing": lambda: torch.set_printoptions(precision=1),
}


def all_settings():
    states = [repr(setting.read()) for setting in NUMERIC + PROCESS]
    return [*states, torch.is_inference_mode_enabled(), random.getstate(), np.random.get_state()[1].tolist()]


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_restored_and_change_nobody(name, network, teacher, batch):
    """Invariance: bits of all others, and every setting itself; the proxy's own score is a score."""
    before = all_settings()
    mine = beside(lambda s: SETTINGS[name]() is s or 1.0, "logits", network, teacher, batch)
    assert mine.status == "ok", mine
    assert all_settings() == before
    held.clear()


def doubles(owner, name):
    original = getattr(owner, name)
    setattr(owner, name, lambda *args, **options: original(*args, **options) * 2)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        *((F, "relu"), (F, "cross_entropy"), (torch, "relu"), (torch.Tensor, "sum"), (torch.Tensor, "relu")),
        *((nn.Conv2d, "forward"), (nn.Linear, "__call__"), (torch.autograd, "grad"), (torch.linalg, "slogdet")),
        *((np, "log"), (builtins, "sum"), (math, "log")),
    ],
)
def test_replaced_functions_are_put_back(owner, name, network, teacher, batch):
    """Invariance: bits of all others, and the very function; the status names it."""
    before, own_before = getattr(owner, name), name in vars(owner)
    mine = beside(lambda s: doubles(owner, name) or 1.0, "logits", network, teacher, batch)
    assert mine.status == "changed_network" and name in mine.reason
    assert getattr(owner, name) is before and (name in vars(owner)) == own_before


def test_parts_of_zcbench_are_put_back(network, teacher, batch):
    """By construction: a plug-in that takes the passes away."""

    def spoils(signals):
        zcbench.proxies.passes.plan.PASSES = ()
        return 1.0

    assert beside(spoils, "logits", network, teacher, batch).status == "changed_network"
    assert zcbench.proxies.passes.plan.PASSES is PASSES


@pytest.mark.parametrize(
    ("function", "reads", "seen"),
    [
        (through_numpy, "logits", "wrote to the signals"),
        (clears, "gradients", "read-only"),
        (lambda s: a_new_module(s.network) or 1.0, "network", "It changed stage1"),
        (lambda s: SETTINGS["default dtype"]() or s.logits.square().sum().item(), "logits", "default dtype"),
        (lambda s: SETTINGS["warnings"]() or s.logits.square().sum().item(), "logits", "warnings"),
    ],
)
def test_the_check_tells_of_all_this(function, reads, seen):
    """By construction: each fault is in the finding about the proxies after it."""
    findings = {finding.check: finding for finding in check(own(function, reads))}
    finding = findings["proxies after it keep their values"]
    assert not finding.passed and seen in finding.detail


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes to fork")
@pytest.mark.parametrize("child", ["returns", "raises", "hangs"])
def test_a_proxy_that_forks_returns_once(child, network, batch):
    """By construction: the other process ends inside the proxy, and none is left."""

    def forks(signals):
        number = os.fork()
        if number:
            return float(number)
        if child == "raises":
            raise RuntimeError("in the other process")
        time.sleep(100 if child == "hangs" else 0)
        return 2.0

    alone = values(evaluate(network, batch, ["snip"]))
    mine, snip = evaluate(network, batch, [own(forks), "snip"])
    assert mine.status == "ok" and values([snip]) == alone
    with pytest.raises(ProcessLookupError):
        os.kill(int(mine.value), 0)


def test_two_threads_give_the_same_bits(batch):
    """Invariance: weights and scores made in two threads at a time are those of one."""
    space = zcbench.spaces.get("nasbench201", channels=4, cells=1)
    arch, names = space[9000], ["snip", "zen", "jacov", own(lambda s: torch.rand(1).item())]
    images = torch.randn(8, 3, 8, 8), torch.arange(8)

    def once():
        network = space.build(arch, seed=3, image_shape=(3, 8, 8))
        return [repr(p.sum().item()) for p in network.parameters()], values(evaluate(network, images, names, seed=1))

    expected, found = once(), []
    threads = [threading.Thread(target=lambda: found.extend(once() for _ in range(4))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8
