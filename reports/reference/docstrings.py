"""Docstrings as GitHub Markdown: griffe reads the sections; formulas, code and papers in their texts are marked up."""

import re
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

_HEADINGS = {"parameters": "Args", "returns": "Returns", "raises": "Raises"}
_MATH_BLOCK = re.compile(r"^\.\. math::[ \t]*(.*(?:\n(?:[ \t]+\S.*)?)*)", re.MULTILINE)
_SPAN = re.compile(
    r"(?P<math>:math:`(?P<formula>[^`]+)`)|``(?P<code>[^`]+)``|(?P<reference>`[^`]+`)|(?P<paper>\barXiv:\d{4}\.\d{4,5}(?:v\d+)?)|"
    r"(?P<link>https?://[^\s)>]*[^\s)>.,;])"
)
_COLON = re.compile(r":(?=\S)")  # of ":math:", "arXiv:2006.04647": griffe would take what stands before it for a type
_HIDDEN = "\0"
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
    import griffe

    read = griffe.Docstring(_COLON.sub(_HIDDEN, text)).parse(
        "google", warnings=False, returns_multiple_items=False, returns_named_value=False
    )
    head = next((section.value for section in read if section.kind.value == "text"), "")
    summary, _, body = _shown(head).strip().partition("\n")
    sections = dict(_section(section) for section in read if section.kind.value in (*_HEADINGS, "admonition"))
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


def _section(section: Any) -> tuple[str, str]:
    """Heading and text of a section as griffe has it: a list of entries, or an admonition of any title."""
    if section.kind.value == "admonition":
        text = _shown(section.value.description)
        return section.title, f"```python\n{text.rstrip()}\n```" if text.startswith(">>>") else blocks(text)
    if section.kind.value == "returns":
        parts = [f"{one.annotation}: " * bool(one.annotation) + one.description for one in section.value]  # no type
        return "Returns", blocks(_shown("\n\n".join(parts)))
    named = ((getattr(entry, "name", None) or str(entry.annotation), entry.description) for entry in section.value)
    entries = (f"- **{_plain(name)}**: {inline(_shown(text))}" for name, text in named)
    return _HEADINGS[section.kind.value], "\n".join(entries)


def _shown(text: str) -> str:
    return text.replace(_HIDDEN, ":")


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
