"""Fingerprint of the definition of a function that is no part of zcbench: numbers of two definitions are never mixed.

It covers the code that a result can depend on, and changes with nothing else: comments, documentation, layout and the
definitions that the function does not use may be edited.
"""

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import cast

from zcbench.registry import is_own

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_INSTALLED = {"site-packages", "dist-packages"}
_PLAIN = (int, float, complex, str, bytes, bool, type(None))


def content(function: Callable[..., object]) -> str | None:
    """SHA-256 of all that defines ``function``, in hexadecimal; None for a part of zcbench.

    That is its code, the definitions that it uses of its module and of the modules beside it or in its package, and
    the plain values that it was made with: defaults, closure, arguments of a partial, attributes of an object. Of a
    plug-in file all statements count that are no definitions, of a script only those that bind a name that is used.
    """
    return None if is_own(function) else _digest(_texts(function))


def class_content(kind: type) -> str | None:
    """SHA-256 of all that defines a class, as of a function by `content`; None for a part of zcbench."""
    return None if is_own(kind) else _digest(_of_class(kind))


def is_installed(kind: type) -> bool:
    """Whether a class is of an installed package, PyTorch included, or of Python, and not of a file of the user's."""
    top = kind.__module__.partition(".")[0]
    file = getattr(sys.modules.get(top), "__file__", None)
    return top in sys.stdlib_module_names or (file is not None and bool(_INSTALLED & {*Path(file).parts}))


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "backslashreplace") + b"\0")
    return digest.hexdigest()


def _of_class(kind: type) -> Iterator[str]:
    module, name = sys.modules.get(kind.__module__), kind.__qualname__.partition(".")[0]
    parsed = _parsed(module)
    start = None if parsed is None else next((s for s in parsed.body if name in _bound_names(s)), None)
    if module is None or parsed is None or start is None:
        yield _written({key: getattr(value, "__func__", value) for key, value in vars(kind).items()})
        return
    yield from _of_statement(module, parsed, start)


def _of_statement(module: ModuleType, parsed: ast.Module, start: ast.stmt) -> Iterator[str]:
    """A statement, and what it needs of its module and of the modules beside it."""
    chosen = _used(parsed.body, start, script=module.__name__ in ("__main__", "__mp_main__"))
    yield from map(_dumped, chosen)
    yield from _beside(module, chosen)


def _texts(function: object) -> Iterator[str]:
    """Texts that define a function, a partial, a method, or a callable object."""
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None:
        yield from _texts(wrapped)
    if isinstance(function, functools.partial):
        yield from _texts(function.func)
        yield _written((function.args, function.keywords))
    elif inspect.ismethod(function):
        yield from _texts(function.__func__)
        yield _written(getattr(function.__self__, "__dict__", {}))
    elif not hasattr(function, "__code__"):
        yield _written(getattr(function, "__dict__", {}))
        call = vars(type(function)).get("__call__")
        if not is_own(type(function)) and hasattr(call, "__code__"):
            yield from _texts(call)
    else:
        yield from _of_code(cast(FunctionType, function))


def _of_code(function: FunctionType) -> Iterator[str]:
    cells = [_cell(cell) for cell in function.__closure__ or ()]
    yield _written((function.__defaults__, function.__kwdefaults__, cells))
    module = sys.modules.get(function.__module__)
    parsed = _parsed(module)
    start = None if parsed is None else _statement(parsed, function.__code__.co_firstlineno)
    if module is None or parsed is None or start is None:
        yield _compiled(function.__code__)
        return
    yield from _of_statement(module, parsed, start)


def _cell(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # it is not filled yet
        return None


def _written(value: object) -> str:
    """A plain value, or nest of such, as text; of others the type, of functions the code."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_written(key)}: {_written(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(_written, value))})"
    if isinstance(value, set | frozenset):
        return f"set({', '.join(sorted(map(_written, value)))})"
    code = getattr(value, "__code__", None)
    return _compiled(code) if isinstance(code, CodeType) else type(value).__qualname__


def _compiled(code: CodeType) -> str:
    """Code without its source, as of a function typed into an interpreter."""
    constants = [_compiled(item) if isinstance(item, CodeType) else _written(item) for item in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def _parsed(module: ModuleType | None) -> ast.Module | None:
    with suppress(OSError, TypeError, SyntaxError, ValueError):
        return None if module is None else ast.parse(inspect.getsource(module))
    return None


def _statement(tree: ast.Module, line: int) -> ast.stmt | None:
    """The statement of a module that has ``line``, decorators included."""
    for statement in tree.body:
        first = min(node.lineno for node in (statement, *getattr(statement, "decorator_list", ())))
        if first <= line <= (statement.end_lineno or first):
            return statement
    return None


def _used(body: list[ast.stmt], start: ast.stmt, *, script: bool) -> list[ast.stmt]:
    """The statements of a module that ``start`` needs, in their order."""
    chosen = {id(s) for s in body if s is start or not (script or isinstance(s, _DEFINITIONS))}
    while True:
        names = {name for s in body if id(s) in chosen for name in _loaded_names(s)}
        more = {id(s) for s in body if id(s) not in chosen and not names.isdisjoint(_bound_names(s))}
        if not more:
            return [s for s in body if id(s) in chosen]
        chosen |= more


def _loaded_names(statement: ast.stmt) -> Iterator[str]:
    return (node.id for node in ast.walk(statement) if isinstance(node, ast.Name))


def _bound_names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, _DEFINITIONS):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, _DEFINITIONS):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]


def _dumped(tree: ast.AST) -> str:
    """A syntax tree as text, without its documentation."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, (*_DEFINITIONS, ast.Module)) and body and _is_documentation(body[0]):
            node.body = body[1:] or [ast.Pass()]
    return ast.dump(tree)


def _is_documentation(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(statement, ast.Expr) and isinstance(value, ast.Constant) and isinstance(value.value, str)


def _beside(module: ModuleType, statements: Iterable[ast.AST]) -> Iterator[str]:
    """The whole of each module that is imported from the folder or the package of ``module``, and their imports."""
    seen: set[Path] = set()
    waiting = [(module, list(statements))]
    while waiting:
        home, parts = waiting.pop()
        for name in sorted(_imported(home, parts)):
            spec = None
            with suppress(Exception):  # a name of that module, and no module
                spec = importlib.util.find_spec(name)
            file = Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None
            if file is None or file in seen or not _is_beside(module, name, file):
                continue
            seen.add(file)
            tree = None
            with suppress(OSError, SyntaxError, ValueError):
                tree = ast.parse(file.read_bytes())
            if tree is not None:
                waiting.append((_like(name, file), [tree]))
                yield _dumped(tree)


def _like(name: str, file: Path) -> ModuleType:
    """A module of this name and file, of which nothing was run."""
    module = ModuleType(name)
    module.__file__ = str(file)
    module.__package__ = name if file.name == "__init__.py" else name.rpartition(".")[0]
    return module


def _imported(module: ModuleType, statements: Iterable[ast.AST]) -> Iterator[str]:
    """Names of all modules that the statements may import."""
    for node in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                with suppress(ImportError, TypeError, ValueError):
                    base = importlib.util.resolve_name("." * node.level + base, module.__package__ or "")
            yield base
            yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)


def _is_beside(module: ModuleType, name: str, file: Path) -> bool:
    top = name.partition(".")[0]
    if top == "zcbench" or file.suffix != ".py":
        return False
    if "." in module.__name__ and top == module.__name__.partition(".")[0]:
        return True
    home = Path(getattr(module, "__file__", None) or "").resolve().parent
    installed = _INSTALLED & set(file.parts)
    return bool(getattr(module, "__file__", None)) and not installed and file.resolve().is_relative_to(home)
