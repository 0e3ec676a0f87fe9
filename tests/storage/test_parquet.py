"""Parquet files with a card."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zcbench.errors import DataError
from zcbench.storage.fingerprint import fingerprint
from zcbench.storage.parquet import CardedParquet, require_suffix

KIND = CardedParquet(b"zcbench fruit", "fruit", "Expected what 'fruit pack' wrote; pack it again.", version=2)
TABLE = pa.table({"name": ["apple", "pear"], "weight": [1.5, None]}).replace_schema_metadata({b"other": b"kept"})
CARD = {"format": 2, "count": 2, "sha256": fingerprint(TABLE)}


def test_bytes_are_those_of_pyarrow(tmp_path: Path) -> None:
    """Oracle: pyarrow itself, given the same metadata and options; what is read is what was written."""
    KIND.write(TABLE, CARD, tmp_path / "a.parquet", compression_level=19, use_dictionary=["name"])
    metadata = {b"other": b"kept", b"zcbench fruit": json.dumps(CARD).encode()}
    options = {"compression": "zstd", "compression_level": 19, "use_dictionary": ["name"], "write_page_checksum": True}
    pq.write_table(TABLE.replace_schema_metadata(metadata), tmp_path / "b.parquet", **options)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    table, card = KIND.read(tmp_path / "a.parquet")
    assert table.equals(TABLE) and card == CARD == KIND.card(tmp_path / "a.parquet")


def test_what_is_refused(tmp_path: Path) -> None:
    """Bad input: no file, no card, another version, other rows, a name without the suffix, a folder below a file."""
    file = tmp_path / "a.parquet"
    with pytest.raises(DataError, match=r"No fruit can be read from .*a\.parquet.*pack it again"):
        KIND.card(file)
    pq.write_table(TABLE, file)
    with pytest.raises(DataError, match="it has no card of fruit"):
        KIND.read(file)
    assert KIND.read(file, required=False)[1] == {}
    KIND.write(TABLE, CARD | {"format": 3}, file)
    with pytest.raises(DataError, match=r"has the format 3\. Expected 2"):
        KIND.read(file, required=False)
    KIND.write(TABLE.slice(1), CARD, file)
    assert KIND.card(file) == CARD
    with pytest.raises(DataError, match="its rows are not those that were packed"):
        KIND.read(file)
    with pytest.raises(DataError, match=r"a\.csv' was given.*ends in \.parquet"):
        require_suffix(tmp_path / "a.csv")
    before = file.read_bytes()
    with pytest.raises(DataError, match=r"Cannot write .*Nothing was changed.*name another one"):
        KIND.write(TABLE, CARD, file / "below.parquet")
    assert file.read_bytes() == before
