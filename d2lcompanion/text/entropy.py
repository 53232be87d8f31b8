"""How well words can be predicted at all: entropies of counts, in nats.

A model that ignores the context cannot lose less than the entropy of the words; one
that knows everything about the pairs, not less than the conditional entropy. What lies
between is the mutual information.
"""

import torch
from torch import Tensor


def entropy(counts: Tensor) -> Tensor:
    """H = −Σ_i p_i ln p_i of the shares p = counts / Σ counts, with 0 ln 0 = 0.

    Args:
        counts: [...], ≥ 0, of any shape: all entries count as one distribution.
    Returns:
        [], nats, float64, from 0 to the logarithm of the number of entries.
    Raises:
        ValueError: if a count is negative or not finite, or all are 0.
    """
    shares = _shares(counts)
    found: Tensor = -torch.special.xlogy(shares, shares).sum()
    return found


def conditional_entropy(counts: Tensor) -> Tensor:
    """H(o | c) = H(c, o) − H(c): what is left to guess about o when c is known.

    Args:
        counts: [V, W], of pairs; a row per c.
    Returns:
        [], nats, float64, from 0 to H(o).
    Raises:
        ValueError: as in `entropy`, or if counts are not a matrix.
    """
    if counts.ndim != 2:
        raise ValueError(f"counts must be [V, W], got shape {list(counts.shape)}")
    return entropy(counts) - entropy(counts.sum(1))


def unigram_loss(seen: Tensor, asked: Tensor, *, add: float = 1.0) -> Tensor:
    """−Σ_i q_i ln p_i: what `asked` words cost who knows only how often words were seen.

    p is (seen + add) / Σ (seen + add): a word that was never seen has a probability,
    too.

    Args:
        seen: [V], counts ≥ 0 in the training part.
        asked: [V], counts ≥ 0 in the part that is predicted; q are their shares.
        add: added to each count, > 0.
    Returns:
        [], nats a word, float64.
    Raises:
        ValueError: if shapes differ, a number is out of range, or nothing is asked.
    """
    if not 0 < add < torch.inf:
        raise ValueError(f"add must be > 0 and finite, got {add}")
    if seen.shape != asked.shape:
        raise ValueError(
            f"asked must have shape {list(seen.shape)}, got {list(asked.shape)}"
        )
    return -(_shares(asked) * _shares(seen + add).log()).sum()


def _shares(counts: Tensor) -> Tensor:
    """Counts divided by their sum, float64."""
    numbers = counts.to(torch.float64)
    if not bool(((numbers >= 0) & numbers.isfinite()).all()):
        flat = numbers.flatten()
        first = int((~((flat >= 0) & flat.isfinite())).nonzero()[0, 0])
        raise ValueError(f"counts must be ≥ 0 and finite, got {float(flat[first])}")
    total = numbers.sum()
    if not bool(total > 0):
        raise ValueError(f"counts must not all be 0, got {numbers.numel()} zeros")
    return numbers / total
