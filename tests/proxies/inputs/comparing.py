"""Comparison of scores with the slow references of a task."""

import pytest

from zcbench.proxies import evaluate

from ...oracles.tasks import REFERENCES, Task, unsure


def assert_references(task: Task, batch: object, refused: dict[str, str], **options: object) -> None:
    """Every proxy that has a reference gives its value; those in ``refused`` say the reason that is given there."""
    scores = evaluate(task.network, batch, list(REFERENCES), **options)
    reasons = {score.proxy: score.reason for score in scores if score.status != "ok"}
    assert reasons.keys() == refused.keys(), reasons
    assert all(refused[name] in reason for name, reason in reasons.items()), reasons
    for score in scores:
        if score.proxy not in refused:
            slack = unsure(task) if score.proxy == "gradsign" else 1e-9
            assert score.value == pytest.approx(REFERENCES[score.proxy](task), rel=1e-5, abs=slack), score.proxy
