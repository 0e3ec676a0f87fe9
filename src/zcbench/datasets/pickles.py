"""A strict unpickler for image files: numbers, text and NumPy arrays, nothing that can run."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zcbench.errors import DataError


def _encode(text: str, encoding: str) -> bytes:
    """``_codecs.encode`` as Python 2 compatible pickles use it for bytes: Latin-1 only."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encodes text as {encoding!r}")
    return text.encode("latin1")


_reconstruct: Callable[..., Any] = np.empty(0).__reduce__()[0]  # type: ignore[assignment]  # wherever NumPy keeps it

_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
}


class _StrictUnpickler(pickle.Unpickler):
    """Resolves the few names that a pickled array needs, and refuses every other one before anything is called."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"asks for {module}.{name}") from None


def read_pickle(path: Path) -> dict[bytes, Any]:
    """Dictionary that a CIFAR file holds, its keys as bytes; nothing in the file is ever executed.

    Args:
        path: a pickle of numbers, text, lists, dictionaries and numeric NumPy arrays (Python 2 or 3).

    Raises:
        DataError: the file is missing or truncated, asks for anything else, or holds no dictionary.
    """
    try:
        with path.open("rb") as file:
            content = _StrictUnpickler(file, encoding="bytes").load()
    except OSError as error:
        raise DataError(
            f"Cannot read {path}: {error.strerror}. Expected a file of the official Python layout."
        ) from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(
            f"{path} is no readable CIFAR file: {error}. Expected a pickle of arrays and text only, complete; "
            f"download the official archive again."
        ) from error
    if not isinstance(content, dict):
        raise DataError(
            f"{path} holds a {type(content).__name__}. Expected the dictionary of the official Python layout."
        )
    return content
