"""Links of a page to files that the site has elsewhere, or does not have."""

import posixpath
import re
from collections.abc import Collection
from pathlib import Path

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)

#: Pages that the site makes of files in the root of the repository.
ROOT_PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "README.md": "index.md"}
#: Folders that have a page.
FOLDERS = {"docs/decisions": "decisions/index.md", "docs/proxies": "proxies/README.md"}
#: Folder of the notebooks, each of which has a page.
_NOTEBOOK = re.compile(r"examples/(\w+)\.ipynb")


def adapted(markdown: str, source: str, page: str, root: Path, pages: Collection[str] = ()) -> str:
    """The page with links that the site can follow.

    Args:
        markdown: text of the page.
        source: its file, relative to the root of the repository; links of ``markdown`` are relative to its folder.
        page: its place in the site, relative to ``docs``.
        root: root of the repository.
        pages: generated pages of the site, relative to ``docs``.

    A link to a file of the root is one to its page. A link to a file or folder that the site lacks becomes its text.

    Raises:
        ValueError: a link leads to nothing.
    """
    pieces = _CODE.split(markdown)
    return "".join(
        text if place % 2 else _LINK.sub(lambda found: _link(found, source, page, root, pages), text)
        for place, text in enumerate(_joined(pieces))
    )


def _joined(pieces: list[str]) -> list[str]:
    """Text and fenced code by turns; code in a line stays with its text, since links may contain it."""
    found = [""]
    for place, piece in enumerate(pieces):
        if place % 2 and piece.startswith("```"):
            found += [piece, ""]
        else:
            found[-1] += piece
    return found


def _link(found: re.Match[str], source: str, page: str, root: Path, pages: Collection[str]) -> str:
    target, hash_, anchor = found[3].partition("#")
    if not target or "://" in target or target.startswith("mailto:"):
        return found[0]
    named = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    place = ROOT_PAGES.get(named) or FOLDERS.get(named)
    if notebook := _NOTEBOOK.fullmatch(named):
        place = f"notebooks/{notebook[1]}.md"
    inside = named.removeprefix("docs/")
    if place is None and inside != named and ((root / named).is_file() or inside in pages):
        place = inside
    if place is None and not (root / named).exists():
        raise ValueError(f"{source}: the link {found[0]!r} leads to {named}, which is neither a file nor a page.")
    if place is None:
        return found[2]
    return f"{found[1]}[{found[2]}]({posixpath.relpath(place, posixpath.dirname(page) or '.')}{hash_}{anchor})"
