"""Files to start a plug-in from: a proxy, a distillation loss or a space, and a test of it."""

import builtins
import importlib.util
import keyword
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template

from zcbench.errors import DataError, DuplicateNameError, RegistrationError, unknown
from zcbench.lazy import load
from zcbench.registry import Registry
from zcbench.storage.files import replaced

_TEMPLATES = Path(__file__).parent / "templates"
#: Registry of each kind; a new name is one that it does not have.
_REGISTRIES: Mapping[str, Callable[[], Registry[object]]] = {
    "proxy": lambda: load("zcbench.proxies:REGISTRY"),
    "distiller": lambda: load("zcbench.distill:REGISTRY"),
    "space": lambda: load("zcbench.spaces:SPACES"),
}
#: Names that the files use themselves.
_USED = {*dir(builtins), "proxy", "Signals", "distiller", "Outputs", "Tensor", "space", "Sequence", "Site", "nn"}


def new_plugin(kind: str, name: str, folder: str | Path = ".") -> tuple[Path, Path]:
    """Write a plug-in file and a test of it, which pass as they are.

    Args:
        kind: ``proxy``, ``distiller`` or ``space``.
        name: of the new object, and of its file.
        folder: where the files go; it is made if it is missing.

    Returns:
        ``NAME.py`` and ``test_NAME.py``.

    Raises:
        UnknownNameError: there is no such kind.
        RegistrationError: the name is no Python name in ASCII, or another module has it.
        DuplicateNameError: an object of this kind has the name.
        DataError: one of the files is there already, or cannot be written.

    Example:
        >>> import tempfile
        >>> from zcbench.workflows.starting import new_plugin
        >>> [file.name for file in new_plugin("space", "stacks", tempfile.mkdtemp())]
        ['stacks.py', 'test_stacks.py']
    """
    if kind not in _REGISTRIES:
        raise unknown("kind of plug-in", kind, _REGISTRIES)
    home = Path(folder)
    files = home / f"{name}.py", home / f"test_{name}.py"
    _check_name(kind, name, files)
    values = {"name": name, "file": files[0].name, "title": _title(name)}
    try:
        home.mkdir(parents=True, exist_ok=True)
        for file, template in zip(files, (f"{kind}.py.txt", f"test_{kind}.py.txt")):
            text = Template((_TEMPLATES / template).read_text("utf-8")).substitute(values)
            with replaced(file) as draft:
                draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"Cannot write to {str(home)!r}: {error.strerror or error}. Name a folder by --out.") from error
    return files


def _title(name: str) -> str:
    """Name of a class."""
    return "".join(map(str.capitalize, name.split("_")))


def _check_name(kind: str, name: str, files: tuple[Path, Path]) -> None:
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name) or name.startswith("_"):
        raise RegistrationError(
            f"{name!r} cannot be the name of a new {kind}. Expected a name of a Python function: letters, digits and "
            f"'_', beginning with a letter."
        )
    registry = _REGISTRIES[kind]()
    registry.check_name(name)
    if name in registry.names():
        raise DuplicateNameError(f"The {kind} {name!r} is known already. Expected a new name.")
    for file in files:
        if file.exists():
            raise DataError(f"{str(file)!r} is there already. Expected a new file; name another {kind} or folder.")
    if _USED & {name, _title(name)} or importlib.util.find_spec(name) is not None:
        raise RegistrationError(
            f"{name!r} is the name of a Python module or function, which {files[0].name} would hide. Expected another."
        )
