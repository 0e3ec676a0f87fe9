"""Formulas of the pages as MathML, which browsers draw without a script."""

import re

import latex2mathml.converter

_FENCED = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"\$`([^`]+)`\$")
# The converter knows no sizes of delimiters by hand; \left and \right are as large as what stands between them.
_REPLACED = (
    (re.compile(r"\\[bB]igg?l\b"), r"\\left"),
    (re.compile(r"\\[bB]igg?r\b"), r"\\right"),
    (re.compile(r"\\[bB]igg?\b"), ""),
    (re.compile(r"\\arg(?![a-z])"), r"\\text{arg}"),
    (re.compile(r"(?<=\w)\\_(?=\w)"), "_"),
)


def to_mathml(markdown: str) -> str:
    """The page with its formulas, as GitHub writes them, as MathML.

    Raises:
        ValueError: a formula that has no MathML, with its text.
    """
    shown = _FENCED.sub(lambda found: f"<div class=formula>{_converted(found[1], 'block')}</div>", markdown)
    return _INLINE.sub(lambda found: _converted(found[1], "inline"), shown)


def _converted(formula: str, display: str) -> str:
    text = " ".join(formula.split())
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    found = latex2mathml.converter.convert(text, display=display)
    if "\\" in found:
        raise ValueError(f"The formula {formula!r} cannot be converted to MathML. Write it with other commands.")
    return found
