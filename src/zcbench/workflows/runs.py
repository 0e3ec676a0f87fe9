"""Folders of runs: what each holds, its page, and the options that it was made with."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from zcbench.benchmarks.ranking.options import RankingOptions
from zcbench.benchmarks.scoring.folder import DESCRIPTION, STORE
from zcbench.benchmarks.scoring.options import Sample, Setup
from zcbench.benchmarks.scoring.store import Store
from zcbench.errors import DataError, StoreError, ZcbenchError, shortened
from zcbench.storage.run_folder import Json, RunFolder

OPTIONS = "options"
"""Entry of the notes of a run with the options that it was made with."""

PYTHON = "given in Python"
"""Stands for an option that was an object."""

_Plain = str | int | float | bool | None


@dataclass(frozen=True)
class Run:
    """One folder.

    Attributes:
        folder: where it is.
        kind: ``scores``, ``search``, ``training``, ``truth``, ``distiller search`` or ``ranking``.
        date: of the last change of its description, local time.
        about: what it holds, in a line.
        coverage: share of the attempts with a result; None where that is not counted.
        page: of the report; None without one.
        protocol: what its numbers depend on.
    """

    folder: Path
    kind: str
    date: datetime
    about: str
    coverage: float | None
    page: Path | None
    protocol: Json = field(repr=False)


def runs(*folders: str | Path) -> list[Run]:
    """Runs in these folders, or in folders inside them; the oldest first.

    Args:
        folders: ``runs`` if none is given.

    Raises:
        DataError: a folder is not there.

    Example:
        >>> [(run.folder.name, run.kind) for run in runs("runs")]  # doctest: +SKIP
        [('bench-2026-11-29-0915', 'scores')]
    """
    found = [run for folder in folders or ("runs",) for run in _inside(Path(folder))]
    return sorted(found, key=lambda run: (run.date, str(run.folder)))


def read_run(folder: str | Path) -> Run:
    """What one folder holds.

    Raises:
        DataError: it holds no run, or its description cannot be read.
    """
    if (found := _read(Path(folder))) is None:
        raise DataError(
            f"{str(folder)!r} holds no run. Expected a folder of bench, search, distill or truth build; 'zcbench runs "
            f"list' shows those under runs/."
        )
    return found


def page(folder: str | Path) -> Path:
    """The report of a run.

    Raises:
        DataError: it holds no run, or has no report yet.
    """
    run = read_run(folder)
    if run.page is None:
        hint = f"'zcbench report {folder}' writes one" if run.kind in ("scores", "ranking") else "it has no page"
        raise DataError(f"{str(folder)!r} has no report. Expected report/index.html; {hint}.")
    return run.page


def given_options(folder: str | Path) -> dict[str, Any]:
    """Options that `bench` was last called with in this folder: ``setup``, ``sample``, ``ranking`` and others by name.

    Raises:
        DataError: it is no run of `bench`, its options were not kept, or one of them was an object.
    """
    requests = _json(Path(folder), DESCRIPTION).get("requests") or [{}]
    options = requests[-1].get("notes", {}).get(OPTIONS)
    if not isinstance(options, dict):
        raise DataError(
            f"{str(folder)!r} has no options to take. Expected the folder of a run that 'zcbench bench' of this "
            f"version made; give the options themselves."
        )
    parts = [part for part in options.values() if isinstance(part, dict)]
    named = {name: value for part in (options, *parts) for name, value in part.items()}
    if objects := [name for name, value in named.items() if value == PYTHON]:
        raise DataError(
            f"The run {str(folder)!r} was made in Python with objects as {', '.join(objects)}. Expected one whose "
            f"options are texts and numbers; give the options themselves."
        )
    return {**options, "plugins": requests[-1].get("plugins", [])}


def kept_options(setup: Setup, sample: Sample, ranking: RankingOptions, **others: object) -> Json:
    """Options as a run keeps them, without folders of the machine; `PYTHON` stands for an object."""
    named = {key: value for key, value in vars(setup).items() if key != "data_dir"}
    records = {"setup": named, "sample": vars(sample), "ranking": asdict(ranking)}
    written = {name: {key: _written(value) for key, value in record.items()} for name, record in records.items()}
    return {**written, **{name: _written(value) for name, value in others.items()}}


def _written(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list) and all(isinstance(item, str | int | float | Path) for item in value):
        return [str(item) if isinstance(item, Path) else item for item in value]
    return value if isinstance(value, _Plain) else PYTHON


def _inside(folder: Path) -> Iterator[Run]:
    if not folder.is_dir():
        raise DataError(f"There is no folder {str(folder)!r}. Expected one with runs; name it.")
    if (own := _read(folder)) is not None:
        yield own
        return
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and (found := _read(inner)) is not None:
            yield found


def _read(folder: Path) -> Run | None:
    """The run in a folder, by the first description that it has."""
    for file, (kind, tell) in _KINDS.items():
        if (folder / file).is_file():
            date = datetime.fromtimestamp((folder / file).stat().st_mtime)
            try:
                about, coverage, protocol = tell(folder, _json(folder, file))
            except (ZcbenchError, LookupError, TypeError, AttributeError, ValueError) as error:
                about, coverage, protocol = f"cannot be read: {shortened(str(error))}", None, {}
            index = folder / "report" / "index.html"
            return Run(folder, kind, date, about, coverage, index if index.is_file() else None, protocol)
    return None


def _json(folder: Path, file: str) -> Json:
    try:
        return RunFolder(folder).read_json(file)
    except StoreError as error:
        raise DataError(str(error)) from error


_Told = tuple[str, float | None, Json]


def _scores(folder: Path, content: Json) -> _Told:
    with Store(folder / STORE) as store:
        statuses, archs, proxies = store.counts()
    total = sum(statuses.values())
    protocol = content["protocol"]
    about = f"{archs:,} architectures of {protocol['space']}, {proxies} proxies, {protocol['dataset']}"
    return about, statuses.get("ok", 0) / total if total else None, protocol


def _search(folder: Path, content: Json) -> _Told:
    best, request, statuses = content["best"], content["request"], content["statuses"]
    about = f"{best['arch']} of {best['space']} by {request['objective']['formula']}"
    return about, statuses.get("ok", 0) / sum(statuses.values()), request


def _training(folder: Path, content: Json) -> _Told:
    student = content["student"]
    taught = f" under {', '.join(map(_label, content['teachers']))}" if content["teachers"] else ""
    metric = content.get("metric", {"name": "accuracy", "title": "accuracy"})
    what = "" if metric["name"] == "accuracy" else f" {metric['title']}"
    about = f"{student['arch']} of {student['space']}{taught}: {content['test_' + metric['name']]:.2f} %{what}"
    return about, None, {key: content[key] for key in ("student", "scenario", "teachers", "recipe", "data")}


def _label(teacher: object) -> str:
    return str(teacher.get("arch", teacher)) if isinstance(teacher, Mapping) else str(teacher)


def _truth(folder: Path, content: Json) -> _Told:
    protocol = content["protocol"]
    return f"trainings of {protocol.get('space', 'networks')} on {protocol.get('dataset')}", None, protocol


def _distillers(folder: Path, content: Json) -> _Told:
    return f"best loss {content['best']['formula']}", None, content["protocol"]


def _ranking(folder: Path, content: Json) -> _Told:
    scores = content["protocol"]["scores"]
    return f"ranking over {scores['space']}: {scores['architectures']}", None, content["protocol"]


_KINDS: Mapping[str, tuple[str, Callable[[Path, Json], _Told]]] = {
    "search.json": ("search", _search),
    DESCRIPTION: ("scores", _scores),
    "truth.json": ("truth", _truth),
    "distiller.json": ("distiller search", _distillers),
    "result.json": ("training", _training),
    "ranking/protocol.json": ("ranking", _ranking),
}
