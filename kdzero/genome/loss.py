"""The loss of a genome: equation 1 of KD-Zero."""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from torch import Tensor

from zcbench.distill.losses.geometry import at_one_size
from zcbench.distill.outputs import Outputs
from zcbench.kdzero.genome.errors import UnfitGenome
from zcbench.kdzero.genome.operations import Transform
from zcbench.kdzero.genome.tables import CALIBRATIONS, DISTANCES, TRANSFORMS

if TYPE_CHECKING:
    from zcbench.kdzero.genome.genome import Genome

LARGEST = 1 << 26
"""Numbers that a transform may make of fewer; a matrix between the pixels of a batch soon has more."""


@dataclass(frozen=True)
class GenomeLoss:
    r"""Distance of student and teacher after three transforms, with factor, temperature and calibration.

    .. math::  L = \tau^2 \, W \, \frac1B \sum_i w_i \,
               D_i\big(\mathcal{T}(f^S / \tau),\, \mathcal{T}(f^T / \tau)\big)

    :math:`f` is the input, :math:`\mathcal{T}` the three transforms, :math:`D_i` the distance of image i, :math:`w_i`
    its calibration, :math:`W` the factor, :math:`\tau` the temperature.

    Args:
        student: needs the input, and ``logits`` unless the calibration is none.
        teacher: needs the same; a larger map is pooled to the smaller (adaptive average).

    Returns:
        Mean over the batch, from 0, which it is for equal networks unless the distance is ``hard``; the unit is that of
        the distance.

    Raises:
        TooFewImages: one image, where the genome compares images.
        UnfitGenome: a transform gives more than `LARGEST` numbers, as a matrix between all pixels of a batch.

    Note:
        The paper gives names and the form of the loss; what each operation computes is said where it is defined. As in
        the paper a 1×1 convolution brings the student's channels to the teacher's, also where the transforms would take
        unlike channels; embeddings go through a linear layer.
    """

    genome: "Genome"

    def __call__(self, student: Outputs, teacher: Outputs) -> Tensor:
        """The loss."""
        return self._value(student, teacher, None)

    def _value(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        genome = self.genome
        one, other = (_transformed(genome, tensor) for tensor in _inputs(genome.input, student, teacher))
        weights = CALIBRATIONS[genome.calibration](student, teacher, labels)
        distances = DISTANCES[genome.distance](one, other)
        return genome.temperature**2 * genome.weight * (weights.to(distances) * distances).mean()


class LabelledLoss(GenomeLoss):
    """Distance of student and teacher after three transforms, calibrated with the labels; see `GenomeLoss`."""

    def __call__(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:  # type: ignore[override]
        """The loss; the calibration reads the labels."""
        return self._value(student, teacher, labels)


def _inputs(name: str, student: Outputs, teacher: Outputs) -> tuple[Tensor, Tensor]:
    one, other = student.read(name)[0], teacher.read(name)[0]
    return at_one_size(one, other) if one.ndim == 4 else (one, other)


def _transformed(genome: "Genome", tensor: Tensor) -> Tensor:
    transforms: list[Transform] = [TRANSFORMS[name] for name in genome.transforms]
    tensor = tensor / genome.temperature
    for place, transform in enumerate(transforms):
        if prod(size := transform.gives(tuple(tensor.shape))) > max(LARGEST, tensor.numel()):
            raise UnfitGenome(
                f"The transform {transform.name!r} of {genome.formula} gives a matrix of {size} numbers. Expected at "
                f"most {LARGEST:,}; take a smaller batch, or the input 'features', with a row for each image."
            )
        tensor = transform(tensor, place)
    return tensor
