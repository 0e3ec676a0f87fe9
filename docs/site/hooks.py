"""What the site adds to ``docs``: the reference of commands and of packages, and pages of files in the root."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import commands
import formulas
import interface
import links
import notebooks
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_SOURCES = {place: name for name, place in links.ROOT_PAGES.items() if name != "README.md"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write the lists of pages into the navigation, where it says ``GENERATED: …``."""
    config.nav = [_expanded(entry) for entry in config.nav or ()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for place, text in _generated().items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adapt links and formulas."""
    place = page.file.src_uri
    source = _SOURCES.get(place, f"docs/{place}")
    if page.file.generated_by and place not in _SOURCES:
        return markdown
    return formulas.to_mathml(links.adapted(markdown, source, place, ROOT, set(files.src_uris)))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Name the dialog of the search, which the theme leaves without a name."""
    return output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    )


def _generated() -> dict[str, str]:
    copied = {place: (ROOT / name).read_text("utf-8") for place, name in _SOURCES.items()}
    made = {"decisions/index.md": _decisions(), "reference/signals.md": interface.signals()}
    return copied | made | notebooks.pages() | commands.pages() | interface.pages()


def _decisions() -> str:
    """The list of the decisions."""
    rows = [f"- [{_title(file)}]({file.name})" for file in _pages("decisions")]
    head = "# Decisions\n\nDesign decisions: what was chosen, what was turned down, what would change the decision.\n"
    return "\n".join([head, *rows, ""])


def _expanded(entry: Any) -> Any:
    """The entry of the navigation with ``GENERATED: name`` replaced by the pages of that name."""
    if isinstance(entry, dict):
        return {title: _expanded(value) for title, value in entry.items()}
    if isinstance(entry, list):
        return [part for one in entry for part in _parts(one)]
    return entry


def _parts(entry: Any) -> Iterator[Any]:
    if isinstance(entry, dict) and "GENERATED" in entry:
        yield from _LISTS[entry["GENERATED"]]()
    else:
        yield _expanded(entry)


def _pages(folder: str) -> list[Path]:
    return sorted(file for file in (DOCS / folder).glob("*.md") if file.name not in ("README.md", "index.md"))


def _title(file: Path) -> str:
    found = re.search(r"^# (.*)$", file.read_text("utf-8"), re.MULTILINE)
    return found[1].replace("\\", "") if found else file.stem


def _reference_pages(losses: bool) -> list[dict[str, str]]:
    files = [file for file in _pages("proxies") if file.name.startswith("kd-") == losses]
    return [{_title(file): f"proxies/{file.name}"} for file in files]


_LISTS = {
    "proxies": lambda: _reference_pages(losses=False),
    "losses": lambda: _reference_pages(losses=True),
    "decisions": lambda: [f"decisions/{file.name}" for file in _pages("decisions")],
    "notebooks": lambda: list(notebooks.PLACES.values()),
    "commands": lambda: list(commands.pages()),
    "python": lambda: [{package: interface.place(package)} for package in interface.PACKAGES],
}
