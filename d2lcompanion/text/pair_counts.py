"""What to expect of a corpus before anything is drawn: tokens kept, pairs formed."""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.checks import require_at_least, require_shape
from d2lcompanion.text.skip_gram_pairs import window_reach
from d2lcompanion.text.token_stream import TokenStream


class Moments(NamedTuple):
    """Of a number that depends on chance."""

    mean: float
    sd: float


def kept_moments(counts: Tensor, keep: Tensor) -> Moments:
    """How many tokens stay: Σ c p on average, with the variance Σ c p (1 − p).

    Each of the c tokens of a word is kept with its p, independently: binomial sums.

    Args:
        counts: c, [V].
        keep: p, [V], in [0, 1].
    Raises:
        ValueError: if shapes differ.
    """
    require_shape("keep", keep, counts.shape)
    c, p = counts.double(), keep.double()
    return Moments(float((c * p).sum()), float((c * p * (1 - p)).sum().sqrt()))


def pair_count_moments(stream: TokenStream, max_window: int) -> Moments:
    """How many pairs are formed, when widths are uniform on 1, …, c.

    With a and b tokens before and after it in its sentence, a token of the width w has
    min(w, a) + min(w, b) pairs; widths are independent, so variances add up.

    Raises:
        ValueError: if c < 1.
    """
    require_at_least("max_window", max_window, 1)
    by_width = []
    for width in range(1, max_window + 1):
        left, right = window_reach(stream, torch.full_like(stream.ids, width))
        by_width.append((left + right).double())
    table = torch.stack(by_width)  # [c, n]
    mean = table.mean(0)
    variance = (table - mean).square().mean(0).sum()
    return Moments(float(mean.sum()), float(variance.sqrt()))


def expected_pairs(lengths: Tensor, max_window: int) -> float:
    """The mean of the same number, from the lengths of sentences alone.

        E = Σ_n Σ_{d=1}^{min(c, n−1)} 2 (n − d) (c − d + 1)/c

    In a sentence of n tokens n − d places are d apart; each makes two ordered pairs,
    and a pair is formed if the width drawn for its center is ≥ d.

    Args:
        lengths: n of each sentence, [S], ≥ 0.
        max_window: c ≥ 1.
    Raises:
        ValueError: if c < 1.
    """
    require_at_least("max_window", max_window, 1)
    total = 0.0
    for distance in range(1, max_window + 1):
        places = (lengths - distance).clamp(min=0).sum()
        total += 2 * float(places) * (max_window - distance + 1) / max_window
    return total
