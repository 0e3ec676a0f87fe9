"""Images with masks or boxes: by name, from folders in public layouts, and made of what scikit-learn has."""

from typing import TYPE_CHECKING

from zcbench.lazy import lazy

if TYPE_CHECKING:
    from zcbench.datasets.dense.loading import NAMES as NAMES
    from zcbench.datasets.dense.loading import forms as forms
    from zcbench.datasets.dense.loading import is_dense as is_dense
    from zcbench.datasets.dense.loading import load as load

_HOMES = dict.fromkeys(("NAMES", "forms", "is_dense", "load"), "zcbench.datasets.dense.loading")
__all__, __getattr__, __dir__ = lazy(__name__, _HOMES)
