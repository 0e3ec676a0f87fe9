"""What all tasks of a run have in common, as one content that reaches each worker of a cluster once."""

import hashlib
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from zcbench.errors import ProtocolError
from zcbench.runtime.cluster.versions import versions
from zcbench.storage.mirror import add_copies


@dataclass(frozen=True)
class Shipment:
    """A job with the files that it names.

    Attributes:
        prepare: importable function; what it returns for the job does one task.
        job: pickled argument of ``prepare``.
        files: contents by their paths on the machine of the run.
        versions: that a worker must have.
    """

    prepare: Callable[[Any], Callable[[Any], Any]]
    job: bytes
    files: dict[str, bytes]
    versions: dict[str, str] = field(default_factory=versions)

    @classmethod
    def of(cls, prepare: Callable[[Any], Callable[[Any], Any]], job: bytes, files: Iterable[Path]) -> "Shipment":
        """A job with the present contents of ``files``.

        Raises:
            ProtocolError: one cannot be read.
        """
        try:
            contents = {str(file): file.read_bytes() for file in files}
        except OSError as error:
            raise ProtocolError(
                f"{str(error.filename)!r} cannot be sent to the workers: {error.strerror}. Expected a file that can "
                f"be read; put it back."
            ) from error
        return cls(prepare, job, contents)

    @cached_property
    def packed(self) -> bytes:
        """The shipment as bytes."""
        return pickle.dumps(self)

    @property
    def sha256(self) -> str:
        """Fingerprint of the content."""
        return hashlib.sha256(self.packed).hexdigest()

    def unpack(self, folder: Path) -> bytes:
        """Write the files into ``folder``, each under its SHA-256; the argument of `arrived` for a worker process."""
        copies = {}
        for path, content in self.files.items():
            copy = folder / hashlib.sha256(content).hexdigest() / Path(path).name
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
            copies[path] = str(copy)
        return pickle.dumps(_Arrival(copies, self.prepare, self.job))


@dataclass(frozen=True)
class _Arrival:
    copies: dict[str, str]
    prepare: Callable[[Any], Callable[[Any], Any]]
    job: bytes


def arrived(arrival: _Arrival) -> Callable[[Any], Any]:
    """What does one task in a worker process, whose files lie elsewhere than on the machine of the run."""
    add_copies(arrival.copies)
    return arrival.prepare(pickle.loads(arrival.job))
