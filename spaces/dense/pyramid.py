"""Feature pyramid: maps of a backbone at several strides in, maps of one width out."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import interpolate

#: What the first level beyond the backbone is made of: the last level of the pyramid, or the last map of the backbone.
PYRAMID, BACKBONE = "pyramid", "backbone"


class FeaturePyramid(nn.Module):
    """Feature pyramid network, with further levels by convolutions of stride 2.

    Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017, arXiv:1612.03144; the further levels are
    those of Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002, section 4. A lateral 1x1
    convolution brings each map to the width, the coarser level is added (nearest neighbour), and a 3x3 convolution
    gives the level; all have biases.

    Args:
        inputs: channels of the maps, fine to coarse.
        width: channels of the levels.
        further: number of levels beyond the maps.
        beyond: `PYRAMID` or `BACKBONE`.
    """

    def __init__(self, inputs: Sequence[int], width: int, further: int = 0, beyond: str = PYRAMID) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in inputs)
        self.output = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in inputs)
        self.beyond = beyond
        first = inputs[-1] if beyond == BACKBONE else width
        self.further = nn.ModuleList(
            nn.Conv2d(width if number else first, width, 3, stride=2, padding=1) for number in range(further)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Levels ``(B, width, H_l, W_l)``, fine to coarse, of maps ``(B, C_l, H_l, W_l)``."""
        inner = [layer(found) for layer, found in zip(self.lateral, maps, strict=True)]
        for place in range(len(inner) - 2, -1, -1):
            size = inner[place].shape[-2:]
            inner[place] = inner[place] + interpolate(inner[place + 1], size=size, mode="nearest")
        levels = [layer(found) for layer, found in zip(self.output, inner, strict=True)]
        above = maps[-1] if self.beyond == BACKBONE else levels[-1]
        for number, layer in enumerate(self.further):
            above = layer(above.relu() if number else above)
            levels.append(above)
        return levels
