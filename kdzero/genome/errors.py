"""What can be wrong with a genome."""

from zcbench.distill.errors import HyperparameterError, ShapeMismatch


class GenomeError(HyperparameterError):
    """A genome that cannot be read or makes no sense, or a space of genomes with nothing left in it."""


class UnfitGenome(GenomeError, ShapeMismatch):
    """A genome that cannot be computed between two networks."""
