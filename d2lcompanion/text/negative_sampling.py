"""Negative sampling: tell the word that was there from k words that were drawn.

O(k d) per prediction in place of the O(V d) of the full softmax. What it learns is not
a probability but, at its optimum, pointwise mutual information shifted by log k.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from d2lcompanion.text.checks import (
    require_at_least,
    require_ids,
    require_mask,
    require_shape,
    require_vector_tables,
)
from d2lcompanion.text.row_gradients import RowGradients, logistic_row_gradients
from d2lcompanion.text.word2vec import Reduction, VectorGradients, divisor


def negative_sampling_loss(
    centers: Tensor,
    contexts: Tensor,
    negatives: Tensor,
    center_vectors: Tensor,
    context_vectors: Tensor,
    *,
    mask: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """−log σ(u_o·v_c) − Σ_j log σ(−u_{n_j}·v_c): k + 1 logistic regressions a pair.

    Args:
        centers: c, [B], ids.
        contexts: o, [B], ids, one per center.
        negatives: n, [B, k], ids, k ≥ 1.
        center_vectors: v, [V, d].
        context_vectors: u, [V, d].
        mask: [B, k], False where a negative does not count, as where it is o itself
            (word2vec's C program leaves those out); the id there is not looked at.
        reduction: "mean" over the pairs, or "sum".
    Returns:
        a number ≥ 0, []; training minimizes it.
    Raises:
        ValueError: if shapes differ or an id is out of range.
    Source:
        Mikolov, Sutskever, Chen, Corrado & Dean (2013), equation (4); d2l, §15.2.1.
    """
    words, present = _candidates(centers, contexts, negatives, mask, center_vectors)
    scores = _scores(centers, words, center_vectors, context_vectors)
    signs = torch.ones_like(scores)
    signs[:, 1:] = -1
    losses = -logsigmoid(signs * scores).masked_fill(~present, 0)
    return losses.sum() / divisor(reduction, len(centers))


def negative_sampling_gradients(
    centers: Tensor,
    contexts: Tensor,
    negatives: Tensor,
    center_vectors: Tensor,
    context_vectors: Tensor,
    *,
    mask: Tensor | None = None,
    reduction: Reduction = "mean",
) -> VectorGradients:
    """The gradient of `negative_sampling_loss`: each score's error, along its vectors.

    As d(−log σ(s))/ds = σ(s) − 1 and d(−log σ(−s))/ds = σ(s), with the label y = 1 for
    o and 0 for a negative w, and s_w = u_w·v_c:

        g_w = ∂ℓ/∂s_w = σ(s_w) − y_w,   ∂ℓ/∂v_c = Σ_w g_w u_w,   ∂ℓ/∂u_w = g_w v_c.

    A word drawn twice counts twice. Only k + 1 rows of u move for a pair; the tables
    returned here are dense all the same.

    Args, Raises:
        as there.
    Source:
        Goldberg & Levy (2014); Rong (2014), §3.2.
    """
    rows = negative_sampling_rows(
        centers,
        contexts,
        negatives,
        center_vectors,
        context_vectors,
        mask=mask,
        reduction=reduction,
    )
    return rows.dense(center_vectors, context_vectors)


def negative_sampling_rows(
    centers: Tensor,
    contexts: Tensor,
    negatives: Tensor,
    center_vectors: Tensor,
    context_vectors: Tensor,
    *,
    mask: Tensor | None = None,
    reduction: Reduction = "mean",
) -> RowGradients:
    """The same gradient in the k + 1 rows of each pair alone, at a cost free of V.

    Args, Raises:
        as there.
    """
    words, present = _candidates(centers, contexts, negatives, mask, center_vectors)
    require_vector_tables(center_vectors, context_vectors)
    labels = torch.zeros_like(present)
    labels[:, 0] = True
    return logistic_row_gradients(
        centers,
        words,
        labels,
        center_vectors,
        context_vectors,
        mask=present,
        scale=divisor(reduction, len(centers)),
    )


def optimal_score(joint: Tensor, word: Tensor, noise: Tensor, negatives: int) -> Tensor:
    """log(P(w, c)/(P(w) P_n(c))) − log k: where each score would go, were it free.

    The expected loss of one score s is −P(w, c) log σ(s) − k P(w) P_n(c) log σ(−s); its
    derivative is 0 where eˢ = P(w, c)/(k P(w) P_n(c)). With P_n = P it is pointwise
    mutual information minus log k. Vectors reach it if d ≥ V; fewer dimensions
    approximate it. Negatives are never masked here.

    Args:
        joint: P(w, c) ≥ 0, [...].
        word: P(w) > 0, broadcast with it.
        noise: P_n(c) > 0, broadcast with it.
        negatives: k ≥ 1.
    Returns:
        [...]; −∞ for pairs that never occur.
    Raises:
        ValueError: if a probability is out of range, or k < 1.
    Source:
        Levy & Goldberg (2014), *Neural Word Embedding as Implicit Matrix
        Factorization*, §3.1.
    """
    require_at_least("negatives", negatives, 1)
    for name, p in (("joint", joint), ("word", word), ("noise", noise)):
        good = ((p >= 0) if name == "joint" else (p > 0)) & (p <= 1)
        if not bool(good.all()):
            interval = "[0, 1]" if name == "joint" else "(0, 1]"
            raise ValueError(f"{name} must be in {interval}, got {p[~good][0].item()}")
    return joint.log() - word.log() - noise.log() - math.log(negatives)


# ------------------------------------------------------------------------------------- small parts


def _candidates(
    centers: Tensor,
    contexts: Tensor,
    negatives: Tensor,
    mask: Tensor | None,
    vectors: Tensor,
) -> tuple[Tensor, Tensor]:
    """The word that was there and those drawn, and which of them count: [B, 1 + k]."""
    if centers.ndim != 1:
        raise ValueError(f"centers must be [B], got shape {list(centers.shape)}")
    require_shape("contexts", contexts, centers.shape)
    if negatives.ndim != 2 or negatives.shape[1] < 1:
        raise ValueError(
            f"negatives must be [B, k], k ≥ 1, got {list(negatives.shape)}"
        )
    require_shape("negatives", negatives, (len(centers), negatives.shape[1]))
    present = torch.ones_like(negatives, dtype=torch.bool) if mask is None else mask
    require_mask("mask", present, negatives.shape)
    words = torch.cat([contexts[:, None], negatives.masked_fill(~present, 0)], dim=1)
    for name, ids in (("centers", centers), ("contexts and negatives", words)):
        require_ids(name, ids, len(vectors))
    return words, torch.cat([torch.ones_like(present[:, :1]), present], dim=1)


def _scores(
    centers: Tensor, words: Tensor, center_vectors: Tensor, context_vectors: Tensor
) -> Tensor:
    """u_w·v_c, [B, 1 + k]."""
    require_vector_tables(center_vectors, context_vectors)
    return torch.einsum("bd,bkd->bk", center_vectors[centers], context_vectors[words])
