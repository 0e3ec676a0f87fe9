"""W-PCA: parameters times the principal components of the hidden tokens of a transformer.

Wang, "W-PCA Based Gradient-Free Proxy for Efficient Search of Lightweight Language Models", ICLR 2025,
arXiv:2504.15983.
"""

from torch import Tensor

from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import SingularScore
from zcbench.proxies.signals.signals import Signals
from zcbench.proxies.signals.spectra import eigenvalues

#: Share of the variance that the components explain.
SHARE = 0.99


@proxy(
    "w_pca",
    reads=("costs", "hidden_covariances"),
    higher_is_better=True,
    uses_labels=False,
    source="ICLR 2025, W-PCA, released code",
)
def w_pca(signals: Signals) -> float:
    r"""Number of parameters times `v_pca`.

    Args:
        signals: needs ``costs`` for the parameters, and ``hidden_covariances``.

    Returns:
        The score, positive; higher ranks better. It is a product of a size and a sum over layers: compare it with
        ``params``.

    Raises:
        NotApplicable, SingularScore: as `v_pca`.

    Example:
        >>> from zcbench.proxies import example, score
        >>> score(*example("pit"), ["w_pca"])["w_pca"]
        7010080.0

    Note:
        The released code adds up the components and leaves the product with the parameters to its search.
    """
    return signals.costs.params * components(signals)


@proxy(
    "v_pca",
    reads="hidden_covariances",
    higher_is_better=True,
    uses_labels=False,
    source="ICLR 2025, W-PCA, released code",
)
def v_pca(signals: Signals) -> float:
    r"""Number of principal components that explain the hidden tokens, summed over layers.

    .. math::  s = \sum_{\ell} \min \Bigl\{ k : \sum_{i \le k} \lambda_{\ell i} > .99 \sum_i \lambda_{\ell i} \Bigr\}

    :math:`\lambda_{\ell 1} \ge \lambda_{\ell 2} \ge \dots` are the eigenvalues of the covariance of the output of the
    first linear map of feed-forward part :math:`\ell`, before the activation, over images and tokens.

    Args:
        signals: needs ``hidden_covariances``, one ``(C, C)`` for every ReLU or GELU behind a linear map of tokens.

    Returns:
        The score, a count from 0 to the sum of all C; higher ranks better.

    Raises:
        NotApplicable: no ReLU or GELU follows a linear map of tokens, as in a convolutional network.
        SingularScore: a covariance has entries that are infinite or not a number.

    Example:
        >>> from zcbench.proxies import example, score
        >>> score(*example("pit"), ["v_pca"])["v_pca"]
        80.0

    Note:
        For language models the code takes .99 in the blocks of BERT, as here, and .9 in those of MobileBERT. A layer
        whose tokens do not vary has no component.
    """
    return float(components(signals))


def components(signals: Signals) -> int:
    """Components of all layers."""
    return sum(map(_components, signals.hidden_covariances))


def _components(covariance: Tensor) -> int:
    values = eigenvalues(covariance).flip(0)
    total = values.sum()
    if not total.isfinite():
        raise SingularScore("The variances of a layer are too large to be added up.")
    return int((values.cumsum(0) <= SHARE * total).sum()) + 1 if total > 0 else 0
