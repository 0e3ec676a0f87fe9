"""NAS-Bench-101 as a space: 423,624 cells in the order of their published fingerprints."""

from zcbench.spaces.nasbench101.space import NASBench101

__all__ = ["NASBench101"]
