"""Which words stand in whose window: centers and contexts of skip-gram, by counting offsets.

Every token gets a window of random width, and every word in a window makes a pair with
the token in its middle. All of it is arithmetic on flat arrays, O(1) a token and a pair.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.text.checks import require_at_least, require_shape
from d2lcompanion.text.token_stream import TokenStream, require_stream


def reduced_windows(tokens: int, max_window: int, generator: torch.Generator) -> Tensor:
    """A width for the window of each token, uniform on 1, …, c: [tokens], int64.

    A word at distance d is then in the window with probability (c − d + 1)/c.

    Raises:
        ValueError: if tokens < 0 or c < 1.
    """
    require_at_least("tokens", tokens, 0)
    require_at_least("max_window", max_window, 1)
    return torch.randint(
        1, max_window + 1, (tokens,), generator=generator, device=generator.device
    )


def window_reach(stream: TokenStream, windows: Tensor) -> tuple[Tensor, Tensor]:
    """How many words each token sees to its left and right, a and b: [n] both.

    Args:
        stream: n tokens.
        windows: w, [n], whole numbers ≥ 1.
    Raises:
        ValueError: if shapes differ or a width is < 1.
    """
    require_stream(stream)
    require_shape("windows", windows, stream.ids.shape)
    if windows.numel() == 0:
        return windows, windows
    if windows.is_floating_point() or int(windows.min()) < 1:
        raise ValueError(
            f"windows must be whole numbers ≥ 1, got {windows.min().item()}"
        )
    place = torch.arange(len(windows), device=windows.device)
    first = torch.ones_like(windows, dtype=torch.bool)
    first[1:] = stream.sentence[1:] != stream.sentence[:-1]
    last = first.roll(-1)
    start = torch.where(first, place, 0).cummax(0).values
    end = torch.where(last, place, len(windows)).flip(0).cummin(0).values.flip(0)
    return torch.minimum(windows, place - start), torch.minimum(windows, end - place)


class Pairs(NamedTuple):
    """Center and context words, all pairs of a center together, from left to right.

    Attributes:
        centers: [P], ids.
        contexts: [P], ids.
        rows: [P], which of the positions asked for the center is.
        counts: [m], pairs of each position asked for.
    """

    centers: Tensor
    contexts: Tensor
    rows: Tensor
    counts: Tensor


def center_context_pairs(
    stream: TokenStream, windows: Tensor, positions: Tensor | None = None
) -> Pairs:
    """Each token with every other word at a distance ≤ its width in its sentence.

    The token at i reaches a_i = min(w_i, tokens before it in the sentence) to the left
    and b_i to the right, so it has a_i + b_i pairs. Numbered through, the k-th of them
    is at the offset k − a_i, or one more from the token itself on.

    Args:
        stream: n tokens.
        windows: w, [n], whole numbers ≥ 1, as from `reduced_windows`.
        positions: [m], which tokens are centers, in which order; None is all.
    Raises:
        ValueError: if a width is < 1, or shapes differ.
    """
    left, right = window_reach(stream, windows)
    if positions is None:
        positions = torch.arange(len(stream.ids), device=stream.ids.device)
    return pairs_in_reach(stream.ids, left[positions], right[positions], positions)


def pairs_in_reach(
    ids: Tensor, left: Tensor, right: Tensor, positions: Tensor
) -> Pairs:
    """The pairs of some positions, each with its own reach.

    Args:
        ids: [n], the tokens of a corpus.
        left, right: [m], as of `window_reach`, at those positions.
        positions: [m], which tokens are centers.
    """
    counts = left + right
    rows = torch.repeat_interleave(counts)
    first = counts.cumsum(0) - counts  # the number of each position's first pair
    rank = torch.arange(rows.shape[0], device=rows.device)
    rank = rank - (first + left).index_select(0, rows)
    there = positions.index_select(0, rows)
    offset = rank + (rank >= 0)  # 0 is the token itself
    centers, contexts = ids.index_select(0, there), ids.index_select(0, there + offset)
    return Pairs(centers, contexts, rows, counts)


def slow_center_context_pairs(
    sentences: list[list[int]], windows: list[int]
) -> list[tuple[int, int]]:
    """The same in plain Python, as one would say it: the reference.

    Args:
        sentences: ids.
        windows: one width a token, in the order of the corpus.
    """
    pairs, widths = [], iter(windows)
    for sentence in sentences:
        for i, center in enumerate(sentence):
            width = next(widths)
            for j in range(max(0, i - width), min(len(sentence), i + width + 1)):
                if j != i:
                    pairs.append((center, sentence[j]))
    return pairs
