"""Shared file systems. The oracle is a table of mounts written by hand in the form of ``proc(5)``."""

from pathlib import Path

import pytest

from zcbench.benchmarks.scoring.folder import locked
from zcbench.benchmarks.scoring.store import Store
from zcbench.errors import StoreError
from zcbench.storage import mounts
from zcbench.storage.mounts import Mount, mount_of

TABLE = r"""
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw,vers=4.2,local_lock=none 0 0
server:/old /old nfs rw,nolock,vers=3 0 0
me@host: /mnt/my\040host fuse.sshfs rw 0 0
10.0.0.1@tcp:/scratch /scratch lustre rw,flock 0 0
10.0.0.1@tcp:/work /work lustre rw,localflock 0 0
/dev/sdb1 /home/local ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind", "shared", "locks"),
    [
        ("/tmp/run", "ext4", False, True),
        ("/home/me/run", "nfs4", True, True),
        ("/home/local/run", "ext4", False, True),
        ("/homes/run", "ext4", False, True),
        ("/old/run", "nfs", True, False),
        ("/mnt/my host/run", "fuse.sshfs", True, False),
        ("/scratch/run", "lustre", True, True),
        ("/work/run", "lustre", True, False),
    ],
)
def test_mounts_of_paths(path: str, kind: str, shared: bool, locks: bool) -> None:
    """The longest mount point above a path, whether machines share it, and whether a lock holds on all of them."""
    found = mount_of(path, TABLE)
    assert found is not None and (found.kind, found.shared, not found.unlocked) == (kind, shared, locks)


def test_no_table_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: a system without the table."""
    monkeypatch.setattr(mounts, "_TABLE", tmp_path / "none")
    assert mount_of(tmp_path) is None


def test_a_store_on_a_shared_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: no memory is shared through a log there; without locks the folder is refused."""
    modes = {}
    for kind, options in (("ext4", ()), ("nfs4", ()), ("nfs4", ("nolock",))):
        mount = Mount(Path("/"), kind, frozenset(options))
        monkeypatch.setattr("zcbench.benchmarks.scoring.database.mount_of", lambda path, mount=mount: mount)
        monkeypatch.setattr("zcbench.storage.run_folder.mount_of", lambda path, mount=mount: mount)
        folder = tmp_path / f"{kind}{len(options)}"
        if options:
            with pytest.raises(StoreError, match=r"nolock.*local disk"), locked(folder):
                pass
            assert not folder.exists()
            continue
        with locked(folder), Store(folder / "scores.sqlite", write=True) as store:
            modes[kind] = store._db.execute("PRAGMA journal_mode").fetchone()[0]
    assert modes == {"ext4": "wal", "nfs4": "truncate"}
