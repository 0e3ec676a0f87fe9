"""Vision transformers as spaces: AutoFormer, DeiT, PiT, PVT and T2T-ViT.

>>> from zcbench import spaces
>>> [spaces.get(name).params(f"{name}_ti", 1000, (3, 224, 224)) for name in ("deit", "pvt")]
[5717416, 13229288]
"""

from zcbench.spaces.transformers.autoformer import AutoFormer
from zcbench.spaces.transformers.deit import DeiT
from zcbench.spaces.transformers.pit import PiT
from zcbench.spaces.transformers.pvt import PVT
from zcbench.spaces.transformers.t2t import T2T

__all__ = ["PVT", "T2T", "AutoFormer", "DeiT", "PiT"]
