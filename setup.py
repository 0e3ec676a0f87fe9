"""The README as index pages show it; everything else about the package is in ``setup.cfg``.

Links between files of the repository work where the repository is browsed. On an index page they become links to
``Source`` of ``project_urls`` in ``setup.cfg``; without one, their text and the name of the file.
"""

import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

_LINK = re.compile(r"(!?)\[([^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)\]\((?!https?://|mailto:|#)([^()\s]+)\)")
_FENCES = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_index_page(readme: str, source: str | None = None) -> str:
    """The text with no relative link."""

    def replaced(found: re.Match[str]) -> str:
        image, text, target = found.groups()
        if source is None:
            return text if image or text.strip("`") == target else f"{text} ({target})"
        return f"{image}[{text}]({source.rstrip('/')}/{'raw' if image else 'blob'}/HEAD/{target})"

    parts = _FENCES.split(readme)
    return "".join(part if place % 2 else _LINK.sub(replaced, part) for place, part in enumerate(parts))


def source_url(config: str) -> str | None:
    """``Source`` of ``project_urls``, if there is one."""
    parser = ConfigParser(interpolation=None)
    parser.read_string(config)
    lines = parser.get("metadata", "project_urls", fallback="").splitlines()
    urls = dict(re.split(r"\s*=\s*", line.strip(), maxsplit=1) for line in lines if "=" in line)
    return urls.get("Source")


if __name__ == "__main__":
    here = Path(__file__).parent
    text = on_index_page((here / "README.md").read_text("utf-8"), source_url((here / "setup.cfg").read_text("utf-8")))
    setup(long_description=text, long_description_content_type="text/markdown")
