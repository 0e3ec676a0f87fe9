"""Zero-cost proxies: one untrained network in, one number out."""

if __name__ == "proxies":  # imported from the source folder: this would be a second copy of the registry
    raise ImportError(
        "Given: 'import proxies'. Expected: 'import zcbench.proxies'. Install zcbench and import it from there."
    )

from typing import TYPE_CHECKING

from zcbench.lazy import lazy

if TYPE_CHECKING:
    from zcbench.findings import Finding as Finding
    from zcbench.proxies.scoring.checking import check as check
    from zcbench.proxies.scoring.contract import REGISTRY as REGISTRY
    from zcbench.proxies.scoring.contract import Proxy as Proxy
    from zcbench.proxies.scoring.contract import get as get
    from zcbench.proxies.scoring.contract import names as names
    from zcbench.proxies.scoring.contract import needs_network as needs_network
    from zcbench.proxies.scoring.contract import proxy as proxy
    from zcbench.proxies.scoring.contract import resolve as resolve
    from zcbench.proxies.scoring.evaluation import Score as Score
    from zcbench.proxies.scoring.evaluation import ScoreFailure as ScoreFailure
    from zcbench.proxies.scoring.evaluation import TeacherSignals as TeacherSignals
    from zcbench.proxies.scoring.evaluation import evaluate as evaluate
    from zcbench.proxies.scoring.evaluation import score as score
    from zcbench.proxies.scoring.example import Example as Example
    from zcbench.proxies.scoring.example import example as example
    from zcbench.proxies.signals.errors import NotApplicable as NotApplicable
    from zcbench.proxies.signals.errors import ScoreError as ScoreError
    from zcbench.proxies.signals.errors import SingularScore as SingularScore
    from zcbench.proxies.signals.limits import ScoreTimeout as ScoreTimeout
    from zcbench.proxies.signals.objective import Loss as Loss
    from zcbench.proxies.signals.outputs import Output as Output
    from zcbench.proxies.signals.signals import NetworkCosts as NetworkCosts
    from zcbench.proxies.signals.signals import Signals as Signals
    from zcbench.proxies.signals.table import SIGNALS as SIGNALS

#: Where each public name is imported from, when it is first read.
_HOMES = {
    "Example": "zcbench.proxies.scoring.example",
    "Finding": "zcbench.findings",
    "Loss": "zcbench.proxies.signals.objective",
    "NetworkCosts": "zcbench.proxies.signals.signals",
    "NotApplicable": "zcbench.proxies.signals.errors",
    "Output": "zcbench.proxies.signals.outputs",
    "Proxy": "zcbench.proxies.scoring.contract",
    "REGISTRY": "zcbench.proxies.scoring.contract",
    "SIGNALS": "zcbench.proxies.signals.table",
    "Score": "zcbench.proxies.scoring.evaluation",
    "ScoreError": "zcbench.proxies.signals.errors",
    "ScoreFailure": "zcbench.proxies.scoring.evaluation",
    "ScoreTimeout": "zcbench.proxies.signals.limits",
    "Signals": "zcbench.proxies.signals.signals",
    "SingularScore": "zcbench.proxies.signals.errors",
    "TeacherSignals": "zcbench.proxies.scoring.evaluation",
    "check": "zcbench.proxies.scoring.checking",
    "evaluate": "zcbench.proxies.scoring.evaluation",
    "example": "zcbench.proxies.scoring.example",
    "get": "zcbench.proxies.scoring.contract",
    "names": "zcbench.proxies.scoring.contract",
    "needs_network": "zcbench.proxies.scoring.contract",
    "proxy": "zcbench.proxies.scoring.contract",
    "resolve": "zcbench.proxies.scoring.contract",
    "score": "zcbench.proxies.scoring.evaluation",
}

__all__, __getattr__, __dir__ = lazy(__name__, _HOMES)
