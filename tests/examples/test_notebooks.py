"""The notebooks of ``examples``: they run as they are, show figures, and are kept without outputs."""

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def code(book: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_notebook(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: no outputs in the file; every cell runs in an empty folder, and figures are shown."""
    for name, folder in {
        "MPLCONFIGDIR": "matplotlib",
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "jupyter",
    }.items():
        monkeypatch.setenv(name, os.environ.get(name, str(tmp_path / folder)))
    book = nbformat.read(file, as_version=4)
    assert [cell for cell in code(book) if cell.outputs or cell.execution_count] == []
    NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in code(book) for output in cell.outputs]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) >= 2
    assert [output for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []


def test_sixteen_networks_are_fewer_than_15_lines() -> None:
    """By construction: with imports, from the networks to figures and the page."""
    cells = json.loads((EXAMPLES / "own_networks.ipynb").read_text("utf-8"))["cells"]
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    lines = [line for line in source.splitlines() if line.strip()]
    assert len(lines) < 15 and "rank_networks" in source and "report(" in source
