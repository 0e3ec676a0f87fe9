"""Second derivatives of convolution and batch normalisation."""

import pytest
import torch
import torch.nn.functional as F

from zcbench import spaces
from zcbench.hooks.functions import call
from zcbench.proxies import evaluate
from zcbench.proxies.passes.twice import Twice

CONVOLUTIONS = [
    {},
    {"stride": 2, "padding": 1},
    {"padding": (0, 2), "dilation": (1, 2)},
    {"stride": (2, 1), "padding": 1, "groups": 2},
]


def tensors(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    stream = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=stream, dtype=torch.float64).requires_grad_() for shape in shapes]


def product(func, args, kwargs, variables, seeds, through):
    """Output, gradients, and derivatives of an inner product of the gradients with ``seeds``."""
    output = through(func, args, kwargs)
    gradients = torch.autograd.grad(output.sin().sum(), variables, create_graph=True)
    inner = sum((one * seed).sum() for one, seed in zip(gradients, seeds))
    return [output, *gradients, *torch.autograd.grad(inner, variables)]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_convolution_equals_that_of_pytorch(options, layout):
    """Independent reference: PyTorch's own double backward; output and gradients are equal bit for bit."""
    groups = options.get("groups", 1)
    input, weight, bias, *seeds = tensors(
        (3, 4, 6, 5), (6, 4 // groups, 3, 3), (6,), (3, 4, 6, 5), (6, 4 // groups, 3, 3)
    )
    input = input.detach().contiguous(memory_format=layout).requires_grad_()
    found, expected = (
        product(F.conv2d, (input, weight, bias), options, [input, weight], seeds, through)
        for through in (Twice().call, call)
    )
    assert all(map(torch.equal, found[:3], expected[:3]))
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (5, 4, 3)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_batch_normalisation_equals_that_of_pytorch(affine, shape, layout):
    """Independent reference: PyTorch's own double backward, also of an input whose mean is far from 0."""
    input, seed, weight, bias = tensors(shape, shape, (4,), (4,))
    offset = torch.tensor([0, 3.0, -50, 0.1], dtype=torch.float64).reshape(-1, *(1,) * (len(shape) - 2))
    input = (input.detach() + offset).requires_grad_()
    if len(shape) == 4:
        input = input.detach().contiguous(memory_format=layout).requires_grad_()
    results = []
    for through in (Twice().call, call):
        statistics = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
        args = (input, *statistics, *((weight, bias) if affine else (None, None)), True, 0.1, 1e-3)
        results.append((*product(F.batch_norm, args, {}, [input], [seed], through), *statistics))
    found, expected = results
    assert all(map(torch.equal, found[:2], expected[:2]))
    assert all(map(torch.equal, found[3:], expected[3:]))
    torch.testing.assert_close(found[2], expected[2])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_grasp_leaves_other_scores_as_they_are(layout):
    """Invariance: the scores that share its graph have the same bits without it."""
    space = spaces.get("nasbench201(channels=4,cells=1)")
    names = ["grad_norm", "snip", "plain", "fisher", "naswot", "jacov"]
    batch = torch.randn(6, 3, 8, 8).contiguous(memory_format=layout), torch.arange(6)
    for arch in space.subset("unique")[::900]:
        network = space.build(arch, seed=0).to(memory_format=layout)
        alone, together = (evaluate(network, batch, chosen) for chosen in (names, [*names, "grasp"]))
        assert [(one.status, repr(one.value)) for one in alone] == [(s.status, repr(s.value)) for s in together[:-1]]
