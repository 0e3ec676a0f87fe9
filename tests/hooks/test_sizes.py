"""MACs of a forward pass, against PyTorch's counter, a second writing, or closed forms."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.flop_counter import FlopCounterMode

from zcbench.hooks.sizes import Sizes
from zcbench.spaces.measuring import counted as counted_costs


def macs(function, *given):
    with torch.no_grad(), Sizes() as sizes:
        function(*given)
    return sizes.macs


def counted(function, *given):
    """Half of the floating-point operations that PyTorch counts below the functions."""
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        function(*given)
    return counter.get_total_flops() / 2


x1, x2, x3 = (torch.randn(2, 6, *[9, 8, 7][:axes]) for axes in (1, 2, 3))
m, v, batch = torch.randn(5, 6), torch.randn(6), torch.randn(3, 5, 6)
q, k, values = torch.randn(2, 2, 5, 4), torch.randn(2, 2, 7, 4), torch.randn(2, 2, 7, 3)

CALLS = {
    "conv1d": (nn.Conv1d(6, 4, 3, padding=1), x1),
    "conv2d": (nn.Conv2d(6, 4, 3), x2),
    "conv2d, stride and dilation": (nn.Conv2d(6, 4, 3, stride=2, dilation=2, padding=1), x2),
    "conv2d, 'same'": (nn.Conv2d(6, 4, (3, 5), padding="same"), x2),
    "conv2d, circular": (nn.Conv2d(6, 4, 3, padding=1, padding_mode="circular"), x2),
    "conv2d, groups": (nn.Conv2d(6, 4, 3, groups=2), x2),
    "conv2d, depthwise": (nn.Conv2d(6, 12, 3, groups=6), x2),
    "conv3d": (nn.Conv3d(6, 4, 3, padding=1), x3),
    "transposed 1d": (nn.ConvTranspose1d(6, 4, 3, stride=2), x1),
    "transposed 2d": (nn.ConvTranspose2d(6, 4, 3, stride=2, output_padding=1), x2),
    "transposed 2d, 5x5": (nn.ConvTranspose2d(6, 4, 5, padding=1), x2),
    "transposed 3d": (nn.ConvTranspose3d(6, 4, 2, stride=2), x3),
    "linear": (nn.Linear(6, 4), m),
    "linear of a sequence": (nn.Linear(6, 4), batch),
    "linear without bias": (nn.Linear(6, 4, bias=False), m),
    "matmul": (lambda: m @ m.T,),
    "mm, keyword": (lambda: torch.mm(input=m, mat2=m.T),),
    "matrix and batch": (lambda: torch.matmul(m.T, batch),),
    "bmm": (lambda: torch.bmm(batch, batch.mT),),
    "baddbmm": (lambda: torch.baddbmm(torch.zeros(1), batch, batch.mT),),
    "addmm": (lambda: torch.addmm(torch.zeros(1), m, m.T),),
    "addmm, keyword": (lambda: torch.addmm(input=torch.zeros(1), mat1=m, mat2=m.T),),
    "einsum": (lambda: torch.einsum("bij,kj->bik", batch, m),),
    "einsum, batch": (lambda: torch.einsum("bij,bkj->bik", batch, batch),),
    "einsum, ellipsis": (lambda: torch.einsum("...ij,kj->...ik", batch, m),),
    "einsum, list": (lambda: torch.einsum("ij,kj->ik", [m, m]),),
    "tensordot": (lambda: torch.tensordot(batch, m, dims=([2], [1])),),
    "tensordot, two axes": (lambda: torch.tensordot(batch, batch, dims=([1, 2], [1, 2])),),
    "attention": (lambda: F.scaled_dot_product_attention(q, k, values),),
    "attention, keyword": (lambda: F.scaled_dot_product_attention(value=values, query=q, key=k),),
    "attention with a mask": (lambda: F.scaled_dot_product_attention(q, k, values, torch.zeros(5, 7)),),
    "MultiheadAttention": (lambda t: nn.MultiheadAttention(6, 2, batch_first=True)(t, t, t), batch),
    "MultiheadAttention, other keys": (
        lambda t: nn.MultiheadAttention(6, 2, kdim=6, vdim=5)(t, t, t[..., :5], need_weights=False), batch,
    ),
    "TransformerEncoderLayer": (nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), batch),
    "TransformerDecoderLayer": (lambda t: nn.TransformerDecoderLayer(6, 2, 8)(t, t), batch),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_macs_are_half_of_what_pytorch_counts(name):
    """Independent implementation: PyTorch's counter, which sees the operators that the functions call."""
    assert macs(*CALLS[name]) == counted(*CALLS[name]) > 0


def test_macs_of_a_bilinear_map():
    """Closed form: y_o = Σ_ij x_i W_oij z_j for two rows, the products of x and z not counted."""
    assert macs(nn.Bilinear(6, 5, 4), torch.randn(2, 6), torch.randn(2, 5)) == 2 * 4 * 6 * 5


def test_macs_of_a_matrix_and_a_vector():
    """Closed form: a product for each entry of the matrix, which PyTorch's counter leaves out."""
    assert macs(torch.mv, m, v) == macs(torch.matmul, m, v) == macs(torch.addmv, torch.zeros(5), m, v) == 30


def test_poolings_and_normalisations_are_free():
    """Closed form: additions and scalings count nothing, and neither does an einsum of one tensor."""
    network = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(6))
    assert macs(network, x2) == macs(torch.einsum, "bchw->bc", x2) == macs(torch.mul, m, m) == 0


def recurrent_macs(gates, inputs, hidden, steps, layers=1, directions=1, projected=0):
    """Closed form: in each step a layer multiplies its input and its state by the matrices of all gates."""
    state, total = projected or hidden, 0
    for layer in range(layers):
        given = inputs if layer == 0 else state * directions
        total += directions * steps * (gates * hidden * (given + state) + hidden * projected)
    return total


GATES = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", GATES)
def test_macs_of_a_recurrence(kind, layers, bidirectional):
    """Closed form, for both places of the images, one sequence alone, biases or none, packed sequences."""
    directions = 1 + bidirectional
    options = {"num_layers": layers, "bidirectional": bidirectional}
    once = recurrent_macs(GATES[kind], 6, 4, 1, layers, directions)
    assert macs(kind(6, 4, batch_first=True, **options), batch) == 15 * once
    assert macs(kind(6, 4, **options), batch) == 15 * once
    assert macs(kind(6, 4, bias=False, **options), m) == 5 * once
    packed = pack_padded_sequence(batch, torch.tensor([5, 3, 1]), batch_first=True)
    assert macs(kind(6, 4, **options), packed) == 9 * once


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_macs_of_a_projected_lstm(layers, bidirectional):
    """Closed form: the state is multiplied by the projection once in each step."""
    lstm = nn.LSTM(6, 4, layers, proj_size=3, bidirectional=bidirectional)
    assert macs(lstm, batch) == recurrent_macs(4, 6, 4, 15, layers, 1 + bidirectional, projected=3)


@pytest.mark.parametrize(("cell", "gates"), [(nn.LSTMCell, 4), (nn.GRUCell, 3), (nn.RNNCell, 1)])
def test_macs_of_a_cell(cell, gates):
    """Closed form, for a batch and for one row alone; a loop of steps has those of the recurrence."""
    assert macs(cell(6, 4), m) == recurrent_macs(gates, 6, 4, 5)
    assert macs(cell(6, 4), v) == recurrent_macs(gates, 6, 4, 1)


def test_number_of_convolutions():
    """Closed form: each call of a convolution counts, transposed ones too, and no other product does."""
    network = nn.Sequential(nn.Conv2d(6, 6, 1), nn.ConvTranspose2d(6, 6, 1), nn.Flatten(), nn.Linear(432, 2))
    with torch.no_grad(), Sizes() as sizes:
        network(x2)
        F.conv1d(x1, torch.ones(1, 6, 1))
    assert sizes.n_convs == 3


def width(network, images):
    with torch.no_grad():
        return counted_costs(network.eval(), images)[0].width


class Called(nn.Module):
    """A function of the images, as a network."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        return self.function(images)


def channels_last(images):
    return F.layer_norm(images.permute(0, 2, 3, 1), (6,)).permute(0, 3, 1, 2)


def standardised(images):
    weight = F.batch_norm(torch.randn(1, 4, 6), None, None, training=True)
    return F.conv2d(images, weight[0, :, :, None, None])


def whole_maps(images):
    return F.layer_norm(F.conv2d(images, torch.ones(4, 6, 1, 1)), (4, 9, 8))


WIDTHS = {
    "batch": (nn.BatchNorm2d(6), 6),
    "batch, without weights": (nn.BatchNorm2d(6, affine=False), 6),
    "batch, as torch's": (Called(lambda x: torch.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, False)), 6),
    "group": (nn.GroupNorm(3, 6), 6),
    "instance": (nn.InstanceNorm2d(6), 6),
    "layer, channels last": (Called(channels_last), 6),
    "layer, whole maps": (Called(whole_maps), 4),
    "group 1, the same function as layer": (Called(lambda x: F.group_norm(x, 1)), 6),
    "layer, whole images": (Called(lambda x: F.layer_norm(x, (6, 9, 8))), 6),
    "layer, tokens": (Called(lambda x: nn.LayerNorm(6)(x.flatten(2).mT)), 6),
    "RMS, tokens": (Called(lambda x: F.rms_norm(x.flatten(2).mT, (6,))), 6),
    "one layer twice": (nn.Sequential(*[nn.BatchNorm2d(6)] * 2), 12),
    "of a weight": (Called(standardised), 0),
    "none": (nn.ReLU(), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", WIDTHS)
def test_width_is_the_sum_of_the_normalised_channels(name):
    """Closed form: the channels of the images, or of the convolution before the normalisation."""
    network, expected = WIDTHS[name]
    assert width(network, x2[:1]) == expected
