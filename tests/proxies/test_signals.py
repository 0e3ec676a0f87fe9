"""Declarations of the signals: each test names its oracle."""

import inspect
from collections import Counter

import pytest
import torch

from zcbench.proxies import REGISTRY, SIGNALS, Proxy, Signals, evaluate, example
from zcbench.proxies.passes.plan import PASSES, collect
from zcbench.proxies.signals.borrowing import borrowed
from zcbench.proxies.signals.signals import DECLARED, Failure, Minibatch
from zcbench.proxies.signals.table import LABELLED, RESTS_ON


def test_every_signal_that_needs_a_pass_is_given_by_one_pass():
    """Invariant: the passes partition the signals that need one, and the weights."""
    given = Counter(name for item in PASSES for name in item.gives)
    assert given == dict.fromkeys({*RESTS_ON, "parameters"}, 1)


def test_signals_declared_as_labelled_are_those_that_labels_change():
    """Oracle: the values of every signal for two label vectors."""
    network, (images, labels) = example()
    reads = frozenset(SIGNALS) - {"teacher", "network", "thin_codes"}
    values = []
    for given in (labels, labels.roll(1)):
        with borrowed(network):
            signals = collect(network, Minibatch(images, given), reads)
        values.append({name: list(signals.view([name]).tensors())[2:] for name in reads})
    changed = {name for name in reads if not all(map(torch.equal, values[0][name], values[1][name]))}
    assert changed == LABELLED
    assert values[0]["gradients"]  # lists of tensors, not of failures


def test_a_signal_has_its_description_as_documentation():
    """The table of descriptions and the attributes of the class are one."""
    assert list(SIGNALS) == list(DECLARED)
    assert Signals.gradients.__doc__ == SIGNALS["gradients"]
    assert Signals.gradients.name == "gradients"


def test_a_failed_signal_raises_its_error_when_it_is_read():
    """The very error that the pass raised."""
    batch = example().batch
    error = ValueError("no logits")
    signals = Signals({"logits": Failure(error)}, Minibatch(*batch), ["logits"])
    with pytest.raises(ValueError, match="no logits") as caught:
        _ = signals.logits
    assert caught.value is error


def test_a_proxy_cannot_put_a_value_in_the_place_of_a_signal():
    """The assignment is an error that says what to do, and the next proxy reads the signal as it was."""

    def write(signals):
        signals.logits = torch.zeros(1)
        return 0.0

    network, batch = example()
    writer = Proxy("signal_writer", write, frozenset({"logits"}), higher_is_better=True, uses_labels=False)
    wrote, after = evaluate(network, batch, [writer, "snip"])
    assert wrote.status == "error"
    assert "can't set attribute 'logits'" in wrote.reason
    assert "work on a copy" in wrote.reason
    assert after == evaluate(network, batch, ["snip"])[0]._replace(seconds=after.seconds)


def test_every_proxy_documents_a_runnable_example_in_its_place():
    """Order of DESIGN: returns, raises, example, deviations; the examples themselves are run by doctest."""
    order = ["Args", "Returns", "Raises", "Example", "Note"]
    for name in (name for name in REGISTRY.names() if not name.startswith("kd:")):
        item = REGISTRY.get(name)
        if not item.is_own:
            continue
        text = inspect.getdoc(item.function) or ""
        found = [line[:-1] for line in text.splitlines() if line[:-1] in order and line.endswith(":")]
        assert ">>> " in text, name
        assert found == sorted(found, key=order.index), name
        assert inspect.getdoc(item) == text  # help shows it, doctest finds it
