"""Docstrings as mkdocstrings reads them: formulas, which are reStructuredText, as MathML, and examples as code."""

import re
from textwrap import dedent
from typing import Any

import griffe
from formulas import to_mathml

_BLOCK = re.compile(r"^([ \t]*)\.\. math::[ \t]*((?:.*\n?)(?:(?:\1[ \t]+\S.*\n?)|\n(?=\1[ \t]))*)", re.MULTILINE)
_EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
_SESSION = re.compile(r"^>>> .*\n?(?:.+\n?)*", re.MULTILINE)
_INLINE = re.compile(r":math:`([^`]+)`")
_OPERATOR = re.compile(r"\\operatorname\*?\{((?:[^{}]|\{[^{}]*\})*)\}")


def formatted(text: str) -> str:
    """The docstring with its formulas as MathML, and its examples as code."""
    text = _EXAMPLE.sub("Examples:", text)
    text = _SESSION.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text)
    text = _OPERATOR.sub(r"\\mathop{\\text{\1}}", text)
    text = _BLOCK.sub(lambda found: f"{found[1]}$`{' '.join(dedent(found[2]).split())}`$\n", text)
    return to_mathml(_INLINE.sub(r"$`\1`$", text))


class Formulas(griffe.Extension):
    """Converts the formulas of every docstring that is read."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Replace the text of the docstring."""
        if obj.docstring is not None:
            obj.docstring.value = formatted(obj.docstring.value)
