"""Genomes: distillation losses composed of primitive operations, as KD-Zero evolves them.

Li et al., "KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs", NeurIPS 2023, section 3.1.

>>> genome = Genome.parse("4^2 kl(no(no(no(logits/4))))")
>>> genome.distiller.name
"genome(formula='4^2 kl(no(no(no(logits/4))))')"
"""

from zcbench.kdzero.genome.document import VERSION, read_distiller
from zcbench.kdzero.genome.domain import GenomeDomain
from zcbench.kdzero.genome.errors import GenomeError, UnfitGenome
from zcbench.kdzero.genome.genome import Genome, GenomeDistiller
from zcbench.kdzero.genome.known import KNOWN
from zcbench.kdzero.genome.operations import Calibration, Distance, Transform
from zcbench.kdzero.genome.tables import (
    CALIBRATIONS,
    DISTANCES,
    INPUTS,
    PARTS,
    TEMPERATURES,
    TRANSFORMS,
    WEIGHTS,
    Input,
)

__all__ = [
    "CALIBRATIONS",
    "DISTANCES",
    "INPUTS",
    "KNOWN",
    "PARTS",
    "TEMPERATURES",
    "TRANSFORMS",
    "VERSION",
    "WEIGHTS",
    "Calibration",
    "Distance",
    "Genome",
    "GenomeDistiller",
    "GenomeDomain",
    "GenomeError",
    "Input",
    "Transform",
    "UnfitGenome",
    "read_distiller",
]
