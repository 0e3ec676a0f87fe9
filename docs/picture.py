"""Draw ``docs/architecture.svg`` from the imports of the code: ``python docs/picture.py``, or ``make picture``.

The layers are those of the import contract in ``pyproject.toml``; the modules at its bottom are one box, ``core``.
"""

import ast
import configparser
import tomllib
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "architecture.svg"
CORE = "core"
IN_CORE = ("content", "registry", "references", "plugins", "isolation", "storage", "streams", "specification", "errors")

#: What a box holds, in a few words.
ABOUT = {
    "kdzero": "one paper's system: search of a distillation loss",
    "cli": "command line",
    "workflows": "what a command does, as one call",
    "search": "architecture search",
    "reports": "tables, figures, pages",
    "benchmarks": "trained accuracies, scoring runs, rankings",
    "proxies": "one untrained network in, one number out",
    "distill": "distillation losses and the training loop",
    "spaces": "architectures: a string in, a network out",
    "hooks": "records what a network computes",
    "datasets": "labelled images and batches",
    "runtime": "worker processes, progress, threads",
    "trackers": "TensorBoard, W&B, MLflow",
    CORE: "what every package uses",
}
_WIDE, _HIGH, _GAP, _EDGE = 720, 46, 24, 10
Place = tuple[float, int, float]
"""Left, top and width of a box."""

_SIDE = 14  # between the arrows that pass by other layers


def layers() -> list[list[str]]:
    """Names of the boxes from top to bottom, those of one layer together."""
    return [*(row for row in contract() if row[0] not in IN_CORE), [CORE]]


@cache
def contract() -> list[list[str]]:
    """The layers of the import contract, the highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    rows = settings["contracts"][0]["layers"]
    return [[name.strip().removeprefix("zcbench.") for name in row.split("|")] for row in rows]


@cache
def packages() -> dict[str, Path]:
    """Folder of every package of ``setup.cfg`` by its name without ``zcbench``."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    options = parser["options"]
    homes = dict(line.split(" = ") for line in options["package_dir"].strip().splitlines())
    found = {}
    for name in options["packages"].split():
        home = max((home for home in homes if f"{name}.".startswith(f"{home}.")), key=len)
        found[name] = ROOT / homes[home] / Path(*name.removeprefix(home).strip(".").split("."))
    return found


@cache
def edges() -> list[tuple[str, str]]:
    """Every pair of boxes of which the first imports the second."""
    found = {
        (_box(package), _box(target))
        for package, folder in packages().items()
        for file in folder.glob("*.py")
        for target in imported(ast.parse(file.read_text("utf-8")))
        if package != "zcbench" or not file.stem.startswith("__")  # those two load packages only when they are used
    }
    return sorted((one, other) for one, other in found if one != other)


def imported(tree: ast.Module) -> Iterator[str]:
    """Modules of zcbench that a file imports, those for type checkers only left out."""
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{name.name}" for name in node.names]
        else:
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if name.startswith("zcbench."))


def _box(name: str) -> str:
    part = name.split(".")[1] if "." in name else ""
    return part if any(part in row for row in layers()) else CORE


def reduced(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges without those that a longer way implies."""
    below: dict[str, set[str]] = {one: {other for start, other in found if start == one} for one, _ in found}
    return [(one, other) for one, other in found if not any(other in below.get(via, ()) for via in reach(below, one))]


def reach(below: dict[str, set[str]], start: str) -> set[str]:
    """Everything that a way of at least one edge leads to."""
    seen: set[str] = set()
    new = set(below.get(start, ()))
    while new:
        seen |= new
        new = {further for name in new for further in below.get(name, ())} - seen
    return seen


def picture() -> str:
    """The picture as SVG; all edges are listed in its description, the arrows are those that no longer way implies."""
    rows, found = layers(), edges()
    level = {name: line for line, row in enumerate(rows) for name in row}
    places = {}
    for line, row in enumerate(rows):
        wide = (_WIDE - (len(row) + 1) * _EDGE) / len(row)
        for column, name in enumerate(row):
            places[name] = (_EDGE + column * (wide + _EDGE), _EDGE + line * (_HIGH + _GAP), wide)
    arrows = sorted(reduced(found), key=lambda pair: level[pair[1]] - level[pair[0]])
    near = [pair for pair in arrows if level[pair[1]] == level[pair[0]] + 1]
    far = [pair for pair in arrows if pair not in near]
    wide, high = _WIDE + (len(far) + 1) * _SIDE, len(rows) * (_HIGH + _GAP) - _GAP + 2 * _EDGE
    described = "\n".join(f"{one} imports {other}" for one, other in found)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
            'font-family="sans-serif" role="img">',
            "<title>Packages of zcbench and what they import</title>",
            f"<desc>{escape(described)}</desc>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0L8 4L0 8z" fill="#444"/></marker></defs>',
            f'<rect width="{wide}" height="{high}" fill="white"/>',
            *(_drawn(name, *place) for name, place in places.items()),
            *(_down(places[one], places[other]) for one, other in near),
            *(_around(places[one], places[other], index) for index, (one, other) in enumerate(far)),
            "</svg>\n",
        ]
    )


def _drawn(name: str, x: float, y: int, wide: float) -> str:
    inside = "zcbench" if name == CORE else f"zcbench.{name}"
    parts = [other.split(".")[2] for other in packages() if other.startswith(f"zcbench.{name}.")]
    if name == CORE:
        parts = [part for row in contract() for part in row if part in IN_CORE]
    below, about = " · ".join(dict.fromkeys(parts)), escape(ABOUT.get(name, ""))
    return (
        f'<rect x="{x:.0f}" y="{y}" width="{wide:.0f}" height="{_HIGH}" rx="5" fill="#eef3f8" stroke="#0062a3"/>'
        f'<text x="{x + 10:.0f}" y="{y + 19}" font-size="14"><tspan font-weight="bold">{inside}</tspan>'
        f'<tspan fill="#444" font-size="12"> {about}</tspan></text>'
        f'<text x="{x + 10:.0f}" y="{y + 37}" font-size="12" fill="#0062a3">{below}</text>'
    )


def _down(start: Place, end: Place) -> str:
    """Arrow to the next layer."""
    narrow = min(start, end, key=lambda place: place[2])
    x = narrow[0] + narrow[2] / 2
    return _path(f"M{x:.0f} {start[1] + _HIGH}V{end[1]}")


def _around(start: Place, end: Place, index: int) -> str:
    """Arrow past other layers, at the right of all boxes."""
    x, offset = _WIDE + (index + 1) * _SIDE - _EDGE, _HIGH // 2 + 4 * (index % 3) - 4
    left, top, wide = start
    return _path(f"M{left + wide:.0f} {top + offset}H{x}V{end[1] + offset}H{_WIDE - _EDGE}")


def _path(line: str) -> str:
    return f'<path d="{line}" fill="none" stroke="#444" marker-end="url(#tip)"/>'


if __name__ == "__main__":
    FILE.write_text(picture(), encoding="utf-8", newline="\n")
    print(FILE)
