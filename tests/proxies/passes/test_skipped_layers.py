"""Networks that skip layers, and that ask for the gradient of their input, as speech encoders do."""

import pytest
import torch
from torch import Tensor, nn

from zcbench import proxies

PER_PART = ("zico", "gradsign", "lswag_gradients", "zico_bc")
SHARED = ("snip", "grad_norm", "jacov", "fisher", "naswot", "synflow", "grasp", "plain", "l2_norm", "near", "vkdnw")


class Encoder(nn.Module):
    """Signals ``(B, T)`` to 3 logits; the first layer is for signals with a positive mean only."""

    def __init__(self, *, multiplies: bool = False, asks: bool = False) -> None:
        super().__init__()
        self.conv, self.layer, self.out = nn.Conv1d(1, 8, 5, stride=2), nn.Linear(8, 8), nn.Linear(8, 3)
        self.multiplies, self.asks = multiplies, asks

    def forward(self, signals: Tensor) -> Tensor:
        x = signals[:, None]
        if self.asks and self.training:
            x.requires_grad = True
        x, used = self.conv(x).transpose(1, 2), signals.mean() > 0
        if self.multiplies:
            x = x + torch.relu(self.layer(x)) * float(used)
        elif used:
            x = x + torch.relu(self.layer(x))
        return self.out(torch.relu(x).mean(1))


def scores(network: nn.Module, batch: tuple[Tensor, Tensor], names: tuple[str, ...]) -> dict[str, float]:
    found = proxies.evaluate(network, batch, list(names))
    assert {score.status for score in found} == {"ok"}, found
    return {score.proxy: score.value for score in found}


def both(**options: bool) -> tuple[nn.Module, nn.Module, tuple[Tensor, Tensor]]:
    """A plain encoder, one with the same weights and these options, and signals of which each second one is lower."""
    torch.manual_seed(1)
    one, other = Encoder(), Encoder(**options)
    other.load_state_dict(one.state_dict())
    shift = torch.tensor([0.5] * 4 + [-0.5] * 4)[:, None]
    return one, other, (torch.randn(8, 40) * 0.3 + shift, torch.arange(8) % 3)


def test_a_layer_that_a_pass_skips_has_a_zero_gradient() -> None:
    """Invariance: the same function with the layer multiplied by zero, whose gradient is zero, has the same scores."""
    skips, multiplies, batch = both(multiplies=True)
    assert scores(skips, batch, PER_PART) == pytest.approx(scores(multiplies, batch, PER_PART), rel=1e-5)


def test_a_network_that_asks_for_the_gradient_of_its_input() -> None:
    """Invariance: the flag is set already, and the scores are those of the network without the line, bit for bit."""
    plain, asks, batch = both(asks=True)
    names = (*SHARED, *PER_PART)
    assert scores(plain, batch, names) == scores(asks, batch, names)
    with pytest.raises(RuntimeError, match="leaf"):  # what PyTorch itself does with an input that has a gradient
        asks(batch[0].clone().requires_grad_())


def test_layers_that_are_dropped_at_random() -> None:
    """Closed form: LayerDrop gives a finite score, the same bits for the same seed."""

    class Dropping(Encoder):
        def forward(self, signals: Tensor) -> Tensor:
            x = self.conv(signals[:, None]).transpose(1, 2)
            for _ in range(6):
                if torch.rand([]) > 0.5:
                    x = x + torch.relu(self.layer(x))
            return self.out(torch.relu(x).mean(1))

    torch.manual_seed(3)
    network, (_, _, batch) = Dropping(), both()
    assert scores(network, batch, PER_PART) == scores(network, batch, PER_PART)
