"""Architecture spaces: a string in, a network out.

>>> space = get("nasbench201")
>>> len(space), space[6111]
(15625, '|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|')
"""

if __name__ == "spaces":  # imported from the source folder: this would be a second copy of the package
    raise ImportError(
        "Given: 'import spaces'. Expected: 'import zcbench.spaces'. Install zcbench and import it from there."
    )

from typing import TYPE_CHECKING

from zcbench.lazy import lazy
from zcbench.spaces.base import Space, SpaceError
from zcbench.spaces.nasbench201 import NASBench201
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import SPACES, get, names, register, space

if TYPE_CHECKING:
    from zcbench.spaces.checking import check as check
    from zcbench.spaces.networks import KnownNetworks as KnownNetworks
    from zcbench.spaces.networks import Networks as Networks

__all__ = [
    "SPACES",
    "KnownNetworks",
    "NASBench201",
    "Networks",
    "ProductSpace",
    "Site",
    "Space",
    "SpaceError",
    "check",
    "get",
    "names",
    "register",
    "space",
]
#: These import PyTorch, which a list of spaces does without.
_HOMES = {
    "KnownNetworks": "zcbench.spaces.networks",
    "Networks": "zcbench.spaces.networks",
    "check": "zcbench.spaces.checking",
}
_, __getattr__, __dir__ = lazy(__name__, _HOMES, *__all__)
