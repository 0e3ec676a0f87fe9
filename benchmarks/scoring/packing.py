"""All scores of one protocol in one compact Parquet file: to ship them, to move them, to go on elsewhere.

The table is wide: one row per (arch, seed), and for each proxy at a version the columns ``NAME@VERSION``, ``… status``,
``… reason`` and ``… seconds``, missing where there was no attempt. Values are split into byte streams and compressed
with zstd, the other columns are dictionaries. Measured on 2,860 architectures x 16 proxies of a real run: 8.0 bytes a
score (5.6 without the seconds), beside 9.8 for a long table with default settings, 9.3 with dictionaries for the
values, and about 150 in the SQLite store. A long table with the same encodings, sorted by proxy, takes 7.1, and must be
turned into columns before it can be read by people.

Everything is kept to the bit except ``seconds``, which are rounded to three significant digits.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

import zcbench
from zcbench.benchmarks.scoring.cards import PARQUET, card, check
from zcbench.benchmarks.scoring.definitions import agreed, by_version
from zcbench.benchmarks.scoring.folder import STORE, describe_run, load_run, locked
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.store import COLUMNS, Row, Store
from zcbench.errors import DataError, ProtocolError, StoreError, unknown
from zcbench.runtime.crew import TRANSIENT
from zcbench.storage.fingerprint import fingerprint
from zcbench.storage.parquet import SUFFIX, require_suffix
from zcbench.storage.run_folder import Json

_KEY = ["arch", "proxy", "version", "seed"]
_PARTS = ("value", "status", "reason", "seconds")
_DIGITS = 3  # of the seconds
_LEVEL = 19  # of zstd: it is written once and read often


#: Protocol, scores as `Store.scores` gives them, and the description of the requests.
Scores = tuple[Protocol, pd.DataFrame, Json]


def pack(
    runs: Sequence[str | Path],
    file: str | Path,
    *,
    proxies: Collection[str] | None = None,
    all_versions: bool = False,
) -> Json:
    """Write the scores of runs of one protocol into one Parquet file; an old one is replaced whole or not at all.

    A score that several runs have is kept once, with the seconds of the first; a time-out, lack of memory or dead
    worker gives way to what another run has. The same scores give the same bytes.

    Args:
        runs: folders of runs, which may still go on, or packed files.
        file: where to write; ends in ``.parquet``.
        proxies: which to keep; all if omitted.
        all_versions: keep older versions of a proxy too.

    Returns:
        The card of the file: that of `describe`, and the ``sha256`` of the scores.

    Raises:
        ProtocolError: the runs were made under different protocols; the message lists each differing field.
        DataError: two runs have different values for one key, or the file cannot be written.
        StoreError: there is no run in a folder.
        UnknownNameError: none of the runs has a proxy that was asked for.
    """
    require_suffix(Path(file))
    protocol, frame, description = merged([_open(Path(run), all_versions) for run in runs], [str(run) for run in runs])
    if not all_versions:
        frame = frame[frame["version"] == frame.groupby("proxy")["version"].transform("max")]
    for name in proxies or ():
        if name not in set(frame["proxy"]):
            raise unknown("proxy of these runs", name, set(frame["proxy"]))
    frame = frame if proxies is None else frame[frame["proxy"].isin(list(proxies))]
    frame = frame.assign(seconds=_rounded(frame["seconds"]))
    about = describe(protocol, frame, description)
    table = _wide(frame, about)
    about["sha256"] = fingerprint(table)
    _write(table, about, Path(file))
    return about


def read(file: str | Path, *, all_versions: bool = False) -> Scores:
    """Scores of a packed file, in the form of `zcbench.benchmarks.scoring.folder.load_run`.

    Raises:
        DataError: the file is missing, damaged, of another version, or holds no scores.
    """
    path = Path(file)
    table, about = PARQUET.read(path)
    check(path, about)
    try:
        frame = _long(table, about["proxies"])
        protocol = Protocol.from_json(json.dumps(about["protocol"]))
    except (ValueError, LookupError, TypeError, ProtocolError, pa.ArrowException) as error:
        raise PARQUET.unreadable(path, error) from error
    if not all_versions:
        frame = frame[frame["version"] == frame.groupby("proxy")["version"].transform("max")]
    frame = frame.sort_values(["arch", "seed", "proxy", "version"], ignore_index=True)
    definitions: Json = {name: about[name] for name in ("contents", "networks") if name in about}
    return protocol, frame, {"requests": about["requests"], **definitions}


def describe(protocol: Protocol, frame: pd.DataFrame, description: Json) -> Json:
    """What a table of scores holds, JSON-able.

    Returns:
        ``format``; ``protocol`` and its sha256; ``requests`` that made the scores, with their notes; ``architectures``,
        how many; ``scores``, how many attempts; ``zcbench``, the version that packed it; and ``proxies``, one entry for
        each proxy at a version: ``proxy, version``, ``attempts`` by seed, ``statuses``, mean ``seconds``. Where there
        are proxies of plug-ins, ``contents``, the fingerprint of each; of networks of one's own, ``networks``, the
        card of each.
    """
    held = {f"{name}@{version}" for name, version in zip(frame["proxy"], frame["version"])}
    contents = {key: sha256 for key, sha256 in description.get("contents", {}).items() if key in held}
    networks = {name: card for name, card in description.get("networks", {}).items() if name in set(frame["arch"])}
    return {
        **({"contents": contents} if contents else {}),
        **({"networks": networks} if networks else {}),
        "format": PARQUET.version,
        "protocol": protocol.to_dict(),
        "protocol_sha256": protocol.hash(),
        "requests": [_public(request) for request in description["requests"]],
        "architectures": int(frame["arch"].nunique()),
        "scores": len(frame),
        "zcbench": zcbench.__version__,
        "proxies": [
            {
                "proxy": str(name),
                "version": int(part["version"].iloc[0]),
                "attempts": {str(seed): int(n) for seed, n in part["seed"].value_counts().sort_index().items()},
                "statuses": {str(status): int(n) for status, n in part["status"].value_counts().items()},
                "seconds": _rounded([part["seconds"].mean()])[0],
            }
            for (name, _), part in frame.groupby(["proxy", "version"])
        ],
    }


def unpack(file: str | Path, folder: str | Path) -> Json:
    """Make a run folder from a packed file; a run of the same protocol there adds only what is missing.

    Returns:
        The card of the file.

    Raises:
        DataError: the file is missing, damaged, of another version, or holds no scores.
        StoreError: the folder has scores already, or cannot be written.
    """
    home, about = Path(folder), card(file)
    protocol, frame, description = read(file, all_versions=True)
    if (home / STORE).exists():
        raise StoreError(
            f"{home} has scores already. Expected a new folder; to join the two, unpack into another one what "
            f"'zcbench scores pack {home} {file} --out FILE' makes."
        )
    with locked(home), Store(home / STORE, write=True) as store:
        store.adopt(protocol)
        store.adopt_contents(by_version(description.get("contents", {})))
        store.adopt_networks(description.get("networks", {}))
        store.save(_rows(frame))
        for request in description["requests"]:
            describe_run(home, protocol, request)
    return about


def merged(parts: Sequence[Scores], names: Sequence[str]) -> Scores:
    """Scores of one protocol from several places, each key once.

    Raises:
        ProtocolError: no part is given, or two have different protocols.
        DataError: two have different outcomes for one key; the message names it.
    """
    if not parts:
        raise ProtocolError("No runs are given. Expected at least one; name their folders.")
    protocol = parts[0][0]
    for other, _, _ in parts[1:]:
        protocol.require_equal(other, names[0])
    definitions = agreed({name: part[2] for name, part in zip(names, parts)})
    requests = [request for _, _, description in parts for request in description["requests"]]
    once = [request for i, request in enumerate(requests) if request not in requests[:i]]
    return protocol, _joined([frame for _, frame, _ in parts]), {"requests": once, **definitions}


def _open(path: Path, all_versions: bool) -> Scores:
    if path.suffix == SUFFIX:
        return read(path, all_versions=all_versions)
    return load_run(path, all_versions=all_versions)


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All rows, each key once; a failure that another attempt may not meet again comes last."""
    rows = pd.concat(frames, ignore_index=True)
    rows = rows.iloc[np.argsort(rows["status"].isin(TRANSIENT).to_numpy(), kind="stable")]
    again = rows.duplicated(_KEY)
    if again.any():
        _refuse_contradictions(rows[~again], rows[again & ~rows["status"].isin(TRANSIENT)])
    return rows[~again].sort_values(["arch", "seed", "proxy", "version"], ignore_index=True)


def _refuse_contradictions(first: pd.DataFrame, again: pd.DataFrame) -> None:
    both = again.merge(first, on=_KEY, suffixes=("", "_first"))
    alike = (both["value"] == both["value_first"]) | (both["value"].isna() & both["value_first"].isna())
    wrong = both[~(alike & (both["status"] == both["status_first"]))]
    if len(wrong):
        row = wrong.iloc[0]
        raise DataError(
            f"Two runs disagree on {len(wrong)} scores, for example {row['proxy']}@{row['version']} of {row['arch']!r} "
            f"with seed {row['seed']}: {row['value_first']} ({row['status_first']}) and {row['value']} "
            f"({row['status']}). Expected one number per key; find out which run is right and pack only that one."
        )


def _wide(frame: pd.DataFrame, about: Json) -> pa.Table:
    """One row per (seed, arch), four columns per proxy at a version."""
    keys = frame[["seed", "arch"]].drop_duplicates().sort_values(["seed", "arch"])
    place = pd.MultiIndex.from_frame(keys)
    columns: Json = {"seed": pa.array(keys["seed"]), "arch": pa.array(keys["arch"], pa.string())}
    parts = dict(list(frame.groupby(["proxy", "version"])))
    for entry in about["proxies"]:
        found = parts[entry["proxy"], entry["version"]].set_index(["seed", "arch"]).reindex(place)
        for part, name in zip(_PARTS, _names(entry)):
            kind = pa.string() if part in ("status", "reason") else pa.float64()
            columns[name] = pa.array(found[part], kind, from_pandas=True)
    return pa.table(columns)


def _names(entry: Json) -> list[str]:
    """The four columns of a proxy at a version, in the order of `_PARTS`."""
    stem = f"{entry['proxy']}@{entry['version']}"
    return [stem, *(f"{stem} {part}" for part in _PARTS[1:])]


def _long(table: pa.Table, entries: Iterable[Json]) -> pd.DataFrame:
    keys = table.select(["arch", "seed"]).to_pandas()
    parts = []
    for entry in entries:
        found = table.select(_names(entry)).to_pandas().set_axis(list(_PARTS), axis=1)
        tried = found["status"].notna().to_numpy()
        about = {"proxy": entry["proxy"], "version": entry["version"]}
        parts.append(pd.concat([keys[tried], found[tried]], axis=1).assign(**about))
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    return frame[list(COLUMNS)].astype(dict.fromkeys(("version", "seed"), "int64"))


def _rounded(seconds: Iterable[float]) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in seconds]


def _public(request: Json) -> Json:
    """A request without the folders of the machine that it ran on."""
    kept = {name: note for name, note in request.get("notes", {}).items() if name != "options"}
    notes = {"notes": kept} if "notes" in request else {}
    return {**request, **notes, "plugins": [Path(plugin).name for plugin in request.get("plugins", ())]}


def _rows(frame: pd.DataFrame) -> Iterator[Row]:
    for row in frame[list(COLUMNS)].itertuples(index=False, name=None):
        yield Row(*row)._replace(value=None if np.isnan(row[4]) else row[4])


def _write(table: pa.Table, about: Json, file: Path) -> None:
    values = [name for entry in about["proxies"] for name in _names(entry)[:1]]
    PARQUET.write(
        table,
        about,
        file,
        compression_level=_LEVEL,
        use_dictionary=[name for name in table.column_names if name not in values],
        column_encoding=dict.fromkeys(values, "BYTE_STREAM_SPLIT"),
        write_statistics=False,
    )
