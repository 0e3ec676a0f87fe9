"""Distillation losses: the outputs of a student and its teacher in, one number out; and the loop that trains with them.

>>> import torch
>>> teacher = Outputs(logits=torch.tensor([[2.0, 0.0]]))
>>> student = Outputs(logits=torch.tensor([[0.0, 0.0]], requires_grad=True))
>>> round(get("kd(temperature=1)")(student, teacher).item(), 4)
0.3278
"""

if __name__ == "distill":  # imported from the source folder: this would be a second copy of the registry
    raise ImportError(
        "Given: 'import distill'. Expected: 'import zcbench.distill'. Install zcbench and import it from there."
    )

from zcbench.distill.adapters import ADAPTERS, Adapter, build_adapter
from zcbench.distill.contract import ADAPTS, REGISTRY, Distiller, distiller, get, names
from zcbench.distill.errors import (
    BadLoss,
    CheckpointError,
    DistillError,
    DivergedLoss,
    HyperparameterError,
    MissingOutput,
    RecipeError,
    ShapeMismatch,
    TooFewImages,
    TrainingStopped,
    WeightError,
)
from zcbench.distill.hyperparameters import Count, Positive
from zcbench.distill.outputs import OUTPUTS, Outputs, Shapes
from zcbench.distill.training.balancing import balanced_weights
from zcbench.distill.training.course import Running, TrainingResult
from zcbench.distill.training.images import TrainingData
from zcbench.distill.training.loop import train, train_together
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.scenarios import train_in_turn
from zcbench.distill.training.teaching import Teacher

__all__ = [
    "ADAPTERS",
    "ADAPTS",
    "OUTPUTS",
    "REGISTRY",
    "Adapter",
    "BadLoss",
    "CheckpointError",
    "Count",
    "DistillError",
    "Distiller",
    "DivergedLoss",
    "HyperparameterError",
    "MissingOutput",
    "Outputs",
    "Positive",
    "Recipe",
    "RecipeError",
    "Running",
    "ShapeMismatch",
    "Shapes",
    "Teacher",
    "TooFewImages",
    "TrainingData",
    "TrainingResult",
    "TrainingStopped",
    "WeightError",
    "balanced_weights",
    "build_adapter",
    "distiller",
    "get",
    "names",
    "train",
    "train_in_turn",
    "train_together",
]
