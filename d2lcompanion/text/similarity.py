"""What word vectors know: cosines, nearest words, analogies, agreement with people."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.checks import (
    require_at_least,
    require_ids,
    require_matrix,
    require_shape,
)
from d2lcompanion.text.vocab import Vocab


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Pairwise cosines a_i·b_j / (‖a_i‖ ‖b_j‖).

    Args:
        a: [N, d].
        b: [M, d].
    Returns:
        [N, M] in [−1, 1] up to rounding; 0 where a vector is 0, as in scikit-learn.
    Raises:
        ValueError: if a or b is not a matrix of floats, or their d differ.
    """
    require_matrix("a", a)
    require_matrix("b", b)
    require_shape("b", b, (len(b), a.shape[1]))
    return unit(a) @ unit(b).T


def unit(vectors: Tensor) -> Tensor:
    """Each vector divided by its Euclidean length; 0 stays 0.

    Args:
        vectors: [..., d].
    """
    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / length.masked_fill(length == 0, 1)


class Neighbors(NamedTuple):
    """The words nearest to each query, nearest first, and their cosines: [Q, k]."""

    ids: Tensor
    cosines: Tensor


def nearest(
    queries: Tensor, vectors: Tensor, k: int, *, exclude: Tensor | None = None
) -> Neighbors:
    """The k words whose vectors have the largest cosines with each query.

    Words of one cosine come in the order of their ids: the V cosines of a query are
    sorted stably.

    Args:
        queries: [Q, d].
        vectors: [V, d], one per word.
        k: ≥ 1, at most the number of words that are not excluded.
        exclude: [Q, E], ids that query q must not find, as the query's own word.
    Raises:
        ValueError: if shapes differ, or k or an id is out of range.
    """
    scores = cosine(queries, vectors)
    require_at_least("k", k, 1)
    left_out = 0 if exclude is None else exclude.shape[-1]
    if k > len(vectors) - left_out:
        raise ValueError(
            f"k must be ≤ {len(vectors)} words − {left_out} excluded, got {k}"
        )
    if exclude is not None:
        require_shape("exclude", exclude, (len(queries), left_out))
        require_ids("exclude", exclude, len(vectors))
        scores = scores.scatter(1, exclude, -torch.inf)
    found = scores.sort(dim=1, descending=True, stable=True)
    return Neighbors(found.indices[:, :k], found.values[:, :k])


def analogy(a: Tensor, b: Tensor, c: Tensor, vectors: Tensor, k: int = 1) -> Neighbors:
    """a is to b as c is to …: arg max_x cos(x, b̂ − â + ĉ), x none of a, b, c.

    The hats are unit vectors: the method ranks by cos(x, b) − cos(x, a) + cos(x, c),
    hence its name, 3CosAdd. Without the exclusion the answer is mostly b or c itself.

    Args:
        a, b, c: [Q], ids, one question a row.
        vectors: [V, d], of any length; V ≥ k + 3.
        k: answers per question.
    Raises:
        ValueError: if shapes differ, or k or an id is out of range.
    Source:
        Mikolov, Yih & Zweig (2013), *Linguistic Regularities in Continuous Space Word
        Representations*; Levy & Goldberg (2014), *Linguistic Regularities in Sparse and
        Explicit Word Representations*, who name it.
    """
    require_matrix("vectors", vectors)
    for name, ids in (("a", a), ("b", b), ("c", c)):
        require_shape(name, ids, (a.numel(),))
        require_ids(name, ids, len(vectors))
    target = unit(vectors[b]) - unit(vectors[a]) + unit(vectors[c])
    return nearest(target, vectors, k, exclude=torch.stack([a, b, c], dim=1))


# ---------------------------------------------------------------------------- agreement with people


def average_ranks(x: Tensor) -> Tensor:
    """The rank of each number, 1 for the smallest; equal ones share the mean of theirs.

    Args:
        x: [n], finite.
    Returns:
        [n], in the type of x.
    Raises:
        ValueError: if x is not [n] of finite floats.
    """
    if x.ndim != 1 or not x.is_floating_point():
        raise ValueError(f"x must be [n] of floats, got {list(x.shape)}, {x.dtype}")
    if not bool(x.isfinite().all()):
        first = int((~x.isfinite()).nonzero()[0, 0])
        raise ValueError(f"x must be finite, got {float(x[first])} at {first}")
    ordered = x.sort().values
    below = torch.searchsorted(ordered, x)
    up_to = torch.searchsorted(ordered, x, right=True)
    return ((below + 1 + up_to) / 2).to(x.dtype)


def spearman(x: Tensor, y: Tensor) -> Tensor:
    """Spearman's ρ: the correlation of average ranks.

    Args:
        x, y: [n], finite, n ≥ 2.
    Returns:
        ρ in [−1, 1], [].
    Raises:
        ValueError: if shapes differ, n < 2, a number is not finite, or all numbers of x
            or of y are equal, where ρ has no value.
    Source:
        Spearman (1904).
    """
    require_shape("y", y, x.shape)
    if x.numel() < 2:
        raise ValueError(f"x and y must be [n] with n ≥ 2, got {list(x.shape)}")
    first, second = (ranks - ranks.mean() for ranks in map(average_ranks, (x, y)))
    for name, values in (("x", x), ("y", y)):
        if not bool((values != values[0]).any()):
            raise ValueError(
                f"{name} must not be constant, got only {float(values[0])}"
            )
    return (unit(first) * unit(second)).sum()


class Agreement(NamedTuple):
    """ρ between cosines and people's ratings, and on how many of the pairs."""

    correlation: float
    known: int  # pairs of which both words have a vector
    total: int


def word_similarity(
    pairs: Sequence[tuple[str, str]],
    ratings: Sequence[float],
    vocab: Vocab,
    vectors: Tensor,
) -> Agreement:
    """Spearman's ρ between cosines and ratings, as on WordSim-353.

    A pair with a word that is not in the vocabulary is left out, and not given the
    vector of `<unk>`: report `known` beside ρ. Words are looked up as they are written.

    Args:
        pairs: n pairs of words.
        ratings: n, in any unit, larger for more alike.
        vocab: V words.
        vectors: [V, d].
    Raises:
        ValueError: if numbers do not match, or fewer than 2 pairs are known.
    Source:
        Finkelstein et al. (2002), *Placing Search in Context: The Concept Revisited*.
    """
    require_matrix("vectors", vectors)
    require_shape("vectors", vectors, (len(vocab), vectors.shape[1]))
    if len(ratings) != len(pairs):
        raise ValueError(f"{len(pairs)} pairs need as many ratings, got {len(ratings)}")
    known = [n for n, pair in enumerate(pairs) if all(word in vocab for word in pair)]
    if len(known) < 2:
        raise ValueError(f"2 pairs must be known, got {len(known)} of {len(pairs)}")
    first = unit(vectors[[vocab.id_of(pairs[n][0]) for n in known]])
    second = unit(vectors[[vocab.id_of(pairs[n][1]) for n in known]])
    rated = torch.tensor([ratings[n] for n in known], dtype=torch.float64)
    cosines = (first * second).sum(1).to("cpu", torch.float64)
    return Agreement(float(spearman(cosines, rated)), len(known), len(pairs))
