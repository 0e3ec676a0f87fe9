"""Which architectures are scored: a sample, a whole subset, those that the truths know, or the lines of a file."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from zcbench.benchmarks.scoring.options import Sample
from zcbench.errors import DataError, ProtocolError, shortened
from zcbench.spaces import Space
from zcbench.storage.files import is_file
from zcbench.streams import numpy_stream

KNOWN = "known"  # the subset of what the truths know
_DIGITS = 18  # of a number of architectures


def choose(space: Space, sample: Sample, truths: Mapping[str, pd.DataFrame] | None = None) -> tuple[list[str], str]:
    """The architectures of a sample, all of the space if it says none, and a sentence that says which.

    Raises:
        ProtocolError, ArchitectureError, UnknownNameError, SpaceError: as `choose_architectures`.
    """
    wanted, subset = sample.archs or "all", sample.subset or "all"
    if isinstance(wanted, str | int | Path):
        return choose_architectures(space, str(wanted), subset, sample.seed, truths)
    for arch in wanted:
        space.parse(arch)
    return list(wanted), f"the {len(wanted)} architectures that were given"


def choose_architectures(
    space: Space,
    wanted: str,
    subset: str = "all",
    seed: int = 0,
    truths: Mapping[str, pd.DataFrame] | None = None,
) -> tuple[list[str], str]:
    """Architectures, and a sentence that says which.

    Args:
        space: where they are from.
        wanted: how many to sample without replacement, ``"all"``, or the path of a text file with one a line.
        subset: the set that they are taken from; ``"known"`` are those of the space that every truth has.
        seed: names the stream of the sample.
        truths: trained accuracies by name.

    Raises:
        ProtocolError: ``wanted`` is none of the three, or nothing is known.
        ArchitectureError: a line of the file is no architecture.
        UnknownNameError: no subset has this name.
        SpaceError: the subset is smaller than the sample.
    """
    if subset == KNOWN and not is_file(wanted):
        return _of_the_known(space, wanted, seed, truths or {})
    if wanted == "all":
        return list(space.subset(subset)), f"all of the subset {subset!r} of {space.spec}"
    if wanted.isdecimal() and len(wanted) <= _DIGITS:
        stream = numpy_stream("sample", space.name, subset, seed)
        return space.sample(stream, int(wanted), subset=subset), f"{wanted} sampled from {subset!r} with seed {seed}"
    if is_file(wanted):
        archs = _listed(Path(wanted))
        for arch in archs:
            space.parse(arch)
        return archs, f"the {len(archs)} architectures listed in {Path(wanted).name}"
    raise _neither(wanted)


def _of_the_known(space: Space, wanted: str, seed: int, truths: Mapping[str, pd.DataFrame]) -> tuple[list[str], str]:
    """All, or a sample, of the architectures of the space that every truth has."""
    common = set.intersection(*(set(map(str, table["arch"])) for table in truths.values())) if truths else set()
    archs, what = sorted(arch for arch in common if arch in space), f"those that {' and '.join(truths)} have"
    if wanted == "all" and archs:
        return archs, f"all {len(archs):,} of {what}"
    if not (wanted.isdecimal() and len(wanted) <= _DIGITS) and archs:
        raise _neither(wanted)
    if not archs or not 1 <= int(wanted) <= len(archs):
        raise ProtocolError(
            f"archs={wanted!r} of the subset {KNOWN!r} was given, of which {space.name} has {len(archs):,}. Expected a "
            f"truth that knows as many; name another one by --truth, such as nasbench201/cifar10, or ask for fewer."
        )
    chosen = numpy_stream("sample", space.name, KNOWN, seed).choice(len(archs), int(wanted), replace=False)
    return [archs[index] for index in sorted(chosen)], f"{wanted} sampled from {what} with seed {seed}"


def _listed(file: Path) -> list[str]:
    """Lines of a text file that are not empty.

    Raises:
        DataError: it is no text, cannot be read, or lists nothing.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{str(file)!r} cannot be read as text: {error}. Expected one architecture a line.") from error
    if not any(lines):
        raise DataError(f"{str(file)!r} lists no architecture. Expected one a line.")
    return [line for line in lines if line]


def _neither(wanted: str) -> ProtocolError:
    return ProtocolError(
        f"archs={shortened(wanted)!r} was given. Expected a number, 'all', or a text file with one a line."
    )
