"""Bundled files of trained accuracies by the name of the truth; nothing is read."""

from importlib.resources import files
from pathlib import Path

SUFFIX = ".parquet"
_FOLDER = Path(str(files("zcbench.benchmarks.truths") / "tables"))


def bundled_files() -> dict[str, Path]:
    """Packed file of each family of truths, by the full name that its vanilla table has.

    A file is called as its truth, with ``__`` for each slash: ``nasbench201__cifar10-16__test@5.parquet``.

    >>> "nasbench201/cifar10-16/test@5" in bundled_files()
    True
    """
    return {path.stem.replace("__", "/"): path for path in sorted(_FOLDER.glob(f"*{SUFFIX}"))}
