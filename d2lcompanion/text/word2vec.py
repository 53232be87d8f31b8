"""Skip-gram with the full softmax: what it maximizes, and its gradient.

Every word has two vectors, rows of two tables: one for when it is the center of a
window, one for when it is in the context. Skip-gram predicts the context from the
center; `cbow` goes the other way. One prediction costs O(V d): the normalization runs
over the vocabulary.
"""

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from d2lcompanion.text.checks import (
    require_choice,
    require_ids,
    require_mask,
    require_shape,
    require_vector_tables,
)

Reduction: TypeAlias = Literal["sum", "mean"]


class VectorGradients(NamedTuple):
    """Derivatives with respect to both tables, each [V, d], zero rows included."""

    center_vectors: Tensor
    context_vectors: Tensor


def divisor(reduction: Reduction, count: Tensor | int) -> Tensor | int:
    """What a sum over `count` predictions is divided by: 1 for "sum", count for "mean".

    Raises:
        ValueError: if reduction is neither.
    """
    require_choice("reduction", reduction, ("sum", "mean"))
    return count if reduction == "mean" else 1


def skip_gram_log_probabilities(
    centers: Tensor, center_vectors: Tensor, context_vectors: Tensor
) -> Tensor:
    """log P(o | c) = u_o·v_c − log Σ_i exp(u_i·v_c), for every word o.

    Args:
        centers: c, [B], ids.
        center_vectors: v, [V, d].
        context_vectors: u, [V, d].
    Returns:
        [B, V], the exponentials of a row sum to 1.
    Raises:
        ValueError: if shapes differ or an id is out of range.
    Source:
        Mikolov, Sutskever, Chen, Corrado & Dean (2013), equation (2); Zhang et al.,
        *Dive into Deep Learning* (d2l), §15.1.3.
    """
    require_vector_tables(center_vectors, context_vectors)
    _require_centers(centers, len(center_vectors))
    return (center_vectors[centers] @ context_vectors.T).log_softmax(-1)


def skip_gram_log_likelihood(
    centers: Tensor,
    contexts: Tensor,
    center_vectors: Tensor,
    context_vectors: Tensor,
    *,
    mask: Tensor | None = None,
    reduction: Reduction = "sum",
) -> Tensor:
    """Σ_b Σ_j log P(o_bj | c_b) over the words o_bj around each center c_b.

    Args:
        centers: c, [B], ids.
        contexts: o, [B, m], ids.
        center_vectors: v, [V, d].
        context_vectors: u, [V, d].
        mask: [B, m], False where a window has no j-th word; the id there is not looked
            at. None: all windows are full.
        reduction: "sum", or "mean" over the predicted words.
    Returns:
        a number ≤ 0, []; training maximizes it.
    Raises:
        ValueError: if shapes differ, an id is out of range, or no word is predicted.
    Source:
        d2l, §15.1.3.1.
    """
    contexts, present = window_ids(centers, contexts, mask, len(center_vectors))
    every = skip_gram_log_probabilities(centers, center_vectors, context_vectors)
    total = every.gather(1, contexts).masked_fill(~present, 0).sum()
    return total / divisor(reduction, present.sum())


def skip_gram_gradients(
    centers: Tensor,
    contexts: Tensor,
    center_vectors: Tensor,
    context_vectors: Tensor,
    *,
    mask: Tensor | None = None,
    reduction: Reduction = "sum",
) -> VectorGradients:
    """The gradient of `skip_gram_log_likelihood`: observed minus expected.

    With one center c and n words o_1 … o_n around it, the scores s_i = u_i·v_c have

        r_i = ∂ℓ/∂s_i = #{j: o_j = i} − n P(i | c),

    as ∂ log Σ exp(s) / ∂s_i = P(i | c). By the chain rule

        ∂ℓ/∂v_c = Σ_i r_i u_i = Σ_j u_{o_j} − n Σ_i P(i | c) u_i,   ∂ℓ/∂u_i = r_i v_c,

    and centers of a batch add up. All V rows of u move for each center.

    Args, Raises:
        as there.
    Source:
        d2l, §15.1.3.1 (∂ℓ/∂v_c); Rong (2014), §2.
    """
    contexts, present = window_ids(centers, contexts, mask, len(center_vectors))
    expected = skip_gram_log_probabilities(centers, center_vectors, context_vectors)
    residual = -present.sum(1, keepdim=True) * expected.exp()  # −n P(i | c)
    residual = residual.scatter_add(1, contexts, present.to(residual.dtype))
    residual = residual / divisor(reduction, present.sum())
    center_gradient = torch.zeros_like(center_vectors)
    center_gradient = center_gradient.index_add(0, centers, residual @ context_vectors)
    return VectorGradients(center_gradient, residual.T @ center_vectors[centers])


def _require_centers(centers: Tensor, size: int) -> None:
    if centers.ndim != 1:
        raise ValueError(f"centers must be [B], got shape {list(centers.shape)}")
    require_ids("centers", centers, size)


def window_ids(
    centers: Tensor | None, contexts: Tensor, mask: Tensor | None, size: int
) -> tuple[Tensor, Tensor]:
    """Ids that are safe to look up (0 for no word), and where one is: [B, m] both."""
    if contexts.ndim != 2:
        raise ValueError(f"contexts must be [B, m], got shape {list(contexts.shape)}")
    if centers is not None:
        _require_centers(centers, size)
        require_shape("contexts", contexts, (len(centers), contexts.shape[1]))
    present = torch.ones_like(contexts, dtype=torch.bool) if mask is None else mask
    require_mask("mask", present, contexts.shape)
    if not bool(present.any()):
        raise ValueError(
            f"contexts must hold a word, got {list(contexts.shape)} of none"
        )
    contexts = contexts.masked_fill(~present, 0)
    require_ids("contexts", contexts, size)
    return contexts, present
