"""How unevenly words are used: rank and frequency, growth of the vocabulary, its cost."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.checks import require_at_least, require_ids, require_weights


class PowerLaw(NamedTuple):
    """y ≈ factor · x^exponent."""

    exponent: float
    factor: float


def fit_power_law(x: Tensor, y: Tensor) -> PowerLaw:
    """Least squares of log y on log x.

    Args:
        x, y: [n] of positive numbers, n ≥ 2, not all x alike.
    Raises:
        ValueError: otherwise.
    """
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise ValueError(
            f"x and y must be [n] with n ≥ 2, got {list(x.shape)} and {list(y.shape)}"
        )
    u, v = x.double().log(), y.double().log()
    spread = (u - u.mean()).square().sum()
    if not bool(u.isfinite().all() & v.isfinite().all() & (spread > 0)):
        raise ValueError("x and y must be positive, and x not all alike")
    slope = ((u - u.mean()) * v).sum() / spread
    return PowerLaw(float(slope), float((v.mean() - slope * u.mean()).exp()))


def rank_frequency(counts: Tensor) -> Tensor:
    """Counts from the most to the least frequent word, without words that never occur.

    Returns:
        [V'], the r-th entry, from r = 1, belongs to rank r.
    Raises:
        ValueError: if counts are no counts.
    """
    require_weights("counts", counts, zeros=True)
    return counts[counts > 0].sort(descending=True).values


def zipf_exponent(
    counts: Tensor, first: int, last: int, *, points: int = 60
) -> PowerLaw:
    """f(r) ≈ C r^(−a) over the ranks first … last; the exponent that is returned is −a.

    Ranks are taken evenly in log r: otherwise the many rare words, whose counts are 1 or
    2 for thousands of ranks, would decide alone.

    Args:
        counts: [V].
        first, last: 1 ≤ first < last ≤ V.
        points: ranks that are used, at most.
    Raises:
        ValueError: if a rank is out of range.
    """
    ordered = rank_frequency(counts)
    require_at_least("first", first, 1)
    if not first < last <= len(ordered):
        raise ValueError(
            f"ranks must satisfy first < last ≤ {len(ordered)}, got {first}, {last}"
        )
    ranks = torch.logspace(0, 1, points, base=last / first, dtype=torch.float64)
    ranks = torch.unique((first * ranks).round().long().clamp(first, last))
    return fit_power_law(ranks, ordered[(ranks - 1).to(ordered.device)].cpu())


def vocabulary_growth(ids: Tensor) -> Tensor:
    """How many different ids are among the first 1, 2, …, n tokens: [n], int64.

    Raises:
        ValueError: if ids are not [n] of whole numbers ≥ 0, n ≥ 1.
    """
    if ids.ndim != 1 or len(ids) == 0:
        raise ValueError(f"ids must be [n] with n ≥ 1, got shape {list(ids.shape)}")
    size = int(ids.max()) + 1
    require_ids("ids", ids, size)
    place = torch.arange(len(ids), device=ids.device)
    first = torch.full((size,), len(ids), device=ids.device)
    first = first.scatter_reduce(0, ids, place, "amin")
    return (first[ids] == place).cumsum(0)


def expected_vocabulary(counts: Tensor, sizes: Sequence[int]) -> Tensor:
    """How many different words m tokens hold on average, if drawn without replacement.

        E V(m) = Σ_w [1 − C(N − c_w, m) / C(N, m)]

    A word is missing if all m tokens come from the N − c_w others. The order of a text
    is not that of a lottery: the same words stand close together, so the true growth is
    slower.

    Args:
        counts: c, [V], whole numbers, N in all.
        sizes: m, each in [0, N].
    Returns:
        [len(sizes)], float64.
    Raises:
        ValueError: if a size is out of range.
    """
    require_weights("counts", counts, zeros=True)
    c, words = torch.unique(counts, return_counts=True)
    c, words = c.double(), words.double()
    total = float((c * words).sum())
    grown = []
    for m in sizes:
        if not 0 <= m <= total:
            raise ValueError(f"sizes must be in [0, {total:.0f}], got {m}")
        rest = (total - c - m).clamp(min=0)
        log_missing = torch.lgamma(total - c + 1) - torch.lgamma(rest + 1)
        log_all = torch.lgamma(c.new_tensor([total + 1, total - m + 1]))
        missing = (log_missing - log_all[0] + log_all[1]).exp()
        missing = torch.where(total - c >= m, missing, 0)
        grown.append((words * (1 - missing)).sum())
    return torch.stack(grown)


class Coverage(NamedTuple):
    """What a least count leaves."""

    words: int
    tokens: int


def coverage(counts: Tensor, min_count: int) -> Coverage:
    """How many words and tokens are left if rarer words are dropped.

    Raises:
        ValueError: if min_count < 1.
    """
    require_at_least("min_count", min_count, 1)
    kept = counts[counts >= min_count]
    return Coverage(len(kept), int(kept.sum()))
