"""The one reader of pickles: what is in them is read, never run.

A pickle is a program. This reader admits an explicit list of names, and none of them is bound to NumPy's or pandas' own
code: each stands for an inert record that keeps what the pickle says. Only when the whole file has been read are the
records turned into arrays and frames, through public constructors and with every shape checked against its bytes. So no
``__reduce__`` and no ``__setstate__`` of a library ever meets a state that a stranger wrote, and no array is ever made
over memory that is not its own.
"""

import io
import math
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np

from zcbench.errors import DataError

_PLAIN = re.compile(r"[biufcSU]\d{1,4}|O8?")
_SCALARS = (str, bytes, bytearray, int, float, complex, bool, slice, type(None))
_CONTAINERS = (dict, list, tuple, set, frozenset)
_Memo = dict[int, Any]


class _Record:
    """What a pickle says about one object: how it is called (``args``) and which state it is given, at most once."""

    def __new__(cls, *args: object) -> "_Record":
        record = super().__new__(cls)
        record.args = args
        record.state = None
        return record

    args: tuple[Any, ...]
    state: Any

    def __setstate__(self, state: object) -> None:
        if self.state is not None:
            raise DataError(f"it gives a {_kind(self)} two states")
        self.state = state

    def value(self, memo: _Memo) -> object:
        """The object itself; a record that is only ever an argument of another one has none."""
        raise DataError(f"it has a {_kind(self)} where no data can stand")


class _Class(_Record):
    """A class that other records name: ``Index``, ``RangeIndex``."""


class _ArrayClass(_Class):
    """``numpy.ndarray``: named by `_Array`, never called."""


class _RangeClass(_Class):
    """pandas' ``RangeIndex``: its record holds start, stop and step."""


class _Encoded(_Record):
    """``_codecs.encode(text, "latin1")``: bytes in pickles that Python 2 can read."""

    def value(self, memo: _Memo) -> bytes:
        text, encoding = self.args
        if not isinstance(text, str) or _text(encoding) != "latin1" or self.state is not None:
            raise DataError("it encodes text in another way than as Latin-1")
        return text.encode("latin1")


class _Dtype(_Record):
    """``numpy.dtype(code, align, copy)`` with its byte order as state; plain types of their own size only."""

    def value(self, memo: _Memo) -> np.dtype[Any]:
        code = _text(self.args[0]) if self.args else None
        if code is None or not _PLAIN.fullmatch(code):
            raise DataError(f"its element type {_short(code)} is no plain number, text or object")
        version, order, *rest = self.state or (3, "|", None, None, None, -1, -1, 0)
        plain = np.dtype({"<": "<", ">": ">"}.get(_text(order) or "", "=") + code)
        if version != 3 or len(rest) != 6 or any(part is not None for part in rest[:3]):
            raise DataError(f"its element type {code!r} has an unknown state")
        if rest[3] not in (-1, plain.itemsize):
            raise DataError(f"its element type {code!r} is given the size {_short(rest[3])}")
        return plain


class _Array(_Record):
    """``_reconstruct(ndarray, (0,), b'b')`` whose state is (version, shape, dtype, fortran, data)."""

    def value(self, memo: _Memo) -> np.ndarray[Any, Any]:
        if self.args[:2] != (_ArrayClass, (0,)) or not isinstance(self.state, tuple) or len(self.state) != 5:
            raise DataError("it makes an array in another way than NumPy does")
        _, shape, dtype, fortran, data = self.state
        return _array(_resolve(dtype, memo), shape, "F" if fortran else "C", _resolve(data, memo))


class _Buffer(_Record):
    """``_frombuffer(bytes, dtype, shape, order)``."""

    def value(self, memo: _Memo) -> np.ndarray[Any, Any]:
        data, dtype, shape, order = self.args
        if order not in ("C", "F"):
            raise DataError(f"it lays out an array in the order {_short(order)}")
        return _array(_resolve(dtype, memo), shape, order, _resolve(data, memo))


class _Scalar(_Record):
    """``scalar(dtype, bytes)``."""

    def value(self, memo: _Memo) -> object:
        dtype, data = self.args
        return _array(_resolve(dtype, memo), (), "C", _resolve(data, memo))[()]


class _Index(_Record):
    """``_new_Index(class, {"data": array, …})``, or start, stop and step for a range."""

    def value(self, memo: _Memo) -> object:
        import pandas as pd

        kind, fields = self.args
        if kind is _RangeClass:
            return pd.RangeIndex(int(fields["start"]), int(fields["stop"]), int(fields["step"]))
        return pd.Index(_resolve(fields["data"], memo))


class _BlockClass(_Class):
    """pandas' ``new_block``: named by `_Partial`, never called."""


class _Block(_Record):
    """A block of columns: its values, their places, and in some versions its number of axes."""

    @property
    def parts(self) -> tuple[Any, Any]:
        """Places and values."""
        values, places = self.args[:2]
        return places, values


class _Partial(_Record):
    """``partial(new_block)``, whose call makes a block."""

    def __call__(self, *args: object) -> _Block:
        if self.args != (_BlockClass,) or self.state != (_BlockClass, (), {"ndim": 2}, None):
            raise DataError("it makes a partial function of another one than pandas' new_block")
        return _Block(*args)


class _Manager(_Record):
    """pandas' ``BlockManager``, made of blocks and axes; pandas 0.14 to 1.2 wrote them as a state named 0.14.1."""

    def value(self, memo: _Memo) -> object:
        import pandas as pd

        if self.state is None:
            given, axes = self.args
            blocks = [block.parts for block in given]
        else:
            layout = self.state[3]["0.14.1"]
            axes, blocks = layout["axes"], [(block["mgr_locs"], block["values"]) for block in layout["blocks"]]
        columns, index = (_resolve(axis, memo) for axis in axes)
        rows: dict[int, Any] = {}
        for places, values in blocks:
            rows |= dict(zip(range(len(columns))[places], _resolve(values, memo), strict=True))
        frame = pd.DataFrame({place: rows[place] for place in range(len(columns))}, index=index)
        return frame.set_axis(columns, axis="columns")


class _Frame(_Record):
    """pandas' ``DataFrame``, whose state holds its block manager."""

    def value(self, memo: _Memo) -> object:
        manager = self.state.get("_data", self.state.get("_mgr"))
        if not isinstance(manager, _Manager):
            raise DataError("it has a data frame without its blocks")
        return _resolve(manager, memo)


_ADMITTED: dict[tuple[str, str], type] = {
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (complex, dict, frozenset, list, set, slice, tuple)
    },
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): _Encoded,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _ArrayClass,
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
    ("pandas.core.internals.blocks", "new_block"): _BlockClass,
    ("pandas._libs.internals", "_unpickle_block"): _Block,
    ("functools", "partial"): _Partial,
}


class _Reader(pickle.Unpickler):
    """Unpickler that knows the admitted names only."""

    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in _ADMITTED:
            raise DataError(
                f"it asks for {_short(module, str)}.{_short(name, str)}. Only arrays, data frames and builtin "
                "containers are admitted, so it was refused and nothing in it was run"
            )
        return _ADMITTED[module, name]


def load(path: str | Path, encoding: str = "ASCII") -> Any:
    """What a pickle file holds, if it holds nothing but NumPy arrays, pandas frames and builtin containers.

    Args:
        path: the file.
        encoding: of the text that Python 2 wrote; ``"bytes"`` leaves it as bytes.

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
        return loads(Path(path).read_bytes(), encoding)
    except OSError as error:
        raise DataError(f"Cannot read {str(path)!r}: {error.strerror}. Expected a pickle; check the path.") from error
    except DataError as error:
        raise DataError(f"The pickle {str(path)!r} cannot be used: {error} Fetch it again from its source.") from error


def loads(data: bytes, encoding: str = "ASCII") -> Any:
    """Same as :func:`load`, for bytes.

    Raises:
        DataError: the bytes are damaged or name anything that is not admitted.
    """
    try:
        _check_memo(data)
        return _resolve(_Reader(io.BytesIO(data), encoding=encoding).load(), {})
    except DataError as error:
        raise DataError(f"{str(error).rstrip('.')}.") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(f"it is damaged ({type(error).__name__}: {_short(error, str)}).") from error


def load_checkpoint(path: str | Path) -> Any:
    """What a file of ``torch.save`` holds, if it holds nothing but tensors, numbers, text and builtin containers.

    Raises:
        DataError: the file is missing, damaged, or names anything else; nothing of it was run.
    """
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        raise DataError(
            f"The checkpoint {str(path)!r} cannot be used: {type(error).__name__}: {reason} Expected plain data that "
            "torch.load(weights_only=True) reads; fetch it again from its source."
        ) from error


def _check_memo(data: bytes) -> None:
    """Refuse a length or a memo index beyond the file: the unpickler makes room for it before it looks."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= int(argument or 0) <= len(data):
            raise DataError(f"it is damaged (memo index {argument})")


def _resolve(item: Any, memo: _Memo) -> Any:
    """``item`` with every record in it replaced by its value; what several places share stays shared."""
    if isinstance(item, _Record) or type(item) in _CONTAINERS:
        if id(item) not in memo:
            memo[id(item)] = item.value(memo) if isinstance(item, _Record) else _resolved(item, memo)
        return memo[id(item)]
    if type(item) in _SCALARS:
        return item
    raise DataError(f"it holds {_short(item)}, which is no data")


def _resolved(container: Any, memo: _Memo) -> Any:
    if type(container) is dict:
        return {_resolve(key, memo): _resolve(value, memo) for key, value in container.items()}
    return type(container)([_resolve(part, memo) for part in container])


def _array(dtype: np.dtype[Any], shape: Any, order: Any, data: Any) -> np.ndarray[Any, Any]:
    """Array of ``shape`` from raw bytes, or from a list for objects; the sizes must agree to the byte."""
    if not isinstance(dtype, np.dtype) or not isinstance(shape, tuple) or any(type(n) is not int for n in shape):
        raise DataError(f"it has an array of {_short(dtype)} and shape {_short(shape)}")
    size, expected = math.prod(shape), list if dtype.hasobject else (bytes, bytearray)
    if not isinstance(data, expected) or min(shape, default=0) < 0:
        raise DataError(f"it has an array of {dtype} and shape {_short(shape)} with {type(data).__name__} for data")
    if len(data) != size * (1 if dtype.hasobject else dtype.itemsize):
        raise DataError(f"it has an array of {dtype} and shape {_short(shape)} with data of length {len(data)}")
    if not isinstance(data, list):
        return np.frombuffer(data, dtype).reshape(shape, order=order).copy(order=order)
    array = np.empty(size, dtype)
    for place, item in enumerate(data):
        array[place] = item
    return array.reshape(shape, order=order)


def _text(given: object) -> str | None:
    """Text that Python 2 may have written as bytes; None for anything else."""
    if isinstance(given, bytes):
        return given.decode("latin1")
    return given if isinstance(given, str) else None


def _kind(record: _Record) -> str:
    return type(record).__name__.strip("_").lower().replace("arrayclass", "numpy.ndarray")


def _short(given: object, write: Any = repr) -> str:
    """``given`` on one line that a message has room for; a container by its type and length."""
    if type(given) in _CONTAINERS and len(given) > 8:  # type: ignore[arg-type]
        return f"a {type(given).__name__} of {len(given)}"  # type: ignore[arg-type]
    text = " ".join(write(given).split())
    return text if len(text) <= 100 else f"{text[:97]}..."
