"""Mean absolute difference of the logits."""

from torch import Tensor

from zcbench.distill.contract import distiller
from zcbench.distill.outputs import Outputs


@distiller("logit_gap", reads="logits")
def logit_gap(student: Outputs, teacher: Outputs) -> Tensor:
    """Mean absolute difference of the logits."""
    return (student.logits - teacher.logits).abs().mean()
