"""The search of a distillation loss: KD-Zero's evolution, its fitness and what makes it cheaper."""

from zcbench.kdzero.evolution.analysis import (
    ablations,
    best_so_far,
    correlations,
    cost,
    fittest,
    frequencies,
    on_one_scale,
)
from zcbench.kdzero.evolution.candidates import CandidateJob, CandidateMaker
from zcbench.kdzero.evolution.deduplication import Deduplicated
from zcbench.kdzero.evolution.document import read
from zcbench.kdzero.evolution.evaluating import CandidateEvaluation, SearchInterrupted
from zcbench.kdzero.evolution.evolution import Evolution
from zcbench.kdzero.evolution.evolving import DistillerSearchResult, evolve_distiller
from zcbench.kdzero.evolution.fitness import NORMALISATIONS, Fitness
from zcbench.kdzero.evolution.prescreening import Prescreened
from zcbench.kdzero.evolution.rejection import Rejection, Step
from zcbench.kdzero.evolution.settings import ALGORITHMS, PRESETS, DistillerSettings, Preset
from zcbench.kdzero.evolution.shrinkage import DistillerSpace, Shrinkage
from zcbench.kdzero.evolution.splitting import held_out
from zcbench.kdzero.evolution.terms import SHARPNESS, TERMS, Metrics, measure
from zcbench.kdzero.evolution.untrained import KnownAccuracies, RankingValue, Untrained

__all__ = [
    "ALGORITHMS",
    "NORMALISATIONS",
    "PRESETS",
    "SHARPNESS",
    "TERMS",
    "CandidateEvaluation",
    "CandidateJob",
    "CandidateMaker",
    "Deduplicated",
    "DistillerSearchResult",
    "DistillerSettings",
    "DistillerSpace",
    "Evolution",
    "Fitness",
    "KnownAccuracies",
    "Metrics",
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
