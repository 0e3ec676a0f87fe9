"""Forms of the labels of images: a class, a mask, or boxes."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LabelForm:
    """What the labels of all images are as one tensor, the images first.

    Attributes:
        name: of the labels of one image.
        axes: of the tensor.
        floating: whether they are floating numbers.
    """

    name: str
    axes: int
    floating: bool = False

    def fits(self, labels: Tensor) -> bool:
        """Whether labels have this form, as far as axes and type tell."""
        return labels.ndim == self.axes and labels.is_floating_point() == self.floating


#: Class indices ``(N,)``.
CLASS = LabelForm("class", 1)
#: Class indices of pixels, ``(N, H, W)``.
MASK = LabelForm("mask", 3)
#: Boxes ``(N, K, 5)``: class, left, top, right and bottom edge in pixels; the class is -1 where an image has fewer.
BOXES = LabelForm("boxes", 3, floating=True)
