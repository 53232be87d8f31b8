"""From a stream of tokens to minibatches for skip-gram with negative sampling.

Frequent words are thinned out, pairs of center and context are formed
(`skip_gram_pairs`), and noise words are drawn to go with each. All of it is arithmetic
on flat arrays, O(1) a token and a pair.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from d2lcompanion.text.checks import (
    require_at_least,
    require_choice,
    require_ids,
    require_shape,
    require_weights,
)
from d2lcompanion.text.noise import AliasSampler
from d2lcompanion.text.skip_gram_pairs import (
    Pairs,
    pairs_in_reach,
    reduced_windows,
    window_reach,
)
from d2lcompanion.text.token_stream import TokenStream, require_stream

KeepFormula: TypeAlias = Literal["square_root", "word2vec"]

# ------------------------------------------------------------------------------------- subsampling


def keep_probabilities(
    counts: Tensor, threshold: float, formula: KeepFormula = "square_root"
) -> Tensor:
    """How likely a token of each word is to stay, from its share f of all tokens.

        square_root:  min(1, √(t/f))             the paper, d2l
        word2vec:     min(1, √(t/f) + t/f)       the C program, gensim: (√(f/t) + 1) t/f

    The second keeps more, and all words up to f = 2.618 t, where the first begins at t.
    d2l uses t = 10⁻⁴, gensim 10⁻³, the paper "around 10⁻⁵".

    Args:
        counts: [V], ≥ 0, of the tokens to be thinned out.
        threshold: t in (0, 1].
        formula: which of the two.
    Returns:
        [V], in (0, 1], float64; 1 for a word that does not occur.
    Raises:
        ValueError: if counts are no counts, t is out of range, or formula is neither.
    Source:
        Mikolov, Sutskever, Chen, Corrado & Dean (2013), equation (5); word2vec.c,
        `ReadVocab` and `TrainModelThread`.
    """
    require_weights("counts", counts, zeros=True)
    require_choice("formula", formula, ("square_root", "word2vec"))
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be in (0, 1], got {threshold}")
    ratio = threshold * counts.sum().double() / counts.double()  # t/f, ∞ where f = 0
    kept = ratio.sqrt() if formula == "square_root" else ratio.sqrt() + ratio
    return kept.clamp(max=1)


def subsample(
    stream: TokenStream, keep: Tensor, generator: torch.Generator
) -> TokenStream:
    """Keep each token with the probability of its word, independently of all others.

    What stays moves together: windows, formed afterwards, reach over the gaps.

    Args:
        stream: n tokens.
        keep: [V], in [0, 1].
        generator: on any device; one on the CPU keeps the same tokens everywhere.
    Raises:
        ValueError: if an id has no probability.
    """
    require_stream(stream)
    require_ids("ids", stream.ids, len(keep))
    drawn = torch.rand(
        len(stream.ids), generator=generator, device=generator.device, dtype=keep.dtype
    )
    stays = drawn.to(stream.ids.device) < keep.index_select(0, stream.ids)
    return TokenStream(stream.ids[stays], stream.sentence[stays])


# ------------------------------------------------------------------------------------- minibatches


class Batch(NamedTuple):
    """A minibatch in d2l's layout: context words, then noise words, then filling.

    Attributes:
        centers: [B], ids.
        words: [B, L], ids; 0 where the mask is False.
        mask: [B, L], bool, what counts.
        labels: [B, L], bool, True for context words.
    """

    centers: Tensor
    words: Tensor
    mask: Tensor
    labels: Tensor


def outside_window(pairs: Pairs, negatives: Tensor) -> Tensor:
    """Which noise words are in no window of their center: [P, K], bool.

    The others are no negatives there, and are masked. d2l draws again instead, for ever
    if a window holds the whole vocabulary; word2vec's C program leaves out those that
    equal the one context word of their pair.

    Args:
        pairs: P of them.
        negatives: [P, K], ids.
    Raises:
        ValueError: if shapes do not fit.
    """
    require_shape("negatives", negatives, (len(pairs.rows), *negatives.shape[1:2]))
    longest = int(pairs.counts.max()) if len(pairs.counts) else 0
    ends = pairs.counts.cumsum(0)
    first = (ends - pairs.counts).index_select(0, pairs.rows)
    last = ends.index_select(0, pairs.rows) - 1
    given = [ids for ids in (negatives, pairs.contexts) if len(ids)]
    largest = max((int(ids.max()) for ids in given), default=0)
    narrow = torch.int16 if largest < 2**15 else torch.int32  # less to move
    drawn = negatives.to(narrow).T.contiguous()  # [K, P]: long runs to compare
    contexts = pairs.contexts.to(narrow)
    hit = torch.zeros_like(drawn, dtype=torch.bool)
    for k in range(longest):  # with the k-th word of the window, or again with its last
        word = torch.minimum(first + k, last)
        hit |= drawn == contexts.index_select(0, word)
    return ~hit.T


def batchify(
    centers: Tensor,
    contexts: Tensor,
    negatives: Tensor,
    counts: Tensor,
    present: Tensor | None = None,
) -> Batch:
    """Windows of different sizes as rows of one length, L = (1 + K) · the most words.

    Args:
        centers: [B], ids.
        contexts: [P], ids, those of a row together, rows in order.
        negatives: [P, K], ids, K ≥ 1.
        counts: [B], how many contexts each row has; their sum is P.
        present: [P, K], bool, which negatives count; None is all.
    Raises:
        ValueError: if shapes do not fit.
    """
    require_shape("counts", counts, centers.shape)
    require_shape("negatives", negatives, (len(contexts), *negatives.shape[1:2]))
    noise, size = negatives.shape[1], counts[:, None].to(torch.int32)
    length = int(counts.max()) * (1 + noise)
    column = torch.arange(length, dtype=torch.int32, device=counts.device)
    labels, mask = column < size, column < size * (1 + noise)
    drawn = mask ^ labels
    if present is not None:
        require_shape("present", present, negatives.shape)
        negatives = negatives.masked_fill(~present, 0)
        mask.masked_scatter_(drawn, present)
    words = contexts.new_zeros(mask.shape).masked_scatter_(labels, contexts)
    words.masked_scatter_(drawn, negatives)
    return Batch(centers, words, mask, labels)


def minibatches(
    stream: TokenStream,
    noise: AliasSampler,
    *,
    max_window: int,
    negatives: int,
    batch_size: int,
    generator: torch.Generator,
    at_once: int = 16,
) -> Iterator[Batch]:
    """One pass over the tokens in random order, each the center of one row.

    Widths are drawn anew in each pass. Tokens alone in their sentence are left out.
    Pairs of so many batches are formed at once: few calls, and bounded memory.

    Args:
        stream: subsampled tokens.
        noise: draws negatives.
        max_window: c ≥ 1.
        negatives: K ≥ 1, for each context word.
        batch_size: rows, ≥ 1; the last batch may be smaller.
        generator: on any device.
        at_once: batches prepared together, ≥ 1; changes speed and memory alone.
    Raises:
        ValueError: if a number is out of range, or no sentence has two tokens.
    """
    for name, value in (("negatives", negatives), ("batch_size", batch_size)):
        require_at_least(name, value, 1)
    require_at_least("at_once", at_once, 1)
    device = stream.ids.device
    windows = reduced_windows(len(stream.ids), max_window, generator).to(device)
    left, right = window_reach(stream, windows)
    usable = (left + right > 0).nonzero()[:, 0]
    if not len(usable):
        raise ValueError(
            f"a sentence must have two tokens, got {len(stream.ids)} tokens, each alone"
        )
    order = torch.randperm(len(usable), generator=generator, device=generator.device)
    usable = usable.index_select(0, order.to(device))
    for chunk in torch.split(usable, batch_size * at_once):
        before, after = left.index_select(0, chunk), right.index_select(0, chunk)
        pairs = pairs_in_reach(stream.ids, before, after, chunk)
        drawn = noise.sample((len(pairs.contexts), negatives), generator).to(device)
        present = outside_window(pairs, drawn)
        centers = stream.ids.index_select(0, chunk)
        rows = batchify(centers, pairs.contexts, drawn, pairs.counts, present)
        for start in range(0, len(chunk), batch_size):
            batch = slice(start, start + batch_size)
            length = (1 + negatives) * int(pairs.counts[batch].max())
            wide = (part[batch, :length] for part in rows[1:])  # filled from the left
            yield Batch(centers[batch], *wide)
