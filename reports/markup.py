"""Tables of texts as Markdown and LaTeX with escaped special characters."""

import re

import pandas as pd

from zcbench.reports.wording import HYPHEN, MINUS

_MARKDOWN = re.compile(r"([\\`*_{}|~$#^]|\](?=[(\[:]))")
_NUMBER = re.compile(r"[-–\d.,\[\] ]+")
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
    '"': "''",
    "–": "--",
    "−": "$-$",
    "…": r"\ldots{}",
    "τ": r"$\tau$",
    "ρ": r"$\rho$",
    "→": r"$\to$",
    **{mark: "\\" + mark for mark in "&%$#_"},
}


def escape_markdown(text: str) -> str:
    """Text on one line with Markdown, HTML and cell borders escaped."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text)


def escape_latex(text: str) -> str:
    """Text on one line with LaTeX commands escaped.

    >>> escape_latex("50 % of a_b & c")
    '50 \\\\% of a\\\\_b \\\\& c'
    """
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def to_markdown(table: pd.DataFrame) -> str:
    """Pipe table of a table of texts, escaped; numbers are right-aligned."""
    lines = [list(table.columns), *table.itertuples(index=False)]
    cells = ["| " + " | ".join(escape_markdown(str(cell)) for cell in line) + " |" for line in lines]
    rule = "|" + "|".join("---:" if numeric else "---" for numeric in _numeric(table)) + "|"
    return "\n".join([cells[0], rule, *cells[1:]]) + "\n"


def to_latex(table: pd.DataFrame, caption: str) -> str:
    """Floating table of a table of texts, escaped; numbers are right-aligned. Needs ``\\usepackage{booktabs}``."""
    escaped = table.map(lambda cell: escape_latex(HYPHEN.sub(MINUS, cell))).rename(columns=escape_latex)
    return str(
        escaped.style.hide(axis="index").to_latex(
            hrules=True,
            column_format="".join("r" if numeric else "l" for numeric in _numeric(table)),
            caption=escape_latex(caption),
            position_float="centering",
        )
    )


def _numeric(table: pd.DataFrame) -> list[bool]:
    """For each column, whether all its cells are numbers, intervals or dashes."""
    return [len(table) > 0 and all(map(_NUMBER.fullmatch, table[column])) for column in table]
