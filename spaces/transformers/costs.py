"""Sizes of vision transformers in closed form.

A linear map or convolution of kernel k from a to b channels has :math:`k^2 a b + b` parameters and, on p positions,
:math:`p k^2 a b` multiply-accumulates; a layer normalisation of c channels has 2c parameters and counts c for the
width. An attention of t queries and s keys of c channels multiplies 2tsc numbers.
"""

from zcbench.spaces.cost import Cost


def plus(*costs: Cost) -> Cost:
    """Sizes of parts in turn: all of them add up."""
    return Cost(*map(sum, zip(*costs)))


def times(number: int, cost: Cost) -> Cost:
    """Sizes of a part that comes ``number`` times in turn."""
    return Cost(*(number * size for size in cost))


def linear(inputs: int, outputs: int, positions: int, *, bias: bool = True) -> Cost:
    """A linear map of each position."""
    return Cost(inputs * outputs + bias * outputs, positions * inputs * outputs, 0, 1, 0)


def convolution(kernel: int, inputs: int, outputs: int, positions: int, *, side: int) -> Cost:
    """A convolution to so many positions of a map whose input has ``side`` as its longer side.

    A kernel of size 1 on one position is a linear map, and not counted as a convolution.
    """
    weights = kernel**2 * inputs * outputs
    return Cost(weights + outputs, positions * weights, int((kernel, side) != (1, 1)), 1, 0)


def norm(channels: int) -> Cost:
    """A layer normalisation."""
    return Cost(2 * channels, 0, 0, 0, channels)


def weights(count: int) -> Cost:
    """Parameters that are added, such as positions, or stand in front, as a class token."""
    return Cost(count, 0, 0, 0, 0)


def products(count: int) -> Cost:
    """Multiply-accumulates of tokens with tokens."""
    return Cost(0, count, 0, 0, 0)


def attention(channels: int, inner: int, tokens: int, *, bias: bool = True) -> Cost:
    """Self-attention whose heads have ``inner`` channels together."""
    return plus(
        linear(channels, 3 * inner, tokens, bias=bias),
        products(2 * tokens**2 * inner),
        linear(inner, channels, tokens),
    )


def layer(channels: int, hidden: int, tokens: int, attending: Cost) -> Cost:
    """A transformer layer with this attention."""
    mlp = plus(linear(channels, hidden, tokens), linear(hidden, channels, tokens))
    return plus(norm(channels), attending, norm(channels), mlp)
