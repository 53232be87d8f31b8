"""Negative sampling: tell the word that was there from k words that were drawn.

O(k d) per prediction in place of the O(V d) of the full softmax. What it learns is not
a probability but, at its optimum, pointwise mutual information shifted by log k.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from d2lcompanion.text.checks import (
    require_at_least,
    require_ids,
    require_mask,
    require_shape,
    require_unit_interval,
    require_vector_tables,
    require_weights,
)
from d2lcompanion.text.word2vec import Reduction, VectorGradients, divisor

# ------------------------------------------------------------------------------------------- noise


def noise_distribution(counts: Tensor, power: float = 0.75) -> Tensor:
    """P_n(w) ∝ count(w)^power: 0 is uniform, 1 the frequency of words.

    Args:
        counts: [V], > 0, V ≥ 2: a reserved token that never occurs must be left out.
        power: in [0, 1].
    Returns:
        [V], sums to 1; in the type of counts, or torch's default type where they are
        whole numbers.
    Raises:
        ValueError: if a count is not positive, or power is out of [0, 1].
    Source:
        Mikolov, Sutskever, Chen, Corrado & Dean (2013), §2.2.
    """
    require_weights("counts", counts)
    require_unit_interval("power", power)
    weights = counts / counts.sum()  # before the power: no overflow in float16
    weights = weights**power
    return weights / weights.sum()


class AliasSampler:
    """Draws from V outcomes in O(1) each, by tables that take O(V) to build.

    A column i of V equal ones is chosen, then i itself with probability tᵢ, else its
    alias aᵢ. So p(i) = (tᵢ + Σ over the j with aⱼ = i of (1 − tⱼ))/V, which
    `probabilities` adds up again.

    Attributes:
        thresholds: t, [V], in [0, 1].
        aliases: a, [V], int64.
    Source:
        Walker (1977); Vose (1991).
    """

    def __init__(self, weights: Tensor) -> None:
        """Build the tables, in double precision, and put them where the weights are.

        Args:
            weights: [V], ≥ 0, not all 0, V ≥ 2; need not sum to 1.
        Raises:
            ValueError: otherwise.
        """
        require_weights("weights", weights, zeros=True)
        thresholds, aliases = _vose(weights.tolist())
        dtype = weights.dtype if weights.is_floating_point() else None
        self.thresholds = torch.tensor(thresholds, dtype=dtype, device=weights.device)
        self.aliases = torch.tensor(aliases, device=weights.device)

    def probabilities(self) -> Tensor:
        """What the tables draw from, [V]."""
        rest = torch.zeros_like(self.thresholds)
        rest = rest.index_add(0, self.aliases, 1 - self.thresholds)
        return (self.thresholds + rest) / len(self.thresholds)

    def sample(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Independent draws, with replacement.

        The random numbers are made where the generator is: with one on the CPU, every
        device draws the same words.

        Args:
            shape: of the result.
            generator: on any device.
        Returns:
            ids, int64, where the weights were.
        """
        tables, source = self.thresholds, generator.device
        column = torch.randint(
            len(tables), tuple(shape), generator=generator, device=source
        )
        height = torch.rand(
            tuple(shape), generator=generator, device=source, dtype=tables.dtype
        )
        column, height = column.to(tables.device), height.to(tables.device)
        place = column.flatten()  # of one vector index_select is faster than [column]
        threshold = tables.index_select(0, place).view(column.shape)
        alias = self.aliases.index_select(0, place).view(column.shape)
        return torch.where(height < threshold, column, alias)


def _vose(weights: list[float]) -> tuple[list[float], list[int]]:
    """Thresholds and aliases: each column below 1 is filled up from one above 1."""
    size, total = len(weights), sum(weights)
    left = [size * weight / total for weight in weights]
    thresholds, aliases = [1.0] * size, list(range(size))
    small = [i for i in range(size) if left[i] < 1]
    large = [i for i in range(size) if left[i] >= 1]
    while small and large:
        low, high = small.pop(), large[-1]
        thresholds[low], aliases[low] = left[low], high
        left[high] -= 1 - left[low]
        if left[high] < 1:
            small.append(large.pop())
    return thresholds, aliases  # what is left over is 1 up to rounding


# --------------------------------------------------------------------------------------- objective


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
    words, present = _candidates(centers, contexts, negatives, mask, center_vectors)
    scores = _scores(centers, words, center_vectors, context_vectors)
    labels = torch.zeros_like(scores)
    labels[:, 0] = 1
    errors = (scores.sigmoid() - labels).masked_fill(~present, 0)
    errors = (errors / divisor(reduction, len(centers)))[..., None]  # g, [B, 1 + k, 1]
    center = torch.zeros_like(center_vectors).index_add(
        0, centers, (errors * context_vectors[words]).sum(1)
    )
    pulls = errors * center_vectors[centers][:, None]
    context = torch.zeros_like(context_vectors).index_add(
        0, words.flatten(), pulls.flatten(0, 1)
    )
    return VectorGradients(center, context)


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
