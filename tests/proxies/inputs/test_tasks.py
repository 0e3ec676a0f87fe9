"""Networks for tables, signals, texts and segmentation: values against slow references, the rest refused by name."""

import copy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

from zcbench.proxies import REGISTRY, evaluate

from ...oracles.tasks import Task
from .comparing import assert_references
from .pictures import Attention, convolved
from .sequences import Resnet, signals

ALL = [item.name for item in REGISTRY.usable()[0]]
NO_CLASSES = {"epe_nas": "It is defined for classes, and the labels are"}
NO_RELU = {"naswot": "No ReLU is called", "swap": "No ReLU is called"}


def perceptron(outputs: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 12), nn.ReLU(), nn.Linear(12, outputs)).double()


def table(size: int = 16) -> tuple[Tensor, Tensor]:
    rows, targets = load_diabetes(return_X_y=True)
    targets = (targets - targets.mean()) / targets.std()
    return torch.from_numpy(rows[:size] / rows.std(0)), torch.from_numpy(targets[:size])


def test_regression_on_a_table():
    """Slow references with the mean squared error."""
    rows, targets = table()
    task = Task(perceptron(), rows, targets, lambda output, labels: (output[:, 0] - labels).square().mean())
    assert_references(task, (rows, targets), NO_CLASSES)


def binary_loss(output: Tensor, labels: Tensor) -> Tensor:
    chances = torch.sigmoid(output[:, 0])
    return -(labels * chances.log() + (1 - labels) * (1 - chances).log()).mean()


@pytest.mark.parametrize("kind", [torch.float64, torch.int64])
def test_a_binary_classifier(kind):
    """Slow references with the binary cross-entropy written out."""
    rows, targets = table()
    labels = (targets > 0).to(kind)
    assert_references(Task(perceptron(), rows, labels, binary_loss), (rows, labels), {})


class TwoLogits(nn.Module):
    """The logits (0, z) of the two classes that one logit z stands for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logit = self.network(x)
        return torch.cat([torch.zeros_like(logit), logit], 1)


def test_one_logit_is_two_logits():
    """Invariance: a network with the logit z has the scores of the network with the logits (0, z)."""
    rows, targets = table()
    labels, networks = (targets > 0).long(), (perceptron(), TwoLogits(perceptron()))
    one, two = (evaluate(network, (rows, labels), ALL, teacher=teacher) for network, teacher in pairs(networks))
    both = [(a, b) for a, b in zip(one, two) if a.status == b.status == "ok"]
    assert {a.proxy: a.value for a, _ in both} == pytest.approx({b.proxy: b.value for _, b in both}, rel=1e-9)
    assert {"grad_norm", "grasp", "epe_nas", "vkdnw", "kd:kd"} <= {a.proxy for a, _ in both}
    assert {b.reason for a, b in zip(one, two) if a.status != b.status} == {
        "The logits are not the output of one linear layer."
    }


def pairs(networks):
    for network in networks:
        teacher = copy.deepcopy(network)
        with torch.no_grad():
            for parameter in teacher.parameters():
                parameter += 0.1 * torch.arange(parameter.numel()).reshape(parameter.shape).double().cos()
        yield network, teacher


def test_several_labels_for_each_input():
    """Slow references: the binary cross-entropy of three labels, averaged over inputs and labels."""
    rows, targets = table()
    labels = torch.stack([targets > 0, targets > 1, rows[:, 0] > 0], 1).double()

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        return (torch.log1p(output.exp()) - labels * output).sum() / labels.numel()

    assert_references(Task(perceptron(3), rows, labels, loss), (rows, labels), NO_CLASSES)


def test_signals():
    """Slow references: a network of one-dimensional convolutions."""
    torch.manual_seed(0)
    (given, labels), network = signals(16), Resnet(1).double()
    assert_references(Task(network, given.double(), labels, F.cross_entropy), (given.double(), labels), {})


class Text(nn.Module):
    """A small encoder of token ids with an attention mask, as BERT is."""

    def __init__(self, words: int = 30, length: int = 9, width: int = 8) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(words, width), nn.Parameter(torch.randn(length, width))
        self.blocks = nn.ModuleList([Attention(width), Attention(width)])
        self.norm, self.pool, self.classifier = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> SimpleNamespace:
        x = self.embed(input_ids) + self.place[: input_ids.shape[1]]
        for block in self.blocks:
            x = block(x, attention_mask)
        return SimpleNamespace(logits=self.classifier(torch.tanh(self.pool(self.norm(x)[:, 0]))))


def text(length: int = 9, size: int = 16) -> dict[str, Tensor]:
    stream = torch.Generator().manual_seed(0)
    mask = (torch.arange(length) < torch.randint(3, length + 1, (size, 1), generator=stream)).long()
    ids = torch.randint(30, (size, length), generator=stream)
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.arange(size) % 3}


def encoder() -> nn.Module:
    torch.manual_seed(0)
    return Text().double()


def test_an_encoder_of_texts():
    """Slow references: an embedding is a linear map of vectors with a one; inputs of ones are its vectors of ones."""
    batch = text()
    labels = batch.pop("labels")
    task = Task(encoder(), batch, labels, F.cross_entropy)
    whole = "The inputs are whole numbers"
    refused = {"jacov": whole, "epe_nas": whole, **NO_RELU}
    assert_references(task, {**batch, "labels": labels}, refused)


class Segmenter(nn.Module):
    """A convolution down, and a transposed one up to a class for each position."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.inner = convolved(3, 8, 3, 2), convolved(8, 8)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.up(self.inner(self.down(x)))}


def positions(output: Tensor, labels: Tensor) -> Tensor:
    """Mean of minus the log-probabilities, over positions that have a class."""
    known = labels >= 0
    return -output.movedim(1, 3).log_softmax(3)[known].gather(1, labels[known][:, None]).mean()


def test_segmentation():
    """Slow references with the cross-entropy of each position that has a class."""
    torch.manual_seed(0)
    network, stream = Segmenter().double(), torch.Generator().manual_seed(0)
    images = torch.randn(16, 3, 8, 8, generator=stream, dtype=torch.float64)
    labels = torch.randint(4, (16, 8, 8), generator=stream)
    labels[:, 0, :3] = -100
    task = Task(network, images, labels, positions, lambda returned: returned["out"])
    assert_references(task, (images, labels), NO_CLASSES, output=lambda returned: returned["out"])


#: A network, and two batches with the same inputs and other labels, of which the loss follows.
KINDS = {
    "regression": lambda: (perceptron(), [(table()[0], table()[1]), (table()[0], (table()[1] > 0).double())]),
    "several": lambda: (perceptron(3), [(table()[0], table()[0][:, :3]), (table()[0], torch.arange(16) % 3)]),
    "signals": lambda: (Resnet(1), [signals(), (signals()[0], torch.zeros(8, 5))]),
    "text": lambda: (encoder().float(), [text(size=8), {**text(size=8), "labels": torch.zeros(8, 3)}]),
    "segmentation": lambda: (Segmenter(), [(maps(), torch.zeros(8, 8, 8).long()), (maps(), maps(4))]),
}


def maps(channels: int = 3) -> Tensor:
    return torch.randn(8, channels, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", KINDS)
def test_every_proxy_has_a_value_or_a_reason(kind):
    """Invariance: proxies that use no labels have the same values with others; the rest is refused with a reason."""
    torch.manual_seed(0)
    network, batches = KINDS[kind]()
    torch.manual_seed(1)
    teacher, _ = KINDS[kind]()
    read = (lambda returned: returned["out"]) if kind == "segmentation" else None
    one, other = (evaluate(network, batch, ALL, teacher=teacher, output=read) for batch in batches)
    assert {score.status for score in one + other} <= {"ok", "not_applicable", "singular"}
    assert all(score.reason for score in one + other if score.status != "ok")
    free = [
        (a, b) for a, b in zip(one, other) if a.status == b.status == "ok" and not REGISTRY.get(a.proxy).uses_labels
    ]
    assert {a.proxy: a.value for a, _ in free} == {b.proxy: b.value for _, b in free}
