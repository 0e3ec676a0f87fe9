"""Tables of texts as Markdown and LaTeX, with every special character escaped."""

import re

import pandas as pd

_MARKDOWN = re.compile(r"([\\`*_{}\[\]|~$#^])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "[": "{[}",
    "]": "{]}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "–": "--",
    "−": "$-$",
    "…": r"\ldots{}",
    "τ": r"$\tau$",
    "ρ": r"$\rho$",
    "→": r"$\to$",
    **{mark: "\\" + mark for mark in "&%$#_"},
}


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line: no markup, no HTML, no cell border."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text)


def escape_latex(text: str) -> str:
    """Text that LaTeX sets as it is, on one line.

    >>> escape_latex("50 % of a_b & c")
    '50 \\\\% of a\\\\_b \\\\& c'
    """
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def to_markdown(table: pd.DataFrame) -> str:
    """Pipe table of a table of texts, escaped; the first column to the left, the others to the right."""
    lines = [list(table.columns), *table.itertuples(index=False)]
    cells = ["| " + " | ".join(escape_markdown(str(cell)) for cell in line) + " |" for line in lines]
    rule = "|" + "|".join(["---"] + ["---:"] * (len(table.columns) - 1)) + "|"
    return "\n".join([cells[0], rule, *cells[1:]]) + "\n"


def to_latex(table: pd.DataFrame, caption: str) -> str:
    """Floating ``booktabs`` table of a table of texts, escaped; needs ``\\usepackage{booktabs}`` and T1 fonts."""
    escaped = table.map(lambda cell: escape_latex(cell).replace("-.", "$-$.")).rename(columns=escape_latex)
    return str(
        escaped.style.hide(axis="index").to_latex(
            hrules=True,
            column_format="l" + "r" * (len(table.columns) - 1),
            caption=escape_latex(caption),
            position_float="centering",
        )
    )
