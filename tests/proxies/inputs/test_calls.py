"""The same network with its inputs, its output or its layers written in another way: invariances."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from zcbench.errors import BatchError
from zcbench.proxies import REGISTRY, Proxy, evaluate, score

from .sequences import signals
from .test_tasks import Text, perceptron, table, text

ALL = [item.name for item in REGISTRY.usable()[0]]


def values(network, batch, teacher=None, **options):
    """Value, or status and reason, of every proxy."""
    names = [name for name in ALL if teacher is not None or not REGISTRY.get(name).needs_teacher]
    found = evaluate(network, batch, names, teacher=teacher, **options)
    return {one.proxy: one.value if one.status == "ok" else (one.status, one.reason) for one in found}


def compared(one, other):
    """The proxies that have a value for both, after a comparison of these."""
    both = [name for name in one if isinstance(one[name], float) and isinstance(other[name], float)]
    assert {name: one[name] for name in both} == pytest.approx({name: other[name] for name in both}, rel=1e-4, abs=1e-6)
    return set(both)


class Returns(nn.Module):
    """A network that returns its logits inside something else."""

    def __init__(self, network, change):
        super().__init__()
        self.network, self.change = network, change

    def forward(self, x):
        return self.change(self.network(x))


RETURNED = {
    "object": lambda logits: SimpleNamespace(loss=None, logits=logits),
    "dictionary": lambda logits: {"loss": None, "logits": logits},
    "tuple": lambda logits: (logits, logits.sum()),
    "tuple of objects": lambda logits: ({"logits": logits}, None),
}


@pytest.mark.parametrize("change", RETURNED.values(), ids=RETURNED)
def test_an_output_inside_something_else(change):
    """Invariance: all scores are those of the network that returns its logits, to the bit."""
    rows, targets = table()
    batch, network = (rows, (targets > 0).long()), perceptron(3)
    plain = values(Returns(network, lambda logits: logits), batch)
    assert values(Returns(network, change), batch) == plain


def test_an_output_that_a_function_reads():
    """Invariance: ``output=`` gives the scores of the wrapped network, to the bit, for student and teacher."""
    rows, targets = table()
    batch, network = (rows, (targets > 0).long()), perceptron(3)
    other = perceptron(3)[:4].append(nn.Linear(12, 3).double())
    hidden = [Returns(one, lambda logits: {"out": {"x": logits}}) for one in (network, other)]
    read = [Returns(one, lambda logits: logits) for one in (network, other)]
    found = values(hidden[0], batch, hidden[1], output=lambda returned: returned["out"]["x"])
    assert found == values(read[0], batch, read[1])


def test_inputs_by_name_or_by_position():
    """Invariance: a dictionary, with the labels inside or beside it, and a tuple give the same scores, to the bit."""
    torch.manual_seed(0)
    network, batch = Text(), text()
    ids, mask, labels = batch.values()
    inside = values(network, batch)
    assert values(network, ({"attention_mask": mask, "input_ids": ids}, labels)) == inside
    assert values(network, ((ids, mask), labels)) == inside
    assert {"snip", "synflow", "near", "fisher"} <= {name for name, value in inside.items() if isinstance(value, float)}


def test_a_mask_of_ones_is_no_mask():
    """Invariance: token ids alone have the scores of token ids with a mask that leaves nothing out."""
    torch.manual_seed(0)
    network, batch = Text(), text()
    ids, mask, labels = batch.values()
    assert compared(values(network, (ids, labels)), values(network, ((ids, torch.ones_like(mask)), labels)))


def test_a_single_name_that_the_network_does_not_have():
    """Invariance: the input goes by position; of several the error names those of the network."""
    rows, targets = table()
    labels = (targets > 0).long()
    assert values(perceptron(3), {"row": rows, "label": labels}) == values(perceptron(3), (rows, labels))
    with pytest.raises(
        BatchError, match=r"names row, weight for Sequential.forward\(input\).*rename or leave out keys"
    ):
        score(perceptron(3), {"row": rows, "weight": rows, "labels": labels})


def test_rows_of_a_table_are_images_of_one_position():
    """Invariance: a linear map on (B, D) is a convolution on (B, D, 1, 1)."""
    rows, targets = table()
    linear, labels = perceptron(3), (targets > 0).long()
    layers = [nn.Conv2d(m.in_features, m.out_features, 1) if isinstance(m, nn.Linear) else m for m in linear[:4]]
    conv = nn.Sequential(*layers, nn.Flatten(), nn.Linear(12, 3)).double()
    given = zip(conv.state_dict().items(), linear.state_dict().values())
    conv.load_state_dict({name: value.reshape(own.shape) for (name, own), value in given})
    one, other = values(linear, (rows, labels)), values(conv, (rows[:, :, None, None], labels))
    found = compared(one, other)
    assert {"params", "macs", "depth", "snip", "fisher", "synflow", "jacov", "naswot", "near", "vkdnw"} <= found
    assert all(isinstance(value, float) for name, value in other.items() if isinstance(one[name], float))
    assert {name for name in other if isinstance(other[name], float)} - found == SPATIAL


#: Proxies that need a map, which one position is and a row of a table is none.
SPATIAL = {
    *("az_expressivity", "az_progressivity", "az_trainability", "dextr", "meco", "meco_opt", "zen"),
    *("intrain", "intrain_capacity", "wrcor"),
}


class Positions(nn.Module):
    """A layer for each position of a sequence, as a convolution of kernel 1 or as a linear map with channels last."""

    def __init__(self, *, last: bool) -> None:
        super().__init__()
        self.last = last
        sizes = ((3, 8), (8, 6))
        self.layers = nn.ModuleList([nn.Linear(*size) if last else nn.Conv1d(*size, 1) for size in sizes])
        self.relu, self.linear = nn.ReLU(), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2) if self.last else x
        for layer in self.layers:
            x = self.relu(layer(x))
        return self.linear(x.mean(1 if self.last else 2))


def positions(seed):
    torch.manual_seed(seed)
    conv, linear = Positions(last=False), Positions(last=True)
    linear.load_state_dict({name: v[..., 0] if v.ndim == 3 else v for name, v in conv.state_dict().items()})
    return conv, linear


def test_channels_of_a_sequence_last():
    """Invariance: a linear map with the channels last is a convolution of kernel 1, for maps and their blocks too."""
    torch.manual_seed(0)
    (conv, linear), (taught, other), batch = positions(0), positions(1), signals()
    one, other = values(conv, batch, taught), values(linear, batch, other)
    assert (one.pop("n_convs"), other.pop("n_convs")) == (2, 0)
    found = compared(one, other)
    assert {"zen", "meco", "dextr", "near", "fisher", "diswot_relation"} <= found


class Encoder(nn.Module):
    """PyTorch's transformer on token ids, with the batch first or second."""

    def __init__(self, *, first: bool) -> None:
        super().__init__()
        self.first, self.embed = first, nn.Embedding(30, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=first)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.linear = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        x = self.encoder(x if self.first else x.transpose(0, 1))
        return self.linear(x.mean(1 if self.first else 0))


def test_the_batch_second():
    """Invariance: a transformer with the batch on the second axis has the same scores."""
    torch.manual_seed(0)
    batch, (first, teacher) = text(), (Encoder(first=True), Encoder(first=True))
    del batch["attention_mask"]
    second = [Encoder(first=False) for _ in range(2)]
    for one, other in zip(second, (first, teacher)):
        one.load_state_dict(other.state_dict())
    one, other = values(first, batch, teacher), values(*second[:1], batch, second[1])
    assert {"zen", "az_expressivity", "kd:at", "near"} <= compared(one, other)


@pytest.mark.parametrize("length", [8, 9])
def test_tokens_of_a_text_are_a_map_of_height_1(length):
    """Independent path: hooks of modules; a square number of tokens is no square map."""
    torch.manual_seed(0)
    network, batch, found, kept = Encoder(first=True), text(length), {}, []
    del batch["attention_mask"]

    def spy(signals):
        found.update(features=signals.features, stages=signals.stages)
        return 0.0

    (spied,) = evaluate(network, batch, [Proxy("spy", spy, frozenset({"features", "stages"}), True, False)])
    assert spied.status == "ok", spied
    for layer in network.encoder.layers:
        layer.register_forward_hook(lambda module, inputs, output: kept.append(output.detach().mT[:, :, None]))
    network.train()(batch["input_ids"])
    assert kept[0].shape == (16, 8, 1, length)
    torch.testing.assert_close(found["features"], kept[-1])
    for stage, expected in zip(found["stages"], kept, strict=True):
        torch.testing.assert_close(stage, expected)
