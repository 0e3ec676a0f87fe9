"""Pages of the documentation and the README: commands, code and figures that exist."""

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
from typer.main import get_command

from zcbench.cli import app

ROOT = Path(__file__).parents[2]
#: Pages whose commands are those of older versions.
HISTORY = ("CHANGELOG.md",)
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(file for file in (ROOT / "docs").rglob("*.md") if file.parent.name != "proxies"),
]

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the pages are in the source tree only")


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """Fenced code in one of the languages."""
    text = page.read_text("utf-8")
    for found in re.finditer(r"^( *)```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        if found[2] in languages:
            yield "\n".join(line.removeprefix(found[1]) for line in found[3].splitlines())


def commands(page: Path) -> Iterator[list[str]]:
    """The words of every 'zcbench …' that a page prints in full, with the shell's variables replaced."""
    for block in blocks(page, "sh", ""):
        values: dict[str, str] = {}
        for line in block.replace("\\\n", "").splitlines():
            for name, value in re.findall(r"(?:^|; ?)(\w+)=(\"[^\"]*\"|\S+)", line):
                values[name] = value.strip('"').rstrip(";")
            shown = re.sub(r"\$(\w+)", lambda found, known=values: known.get(found[1], found[0]), line)
            if (found := re.match(r"(?:[$] )?(zcbench .*)", shown)) and "…" not in shown:
                words = shlex.split(found[1], comments=True)[1:]
                yield list(takewhile(lambda word: word not in ("|", ">", "&&"), words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_have_the_options_that_pages_give_them(page: Path) -> None:
    """The oracle is the parser of the command line: no command, option or number of arguments that it refuses."""
    if page.name in HISTORY:
        return
    refused = [" ".join(words) for words in commands(page) if not parses(words)]
    assert refused == []


def parses(words: list[str]) -> bool:
    """Whether the command line takes the words, its values apart."""
    command = get_command(app)
    while getattr(command, "commands", None) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    if getattr(command, "commands", None):
        return words in ([], ["--version"], ["--help"])
    try:
        command.make_context("zcbench", words)
    except Exception as error:
        return type(error).__name__ in ("BadParameter", "FileError") and "No such" not in str(error)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_on_pages_imports_what_exists(page: Path) -> None:
    """The oracle is the package: every block is Python, and every name that is imported from zcbench is there."""
    if page.name in HISTORY:
        return
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)) if ">>>" not in block else ():
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zcbench"):
                module = importlib.import_module(node.module or "")
                assert [one.name for one in node.names if not hasattr(module, one.name)] == []


def test_the_examples_of_pages_are_those_of_the_repository() -> None:
    """Equality: the code that a page names as a file of ``examples`` is that file, its first docstring apart."""
    for page, file in (("own-proxy", "my_proxy"), ("own-space", "my_space")):
        shown = next(blocks(ROOT / "docs" / "how-to" / f"{page}.md", "python"))
        source = (ROOT / "examples" / f"{file}.py").read_text("utf-8")
        assert shown.strip() == source.split('"""', 2)[2].strip()


def test_every_page_of_results_begins_with_its_finding_and_a_figure() -> None:
    """By construction: before the first heading of a section stand a conclusion and a figure with a description."""
    for page in (ROOT / "docs" / "results").glob("*.md"):
        head = page.read_text("utf-8").split("\n## ")[0]
        if page.name != "index.md":
            assert re.search(r"^(\*\*)?In short", head, re.MULTILINE), page
            assert re.search(r"^!\[[^\]]{20,}\]\([\w.-]+\)", head, re.MULTILINE), page
