"""NAS-Bench-201 as a space: 15,625 cells in the order of the published benchmark."""

from zcbench.spaces.nasbench201.space import NASBench201

__all__ = ["NASBench201"]
