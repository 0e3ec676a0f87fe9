"""DisWOT's 64 ResNets on CIFAR-100: trained alone, under a teacher, and the difference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zcbench import spaces
from zcbench.benchmarks.truths.sources import Source, difference, register, three_settings
from zcbench.errors import DataError
from zcbench.lazy import Postponed

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Postponed("pandas")

_REPOSITORY = ("lliai/DisWOT-CVPR2023", "dffe4e6118a2ab6a5ed89c9495e1ee2b6c808afa")


def _file(kind: str, sha256: str) -> Source:
    return Source(f"diswot-s0:{kind}", *_REPOSITORY, f"exps/s1-gt-{kind}.txt", sha256, 768, "Apache-2.0")


_ALONE = _file("cls", "465d61399626e3b6abe08b2dbabcd2a09026b6ed5e83510d3ef87b14822317ad")
_UNDER = _file("kd", "48d218437e37318b6685c8c489a380011e964cfe0584228d8a9bd530911705b6")


def s0(path: Path) -> pd.DataFrame:
    """CIFAR-100 accuracies of DisWOT's 64 ResNets from ``s1-gt-*.txt``: an architecture and its accuracy in each line.

    Raises:
        DataError: a line holds anything else.
    """
    rows = [_s0_row(path, number, line) for number, line in enumerate(path.read_text().splitlines(), 1) if line.strip()]
    return pd.DataFrame(rows, columns=["arch", "accuracy"])


def s0_gain(under: Path, alone: Path) -> pd.DataFrame:
    """What distillation adds to each of the 64, in percentage points."""
    return difference(s0(under), s0(alone))


def _s0_row(path: Path, number: int, line: str) -> tuple[str, float]:
    try:
        arch, accuracy = line.split()
        spaces.get("s0").parse(arch)
        return arch, float(accuracy)
    except ValueError as error:  # ArchitectureError is one
        raise DataError(
            f"{str(path)!r}, line {number}: {line!r} was given. Expected a network of S0 and its accuracy, such as "
            f"'557 74.86'; fetch the file again. ({error})"
        ) from error


register(
    *three_settings(
        "s0/cifar100/test",
        ((_ALONE,), s0, 64),
        ((_UNDER,), s0, 64),
        ((_UNDER, _ALONE), s0_gain, 64),
        notes=(
            ("images", "not stated in the files; taken for the test images"),
            ("schedule", "not stated in the files"),
        ),
        teacher="not stated in the files; the paper names a ResNet-56 and a ResNet-110",
    )
)
