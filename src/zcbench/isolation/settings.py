"""Global settings of PyTorch, NumPy and Python, which foreign code may change: saved before it runs, restored after.

Only code from outside zcbench is run inside `kept`: plug-ins while they are loaded, and their proxies.
"""

import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch._tensor_str import PRINT_OPTS
from torch.backends import opt_einsum
from torch.nn.modules import module as hooked


class Setting(NamedTuple):
    """A setting: its name, how it is read, and how it is written."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _flags() -> Iterator[Setting]:
    """Flags that PyTorch reads and writes by a pair of functions; those that this version lacks are left out."""
    names = {f"_get_{name}": f"_set_{name}" for name in _PAIRS} | _NAMED_OTHERWISE
    for getter, setter in names.items():
        if hasattr(torch._C, getter) and hasattr(torch._C, setter):
            write = partial(_write_flag, getattr(torch._C, setter))
            yield Setting(getter.removeprefix("_get_"), getattr(torch._C, getter), write)


def _write_flag(setter: Callable[..., object], value: object) -> None:
    """Some flags are two: they are read as a pair and written as two arguments."""
    setter(*value) if isinstance(value, tuple) else setter(value)


_PAIRS = (
    *("mkldnn_enabled", "mkldnn_deterministic", "onednn_allow_tf32", "nnpack_enabled", "qengine"),
    *("cudnn_enabled", "cudnn_benchmark", "cudnn_deterministic", "cudnn_allow_tf32", "cublas_allow_tf32"),
    *("cublas_allow_fp16_reduced_precision_reduction", "cublas_allow_bf16_reduced_precision_reduction"),
    *("cublas_allow_fp16_accumulation", "cpu_allow_fp16_reduced_precision_reduction"),
    *("math_sdp_allow_fp16_bf16_reduction", "sdp_priority_order", "linalg_preferred_backend", "blas_preferred_backend"),
    *("deterministic_fill_uninitialized_memory", "warnAlways"),
)
_SDP = ("math", "flash", "mem_efficient", "cudnn", "overrideable", "fa3")
_NAMED_OTHERWISE = {f"_get_{kind}_sdp_enabled": f"_set_sdp_use_{kind}" for kind in _SDP} | {
    "_is_multithreading_enabled": "_set_multithreading_enabled"
}


def _precisions() -> Iterator[Setting]:
    """Precision of float32 in each backend and operation, where PyTorch keeps one for each."""
    read, write = (getattr(torch._C, f"_{name}", None) for name in _PRECISION)
    if read is not None and write is not None:
        for backend, kind in _BACKENDS:
            name = f"fp32_precision of {backend} {kind}"
            yield Setting(name, partial(read, backend, kind), partial(write, backend, kind))


_PRECISION = ("get_fp32_precision_getter", "set_fp32_precision_setter")
_BACKENDS = (("generic", "all"), *((b, k) for b in ("cuda", "mkldnn") for k in ("all", "matmul", "conv", "rnn")))


def _autocast() -> Iterator[Setting]:
    for device in ("cpu", "cuda"):
        for kind in ("enabled", "dtype"):
            read = getattr(torch, f"is_autocast_{kind}" if kind == "enabled" else f"get_autocast_{kind}")
            write = getattr(torch, f"set_autocast_{kind}")
            yield Setting(f"autocast {kind} of {device}", partial(read, device), partial(write, device))
    yield Setting("autocast cache", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled)
    yield Setting("autocast nesting", _read_nesting, _write_nesting)


def _read_nesting() -> int:
    """How many automatic casts are entered; while there is one, casts of weights are kept and not made anew."""
    torch.autocast_increment_nesting()
    return int(torch.autocast_decrement_nesting())


def _write_nesting(depth: int) -> None:
    while _read_nesting() > depth:
        torch.autocast_decrement_nesting()
    if depth == 0:
        torch.clear_autocast_cache()


def _attributes() -> Iterator[Setting]:
    for owner, name in (
        *((opt_einsum, name) for name in ("enabled", "strategy")),
        *((warnings, "showwarning"), (sys, "stdout"), (sys, "stderr")),
    ):
        read, write = partial(getattr, owner, name), partial(setattr, owner, name)
        yield Setting(f"{owner.__name__}.{name}", read, write)


def _containers() -> Iterator[Setting]:
    """Dictionaries that are changed in place: their content is saved and restored."""
    for name, value in vars(hooked).items():
        if name.startswith("_global_") and isinstance(value, dict):
            yield _container(name.strip("_"), value)
    yield _container("print options of PyTorch", vars(PRINT_OPTS))


def _container(name: str, value: dict[str, object]) -> Setting:
    def write(content: dict[str, object]) -> None:
        value.clear()
        value.update(content)

    return Setting(name, value.copy, write)


def _read_deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _write_deterministic(modes: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(modes[0], warn_only=modes[1])


def _read_anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _write_anomaly(modes: tuple[bool, bool]) -> None:
    torch.set_anomaly_enabled(*modes)


def _flushes_denormals() -> bool:
    """Whether denormal numbers become zero on this thread, which PyTorch can set but not read."""
    return torch.tensor([5e-324], dtype=torch.float64, device="cpu").mul(2).item() == 0


def _read_modes() -> tuple[object, list[object]]:
    """The default device, and the modes that stand between a call of PyTorch and its work."""
    device = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return device, [torch._C._get_function_stack_at(i) for i in range(torch._C._len_torch_function_stack())]


def _write_modes(modes: tuple[object, list[object]]) -> None:
    device, stack = modes
    torch._GLOBAL_DEVICE_CONTEXT.device_context = device
    for _ in range(torch._C._len_torch_function_stack()):
        torch._C._pop_torch_function_stack()
    for mode in stack:
        torch._C._push_on_torch_function_stack(mode)


def _read_saving() -> object:
    return torch._C._autograd._top_saved_tensors_default_hooks(False)


def _write_saving(before: object) -> None:
    """Remove hooks that were pushed on the stack of hooks of saved tensors."""
    while _read_saving() not in (None, before):
        torch._C._autograd._pop_saved_tensors_default_hooks()


def _read_device() -> int | None:
    return torch.cuda.current_device() if torch.cuda.is_initialized() else None


def _write_device(device: int | None) -> None:
    if device is not None:
        torch.cuda.set_device(device)


def _write_warnings(filters: list[object]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    if hasattr(warnings, "_filters_mutated"):
        warnings._filters_mutated()


def _write_environment(values: dict[str, str]) -> None:
    for name in os.environ.keys() - values.keys():
        del os.environ[name]
    os.environ.update(values)


def _write_collector(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()


#: Guards that switch inference mode back where foreign code has left it on; each acts while it is referenced.
_HELD: list[Any] = []

#: Settings that numbers may depend on: restored after a plug-in was loaded, and after each of its proxies.
NUMERIC = (
    Setting("modes and default device", _read_modes, _write_modes),
    Setting("hooks of saved tensors", _read_saving, _write_saving),
    Setting("CUDA device", _read_device, _write_device),
    Setting("default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Setting("threads", torch.get_num_threads, torch.set_num_threads),
    Setting("float32 matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    Setting("deterministic algorithms", _read_deterministic, _write_deterministic),
    Setting("anomaly detection", _read_anomaly, _write_anomaly),
    Setting("gradients", torch.is_grad_enabled, torch.set_grad_enabled),
    Setting("flushing of denormals", _flushes_denormals, torch.set_flush_denormal),
    Setting("errors of NumPy", np.geterr, lambda errors: np.seterr(**errors)),
    *_flags(),
    *_precisions(),
    *_autocast(),
    *_containers(),
)
#: Other settings of a process: restored after each proxy of a plug-in.
PROCESS = (
    Setting("warnings", lambda: list(warnings.filters), _write_warnings),
    Setting("environment", lambda: dict(os.environ), _write_environment),
    Setting("current folder", os.getcwd, os.chdir),
    Setting("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Setting("garbage collector", gc.isenabled, _write_collector),
    Setting("print options of NumPy", np.get_printoptions, lambda options: np.set_printoptions(**options)),
    *_attributes(),
)


@contextmanager
def kept(settings: tuple[Setting, ...] = NUMERIC + PROCESS) -> Iterator[None]:
    """Restore ``settings`` after the block, in which code of others runs.

    Example:
        >>> with kept():
        ...     torch.set_default_dtype(torch.float64)
        >>> torch.get_default_dtype()
        torch.float32
    """
    inference, before = torch.is_inference_mode_enabled(), []
    for setting in settings:
        with suppress(Exception):  # a setting that this build of PyTorch cannot read
            before.append((setting, setting.read()))
    try:
        yield
    finally:
        if torch.is_inference_mode_enabled() != inference:
            _HELD.append(torch._C._InferenceMode(inference))
            _HELD[-1].__enter__()
        for setting, value in before:
            _restore(setting, value)


_listeners: list[set[str]] = []


@contextmanager
def noticed() -> Iterator[set[str]]:
    """A set of names, to which every setting is added that `kept` had to restore within the block."""
    names: set[str] = set()
    _listeners.append(names)
    try:
        yield names
    finally:
        _listeners.pop()


def _restore(setting: Setting, value: object) -> None:
    """Write ``value`` unless it is set already; a value that the machine refuses is skipped."""
    with suppress(Exception):
        if setting.read() == value:
            return
    for names in _listeners:
        names.add(setting.name)
    with suppress(Exception):
        setting.write(value)
