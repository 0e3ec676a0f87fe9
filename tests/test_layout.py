"""The structure of the source tree: sizes, packages, and the picture of them. The oracle is the tree itself."""

import ast
import importlib.util
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
HOMES = ("src/zcbench", "spaces", "distill", "proxies", "benchmarks", "search", "reports", "kdzero")
ONE_FILE_A_PAPER = ("proxies", "distill/losses")
OPTIONS_ARE_PARAMETERS = ("src/zcbench/cli/", "kdzero/command.py")
MOST_FILES, MOST_LINES, MOST_PARAMETERS = 25, 350, 10


@pytest.fixture(scope="module")
def picture() -> ModuleType:
    """The script that draws ``docs/architecture.svg``."""
    spec = importlib.util.spec_from_file_location("picture", ROOT / "docs" / "picture.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files() -> list[str]:
    """Every Python file of the product, relative to the root."""
    return [file.relative_to(ROOT).as_posix() for home in HOMES for file in sorted((ROOT / home).rglob("*.py"))]


def wide_functions(file: str) -> Iterator[str]:
    """Functions with more parameters than the limit, ``self`` and ``cls`` not counted."""
    for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            count = sum(one is not None and one.arg not in ("self", "cls") for one in named)
            if count > MOST_PARAMETERS:
                yield f"{file}:{node.name} has {count} parameters"


def test_no_folder_is_crowded() -> None:
    """At most 25 Python files in a folder; only the folders of one file a paper may have more."""
    counts = Counter(Path(file).parent.as_posix() for file in files())
    assert [folder for folder, n in counts.items() if n > MOST_FILES and folder not in ONE_FILE_A_PAPER] == []


def test_no_file_is_long() -> None:
    """At most 350 lines in a file."""
    sizes = {file: len((ROOT / file).read_text("utf-8").splitlines()) for file in files()}
    assert {file: size for file, size in sizes.items() if size > MOST_LINES} == {}


def test_no_function_has_many_parameters() -> None:
    """At most 10 parameters; a command has one for each of its options."""
    assert [
        line for file in files() if not file.startswith(OPTIONS_ARE_PARAMETERS) for line in wide_functions(file)
    ] == []


def test_every_package_is_declared(picture: ModuleType) -> None:
    """The packages of ``setup.cfg`` are the folders that have an ``__init__.py``, each with a docstring."""
    declared = set(picture.packages().values())
    assert declared == {(ROOT / file).parent for file in files() if file.endswith("__init__.py")}
    for folder in declared:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))), folder


def test_every_file_is_in_a_package(picture: ModuleType) -> None:
    """No Python file lies in a folder that the wheel leaves out."""
    assert {(ROOT / file).parent for file in files()} <= set(picture.packages().values())


def test_the_picture_is_of_this_code(picture: ModuleType) -> None:
    """Drawn again from the imports and compared with the committed file; ``make picture`` renews it."""
    assert (ROOT / "docs" / "architecture.svg").read_text("utf-8") == picture.picture()


def test_the_arrows_imply_every_import(picture: ModuleType) -> None:
    """Invariance: following the arrows leads exactly where following the imports leads, and no arrow goes up."""
    edges, arrows = picture.edges(), picture.reduced(picture.edges())
    below = [{one: {b for a, b in pairs if a == one} for one, _ in pairs} for pairs in (edges, arrows)]
    level = {name: place for place, row in enumerate(picture.layers()) for name in row}
    for name in level:
        assert picture.reach(below[0], name) == picture.reach(below[1], name)
    assert all(level[one] < level[other] for one, other in edges)
