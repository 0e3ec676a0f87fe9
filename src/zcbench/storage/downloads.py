"""Downloads of files whose size and sha256 are known beforehand, over HTTP or from a local folder.

What arrives is appended to a partial file next to the goal. A cut connection is resumed with a range request, also by a
later process. The file takes its name only when its size and checksum are the pinned ones.
"""

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

from zcbench.errors import ChecksumError, DataError
from zcbench.lazy import Postponed

if TYPE_CHECKING:
    import filelock
    import requests
else:
    filelock = Postponed("filelock")

#: Answers that may be better a moment later.
AGAIN = (408, 425, 429, 500, 502, 503, 504)
_CHUNK = 1 << 16
_KEPT = 1 << 20  # a smaller partial file is not worth a range request

#: Last sentence of the errors of a download of accuracies or images.
ADVICE = (
    "--mirror URL takes the files from another address, file:// too; 'zcbench data import PATH' takes files that are "
    "on this machine."
)

#: Called with the number of bytes that are there and the size of the file.
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class RemoteFile:
    """A public file with its address, size in bytes and SHA-256."""

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return Path(unquote(urlsplit(self.url).path)).name


@dataclass(frozen=True)
class Limits:
    """Limits of a download.

    Attributes:
        seconds: total time for one file, waits included.
        silence: seconds without a byte after which a connection is given up and tried again.
        attempts: attempts in a row that bring no byte.
        pause: seconds before the second attempt; twice as long before each further one. A server that sends
            ``Retry-After`` is asked again after that time.
    """

    seconds: float = 3600.0
    silence: float = 30.0
    attempts: int = 6
    pause: float = 0.5


class _Again(Exception):
    """An attempt failed in a way that another one may not.

    Args:
        what: what happened.
        wait: seconds that the server asks to wait.
        most: attempts in a row that are worth it, if fewer than those of the limits.
    """

    def __init__(self, what: str, wait: float = 0.0, most: float = math.inf) -> None:
        super().__init__(what)
        self.wait, self.most = wait, most


def download(
    file: RemoteFile, goal: Path, *, limits: Limits | None = None, progress: Progress | None = None, advice: str = ""
) -> Path:
    """Bring ``file`` to ``goal``; a goal that has the checksum already is left as it is.

    Args:
        file: address, size and checksum. The address may begin with ``http:``, ``https:`` or ``file:``.
        goal: where to.
        limits: time and attempts; those of `Limits` if omitted.
        progress: called after each part.
        advice: last sentence of every error.

    Raises:
        ChecksumError: the server gives another file: more or fewer bytes than pinned, compressed ones, or another
            checksum; nothing of it is kept.
        DataError: no connection, a refusal, the time limit, or a disk that cannot be written. A part above one megabyte
            is kept and continued by the next call.
    """
    if _is(goal, file):
        return goal
    try:
        with _alone(goal, advice):
            part = _Part(goal.with_name(f".{goal.name}.part"), file)
            with part.kept():
                _Attempts(file, part, limits or Limits(), progress or (lambda done, size: None), advice).run()
            os.replace(part.path, goal)
    except OSError as error:
        raise DataError(
            f"Cannot write {str(goal)!r}: {error.strerror or error}. Free some space, or choose another "
            f"folder with --data-dir or ZCBENCH_DATA."
        ) from error
    return goal


def check(file: RemoteFile, path: Path) -> Path:
    """``path`` itself, once its content is that of ``file``.

    Raises:
        ChecksumError: the file is damaged or another version.
    """
    if not _is(path, file):
        raise ChecksumError(
            f"{str(path)!r} is not the published file. Expected {file.size:,} bytes with the sha256 {file.sha256}; it "
            f"is damaged or another version, so get it again."
        )
    return path


def shown(url: str) -> str:
    """An address without what may be secret in it: user, password, query and fragment.

    >>> shown("https://me:secret@example.org/data/a.csv?token=1")
    'https://example.org/data/a.csv'
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        place = f"[{host}]" if ":" in host else host
        return urlunsplit((parts.scheme, f"{place}:{parts.port}" if parts.port else place, parts.path, "", ""))
    except ValueError:
        return "an address that cannot be read"


@dataclass
class _Part:
    """The partial file."""

    path: Path
    file: RemoteFile

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Run a block; after a failure the part stays only if a later call can continue it."""
        try:
            yield
        except ChecksumError:
            self.path.unlink(missing_ok=True)
            raise
        finally:
            if self.size < min(_KEPT, self.file.size):
                self.path.unlink(missing_ok=True)


@dataclass
class _Attempts:
    """The attempts at one file."""

    file: RemoteFile
    part: _Part
    limits: Limits
    progress: Progress
    advice: str
    _end: float = field(init=False)

    def run(self) -> None:
        """Try until the part is the whole file."""
        self._end, failed, resumed = time.monotonic() + self.limits.seconds, 0, self.part.size > 0
        while True:
            before = self.part.size
            try:
                self._attempt()
                if self.part.size < self.file.size:
                    raise _Again("the connection was cut")
                if _sha256(self.part.path) == self.file.sha256:
                    return
                if not resumed:
                    raise self._wrong("its sha256 is not the pinned one")
                self.part.path.unlink()  # the part may be that of another file: once more, from the start
                resumed = False
                continue
            except _Again as error:
                failed = failed + 1 if self.part.size <= before else 1
                resumed = resumed or self.part.size > 0
                self._pause(failed, error)

    def _pause(self, failed: int, error: _Again) -> None:
        if failed >= min(self.limits.attempts, error.most):
            raise self._broken(f"{error}, {failed} times in a row")
        wait = max(error.wait, self.limits.pause * 2 ** (failed - 1))
        if time.monotonic() + wait > self._end:
            told = f" and asks to wait {wait:,.0f} s" if error.wait else ""
            raise self._broken(f"{error}{told}, and the time limit of {self.limits.seconds:,.0f} s would be exceeded")
        time.sleep(wait)

    def _attempt(self) -> None:
        """Append what the server gives to the part."""
        if urlsplit(self.file.url).scheme == "file":
            return self._local()
        import requests

        try:
            with self._answer(self.part.size) as answer:
                start = self._start(answer)
                self._append(answer.iter_content(_CHUNK), start)
        except requests.exceptions.ChunkedEncodingError:
            raise _Again("the connection was cut") from None
        except (requests.exceptions.Timeout, requests.exceptions.ConnectionError) as error:
            if isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error):
                raise _Again(f"no byte arrived for {self.limits.silence:g} s") from None
            raise _Again("there is no connection", most=2) from None
        except (requests.exceptions.RequestException, ValueError):  # its text may have what is secret in the address
            raise self._broken("it is no address that can be asked") from None

    def _answer(self, have: int) -> "requests.Response":
        import requests

        ask = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        return requests.get(self.file.url, headers=ask, stream=True, timeout=self.limits.silence)

    def _start(self, answer: "requests.Response") -> int:
        """Where the bytes of an answer begin in the file, once it is one that can be used."""
        have, status = self.part.size, answer.status_code
        if status in AGAIN:
            raise _Again(f"the server answers {status}", _retry_after(answer.headers.get("Retry-After", "")))
        if have and status == 416:
            self.part.path.unlink()
            raise _Again("the server does not continue the file")
        if status not in (200, 206):
            raise self._broken(f"the server answers {status} ({answer.reason})")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise self._wrong(f"it comes compressed ({answer.headers['Content-Encoding']}), which was not asked for")
        start = have if status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-") else 0
        length = answer.headers.get("Content-Length", "")
        if length.isdecimal() and start + int(length) != self.file.size:
            raise self._wrong(f"it has {start + int(length):,} bytes")
        if status == 206 and start != have:
            self.part.path.unlink()
            raise _Again("the server continues the file elsewhere")
        return start

    def _local(self) -> None:
        path = Path(url2pathname(urlsplit(self.file.url).path))
        try:
            with path.open("rb") as source:
                size = os.fstat(source.fileno()).st_size
                if size != self.file.size:
                    raise self._wrong(f"it has {size:,} bytes")
                self._append(iter(lambda: source.read(_CHUNK), b""), 0)
        except OSError as error:
            if error.filename != str(path):
                raise
            raise self._broken(f"{error.strerror}") from None

    def _append(self, chunks: Iterator[bytes], start: int) -> None:
        """Write the bytes from ``start`` on, and never more than the file has."""
        self.part.path.parent.mkdir(parents=True, exist_ok=True)
        with self.part.path.open("ab") as part:
            part.truncate(start)
            self._write(part, chunks, start)

    def _write(self, part: IO[bytes], chunks: Iterator[bytes], done: int) -> None:
        for chunk in chunks:
            done += len(chunk)
            if done > self.file.size:
                raise self._wrong(f"it has more than the pinned {self.file.size:,} bytes")
            part.write(chunk)
            self.progress(done, self.file.size)
            if time.monotonic() > self._end:
                raise self._broken(f"it is not complete within the time limit of {self.limits.seconds:,.0f} s")

    def _wrong(self, why: str) -> ChecksumError:
        return ChecksumError(
            f"{shown(self.file.url)} does not give the published file: {why}. Expected {self.file.size:,} bytes with "
            f"the sha256 {self.file.sha256}. Nothing of it was kept. {self.advice}".rstrip()
        )

    def _broken(self, why: str) -> DataError:
        have = self.part.size
        kept = f" {have:,} of {self.file.size:,} bytes are kept;" if have >= _KEPT else ""
        return DataError(
            f"The download of {shown(self.file.url)} broke off: {why};{kept} check the network and run the "
            f"same command again. {self.advice}".rstrip()
        )


@contextmanager
def _alone(goal: Path, advice: str) -> Iterator[None]:
    """One process at a time downloads to ``goal``; the lock file is removed."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(goal.with_name(f".{goal.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise DataError(
            f"Another process downloads to {str(goal)!r} now. Expected one at a time; wait for it. {advice}".rstrip()
        ) from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _retry_after(text: str) -> float:
    """Seconds to wait, from the header's number of seconds or its date; 0 for anything else."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _is(path: Path, file: RemoteFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and _sha256(path) == file.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
