"""The continuous bag of words with the full softmax: the center from the mean of the context.

The roles of the two tables are those of `word2vec`: v is of centers, u of contexts.
"""

import torch
from torch import Tensor

from d2lcompanion.text.checks import (
    require_vector_tables,
)
from d2lcompanion.text.word2vec import Reduction, VectorGradients, divisor, window_ids


def cbow_log_probabilities(
    contexts: Tensor,
    center_vectors: Tensor,
    context_vectors: Tensor,
    *,
    mask: Tensor | None = None,
) -> Tensor:
    """log P(c | o_1 … o_n) = v_c·h − log Σ_i exp(v_i·h), h = (u_{o_1} + … + u_{o_n})/n.

    Args:
        contexts: o, [B, m], ids.
        center_vectors: v, [V, d]; d2l calls them u in CBOW.
        context_vectors: u, [V, d]; d2l calls them v in CBOW.
        mask: [B, m], False where a window has no j-th word; every window has one.
    Returns:
        [B, V], the exponentials of a row sum to 1.
    Raises:
        ValueError: if shapes differ, an id is out of range, or a window is empty.
    Source:
        Mikolov, Chen, Corrado & Dean (2013), §3.1; d2l, §15.1.4.
    """
    require_vector_tables(center_vectors, context_vectors)
    contexts, present = window_ids(None, contexts, mask, len(center_vectors))
    mean = _window_means(contexts, present, context_vectors)
    return (mean @ center_vectors.T).log_softmax(-1)


def cbow_log_likelihood(
    centers: Tensor,
    contexts: Tensor,
    center_vectors: Tensor,
    context_vectors: Tensor,
    *,
    mask: Tensor | None = None,
    reduction: Reduction = "sum",
) -> Tensor:
    """Σ_b log P(c_b | o_b1 … o_bn) over the centers of a batch.

    Args:
        centers: c, [B], ids.
        contexts: o, [B, m], ids.
        center_vectors: v, [V, d].
        context_vectors: u, [V, d].
        mask: as in `cbow_log_probabilities`.
        reduction: "sum", or "mean" over the centers.
    Returns:
        a number ≤ 0, []; training maximizes it.
    Raises:
        ValueError: if shapes differ, an id is out of range, or a window is empty.
    Source:
        d2l, §15.1.4.1.
    """
    window_ids(centers, contexts, mask, len(center_vectors))
    every = cbow_log_probabilities(contexts, center_vectors, context_vectors, mask=mask)
    total = every.gather(1, centers[:, None]).sum()
    return total / divisor(reduction, len(centers))


def cbow_gradients(
    centers: Tensor,
    contexts: Tensor,
    center_vectors: Tensor,
    context_vectors: Tensor,
    *,
    mask: Tensor | None = None,
    reduction: Reduction = "sum",
) -> VectorGradients:
    """The gradient of `cbow_log_likelihood`.

    For one center c with the mean h of n context vectors, r_i = 1[i = c] − P(i | h):

        ∂ℓ/∂v_i = r_i h,   ∂ℓ/∂h = Σ_i r_i v_i = v_c − Σ_i P(i | h) v_i,
        ∂ℓ/∂u_o = (1/n) ∂ℓ/∂h for each occurrence of o in the window.

    word2vec's C program averages the context and leaves the 1/n out of its update of
    u, a step n times as long (İrsoy, Benton & Stratos 2021).

    Args, Raises:
        as there.
    Source:
        d2l, §15.1.4.1 (∂ℓ/∂u_o); Rong (2014), §1.2.
    """
    every = cbow_log_probabilities(contexts, center_vectors, context_vectors, mask=mask)
    contexts, present = window_ids(centers, contexts, mask, len(center_vectors))
    mean = _window_means(contexts, present, context_vectors)
    residual = -every.exp()
    residual = residual.scatter_add(
        1, centers[:, None], torch.ones_like(residual[:, :1])
    )
    residual = residual / divisor(reduction, len(centers))
    shares = present.to(mean.dtype) / present.sum(1, keepdim=True)
    pulls = shares[..., None] * (residual @ center_vectors)[:, None]  # [B, m, d]
    context_gradient = torch.zeros_like(context_vectors)
    context_gradient = context_gradient.index_add(
        0, contexts.flatten(), pulls.flatten(0, 1)
    )
    return VectorGradients(residual.T @ mean, context_gradient)


def _window_means(contexts: Tensor, present: Tensor, vectors: Tensor) -> Tensor:
    """The mean vector of the words of each window, [B, d]."""
    if not bool(present.any(1).all()):
        empty = int((~present.any(1)).nonzero()[0, 0])
        raise ValueError(f"every window must hold a word, got none in window {empty}")
    summed = (vectors[contexts] * present[..., None]).sum(1)
    return summed / present.sum(1, keepdim=True)
