"""Fingerprints of the user's code in a training: losses and networks.

The code of PyTorch, NumPy, the standard library and zcbench itself is left out; versions stand for it.
"""

import dis
import hashlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType

import torch
from torch import Tensor, nn

_VERSIONED = frozenset({"torch", "torchvision", "numpy", "zcbench", "builtins"}) | sys.stdlib_module_names
#: Attribute under which a function of zcbench keeps the user's function that it calls.
WRAPPED = "user_function"
_PLUGIN = "zcbench_plugin_"  # name of every module that was loaded from a plug-in file
_PLAIN = (int, float, complex, str, bytes, bool, type(None), torch.dtype)


def function_sha256(*functions: object) -> str:
    """Fingerprint of the code of functions, of the user's functions that they call, and of the values referred to."""
    return _digest(_functions(list(functions)))


def network_code_sha256(network: nn.Module) -> str:
    """Fingerprint of a network's structure and of the user's classes in it; its weights are not part of it."""
    kinds = {type(module) for module in network.modules()}
    own = [value for module in network.modules() for value in vars(module).values() if _is_code(value)]
    code = _digest(_functions([*sorted(kinds, key=lambda kind: (kind.__module__, kind.__qualname__)), *own]))
    return hashlib.sha256(f"{network} {code}".encode()).hexdigest()


def attributes_read(function: object) -> set[str]:
    """Names of all attributes that a function, and the user's functions that it calls, look up."""
    return {
        instruction.argval
        for item in _functions([function])
        for code in _codes(item.__code__)
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD")
    }


def _functions(starts: list[object]) -> list[FunctionType]:
    """Functions of the user that can be reached from ``starts``, in a fixed order."""
    found: dict[int, FunctionType] = {}
    seen, waiting = set[int](), list(reversed(starts))
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, FunctionType) and not _versioned(item):
            found[id(item)] = item
        waiting += reversed(_reached(item))
    return list(found.values())


def _reached(item: object) -> list[object]:
    if isinstance(item, MethodType):
        return [item.__func__]
    if isinstance(item, staticmethod | classmethod):
        return [item.__func__]
    if isinstance(item, property):
        return [item.fget]
    if isinstance(item, partial):
        return [item.func, *item.args, *item.keywords.values()]
    if isinstance(item, type):
        return [] if _versioned(item) else [*item.__bases__, *(value for value in vars(item).values())]
    if isinstance(item, FunctionType):
        return [getattr(item, WRAPPED, None)] if _versioned(item) else [value for _, value in _values(item)]
    if isinstance(item, ModuleType | Tensor | CodeType) or _versioned(type(item)):
        return [getattr(item, "__wrapped__", None)]
    return [type(item)]


def _values(function: FunctionType) -> list[tuple[str, object]]:
    """What a function refers to besides its arguments: globals, attributes of modules, closure and defaults."""
    codes = list(_codes(function.__code__))
    names = list(dict.fromkeys(name for code in codes for name in code.co_names))
    found = [(name, function.__globals__[name]) for name in names if name in function.__globals__]
    modules = [value for _, value in found if isinstance(value, ModuleType) and not _versioned(value)]
    found += [(name, vars(module)[name]) for module in modules for name in names if name in vars(module)]
    found += list(_closure(function))
    found += [("default", value) for value in function.__defaults__ or ()]
    return found + list((function.__kwdefaults__ or {}).items())


def _closure(function: FunctionType) -> Iterator[tuple[str, object]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        with suppress(ValueError):  # an empty cell
            yield name, cell.cell_contents


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _digest(functions: list[FunctionType]) -> str:
    digest = hashlib.sha256()
    for function in functions:
        for code in _codes(function.__code__):
            constants = [_text(value) for value in code.co_consts]
            digest.update(repr((code.co_name, code.co_code, code.co_names, constants)).encode())
        digest.update(repr([(name, _text(value)) for name, value in _values(function)]).encode())
    files = {file for function in functions if (file := _plugin_file(function))}
    for file in sorted(files):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()


def _plugin_file(function: FunctionType) -> str | None:
    file = function.__code__.co_filename
    return file if str(function.__module__).startswith(_PLUGIN) and Path(file).is_file() else None


def _text(value: object) -> str:
    """A text for values that can be written down; the kind alone for all others."""
    if isinstance(value, Tensor):
        content = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        return f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(content).hexdigest()}"
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, tuple | list):
        return str([_text(item) for item in value])
    if isinstance(value, set | frozenset):
        return str(sorted(_text(item) for item in value))
    if isinstance(value, dict):
        return str([(_text(key), _text(item)) for key, item in value.items()])
    return type(value).__qualname__


def _versioned(item: object) -> bool:
    name = item.__name__ if isinstance(item, ModuleType) else getattr(item, "__module__", None)
    return str(name).partition(".")[0] in _VERSIONED and name != "__main__"


def _is_code(value: object) -> bool:
    return isinstance(value, FunctionType | MethodType | partial)
