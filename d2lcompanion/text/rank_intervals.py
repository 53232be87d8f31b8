"""How sure a rank correlation is: by theory, and by drawing the pairs again."""

import math
from statistics import NormalDist
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.checks import (
    require_at_least,
    require_shape,
    require_unit_interval,
)
from d2lcompanion.text.similarity import spearman


class Interval(NamedTuple):
    """Ends of a confidence interval."""

    low: float
    high: float


def fisher_interval(correlation: float, n: int, level: float = 0.95) -> Interval:
    """tanh(artanh ρ ± z √((1 + ρ²/2)/(n − 3))): n pairs, drawn independently.

    Fisher's transformation makes the spread of a correlation nearly independent of its
    value; for ranks Bonett & Wright add ρ²/2 to the numerator.

    Args:
        correlation: Spearman's ρ in (−1, 1).
        n: ≥ 4 pairs.
        level: of confidence, in (0, 1).
    Raises:
        ValueError: if a number is out of range.
    Source:
        Bonett & Wright (2000), *Sample size requirements for estimating Pearson, Kendall
        and Spearman correlations*.
    """
    require_at_least("n", n, 4)
    if not -1 < correlation < 1:
        raise ValueError(f"correlation must be in (-1, 1), got {correlation}")
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    width = NormalDist().inv_cdf((1 + level) / 2)
    width *= math.sqrt((1 + correlation**2 / 2) / (n - 3))
    middle = math.atanh(correlation)
    return Interval(math.tanh(middle - width), math.tanh(middle + width))


def bootstrap_spearman(
    scores: Tensor, ratings: Tensor, draws: int, generator: torch.Generator
) -> Tensor:
    """ρ of each row of scores with the ratings, on pairs drawn again with replacement.

    All rows see the same pairs in a draw, so differences of two rows are paired.

    Args:
        scores: [m, n], n pairs each.
        ratings: [n].
        draws: ≥ 1.
        generator: on any device.
    Returns:
        [draws, m].
    Raises:
        ValueError: if shapes differ, or all numbers of a draw are equal.
    Source:
        Efron (1979), *Bootstrap methods: another look at the jackknife*.
    """
    require_at_least("draws", draws, 1)
    require_shape("scores", scores, (len(scores), *ratings.shape))
    n, device = len(ratings), ratings.device
    found = []
    for _ in range(draws):
        again = torch.randint(n, (n,), generator=generator, device=generator.device)
        rows = again.to(device)
        found.append(
            torch.stack([spearman(row[rows], ratings[rows]) for row in scores])
        )
    return torch.stack(found)


def percentile_interval(values: Tensor, level: float = 0.95) -> Interval:
    """The middle share of bootstrap values: [draws].

    Raises:
        ValueError: if the level is out of [0, 1].
    """
    require_unit_interval("level", level)
    tail = (1 - level) / 2
    return Interval(float(values.quantile(tail)), float(values.quantile(1 - tail)))
