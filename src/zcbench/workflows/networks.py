"""What a study of one's own networks needs: the networks, their accuracies, and a batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from zcbench.benchmarks.ranking.result import Ranking
from zcbench.benchmarks.scoring.options import NO_TEACHER, Setup
from zcbench.benchmarks.scoring.teachers import TeacherChoice
from zcbench.benchmarks.truths.own import Accuracies, own_accuracies
from zcbench.datasets import Batch
from zcbench.proxies import Loss, Output
from zcbench.proxies.signals.objective import Function
from zcbench.runtime.execution import Execution
from zcbench.spaces import Networks
from zcbench.spaces.networks.sources import Given
from zcbench.streams import own_randomness, seed_everything
from zcbench.workflows.bench import bench
from zcbench.workflows.choosing import Proxies

TEACHER = "teacher"


def rank_networks(
    networks: Given | Networks | str,
    accuracies: Accuracies,
    batch: object,
    proxies: Proxies = "all",
    seeds: int = 1,
    teacher: nn.Module | str | None = None,
    output: Output | Callable[[Any], Any] | None = None,
    loss: Loss | Function | str | None = None,
    out: str | Path | None = None,
    workers: int = 0,
) -> Ranking:
    """Score networks of one's own with every proxy, and compare the scores with their accuracies.

    Args:
        networks: by name: modules, which are taken as they are and have one seed, or functions without arguments, which
            are called for each initialisation. Or the text ``FILE.py:NAME`` for such a mapping in a file.
        accuracies: of each network: a dictionary, a series, a data frame or a CSV file with the columns ``arch`` and
            ``accuracy``. Any finite numbers are taken, higher is better.
        batch: inputs and labels; or a data loader, whose first batch is taken; or a `zcbench.datasets.Batch`. Inputs
            are images, signals, tables, token ids, or several tensors, as `zcbench.score` takes them.
        proxies: names and patterns as ``"az_*,-grasp"``, in one text with commas, or a list of such and of `Proxy`
            objects. Those that compare with a teacher are left out of patterns where there is none.
        seeds: initialisations of what functions make, seeds 0, 1, …
        teacher: of the proxies that compare with one: a network, or a text as for ``zcbench bench --teacher``.
        output: function of what a network returns that gives its output; see `zcbench.score`.
        loss: function of output and labels, or its name; see `zcbench.score`.
        out: folder of the run, where it goes on when it is called again; nothing is kept if None.
        workers: processes, one thread each; 0 for none but this one.

    Returns:
        The ranking of the proxies, with the sizes of the networks as baselines.

    Raises:
        SpaceError: a network cannot be made, does not take the inputs, or has other classes than the others.
        RankingError, DataError: a network has no accuracy, an accuracy no network, or an accuracy is no number.
        BatchError: inputs and labels are none, or fit no loss of the networks.
        ZcbenchError: of one of the parts.

    Example:
        >>> import zcbench
        >>> from torch import nn
        >>> def make(width):
        ...     return lambda: nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        ...                                  nn.Linear(width, 10))
        >>> networks = {f"width {width}": make(width) for width in (4, 8, 12, 16)}
        >>> accuracies = {"width 4": 61.0, "width 8": 64.5, "width 12": 66.0, "width 16": 67.2}
        >>> batch = zcbench.datasets.batch(zcbench.datasets.load("digits"), 16)
        >>> ranking = zcbench.rank_networks(networks, accuracies, batch, proxies="synflow,naswot")
        >>> ranking.top(1, by="tau", kind="baseline")
        ['macs']
    """
    space = networks if isinstance(networks, Networks) else Networks(networks)
    truth = own_accuracies(accuracies, space.subset())
    setup = Setup(space=space, dataset=_batch(batch), teacher=_teacher(teacher), output=output, loss=loss)
    with _folder(out) as folder:
        execution = Execution(workers=workers)
        return bench(folder, truth=truth, setup=setup, proxies=proxies, seeds=seeds, execution=execution).ranking


@contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    """The folder of the run, or one that is deleted after the block."""
    if out is not None:
        yield Path(out)
        return
    with TemporaryDirectory(prefix="zcbench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _teacher(given: nn.Module | str | None) -> str | TeacherChoice:
    if isinstance(given, nn.Module):
        return TeacherChoice(TEACHER, space=Networks({TEACHER: given}))
    return given or NO_TEACHER


def _batch(given: object) -> Batch:
    """A batch; the first one of a loader that shuffles is always the same."""
    with own_randomness():
        seed_everything("first batch")
        return Batch.of(given)
