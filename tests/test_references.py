"""References to a name in a Python file. The oracle is the file, written by the test."""

from pathlib import Path

import pytest

from zcbench import references
from zcbench.errors import UnknownNameError, ZcbenchError
from zcbench.plugins import PluginError

SOURCE = """
number = 3
def make(num_classes): return {"classes": num_classes}
def every(**keywords): return sorted(keywords)
def plain(): return "plain"
def broken(image_shape): raise SystemExit(2)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize("text", ["resnet:resnet20", "mine.py", "mine.py:", "mine.py:a.b", "mine.txt:make", "x.py:3a"])
def test_other_texts_are_no_references(text: str) -> None:
    """By construction: only FILE.py:NAME with a name of Python is one."""
    assert references.read(text) is None
    with pytest.raises(PluginError, match=r"Expected FILE\.py:NAME"):
        references.load(text)


def test_a_function_gets_the_keywords_that_it_takes(file: Path) -> None:
    """Oracle: what the functions of the file return."""
    given = {"num_classes": 10, "image_shape": (3, 8, 8)}
    assert references.load(f"{file}:number") == 3
    assert references.call(f"{file}:make", **given) == {"classes": 10}
    assert references.call(f"{file}:every", **given) == ["image_shape", "num_classes"]
    assert references.call(f"{file}:plain", **given) == "plain"
    assert str(references.read(f"{file}:plain")) == f"{file}:plain"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("mak", UnknownNameError, "Did you mean 'make'"),
        ("number", PluginError, "of type int. Expected a function"),
        ("broken", PluginError, "broken fails: SystemExit: 2"),
        ("make", PluginError, "make fails: TypeError.*those keywords that it takes of: image_shape"),
    ],
)
def test_bad_references(file: Path, name: str, error: type[ZcbenchError], message: str) -> None:
    """Bad input: each is one sentence that names the file and the name."""
    with pytest.raises(error, match=message):
        references.call(f"{file}:{name}", image_shape=(3, 8, 8))


def test_missing_file(tmp_path: Path) -> None:
    """Bad input: no such file."""
    with pytest.raises(PluginError, match="No plug-in at"):
        references.load(f"{tmp_path}/none.py:make")
