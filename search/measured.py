"""Latency and sizes of networks, measured on this machine into a table that a search can read."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from zcbench import spaces
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.benchmarks.truths.sources import sha256
from zcbench.datasets import Batch
from zcbench.datasets.inputs import Given, rebuilt, tensors_of
from zcbench.errors import ProtocolError, told
from zcbench.runtime.clock import Clock
from zcbench.search.algorithms.loop import SearchError
from zcbench.spaces import Networks, Space, SpaceError
from zcbench.spaces.base import ImageShape
from zcbench.spaces.networks.cards import Example
from zcbench.spaces.networks.sources import Given as Mapped
from zcbench.storage.parquet import CardedParquet, require_suffix
from zcbench.storage.run_folder import Json, differences

FILE = CardedParquet(
    b"zcbench.latency",
    "latencies",
    "Expected a file of 'zcbench measure', or a CSV file with the columns arch and latency.",
)
COLUMNS = ("latency", "latency_p10", "latency_p90")
_SAVED_EVERY = 30.0  # seconds
_MACHINE = "machine"

Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Measurements:
    """Latency and sizes of networks.

    Attributes:
        table: columns ``arch, params, macs, n_convs, depth``; ``latency``, the median of the passes in ms, and
            ``latency_p10`` and ``latency_p90``, their quantiles; ``sha256`` of networks of one's own.
        protocol: what the numbers depend on.
    """

    table: pd.DataFrame
    protocol: Json

    def to_frame(self) -> pd.DataFrame:
        """The table."""
        return self.table

    def write(self, file: str | Path) -> None:
        """Store table and protocol in a Parquet file, which `read_measurements` and a search read.

        Raises:
            DataError: the name does not end in ``.parquet``, or the file cannot be written.
        """
        require_suffix(Path(file))
        rows = pa.Table.from_pandas(self.table, preserve_index=False)
        FILE.write(rows, {"format": FILE.version, "protocol": self.protocol}, Path(file))

    def __repr__(self) -> str:
        return f"<latency of {len(self.table)} networks on {self.protocol[_MACHINE]}>"

    def _repr_html_(self) -> str:
        return f"<p>{repr(self)[1:-1]}</p>{self.table.to_html(index=False, float_format='{:.4g}'.format)}"


def read_measurements(file: str | Path) -> Measurements:
    """Measurements that `Measurements.write` stored, or a CSV file with the columns ``arch`` and ``latency`` in ms.

    Raises:
        DataError: the file cannot be read.
        SearchError: a CSV file lacks a column, has an architecture twice, or a latency that is no number above 0.
    """
    if str(file).endswith(".csv"):
        return Measurements(_from_csv(file), {_MACHINE: f"not stated ({Path(file).name})"})
    rows, card = FILE.read(Path(file))
    return Measurements(rows.to_pandas(), card["protocol"])


def _from_csv(file: str | Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(file, dtype={"arch": str})
    except (OSError, ValueError) as error:
        raise FILE.unreadable(Path(file), error) from error
    if not {"arch", "latency"} <= set(table):
        raise SearchError(f"{str(file)!r} has the columns {', '.join(map(str, table))}. Expected arch and latency.")
    latency = pd.to_numeric(table["latency"], errors="coerce")
    wrong = table["arch"][~(latency > 0) | ~np.isfinite(latency) | table["arch"].duplicated()]
    if len(wrong):
        raise SearchError(
            f"{str(file)!r} has {wrong.iloc[0]!r} twice, or its latency is no number above 0. Expected one latency in "
            f"milliseconds for each architecture."
        )
    return table.assign(latency=latency)


def measure(
    networks: Mapped | Space | str,
    out: str | Path | None = None,
    *,
    archs: Sequence[str] | None = None,
    batch: object = None,
    num_classes: int = 10,
    image_shape: ImageShape = (3, 32, 32),
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Measurements:
    """Time and size networks on this machine, one after the other.

    Args:
        networks: a space or its name, as ``"nasbench201(channels=4,cells=1)"``; or networks of one's own, a mapping or
            ``FILE.py:NAME``.
        out: Parquet file that keeps what is measured; the architectures that it has are not measured again.
        archs: architectures; all of the space if None.
        batch: inputs, as `zcbench.rank_networks` takes them; black images of ``image_shape`` if None.
        num_classes: classes of the networks of a space.
        image_shape: ``(C, H, W)``, where there is no batch.
        clock: how passes are timed.
        progress: called with the number of networks that are done, and of all.

    Returns:
        The measurements of ``archs``, in their order.

    Raises:
        SpaceError, ArchitectureError: an architecture is none of the space, or its network does not take the inputs.
        ProtocolError: ``out`` holds measurements of another protocol.
        DataError: ``out`` cannot be read or written.

    Example:
        >>> from torch import nn
        >>> found = measure({"linear": nn.Sequential(nn.Flatten(), nn.Linear(192, 10))}, image_shape=(3, 8, 8))
        >>> found.table["macs"].item(), found.table["latency"].item() > 0
        (1920, True)
    """
    clock = clock or Clock()
    timed = _Timed.of(networks, batch, num_classes, image_shape, clock)
    names = list(timed.space.subset() if archs is None else dict.fromkeys(archs))
    for arch in names:
        timed.space.parse(arch)
    rows = timed.kept(out)
    with _saved(rows, timed.protocol, out) as save:
        for done, arch in enumerate(names):
            if progress is not None:
                progress(done, len(names))
            if arch not in rows:
                rows[arch] = timed.row(arch)
                save()
    return Measurements(pd.DataFrame([rows[arch] for arch in names]), timed.protocol)


def _space(networks: Mapped | Space | str) -> Space:
    if isinstance(networks, Space):
        return networks
    return spaces.get(networks) if isinstance(networks, str) else Networks(networks)


@dataclass(frozen=True)
class _Timed:
    """What is timed, and how."""

    space: Space
    inputs: Given
    classes: int
    clock: Clock

    @classmethod
    def of(
        cls, networks: Mapped | Space | str, batch: object, classes: int, shape: ImageShape, clock: Clock
    ) -> "_Timed":
        given = torch.zeros(1, *shape) if batch is None else Batch.of(batch).images
        repeated = -(-clock.batch_size // len(given))
        inputs = rebuilt(given, [torch.cat([one] * repeated)[: clock.batch_size] for one in tensors_of(given)])
        space = _space(networks)
        space = space.on(Example(inputs[:1])) if isinstance(space, Networks) else space
        return cls(space, inputs, classes, clock)

    @property
    def shape(self) -> ImageShape:
        return tuple(tensors_of(self.inputs)[0].shape[1:])

    @property
    def protocol(self) -> Json:
        shown = [f"{str(one.dtype).removeprefix('torch.')} {tuple(one.shape)}" for one in tensors_of(self.inputs)]
        classes = None if isinstance(self.space, Networks) else self.classes
        about = {"space": self.space.spec, "classes": classes, "image_shape": list(self.shape), "inputs": shown}
        return about | {"clock": asdict(self.clock), _MACHINE: self.clock.machine}

    def kept(self, out: str | Path | None) -> dict[str, Json]:
        """Rows that a file has already, of the networks as they are now."""
        if out is None:
            return {}
        require_suffix(Path(out))
        if not Path(out).exists():
            return {}
        found = read_measurements(out)
        if changed := [f"{name}: {old} → {new}" for name, old, new in differences(found.protocol, self.protocol)]:
            raise ProtocolError(
                f"{str(out)!r} holds latencies of another protocol ({'; '.join(changed)}). Expected the same options; "
                f"or name another file."
            )
        rows = ({str(name): value for name, value in row.items()} for row in found.table.to_dict("records"))
        return {row["arch"]: row for row in rows if row.get("sha256") == self.sha256(row["arch"])}

    def sha256(self, arch: str) -> str | None:
        """Fingerprint of a network of one's own; None for an architecture whose string defines it."""
        if not isinstance(self.space, Networks):
            return None
        return self.space.card(arch, self.shape).sha256 if arch in self.space else ""

    def row(self, arch: str) -> Json:
        """Sizes and times of one network."""
        sizes = self.space.costs([arch], self.classes, self.shape)[list(SIZES)].iloc[0]
        network = self.space.build(arch, self.classes, image_shape=self.shape).eval().to(self.clock.device)
        device = torch.device(self.clock.device)
        inputs = rebuilt(self.inputs, [one.to(device) for one in tensors_of(self.inputs)])
        try:
            times = self.clock.times(network, inputs)
        except (RuntimeError, TypeError, ValueError) as error:
            raise SpaceError(f"The network {arch!r} cannot be timed: {told(error)}.") from error
        middle, low, high = (float(value) for value in np.quantile(times, (0.5, 0.1, 0.9)))
        found = {"arch": arch, **{name: int(sizes[name]) for name in SIZES}}
        found |= dict(zip(COLUMNS, (middle, low, high)))
        return found if (own := self.sha256(arch)) is None else found | {"sha256": own}


@contextmanager
def _saved(rows: dict[str, Json], protocol: Json, out: str | Path | None) -> Iterator[Callable[[], None]]:
    """Write the rows into a file from time to time, and at the end, also where the block is stopped."""
    last = time.monotonic()

    def write() -> None:
        if out is not None and rows:
            Path(out).parent.mkdir(parents=True, exist_ok=True)
            Measurements(pd.DataFrame(list(rows.values())), protocol).write(out)

    def save() -> None:
        nonlocal last
        if time.monotonic() - last > _SAVED_EVERY:
            write()
            last = time.monotonic()

    try:
        yield save
    finally:
        write()


class MeasuredLatency:
    """Latencies of a table as costs of a search.

    Args:
        file: a file of `measure`, or a CSV file with the columns ``arch`` and ``latency``.
        space: the space that is searched.
        task: classes and image shape of its networks.

    Attributes:
        archs: the architectures of the space that have a latency.

    Raises:
        DataError: the file cannot be read.
        SearchError: it is about another space, other classes, images or networks, or has no architecture of the space.
    """

    instant = True

    def __init__(self, file: str | Path, space: Space, task: tuple[int, ImageShape]) -> None:
        found = read_measurements(file)
        self._values = found.table.set_index("arch")["latency"]
        _check(found, str(file), space, task)
        self.archs = tuple(arch for arch in self._values.index if arch in space)
        self.about: dict[str, object] = {
            "device": found.protocol[_MACHINE],
            "measure": "latency",
            "source": f"{Path(file).name}, {len(found.table):,} architectures, sha256 {sha256(Path(file))[:12]}",
            "protocol": found.protocol,
        }

    def __call__(self, archs: Sequence[str]) -> np.ndarray:
        """The latencies, NaN where the table has none."""
        return self._values.reindex(list(archs)).to_numpy(dtype=float)


def _check(found: Measurements, file: str, space: Space, task: tuple[int, ImageShape]) -> None:
    classes, shape = task
    own = isinstance(space, Networks)
    asked = {"space": space.spec, "classes": None if own else classes, "image_shape": list(shape)}
    for name, value in asked.items():
        if found.protocol.get(name, value) != value:
            raise SearchError(
                f"{file!r} has latencies of {name} {found.protocol[name]}, and the search is about {value}. Expected "
                f"the same; measure its networks by 'zcbench measure'."
            )
    if not any(arch in space for arch in found.table["arch"]):
        raise SearchError(f"{file!r} has no architecture of {space.spec}. Expected some; measure them.")
    if not isinstance(space, Networks) or "sha256" not in found.table:
        return
    for arch, known in zip(found.table["arch"], found.table["sha256"]):
        if arch in space and space.card(arch, shape).sha256 != known:
            raise SearchError(
                f"The network {arch!r} is not the one that {file!r} has the latency of. Measure it again."
            )
