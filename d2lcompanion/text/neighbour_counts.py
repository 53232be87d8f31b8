"""Guessing a word from the word before it, the word after it, or both, by counting.

The smallest model of three designs: left to right as GPT, two directions that meet only at
the end as ELMo, and both sides at once as BERT.
"""

import torch
from torch import Tensor

from d2lcompanion.text.checks import require_at_least, require_ids


def adjacent_counts(ids: Tensor, sentence: Tensor, size: int) -> Tensor:
    """How often b follows a within a sentence: [V, V], float64, row a, column b.

    Args:
        ids: [n], int64, in [0, V).
        sentence: [n], int64, number of the sentence of each token.
        size: V.
    Raises:
        ValueError: if an id is out of range.
    """
    require_at_least("size", size, 1)
    require_ids("ids", ids, size)
    inside = sentence[1:] == sentence[:-1]
    pair = (ids[:-1] * size + ids[1:])[inside]
    return torch.bincount(pair, minlength=size * size).view(size, size).double()


def conditional(counts: Tensor, prior: Tensor, *, strength: float = 20.0) -> Tensor:
    """p(word | neighbour) = (c(neighbour, word) + s·p(word)) / (c(neighbour) + s), [V, V].

    A neighbour that was seen c times is believed with weight c/(c + s); the rest is what
    is known without it.

    Args:
        counts: [V, V], a row for each neighbour.
        prior: [V], p(word), > 0, sums to 1.
        strength: s > 0.
    Raises:
        ValueError: if strength is not positive.
    """
    if not 0 < strength < torch.inf:
        raise ValueError(f"strength must be > 0 and finite, got {strength}")
    return (counts + strength * prior) / (counts.sum(1, keepdim=True) + strength)


def neighbour_losses(
    seen: tuple[Tensor, Tensor],
    asked: tuple[Tensor, Tensor],
    size: int,
    *,
    strength: float = 20.0,
) -> dict[str, float]:
    """Mean −ln p of words that have both neighbours, by four guesses, in nats.

    With l and r the neighbours: "none" p(w); "left" p(w | l); "right" p(w | r); "both"
    p(w | l) p(w | r)/p(w), normalized: exact if l and r are independent given w.

    Args:
        seen: ids and sentences of the training part, [n] each.
        asked: of the part that is guessed.
        size: V.
        strength: of the prior.
    Raises:
        ValueError: as above, or if no word has two neighbours.
    """
    ids, sentence = asked
    require_ids("asked ids", ids, size)
    inner = (sentence[2:] == sentence[:-2]).nonzero()[:, 0]
    if len(inner) == 0:
        raise ValueError(
            f"a sentence must have three words, got {len(ids)} words in all"
        )
    left, word, right = ids[inner], ids[inner + 1], ids[inner + 2]
    counts = adjacent_counts(*seen, size)
    prior = torch.bincount(seen[0], minlength=size).double() + 1
    prior = prior / prior.sum()
    after = conditional(counts, prior, strength=strength)  # row: the word before
    before = conditional(counts.T, prior, strength=strength)  # row: the word after
    total = torch.zeros(4, dtype=torch.float64)
    for part in torch.arange(len(word)).split(4096):  # type: ignore[no-untyped-call]
        from_left, from_right = after[left[part]], before[right[part]]
        both = from_left * from_right / prior
        both = both / both.sum(1, keepdim=True)
        own = word[part, None]
        for n, p in enumerate((prior.expand_as(both), from_left, from_right, both)):
            total[n] -= p.gather(1, own).log().sum()
    names = ("none", "left", "right", "both")
    return dict(zip(names, (total / len(word)).tolist(), strict=True))
