"""What ``zcbench rank`` and ``zcbench report`` do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from zcbench.benchmarks.defaults import NASBENCH201, Truths
from zcbench.benchmarks.ranking.options import RankingOptions
from zcbench.benchmarks.ranking.result import Ranking
from zcbench.benchmarks.ranking.study import rank_run
from zcbench.benchmarks.scoring import cards
from zcbench.benchmarks.scoring.folder import DESCRIPTION
from zcbench.benchmarks.truths.lookup import truths
from zcbench.benchmarks.truths.own import own_truths
from zcbench.benchmarks.truths.reproduced import reproduced
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import ZcbenchError, unknown
from zcbench.spaces import Space
from zcbench.spaces.registry import NETWORKS, has_networks
from zcbench.storage.files import is_folder
from zcbench.storage.parquet import SUFFIX
from zcbench.storage.run_folder import RunFolder
from zcbench.trackers import Recording, recorded
from zcbench.workflows.options import ReportOptions

TRUTH = f"{NASBENCH201}/cifar10"
#: Columns of the ranking that a tracker gets.
SENT = ("tau", "rho", "tau_given_params", "coverage")


def rank(
    run: str | Path,
    truth: Truths = TRUTH,
    *,
    batches: Sequence[str | Path] = (),
    beside: Sequence[str | Path] = (),
    subset: str = "all",
    out: str | Path | None = None,
    ensembles: str | Sequence[str] = "all",
    options: RankingOptions | None = None,
    data_dir: Path | None = None,
) -> Ranking:
    """Compare scores with trained accuracies.

    The ranking of a run is kept in its folder; scores from a file are ranked on one subset, unless ``out`` says where
    the whole ranking goes.

    Args:
        run: folder of a run, packed file, or name of bundled scores.
        truth: as for `bench`.
        batches: runs that differ from ``run`` in the batch alone; a proxy's value is its mean over all of them.
        beside: others, of whose proxies those that the run lacks are ranked too, on the architectures of the run.
        subset: the one that is ranked where nothing is kept.
        out: folder for the ranking; that of the run if None.
        ensembles: rank aggregations, as `rank_run` takes them.
        options: of the ranking.
        data_dir: where to look for the truths.

    Raises:
        RankingError, StoreError, ProtocolError, UnknownNameError: as `rank_run`.

    Example:
        >>> ranking = rank("nasbench201-1000", "nasbench201/cifar10-16")  # doctest: +SKIP
        >>> ranking.top(3)  # doctest: +SKIP
    """
    home = ranking_folder(run, out)
    known = own_truths(truth, None) if is_own(run) else tables(truth, data_dir)
    ranking = rank_run(
        run,
        known,
        batches=batches,
        beside=beside,
        subsets=None if home else (subset,),
        ensembles=ensembles,
        options=options,
    )
    ranking = with_reproduced(ranking, known, data_dir)
    if home:
        ranking.save(home)
    return ranking


def with_reproduced(ranking: Ranking, tables: Mapping[str, pd.DataFrame], data_dir: Path | None) -> Ranking:
    """The ranking; the entry ``reproduced`` of its protocol has how far each published truth does, given the sizes.

    See `zcbench.benchmarks.truths.reproduced`: over at most 1,000 of the architectures of the ranking.
    """
    found = {name: _reproduced(table, ranking, data_dir) for name, table in tables.items()}
    return replace(
        ranking, protocol={**ranking.protocol, "reproduced": {name: own for name, own in found.items() if own}}
    )


def _reproduced(table: pd.DataFrame, ranking: Ranking, data_dir: Path | None) -> list[dict[str, object]]:
    name = table.protocol.get("name") if isinstance(table, TruthTable) else None
    try:
        found = reproduced(str(name), data_dir, ranking.sizes) if name else ()
    except ZcbenchError:  # a table of the user's own
        return []
    return [asdict(one) for one in found]


def report(run: str | Path, options: ReportOptions | None = None) -> Path:
    """Write tables, figures and the page from the ranking of a run.

    Returns:
        Path of the page.

    Raises:
        DataError: there is no ranking in the folder.
        ReportError: the folder cannot be written.
    """
    folder, options = Path(run), options or ReportOptions()
    ranking = Ranking.load(folder / "ranking")
    with recorded(options.tracker, "report", folder, ranking.protocol) as recording:
        return write(ranking, folder, options, recording)


def is_own(run: str | Path) -> bool:
    """Whether a run folder or a packed file has scores of networks of one's own."""
    if not is_folder(run):
        return bool(Path(run).suffix == SUFFIX and cards.card(Path(run)).get("networks"))
    protocol = RunFolder(Path(run)).read_json(DESCRIPTION).get("protocol", {})
    return isinstance(protocol, dict) and protocol.get("space") == NETWORKS


def ranking_folder(run: str | Path, out: str | Path | None = None) -> Path | None:
    """Where `rank` keeps the ranking; None if it does not."""
    home = Path(out) if out else Path(run) if is_folder(run) else None
    return home and home / "ranking"


def write(ranking: Ranking, folder: Path, options: ReportOptions, recording: Recording) -> Path:
    """Write the report of ``ranking`` into the folder ``report`` and record it; the path of its page."""
    from zcbench.reports import write_report  # imports Matplotlib, which a ranking does without

    title = {"title": options.title} if options.title else {}
    page = write_report(ranking, folder / "report", formats=options.formats, **title)
    for row in ranking.to_frame(subset=str(ranking.table["subset"].iloc[0])).itertuples():
        figures = {column: getattr(row, column) for column in SENT}
        recording.metrics({f"{column}/{row.truth}/{row.proxy}": value for column, value in figures.items()})
    recording.files = [page, folder / "ranking" / "table.parquet"]
    return page


def require_formats(formats: Sequence[str]) -> None:
    """Raise `UnknownNameError` for a format that no figure can have."""
    from zcbench.reports import FORMATS

    for kind in formats:
        if kind not in FORMATS:
            raise unknown("figure format", kind, FORMATS)


def tables(given: Truths, data_dir: Path | None) -> Mapping[str, pd.DataFrame]:
    """Tables of accuracies by name, looked up where they are named."""
    return given if isinstance(given, Mapping) else truths(given, data_dir)


def accuracies(given: Truths, space: Space, data_dir: Path | None) -> Mapping[str, pd.DataFrame]:
    """Tables of accuracies by name; those of networks of one's own have all of their names and no other."""
    return own_truths(given, space.subset()) if has_networks(space) else tables(given, data_dir)
