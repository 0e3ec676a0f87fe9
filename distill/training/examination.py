"""Evaluations of a training: on test and on validation images, and the metric that selects an epoch."""

from collections.abc import Callable, Iterable, Sequence

from torch import nn

from zcbench.datasets.items import Pair
from zcbench.distill.training.course import Row
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.metrics import METRICS, Metric
from zcbench.distill.training.recipe import LAST, Recipe


class Examination:
    """What is measured after an epoch.

    Args:
        recipe: epochs, validation and selection are used.
        data: training images, with validation images in the place of the test images where the recipe has them.
        tested: gives the test images.
        metrics: beyond accuracy and loss.
        every: epochs between two evaluations.

    Raises:
        UnknownNameError, RecipeError: as `Task.metrics`.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingSource,
        tested: Callable[[], Iterable[Pair]],
        metrics: Sequence[str | Metric],
        every: int,
    ) -> None:
        selects = [recipe.select] if recipe.select not in (LAST, "accuracy", "loss") else []
        named = {item.name: item for item in data.task.metrics([*metrics, *selects], data.num_classes)}
        self._metrics = [item for item in named.values() if item.name not in ("accuracy", "loss")]
        self._select = None if recipe.select == LAST else {**METRICS, **named}[recipe.select]
        self._sets = {"test": tested} | ({"validation": data.tested} if recipe.validation else {})
        self._every, self._epochs, self._task = every, recipe.epochs, data.task

    def due(self, epoch: int) -> bool:
        """Whether networks are evaluated after this epoch."""
        return epoch % self._every == 0 or epoch == self._epochs

    def of(self, network: nn.Module) -> Row:
        """Loss, accuracy and the other metrics on each set of images, as ``test_loss``."""
        found: Row = {}
        for name, batches in self._sets.items():
            values = self._task.measure(network, batches(), self._metrics)
            found |= {f"{name}_{metric}": values[metric] for metric in ("loss", *values)}
        return found

    def value(self, row: Row) -> tuple[float, bool] | None:
        """What the epoch is selected by, and whether higher is better; None if the last epoch is kept."""
        if self._select is None:
            return None
        return row[f"validation_{self._select.name}"], self._select.higher_is_better
