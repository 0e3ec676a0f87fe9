"""Errors of genomes."""

from zcbench.distill.errors import HyperparameterError, ShapeMismatch


class GenomeError(HyperparameterError):
    """A genome that cannot be read or is not valid, or an empty space of genomes."""


class UnfitGenome(GenomeError, ShapeMismatch):
    """A genome that cannot be computed between two networks."""
