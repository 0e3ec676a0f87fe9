"""Distillation losses: the outputs of a student and its teacher in, one number out.

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
from zcbench.distill.errors import BadLoss, DistillError, KnobError, MissingOutput, ShapeMismatch, TooFewImages
from zcbench.distill.knobs import Count, Positive
from zcbench.distill.outputs import OUTPUTS, Outputs, Shapes

__all__ = [
    "ADAPTERS",
    "ADAPTS",
    "OUTPUTS",
    "REGISTRY",
    "Adapter",
    "BadLoss",
    "Count",
    "DistillError",
    "Distiller",
    "KnobError",
    "MissingOutput",
    "Outputs",
    "Positive",
    "ShapeMismatch",
    "Shapes",
    "TooFewImages",
    "build_adapter",
    "distiller",
    "get",
    "names",
]
