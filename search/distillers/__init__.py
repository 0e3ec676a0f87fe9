"""The search of a distillation loss: KD-Zero's evolution, its fitness and what makes it cheaper."""

from zcbench.search.distillers.analysis import (
    ablations,
    best_so_far,
    correlations,
    cost,
    fittest,
    frequencies,
    on_one_scale,
)
from zcbench.search.distillers.candidates import CandidateJob, CandidateMaker
from zcbench.search.distillers.distinct import Distinct
from zcbench.search.distillers.document import read
from zcbench.search.distillers.evaluating import CandidateEvaluation, SearchInterrupted
from zcbench.search.distillers.evolution import Evolution
from zcbench.search.distillers.evolving import DistillerFound, evolve_distiller
from zcbench.search.distillers.fitness import NORMALISATIONS, Fitness
from zcbench.search.distillers.prescreening import Prescreened
from zcbench.search.distillers.rejection import Rejection, Step
from zcbench.search.distillers.settings import ALGORITHMS, PRESETS, DistillerSettings, Preset
from zcbench.search.distillers.shrinkage import DistillerSpace, Shrinkage
from zcbench.search.distillers.splitting import held_out
from zcbench.search.distillers.terms import SHARPNESS, TERMS, Measured, measure
from zcbench.search.distillers.untrained import Known, RankingValue, Untrained

__all__ = [
    "ALGORITHMS",
    "NORMALISATIONS",
    "PRESETS",
    "SHARPNESS",
    "TERMS",
    "CandidateEvaluation",
    "CandidateJob",
    "CandidateMaker",
    "DistillerFound",
    "DistillerSettings",
    "DistillerSpace",
    "Distinct",
    "Evolution",
    "Fitness",
    "Known",
    "Measured",
    "Prescreened",
    "Preset",
    "RankingValue",
    "Rejection",
    "SearchInterrupted",
    "Shrinkage",
    "Step",
    "Untrained",
    "ablations",
    "best_so_far",
    "correlations",
    "cost",
    "evolve_distiller",
    "fittest",
    "frequencies",
    "held_out",
    "measure",
    "on_one_scale",
    "read",
]
