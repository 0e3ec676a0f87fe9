"""Read pickles from the public internet without running anything that is in them.

A pickle is a program. This reader admits an explicit list of names, and none of them is bound to NumPy's or pandas' own
code: each stands for an inert record that keeps what the pickle says. Only when the whole file has been read are the
records turned into arrays and frames, through public constructors and with every shape checked against its bytes. So no
``__reduce__`` and no ``__setstate__`` of a library ever meets a state that a stranger wrote.
"""

import io
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from zcbench.errors import DataError

_PLAIN = re.compile(r"[biufcSU]\d{1,4}|O8?")
_SCALARS = (str, bytes, bytearray, int, float, complex, bool, slice, type(None))
_Memo = dict[int, object]


class _Record:
    """What a pickle says about one object: how it is called (``args``) and which state it is given."""

    def __new__(cls, *args: object) -> "_Record":
        record = super().__new__(cls)
        record.args = args
        record.state = None
        return record

    args: tuple[Any, ...]
    state: Any

    def __setstate__(self, state: object) -> None:
        self.state = state

    def value(self, memo: _Memo) -> object:
        """The object itself; a record that is only ever an argument of another one has none."""
        raise DataError(f"{type(self).__name__.strip('_')} stands where no data can stand.")


class _Class(_Record):
    """A class that other records name: ``ndarray``, ``Index``, ``RangeIndex``."""


class _RangeClass(_Class):
    """pandas' ``RangeIndex``: its record holds start, stop and step."""


class _Dtype(_Record):
    """``numpy.dtype(code, align, copy)`` with its byte order as state; plain types only."""

    def value(self, memo: _Memo) -> np.dtype[Any]:
        code, state = self.args[0], self.state or (3, "|", None, None, None)
        if not isinstance(code, str) or not _PLAIN.fullmatch(code) or any(part is not None for part in state[2:5]):
            raise DataError(f"the element type {code!r} is no plain number, text or object")
        return np.dtype({"<": "<", ">": ">"}.get(state[1], "=") + code)


class _Array(_Record):
    """``_reconstruct(ndarray, (0,), b'b')`` whose state is (version, shape, dtype, fortran, data)."""

    def value(self, memo: _Memo) -> np.ndarray[Any, Any]:
        _, shape, dtype, fortran, data = self.state
        return _array(_resolve(dtype, memo), shape, "F" if fortran else "C", _resolve(data, memo))


class _Buffer(_Record):
    """``_frombuffer(bytes, dtype, shape, order)``."""

    def value(self, memo: _Memo) -> np.ndarray[Any, Any]:
        data, dtype, shape, order = self.args
        return _array(_resolve(dtype, memo), shape, order, data)


class _Scalar(_Record):
    """``scalar(dtype, bytes)``."""

    def value(self, memo: _Memo) -> object:
        dtype, data = self.args
        return _array(_resolve(dtype, memo), (), "C", data)[()]


class _Index(_Record):
    """``_new_Index(class, {"data": array, …})``, or start, stop and step for a range."""

    def value(self, memo: _Memo) -> object:
        kind, fields = self.args
        if kind is _RangeClass:
            return pd.RangeIndex(int(fields["start"]), int(fields["stop"]), int(fields["step"]))
        return pd.Index(_resolve(fields["data"], memo))


class _Manager(_Record):
    """pandas' ``BlockManager``; the layout named 0.14.1 is the one that pandas 0.14 to 1.2 wrote."""

    def value(self, memo: _Memo) -> pd.DataFrame:
        layout = self.state[3]["0.14.1"]
        columns, index = (_resolve(axis, memo) for axis in layout["axes"])
        rows: dict[int, Any] = {}
        for block in layout["blocks"]:
            places = range(len(columns))[block["mgr_locs"]]
            rows |= dict(zip(places, _resolve(block["values"], memo), strict=True))
        frame = pd.DataFrame({place: rows[place] for place in range(len(columns))}, index=index)
        return frame.set_axis(columns, axis="columns")


class _Frame(_Record):
    """pandas' ``DataFrame``, whose state holds its block manager."""

    def value(self, memo: _Memo) -> object:
        manager = self.state.get("_data", self.state.get("_mgr"))
        if not isinstance(manager, _Manager):
            raise DataError("a data frame without its blocks")
        return _resolve(manager, memo)


_ADMITTED: dict[tuple[str, str], type] = {
    **{("builtins", kind.__name__): kind for kind in (complex, dict, frozenset, list, set, slice, tuple)},
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Class,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("numpy._core.multiarray", "scalar"): _Scalar,
    ("numpy.core.numeric", "_frombuffer"): _Buffer,
    ("numpy._core.numeric", "_frombuffer"): _Buffer,
    ("pandas.core.frame", "DataFrame"): _Frame,
    ("pandas.core.indexes.base", "Index"): _Class,
    ("pandas.core.indexes.base", "_new_Index"): _Index,
    ("pandas.core.indexes.range", "RangeIndex"): _RangeClass,
    ("pandas.core.internals.managers", "BlockManager"): _Manager,
}


class _Reader(pickle.Unpickler):
    """Unpickler that knows the admitted names only."""

    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in _ADMITTED:
            raise DataError(
                f"it asks for {module}.{name}. Only arrays, data frames and builtin containers are admitted, "
                "so it was refused and nothing in it was run"
            )
        return _ADMITTED[module, name]


def load(path: str | Path) -> Any:
    """What a pickle file holds, if it holds nothing but NumPy arrays, pandas frames and builtin containers.

    Raises:
        DataError: the file is missing, damaged, or names anything else; nothing of it was run.

    Example:
        >>> import pickle, tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "accuracies.pkl"
        >>> _ = file.write_bytes(pickle.dumps({"accuracy": [93.1, 94.2]}))
        >>> load(file)
        {'accuracy': [93.1, 94.2]}
    """
    try:
        return loads(Path(path).read_bytes())
    except OSError as error:
        raise DataError(f"Cannot read {str(path)!r}: {error.strerror}. Expected a pickle; check the path.") from error
    except DataError as error:
        raise DataError(f"The pickle {str(path)!r} cannot be used: {error} Fetch it again from its source.") from error


def loads(data: bytes) -> Any:
    """Same as :func:`load`, for bytes.

    Raises:
        DataError: the bytes are damaged or name anything that is not admitted.
    """
    try:
        return _resolve(_Reader(io.BytesIO(data)).load(), {})
    except DataError as error:
        raise DataError(f"{str(error).rstrip('.')}.") from error
    except Exception as error:
        raise DataError(f"it is damaged ({type(error).__name__}: {error}).") from error


def load_checkpoint(path: str | Path) -> Any:
    """What a file of ``torch.save`` holds, if it holds nothing but tensors, numbers, text and builtin containers.

    Raises:
        DataError: the file is missing, damaged, or names anything else; nothing of it was run.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        raise DataError(
            f"The checkpoint {str(path)!r} cannot be used: {type(error).__name__}: {reason} Expected plain data that "
            "torch.load(weights_only=True) reads; fetch it again from its source."
        ) from error


def _resolve(item: Any, memo: _Memo) -> Any:
    """``item`` with every record in it replaced by its value."""
    if isinstance(item, _Record):
        if id(item) not in memo:
            memo[id(item)] = item.value(memo)
        return memo[id(item)]
    if type(item) is dict:
        return {_resolve(key, memo): _resolve(value, memo) for key, value in item.items()}
    if type(item) in (list, tuple, set, frozenset):
        return type(item)([_resolve(part, memo) for part in item])
    if type(item) in _SCALARS:
        return item
    raise DataError(f"it holds {item!r}, which is no data")


def _array(dtype: np.dtype[Any], shape: Any, order: Any, data: Any) -> np.ndarray[Any, Any]:
    """Array of ``shape`` from raw bytes, or from a list for objects; the sizes must agree to the byte."""
    size, expected = math.prod(shape), list if dtype.hasobject else (bytes, bytearray)
    if not isinstance(data, expected) or min(shape, default=0) < 0:
        raise DataError(f"an array of {dtype} and shape {shape} with {type(data).__name__} for data")
    if len(data) != size * (1 if dtype.hasobject else dtype.itemsize):
        raise DataError(f"an array of {dtype} and shape {shape} with data of length {len(data)}")
    if not isinstance(data, list):
        return np.frombuffer(data, dtype).reshape(shape, order=order).copy(order=order)
    array = np.empty(size, dtype)
    for place, item in enumerate(data):
        array[place] = item
    return array.reshape(shape, order=order)
