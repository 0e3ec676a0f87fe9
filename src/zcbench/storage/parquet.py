"""Parquet files that carry a card: a JSON object in the metadata of the schema that says what the table is."""

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from zcbench.errors import DataError
from zcbench.storage.files import replaced
from zcbench.storage.fingerprint import fingerprint
from zcbench.storage.run_folder import Json

SUFFIX = ".parquet"


@dataclass(frozen=True)
class CardedParquet:
    """One kind of Parquet file with a card.

    Attributes:
        key: name of the card in the metadata of the schema.
        content: what the files hold, for messages: ``"scores"``.
        advice: sentence that says what to do about a file that cannot be read.
        version: of the kind, which a card has under ``format``.
        elsewhere: what to do about a file that cannot be written, after "Expected a folder with room …;".
    """

    key: bytes
    content: str
    advice: str
    version: int = 1
    elsewhere: str = "name another one"

    def write(self, table: pa.Table, card: Json, file: Path, **encoding: object) -> None:
        """Store ``table`` with ``card`` beside its own metadata, zstd and with checksums; whole or not at all.

        Args:
            table: any.
            card: has ``format``; with ``sha256``, the `fingerprint` of the table, `read` verifies it.
            file: where to.
            encoding: further options of ``pyarrow.parquet.write_table``.

        Raises:
            DataError: the disk is full or the folder cannot be written.
        """
        metadata = {**(table.schema.metadata or {}), self.key: json.dumps(card).encode()}
        options = {"compression": "zstd", "write_page_checksum": True, **encoding}
        try:
            with replaced(file) as draft:
                pq.write_table(table.replace_schema_metadata(metadata), draft, **options)
        except OSError as error:
            raise DataError(
                f"Cannot write {str(file)!r}: {error}. Nothing was changed. Expected a folder with room that you may "
                f"write to; {self.elsewhere}."
            ) from error

    def read(self, file: Path, *, required: bool = True) -> tuple[pa.Table, Json]:
        """Table and card; the checksums and, where the card has it, the fingerprint are verified.

        Args:
            file: which.
            required: refuse a file without a card, whose card is empty otherwise.

        Raises:
            DataError: the file is missing, damaged, of another version, or has no card.
        """
        card = self.card(file, required=required)
        try:
            table = pq.read_table(file, page_checksum_verification=True)
            if "sha256" in card and card["sha256"] != fingerprint(table):
                raise ValueError("its rows are not those that were packed")
        except (OSError, ValueError, TypeError, pa.ArrowException) as error:
            raise self.unreadable(file, error) from error
        return table, card

    def card(self, file: Path, *, required: bool = True) -> Json:
        """The card alone; no row is read.

        Raises:
            DataError: the file is missing, damaged, of another version, or has no card.
        """
        try:
            card = json.loads((pq.read_schema(file).metadata or {}).get(self.key, b"null"))
        except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
            raise self.unreadable(file, error) from error
        if card is None and not required:
            return {}
        if not isinstance(card, dict):
            raise self.unreadable(file, f"it has no card of {self.content}")
        if card.get("format") != self.version:
            raise DataError(
                f"{str(file)!r} has the format {card.get('format')!r}. Expected {self.version}: read it with the "
                f"zcbench that wrote it. {self.advice}"
            )
        return card

    def unreadable(self, file: Path, why: object) -> DataError:
        """Error for a file that holds no such table; the caller raises it."""
        reason = " ".join(str(why).split())
        return DataError(f"No {self.content} can be read from {str(file)!r}: {reason}. {self.advice}")


def require_suffix(file: Path) -> None:
    """Refuse a name without ``.parquet``.

    Raises:
        DataError: as the sentence says.
    """
    if file.suffix != SUFFIX:
        raise DataError(f"{str(file)!r} was given. Expected a name that ends in {SUFFIX}.")
