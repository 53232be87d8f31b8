"""Noise-contrastive estimation: negative sampling that still knows it is a probability.

The classifier is told how likely the noise was to draw each word. Then the best score
is log P(o | c) itself, normalized without ever computing a normalizer; negative
sampling leaves that term out.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from d2lcompanion.text.checks import (
    require_at_least,
    require_ids,
    require_shape,
    require_vector_tables,
    require_weights,
)
from d2lcompanion.text.row_gradients import RowGradients, logistic_row_gradients
from d2lcompanion.text.word2vec import (
    Reduction,
    divisor,
    skip_gram_log_probabilities,
)


def noise_contrastive_loss(
    centers: Tensor,
    contexts: Tensor,
    negatives: Tensor,
    center_vectors: Tensor,
    context_vectors: Tensor,
    noise: Tensor,
    *,
    log_normalizer: float = 0.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """−log σ(Δ_o) − Σ_j log σ(−Δ_{n_j}), Δ_w = u_w·v_c − log Z − log(k P_n(w)).

    σ(Δ_w) is the posterior probability that w came from the text, when one true word is
    mixed with k draws from the noise and the text's law is exp(u_w·v_c)/Z.

    Args:
        centers: c, [B], ids.
        contexts: o, [B], ids, one per center.
        negatives: n, [B, k], ids drawn from the noise, k ≥ 1; none is left out.
        center_vectors: v, [V, d].
        context_vectors: u, [V, d].
        noise: P_n, [V], > 0, sums to 1.
        log_normalizer: log Z, one constant for all centers: 0 asks of the vectors that
            they normalize themselves; log V makes scores of 0 a uniform law.
        reduction: "mean" over the pairs, or "sum".
    Returns:
        a number ≥ 0, [].
    Raises:
        ValueError: if shapes differ or an id is out of range.
    Source:
        Gutmann & Hyvärinen (2012), §2.2; Mnih & Kavukcuoglu (2013), §3.
    """
    require_vector_tables(center_vectors, context_vectors)
    words, labels, shift = _questions(contexts, negatives, noise)
    require_shape("centers", centers, contexts.shape)
    require_ids("centers", centers, len(center_vectors))
    scores = torch.einsum("bd,bkd->bk", center_vectors[centers], context_vectors[words])
    signs = torch.where(labels, 1.0, -1.0).to(scores.dtype)
    total = -logsigmoid(signs * (scores - log_normalizer - shift)).sum()
    return total / divisor(reduction, len(centers))


def noise_contrastive_rows(
    centers: Tensor,
    contexts: Tensor,
    negatives: Tensor,
    center_vectors: Tensor,
    context_vectors: Tensor,
    noise: Tensor,
    *,
    log_normalizer: float = 0.0,
    reduction: Reduction = "mean",
) -> RowGradients:
    """The gradient of `noise_contrastive_loss`, in the k + 1 rows of each pair.

    Args, Raises:
        as there.
    """
    words, labels, shift = _questions(contexts, negatives, noise)
    return logistic_row_gradients(
        centers,
        words,
        labels,
        center_vectors,
        context_vectors,
        shift=shift + log_normalizer,
        scale=divisor(reduction, len(centers)),
    )


def expected_logistic_loss(
    scores: Tensor, joint: Tensor, noise: Tensor, negatives: int
) -> Tensor:
    """−Σ P(w, c) log σ(s) − k Σ P(w) P_n(c) log σ(−s): the loss a pair without chance.

    For s = u_c·v_w it is the expectation of negative sampling, no draw left out; for
    s = u_c·v_w − log(k P_n(c)) that of noise-contrastive estimation.

    Args:
        scores: s, [V, W], a row per word w, a column per context c.
        joint: P(w, c) ≥ 0, [V, W], sums to 1.
        noise: P_n(c), [W], sums to 1.
        negatives: k ≥ 1.
    Returns:
        a number ≥ 0, [].
    Raises:
        ValueError: if shapes differ, joint is negative or does not sum to 1, or k < 1.
    Source:
        Levy & Goldberg (2014), *Neural Word Embedding as Implicit Matrix
        Factorization*, §3.1.
    """
    require_at_least("negatives", negatives, 1)
    require_shape("joint", joint, scores.shape)
    require_shape("noise", noise, scores.shape[1:])
    total = float(joint.sum())
    if not (bool((joint >= 0).all()) and abs(total - 1) < 1e-3):
        raise ValueError(f"joint must be ≥ 0 and sum to 1, got the sum {total}")
    product = joint.sum(1, keepdim=True) * noise
    positive = -(joint * logsigmoid(scores)).sum()
    return positive - negatives * (product * logsigmoid(-scores)).sum()


def corrected_log_probabilities(
    centers: Tensor, center_vectors: Tensor, context_vectors: Tensor, noise: Tensor
) -> Tensor:
    """log P(o | c) out of negative sampling: log softmax of u_o·v_c + log P_n(o).

    At the optimum e^{u_o·v_c} = P(o | c)/(k P_n(o)), so the noise is multiplied back;
    the constant k goes away in the normalization. O(V d) a center: for evaluation.

    Args:
        centers: c, [B], ids.
        center_vectors: v, [V, d].
        context_vectors: u, [V, d].
        noise: P_n, [V], > 0.
    Returns:
        [B, V], the exponentials of a row sum to 1.
    Raises:
        ValueError: if shapes differ or an id is out of range.
    """
    require_weights("noise", noise)
    require_shape("noise", noise, context_vectors.shape[:1])
    raw = skip_gram_log_probabilities(centers, center_vectors, context_vectors)
    return (raw + noise.log()).log_softmax(-1)


def _questions(
    contexts: Tensor, negatives: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The words asked about, which of them was there, and log(k P_n) of each: [B, 1 + k]."""
    require_weights("noise", noise)
    if negatives.ndim != 2 or negatives.shape[1] < 1:
        raise ValueError(
            f"negatives must be [B, k], k ≥ 1, got {list(negatives.shape)}"
        )
    require_shape("contexts", contexts, negatives.shape[:1])
    words = torch.cat([contexts[:, None], negatives], dim=1)
    labels = torch.zeros_like(words, dtype=torch.bool)
    labels[:, 0] = True
    require_ids("contexts and negatives", words, len(noise))
    return words, labels, noise.log()[words] + math.log(negatives.shape[1])
