"""TransNAS-Bench-101 as two spaces: 4,096 cells in one network (micro), and 3,256 networks of blocks (macro)."""

from zcbench.spaces.transnas.space import TransNASMacro, TransNASMicro

__all__ = ["TransNASMacro", "TransNASMicro"]
