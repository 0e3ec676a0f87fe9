"""File systems that other machines share: which of them can hold a folder with one writer, and how."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path("/proc/self/mounts")
_ESCAPE = re.compile(r"\\([0-7]{3})")  # of a space and the like in the table

_SHARED = """
nfs nfs4 cifs smb3 smbfs lustre gpfs beegfs ceph fuse.ceph fuse.ceph-fuse glusterfs fuse.glusterfs pvfs2 orangefs ocfs2
gfs2 wekafs panfs afs 9p virtiofs
"""
_COPIES = """
fuse.sshfs fuse.s3fs fuse.gcsfuse fuse.rclone fuse.goofys fuse.blobfuse fuse.blobfuse2 fuse.mountpoint-s3 fuse.davfs
fuse.davfs2 fuse.curlftpfs
"""
#: File systems that several machines share.
SHARED = frozenset(_SHARED.split())
#: Those that copy files to a store of objects or another machine, and lock on this machine alone.
COPIES = frozenset(_COPIES.split())
#: Options of a mount with which a lock holds on this machine alone.
_LOCAL_LOCKS = frozenset(("nolock", "local_lock=all", "local_lock=flock", "localflock", "nobrl", "noflock"))


@dataclass(frozen=True)
class Mount:
    """A mounted file system.

    Attributes:
        place: where it is mounted.
        kind: of file system, as the system calls it.
        options: of the mount.
    """

    place: Path
    kind: str
    options: frozenset[str] = frozenset()

    @property
    def shared(self) -> bool:
        """Whether several machines see it, so that memory cannot be shared through its files."""
        return self.kind in SHARED or self.kind in COPIES

    @property
    def unlocked(self) -> str:
        """Why a lock does not keep other machines out; empty where it does, or where there are no others."""
        if self.kind in COPIES:
            return f"{self.kind} locks on this machine alone"
        found = sorted(self.options & _LOCAL_LOCKS) if self.shared else []
        return f"{self.kind} is mounted with {found[0]}, by which a lock holds on this machine alone" if found else ""


def mount_of(path: str | Path, table: str | None = None) -> Mount | None:
    """The mount that a path lies on; None where the system does not tell.

    Args:
        path: a file or folder; it need not exist.
        table: mounts, as ``/proc/self/mounts`` lists them; those of this process if None.

    >>> mount_of("/home/me/runs", "fs:/home /home nfs4 rw,vers=4.2,local_lock=none 0 0").shared
    True
    """
    try:
        lines = (_TABLE.read_text("utf-8", "surrogateescape") if table is None else table).splitlines()
        whole = Path(path).resolve()
    except (OSError, RuntimeError):
        return None
    found = [mount for mount in _mounts(lines) if whole.is_relative_to(mount.place)]
    return max(reversed(found), key=lambda mount: len(mount.place.parts), default=None)


def _mounts(lines: Iterable[str]) -> Iterable[Mount]:
    for line in lines:
        if len(parts := line.split()) >= 4:
            place = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), parts[1])
            yield Mount(Path(place), parts[2], frozenset(parts[3].split(",")))
