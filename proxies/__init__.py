"""Zero-cost proxies: one untrained network in, one number out."""

if __name__ == "proxies":  # imported from the source folder: this would be a second copy of the registry
    raise ImportError(
        "Given: 'import proxies'. Expected: 'import zcbench.proxies'. Install zcbench and import it from there."
    )

from zcbench.proxies.scoring.checking import Finding, check
from zcbench.proxies.scoring.contract import REGISTRY, Proxy, needs_network, proxy, resolve
from zcbench.proxies.scoring.evaluation import Score, ScoreFailure, TeacherSignals, evaluate, score
from zcbench.proxies.scoring.example import Example, example
from zcbench.proxies.signals.errors import NotApplicable, ScoreError, SingularScore
from zcbench.proxies.signals.limits import ScoreTimeout
from zcbench.proxies.signals.objective import Loss
from zcbench.proxies.signals.outputs import Output
from zcbench.proxies.signals.signals import NetworkCosts, Signals
from zcbench.proxies.signals.table import SIGNALS

get = REGISTRY.get
names = REGISTRY.names

__all__ = [
    "REGISTRY",
    "SIGNALS",
    "Example",
    "Finding",
    "Loss",
    "NetworkCosts",
    "NotApplicable",
    "Output",
    "Proxy",
    "Score",
    "ScoreError",
    "ScoreFailure",
    "ScoreTimeout",
    "Signals",
    "SingularScore",
    "TeacherSignals",
    "check",
    "evaluate",
    "example",
    "get",
    "names",
    "needs_network",
    "proxy",
    "resolve",
    "score",
]
