"""Docstrings as GitHub Markdown: sections, formulas and code; all other characters are escaped."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from textwrap import dedent, indent

_SECTION = re.compile(r"^([A-Z]\w+):\n(?=    |\n    )", re.MULTILINE)
_MATH_BLOCK = re.compile(r"^\.\. math::[ \t]*(.*(?:\n(?:[ \t]+\S.*)?)*)", re.MULTILINE)
_ENTRY = re.compile(r"^(\*?\w[\w*, ]*):\s", re.MULTILINE)
_SPAN = re.compile(
    r"(?P<math>:math:`(?P<formula>[^`]+)`)|``(?P<code>[^`]+)``|(?P<reference>`[^`]+`)|(?P<paper>\barXiv:\d{4}\.\d{4,5}(?:v\d+)?)|"
    r"(?P<link>https?://[^\s)>]*[^\s)>.,;])"
)
_SPECIAL = re.compile(r"([\\*|~$#\[\]]|(?<![^\W_])_|_(?![^\W_]))")
_OPERATOR = re.compile(r"\\operatorname\*?\{((?:[^{}]|\{[^{}]*\})*)\}")


@dataclass(frozen=True)
class Documentation:
    """A docstring in parts, each as Markdown.

    Attributes:
        summary: first line.
        body: text between the first line and the first section: the formula and its symbols.
        sections: text of each section (``Args``, ``Returns``, ``Raises``, ``Note``, …) by its heading.
    """

    summary: str
    body: str = ""
    sections: dict[str, str] = field(default_factory=dict)


def parse(text: str) -> Documentation:
    """Parts of a docstring that `inspect.getdoc` gives.

    >>> parse("Number of :math:`x < 2`.\\n\\nArgs:\\n    signals: needs ``logits``.").sections
    {'Args': '- **signals**: needs `logits`.'}
    """
    head, *rest = _SECTION.split(text)
    summary, _, body = head.strip().partition("\n")
    sections = {name: _section(content) for name, content in zip(rest[::2], rest[1::2])}
    return Documentation(inline(summary), blocks(body.strip()), sections)


def blocks(text: str) -> str:
    """Paragraphs and displayed formulas."""
    parts, end = [], 0
    for found in _MATH_BLOCK.finditer(text):
        parts += [*_paragraphs(text[end : found.start()]), _display(found[1])]
        end = found.end()
    return "\n\n".join([*parts, *_paragraphs(text[end:])])


def inline(text: str) -> str:
    """Text with formulas, code and papers marked up, on one line."""
    text, parts, end = " ".join(text.split()), [], 0
    for found in _SPAN.finditer(text):
        parts += [_plain(text[end : found.start()]), _marked(found)]
        end = found.end()
    return "".join([*parts, _plain(text[end:])])


def _section(content: str) -> str:
    text = dedent(content).strip("\n")
    if text.startswith(">>>"):
        return f"```python\n{text.rstrip()}\n```"
    if _ENTRY.match(text) and all(_ENTRY.match(part) for part in _entries(text)):
        return "\n".join(f"- **{_plain(name)}**: {inline(rest)}" for name, _, rest in _split(text))
    return blocks(text)


def _entries(text: str) -> list[str]:
    """Parts of a text that begin at the left edge."""
    return [part for part in re.split(r"\n(?=\S)", text) if part.strip()]


def _split(text: str) -> Iterator[tuple[str, str, str]]:
    for part in _entries(text):
        yield part.partition(":")


def _paragraphs(text: str) -> list[str]:
    return [inline(part) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _display(formula: str) -> str:
    lines = [_allowed(line.strip()) for line in formula.splitlines() if line.strip()]
    aligned = any(mark in line for line in lines for mark in ("&", r"\\")) and r"\begin" not in formula
    if aligned:
        lines = [r"\begin{aligned}", *indent("\n".join(lines), "  ").splitlines(), r"\end{aligned}"]
    return "\n".join(["```math", *lines, "```"])


def _allowed(formula: str) -> str:
    """The formula without ``\\operatorname``, which GitHub does not render."""
    return _OPERATOR.sub(r"\\mathop{\\text{\1}}", formula)


def _marked(found: re.Match[str]) -> str:
    if found["math"]:
        return f"$`{_allowed(found['formula'].strip())}`$"
    if found["code"]:
        return f"`{found['code']}`"
    if found["paper"]:
        return f"[{found['paper']}](https://arxiv.org/abs/{found['paper'].removeprefix('arXiv:')})"
    return found["reference"] or f"<{found['link']}>"


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
