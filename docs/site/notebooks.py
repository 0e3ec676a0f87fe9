"""Pages of the notebooks in ``examples``: their text and their code."""

import json
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
PLACES = {f"examples/{file.name}": f"notebooks/{file.stem}.md" for file in sorted(EXAMPLES.glob("*.ipynb"))}


def pages() -> dict[str, str]:
    """The text of each page by its place."""
    return {place: _page(EXAMPLES / Path(name).name) for name, place in PLACES.items()}


def _page(file: Path) -> str:
    cells = json.loads(file.read_text("utf-8"))["cells"]
    parts = ["".join(cell["source"]) for cell in cells]
    shown = [part if cell["cell_type"] == "markdown" else f"```python\n{part}\n```" for cell, part in zip(cells, parts)]
    return "\n\n".join([*shown, f"The notebook is `examples/{file.name}`."]) + "\n"
