"""Distillation losses: the outputs of a student and its teacher in, one number out; and the loop that trains with them.

>>> import torch
>>> from zcbench.distill import Outputs, get
>>> teacher = Outputs(logits=torch.tensor([[2.0, 0.0]]))
>>> student = Outputs(logits=torch.tensor([[0.0, 0.0]], requires_grad=True))
>>> round(get("kd(temperature=1)")(student, teacher).item(), 4)
0.3278
"""

if __name__ == "distill":  # imported from the source folder: this would be a second copy of the registry
    raise ImportError(
        "Given: 'import distill'. Expected: 'import zcbench.distill'. Install zcbench and import it from there."
    )

from typing import TYPE_CHECKING

from zcbench.lazy import lazy

if TYPE_CHECKING:
    from zcbench.distill.adapters import ADAPTERS as ADAPTERS
    from zcbench.distill.adapters import Adapter as Adapter
    from zcbench.distill.adapters import build_adapter as build_adapter
    from zcbench.distill.contract import ADAPTS as ADAPTS
    from zcbench.distill.contract import REGISTRY as REGISTRY
    from zcbench.distill.contract import Distiller as Distiller
    from zcbench.distill.contract import distiller as distiller
    from zcbench.distill.contract import get as get
    from zcbench.distill.contract import names as names
    from zcbench.distill.errors import BadLoss as BadLoss
    from zcbench.distill.errors import CheckpointError as CheckpointError
    from zcbench.distill.errors import DistillError as DistillError
    from zcbench.distill.errors import DivergedLoss as DivergedLoss
    from zcbench.distill.errors import HyperparameterError as HyperparameterError
    from zcbench.distill.errors import MissingOutput as MissingOutput
    from zcbench.distill.errors import RecipeError as RecipeError
    from zcbench.distill.errors import ShapeMismatch as ShapeMismatch
    from zcbench.distill.errors import TooFewImages as TooFewImages
    from zcbench.distill.errors import TrainingStopped as TrainingStopped
    from zcbench.distill.errors import WeightError as WeightError
    from zcbench.distill.examining import check as check
    from zcbench.distill.frames import framed as framed
    from zcbench.distill.hyperparameters import Count as Count
    from zcbench.distill.hyperparameters import Positive as Positive
    from zcbench.distill.outputs import OUTPUTS as OUTPUTS
    from zcbench.distill.outputs import Outputs as Outputs
    from zcbench.distill.outputs import Shapes as Shapes
    from zcbench.distill.training.balancing import balanced_weights as balanced_weights
    from zcbench.distill.training.course import Running as Running
    from zcbench.distill.training.course import TrainingResult as TrainingResult
    from zcbench.distill.training.data.images import TrainingData as TrainingData
    from zcbench.distill.training.export import export as export
    from zcbench.distill.training.loop import train as train
    from zcbench.distill.training.loop import train_together as train_together
    from zcbench.distill.training.recipe import TRANSFORMER as TRANSFORMER
    from zcbench.distill.training.recipe import Recipe as Recipe
    from zcbench.distill.training.scenarios import train_in_turn as train_in_turn
    from zcbench.distill.training.stored import TeacherOutputs as TeacherOutputs
    from zcbench.distill.training.teaching import Teacher as Teacher

#: Where each public name is imported from, when it is first read.
_HOMES = {
    "ADAPTERS": "zcbench.distill.adapters",
    "ADAPTS": "zcbench.distill.contract",
    "Adapter": "zcbench.distill.adapters",
    "BadLoss": "zcbench.distill.errors",
    "CheckpointError": "zcbench.distill.errors",
    "Count": "zcbench.distill.hyperparameters",
    "DistillError": "zcbench.distill.errors",
    "Distiller": "zcbench.distill.contract",
    "DivergedLoss": "zcbench.distill.errors",
    "HyperparameterError": "zcbench.distill.errors",
    "MissingOutput": "zcbench.distill.errors",
    "OUTPUTS": "zcbench.distill.outputs",
    "Outputs": "zcbench.distill.outputs",
    "Positive": "zcbench.distill.hyperparameters",
    "REGISTRY": "zcbench.distill.contract",
    "Recipe": "zcbench.distill.training.recipe",
    "RecipeError": "zcbench.distill.errors",
    "Running": "zcbench.distill.training.course",
    "ShapeMismatch": "zcbench.distill.errors",
    "Shapes": "zcbench.distill.outputs",
    "TRANSFORMER": "zcbench.distill.training.recipe",
    "Teacher": "zcbench.distill.training.teaching",
    "TeacherOutputs": "zcbench.distill.training.stored",
    "TooFewImages": "zcbench.distill.errors",
    "TrainingData": "zcbench.distill.training.data.images",
    "TrainingResult": "zcbench.distill.training.course",
    "TrainingStopped": "zcbench.distill.errors",
    "WeightError": "zcbench.distill.errors",
    "balanced_weights": "zcbench.distill.training.balancing",
    "build_adapter": "zcbench.distill.adapters",
    "check": "zcbench.distill.examining",
    "distiller": "zcbench.distill.contract",
    "export": "zcbench.distill.training.export",
    "framed": "zcbench.distill.frames",
    "get": "zcbench.distill.contract",
    "names": "zcbench.distill.contract",
    "train": "zcbench.distill.training.loop",
    "train_in_turn": "zcbench.distill.training.scenarios",
    "train_together": "zcbench.distill.training.loop",
}

__all__, __getattr__, __dir__ = lazy(__name__, _HOMES)
