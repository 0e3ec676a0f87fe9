"""Rows of a score store as a table, in memory that grows by the numbers and not by the texts."""

from array import array
from collections.abc import Iterable

import numpy as np
import pandas as pd

from zcbench.benchmarks.scoring.rows import COLUMNS, Row

_INTEGERS, _FLOATS = ("version", "seed"), ("value", "seconds")


def scores_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Table of rows that are read one after the other; each text is kept once while they are read.

    Args:
        rows: in any order, which the table keeps.

    Returns:
        The columns `COLUMNS`; ``version`` and ``seed`` are int64, ``value`` and ``seconds`` float64, the others texts.

    Example:
        >>> scores_frame([Row("a", "snip", 1, 0, None, "nan", "", 0.1)])[["arch", "value"]].values.tolist()
        [['a', nan]]
    """
    columns = {name: _column(name) for name in COLUMNS}
    append = [column.append for column in columns.values()]
    for row in rows:
        for one, content in zip(append, row):
            one(content)
    append.clear()  # so that the numbers of texts are freed column by column
    return pd.DataFrame({name: columns.pop(name).series() for name in COLUMNS}, copy=False)


class _Numbers:
    """A growing column of numbers; None is NaN."""

    def __init__(self, code: str) -> None:
        self._values = array(code)

    def append(self, value: object) -> None:
        self._values.append(np.nan if value is None else value)  # type: ignore[arg-type]

    def series(self) -> pd.Series:
        return pd.Series(np.frombuffer(self._values, dtype=self._values.typecode))


class _Texts:
    """A growing column of texts, each kept once, and its number for each row."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._values = array("i")

    def append(self, value: object) -> None:
        self._values.append(self._numbers.setdefault(str(value), len(self._numbers)))

    def series(self) -> pd.Series:
        each = pd.Series(list(self._numbers)).array
        return pd.Series(each.take(np.frombuffer(self._values, dtype=np.int32)), copy=False)


def _column(name: str) -> _Numbers | _Texts:
    return _Numbers("q") if name in _INTEGERS else _Numbers("d") if name in _FLOATS else _Texts()
